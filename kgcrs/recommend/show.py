"""How recommendations look: a table for a person, JSON for a program."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from kgcrs.algorithms.trained_recommender import TrainedRecommender
from kgcrs.core.console import shown
from kgcrs.recommend.listing import Person, Recommendation
from kgcrs.recommend.naming import listed

_PLAIN_WIDTH = 110
_SOME = 3


def as_json(trained: TrainedRecommender, person: Person, recommendations: Sequence[Recommendation]) -> dict[str, Any]:
    """Plain values: who asked, and the list with its reasons."""
    names = trained.data.entity_names
    return {
        "run": str(trained.run_dir),
        "dataset": trained.data.name,
        "model": trained.about,
        "user": None if person.user < 0 else {"id": person.user, "name": person.name},
        "taken": [{"item": int(item), "name": names[item]} for item in person.taken],
        "recommendations": [
            {"rank": rank, **one._asdict(), "reasons": [reason_json(reason) for reason in one.reasons]}
            for rank, one in enumerate(recommendations, 1)
        ],
    }


def reason_json(reason: Any) -> dict[str, Any]:
    """A reason without its empty fields."""
    values = {**reason._asdict(), "items": list(reason.items)}
    return {name: value for name, value in values.items() if value not in ("", 0)}


def picture(trained: TrainedRecommender, person: Person, recommendations: Sequence[Recommendation]) -> RenderableType:
    """Who asked, a table of items with a reason per line, and where the numbers come from."""
    data = trained.data
    own = [data.entity_names[item] for item in person.taken]
    items = f"{len(own):,} item{'s' * (len(own) != 1)}"
    about = f"took {items} in training, such as " if person.user >= 0 else "like "
    head = Text.assemble("For ", shown(person.name, "bold"), f", who {about}", shown(listed(own, _SOME), "cyan"))
    if person.user < 0:
        head.append(f": a new person, placed by {'this item' if len(own) == 1 else f'these {items}'}.", "dim")
    table = Table(padding=(0, 1))
    table.add_column("", justify="right", style="dim")
    table.add_column("item", min_width=12, ratio=2)
    table.add_column("score", justify="right")
    table.add_column("why", ratio=5)
    for rank, one in enumerate(recommendations, 1):
        name = shown(one.name, "bold")
        if one.known:
            name.append(" (yours)", "dim")
        why = Table.grid(padding=(0, 1))
        for reason in one.reasons:
            why.add_row(Text("-", "dim"), shown(reason.text, "" if reason.kind != "score" else "dim"))
        table.add_row(str(rank), name, f"{one.score:.2f}", why, end_section=rank < len(recommendations))
    foot = Text(f"{trained.about}, on {data.name}; a score is a logit, comparable within this list.", "dim")
    return Group(head, table, foot)


def show(console: Console, trained: TrainedRecommender, person: Person, found: Sequence[Recommendation]) -> None:
    """Prints the picture; lines of a pipe or file are as wide as a page."""
    if not console.is_terminal:
        console = Console(file=console.file, width=_PLAIN_WIDTH)
    console.print(picture(trained, person, found))
