"""The state of an alarm that follows from the data points of its evaluation range: M out of N, and missing data.

Source: CloudWatch user guide, "Configuring how CloudWatch alarms treat missing data", with its two tables and
"Avoiding premature transitions to alarm state".
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["ALARM", "INSUFFICIENT_DATA", "OK", "STATES", "TREATMENTS", "evaluation_range", "next_state"]

OK, ALARM, INSUFFICIENT_DATA = "OK", "ALARM", "INSUFFICIENT_DATA"
STATES = (OK, ALARM, INSUFFICIENT_DATA)
TREATMENTS = ("missing", "ignore", "breaching", "notBreaching")

_FARTHER_BACK = 2
"""Data points that are read beyond the evaluation periods. AWS states no formula; its example reads 5 for 3."""


def evaluation_range(evaluation_periods: int) -> int:
    """How many periods are read, the most recent included."""
    return evaluation_periods + _FARTHER_BACK


def next_state(
    breaching: Sequence[bool | None], evaluation_periods: int, datapoints_to_alarm: int, treat: str, now: str
) -> str:
    """The state after an evaluation.

    `breaching` has one entry for each period of the evaluation range, the most recent one last: whether its data point
    breaches the threshold, None where there is none. `now` is the state so far.
    """
    real = [entry for entry in breaching if entry is not None]
    if len(real) >= evaluation_periods:
        return _judged(sum(real[-evaluation_periods:]), datapoints_to_alarm)
    filled = evaluation_periods - len(real)
    if treat == "breaching":
        return _judged(sum(real) + filled, datapoints_to_alarm)
    if treat == "notBreaching" or sum(real) >= datapoints_to_alarm:
        return _judged(sum(real), datapoints_to_alarm)
    if not all(real):
        return OK
    if treat == "ignore":
        return now
    if not real:
        return INSUFFICIENT_DATA
    # All that is there breaches, but there are fewer than M: ALARM once the oldest is as old as M, until then no change.
    age = len(breaching) - next(index for index, entry in enumerate(breaching) if entry is not None)
    return ALARM if age >= datapoints_to_alarm else now


def _judged(breaching: int, datapoints_to_alarm: int) -> str:
    return ALARM if breaching >= datapoints_to_alarm else OK
