"""The rows of KGenSam's result tables: which agent each one is, and what a reader must know about it.

Rules and baselines share the recommender, the protocol, the turn budget and the sessions of the trained agent.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple

from eval.rows import Kind
from kgcrs.algorithms import heuristics
from kgcrs.core.config import override
from kgcrs.core.errors import KgcrsError, closest
from kgcrs.core.settings import KgensamConfig

Group = Literal["agent", "rules", "ablations", "rewards", "matrix", "leaks"]
GROUPS: tuple[Group, ...] = ("agent", "rules", "ablations", "rewards", "matrix", "leaks")


class RowPlan(NamedTuple):
    """One row.

    name, group, kind: as printed. ask: question rule. decide: a decision rule, or "dqn" for a policy trained for this
    row. negatives: the online update (see `UpdateConfig`).
    state, reward: of the policy; "" keeps the run's own. leaks: `ablation.leak_*` flags switched on.
    success: what ends a session (see `ProtocolConfig`); "" keeps the run's own. demote: see `UpdateConfig`.
    fit_on_test: the recommender is refitted with test interactions (contamination study).
    """

    name: str
    group: Group
    kind: Kind
    ask: str = "max_entropy"
    decide: Callable[..., Any] | str = "dqn"
    negatives: str = "none"
    state: str = ""
    reward: str = ""
    leaks: tuple[str, ...] = ()
    success: str = ""
    demote: float = 0.0
    fit_on_test: bool = False
    note: str = ""

    @property
    def is_trained(self) -> bool:
        """True when the row needs a policy of its own; studies reuse the run's, so that only the flag differs."""
        return isinstance(self.decide, str) and self.group in ("ablations", "rewards", "matrix")


def row_config(row: RowPlan, config: KgensamConfig) -> KgensamConfig:
    """Settings of a row: those of the run, with what the row names replaced."""
    changes = {
        "protocol.success": row.success or config.protocol.success,
        "update.negatives": row.negatives,
        "update.demote": row.demote or config.update.demote,
        "dqn.state": row.state or config.dqn.state,
        "dqn.reward": row.reward or config.dqn.reward,
        "ablation.ask": row.ask,
        **{f"ablation.{name}": True for name in row.leaks},
    }
    return override(config, changes)


def _rules() -> list[RowPlan]:
    ask = lambda m: partial(heuristics.ask_first, num_asks=m)  # noqa: E731
    rule = partial(RowPlan, group="rules", kind="rule")
    return [
        rule("Recommend only", decide=heuristics.recommend_only),
        rule(
            "Abs Greedy",
            decide=heuristics.recommend_only,
            negatives="random",
            note="updates on refused lists",
        ),
        *(rule(f"Ask {m}, then recommend", decide=ask(m)) for m in (2, 4, 6, 8)),
        *(rule(f"Ask {m} (weighted entropy)", ask="weighted_entropy", decide=ask(m)) for m in (6, 8)),
        rule("Ask 6 (random questions)", ask="random", decide=ask(6)),
        rule("Ask while", decide=heuristics.ask_while, note="asks while candidates > 10 x remaining actions"),
        rule("Ask while (weighted entropy)", ask="weighted_entropy", decide=heuristics.ask_while),
        rule(
            "Max Entropy",
            decide=heuristics.ear_max_entropy,
            note="EAR: recommends with probability 10 / candidates",
        ),
        *(
            rule(
                f"Ask {m} (weighted entropy), refused tags last",
                ask="weighted_entropy",
                decide=ask(m),
                demote=1e4,
                note="candidates stay, but those with a refused attribute are listed last",
            )
            for m in (4, 6, 8)
        ),
        *(
            rule(
                f"Ask {m} (weighted entropy) + session update",
                ask="weighted_entropy",
                decide=ask(m),
                negatives="sampler",
                note="KGenSam's update under a fixed decision rule",
            )
            for m in (4, 6, 8)
        ),
        RowPlan(
            "Oracle-greedy questions, ask 6",
            "rules",
            "oracle",
            "oracle",
            ask(6),
            note="questions see the target",
        ),
    ]


