"""The page over KGPolicy runs: which runs form a row, what it is called, its numbers, and what is refused."""

import io
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

import eval.kgpolicy_finished as kgpolicy_finished
import train.run_kgpolicy as run_kgpolicy
from eval.kept_page import without_replaced
from eval.kgpolicy import main
from eval.kgpolicy_columns import all_users, columns_of, difference_columns, pool
from eval.kgpolicy_groups import group_runs
from eval.kgpolicy_page import write_page
from eval.kgpolicy_plots import looks
from eval.kgpolicy_rows import make_rows
from eval.kgpolicy_runs import read_run
from kgcrs.core.config import override
from kgcrs.core.errors import KgcrsError
from kgcrs.core.settings.kgpolicy import BprConfig, KgPolicyConfig, SamplerConfig
from kgcrs.data.synthetic_kg import planted_kg
from tests.eval.kgpolicy_folders import quality, run_folder

COMPILES_CHEAPLY = True

TINY = KgPolicyConfig(
    bpr=BprConfig(dim=4, batch_size=64, max_epochs=4, eval_every=2, lr=0.02, warm_epochs=1),
    sampler=SamplerConfig(num_neighbours=4, num_kept=3, random_items=3, num_candidates=4),
)
WORLD = planted_kg(num_users=40, num_items=60, num_genres=2, per_user=6)
VARIANTS = {
    "KGPolicy": {},
    "KGPolicy, T = 1": {"sampler__explorations": 1},
    "KGPolicy, uniform walk": {"sampler__selection": "uniform"},
    "KGPolicy, frozen": {"sampler__learns": False},
    "KGPolicy, shuffled rewards": {"sampler__shuffle_rewards": True},
    "KGPolicy, P-reward": {"sampler__similarity": 0.0},
    "KGPolicy, S-reward": {"sampler__prediction": 0.0},
    "KGPolicy, uniform pool": {"sampler__pool": "uniform"},
    "KGPolicy, final pick best scored": {"sampler__final_pick": "best"},
    "KGPolicy, graph learned every 16 batches": {"sampler__gnn_every": 16},
    "KGPolicy, expected gradient": {"sampler__gradient": "expected"},
    "KGPolicy, kg hops only": {"sampler__hop_types": "kg"},
    "KGPolicy, uniform walk, frozen": {"sampler__selection": "uniform", "sampler__learns": False},
    "DNS, M = 16": {"sampler__name": "dns"},
    "KG-DNS, M = 32": {"sampler__name": "kg_dns", "sampler__num_candidates": 32},
    "Reward-DNS, M = 16": {"sampler__name": "reward_dns"},
    "RNS": {"sampler__name": "rns"},
    "RNS on LightGCN": {"sampler__name": "rns", "bpr__model": "lightgcn"},
    "RNS on KGAT": {"sampler__name": "rns", "bpr__model": "kgat"},
    "RNS on KGAT, dropout 0.3": {"sampler__name": "rns", "bpr__model": "kgat", "bpr__dropout": 0.3},
    "PNS, β = 0.75": {"sampler__name": "pns"},
}


def grouped(*folders):
    return [group for part in group_runs([read_run(folder) for folder in folders]).values() for group in part]


def test_rows_are_named_by_what_differs_from_the_main_run(tmp_path):
    folders = [run_folder(tmp_path, str(at), **changes) for at, changes in enumerate(VARIANTS.values())]
    groups = grouped(*folders)
    assert {group.label for group in groups} == VARIANTS.keys()
    assert {group.label for group in groups if group.is_main} == {
        "KGPolicy", "DNS, M = 16", "Reward-DNS, M = 16", "KG-DNS, M = 32", "RNS",
        "RNS on LightGCN", "RNS on KGAT", "PNS, β = 0.75",
    }  # fmt: skip
    order = [group.label for group in groups]
    assert order.index("RNS") < order.index("DNS, M = 16") < order.index("KGPolicy") < order.index("RNS on LightGCN")


