"""Names of KGSF rows, from settings that this version may not have yet."""

import pytest

from eval.kgsf_labels import label, method_name, phrase, recommender_settings, table_place
from eval.kgsf_numbers import recall_cell, reply_cell
from eval.run_flags import dotted_settings
from kgcrs.core.settings.kgsf import KgsfConfig

USUAL = dotted_settings(KgsfConfig(dataset="redial")) | {
    "model": "kgsf",
    "dialogue.kg": True,
    "dialogue.copy": True,
    "dialogue.train_copy": True,
    "dialogue.joint": False,
    "reply.lr": 0.001,
    "decode.method": "greedy",
}
WITHOUT = {"recommend.mim_epochs": 0, "recommend.mim_weight": 0.0}


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "KGSF"),
        (WITHOUT, "KGSF −MIM"),
        ({**WITHOUT, "preference.entities": False}, "KGSF −DB"),
        ({**WITHOUT, "preference.words": False}, "KGSF −words"),
        ({"model": "kbrd"}, "KBRD"),
        ({"model": "transformer"}, "Transformer"),
        ({"dialogue.kg": False}, "KGSF, w/o KG-D"),
        ({"dialogue.copy": False}, "KGSF, w/o copy"),
        ({"dialogue.train_copy": False}, "KGSF, copying untrained"),
        ({"dialogue.joint": True}, "KGSF, all trained with the replies"),
        ({"decode.method": "beam", "recommend.lr": 0.01}, "KGSF, lr 0.01, decode method beam"),
        ({**WITHOUT, "dialogue.copy": False, "preference.dim": 64}, "KGSF −MIM, w/o copy, dim 64"),
    ],
)
def test_a_row_is_named_by_what_differs(changes, name):
    flat = USUAL | changes
    own = flat if method_name(flat) != "KGSF" else USUAL
    assert label(flat, own) == name


def test_without_words_it_ranks_as_kbrd_does_and_writes_as_kgsf_does():
    flat = USUAL | WITHOUT | {"preference.words": False}
    assert method_name(flat) == "KGSF"
    ranking = recommender_settings(flat)
    assert method_name(ranking) == label(ranking, ranking) == "KBRD"


def test_settings_of_replies_do_not_tell_recommenders_apart():
    assert recommender_settings(USUAL) == recommender_settings(USUAL | {"dialogue.copy": False, "reply.lr": 1.0})
    assert recommender_settings(USUAL) != recommender_settings(USUAL | {"recommend.lr": 1.0})


def test_words_and_published_cells():
    assert phrase("dialogue.kg", True) == "dialogue kg" and phrase("preference.words", False) == "no words"
    assert table_place("KBRD") < table_place("KGSF") < table_place("unheard of")
    assert recall_cell("legacy", "KGSF −DB") == ".027 / .121 / .256 [P]" and recall_cell("full", "KGSF") == "–"
    assert recall_cell("legacy", "KGSF").endswith(".0365 / .179 / .3615 [L]")
    assert reply_cell("Transformer") == ".148 / .151 / .137, .194" and reply_cell("KECRS") == "–"