def _learned() -> list[RowPlan]:
    row = partial(RowPlan, kind="learned")
    return [
        row("KGenSam", "agent", ask="active", negatives="sampler"),
        row("SCPR", "ablations", ask="weighted_entropy", state="cpr", note="SCPR-style: no update, CPR state"),
        row("w/o AS", "ablations", ask="weighted_entropy", negatives="sampler"),
        row(
            "w/o NS",
            "ablations",
            ask="active",
            negatives="random",
            note="random negatives in the same update",
        ),
        row("w/o both", "ablations", ask="weighted_entropy", negatives="random"),
        row("KGenSam, CPR state", "ablations", ask="active", negatives="sampler", state="cpr"),
        row("KGenSam, EAR state", "ablations", ask="active", negatives="sampler", state="ear"),
        *(
            row(f"KGenSam, reward {name}", "rewards", ask="active", negatives="sampler", reward=name)
            for name in ("ask_more", "rec_more", "ear")
        ),
    ]


def _matrix() -> list[RowPlan]:
    asks = {
        "weighted_entropy": "weighted entropy",
        "active": "AS",
        "random": "random",
        "oracle": "oracle-greedy",
    }
    updates = {"none": "no update", "random": "random negatives", "hard": "DNS, same pool", "sampler": "NS"}
    return [
        RowPlan(
            f"{asks[ask]} x {updates[negatives]}",
            "matrix",
            "oracle" if ask == "oracle" else "learned",
            ask=ask,
            negatives=negatives,
        )
        for ask in asks
        for negatives in updates
    ]


def _leaks() -> list[RowPlan]:
    leak = partial(RowPlan, group="leaks", kind="leak study")
    agent = partial(leak, ask="active", negatives="sampler")
    contaminated = partial(leak, fit_on_test=True)
    # Nothing leaks here, but the users are easier to please: not comparable with the other rows either.
    easier = partial(RowPlan, group="leaks", kind="other protocol", success="any_heldout")
    any_heldout = "a list with any item of the user's test split ends the session; nothing leaks"
    ask4 = partial(heuristics.ask_first, num_asks=4)
    return [
        agent("Leak: held-out items as positives", leaks=("leak_heldout_positives",)),
        agent("Leak: held-out items never pushed down", leaks=("leak_filtered_negatives",)),
        agent("Leak: both", leaks=("leak_heldout_positives", "leak_filtered_negatives")),
        agent("Leak: negatives around the target", leaks=("leak_target_pool",), note="Alg. 3 as printed"),
        agent("Leak: any item of the user counts", leaks=("leak_any_item",)),
        leak(
            "Leak: any item of the user counts, recommend only",
            decide=heuristics.recommend_only,
            leaks=("leak_any_item",),
            note="training items fill its lists",
        ),
        contaminated("Leak: recommender fitted on test, recommend only", decide=heuristics.recommend_only),
        contaminated("Leak: recommender fitted on test, ask 4", decide=ask4),
        easier("Protocol: any held-out item counts", ask="active", negatives="sampler", note=any_heldout),
        easier(
            "Protocol: any held-out item counts, recommend only", decide=heuristics.recommend_only, note=any_heldout
        ),
    ]


def all_rows() -> list[RowPlan]:
    """Every row, in printing order."""
    return [*_learned()[:1], *_rules(), *_learned()[1:], *_matrix(), *_leaks()]


def choose_rows(groups: tuple[str, ...]) -> list[RowPlan]:
    """Rows of the named groups, or rows by name.

    Raises:
      KgcrsError: an unknown group or row.
    """
    rows = all_rows()
    known = [*GROUPS, *(row.name for row in rows)]
    for name in groups:
        if name not in known:
            raise KgcrsError(
                f"--rows {name!r} is neither a group ({', '.join(GROUPS)}) nor a row.{closest(name, known)}"
            )
    return [row for row in rows if row.group in groups or row.name in groups]