def test_runs_pool_over_seeds_whatever_settings_their_sampler_does_not_read(tmp_path):
    rns = {"sampler__name": "rns"}
    groups = grouped(
        run_folder(tmp_path, "a", seed=0, dataset="kgat:here/last-fm", **rns),
        run_folder(
            tmp_path,
            "b",
            seed=1,
            dataset="kgat:/there/last-fm",
            sampler__num_candidates=64,
            sampler__learns=False,
            bpr__dropout=0.5,
            run_dir="x",
            **rns,
        ),
        run_folder(tmp_path, "c", seed=2, dataset="kgat:last-fm", bpr__lr=0.5, **rns),
    )
    assert [(group.label, group.seeds) for group in groups] == [("RNS", [0, 1]), ("RNS, lr 0.5", [2])]


def test_the_main_run_has_most_seeds_then_the_best_validation_and_no_ablation(tmp_path):
    dns = {"sampler__name": "dns"}
    groups = grouped(
        run_folder(tmp_path, "a", level=0.2, **dns),
        run_folder(tmp_path, "b", level=0.4, sampler__num_candidates=32, **dns),
        run_folder(tmp_path, "c", level=0.5, bpr__positive_draw="user", **dns),
    )
    assert [group.label for group in groups if group.is_main] == ["DNS, M = 32"]
    two = grouped(*(tmp_path / name for name in "abc"), run_folder(tmp_path, "d", level=0.2, seed=1, **dns))
    assert [group.label for group in two if group.is_main] == ["DNS, M = 16"]


def test_pooled_intervals_hold_the_mean_and_a_row_minus_itself_is_zero(tmp_path):
    folders = [run_folder(tmp_path, f"{name}{seed}", seed=seed, level=level, sampler__name=name)
               for name, level in (("rns", 0.2), ("dns", 0.3)) for seed in (0, 1)]  # fmt: skip
    groups = grouped(*folders)
    rows = {row["row"]: row for row in make_rows(groups)}
    for row in rows.values():
        assert row["seeds"] == [0, 1] and len(row["groups"]) == 4
        # The groups are all of the users: their means, weighted, are the mean.
        parts = [row["metrics"][f"ndcg@20 group {number}"]["mean"] for number in range(4)]
        users = [one[2] for one in row["groups"]]
        assert np.dot(parts, users) / sum(users) == pytest.approx(row["metrics"]["ndcg@20"]["mean"])
        for estimate in row["metrics"].values():
            assert estimate["lo"] <= estimate["mean"] <= estimate["hi"]
    wanted = np.mean([quality(seed, 0.3)[0][:, 0].mean() for seed in (0, 1)])
    assert rows["DNS, M = 16"]["metrics"]["recall@20"]["mean"] == pytest.approx(wanted)
    difference = rows["RNS"]["differences"]["DNS, M = 16"]["metrics"]["recall@20"]
    assert difference["mean"] == pytest.approx(rows["RNS"]["metrics"]["recall@20"]["mean"] - wanted)
    assert difference["hi"] < 0
    users = all_users(groups)
    own = columns_of(groups[0], users, None)
    zero = pool(difference_columns(own, own, "itself"), users)
    assert len(zero) == 2 and all(set(estimate.values()) == {0.0} for estimate in zero.values())


def test_differences_are_taken_over_the_seeds_that_both_have(tmp_path):
    folders = [run_folder(tmp_path, f"rns{seed}", seed=seed, sampler__name="rns") for seed in (0, 1, 2)]
    folders.append(run_folder(tmp_path, "dns1", seed=1, level=0.4, sampler__name="dns"))
    rows = {row["row"]: row for row in make_rows(grouped(*folders))}
    one = rows["RNS"]["differences"]["DNS, M = 16"]
    wanted = quality(1, 0.3)[0][:, 0].mean() - quality(1, 0.4)[0][:, 0].mean()
    assert one["seeds"] == [1] and one["metrics"]["recall@20"]["mean"] == pytest.approx(wanted)
    lonely = run_folder(tmp_path, "kg9", seed=9, sampler__name="kg_dns")
    rows = {row["row"]: row for row in make_rows(grouped(*folders, lonely))}
    assert not rows["KG-DNS, M = 16"]["differences"]


