"""Definitions, statistics and metric math of alarms, on a clock of the test's own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .alarm import DefinitionError, Metric, not_evaluated, read
from .expression_parser import ExpressionError, parse
from .expressions import Series, calculate, unknown_functions
from .metrics import Measured, data_points

END = 6000.0
ERRORS = Metric("App", "Errors", (("Stage", "prod"),))
CALLS = Metric("App", "Calls")


def request(**changes: Any) -> dict[str, Any]:
    return {
        "AlarmName": "a",
        "Namespace": "App",
        "MetricName": "Errors",
        "Dimensions": [{"Name": "Stage", "Value": "prod"}],
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 2,
        "ComparisonOperator": "GreaterThanThreshold",
        **changes,
    }


def math_request(expression: str, **changes: Any) -> dict[str, Any]:
    def stat(name: str, **more: Any) -> dict[str, Any]:
        return {"Metric": {"Namespace": "App", "MetricName": name, **more}, "Period": 60, "Stat": "Sum"}

    stage = [{"Name": "Stage", "Value": "prod"}]
    metrics = [
        {"Id": "e1", "Expression": expression},
        {"Id": "errors", "MetricStat": stat("Errors", Dimensions=stage), "ReturnData": False},
        {"Id": "calls", "MetricStat": stat("Calls"), "ReturnData": False},
    ]
    return {
        "AlarmName": "a",
        "Metrics": metrics,
        "EvaluationPeriods": 1,
        "Threshold": 2,
        "ComparisonOperator": "GreaterThanThreshold",
        **changes,
    }


def state(definition: dict[str, Any], data: dict[Metric, list[Measured]], now: str = "OK") -> str:
    verdict = read(definition).evaluate(lambda metric: data.get(metric, []), END, now)
    return now if verdict is None else verdict.state


def every_minute(*values: float) -> list[Measured]:
    """One value in the middle of each minute, the last one in the minute that ends at END."""
    return [Measured.of(END - 60 * (len(values) - place) + 30, value) for place, value in enumerate(values)]


@pytest.mark.parametrize(
    "operator,alarms",
    [
        ("GreaterThanThreshold", [3]),
        ("GreaterThanOrEqualToThreshold", [2, 3]),
        ("LessThanThreshold", [1]),
        ("LessThanOrEqualToThreshold", [1, 2]),
    ],
)
def test_operators(operator: str, alarms: list[int]) -> None:
    definition = request(ComparisonOperator=operator)
    found = [value for value in (1, 2, 3) if state(definition, {ERRORS: every_minute(value)}) == "ALARM"]
    assert found == alarms


def test_another_dimension_is_another_metric() -> None:
    other = Metric("App", "Errors", (("Stage", "test"),))
    assert state(request(), {other: every_minute(9), Metric("App", "Errors"): every_minute(9)}) == (
        "INSUFFICIENT_DATA"
    )
    assert state(request(), {ERRORS: every_minute(9)}) == "ALARM"


def test_m_of_n_and_periods() -> None:
    definition = request(EvaluationPeriods=3, DatapointsToAlarm=2)
    assert state(definition, {ERRORS: every_minute(9, 0, 9)}) == "ALARM"
    assert state(definition, {ERRORS: every_minute(9, 9, 9, 0, 0)}) == "OK"
    in_five = request(Period=300)
    assert state(in_five, {ERRORS: every_minute(1, 1, 1)}) == "ALARM"
    assert state(in_five, {ERRORS: every_minute(3, 0, 0, 0, 0, 0)}) == "OK"


def test_what_is_measured_after_the_period_does_not_count() -> None:
    assert state(request(), {ERRORS: [Measured.of(END, 9.0)]}) == "INSUFFICIENT_DATA"
    assert state(request(), {ERRORS: [Measured.of(END - 60, 9.0)]}) == "ALARM"


def test_unit() -> None:
    published = [Measured.of(END - 30, 9.0, "Count")]
    assert state(request(), {ERRORS: published}) == "ALARM"
    assert state(request(Unit="Count"), {ERRORS: published}) == "ALARM"
    assert state(request(Unit="Seconds"), {ERRORS: published}) == "INSUFFICIENT_DATA"


@pytest.mark.parametrize(
    "statistic,wanted",
    [
        ("SampleCount", 4),
        ("Sum", 10),
        ("Average", 2.5),
        ("Minimum", 1),
        ("Maximum", 4),
        ("p0", 1),
        ("p25", 1.75),
        ("p50", 2.5),
        ("p100", 4),
    ],
)
def test_statistics(statistic: str, wanted: float) -> None:
    entries = [Measured.of(END - 30, value) for value in (4.0, 1.0, 3.0, 2.0)]
    assert data_points(entries, statistic, None, END, 60, 2) == [None, wanted]


def test_statistic_sets_have_no_percentile() -> None:
    entry = Measured(END - 30, 3, 9.0, 1.0, 5.0)
    assert data_points([entry], "Average", None, END, 60, 1) == [3.0]
    assert data_points([entry], "p90", None, END, 60, 1) == [None]


@given(st.lists(st.tuples(st.floats(0, 599), st.floats(-1e6, 1e6)), max_size=20))
def test_every_value_is_in_one_period(values: list[tuple[float, float]]) -> None:
    entries = [Measured.of(moment, value) for moment, value in values]
    counts = data_points(entries, "SampleCount", None, 600.0, 60, 10)
    for index, count in enumerate(counts):
        inside = [value for moment, value in values if 60 * index <= moment < 60 * (index + 1)]
        assert count == (len(inside) or None)


def test_few_samples_of_a_percentile() -> None:
    few = request(Statistic=None, ExtendedStatistic="p90", EvaluateLowSampleCountPercentile="ignore")
    entries = [Measured.of(END - 30, 9.0)]
    assert state(few, {ERRORS: entries * 99}) == "OK"
    assert state(few, {ERRORS: entries * 101}) == "ALARM"
    assert state({**few, "EvaluateLowSampleCountPercentile": "evaluate"}, {ERRORS: entries}) == "ALARM"


def test_alarms_on_dynamodb_ignore_missing_data() -> None:
    definition = request(Namespace="AWS/DynamoDB", TreatMissingData="breaching")
    assert state(definition, {}, "OK") == "OK"
    assert state(request(TreatMissingData="breaching"), {}, "OK") == "ALARM"


def test_reason_and_its_data() -> None:
    verdict = read(request(EvaluationPeriods=2, DatapointsToAlarm=1)).evaluate(
        lambda _: every_minute(1.0, 9.0), END, "OK"
    )
    assert verdict is not None
    assert verdict.reason == (
        "Threshold Crossed: 1 out of the last 2 datapoints [9.0 (01/01/70 01:39:00), 1.0 (01/01/70 01:38:00)] was"
        " greater than the threshold (2.0) (minimum 1 datapoint for OK -> ALARM transition)."
    )
    assert json.loads(verdict.data) == {
        "version": "1.0",
        "queryDate": "1970-01-01T01:40:00.000+0000",
        "startDate": "1970-01-01T01:38:00.000+0000",
        "statistic": "Sum",
        "period": 60,
        "recentDatapoints": [1.0, 9.0],
        "threshold": 2.0,
    }


# --- metric math ----------------------------------------------------------------

A: Series = [30.0, 20.0, 0.0, 0.0]
B: Series = [20.0, None, 20.0, None]


@pytest.mark.parametrize(
    "expression,wanted",
    [
        ("a + b * 2", [70, 20, 40, 0]),
        ("(a + b) * 2", [100, 40, 40, 0]),
        ("-a ^ 2", [-900, -400, 0, 0]),
        ("100 / a", [100 / 30, 5, None, None]),
        ("b / a", [20 / 30, 0, None, None]),
        ("b + 1", [21, None, 21, None]),
        ("a < b", [0, 0, 1, 0]),
        ("a >= 30", [1, 0, 0, 0]),
        ("a > 15 AND b > 15", [1, 0, 0, 0]),
        ("a > 25 || b > 15", [1, 0, 1, 0]),
        ("SUM([a, b])", [50, 20, 20, 0]),
        ("SUM(METRICS())", [50, 20, 20, 0]),
        ('SUM(METRICS("b"))', [20, None, 20, None]),
        ("AVG([a, b])", [25, 10, 10, 0]),
        ("MIN([a, b])", [20, 20, 0, 0]),
        ("MAX(METRICS())", [30, 20, 20, 0]),
        ("a - MIN(a)", [30, 20, 0, 0]),
        ("b / SUM(b)", [0.5, None, 0.5, None]),
        ("FILL(b, 7)", [20, 7, 20, 7]),
        ("FILL(b, REPEAT)", [20, 20, 20, 20]),
        ("FILL(b, LINEAR)", [20, 20, 20, None]),
        ("FILL(b, a)", [20, 20, 20, 0]),
        ("SUM(FILL(METRICS(), 1))", [50, 21, 20, 1]),
        ("RATE(a)", [None, -10 / 60, -20 / 60, 0]),
        ("DIFF(b)", [None, None, 0, None]),
        ("RUNNING_SUM(a)", [30, 50, 50, 50]),
        ("a / PERIOD(a)", [0.5, 20 / 60, 0, 0]),
        ("IF(a > 10, 1, 0)", [1, 1, 0, 0]),
        ("IF(a > 10, b)", [20, 0, None, None]),
        ("IF(1, b)", [20, None, 20, None]),
        ("TIME_SERIES(5) * METRIC_COUNT(METRICS())", [10, 10, 10, 10]),
        ("ABS(-a)", [30, 20, 0, 0]),
        ("a * DATAPOINT_COUNT(b)", [60, 40, 0, 0]),
        ("LAST([a, b])", [20, None, 20, None]),
        ("1e1 + .5 + a", [40.5, 30.5, 10.5, 10.5]),
    ],
)
def test_metric_math(expression: str, wanted: Sequence[float | None]) -> None:
    found = calculate(parse(expression), {"a": A, "b": B}, ["a", "b"], 60, 4)
    assert found == [None if value is None else pytest.approx(value) for value in wanted]


def test_the_table_of_if() -> None:
    # CloudWatch user guide, "Using IF expressions".
    values: dict[str, Series] = {
        "c": [1.0, 1.0, 0.0, 0.0, None],
        "t": [30.0, None, 0.0, 0.0, 30.0],
        "f": [0.0, 0.0, 20.0, None, 20.0],
    }
    for expression, wanted in {
        "IF(c, t, f)": [30, 0, 20, None, None],
        "IF(c, 5, f)": [5, 5, 20, None, None],
        "IF(c, t, 5)": [30, 0, 5, 5, None],
    }.items():
        assert calculate(parse(expression), values, ["c", "t", "f"], 60, 5) == wanted


@pytest.mark.parametrize("expression", ["a +", "(a", "a b", "SUM(a,, b)", "a # b", "[a", "", "(" * 99])
def test_fails_when_an_expression_cannot_be_read(expression: str) -> None:
    with pytest.raises(ExpressionError):
        parse(expression)


@pytest.mark.parametrize("expression", ["AVG(a)", "[a, b]", "5", "RATE(a, b)", "[a,b] + [a,b]"])
def test_fails_when_the_result_is_not_one_series(expression: str) -> None:
    with pytest.raises(ExpressionError):
        calculate(parse(expression), {"a": A, "b": B}, ["a", "b"], 60, 4)


def test_error_rate() -> None:
    definition = math_request("100 * errors / calls")
    assert state(definition, {ERRORS: every_minute(3), CALLS: every_minute(100)}) == "ALARM"
    assert state(definition, {ERRORS: every_minute(1), CALLS: every_minute(100)}) == "OK"
    assert state(definition, {ERRORS: every_minute(1), CALLS: every_minute(0)}) == "INSUFFICIENT_DATA"


def test_expressions_may_refer_to_expressions() -> None:
    definition = math_request("rate * 100")
    definition["Metrics"].append({"Id": "rate", "Expression": "errors / calls", "ReturnData": "false"})
    assert state(definition, {ERRORS: every_minute(3), CALLS: every_minute(100)}) == "ALARM"


@pytest.mark.parametrize(
    "definition,words",
    [
        (request(EvaluationPeriods=0), "EvaluationPeriods"),
        (request(DatapointsToAlarm=2), "DatapointsToAlarm"),
        (request(Period=90), "Period"),
        (request(Period=3540, EvaluationPeriods=25), "86400"),
        (request(TreatMissingData="bad"), "TreatMissingData"),
        (request(Statistic=None), "Statistic"),
        (request(ExtendedStatistic="p90"), "Statistic"),
        (request(MetricName=None), "MetricName"),
        (request(Threshold=None), "Threshold"),
        (math_request("errors +"), "cannot|operand"),
        (math_request("errors / other"), "other"),
        (math_request("e1 + 1"), "e1"),
        (math_request("AVG(errors)"), "single time series"),
        (math_request("METRICS()"), "single time series"),
        ({**math_request("errors"), "Period": 60}, "Period"),
    ],
)
def test_fails_when_a_definition_is_wrong(definition: dict[str, Any], words: str) -> None:
    with pytest.raises(DefinitionError, match=words):
        read(definition)


@pytest.mark.parametrize(
    "definition,words",
    [
        (math_request("ANOMALY_DETECTION_BAND(errors)"), "ANOMALY_DETECTION_BAND"),
        (math_request("SORT(METRICS(), AVG, DESC)"), "SORT"),
        (math_request("SELECT MAX(x) FROM y"), "Insights"),
        (request(ThresholdMetricId="e1"), "anomaly"),
        (request(ComparisonOperator="GreaterThanUpperThreshold"), "anomaly"),
        (request(Statistic=None, ExtendedStatistic="tm90"), "tm90"),
    ],
)
def test_says_what_is_not_evaluated(definition: dict[str, Any], words: str) -> None:
    assert words in str(not_evaluated(definition))


def test_known_functions() -> None:
    assert unknown_functions(parse("IF(RATE(FILL(m1, 0)) > 1, AVG([m1, m2]))")) == []
    assert not_evaluated(request()) is None
