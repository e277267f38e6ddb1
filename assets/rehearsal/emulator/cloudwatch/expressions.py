"""Calculates expressions of metric math over series of data points.

Source: CloudWatch user guide, "Using math expressions with CloudWatch metrics". A data point that only one of two
series has counts as 0 in the other; a division by zero drops the data point. Functions that are not in the tables of
this module are not calculated: `unknown_functions` names them.
"""

from __future__ import annotations

import math
import operator
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from .expression_parser import Call, ExpressionError, Items, Name, Node, Number, Operation, Text, walk

__all__ = ["Series", "calculate", "names_in", "unknown_functions"]

Series = list[float | None]
"""One data point a period, oldest first."""

Value = float | Series | list[Series]

_FILLERS = ("REPEAT", "LINEAR")


def _divide(left: float, right: float) -> float | None:
    return left / right if right else None


def _power(left: float, right: float) -> float | None:
    try:
        result = left**right
    except (OverflowError, ZeroDivisionError):
        return None
    return result if isinstance(result, float) else None


_OPERATORS: dict[str, Callable[[float, float], float | None]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divide,
    "^": _power,
    "==": lambda left, right: float(left == right),
    "!=": lambda left, right: float(left != right),
    "<=": lambda left, right: float(left <= right),
    ">=": lambda left, right: float(left >= right),
    "<": lambda left, right: float(left < right),
    ">": lambda left, right: float(left > right),
    "AND": lambda left, right: float(bool(left) and bool(right)),
    "OR": lambda left, right: float(bool(left) or bool(right)),
}
_EACH_VALUE: dict[str, Callable[[float], float | None]] = {
    "ABS": abs,
    "CEIL": lambda value: float(math.ceil(value)),
    "FLOOR": lambda value: float(math.floor(value)),
    "LOG": lambda value: math.log(value) if value > 0 else None,
    "LOG10": lambda value: math.log10(value) if value > 0 else None,
}
_AGGREGATES: dict[str, Callable[[Sequence[float]], float]] = {
    "SUM": sum,
    "AVG": statistics.fmean,
    "MIN": min,
    "MAX": max,
    "STDDEV": statistics.pstdev,
}
"""A scalar of one series, a series of several."""

_OTHERS = frozenset(
    [
        "DATAPOINT_COUNT",
        "DIFF",
        "FILL",
        "FIRST",
        "IF",
        "LAST",
        "METRICS",
        "METRIC_COUNT",
        "PERIOD",
        "RATE",
        "RUNNING_SUM",
        "TIME_SERIES",
    ]
)


def unknown_functions(node: Node) -> list[str]:
    """The functions in the expression that are not calculated here."""
    used = {entry.function for entry in walk(node) if isinstance(entry, Call)}
    return sorted(used - {*_EACH_VALUE, *_AGGREGATES, *_OTHERS})


def names_in(node: Node) -> set[str]:
    """The ids of metrics and other expressions that the expression reads."""
    return {entry.value for entry in walk(node) if isinstance(entry, Name)} - {*_FILLERS}


def calculate(
    node: Node, values: Mapping[str, Series], metrics: Sequence[str], period: float, count: int
) -> Series:
    """The series of an expression.

    `values` has the series of every id, `metrics` the ids that are metrics, for `METRICS()`. Raises `ExpressionError` where
    the result is not one series.
    """
    result = _Calculation(values, metrics, period, count).value(node)
    if isinstance(result, float) or (result and isinstance(result[0], list)):
        raise ExpressionError("the expression of an alarm must give a single time series")
    return _as_series(result)


def _as_series(value: Value) -> Series:
    if isinstance(value, float):
        raise ExpressionError("a time series is expected where the expression has a number")
    return [entry for entry in value if not isinstance(entry, list)]


def _is_several(value: Value) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], list)


def _several(value: Value) -> list[Series]:
    if isinstance(value, float):
        raise ExpressionError("time series are expected where the expression has a number")
    found = [entry for entry in value if isinstance(entry, list)]
    return found if len(found) == len(value) else [_as_series(value)]


