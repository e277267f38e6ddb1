"""The definition of a metric alarm: what PutMetricAlarm accepts, what is evaluated here, and one evaluation.

Source: CloudWatch API reference, "PutMetricAlarm"; botocore model `cloudwatch`; reasons and their data in the form of the
CloudWatch user guide, "Alarm events and EventBridge".
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from .expression_parser import ExpressionError, Node, parse
from .expressions import Series, calculate, names_in, unknown_functions
from .metrics import Measured, data_points, is_percentile, is_statistic, sample_count
from .states import INSUFFICIENT_DATA, TREATMENTS, evaluation_range, next_state

__all__ = ["Alarm", "DefinitionError", "Metric", "Verdict", "not_evaluated", "read", "watched_metrics"]

_COMPARISONS: dict[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}
_BANDS = ("LessThanLowerOrGreaterThanUpperThreshold", "LessThanLowerThreshold", "GreaterThanUpperThreshold")
_OF_ONE_METRIC = ("MetricName", "Namespace", "Dimensions", "Period", "Unit", "Statistic", "ExtendedStatistic")
_HIGH_RESOLUTION = (10, 20, 30)
_DAY, _WEEK, _HOUR = 86_400, 604_800, 3_600


class DefinitionError(ValueError):
    """The definition is one that PutMetricAlarm refuses."""


@dataclass(frozen=True)
class Metric:
    """What is measured: a metric is another one with other dimensions."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Query:
    """One entry of `Metrics`: the statistic of a metric, or an expression over other entries."""

    id: str
    metric: Metric | None = None
    statistic: str = ""
    unit: str | None = None
    expression: Node | None = None


@dataclass(frozen=True)
class Verdict:
    """The outcome of an evaluation."""

    state: str
    reason: str
    data: str
    """JSON, the `StateReasonData`."""


@dataclass(frozen=True)
class Alarm:
    """A definition that can be evaluated."""

    queries: tuple[Query, ...]
    watched: str
    period: int
    evaluation_periods: int
    datapoints_to_alarm: int
    threshold: float
    comparison: str
    treat_missing: str
    ignores_low_samples: bool

    def series(self, measured: Callable[[Metric], Sequence[Measured]], end: float) -> Series:
        """The data points of the evaluation range that ends at `end`, oldest first."""
        count = evaluation_range(self.evaluation_periods)
        values: dict[str, Series] = {}
        waiting = list(self.queries)
        while waiting:
            ready = [
                query
                for query in waiting
                if query.expression is None or names_in(query.expression) <= set(values)
            ]
            for query in ready:
                if query.metric is not None:
                    entries = measured(query.metric)
                    values[query.id] = data_points(
                        entries, query.statistic, query.unit, end, self.period, count
                    )
            metrics = [query.id for query in self.queries if query.metric is not None]
            for query in ready:
                if query.expression is not None:
                    values[query.id] = calculate(query.expression, values, metrics, float(self.period), count)
            waiting = [query for query in waiting if query not in ready]
        return values[self.watched]

    def evaluate(
        self,
        measured: Callable[[Metric], Sequence[Measured]],
        end: float,
        state: str,
        shown: Callable[[float], float] = float,
    ) -> Verdict | None:
        """The state after the periods that end at `end`; None: nothing is to be judged, the state stays.

        `shown` gives the moment that texts name for a moment of the evaluation.
        """
        if self.ignores_low_samples and self._has_low_samples(measured, end):
            return None
        points = self.series(measured, end)
        compare, words = _COMPARISONS[self.comparison]
        breaching = [None if point is None else compare(point, self.threshold) for point in points]
        found = next_state(
            breaching, self.evaluation_periods, self.datapoints_to_alarm, self.treat_missing, state
        )
        begin = end - self.period * len(points)
        moments = [shown(begin + self.period * index) for index in range(len(points))]
        real = [(point, moment) for point, moment in zip(points, moments, strict=True) if point is not None]
        recent = real[-self.evaluation_periods :]
        reason = self._reason(found, recent, [entry for entry in breaching if entry is not None], words)
        return Verdict(found, reason, self._data(recent, shown(end)))

    def _has_low_samples(self, measured: Callable[[Metric], Sequence[Measured]], end: float) -> bool:
        query = self.queries[0]
        share = float(query.statistic[1:]) / 100
        needed = 10 / (1 - share) if share >= 0.5 else 10 / max(share, 1e-9)
        assert query.metric is not None  # `ignores_low_samples` is read for alarms of one metric only
        entries = measured(query.metric)
        return sample_count(entries, query.unit, end, self.period, self.evaluation_periods) < needed

    def _reason(
        self, state: str, recent: Sequence[tuple[float, float]], breaching: Sequence[bool], words: str
    ) -> str:
        periods = self.evaluation_periods
        if state == INSUFFICIENT_DATA:
            return f"Insufficient Data: {periods} datapoint{'s were' if periods > 1 else ' was'} unknown."
        if not recent:
            treated = {"breaching": "[Breaching]", "notBreaching": "[NonBreaching]"}.get(
                self.treat_missing, "[Ignored]"
            )
            return (
                f"Threshold Crossed: no datapoints were received for {periods} periods and {periods} missing"
                f" datapoints were treated as {treated}."
            )
        is_alarm = state == "ALARM"
        counted = sum(entry == is_alarm for entry in breaching[-periods:])
        values = ", ".join(
            f"{point} ({_date(moment, '%d/%m/%y %H:%M:%S')})" for point, moment in reversed(recent)
        )
        minimum = self.datapoints_to_alarm if is_alarm else periods - self.datapoints_to_alarm + 1
        change = "OK -> ALARM" if is_alarm else "ALARM -> OK"
        return (
            f"Threshold Crossed: {counted} out of the last {periods} datapoints [{values}]"
            f" {'was' if counted == 1 else 'were'} {'' if is_alarm else 'not '}{words} the threshold"
            f" ({self.threshold}) (minimum {minimum} datapoint{'' if minimum == 1 else 's'} for {change}"
            " transition)."
        )

    def _data(self, recent: Sequence[tuple[float, float]], queried: float) -> str:
        data: dict[str, Any] = {"version": "1.0", "queryDate": _iso(queried)}
        if recent:
            data["startDate"] = _iso(recent[0][1])
        if len(self.queries) == 1:
            data["statistic"] = self.queries[0].statistic
        data.update(
            period=self.period, recentDatapoints=[point for point, _ in recent], threshold=self.threshold
        )
        return json.dumps(data, separators=(",", ":"))


