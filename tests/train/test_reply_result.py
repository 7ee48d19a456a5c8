"""What a KGSF run shows of its replies and of its curves."""

import json

import numpy as np

from kgcrs.algorithms.reply_world import build_reply_world
from kgcrs.algorithms.write_replies import WrittenReplies
from kgcrs.data.vocab import build_vocabulary
from tests.dialogue_worlds import conversation, dialogues
from train.kgsf_curves import read_epochs, show_dialogue_curve, show_recommend_curve
from train.reply_result import human_texts, named_items, show_replies, written_texts

TALK = ("S: hi you", "R: watch @3 or @4", "S: more", "R: unheard @5")
DATA = dialogues(conversation("a", *TALK[:3], "R: watch @3"), conversation("b", *TALK, split=2))


def written():
    """Two replies: "watch @3", whose item token the recommender filled with item 7, and "hi" that never ends."""
    index = build_vocabulary(DATA).index
    tokens = np.array([[index["watch"], index["@3"], 2, 0], [index["hi"]] * 4], np.int32)
    items = np.array([[-1, 7, -1, -1], [-1] * 4], np.int32)
    return WrittenReplies(tokens, items, np.array([2.0, 3.0], np.float32), np.array([2, 3], np.int32))


def test_replies_are_read_with_the_items_of_the_recommender():
    texts = written_texts(written(), build_vocabulary(DATA))
    assert texts == [["watch", "@7"], ["hi"] * 4]
    assert named_items(texts, 10).tolist() == [[7], [-1]]


def test_the_human_reply_is_whole_and_keeps_words_that_training_never_had():
    test = build_reply_world(DATA, build_vocabulary(DATA)).test
    assert human_texts(DATA, test) == [["watch", "@3", "or", "@4"], ["unheard", "@5"]]


def test_the_table_stands_beside_the_human_row(capsys):
    """Perplexity exp(5 / 5); one of two written replies names an item, both human ones do."""
    vocabulary = build_vocabulary(DATA)
    show_replies(DATA, vocabulary, build_reply_world(DATA, vocabulary).test, written())
    rows = [line.split("│")[1:4] for line in capsys.readouterr().out.splitlines() if "│" in line]
    cells = {name.strip(): [cell.strip() for cell in row] for name, *row in rows}
    assert cells["perplexity"] == ["2.72", ""] and cells["replies with an item"] == ["0.5000", "1.0000"]
    assert cells["F1 of tokens"][1] == "" and cells["tokens per reply"] == ["3.0000", "3.0000"]


def test_curves_name_the_kept_epoch(tmp_path, capsys):
    recall = [{f"valid_R@{k}": value for k in (1, 10, 50)} for value in (0.2, 0.1)]
    nats = [{"valid_nats": value, "nats": value, "lr": 0.1} for value in (3.0, 2.0, 2.5)]
    rows = [{"stage": "recommend", "step": at + 1, **row} for at, row in enumerate(recall)]
    rows += [{"stage": "dialogue", "step": at + 1, **row} for at, row in enumerate(nats)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    show_recommend_curve(tmp_path)
    show_dialogue_curve(tmp_path)
    told = capsys.readouterr().out
    assert "kept epoch 1 with 0.2000" in told and "kept epoch 2 with 2.000 (perplexity 7.39)" in told
    assert (tmp_path / "recommend.png").is_file() and (tmp_path / "dialogue.png").is_file()
    assert not len(read_epochs(tmp_path, "infomax").epochs)