def test_a_split_that_depends_on_the_seed_leaves_every_seed_its_own_users(tmp_path):
    folders = [run_folder(tmp_path, f"rns{seed}", seed=seed, data=f"d{seed}", sampler__name="rns") for seed in (0, 1)]
    file = folders[1] / "eval" / "Sampler.npz"
    with np.load(file) as stored:
        arrays = {name: stored[name] for name in stored.files}
    np.savez(file, **{**arrays, "user": arrays["user"] + 1})
    np.savez(folders[1] / "eval" / "users.npz", user=arrays["user"] + 1, train_items=np.arange(60) % 5)
    row = make_rows(grouped(*folders))[0]
    wanted = np.mean([quality(seed, 0.3)[0][:, 0].mean() for seed in (0, 1)])
    assert row["metrics"]["recall@20"]["mean"] == pytest.approx(wanted)


def test_the_page_names_every_data_set_and_seed_and_the_tables_of_the_paper(tmp_path):
    known = list(VARIANTS.values())
    folders = [
        run_folder(tmp_path, f"{at}-{seed}", seed=seed, level=0.2 + at / 50, dataset=dataset, **changes)
        for dataset, rows in (("lastfm_small_kg", known), ("amazon_book", known[-3:]))
        for at, changes in enumerate(rows, start=0 if dataset == "lastfm_small_kg" else 50)
        for seed in (3, 5)
    ]
    files = write_page(folders, tmp_path / "out")
    page = files[0].read_text(encoding="utf-8")
    assert "## lastfm_small_kg" in page and "## amazon_book" in page and page.count("Seeds: 3, 5.") == 2
    assert "other data: the small 'music' set" in page and ".0932 / 0.1472 [P], 0.0957 / 0.0837 [C]" in page
    assert "row minus DNS, M = 16" in page and "row minus KG-DNS, M = 32" in page and "row minus KGPolicy" in page
    assert "| T | seeds |" in page and "| 1 | 2 |" in page and "0.0891 / 0.1409" in page
    assert "| S-reward | 2 |" in page and "0.0899 / 0.1411" in page
    assert "| KGPolicy | test | 4 | 10.0 | 10.5 (232 s) |" in page
    assert str(tmp_path) not in page
    rows = json.loads(files[1].read_text(encoding="utf-8"))
    assert {row["dataset"] for row in rows} == {"lastfm_small_kg", "amazon_book"}
    pictures = sorted((tmp_path / "out").glob("*.png"))
    assert len(pictures) == 7  # recall, activity, gradient; and the ablations of the data set with many rows
    for picture in pictures:
        assert picture.read_bytes().startswith(b"\x89PNG") and picture.stat().st_size > 10_000
        assert f"({picture.name})" in page


