"""The forms of a metric alarm: the request of the Query protocol, MiniStack's record, the XML answer."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

from ministack.services import cloudwatch

__all__ = ["from_query", "is_true", "record", "to_xml"]

_LISTS = ("AlarmActions", "OKActions", "InsufficientDataActions")
_AS_GIVEN = ("EvaluateLowSampleCountPercentile", "ThresholdMetricId", "EvaluationCriteria")
_STATE = (
    "StateValue",
    "StateReason",
    "StateReasonData",
    "StateUpdatedTimestamp",
    "StateTransitionedTimestamp",
)


def from_query(params: Mapping[str, Any]) -> dict[str, Any]:
    """The request that the names of a form stand for: `Metrics.member.1.MetricStat.Period` becomes nested members."""
    request: dict[str, Any] = {}
    for name, given in params.items():
        place = request
        *path, last = [part for part in str(name).split(".") if part != "member"]
        for part in path:
            place = place.setdefault(part, {})
        place[last] = given[0] if isinstance(given, list) else given
    listed: dict[str, Any] = _listed(request)
    return listed


def _listed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if value and all(re.fullmatch(r"\d+", key) for key in value):
        return [_listed(value[key]) for key in sorted(value, key=int)]
    return {key: _listed(entry) for key, entry in value.items()}


def is_true(value: object) -> bool:
    """A boolean of a template or a form, which may be text."""
    return str(value).lower() != "false"


def record(name: str, request: Mapping[str, Any], known: Mapping[str, Any] | None) -> dict[str, Any]:
    """What MiniStack keeps of an alarm, with the state of the known one or the initial state."""
    now = time.time()
    found: dict[str, Any] = {
        "AlarmName": name,
        "AlarmArn": f"arn:aws:cloudwatch:{cloudwatch.get_region()}:{cloudwatch.get_account_id()}:alarm:{name}",
        "AlarmDescription": request.get("AlarmDescription") or "",
        "ActionsEnabled": is_true(request.get("ActionsEnabled", True)),
        **{field: [str(arn) for arn in request.get(field) or ()] for field in _LISTS},
        "EvaluationPeriods": int(request.get("EvaluationPeriods") or 1),
        "ComparisonOperator": request.get("ComparisonOperator"),
        "TreatMissingData": request.get("TreatMissingData") or "missing",
        "AlarmConfigurationUpdatedTimestamp": now,
        "StateValue": "INSUFFICIENT_DATA",
        "StateReason": "Unchecked: Initial alarm creation",
        "StateUpdatedTimestamp": now,
    }
    if request.get("DatapointsToAlarm"):
        found["DatapointsToAlarm"] = int(request["DatapointsToAlarm"])
    if request.get("Threshold") is not None:
        found["Threshold"] = float(request["Threshold"])
    found.update({field: request[field] for field in _AS_GIVEN if request.get(field)})
    if request.get("Metrics"):
        found["Metrics"] = [_query(entry) for entry in request["Metrics"]]
    else:
        found.update(
            MetricName=request.get("MetricName"),
            Namespace=request.get("Namespace"),
            Dimensions=list(request.get("Dimensions") or ()),
            Period=int(request.get("Period") or 60),
        )
        found.update(
            {
                field: request[field]
                for field in ("Statistic", "ExtendedStatistic", "Unit")
                if request.get(field)
            }
        )
    found.update({field: known[field] for field in _STATE if known and field in known})
    return found


def _query(entry: Mapping[str, Any]) -> dict[str, Any]:
    found = {**entry, "ReturnData": is_true(entry.get("ReturnData", True))}
    if entry.get("Period"):
        found["Period"] = int(entry["Period"])
    if entry.get("MetricStat"):
        found["MetricStat"] = {**entry["MetricStat"], "Period": int(entry["MetricStat"]["Period"])}
    return found


def to_xml(value: Any) -> str:
    """Nested members as the Query protocol writes them."""
    if isinstance(value, dict):
        return "".join(
            f"<{name}>{to_xml(entry)}</{name}>" for name, entry in value.items() if entry is not None
        )
    if isinstance(value, list):
        return "".join(f"<member>{to_xml(entry)}</member>" for entry in value)
    if isinstance(value, bool):
        return str(value).lower()
    return escape(str(value))
