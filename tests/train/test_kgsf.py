"""`python -m train.kgsf` end to end: it stops and resumes exactly, and says what is wrong in one sentence."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

import train.loop
import train.run_kgsf as run_kgsf
from kgcrs.core.config import load_config
from kgcrs.core.errors import KgcrsError
from kgcrs.core.settings.dialogue import DecodeConfig, DialogueConfig, ReplyTraining
from kgcrs.core.settings.kgsf import KgsfConfig, PreferenceConfig, PreferenceTraining
from kgcrs.data.synthetic_dialogue import synthetic_dialogue
from train.default_config import CONFIGS, with_default_config
from train.kgsf import default_run_dir

COMPILES_CHEAPLY = True

TINY = KgsfConfig(
    preference=PreferenceConfig(dim=8, more_than=20),
    recommend=PreferenceTraining(mim_epochs=2, max_epochs=2, batch_size=64, lr=0.01),
    dialogue=DialogueConfig(width=8, hidden=8, layers=1),
    reply=ReplyTraining(max_epochs=0),
    decode=DecodeConfig(length=4),
)
WITH_DIALOGUE = replace(TINY, reply=ReplyTraining(max_epochs=2, batch_size=64, lr=0.01))
DATA = synthetic_dialogue(num_conversations=80, num_movies=40)


@pytest.fixture(autouse=True)
def small_world(monkeypatch):
    monkeypatch.setattr(run_kgsf, "load_dialogue", lambda *args, **kwargs: DATA)
    monkeypatch.setattr(train.loop, "SECONDS_BETWEEN_SAVES", 0.0)


def left_behind(folder):
    newest = {f"{path.name} stage": max(path.glob("step_*")) for path in (folder / "checkpoints").iterdir()}
    hashes, found = ended(folder)
    hashes |= {name: json.loads((path / "meta.json").read_text())["sha256"] for name, path in newest.items()}
    return (folder / "metrics.jsonl").read_bytes(), hashes, found


def ended(folder):
    """Hashes of the kept results, and the arrays below eval/."""
    kept = {step.parent.name: step for step in folder.glob("[rd]*/step_*")}
    hashes = {name: json.loads((path / "meta.json").read_text())["sha256"] for name, path in kept.items()}
    found = {}
    for file in sorted((folder / "eval").glob("*.npz")):
        with np.load(file) as stored:
            found |= {f"{file.stem} {name}": stored[name].tobytes() for name in stored.files}
    return hashes, found


@pytest.mark.slow
@pytest.mark.parametrize("config", [pytest.param(WITH_DIALOGUE, marks=pytest.mark.long, id="dialogue"), TINY])
def test_a_run_stopped_in_every_stage_ends_like_one_that_was_not(config, tmp_path, monkeypatch, capsys):
    run_kgsf.train_run(config, tmp_path / "whole")
    told = capsys.readouterr().out
    assert "legacy" in told and (tmp_path / "whole" / "recommend.png").is_file()
    left = {"infomax": 1, "recommend": 1}
    if config is WITH_DIALOGUE:
        left["dialogue"] = 1
        assert "perplexity" in told and "written:" in told and (tmp_path / "whole" / "dialogue.png").is_file()
    whole = run_kgsf.run_stage

    def stopping(stage, *args, **kwargs):
        return whole(stage, *args, stop_after=left.pop(stage.name, None), **kwargs)

    monkeypatch.setattr(run_kgsf, "run_stage", stopping)
    for _ in list(left):
        with pytest.raises(KeyboardInterrupt):
            run_kgsf.train_run(config, tmp_path / "stopped")
    run_kgsf.train_run(config, tmp_path / "stopped")
    assert not left and left_behind(tmp_path / "stopped") == left_behind(tmp_path / "whole")
    kept = {path.name for path in (tmp_path / "whole" / "eval").iterdir()}
    assert {"labels.npz", "replies.npz"} & kept == kept and ("replies.npz" in kept) == (config is WITH_DIALOGUE)
    # Once a part has ended its checkpoints may go: what it ended with, its curve and its numbers stay.
    before = (tmp_path / "whole" / "metrics.jsonl").read_bytes(), ended(tmp_path / "whole")
    shutil.rmtree(tmp_path / "whole" / "checkpoints")
    run_kgsf.train_run(config, tmp_path / "whole")
    assert not (tmp_path / "whole" / "checkpoints").exists()
    assert before == ((tmp_path / "whole" / "metrics.jsonl").read_bytes(), ended(tmp_path / "whole"))


@pytest.mark.slow
@pytest.mark.parametrize("off", ["words", "entities"])
def test_one_channel_alone_trains(off, tmp_path):
    config = replace(
        TINY,
        preference=replace(TINY.preference, **{off: False}),
        recommend=replace(TINY.recommend, mim_epochs=0, mim_weight=0.0, max_epochs=1),
    )
    ranks = run_kgsf.train_run(config, tmp_path / "run")
    assert np.isfinite(ranks.among_all).all() and len(ranks.among_all)


@pytest.mark.slow
@pytest.mark.long
def test_the_transformer_writes_replies_and_recommends_nothing(tmp_path):
    config = replace(WITH_DIALOGUE, model="transformer", reply=replace(WITH_DIALOGUE.reply, max_epochs=1))
    assert run_kgsf.train_run(config, tmp_path) is None
    with np.load(tmp_path / "eval" / "replies.npz") as stored:
        assert set(stored.files) == {"tokens", "items", "nats", "count"}
        assert stored["tokens"].shape == stored["items"].shape == (len(stored["nats"]), 4)
        assert (stored["items"] == -1).all() and (stored["count"] > 0).all() and np.isfinite(stored["nats"]).all()
    stages = {json.loads(line)["stage"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()}
    assert stages == {"dialogue"} and not (tmp_path / "recommender").exists()


@pytest.mark.slow
@pytest.mark.long
def test_a_dialogue_on_another_run_s_recommender_is_that_of_a_whole_run(tmp_path):
    first, other = tmp_path / "recommender", tmp_path / "borrowed"
    run_kgsf.train_run(TINY, first)
    run_kgsf.train_run(replace(WITH_DIALOGUE, recommender=str(first)), other)
    run_kgsf.train_run(WITH_DIALOGUE, tmp_path / "whole")
    (_, hashes, found), (_, expected, wanted) = left_behind(other), left_behind(tmp_path / "whole")
    assert found == wanted and {"replies tokens", "labels among_all"} <= set(found)
    assert hashes == {name: expected[name] for name in ("dialogue stage", "dialogue", "recommender")}
    for changed, said in (
        ({"seed": 1}, "was trained with seed 0, but this run has 1"),
        ({"preference": replace(TINY.preference, dim=16)}, "with preference.dim 8, but this run has 16"),
        ({"recommender": str(tmp_path)}, "holds no run"),
    ):
        wrong = replace(WITH_DIALOGUE, **{"recommender": str(first), **changed})
        with pytest.raises(KgcrsError, match=said):
            run_kgsf.train_run(wrong, tmp_path / "wrong")
    largest = max(
        (file for file in (first / "recommender").rglob("*") if file.is_file()), key=lambda f: f.stat().st_size
    )
    largest.write_bytes(largest.read_bytes()[:-7])
    with pytest.raises(KgcrsError, match="damaged"):
        run_kgsf.train_run(replace(WITH_DIALOGUE, recommender=str(first)), tmp_path / "damaged")
    # What the run took over is its own by now.
    assert run_kgsf.train_run(replace(WITH_DIALOGUE, recommender=str(other)), other) is not None
    shutil.rmtree(first / "recommender")
    assert run_kgsf.train_run(replace(WITH_DIALOGUE, recommender=str(first)), other) is not None
    with pytest.raises(KgcrsError, match="has no trained recommender yet"):
        run_kgsf.train_run(replace(WITH_DIALOGUE, recommender=str(first)), tmp_path / "early")
    with pytest.raises(KgcrsError, match="transformer has none"):
        replace(TINY, model="transformer", recommender=str(first)).validate()


@pytest.mark.parametrize(
    "flags, said",
    [
        (["--dialogue.heads", "7"], "dialogue.heads is 7"),
        (["--reply.plateau", "2"], "reply.plateau is 2.0"),
        (["--decode.length", "0"], "decode.length is 0"),
        (["--preference.no-words"], "recommend.mim_weight is 0.025"),
        (["--preference.no-words", "--preference.no-entities"], "nothing to read"),
        (["--recommend.lr", "0"], "recommend.lr is 0.0, but it must be positive"),
        (["--model", "revcore", "--preference.no-words"], "model is 'revcore'.*reads both graphs"),
        (["--baseline.dropout", "1"], "baseline.dropout is 1.0"),
        (["--model", "textcnn"], "textcnn writes no replies: add --reply.max-epochs 0"),
        (["--model", "transformer", "--reply.max-epochs", "0"], "reply.max_epochs is 0"),
    ],
)
def test_contradictions_are_told_before_anything_is_loaded(flags, said):
    with pytest.raises(KgcrsError, match=said):
        load_config(KgsfConfig, flags, prog="train")


def test_a_rate_that_diverges_names_its_flag(tmp_path):
    config = replace(TINY, recommend=replace(TINY.recommend, lr=1e30, mim_epochs=0))
    with pytest.raises(KgcrsError, match="lower --recommend.lr"):
        run_kgsf.train_run(config, tmp_path / "run")


def test_runs_have_folders_of_their_own():
    assert str(default_run_dir(KgsfConfig(dataset="redial:my/files", seed=2))) == "runs/kgsf-redial-my-files-seed2"
    assert str(default_run_dir(KgsfConfig(model="transformer"))) == "runs/kgsf-synthetic_dialogue-transformer-seed0"
    assert str(default_run_dir(KgsfConfig(dataset="redial", model="kbrd"))) == "runs/kgsf-redial-kbrd-seed0"
    paper = KgsfConfig(preference=PreferenceConfig(preset="kgsf_paper"), seed=1)
    assert str(default_run_dir(paper)) == "runs/kgsf-synthetic_dialogue-paper-seed1"


def test_the_generated_world_and_the_configs_have_settings_of_their_own():
    words = with_default_config([], "kgsf", "synthetic_dialogue")
    assert load_config(KgsfConfig, words, prog="train").preference.more_than == 20
    files = sorted((CONFIGS / "kgsf").glob("*.toml"))
    configs = [load_config(KgsfConfig, ["--config", str(file)], prog="train") for file in files]
    assert len({default_run_dir(config) for config in configs}) == len(files) >= 2
    # Rows of the recommender alone do not begin days of dialogue.
    assert not any(config.reply.max_epochs for config in configs if config.model != "kgsf")


@pytest.mark.parametrize(
    "changes, settings, said",
    [
        ({"word_names": (), "word_edges": np.zeros((0, 2), np.int32)}, {}, "has no word graph: .*--model kbrd"),
        ({"item_text": ("",) * DATA.num_items}, {"model": "revcore"}, "has no text on its items"),
        ({"conversations": tuple(DATA.of_split("train"))}, {}, "has no validation labels"),
    ],
    ids=["word graph", "texts", "validation labels"],
)
def test_data_without_what_a_run_reads_are_refused(changes, settings, said, tmp_path, monkeypatch):
    monkeypatch.setattr(run_kgsf, "load_dialogue", lambda *args, **kwargs: replace(DATA, **changes))
    with pytest.raises(KgcrsError, match=said):
        run_kgsf.train_run(replace(TINY, **settings), tmp_path / "run")
    assert not (tmp_path / "run").exists()