def test_rows_without_a_run_stay_on_a_kept_page_and_go_from_a_new_one(tmp_path):
    folder = lambda name, dataset, level: run_folder(tmp_path, name, dataset=dataset, level=level)  # noqa: E731
    graph, books = folder("a", "lastfm_small_kg", 0.3), folder("b", "amazon_book", 0.1)
    out = tmp_path / "out"
    page, report = write_page([graph, books], out)
    part = lambda text, name: text.split(f"## {name}\n")[1].split("\n## ")[0].strip()  # noqa: E731
    first, rows = page.read_text(encoding="utf-8"), json.loads(report.read_text(encoding="utf-8"))
    assert write_page([graph, books], out, keep=True) and page.read_text(encoding="utf-8") == first
    better = folder("c", "amazon_book", 0.2)
    main(["--out", str(out), "--keep", str(better)])
    text, told = page.read_text(encoding="utf-8"), json.loads(report.read_text(encoding="utf-8"))
    assert part(text, "lastfm_small_kg") == part(first, "lastfm_small_kg")
    assert part(text, "amazon_book") != part(first, "amazon_book") and "Runs: 1." in part(text, "amazon_book")
    of = lambda rows, name: [row for row in rows if row["dataset"] == name]  # noqa: E731
    assert of(told, "lastfm_small_kg") == of(rows, "lastfm_small_kg") and len(of(told, "amazon_book")) == 1
    assert of(told, "amazon_book") != of(rows, "amazon_book")
    assert all(f"({picture.name})" in text for picture in out.glob("*.png"))
    # A row beside one that stays: made anew it replaces its like, and nothing else of its data set moves.
    rns = lambda name, level: run_folder(  # noqa: E731
        tmp_path, name, dataset="amazon_book", level=level, sampler__name="rns"
    )
    write_page([rns("d", 0.1)], out, keep=True)
    write_page([rns("e", 0.3)], out, keep=True)
    text, now = page.read_text(encoding="utf-8"), json.loads(report.read_text(encoding="utf-8"))
    assert [row["row"] for row in of(now, "amazon_book")] == ["RNS", "KGPolicy"]
    assert of(now, "amazon_book")[1] == of(told, "amazon_book")[0]
    assert "Runs: 2." in part(text, "amazon_book") and "amazon_book: e" not in text
    assert ": c, e\n" in part(text, "amazon_book").split("Who made the numbers")[1]
    # Which setting is a method's main one is decided among runs that are given together.
    dns = [run_folder(tmp_path, f"dns{m}", dataset="amazon_book", sampler__name="dns", sampler__num_candidates=m)
           for m in (4, 8)]  # fmt: skip
    write_page(dns[:1], out, keep=True)
    text = page.read_text(encoding="utf-8")
    with pytest.raises(KgcrsError, match="'DNS, M = 4' and 'DNS, M = 8' on amazon_book would both be the main row"):
        write_page(dns[1:], out, keep=True)
    assert page.read_text(encoding="utf-8") == text
    write_page(dns, out, keep=True)
    text = page.read_text(encoding="utf-8")
    now[0].pop("settings")
    report.write_text(json.dumps(now), encoding="utf-8")
    with pytest.raises(KgcrsError, match="--keep wants the rows of the page"):
        write_page([better], out, keep=True)
    report.write_text("[]", encoding="utf-8")
    for place in (out, tmp_path / "nowhere"):
        with pytest.raises(KgcrsError, match="--keep wants the rows of the page"):
            write_page([better], place, keep=True)
    assert page.read_text(encoding="utf-8") == text and not (tmp_path / "nowhere").exists()
    write_page([better], out)
    assert "lastfm_small_kg" not in page.read_text(encoding="utf-8")


