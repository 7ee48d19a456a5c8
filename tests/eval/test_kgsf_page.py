"""The page over KGSF runs: its rows, numbers, examples and pictures, and what is refused."""

import json

import numpy as np
import pytest

import eval.kgsf_ranking as kgsf_ranking
import eval.kgsf_replies as kgsf_replies
import eval.kgsf_world as kgsf_world
from eval.kgsf import main
from eval.kgsf_attention import chosen_label
from eval.kgsf_examples import example_places
from eval.kgsf_groups import recommender_groups, reply_groups, sections
from eval.kgsf_page import command_of, write_page
from eval.kgsf_ranking import bound_verdicts, paired
from eval.kgsf_replies import reply_rows, reply_tokens
from eval.kgsf_runs import read_run
from eval.kgsf_world import VIEWS, counted_rows, load_test_set, with_titles
from kgcrs.core.config import override
from kgcrs.core.errors import KgcrsError
from kgcrs.core.settings.kgsf import KgsfConfig
from kgcrs.metrics.label_ranking import CUTOFFS
from tests.eval.kgsf_folders import run_folder, world

WORLD = world()
MIM = {"recommend__mim_epochs": 0, "recommend__mim_weight": 0.0}
# Labels of test conversations in order: t1 names 1 (cold), 3, 2 (a repeat), 4; t2 names 5; t3 names 6 and 11.
TARGETS = [1, 3, 2, 4, 5, 6, 11]


def make_cheap(patch):
    """The tiny world instead of data on the disk, and few draws of seekers."""
    patch.setattr(kgsf_world, "load_dialogue", lambda name, root=None, *, seed=0: WORLD)
    patch.setattr(kgsf_ranking, "RESAMPLES", 20)
    patch.setattr(kgsf_replies, "RESAMPLES", 20)


@pytest.fixture(autouse=True)
def tiny_world(monkeypatch):
    make_cheap(monkeypatch)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    return [
        run_folder(root, "kgsf-seed0", params=True),
        run_folder(root, "kgsf-seed1", seed=1, level=2),
        run_folder(root, "mim-seed0", level=3, replies=False, **MIM),
        run_folder(root, "db-seed0", level=9, preference__entities=False, **MIM),
        run_folder(root, "kbrd-seed1", seed=1, level=1, model="kbrd"),
    ]


@pytest.fixture(scope="module")
def page(folders, tmp_path_factory):
    out = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as patch:
        make_cheap(patch)
        files = write_page(folders, out)
    return out, files[0].read_text(encoding="utf-8"), json.loads(files[1].read_text(encoding="utf-8"))


def set_of(*folders):
    return load_test_set(sections([read_run(folder) for folder in folders])[0])


def test_rows_have_the_names_of_the_paper_and_pool_their_seeds(folders):
    section = sections([read_run(folder) for folder in folders])[0]
    rows = [(group.label, group.seeds, group.is_main) for group in recommender_groups(section)]
    assert rows == [
        ("KBRD", [1], True),
        ("KGSF", [0, 1], True),
        ("KGSF −DB", [0], False),
        ("KGSF −MIM", [0], False),
    ]
    assert [group.label for group in reply_groups(section)] == ["KBRD", "KGSF", "KGSF −DB"]


def test_another_graph_shares_the_section_and_is_named(tmp_path):
    runs = [read_run(run_folder(tmp_path, name, dataset=name)) for name in ("redial_tmkg", "redial")]
    (section,) = sections(runs)
    assert (section.title, section.dataset) == ("redial", "redial")
    assert [group.label for group in recommender_groups(section)] == ["KGSF", "KGSF, on redial_tmkg"]
    worlds = [read_run(run_folder(tmp_path, f"w{seed}", dataset="synthetic_dialogue", seed=seed)) for seed in (3, 4)]
    assert [part.title for part in sections(worlds)] == [f"synthetic_dialogue, world of seed {seed}" for seed in (3, 4)]


