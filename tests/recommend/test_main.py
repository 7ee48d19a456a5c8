"""`python -m kgcrs.recommend` as a person or a program starts it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from kgcrs.core.errors import KgcrsError
from kgcrs.recommend import recommend
from kgcrs.recommend.__main__ import main
from kgcrs.recommend.show import reason_json

ROOT = Path(__file__).resolve().parents[2]


def test_help_teaches_without_jax():
    program = (
        "import sys, kgcrs.recommend\n"
        "from kgcrs.recommend.__main__ import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "sys.exit('jax' in sys.modules)\n"
    )
    told = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    for word in ("--run", "--user", "--likes", "--k", "--json", "--data-root", "examples:", "#17"):
        assert word in told.stdout


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["--user", "listener 7"], {"user": 7}),
        (["--likes", "song 3, #50", "--likes", "song 80"], {"likes": [3, 50, 80]}),
        (["--user", "7", "--include-known"], {"user": 7, "include_known": True}),
    ],
)
def test_json_is_what_the_python_call_gives(run_dir, trained, capsys, words, asked):
    assert main(["--run", str(run_dir), *words, "--k", "4", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    expected = [
        {"rank": rank, **one._asdict(), "reasons": [reason_json(reason) for reason in one.reasons]}
        for rank, one in enumerate(recommend(trained, k=4, **asked), 1)
    ]
    assert told["recommendations"] == json.loads(json.dumps(expected))
    assert told["dataset"] == "songs" and bool(told["user"]) == ("user" in asked)


def test_the_table_shows_names_scores_and_reasons(run_dir, trained, capsys):
    main(["--run", str(run_dir), "--likes", "song 3", "--k", "3"])
    told = capsys.readouterr().out
    assert "For you, who like song 3: a new person, placed by this item." in told
    for one in recommend(trained, likes=[3], k=3):
        assert one.name in told and f"{one.score:.2f}" in told
        assert one.reasons[0].text[:20] in told
    assert "MF trained with the negatives of rns, on songs" in told
    assert max(map(len, told.splitlines())) <= 110


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "neither is given"),
        (["--user", "1", "--likes", "2"], "both are given"),
        (["--user", "1", "--k", "0"], "--k is 0"),
        (["--likes", ","], "--likes names no item"),
        (["--likes", "song 3,sogn 5"], "There is no item 'sogn 5'. Did you mean 'song"),
    ],
)
def test_slips_end_in_one_sentence(run_dir, words, told):
    with pytest.raises(KgcrsError) as error:
        main(["--run", str(run_dir), *words])
    assert told in str(error.value) and "\n" not in str(error.value)


def test_names_cannot_steer_the_terminal(trained, capsys):
    from rich.console import Console

    from kgcrs.recommend.listing import find_person
    from kgcrs.recommend.show import show

    names = tuple(f"{name}\x1b[2J[red]" for name in trained.data.entity_names)
    renamed = trained._replace(data=type(trained.data)(**{**vars(trained.data), "entity_names": names}))
    person = find_person(renamed, 3, None)
    show(Console(), renamed, person, recommend(renamed, user=3, k=2))
    told = capsys.readouterr().out
    assert "\x1b" not in told and "?[2J[red]" in told