def test_a_kept_row_loses_its_differences_to_a_row_made_anew_and_no_others(tmp_path):
    folder = lambda name, level, **changes: run_folder(  # noqa: E731
        tmp_path, name, level=level, dataset="lastfm_small_kg", **changes
    )
    sampler = lambda name, level, kind: folder(name, level, sampler__name=kind)  # noqa: E731
    walks = [folder("a", 0.3), folder("b", 0.25, sampler__explorations=1)]
    dns, kg_dns = sampler("c", 0.2, "dns"), sampler("d", 0.22, "kg_dns")
    elsewhere = [run_folder(tmp_path, f"e{kind}", dataset="amazon_book", sampler__name=kind) for kind in ("rns", "dns")]
    out = tmp_path / "out"
    write_page([*walks, dns, kg_dns, *elsewhere], out)

    def labels():
        rows = json.loads((out / "kgpolicy.json").read_text(encoding="utf-8"))
        return {(row["dataset"], row["row"]): set(row["differences"]) for row in rows}

    before = labels()
    one = ("lastfm_small_kg", "KGPolicy, T = 1")
    assert before[one] == {"DNS, M = 16", "KG-DNS, M = 16", "KGPolicy"}
    write_page([dns], out, keep=True)  # the same run again: its row reads as before, so every kept difference holds
    assert labels() == before | {("lastfm_small_kg", "DNS, M = 16"): set()}
    write_page([sampler("f", 0.24, "dns")], out, keep=True)
    gone = {name: found - {"DNS, M = 16"} if name[0] == "lastfm_small_kg" else found for name, found in before.items()}
    assert labels() == gone | {("lastfm_small_kg", "DNS, M = 16"): set()}
    assert labels()[one] == {"KG-DNS, M = 16", "KGPolicy"} and labels()[("amazon_book", "RNS")] == {"DNS, M = 16"}
    assert "row minus DNS" not in (out / "kgpolicy.md").read_text(encoding="utf-8").split("## lastfm_small_kg")[1]


@pytest.mark.parametrize(
    "before, now, stays", [("nan", "nan", True), (0.5, 0.5, True), (0.5, "nan", False), (0.5, 0.25, False)]
)
def test_a_difference_stays_where_the_other_row_reads_as_before_unknown_numbers_included(before, now, stays):
    row = lambda name, mean: {  # noqa: E731
        "dataset": "d", "row": name, "metrics": {"recall@20": {"mean": float(mean)}}, "differences": {}
    }  # fmt: skip
    kept = [{**row("RNS", 0.1), "differences": {"DNS": 1}}, row("DNS", before)]
    (left,) = without_replaced(kept, [row("DNS", now)])
    assert left["row"] == "RNS" and left["differences"] == ({"DNS": 1} if stays else {})


def test_a_method_keeps_its_look_and_no_two_rows_share_one(tmp_path):
    rows = [{"row": f"KGPolicy, {at}", "method": "KGPolicy", "is_main": False} for at in range(30)]
    rows += [{"row": name, "method": name, "is_main": True} for name in ("KGPolicy", "RNS")]
    rows += [{"row": "DNS, M = 8", "method": "DNS", "is_main": True}]
    look, few = looks(rows), looks(rows[-2:])
    assert len(set(look.values())) == len(rows) and len({one.colour for one in looks(rows[-13:]).values()}) == 13
    assert look["DNS, M = 8"] == few["DNS, M = 8"] and look["RNS"] == few["RNS"]


def test_runs_that_are_not_evaluated_are_shown_without_diagnostics(tmp_path):
    folder = run_folder(tmp_path, "a", evaluated=False, timed=False, sampler__name="rns")
    page = write_page([folder], tmp_path / "out")[0].read_text(encoding="utf-8")
    assert "No diagnostics yet for RNS: `python -m eval.kgpolicy --run DIR`" in page
    assert "Time per epoch" not in page and not list((tmp_path / "out").glob("*activity.png"))


