"""Chooses hyperparameters out of the ranges of a tuning job: at random by their scale, or every combination.

SageMaker AI developer guide: "Define Hyperparameter Ranges", "Understand the hyperparameter tuning strategies".
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Mapping
from typing import Any


class BadRange(Exception):
    """Ranges that the service refuses; the message says why."""


def check(ranges: Mapping[str, Any], strategy: str) -> None:
    """Raises `BadRange` for ranges that cannot be searched."""
    numeric = [
        *(ranges.get("IntegerParameterRanges") or ()),
        *(ranges.get("ContinuousParameterRanges") or ()),
    ]
    categorical = ranges.get("CategoricalParameterRanges") or []
    names = [entry["Name"] for entry in (*numeric, *categorical)]
    if not names:
        raise BadRange("at least one range of a hyperparameter must be given")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadRange(f"the ranges of {', '.join(twice)} are given twice")
    if strategy == "Grid" and numeric:
        raise BadRange(
            f"the strategy Grid takes categorical ranges only, {numeric[0]['Name']} is a range of numbers"
        )
    for entry in numeric:
        name, scale = entry["Name"], entry.get("ScalingType", "Auto")
        try:
            low, high = float(entry["MinValue"]), float(entry["MaxValue"])
        except ValueError as error:
            raise BadRange(f"the ends of the range of {name} must be numbers: {error}") from error
        if low > high:
            raise BadRange(f"MinValue {low:g} of {name} is greater than MaxValue {high:g}")
        if scale == "Logarithmic" and low <= 0:
            raise BadRange(f"{name}: a logarithmic range begins above 0, not at {low:g}")
        if scale == "ReverseLogarithmic" and not 0 <= low <= high < 1:
            raise BadRange(f"{name}: a reverse logarithmic range is within 0 and 1, not {low:g} to {high:g}")


def combinations(ranges: Mapping[str, Any]) -> list[dict[str, str]]:
    """Every combination of the categorical ranges, in order."""
    entries = ranges.get("CategoricalParameterRanges") or []
    values = [[(entry["Name"], value) for value in entry["Values"]] for entry in entries]
    return [dict(chosen) for chosen in itertools.product(*values)]


def at_random(ranges: Mapping[str, Any], source: random.Random) -> dict[str, str]:
    """One value of each range."""
    return dict(_values(ranges, source))


def _values(ranges: Mapping[str, Any], source: random.Random) -> Iterator[tuple[str, str]]:
    for entry in ranges.get("IntegerParameterRanges") or ():
        low, high = int(float(entry["MinValue"])), int(float(entry["MaxValue"]))
        if entry.get("ScalingType") == "Logarithmic":
            number = round(math.exp(source.uniform(math.log(low), math.log(high))))
            yield entry["Name"], str(min(max(number, low), high))
        else:
            yield entry["Name"], str(source.randint(low, high))
    for entry in ranges.get("ContinuousParameterRanges") or ():
        yield entry["Name"], repr(_continuous(entry, source))
    for entry in ranges.get("CategoricalParameterRanges") or ():
        yield entry["Name"], source.choice(entry["Values"])


def _continuous(entry: Mapping[str, Any], source: random.Random) -> float:
    low, high = float(entry["MinValue"]), float(entry["MaxValue"])
    scale = entry.get("ScalingType")
    if scale == "Logarithmic":
        value = math.exp(source.uniform(math.log(low), math.log(high)))
    elif scale == "ReverseLogarithmic":
        value = 1 - math.exp(source.uniform(math.log(1 - high), math.log(1 - low)))
    else:
        value = source.uniform(low, high)
    return min(max(value, low), high)
