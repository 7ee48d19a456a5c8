import errno
import json
import os
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgcrs.core.checkpoint import Checkpoints
from kgcrs.core.errors import KgcrsError
from kgcrs.core.trees import tree_hash


class TrainState(NamedTuple):
    params: dict
    keys: dict
    replay: tuple
    step: int


def state_of(seed: int) -> TrainState:
    rng = np.random.default_rng(seed)
    keys = {"one": jax.random.key(seed), "many": jax.random.split(jax.random.key(seed, impl="rbg"), 3)}
    replay = (
        jnp.array(rng.integers(-9, 9, 7), jnp.int8),
        jnp.array(rng.random(7) < 0.5),
        rng.integers(0, 2**60, 4),
        np.float32(rng.random()),
        np.int64(2**40 + seed),
        np.bool_(seed % 2),
        rng.random(),
        None,
        np.zeros((0, 3), np.float32),
    )
    values = rng.normal(size=(5, 4)).astype(np.float32)
    values[0] = [np.nan, -0.0, np.inf, 1e-42]
    params = {
        "fm": {"user": jnp.array(values)},
        "half": jnp.array(values, jnp.bfloat16),
        "odd / name": np.ones(2),
    }
    return TrainState(params, keys, replay, seed)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "checkpoints"


@pytest.fixture
def saved(folder):
    checkpoints = Checkpoints(folder, config_hash="abc")
    for step in (1, 2):
        checkpoints.save(step, state_of(step))
    return checkpoints


def test_everything_returns_bit_for_bit_and_as_what_it_was(saved, folder):
    restored = Checkpoints(folder, config_hash="abc").restore(state_of(9))
    expected = state_of(2)
    assert jax.tree.structure(restored) == jax.tree.structure(expected)
    assert tree_hash(restored) == tree_hash(expected)
    for new, old in zip(jax.tree.leaves(restored), jax.tree.leaves(expected), strict=True):
        # jax's concrete array class is an implementation detail, so arrays are compared as arrays.
        assert isinstance(new, jax.Array) if isinstance(old, jax.Array) else type(new) is type(old)
        assert getattr(new, "dtype", None) == getattr(old, "dtype", None)
    drawn = [jax.random.normal(state.keys["one"], (4,)).tolist() for state in (restored, expected)]
    assert drawn[0] == drawn[1]


def test_an_older_step_and_a_shape_template(saved):
    assert saved.restore(state_of(0), step=1).step == 1
    simple = Checkpoints(saved.folder.parent / "simple", config_hash="abc")
    simple.save(0, {"w": jnp.arange(3.0)})
    template = {"w": jax.ShapeDtypeStruct((3,), jnp.float32)}
    assert simple.restore(template)["w"].tolist() == [0, 1, 2]


def test_the_newest_two_are_kept(saved):
    assert saved.latest() == 2
    saved.save(10, state_of(10))
    assert sorted(path.name for path in saved.folder.iterdir()) == ["step_00000002", "step_00000010"]
    assert saved.latest() == 10
    with pytest.raises(KgcrsError, match="no checkpoint of step 1 .*holds steps 2, 10"):
        saved.restore(state_of(0), step=1)


def test_saving_a_step_again_replaces_it(saved):
    saved.save(2, state_of(7))
    assert saved.restore(state_of(0)).step == 7
    assert sorted(path.name for path in saved.folder.iterdir()) == ["step_00000001", "step_00000002"]


def test_no_checkpoint_yet(folder):
    checkpoints = Checkpoints(folder, config_hash="abc")
    assert checkpoints.latest() is None
    assert not folder.exists()
    with pytest.raises(KgcrsError, match="There is no checkpoint in"):
        checkpoints.restore(state_of(0))


def test_an_interrupted_save_is_ignored_and_swept_away(saved):
    # What a killed process leaves behind: part of a folder that never got its name.
    leftover = saved.folder / ".unfinished-3"
    leftover.mkdir()
    (leftover / "meta.json").write_text("{}")
    assert saved.latest() == 2
    assert saved.restore(state_of(0)).step == 2
    saved.save(3, state_of(3))
    assert not leftover.exists() and saved.latest() == 3


