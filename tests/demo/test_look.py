"""What ends up on screen: names as written, narrow windows, terminals without colour or Unicode."""

import io

import pytest
from rich.console import Console

from kgcrs.demo.look import NARROW
from kgcrs.demo.reasons import Choice, ItemReason, Option, QuestionReason, Reply
from kgcrs.demo.terminal import Terminal
from kgcrs.demo.transcript import Names

NAMES = Names(
    users=("[bold]Eve[/bold]", "new"),
    items=(
        "[unknown]",
        "[/]",
        "Sigur Rós",
        "a\x1b[2Jb",
        "日本の歌",
        "[link=file:///]x[/link]",
        "Mötley :smile:",
    ),
    attributes=("[red]", "80s", "[/red]", "metal"),
    questions=("[red]", "80s", "[/red]", "metal"),
)
QUESTION = QuestionReason(0, 0.731, 0.84, 40, 40, 81)
ASK = Reply("ask", 2, 81, Choice(0.52, 0.5, True), QUESTION, (QUESTION._replace(question=2),), (), ())


def item(place, **fields):
    return ItemReason(place, 0.125, (0,), (3,), (), (), -1, 0.0, False)._replace(**fields)


ITEMS = (
    item(0),
    item(1, similar=0, similarity=0.9),
    item(2, known=True, promising=(1, 2)),
    item(3, lacks=(), has=(3,)),
    item(4, share=0.0001),
    item(5, similar=2, similarity=0.1),
    item(6),
)
LIST = ASK._replace(kind="recommend", items=ITEMS)
END = LIST._replace(kind="end", ending="accepted", items=ITEMS[:2])
EVERY = (ASK, LIST, ASK._replace(options=(Option(0, 3), Option(2, 1))), END)
EVERY += (END._replace(ending="turns"), END._replace(ending="exhausted", items=()))


def terminal(width=80, **console):
    screen = Console(file=io.StringIO(), width=width, highlight=False, **console)
    return Terminal(NAMES, ("artist", "artists"), 15, screen)


def text_of(view):
    return view.console.file.getvalue()


@pytest.mark.parametrize("width", [20, NARROW - 1, NARROW, 80, 200])
@pytest.mark.parametrize("reply", EVERY)
def test_every_reply_fits_every_width(reply, width):
    view = terminal(width)
    view.show(reply)
    view.why(reply)
    assert max(len(line) for line in text_of(view).splitlines()) <= min(width, 100)


def test_names_are_shown_as_they_are_written():
    view = terminal()
    view.show(LIST)
    view.greet(NAMES.users[0], 2, NAMES.items[:2], NAMES.attributes)
    view.idea(NAMES.items[5], NAMES.attributes, is_secret=True)
    view.problem("I know no tag called '[/nope]'.")
    text = text_of(view)
    for name in (
        "[unknown]",
        "[/]",
        "Sigur Rós",
        "a?[2Jb",
        "日本の歌",
        "[link=file:///]x[/link]",
        "Mötley :smile:",
    ):
        assert name in text
    for name in ("[bold]Eve[/bold]", "[red]", "[/red]", "[/nope]"):
        assert name in text
    assert "\x1b" not in text


def test_a_question_shows_its_reasons():
    view = terminal()
    view.show(ASK)
    text = text_of(view)
    for part in ("Does [red] fit", "73 % that you like it", "uncertainty 0.84 of 1", "49 % have it"):
        assert part in text
    for part in (
        "yes leaves 40 of 81, no leaves all",
        "asking is worth 0.52, recommending 0.50",
        "turn 2 of 15",
    ):
        assert part in text


def test_a_list_shows_its_reasons():
    view = terminal(100)
    view.show(LIST)
    text = text_of(view)
    for part in (
        "although metal",
        "similar to [unknown]",
        "yours already",
        "also 80s, [/red]",
        "<0.1 %",
        "12 %",
    ):
        assert part in text
    assert "similar to Sigur Rós" not in text  # a cosine of .1 is no similarity
    assert "all fit    [red]" in text and text.count("not metal") == 6  # one of them has it


def test_a_value_that_does_not_decide_is_not_passed_off_as_the_reason():
    view = terminal()
    view.show(LIST._replace(choice=Choice(0.9, 0.2, False)))
    view.show(ASK._replace(choice=Choice(None, None, True)))
    assert "no question is left that would tell them apart" in text_of(view)
    assert "a fixed rule says so" in text_of(view)


def test_close_values_are_told_apart():
    view = terminal()
    view.show(ASK._replace(choice=Choice(0.5012, 0.5008, True)))
    assert "asking is worth 0.5012, recommending 0.5008" in text_of(view)


def test_plain_terminals_get_plain_characters():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", errors="replace")
    view = Terminal(NAMES, ("artist", "artists"), 15, Console(file=stream, width=80, highlight=False))
    for reply in EVERY:
        view.show(reply)
    view.echo("yes")
    view.problem("what?")
    view.tags("tags", [("80s", 3)])
    stream.flush()
    text = raw.getvalue().decode("ascii")
    assert "you > yes" in text and "#######..." in text and "Sigur R?s" in text


def test_no_colour_where_none_is_wanted():
    colourful, plain = (terminal(force_terminal=True, no_color=no, color_system="truecolor") for no in (False, True))
    for view in (colourful, plain):
        view.show(ASK)
    assert "\x1b[36m" in text_of(colourful) and "\x1b[36m" not in text_of(plain)


def test_the_prompt_for_line_editing_hides_its_colours():
    prompt = terminal(force_terminal=True, color_system="standard")._editable
    view = terminal(force_terminal=True, color_system="standard")
    text = prompt(view._prompt())
    assert text.count("\x01") == text.count("\x02") > 0
    assert terminal()._editable(view._prompt()) == view._prompt().plain
