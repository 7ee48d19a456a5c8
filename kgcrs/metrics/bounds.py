"""Can these two numbers come from the same conversations? A check on printed tables, ours included.

Success by turn and average turns describe one distribution of session lengths. With the winning action `j`
counted for a success and 15 for a failure, and SR@t counting `j <= t - 1`,

    AT = 15 - (SR@1 + SR@2 + ... + SR@15),     SR@1 = 0,

so the whole curve fixes AT, and a few points of it leave an interval: between two known turns the curve may
rise at once or at the last moment. On the clock that counts turns throughout, a success costs one more and
the last term drops out of the sum.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from kgcrs.core.errors import KgcrsError
from kgcrs.metrics.session_log import MAX_TURNS

Clock = Literal["action", "turn"]


class BoundCheck(NamedTuple):
    """Whether a printed row is possible.

    Attributes:
      is_feasible: True when the average lies in the interval, printed digits allowed for.
      low: smallest average turns the success rates allow.
      high: largest average turns the success rates allow.
      average_turns: the printed average.
    """

    is_feasible: bool
    low: float
    high: float
    average_turns: float


def average_turns_bounds(success_rates: Mapping[int, float], *, clock: Clock = "action") -> tuple[float, float]:
    """Smallest and largest average turns that agree with some success rates.

    Args:
      success_rates: conversation turn (1..15) to SR@t in [0, 1], never falling; any subset of turns.
      clock: "action" counts the winning action (the customary AT), "turn" counts conversation turns
        (AT_turn); a failure is 15 on both.

    Returns:
      (low, high), equal when every turn is given.

    Raises:
      KgcrsError: when a turn or a rate is out of range, the curve falls, or SR@1 is not 0.

    >>> low, high = average_turns_bounds({3: 0.0, 6: 0.085, 9: 0.324, 12: 0.561, 15: 0.7225})
    >>> round(low, 2), round(high, 2)
    (9.92, 11.37)
    """
    known = {1: 0.0, **{int(turn): float(rate) for turn, rate in success_rates.items()}}
    _check_curve(known)
    counted = range(1, MAX_TURNS + 1) if clock == "action" else range(1, MAX_TURNS)
    earliest = [min((known[turn] for turn in known if turn >= t), default=1.0) for t in counted]
    latest = [max(known[turn] for turn in known if turn <= t) for t in counted]
    return MAX_TURNS - sum(earliest), MAX_TURNS - sum(latest)


def check_row(
    success_rates: Mapping[int, float],
    average_turns: float,
    *,
    clock: Clock = "action",
    rate_rounding: float = 0.0005,
    turns_rounding: float = 0.005,
) -> BoundCheck:
    """Checks one table row: success rates at some turns against its average turns.

    Args:
      success_rates: conversation turn to SR@t, see `average_turns_bounds`.
      average_turns: the average printed in the same row.
      clock: how that average counts.
      rate_rounding: half a unit of the last printed digit of a rate; widens the interval by 14 of them.
      turns_rounding: half a unit of the last printed digit of the average.

    Returns:
      The verdict with the interval (before widening).

    Raises:
      KgcrsError: as `average_turns_bounds`.
    """
    low, high = average_turns_bounds(success_rates, clock=clock)
    slack = (MAX_TURNS - 1) * rate_rounding + turns_rounding
    return BoundCheck(low - slack <= average_turns <= high + slack, low, high, float(average_turns))


def _check_curve(known: Mapping[int, float]) -> None:
    previous = 0.0
    for turn in sorted(known):
        rate = known[turn]
        if not 1 <= turn <= MAX_TURNS:
            raise KgcrsError(f"SR@{turn} is outside the conversation; give turns between 1 and {MAX_TURNS}.")
        if not 0.0 <= rate <= 1.0:
            raise KgcrsError(f"SR@{turn} is {rate:g}; a success rate lies between 0 and 1.")
        if turn == 1 and rate > 0.0:
            raise KgcrsError(f"SR@1 is {rate:g}; it must be 0, because turn 1 is the user's opening.")
        if rate < previous:
            raise KgcrsError(f"SR@{turn} is {rate:g}, below an earlier {previous:g}; success rates cannot fall.")
        previous = rate