def test_the_numbers_of_a_row_are_those_of_its_ranks(page):
    rows = {row["label"]: row for row in page[2] if row["table"] == "recommendation"}
    # Seed 0 puts every label first, seed 1 third: half of R@1, MRR@10 the mean of 1 and 1/3, NDCG that of 1 and 1/2.
    kgsf = rows["KGSF"]["metrics"]
    assert kgsf["full/R@1"]["mean"] == pytest.approx(0.5)
    assert kgsf["full/MRR@10"]["mean"] == pytest.approx(2 / 3)
    assert kgsf["full/NDCG@10"]["mean"] == pytest.approx(0.75)
    assert kgsf["full/R@1/seekers"]["mean"] == pytest.approx(0.5)
    # Among new items seed 1 comes second, so MRR is the mean of 1 and 1/2.
    assert kgsf["novel/MRR@10"]["mean"] == pytest.approx(0.75)
    # KBRD has seed 1 only, where KGSF has rank 2 and KBRD rank 1: 1/3 - 1/2.
    assert rows["KBRD"]["against"]["full/MRR@10"]["mean"] == pytest.approx(-1 / 6)
    assert rows["KGSF −MIM"]["against"]["full/MRR@10"]["mean"] == pytest.approx(1 - 1 / 4)
    assert rows["KGSF"]["against"] == {}
    assert all(verdict == "ok" for row in rows.values() for verdict in row["bounds"].values())
    for row in rows.values():
        for estimate in row["metrics"].values():
            assert estimate["lo"] is None or estimate["lo"] - 1e-9 <= estimate["mean"] <= estimate["hi"] + 1e-9


def test_views_and_counted_rows_by_hand(folders):
    test = set_of(folders[0])
    assert test.samples.target.tolist() == TARGETS
    kept = {view: [TARGETS[at] for at in np.flatnonzero(test.views[view].keep)] for view in VIEWS}
    assert kept == {
        "legacy": [1, 3, 2, 4, 5, 6],
        "full": TARGETS,
        "novel": [1, 3, 4, 5, 6, 11],
        "cold": [1, 5, 6],  # before 5 only item 11 was named, which has no node
        "no_entity": [6],
    }
    ranks = counted_rows(test)
    # Item 2 was named last when it is the label: Naive puts it first, popularity does not.
    assert ranks["Naive"].among_all[2] == 0 and ranks["Popularity"].among_all[2] > 0
    # Training recommenders name 4 twice, so it is the most popular.
    assert ranks["Popularity"].among_all[3] == 0


def test_bounds_notice_numbers_that_no_ranks_give():
    keys = [f"{view}/{name}@{k}{end}" for view in VIEWS for name in ("R", "MRR", "NDCG") for k in CUTOFFS
            for end in ("", "/seekers")]  # fmt: skip
    metrics = {key: {"mean": 0.5, "lo": 0.5, "hi": 0.5} for key in keys}
    assert set(bound_verdicts(metrics).values()) == {"ok"}
    metrics["novel/MRR@10"] = {"mean": 0.6, "lo": 0.6, "hi": 0.6}
    verdicts = bound_verdicts(metrics)
    assert verdicts["novel"].startswith("IMPOSSIBLE at 0–10") and verdicts["full"] == "ok"


def test_rows_are_paired_over_shared_seeds():
    assert paired({0: "a", 2: "b"}, {-1: "rule"}) == (["a", "b"], ["rule"])
    assert paired({0: "a", 2: "b"}, {2: "c", 3: "d"}) == (["b"], ["c"])
    assert paired({0: "a"}, {1: "b"}) is None


def test_reply_numbers_by_hand(folders):
    section = sections([read_run(folders[0])])[0]
    test = load_test_set(section)
    rows = {row.label: row.metrics for row in reply_rows(reply_groups(section), test)}
    mean = {name: one["mean"] for name, one in rows["KGSF"].items()}
    # Eight replies: t1 three, t2 two, t3 two, t4 one. Six name an item, the first gold one; none after its end.
    assert mean["item_ratio"] == pytest.approx(6 / 8) and mean["items_per_reply"] == pytest.approx(6 / 8)
    assert mean["length"] == pytest.approx((6 * 2 + 2) / 8)
    assert mean["perplexity"] == pytest.approx(4.0)
    # Gold items: 1 | 3, 2 | 4 | 5 | 6 | 11. All but the 2 are named.
    assert mean["item_recall"] == pytest.approx(6 / 7) and mean["item_precision"] == pytest.approx(1.0)
    # Conversations that want an item: t1 3 of 4, t2 1 of 1, t3 2 of 2.
    assert mean["conversation_recall"] == pytest.approx((3 / 4 + 1 + 1) / 3)
    # "see @1" and "see @5" are the human replies themselves.
    assert mean["bleu_2"] == pytest.approx(2 / 8, abs=1e-9)
    # Bigrams: "see" with each of 1, 3, 4, 5, 6, 11.
    assert mean["dist_sent_2"] == pytest.approx(6 / 8) and mean["dist_corpus_2"] == pytest.approx(1.0)
    assert rows["Human"]["f1"]["mean"] == pytest.approx(1.0) and "perplexity" not in rows["Human"]
    assert rows["Human"]["items_per_reply"]["mean"] == pytest.approx(7 / 8)