def damage(folder, what):
    if what == "unfinished":
        (folder / "eval" / "Sampler.npz").unlink()
    elif what == "other kind":
        (folder / "config.json").write_text(json.dumps({"dataset": "lastfm", "fm": {}}))
    elif what == "newer":
        values = json.loads((folder / "config.json").read_text())
        values["sampler"]["dropout"] = 0.3
        (folder / "config.json").write_text(json.dumps(values))
    elif what == "truncated":
        file = folder / "eval" / "Sampler.npz"
        file.write_bytes(file.read_bytes()[:200])
    elif what == "cut-offs":
        with np.load(folder / "eval" / "Sampler.npz") as stored:
            arrays = {name: stored[name] for name in stored.files}
        np.savez(folder / "eval" / "Sampler.npz", **{**arrays, "cutoffs": np.array([5, 10])})
    elif what == "two rankings":
        shutil.copy(folder / "eval" / "Sampler.npz", folder / "eval" / "Other.npz")
    elif what == "users":
        np.savez(folder / "eval" / "users.npz", user=np.arange(60), train_items=np.arange(60))
    else:
        (folder / what).unlink()


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("unfinished", "is not finished .*repeat its training command"),
        ("other kind", "is no KGPolicy run"),
        ("newer", "another version of the program .*sampler.dropout"),
        ("truncated", "damaged or foreign: delete it"),
        ("cut-offs", r"was ranked at K = \[5, 10\]"),
        ("two rankings", "'Other.npz' and 'Sampler.npz', but a run has one sampler"),
        ("users", "two sets of users"),
        ("config.json", "no finished run .config.json is missing"),
        ("run.json", "run.json is missing"),
        ("metrics.jsonl", "metrics.jsonl is missing"),
    ],
)
def test_what_is_no_finished_run_is_refused_in_a_sentence(tmp_path, what, sentence):
    folder = run_folder(tmp_path, "a")
    damage(folder, what)
    with pytest.raises(KgcrsError, match=sentence) as refusal:
        write_page([folder], tmp_path / "out")
    assert "\n" not in str(refusal.value) and not (tmp_path / "out").exists()


def test_runs_of_different_data_do_not_share_a_table(tmp_path):
    where = {"dataset": "lastfm_small_kg"}
    first = run_folder(tmp_path, "a", **where)
    with pytest.raises(KgcrsError, match=r"different versions of the data set lastfm_small_kg \(d0 and d1\)"):
        grouped(first, run_folder(tmp_path, "b", data="d1", sampler__name="rns", **where))
    with pytest.raises(KgcrsError, match=r"different versions .*\(c0 and c1\)"):
        grouped(first, run_folder(tmp_path, "c", seed=1, data="d1", content="c1", **where))
    # Another split of the same interactions is what another seed means; the embedded world is another one per seed.
    assert len(grouped(first, run_folder(tmp_path, "d", seed=1, data="d1", **where))) == 1
    embedded = [run_folder(tmp_path, f"e{seed}", seed=seed, data=f"d{seed}", content=f"c{seed}") for seed in (0, 1)]
    assert grouped(*embedded)[0].seeds == [0, 1]


