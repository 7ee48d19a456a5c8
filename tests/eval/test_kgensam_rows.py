"""The rows of the result tables say what they are, and every flag of the leak study reaches the code it names."""

import jax
import numpy as np
import pytest

from eval.kgensam_rows import GROUPS, all_rows, choose_rows, row_config
from kgcrs.algorithms.agent import make_agent
from kgcrs.algorithms.kgensam import agent_spec, build_fm_data, build_world
from kgcrs.core.errors import KgcrsError
from tests.worlds import CONFIG, configure, differing_leaves, small_data

DATA = small_data()
HONEST = build_world(DATA, CONFIG)
ROWS = {row.name: row for row in all_rows()}
LEAKS = ("leak_heldout_positives", "leak_filtered_negatives", "leak_target_pool", "leak_any_item")


def items_of(user, splits=(0, 1, 2)):
    return set(DATA.item[(DATA.user == user) & np.isin(DATA.split, splits)].tolist())


def real(ids):
    return {int(i) for i in np.asarray(ids) if 0 <= i < DATA.num_items}


def test_names_are_unique_and_unknown_ones_get_a_suggestion():
    assert len(ROWS) == len(all_rows()) and {row.group for row in all_rows()} == set(GROUPS)
    assert [row.name for row in choose_rows(("agent", "SCPR"))] == ["KGenSam", "SCPR"]
    with pytest.raises(KgcrsError, match="Did you mean 'leaks'"):
        choose_rows(("leak",))


def test_a_study_never_trains_and_is_never_called_a_result():
    for row in all_rows():
        assert row.is_trained == (row.decide == "dqn" and row.group in ("ablations", "rewards", "matrix"))
        assert (row.kind == "leak study") == bool(row.leaks or row.fit_on_test) == row.name.startswith("Leak")
        assert (row.kind == "other protocol") == bool(row.success) == row.name.startswith("Protocol")
    studied = {name for row in all_rows() for name in row.leaks}
    assert studied == set(LEAKS) and any(row.fit_on_test for row in all_rows())


def test_a_row_changes_the_settings_it_names_and_no_other():
    row = ROWS["Leak: both"]
    want = configure(ablation={"leak_heldout_positives": True, "leak_filtered_negatives": True})
    assert row_config(row, CONFIG) == want
    assert row_config(ROWS["KGenSam"], CONFIG) == CONFIG
    easier = row_config(ROWS["Protocol: any held-out item counts"], CONFIG)
    assert easier == configure(protocol={"success": "any_heldout"})


@pytest.mark.parametrize("row", [row for row in all_rows() if row.leaks], ids=lambda row: row.name)
def test_a_leak_reaches_what_it_names_and_nothing_else(row):
    changed = row_config(row, CONFIG)
    assert changed.ablation.leaks() == row.leaks
    world, spec = build_world(DATA, changed), agent_spec(changed)
    moved = set(differing_leaves(jax.tree.map(_shapeless, HONEST), jax.tree.map(_shapeless, world)))
    want = set()
    if "leak_heldout_positives" in row.leaks:
        want.add(".known")
        assert all(real(world.known[user]) == items_of(user) for user in range(DATA.num_users))
    if "leak_filtered_negatives" in row.leaks:
        want.add(".blocked")
        assert all(real(world.blocked[user]) == items_of(user) for user in range(DATA.num_users))
    if "leak_any_item" in row.leaks:
        want |= {f".{part}.acceptable" for part in ("learn", "select", "test")}
        for user, acceptable in zip(*map(np.asarray, (world.test.user, world.test.acceptable)), strict=True):
            assert real(acceptable) == items_of(user)
    assert moved == want
    # The agent is handed the target by these two alone: to walk from it, or to keep it out of the positives.
    sees = {"leak_target_pool", "leak_heldout_positives"}
    assert make_agent(spec).sees_target == bool(sees & set(row.leaks))
    assert {name for name in sees if getattr(spec, name)} == sees & set(row.leaks)


def _shapeless(leaf):
    """Wider padding is a difference; of keys and empty arrays too."""
    return np.frombuffer(np.asarray(leaf).tobytes(), np.uint8)


def test_any_held_out_item_means_the_user_s_items_of_the_same_split():
    world = build_world(DATA, row_config(ROWS["Protocol: any held-out item counts"], CONFIG))
    for split, sessions in ((1, world.select), (2, world.test)):
        for user, item, acceptable in zip(*map(np.asarray, sessions[:3]), strict=True):
            assert acceptable[0] == item and real(acceptable) == items_of(user, (split,))


def test_a_contaminated_recommender_is_fitted_on_all_three_parts():
    contaminated = configure(ablation={"leak_fit_on_test": True})
    for fit_on in ("train", "train+valid"):  # the study refits as for the final test, on top of which the flag counts
        fitted = build_fm_data(DATA, contaminated, HONEST.catalogue, HONEST.fields, fit_on=fit_on)
        pairs = set(zip(fitted.train_user.tolist(), fitted.train_item.tolist(), strict=True))
        assert pairs == {(u, i) for part in ("train", "valid", "test") for u, i in DATA.session_pairs(part).tolist()}
    honest = set(zip(HONEST.fm_data.train_user.tolist(), HONEST.fm_data.train_item.tolist(), strict=True))
    assert honest == set(map(tuple, DATA.session_pairs("train").tolist()))