def test_replies_are_read_in_the_vocabulary_they_were_written_in(tmp_path, folders):
    """KBRD writes placeholders whatever `dialogue.item_tokens` says, so its tokens have other numbers than KGSF's."""
    paths = [run_folder(tmp_path, "kbrd", model="kbrd"), folders[0]]
    section = sections([read_run(path) for path in paths])[0]
    test = load_test_set(section)
    assert len(test.vocabularies["placeholder"]) != len(test.vocabularies["native"])
    rows = {row.label: row.metrics for row in reply_rows(reply_groups(section), test)}
    kbrd, kgsf = ({name: one["mean"] for name, one in rows[name].items()} for name in ("KBRD", "KGSF"))
    assert kbrd == pytest.approx(kgsf, nan_ok=True)


def test_replies_end_at_their_end_and_foreign_tokens_are_refused(folders):
    run = read_run(folders[0])
    vocabulary = set_of(folders[0]).vocabularies["native"]
    assert reply_tokens(run.replies, vocabulary)[0] == ["see", "@1"]
    foreign = run.replies._replace(tokens=run.replies.tokens + len(vocabulary))
    with pytest.raises(KgcrsError, match="but the vocabulary has"):
        reply_tokens(foreign, vocabulary)
    foreign = run.replies._replace(items=run.replies.items + 12)
    with pytest.raises(KgcrsError, match="names item 23, but there are 12"):
        reply_tokens(foreign, vocabulary)


def test_the_page_holds_every_part(page):
    out, text, rows = page
    for heading in (
        "## redial",
        "### Recommendation",
        "### Replies",
        "### Generated replies",
        "Epochs of the dialogue stage, by seed: ",
        "Fig. 2",
        "Fig. 4",
    ):
        assert heading in text
    assert ".039 / .183 / .378 [P]" in text and ".039 / .174 / .370 [P]" in text and ".016 / .147 / .327 [S]" in text
    assert ".289 / .434 / .519, .325" in text
    assert "1 are known by their mentions only" in " ".join(text.split()) and "Seeds: 0, 1. Machines: test." in text
    assert "python -m train.kgsf --seed SEED --dataset redial --preference.dim 4" in text
    assert "KGSF, seeds 0, 1: `" in text and "--preference.no-entities" in text
    assert "human: see \\[Film 1 (1901)\\]" in text and "KBRD: see \\[Film 2 (1902)\\]" in text
    assert "\\*song\\*" in text and str(out) not in text
    pictures = sorted(file.name for file in out.glob("*.png"))
    assert pictures == ["kgsf-redial-attention.png", "kgsf-redial-learning.png"]
    for name in pictures:
        assert (out / name).read_bytes().startswith(b"\x89PNG") and f"({name})" in text
    (seen,) = (row for row in rows if row["table"] == "attention")
    assert seen["target"] == "Film 3 (1903)" and seen["conversation"] == "t1"
    assert sum(weight for _, weight in seen["words"]) == pytest.approx(1.0, abs=1e-5)
    assert sum(weight for _, weight in seen["entities"]) == pytest.approx(1.0, abs=1e-5)
    assert {name for name, _ in seen["entities"]} == {"Comedy", "Film 1 (1901)", "Film 2 (1902)", "Horror"}


def test_a_single_run_without_replies_or_parameters_gives_a_page(tmp_path, folders):
    text = write_page([folders[2]], tmp_path / "one")[0].read_text(encoding="utf-8")
    assert "KGSF −MIM" in text and "No run of this section has a dialogue stage yet." in text
    assert "no longer holds its parameters" in text and "### Generated" not in text
    write_page([folders[2]], tmp_path / "none", attention="none")
    assert not list((tmp_path / "none").glob("*attention.png"))