def test_the_same_seed_twice_no_runs_and_files_in_the_way_are_refused(tmp_path):
    first, twin = run_folder(tmp_path, "a"), run_folder(tmp_path, "b")
    with pytest.raises(KgcrsError, match="same settings and seed 0"):
        grouped(first, twin)
    with pytest.raises(KgcrsError, match="No run folders given"):
        write_page([], tmp_path / "out")
    (tmp_path / "out").write_text("mine")
    with pytest.raises(KgcrsError, match="is a file: name a folder"):
        write_page([first], tmp_path / "out")
    for arguments in (["--out"], ["--out", "x"], ["--out", "x", "a", "--paths"]):
        with pytest.raises(KgcrsError, match="usage"):
            main(arguments)
    with pytest.raises(KgcrsError, match="--run is missing"):
        main([])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two seeds of two samplers, trained on the planted world."""
    root = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_kgpolicy, "load_kg", lambda *args, **kwargs: WORLD.data)
        for sampler in ("rns", "kgpolicy"):
            for seed in (0, 1):
                config = override(TINY, {"sampler.name": sampler, "seed": seed})
                run_kgpolicy.train_run(config, root / f"{sampler}-{seed}")
    return root


@pytest.fixture
def planted(monkeypatch):
    monkeypatch.setattr(kgpolicy_finished, "load_kg", lambda *args, **kwargs: WORLD.data)


@pytest.mark.slow
def test_trained_runs_are_evaluated_once_and_shown(trained, planted, tmp_path):
    runs = sorted(trained.iterdir())
    rankings = {run: next((run / "eval").glob("*.npz")) for run in runs}
    before = {run: file.read_bytes() for run, file in rankings.items()}
    main(["--run", *map(str, runs), "--pairs", "512"])
    made = {file: file.stat().st_mtime_ns for run in runs for file in (run / "eval").iterdir()}
    main(["--run", *map(str, runs), "--pairs", "512"])
    assert made == {file: file.stat().st_mtime_ns for run in runs for file in (run / "eval").iterdir()}
    # Ranked again from the recommender on disk: the same numbers.
    one = trained / "kgpolicy-1"
    rankings[one].unlink()
    main(["--run", str(one), "--pairs", "512"])
    with np.load(rankings[one]) as stored, np.load(io.BytesIO(before[one])) as first:
        assert stored.files == first.files
        for name in stored.files:
            np.testing.assert_array_equal(stored[name], first[name])
    for run in runs:
        told = json.loads((run / "eval" / "diagnostics.json").read_text())
        assert told["is_final"] and told["epoch"] == 4 and told["pairs"] == 512
        assert 0 <= told["false_negatives_test"] < 0.2 and 0 < told["distinct"] <= 1
        assert told["popularity"] > 0 and told["popularity_of_positives"] > 0
        assert (told["policy_entropy"] is None) == ("kgpolicy" not in run.name)
        assert (run / "curve.png").stat().st_size > 5_000
    page = write_page(runs, tmp_path / "out")[0].read_text(encoding="utf-8")
    assert "## synthetic_kg" in page and "Seeds: 0, 1." in page and "relative to RNS" in page
    assert all(label in page for label in ("**RNS**", "**KGPolicy**"))
    assert "training interactions of a negative (of its positive)" in page
    assert len(list((tmp_path / "out").glob("*.png"))) == 3


@pytest.mark.slow
def test_walks_are_told_in_names_and_only_of_samplers_that_walk(trained, planted):
    run = trained / "kgpolicy-0"
    main(["--run", str(run), "--pairs", "64", "--paths", "3"])
    stories = json.loads((run / "eval" / "walks.json").read_text(encoding="utf-8"))
    page = (run / "eval" / "walks.md").read_text(encoding="utf-8")
    assert len(stories) == 3 and len({story["user"] for story in stories}) == 3
    for story in stories:
        assert len(story["explorations"]) == 2 and story["is_walk_end"]
        assert story["explorations"][0]["at"] == story["positive"]
        assert story["explorations"][0]["end"] == story["explorations"][1]["at"]
        assert story["explorations"][1]["end"] == story["negative"] != story["positive"]
        assert story["negative"] in page and story["user"] in page
        assert all(0 < one[name] <= 1 + 1e-6 for one in story["explorations"] for name in ("p_middle", "p_end"))
    assert any(one["to_middle"] for story in stories for one in story["explorations"])
    with pytest.raises(KgcrsError, match="RNS does not walk"):
        main(["--run", str(trained / "rns-0"), "--pairs", "64", "--paths", "1"])


@pytest.mark.slow
def test_a_run_without_its_last_checkpoint_says_so_and_other_data_are_refused(trained, planted, tmp_path, monkeypatch):
    run = tmp_path / "copy"
    shutil.copytree(trained / "kgpolicy-1", run, ignore=shutil.ignore_patterns(".lock"))
    shutil.rmtree(run / "checkpoints")
    main(["--run", str(run), "--pairs", "64", "--again"])
    assert not json.loads((run / "eval" / "diagnostics.json").read_text())["is_final"]
    changed = replace(WORLD.data, triples=WORLD.data.triples[1:])
    monkeypatch.setattr(kgpolicy_finished, "load_kg", lambda *args, **kwargs: changed)
    with pytest.raises(KgcrsError, match="data set has changed"):
        main(["--run", str(run), "--again"])
    shutil.rmtree(run / "recommender")
    with pytest.raises(KgcrsError, match="is not finished"):
        main(["--run", str(run), "--again"])