@dataclass(frozen=True)
class _Calculation:
    values: Mapping[str, Series]
    metrics: Sequence[str]
    period: float
    count: int

    def value(self, node: Node) -> Value:
        """The number, series or list of series of a node."""
        if isinstance(node, Number):
            return node.value
        if isinstance(node, Name):
            if node.value not in self.values:
                raise ExpressionError(f"there is no metric with the id {node.value}")
            return list(self.values[node.value])
        if isinstance(node, Items):
            return [series for item in node.items for series in _several(self.value(item))]
        if isinstance(node, Operation):
            return self._operation(node)
        if isinstance(node, Call):
            return self._call(node.function, node.arguments)
        raise ExpressionError(f"the string {node.value!r} has no value")

    def _operation(self, node: Operation) -> Value:
        apply, left, right = _OPERATORS[node.sign], self.value(node.left), self.value(node.right)
        if isinstance(left, float) and isinstance(right, float):
            result = apply(left, right)
            if result is None:
                raise ExpressionError(f"{left} {node.sign} {right} has no value")
            return result
        if _is_several(left) or _is_several(right):
            return [_as_series(_joined(apply, one, other)) for one, other in _pairs(left, right)]
        return _joined(apply, left, right)

    def _call(self, function: str, arguments: Sequence[Node]) -> Value:
        if function == "METRICS":
            return self._metrics(arguments)
        if function == "FILL":
            return self._fill(arguments)
        given = [self.value(argument) for argument in arguments]
        if function == "IF":
            return self._if(given)
        if len(given) != 1:
            raise ExpressionError(f"{function} takes one argument, not {len(given)}")
        value = given[0]
        if function == "TIME_SERIES":
            if not isinstance(value, float):
                raise ExpressionError("TIME_SERIES takes a number")
            return self._constant(value)
        if function == "PERIOD":
            return float(self.period)
        if function in _AGGREGATES or function == "DATAPOINT_COUNT":
            return self._aggregate(function, value)
        if function == "METRIC_COUNT":
            return float(len(_several(value)))
        if function in ("FIRST", "LAST"):
            return _several(value)[0 if function == "FIRST" else -1]
        if _is_several(value):
            return [self._transformed(function, series) for series in _several(value)]
        return self._transformed(function, _as_series(value))

    def _constant(self, value: float | None) -> Series:
        return [value] * self.count

    def _metrics(self, arguments: Sequence[Node]) -> Value:
        part = ""
        if arguments:
            if not isinstance(arguments[0], Text):
                raise ExpressionError("METRICS takes a string")
            part = arguments[0].value
        return [list(self.values[name]) for name in self.metrics if part in name]

    def _aggregate(self, function: str, value: Value) -> Value:
        if not _is_several(value):
            present = [entry for entry in _as_series(value) if entry is not None]
            if function == "DATAPOINT_COUNT":
                return float(len(present))
            return float(_AGGREGATES[function](present)) if present else 0.0
        several = _several(value)
        result: Series = []
        for index in range(self.count):
            column = [series[index] for series in several]
            present = [entry for entry in column if entry is not None]
            if function == "DATAPOINT_COUNT":
                result.append(float(len(present)))
            elif not present:
                result.append(None)
            elif function == "AVG":  # a missing value counts as 0
                result.append(sum(present) / len(column))
            else:
                result.append(float(_AGGREGATES[function](present)))
        return result

    def _transformed(self, function: str, series: Series) -> Series:
        if function in _EACH_VALUE:
            return [None if entry is None else _EACH_VALUE[function](entry) for entry in series]
        result: Series = []
        before: tuple[int, float] | None = None
        total = 0.0
        for index, entry in enumerate(series):
            if entry is None:
                result.append(None)
                continue
            total += entry
            if function == "RUNNING_SUM":
                result.append(total)
            elif before is None:
                result.append(None)
            else:
                seconds = (index - before[0]) * self.period if function == "RATE" else 1.0
                result.append((entry - before[1]) / seconds)
            before = (index, entry)
        return result

    def _fill(self, arguments: Sequence[Node]) -> Value:
        if len(arguments) != 2:
            raise ExpressionError(f"FILL takes two arguments, not {len(arguments)}")
        value, filler = self.value(arguments[0]), arguments[1]
        word = filler.value if isinstance(filler, Name) and filler.value in _FILLERS else ""
        by = 0.0 if word else self.value(filler)
        if _is_several(value):
            return [_filled(series, word, by) for series in _several(value)]
        return _filled(_as_series(value), word, by)

    def _if(self, given: Sequence[Value]) -> Value:
        if len(given) not in (2, 3):
            raise ExpressionError(f"IF takes two or three arguments, not {len(given)}")
        condition, when, otherwise = given[0], given[1], given[2] if len(given) == 3 else None
        if isinstance(condition, float):
            chosen = when if condition else otherwise
            return self._constant(None) if chosen is None else chosen
        result: Series = []
        for index, entry in enumerate(_as_series(condition)):
            if entry is None:
                result.append(None)
            elif entry:
                found = _at(when, index)
                result.append(0.0 if found is None else found)
            else:
                result.append(None if otherwise is None else _at(otherwise, index))
        return result


def _at(value: Value, index: int) -> float | None:
    return value if isinstance(value, float) else _as_series(value)[index]


def _pairs(left: Value, right: Value) -> list[tuple[Value, Value]]:
    if _is_several(left) and _is_several(right):
        raise ExpressionError("an operator between two lists of time series is not possible")
    if _is_several(left):
        return [(series, right) for series in _several(left)]
    return [(left, series) for series in _several(right)]


def _joined(apply: Callable[[float, float], float | None], left: Value, right: Value) -> Value:
    length = max(len(value) for value in (left, right) if isinstance(value, list))
    result: Series = []
    for index in range(length):
        one, other = _at(left, index), _at(right, index)
        only_numbers = (isinstance(left, float) or one is None) and (
            isinstance(right, float) or other is None
        )
        result.append(None if only_numbers else apply(one or 0.0, other or 0.0))
    return result


def _filled(series: Series, word: str, by: Value) -> Series:
    result = list(series)
    present = [index for index, entry in enumerate(series) if entry is not None]
    for index, entry in enumerate(series):
        if entry is not None:
            continue
        earlier = [place for place in present if place < index]
        later = [place for place in present if place > index]
        if word == "REPEAT":
            result[index] = series[earlier[-1]] if earlier else None
        elif word == "LINEAR":
            result[index] = _between(series, earlier, later, index)
        else:
            result[index] = _at(by, index)
    return result


def _between(series: Series, earlier: list[int], later: list[int], index: int) -> float | None:
    if not earlier or not later:
        return None
    begin, end = earlier[-1], later[0]
    first, last = series[begin] or 0.0, series[end] or 0.0
    return first + (last - first) * (index - begin) / (end - begin)