def test_rows_with_less_text_make_a_curve_over_its_amount(tmp_path):
    # 2 training conversations of the tiny world have text.
    runs = [
        run_folder(tmp_path, "all", data=WORLD, level=2),
        run_folder(tmp_path, "kbrd", data=WORLD, level=4, model="kbrd"),
    ]
    runs += [
        run_folder(tmp_path, f"half{seed}", data=WORLD, level=60, seed=seed, recommend__text_share=0.5)
        for seed in (0, 1)
    ]
    files = write_page(runs, tmp_path / "out", attention="none")
    text = files[0].read_text(encoding="utf-8")
    assert "### More training text" in text and "kgsf-redial-text.png" in text
    assert "| KGSF, 50 % of the text | 2 |" in text
    part = text.split("### More training text")[1]
    assert "| KGSF | 1 | 2 | 0.000 [0.000, 0.000] | 0.000" in part and "| KGSF | 2 | 1 | 1.000 [1.000, 1.000] |" in part
    assert "| KBRD | 2 | 1 | 1.000" in part
    assert (tmp_path / "out" / "kgsf-redial-text.png").read_bytes().startswith(b"\x89PNG")
    plain = write_page(runs[:2], tmp_path / "plain", attention="none")[0].read_text(encoding="utf-8")
    assert "More training text" not in plain


def test_data_sets_without_a_run_stay_on_a_kept_page(tmp_path):
    out = tmp_path / "out"
    made = {"data": WORLD, "replies": False}
    one, other = (run_folder(tmp_path, name, dataset=name, **made) for name in ("redial", "inspired"))
    page, report = write_page([one], out)
    first, rows = page.read_text(encoding="utf-8"), json.loads(report.read_text(encoding="utf-8"))
    main(["--out", str(out), "--keep", str(other)])
    text, told = page.read_text(encoding="utf-8"), json.loads(report.read_text(encoding="utf-8"))
    part = first[first.index("## redial") :].rstrip()
    assert part in text and "## inspired" in text and text.index("## redial") < text.index("## inspired")
    assert [row for row in told if row["section"] == "redial"] == rows and len(told) > len(rows)
    assert {row["section"] for row in told} == {"redial", "inspired"}
    worse = run_folder(tmp_path, "worse", dataset="redial", level=9, **made)
    main(["--out", str(out), "--keep", str(worse)])
    again = page.read_text(encoding="utf-8")
    assert part not in again and again.index("## redial") < again.index("## inspired")
    with pytest.raises(KgcrsError, match="--keep wants the page that is there"):
        write_page([one], tmp_path / "nowhere", keep=True)
    assert not (tmp_path / "nowhere").exists()


def test_places_are_chosen_by_rules(folders):
    test = set_of(folders[0])
    assert chosen_label(test, "first") == 1  # before 1 only one entity was named
    assert chosen_label(test, "cold") == 0
    named = np.flatnonzero((test.replies.gold_items >= 0).any(axis=1))
    assert example_places(test) == named.tolist()  # six, which is fewer than a dozen
    assert with_titles(WORLD, "see @3, @99 or @me") == "see [Film 3 (1903)], @99 or @me"


def test_the_command_repeats_the_settings():
    assert command_of(KgsfConfig(dataset="redial")) == "python -m train.kgsf --seed SEED --dataset redial"
    # What the generated world's own file of settings says goes without saying; the default then needs a flag.
    default = command_of(KgsfConfig())
    assert "--preference.dim 128" in default and "--dataset" not in default
    config = override(KgsfConfig(), {"dataset": "redial:/somewhere/files", "preference.words": False,
                                     "recommend.mim_epochs": 0, "recommend.mim_weight": 0.0})  # fmt: skip
    assert command_of(config).startswith(
        "python -m train.kgsf --seed SEED --dataset redial:files --preference.no-words"
    )