def _date(moment: float, form: str) -> str:
    return datetime.fromtimestamp(moment, tz=timezone.utc).strftime(form)


def _iso(moment: float) -> str:
    return _date(moment, "%Y-%m-%dT%H:%M:%S.000+0000")


def not_evaluated(request: Mapping[str, Any]) -> str | None:
    """Why an alarm that AWS accepts is not evaluated here; None: it is."""
    if request.get("EvaluationCriteria"):
        return "alarms on queries are not evaluated here"
    if request.get("ThresholdMetricId") or request.get("ComparisonOperator") in _BANDS:
        return "anomaly models are not trained here: the alarm is not evaluated"
    for query in request.get("Metrics") or ():
        if query.get("AccountId"):
            return "metrics of other accounts are not read here: the alarm is not evaluated"
        expression = str(query.get("Expression") or "")
        if expression.upper().lstrip().startswith("SELECT"):
            return "Metrics Insights queries are not evaluated here"
        unknown = unknown_functions(_parsed(expression)) if expression else []
        if unknown:
            return (
                f"the function {unknown[0]} of metric math is not evaluated here: the alarm is not evaluated"
            )
    for statistic in _statistics(request):
        if not is_statistic(statistic):
            return f"the statistic {statistic} is not calculated here: the alarm is not evaluated"
    return None


def watched_metrics(request: Mapping[str, Any]) -> list[Metric]:
    """The metrics that an alarm reads."""
    if request.get("MetricName"):
        return [_metric(request)]
    return [
        _metric(query["MetricStat"]["Metric"])
        for query in request.get("Metrics") or ()
        if query.get("MetricStat")
    ]


def _statistics(request: Mapping[str, Any]) -> list[str]:
    own = [str(request[name]) for name in ("Statistic", "ExtendedStatistic") if request.get(name)]
    return own + [
        str(query["MetricStat"]["Stat"]) for query in request.get("Metrics") or () if query.get("MetricStat")
    ]


def _metric(of: Mapping[str, Any]) -> Metric:
    dimensions = tuple(
        sorted((str(entry["Name"]), str(entry["Value"])) for entry in of.get("Dimensions") or ())
    )
    return Metric(str(of.get("Namespace", "")), str(of.get("MetricName", "")), dimensions)


def _parsed(expression: str) -> Node:
    try:
        return parse(expression)
    except ExpressionError as error:
        raise DefinitionError(f"Invalid metrics list: {error}") from error