def test_an_interrupt_in_the_middle_of_a_save_keeps_the_earlier_one(saved, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("kgcrs.core.checkpoint._write_durably", interrupted)
    with pytest.raises(KeyboardInterrupt):
        saved.save(3, state_of(3))
    assert saved.latest() == 2
    assert saved.restore(state_of(0)).step == 2


def test_a_full_disk_keeps_the_earlier_one(saved, folder, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("kgcrs.core.checkpoint._write_durably", full)
    with pytest.raises(KgcrsError, match="disk is full.*step 3.*step 2 is kept: free some space"):
        saved.save(3, state_of(3))
    assert sorted(path.name for path in folder.iterdir()) == ["step_00000001", "step_00000002"]
    with pytest.raises(KgcrsError, match="no earlier one exists"):
        Checkpoints(folder.parent / "other", config_hash="abc").save(3, state_of(3))


def truncate(folder):
    data = max((folder / "arrays").rglob("*"), key=lambda path: path.stat().st_size * path.is_file())
    data.write_bytes(data.read_bytes()[: data.stat().st_size // 2])


def flip(folder):
    for data in (folder / "arrays").rglob("d/*"):
        content = bytearray(data.read_bytes())
        content[len(content) // 2] ^= 0xFF
        data.write_bytes(content)


def change_fingerprint(folder):
    meta = json.loads((folder / "meta.json").read_text())
    (folder / "meta.json").write_text(json.dumps({**meta, "sha256": "0" * 64}))


def change_field(**changes):
    def damage(folder):
        meta = json.loads((folder / "meta.json").read_text())
        first = {name: value for name, value in {**meta["fields"][0], **changes}.items() if value is not None}
        (folder / "meta.json").write_text(json.dumps({**meta, "fields": [first, *meta["fields"][1:]]}))

    return damage


# Undecodable bytes make the storage library stop in the middle; what its threads say then is not ours.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (truncate, "has .* bytes instead of"),
        (flip, "cannot be decoded|does not match the fingerprint"),
        (change_fingerprint, "does not match the fingerprint"),
        (lambda folder: (folder / "meta.json").unlink(), "meta.json cannot be read"),
        (lambda folder: (folder / "meta.json").write_text('{"files": '), "meta.json cannot be read"),
        (lambda folder: (folder / "meta.json").write_text("[]"), "meta.json cannot be read"),
        (lambda folder: (folder / "meta.json").write_text('{"files": []}'), "meta.json cannot be read"),
        (change_field(shape=None), "meta.json cannot be read"),
        (change_field(path=None), "meta.json cannot be read"),
        (lambda folder: (folder / "arrays" / "_METADATA").unlink(), "file 'arrays/_METADATA' is missing"),
    ],
)
def test_damage_is_told_with_the_way_out(saved, damage, words):
    damage(saved.folder / "step_00000002")
    with pytest.raises(KgcrsError, match=words) as caught:
        saved.restore(state_of(0))
    said = str(caught.value)
    assert "step_00000002' is damaged" in said and "step 1 is intact: delete the damaged folder" in said
    assert saved.restore(state_of(0), step=1).step == 1
    damage(saved.folder / "step_00000001")
    with pytest.raises(KgcrsError, match="no older one is intact"):
        saved.restore(state_of(0))


def test_an_older_one_with_a_foreign_field_is_not_intact(saved):
    change_field(dtype="no such")(saved.folder / "step_00000001")
    (saved.folder / "step_00000002" / "meta.json").unlink()
    with pytest.raises(KgcrsError, match="no older one is intact"):
        saved.restore(state_of(0))


def test_other_settings_are_refused(saved, folder):
    with pytest.raises(KgcrsError, match="made with settings abc, but this run has xyz: repeat the earlier"):
        Checkpoints(folder, config_hash="xyz").restore(state_of(0))


def with_user(user):
    state = state_of(0)
    return state._replace(params={**state.params, "fm": {"user": user}})


@pytest.mark.parametrize(
    ("template", "words"),
    [
        (with_user(jnp.ones((5, 8))), r"'params.fm.user' has shape \[5, 4\], expected \[5, 8\]"),
        (with_user(jnp.ones((5, 4), jnp.int32)), "'params.fm.user' has dtype float32, expected int32"),
        (with_user(np.ones((5, 4), np.float32)), "'params.fm.user' has kind jax array, expected numpy array"),
        (with_user({"new": jnp.ones(2)}), "'params.fm.user.new' is expected but not in it"),
        (state_of(0)._replace(replay=()), "'replay.0' is in it but not expected"),
        (
            state_of(0)._replace(keys={"one": jax.random.key(0, impl="rbg"), "many": state_of(0).keys["many"]}),
            "'keys.one' has kind random key .*fry.*, expected random key .*rbg",
        ),
    ],
)
def test_another_state_is_refused_by_field(saved, template, words):
    with pytest.raises(KgcrsError, match=words) as caught:
        saved.restore(template)
    assert "step_00000002" in str(caught.value) and "start in another folder" in str(caught.value)


def test_only_arrays_and_numbers_are_saved(saved):
    with pytest.raises(KgcrsError, match="'name' is a str; only arrays and numbers"):
        saved.save(3, {"name": "x"})
    assert saved.latest() == 2


def test_a_state_of_empty_arrays_and_no_arrays(folder):
    checkpoints = Checkpoints(folder, config_hash="abc")
    checkpoints.save(1, {"friends": np.zeros((0, 2), np.int32)})
    assert checkpoints.restore({"friends": np.zeros((0, 2), np.int32)})["friends"].shape == (0, 2)
    checkpoints.save(2, {})
    assert checkpoints.restore({}) == {}


def test_meta_is_plain_json_and_nothing_is_pickled(saved):
    meta = json.loads((saved.folder / "step_00000002" / "meta.json").read_text())
    assert meta["config_hash"] == "abc" and meta["step"] == 2 and "jax" in meta["versions"]
    user = next(entry for entry in meta["fields"] if entry["path"] == "params.fm.user")
    assert user == {"path": "params.fm.user", "kind": "jax array", "shape": [5, 4], "dtype": "float32"}
    assert not [path for path in saved.folder.rglob("*") if path.suffix in {".pkl", ".pickle"}]


def test_a_relative_folder_works(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    relative = Checkpoints(Path("runs") / "a", config_hash="relative")
    relative.save(1, {"x": np.arange(3)})
    assert relative.restore({"x": np.arange(3)})["x"].tolist() == [0, 1, 2]
