"""KGSF's recommender as a whole, against a twin in NumPy, and its ablations (spec tests 6, 9)."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgcrs.core.errors import KgcrsError
from kgcrs.models.infomax_critic import critic_scores
from kgcrs.models.kgsf import (
    build_kgsf_graphs,
    encode_graphs,
    infomax_critic,
    init_kgsf,
    mirrored_critic,
    recommend,
    training_logits,
    user_vector,
)
from kgcrs.models.kgsf_plan import PRESETS, kgsf_plan
from tests.graph.test_relations import NODES, TRIPLES, slow_dense
from tests.worlds import quick_jit

ITEMS, WORDS, DIM = 4, 6, 3
WORD_EDGES = np.array([[0, 1], [1, 2], [3, 1]])
ENTITY_IDS = jnp.array([[0, 5, -1], [-1, -1, -1], [6, -1, -1], [-1, -1, -1]])
WORD_IDS = jnp.array([[1, 2, 4, -1], [0, 3, -1, -1], [-1, -1, -1, -1], [-1, -1, -1, -1]])


def plan_of(preset="kgsf_fixed", **changes):
    return kgsf_plan(preset, ITEMS, NODES, WORDS, 3)._replace(**{"dim": DIM, "num_bases": 2, **changes})


def graphs_of(plan):
    return build_kgsf_graphs(plan, TRIPLES, WORD_EDGES, more_than=3)


def view_of(plan, params, entities=ENTITY_IDS, words=WORD_IDS):
    encoded = encode_graphs(params, plan, graphs_of(plan))
    return encoded, user_vector(params, plan, encoded, entities, words)


def params_of(plan, seed=0):
    """Fresh ones, with biases that are not zero, so that forgetting one shows."""
    params = init_kgsf(jax.random.key(seed), plan)
    keys = iter(jax.random.split(jax.random.key(seed + 1), 100))
    return jax.tree.map(lambda x: x + 0.3 * jax.random.normal(next(keys), x.shape), params)


def slow_logits(params, preset):
    """Node by node and context by context."""
    plan = plan_of(preset)
    p = jax.tree.map(lambda x: np.asarray(x, np.float64), params)
    act = lambda name, x: np.maximum(x, 0) if name == "relu" else x  # noqa: E731
    r, w = p["entities"], p["words"]
    facts = slow_dense(TRIPLES, [2, 5], plan.rgcn_norm)
    entities = np.einsum("rmn,rb,bnd->md", facts, r["coefficient"], r["basis"]) + r["root"] + r["bias"]
    entities = act(plan.entity_activation, entities)
    adjacency = np.eye(WORDS)
    adjacency[WORD_EDGES[:, 0], WORD_EDGES[:, 1]] = adjacency[WORD_EDGES[:, 1], WORD_EDGES[:, 0]] = 1.0
    root = adjacency.sum(1) ** -0.5
    words = act(plan.word_activation, root[:, None] * adjacency * root @ w["node"] @ w["weight"] + w["bias"])

    def pool(table, ids, pooling):
        rows = [table[i] for i in np.asarray(ids) if i >= 0]
        if not rows:
            return np.zeros(DIM)
        score = np.exp([np.tanh(row @ pooling["hidden"]) @ pooling["score"] for row in rows])
        return np.array(rows).T @ (score / score.sum())

    logits = []
    for ids, heard in zip(ENTITY_IDS, WORD_IDS, strict=True):
        n, v, gate = pool(entities, ids, p["entity_pool"]), pool(words, heard, p["word_pool"]), p["gate"]
        both = np.concatenate([v, n])
        if plan.gate == "official":
            beta = 1 - 1 / (
                1 + np.exp(-((both @ gate["hidden"] + gate["hidden_bias"]) @ gate["weight"] + gate["bias"]))
            )
        else:
            beta = 1 / (1 + np.exp(-(both @ gate["weight"] + gate["bias"])))
        logits.append(entities @ (beta * v + (1 - beta) * n))
    return np.array(logits) + (p["bias"] if "bias" in p and len(p["bias"]) == NODES else 0.0), p.get("bias")


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_each_preset_equals_its_slow_twin(preset):
    plan = plan_of(preset)
    params = params_of(plan)
    nodes, bias = slow_logits(params, preset)
    items = nodes[:, :ITEMS] + (bias if bias is not None and len(bias) == ITEMS else 0.0)

    def run(params, graphs, entities, words):
        encoded = encode_graphs(params, plan, graphs)
        vector = user_vector(params, plan, encoded, entities, words).vector
        return recommend(params, plan, encoded, vector), training_logits(params, plan, encoded, vector)

    for program in (run, jax.jit(run)):
        got, trained = program(params, graphs_of(plan), ENTITY_IDS, WORD_IDS)
        np.testing.assert_allclose(got, items, atol=1e-4)
        np.testing.assert_allclose(trained, nodes if plan.softmax == "nodes" else items, atol=1e-4)


def test_06_more_padding_changes_nothing_and_empty_contexts_give_zeros():
    plan = plan_of()
    params = params_of(plan)
    _, view = view_of(plan, params)
    wider = lambda ids: jnp.pad(ids, ((0, 0), (0, 5)), constant_values=-1)  # noqa: E731
    _, wide = view_of(plan, params, wider(ENTITY_IDS), wider(WORD_IDS))
    for name in ("vector", "words", "entities", "gate"):
        np.testing.assert_allclose(getattr(wide, name), getattr(view, name), atol=1e-6)
    assert not view.vector[3].any() and not view.entities[1].any() and not view.words[2].any()
    # Nothing heard but words: the gate still scales them, as printed.
    np.testing.assert_allclose(view.vector[1], view.gate[1] * view.words[1], atol=1e-6)

    def loss(params):
        encoded = encode_graphs(params, plan, graphs_of(plan))
        return recommend(
            params, plan, encoded, user_vector(params, plan, encoded, ENTITY_IDS[3:], WORD_IDS[3:]).vector
        ).sum()

    assert all(jnp.isfinite(x).all() for x in jax.tree.leaves(quick_jit(jax.grad(loss))(params)))


def test_09_an_entity_of_the_context_matters_and_another_does_not():
    plan = plan_of()
    params = params_of(plan)
    before = view_of(plan, params)[1].vector
    after = view_of(plan, params, ENTITY_IDS.at[0, 1].set(2))[1].vector
    assert not np.allclose(after[0], before[0], atol=1e-4)
    np.testing.assert_array_equal(after[1:], before[1:])
    # Any negative number is padding.
    np.testing.assert_array_equal(view_of(plan, params, ENTITY_IDS.at[0, 2].set(-7))[1].vector, before)


def test_attention_tells_where_a_preference_comes_from():
    _, view = view_of(plan_of(), params_of(plan_of()))
    np.testing.assert_allclose(view.word_weights.sum(1), [1, 1, 0, 0], atol=1e-6)
    np.testing.assert_allclose(view.entity_weights.sum(1), [1, 0, 1, 0], atol=1e-6)
    assert np.array_equal(view.word_weights > 0, WORD_IDS >= 0)
    assert ((view.gate > 0) & (view.gate < 1)).all()


def test_without_words_it_is_kbrd():
    whole = plan_of()
    plan = whole._replace(words=False)
    params = params_of(whole)
    parts = {name: params[name] for name in ("entities", "entity_pool", "bias")}
    assert set(init_kgsf(jax.random.key(0), plan)) == set(parts)
    encoded, view = view_of(plan, parts, words=WORD_IDS[:, :0])
    np.testing.assert_allclose(view.vector, view_of(whole, params)[1].entities, atol=1e-6)
    assert encoded.words is None and not view.gate.any()
    assert recommend(parts, plan, encoded, view.vector).shape == (4, ITEMS)
    with pytest.raises(KgcrsError, match="infomax aligns"):
        infomax_critic(parts, encoded, view.words)


def test_without_the_entity_graph_items_have_vectors_of_their_own():
    plan = plan_of("kgsf_official", entities=False)
    params = params_of(plan)
    assert set(params) == {"items", "words", "word_pool", "bias"}
    encoded, view = view_of(plan, params)
    expected = np.asarray(view.words) @ np.asarray(params["items"]).T + params["bias"]
    np.testing.assert_allclose(recommend(params, plan, encoded, view.vector), expected, atol=1e-5)
    # Without nodes the softmax falls back to items.
    assert training_logits(params, plan, encoded, view.vector).shape == (4, ITEMS)
    assert not view.entities.any() and (view.gate == 1).all()


def test_the_critic_is_bilinear():
    plan = plan_of()
    params = params_of(plan)
    encoded, view = view_of(plan, params)
    head = {name: np.asarray(x) for name, x in params["infomax"].items()}
    expected = (
        np.einsum("bd,dk,nk->bn", view.words, head["transform"], encoded.entities)
        + np.asarray(encoded.entities) @ head["shift"]
        + head["bias"]
    )
    np.testing.assert_allclose(critic_scores(infomax_critic(params, encoded, view.words)), expected, atol=1e-4)


def test_the_mirrored_critic_needs_both_graphs():
    plan = plan_of(words=False)
    params = params_of(plan)
    encoded, view = view_of(plan, params)
    with pytest.raises(KgcrsError, match="infomax aligns words with entities"):
        mirrored_critic(params, encoded, view.entities)


def test_seeds_of_a_sweep_run_as_lanes():
    plan = plan_of(rgcn_input="embed")
    run = lambda params: recommend(params, plan, *view_lane(plan, params))  # noqa: E731
    lanes = [params_of(plan, seed) for seed in (0, 1)]
    got = quick_jit(jax.vmap(run))(jax.tree.map(lambda *x: jnp.stack(x), *lanes))
    for number, lane in enumerate(lanes):
        np.testing.assert_allclose(got[number], run(lane), atol=1e-5)


def view_lane(plan, params):
    encoded, view = view_of(plan, params)
    return encoded, view.vector


@pytest.mark.parametrize(
    "call, words",
    [
        (partial(kgsf_plan, "kgsf"), "preset is 'kgsf'.*choose one of kgsf_fixed"),
        (lambda *sizes: kgsf_plan("kgsf_fixed", 9, *sizes[1:]), "num_entities is 7 for 9 items"),
        (lambda *_: init_kgsf(jax.random.key(0), plan_of(words=False, entities=False)), "both off"),
        (lambda *_: init_kgsf(jax.random.key(0), plan_of(softmax="all")), "softmax is 'all'"),
        (lambda *_: init_kgsf(jax.random.key(0), plan_of(mim="mse")), "mim is 'mse'"),
        (lambda *_: graphs_of(plan_of(num_relations=9)), "num_relations is 9, but the graph keeps 3"),
    ],
)
def test_wrong_settings_are_explained(call, words):
    with pytest.raises(KgcrsError, match=words):
        call(ITEMS, NODES, WORDS, 3)