def read(request: Mapping[str, Any]) -> Alarm:
    """The alarm of a request in the form of PutMetricAlarm; raises `DefinitionError` as AWS refuses it."""
    single, several = request.get("MetricName"), request.get("Metrics")
    if bool(single) == bool(several):
        raise DefinitionError("Exactly one of MetricName and Metrics must be specified")
    if several and any(request.get(name) for name in _OF_ONE_METRIC):
        given = ", ".join(name for name in _OF_ONE_METRIC if request.get(name))
        raise DefinitionError(f"{given} must not be specified together with Metrics")
    if request.get("Threshold") is None or request.get("ComparisonOperator") not in _COMPARISONS:
        raise DefinitionError("Threshold and a ComparisonOperator for it must be specified")
    treat = str(request.get("TreatMissingData") or "missing")
    if treat not in TREATMENTS:
        raise DefinitionError(f"TreatMissingData {treat!r} is not one of {', '.join(TREATMENTS)}")
    queries, watched, period = _of_one(request) if single else _of_several(several or ())
    # Alarms on this namespace ignore missing data whatever is set (API reference, PutMetricAlarm).
    if any(metric.namespace == "AWS/DynamoDB" for metric in watched_metrics(request)):
        treat = "ignore"
    periods = int(request.get("EvaluationPeriods") or 0)
    datapoints = int(request.get("DatapointsToAlarm") or periods)
    _check_periods(period, periods, datapoints)
    low = request.get("EvaluateLowSampleCountPercentile") == "ignore" and bool(single)
    alarm = Alarm(
        queries,
        watched,
        period,
        periods,
        datapoints,
        float(request["Threshold"]),
        str(request["ComparisonOperator"]),
        treat,
        low and is_percentile(queries[0].statistic),
    )
    try:
        alarm.series(lambda _: (), 0.0)
    except ExpressionError as error:
        raise DefinitionError(f"Invalid metrics list: {error}") from error
    return alarm


def _check_periods(period: int, periods: int, datapoints: int) -> None:
    if period not in _HIGH_RESOLUTION and (period < 60 or period % 60):
        raise DefinitionError(f"Period must be 10, 20, 30 or a multiple of 60, not {period}")
    if periods < 1:
        raise DefinitionError("EvaluationPeriods must be at least 1")
    if not 1 <= datapoints <= periods:
        raise DefinitionError("DatapointsToAlarm must be between 1 and EvaluationPeriods")
    if period * periods > (_DAY if period < _HOUR else _WEEK):
        raise DefinitionError(
            "Metrics cannot be checked across more than a day (EvaluationPeriods * Period must be <= 86400),"
            " or seven days for periods of an hour and more"
        )


def _of_one(request: Mapping[str, Any]) -> tuple[tuple[Query, ...], str, int]:
    if bool(request.get("Statistic")) == bool(request.get("ExtendedStatistic")):
        raise DefinitionError("Exactly one of Statistic and ExtendedStatistic must be specified")
    if not request.get("Namespace") or not request.get("Period"):
        raise DefinitionError("Namespace and Period must be specified together with MetricName")
    statistic = str(request.get("Statistic") or request.get("ExtendedStatistic"))
    query = Query("m1", _metric(request), statistic, request.get("Unit"))
    return (query,), query.id, int(request["Period"])


def _of_several(entries: Sequence[Mapping[str, Any]]) -> tuple[tuple[Query, ...], str, int]:
    queries, returned, periods = [], [], set()
    for entry in entries:
        name, stat, expression = str(entry.get("Id")), entry.get("MetricStat"), entry.get("Expression")
        if bool(stat) == bool(expression):
            raise DefinitionError(f"Exactly one of MetricStat and Expression must be specified for {name}")
        if str(entry.get("ReturnData", True)).lower() != "false":
            returned.append(name)
        if stat:
            periods.add(int(stat["Period"]))
            queries.append(Query(name, _metric(stat["Metric"]), str(stat["Stat"]), stat.get("Unit")))
        else:
            queries.append(Query(name, expression=_parsed(str(expression))))
            if entry.get("Period"):
                periods.add(int(entry["Period"]))
    if len(returned) != 1:
        raise DefinitionError("Exactly one element of the metrics list should return data")
    if len(periods) != 1:
        raise DefinitionError("Metrics list must contain metrics of one and the same Period")
    _check_references(queries)
    return tuple(queries), returned[0], periods.pop()


def _check_references(queries: Sequence[Query]) -> None:
    """Every id exists once, and expressions do not refer to each other in a circle."""
    ids = [query.id for query in queries]
    if len(set(ids)) != len(ids):
        raise DefinitionError("The ids of the metrics list must be unique")
    known = {query.id for query in queries if query.expression is None}
    waiting = [query for query in queries if query.expression is not None]
    while waiting:
        ready = [query for query in waiting if query.expression and names_in(query.expression) <= known]
        if not ready:
            missing = sorted(names_in(waiting[0].expression or parse("0")) - known)
            raise DefinitionError(f"Undefined variables in the expression of {waiting[0].id}: {missing}")
        known |= {query.id for query in ready}
        waiting = [query for query in waiting if query not in ready]
