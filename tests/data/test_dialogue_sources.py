"""The names of data sets with dialogues, and what the command line says about them."""

import pytest

from kgcrs.core.errors import KgcrsError
from kgcrs.data import DIALOGUE_DATASETS, load, load_dialogue
from kgcrs.data.__main__ import list_datasets, main
from tests import redial_miniature as mini


@pytest.fixture
def root(tmp_path, monkeypatch):
    mini.write_redial(tmp_path)
    mini.publish(monkeypatch)
    monkeypatch.setenv("KGCRS_DATA", str(tmp_path))
    return tmp_path


def test_list_names_every_set(root):
    lines = list_datasets()
    for name in DIALOGUE_DATASETS:
        line = next(line for line in lines if line.split()[0] == name)
        found = "embedded" if name.startswith("synthetic") else "found in" if "redial" in name else "not found"
        assert found in line
    assert any(line.startswith("redial:PATH") for line in lines) and any("crslab:PATH" in line for line in lines)


@pytest.mark.parametrize("name", [name for name in DIALOGUE_DATASETS if name.startswith("redial")])
def test_check_prints_labels_and_sizes(root, capsys, name):
    assert main(["check", name]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"{name}: ok\n")
    assert "6 conversations, 4 train, 1 valid, 1 test, 1 without text" in text
    # split, replies, with items, labels, then what depends on the graph
    assert [line.split()[:4] for line in text.splitlines() if line.startswith("  test ")] == [["test", "2", "2", "4"]]


def test_describe_shows_graph_and_conversation(root, capsys):
    assert main(["describe", "redial"]) == 0
    text = capsys.readouterr().out
    for part in (
        "  items with a triple: 66.7%",
        "  relation #1        2",
        "  word graph: 4 words, 2 edges",
        "    seeker:      Hi I liked [Jaws (1975)], a horror film",
        "    recommender: Try [Up (2009)] or 5!",
        "  note: Entities: DBpedia, two hops (KBRD, KGSF); linked as published by KERL",
    ):
        assert part in text
    with pytest.raises(KgcrsError, match="--split-ratio does not apply to 'redial'"):
        main(["describe", "redial", "--split-ratio", "8", "1", "1"])


def test_describe_shows_a_set_without_graphs(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("KGCRS_DATA", raising=False)
    for name, text in {
        "train_data.jsonl": mini.lines(mini.TRAIN),
        "test_data.jsonl": mini.lines(mini.TEST),
        "movies_with_mentions.csv": "movieId,movieName,nbMentions\n900,Jaws,1\n901,Up,1\n902,Home,1\n",
    }.items():
        (tmp_path / name).write_text(text)
    for command in ("check", "describe"):
        assert main([command, f"redial:{tmp_path}"]) == 0
        assert "note: There is no entity graph and nothing is linked" in capsys.readouterr().out
    assert main(["describe", f"redial:{tmp_path}"]) == 0
    assert "  no entity graph\n" in capsys.readouterr().out


def test_names_that_cannot_be_used(monkeypatch, tmp_path):
    monkeypatch.delenv("KGCRS_DATA", raising=False)
    with pytest.raises(KgcrsError, match="no dataset 'redail' with dialogues: use .*Did you mean 'redial'"):
        load_dialogue("redail")
    with pytest.raises(KgcrsError, match="'redial' has dialogues in free text: read it with load_dialogue"):
        load("redial")
    with pytest.raises(KgcrsError, match="no dataset 'inspird': use .*Did you mean 'inspired'"):
        main(["check", "inspird"])
    with pytest.raises(KgcrsError, match="The dataset 'inspired' is read from files: give --data-root"):
        load_dialogue("inspired")
    with pytest.raises(KgcrsError, match="no folder inspired under the data root"):
        load_dialogue("inspired", tmp_path)
    with pytest.raises(KgcrsError, match="'crslab:' names no folder"):
        load_dialogue("crslab:")