def damage(folder, what):
    if what == "other kind":
        (folder / "config.json").write_text(json.dumps({"dataset": "lastfm", "fm": {}}))
    elif what == "newer":
        values = json.loads((folder / "config.json").read_text())
        values["preference"]["hops"] = 3
        (folder / "config.json").write_text(json.dumps(values))
    elif what == "truncated":
        file = folder / "eval" / "labels.npz"
        file.write_bytes(file.read_bytes()[:100])
    elif what == "other labels":
        rewrite(folder / "eval" / "labels.npz", lambda arrays: {name: x[:-1] for name, x in arrays.items()})
    elif what == "fewer replies":
        rewrite(folder / "eval" / "replies.npz", lambda arrays: {name: x[:-1] for name, x in arrays.items()})
    elif what == "uneven replies":
        rewrite(folder / "eval" / "replies.npz", lambda arrays: {**arrays, "nats": arrays["nats"][:2]})
    elif what == "other data":
        about = json.loads((folder / "run.json").read_text())
        (folder / "run.json").write_text(json.dumps({**about, "data": "f" * 12}))
    elif what == "metrics":
        (folder / "metrics.jsonl").write_text("{half a line")
    else:
        (folder / what).unlink()


def rewrite(file, change):
    with np.load(file) as stored:
        arrays = {name: stored[name] for name in stored.files}
    np.savez(file, **change(arrays))


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("other kind", "is no KGSF run .its config.json has no sections"),
        ("newer", "another version of the program .*preference.hops"),
        ("truncated", "labels.npz' is damaged or foreign: delete it and repeat"),
        ("other labels", "ranks other labels than the test conversations"),
        ("fewer replies", "holds 7 replies, but the test conversations of redial ask for 8"),
        ("uneven replies", "arrays that do not belong together"),
        ("other data", "The data set has changed since the run"),
        ("metrics", "metrics.jsonl' is damaged"),
        ("config.json", "no finished run .config.json is missing"),
        ("run.json", "no finished run .run.json is missing"),
        ("metrics.jsonl", "no finished run .metrics.jsonl is missing"),
        ("eval/labels.npz", "is not finished .eval/labels.npz is missing"),
        ("eval/replies.npz", "is not finished .eval/replies.npz is missing"),
    ],
)
def test_what_is_no_finished_run_is_refused_in_a_sentence(tmp_path, what, sentence):
    folder = run_folder(tmp_path, "a", data=WORLD)
    damage(folder, what)
    with pytest.raises(KgcrsError, match=sentence) as refusal:
        write_page([folder], tmp_path / "out")
    assert "\n" not in str(refusal.value) and not (tmp_path / "out").exists()


def test_runs_that_do_not_belong_together_are_refused(tmp_path, folders):
    twin = run_folder(tmp_path, "twin", data=WORLD, run_dir="elsewhere")
    with pytest.raises(KgcrsError, match="same settings and seed 0: give one"):
        write_page([folders[0], twin], tmp_path / "out")
    damage(twin, "other data")
    other = run_folder(tmp_path, "b", data=WORLD, seed=3)
    with pytest.raises(KgcrsError, match="different versions of the data set redial .ffffffffffff and"):
        write_page([twin, other], tmp_path / "out")
    with pytest.raises(KgcrsError, match="No run folders given"):
        write_page([], tmp_path / "out")
    with pytest.raises(KgcrsError, match="--attention is 'best', which is no rule: choose one of first, cold or none"):
        write_page([other], tmp_path / "out", attention="best")
    (tmp_path / "file").write_text("")
    with pytest.raises(KgcrsError, match="is a file: name a folder"):
        write_page([other], tmp_path / "file")


@pytest.mark.parametrize(
    "arguments",
    [[], ["RUN"], ["--out", "x"], ["--out"], ["--depth", "3", "RUN", "--out", "x"], ["--out", "--keep", "a", "b"]],
)
def test_a_wrong_command_line_shows_the_usage(arguments):
    with pytest.raises(KgcrsError, match="^usage: python -m eval.kgsf --out FOLDER"):
        main(arguments)


def test_the_command_writes_the_page(tmp_path, folders, capsys):
    assert main([str(folders[3]), "--out", str(tmp_path / "p"), "--attention", "none"]) == 0
    assert capsys.readouterr().out.split() == [str(tmp_path / "p" / name) for name in ("kgsf.md", "kgsf.json")]
    assert main(["--help"]) == 0 and "--attention" in capsys.readouterr().out
