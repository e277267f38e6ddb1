"""Data points of a metric: the statistic of what was measured in each period.

Source: CloudWatch user guide, "CloudWatch statistics definitions" and "Percentiles" (linear interpolation between the
nearest ranks; none where there are negative values or statistic sets of more than one value).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Measured", "data_points", "is_percentile", "is_statistic", "sample_count"]

_BASIC = ("SampleCount", "Sum", "Average", "Minimum", "Maximum")
_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?|100)")


@dataclass(frozen=True)
class Measured:
    """One value, the same value `count` times, or a statistic set; `moment` in seconds."""

    moment: float
    count: float
    total: float
    minimum: float
    maximum: float
    unit: str = "None"

    @staticmethod
    def of(moment: float, value: float, unit: str = "None") -> Measured:
        """A single value."""
        return Measured(moment, 1.0, value, value, value, unit)

    @property
    def is_uniform(self) -> bool:
        """Whether every value of it is the same."""
        return self.minimum == self.maximum and self.total == self.minimum * self.count


def is_percentile(statistic: str) -> bool:
    """Whether the statistic is `p` and a number up to 100."""
    return _PERCENTILE.fullmatch(statistic) is not None


def is_statistic(statistic: str) -> bool:
    """Whether the statistic can be calculated here."""
    return statistic in _BASIC or is_percentile(statistic)


def data_points(
    measured: Sequence[Measured], statistic: str, unit: str | None, end: float, period: float, count: int
) -> list[float | None]:
    """One data point for each of the `count` periods that end at `end`, oldest first; None where nothing was measured.

    Without a unit everything counts, with one only what was published in it.
    """
    begin = end - period * count
    periods: list[list[Measured]] = [[] for _ in range(count)]
    for entry in measured:
        if begin <= entry.moment < end and entry.count > 0 and unit in (None, entry.unit):
            periods[min(int((entry.moment - begin) // period), count - 1)].append(entry)
    return [_value(entries, statistic) if entries else None for entries in periods]


def sample_count(
    measured: Sequence[Measured], unit: str | None, end: float, period: float, count: int
) -> float:
    """How many values the periods hold together."""
    return sum(value or 0.0 for value in data_points(measured, "SampleCount", unit, end, period, count))


def _value(entries: Sequence[Measured], statistic: str) -> float | None:
    if is_percentile(statistic):
        return _percentile(entries, float(statistic[1:]))
    count, total = sum(entry.count for entry in entries), sum(entry.total for entry in entries)
    return {
        "SampleCount": count,
        "Sum": total,
        "Average": total / count,
        "Minimum": min(entry.minimum for entry in entries),
        "Maximum": max(entry.maximum for entry in entries),
    }[statistic]


def _percentile(entries: Sequence[Measured], percent: float) -> float | None:
    if any(not entry.is_uniform or entry.minimum < 0 for entry in entries):
        return None
    ordered = sorted((entry.minimum, entry.count) for entry in entries)
    rank = percent / 100 * max(0.0, sum(count for _, count in ordered) - 1)
    lower = _at(ordered, int(rank))
    return lower + (rank - int(rank)) * (_at(ordered, int(rank) + 1) - lower)


def _at(ordered: Sequence[tuple[float, float]], index: int) -> float:
    """The value at a place in the ordered values, each repeated as often as it was counted."""
    seen = 0.0
    for value, count in ordered:
        seen += count
        if index < seen:
            return value
    return ordered[-1][0]
