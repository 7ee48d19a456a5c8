"""The benchmark of dialogue training compares like with like; speed is not tested."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from eval import speed, speed_dialogue
from eval.speed_dialogue import against, bench_dialogue, found_dialogue, step_flops
from eval.speed_timing import Timing
from kgcrs.losses.token_likelihood import mean_nats, reply_likelihood
from kgcrs.models.text.attention import TransformerSizes
from kgcrs.models.text.dialogue import DialogueInputs, DialoguePlan, init_dialogue
from kgcrs.models.text.kg_decoder import GraphContext

SIZES = TransformerSizes(8, 12, 2, 0.0, 0.0)


def test_the_benchmark_is_known_by_name():
    assert speed.SpeedConfig(only="dialogue").chosen() == ["dialogue"]


def test_data_are_those_at_hand(tmp_path, monkeypatch):
    monkeypatch.delenv("KGCRS_DATA", raising=False)
    assert found_dialogue("") == found_dialogue(str(tmp_path)) == ("synthetic_dialogue", None)
    (tmp_path / "redial").mkdir()
    assert found_dialogue(str(tmp_path)) == ("redial", str(tmp_path))


def test_without_pytorch_a_sentence_takes_its_place(monkeypatch):
    monkeypatch.setitem(sys.modules, "eval.speed_dialogue_torch", None)
    monkeypatch.delattr("eval.speed_dialogue_torch", raising=False)
    told = against("step", Timing(0.002, 0.001, 3), 1.0, lambda torch: (1.0, float), 1, ">= 2x", "floor")
    assert (told.ours, told.twin, told.ratio, told.target) == ("2.00 ms", "-", "", ">= 2x")
    assert "PyTorch is missing" in told.note


def test_a_twin_gives_a_ratio_and_how_far_its_loss_is(monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setattr(speed_dialogue, "measure", lambda step, repeats: Timing(step(), 0.0, repeats))
    told = against("step", Timing(0.002, 0.001, 3), 1.0, lambda torch: (1.5, lambda: 0.008), 1, ">= 2x", "floor")
    assert (told.twin, told.ratio) == ("PyTorch 8.00 ms", "4.0x faster") and told.note.endswith("losses 5e-01 apart")


def test_multiplications_of_a_step():
    """Width 2, hidden 3, one layer each, batch 1, context 2, reply START a END, one word, no entity, V = 5.

    Encoder: (4 * 4 + 2 * 2 * 3) * 2 = 56. Decoder: 2 said, ((4 + 6) * 4 + 12) * 2 = 104; memories of 3 rows, 2 * 4 * 3
    = 24. Scores: 2 tables * 5 * 2 * 2 tokens = 40. Six times the sum: 2 for multiply and add, 3 with both slopes.
    """
    plan = DialoguePlan(5, 2, TransformerSizes(2, 3, 1), 1, 1)
    graph = GraphContext(
        *(jnp.zeros((1, 1, 2)), jnp.ones((1, 1), bool), jnp.zeros((1, 0, 2)), jnp.ones((1, 0), bool)),
        *(jnp.zeros((1, 2)), jnp.zeros((1, 2))),
    )
    assert step_flops(plan, 1, 2, jnp.array([[1, 4, 2]]), graph) == 6 * (56 + 104 + 24 + 40)


def test_the_pytorch_network_computes_the_same_loss():
    pytest.importorskip("torch")
    from eval.speed_dialogue_torch import Trained, reply_loss, tensors

    plan, rng = DialoguePlan(20, 6, SIZES, 1, 1), np.random.default_rng(0)
    table = lambda *shape: jnp.asarray(rng.normal(size=shape), jnp.float32)  # noqa: E731
    graph = GraphContext(
        *(table(3, 4, 6), jnp.array([[True, True, True, False]] * 2 + [[False] * 4])),
        *(table(3, 2, 6), jnp.array([[True, False]] * 3), table(3, 6), table(3, 6)),
    )
    tokens = jnp.array([[4, 5, 6, 0], [7, 8, 0, 0], [9, 10, 11, 12]])
    reply = jnp.array([[1, 5, 6, 2], [1, 7, 2, 0], [1, 9, 9, 2]])
    mask = jnp.arange(20) > 3
    params = init_dialogue(jax.random.key(0), plan)
    ours = mean_nats(reply_likelihood(params, DialogueInputs(tokens, graph, mask), reply, plan))
    trained = Trained(params, 0.1, 0.1)
    columns = tensors({"tokens": tokens, "reply": reply, "copy_mask": mask, **graph._asdict()})
    told = trained.step(reply_loss(trained.params, columns, SIZES))
    np.testing.assert_allclose(told, ours, rtol=1e-5)
    assert float(reply_loss(trained.params, columns, SIZES).detach()) < told


@pytest.mark.long
def test_the_benchmark_runs():
    found = list(bench_dialogue(data_root="", quick=True))
    preference, ranking, reply, epoch, decoding = found
    assert "recommender" in preference.what and "dialogue network" in reply.what
    assert ranking.target == "< 30 s" and epoch.ratio.endswith("x faster") and "greedy" in decoding.what
    for finding in (preference, reply):
        assert finding.ours.endswith(" ms") and "floor" in finding.note
        if finding.twin != "-":
            assert float(finding.note.split("losses ")[-1].split(" apart")[0]) < 1e-3
