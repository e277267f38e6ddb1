"""What follows when an alarm changes its state: its actions, and an event on the default bus.

Topics and functions permit it by their own policies (CloudWatch user guide: "Notifying users on alarm changes", "Invoke
a Lambda function from an alarm"; the principal is then `lambda.alarms.cloudwatch.amazonaws.com`); events and
messages: "Alarm events and EventBridge". Other actions are reported as not rehearsed.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from ministack.services import cloudwatch, eventbridge, sns

from emulator.ministack import delivery
from emulator.ministack.emulator import Emulator

__all__ = ["Actions"]

_FIELDS = {"ALARM": "AlarmActions", "OK": "OKActions", "INSUFFICIENT_DATA": "InsufficientDataActions"}
_PRINCIPALS = {"sns": "cloudwatch.amazonaws.com", "lambda": "lambda.alarms.cloudwatch.amazonaws.com"}
_INITIAL = {"reason": "Unchecked: Initial alarm creation", "value": "INSUFFICIENT_DATA"}


class Actions:
    """Performs the actions of all alarms."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._states: dict[str, dict[str, Any]] = {}
        """The last state of each alarm by its ARN, in the form of the events."""

    def perform(self, alarm: dict[str, Any], before: str, state: str, reason: str) -> None:
        """Called for each change of state, of a metric alarm or a composite one, by its evaluation or by SetAlarmState."""
        arn = alarm["AlarmArn"]
        previous = self._states.get(arn, _INITIAL)
        now: dict[str, Any] = {"value": state, "reason": reason, "timestamp": _iso(time.time())}
        if alarm.get("StateReasonData"):
            now["reasonData"] = alarm["StateReasonData"]
        self._states[arn] = now
        detail = {
            "alarmName": alarm["AlarmName"],
            "configuration": _configuration(alarm),
            "previousState": {**previous, "value": before},
            "state": now,
        }
        host = self._emulator.host
        host.put_event("CloudWatch Alarm State Change", detail, [arn], source="aws.cloudwatch")
        if not alarm.get("ActionsEnabled", True):
            return
        for target in alarm.get(_FIELDS[state]) or ():
            self._act(str(target), alarm, detail)

    def _act(self, target: str, alarm: Mapping[str, Any], detail: Mapping[str, Any]) -> None:
        kind = (target.split(":") + [""] * 3)[2]
        principal = _PRINCIPALS.get(kind)
        name, journal = alarm["AlarmName"], self._emulator.journal
        if principal is None:
            journal.note("not-rehearsed", f"alarm {name}: its action {target} is not performed here")
            return
        if not delivery.may_deliver(self._emulator, principal, target, alarm["AlarmArn"]):
            return
        journal.note("alarm", f"alarm {name} performs {target.rsplit(':', 1)[-1]}", name=name, target=target)
        if kind == "sns":
            region = self._emulator.host.region
            subject = f'{detail["state"]["value"]}: "{name}" in {region}'[:100]
            sns._fanout(target, str(uuid.uuid4()), json.dumps(self._message(alarm, detail)), subject)
        else:
            eventbridge._dispatch_to_lambda(target, json.dumps(self._invocation(alarm, detail)))

    def _invocation(self, alarm: Mapping[str, Any], detail: Mapping[str, Any]) -> dict[str, Any]:
        host = self._emulator.host
        return {
            "source": "aws.cloudwatch",
            "alarmArn": alarm["AlarmArn"],
            "accountId": host.account,
            "time": detail["state"]["timestamp"],
            "region": host.region,
            "alarmData": detail,
        }

    def _message(self, alarm: Mapping[str, Any], detail: Mapping[str, Any]) -> dict[str, Any]:
        message = {
            "AlarmName": alarm["AlarmName"],
            "AlarmDescription": alarm.get("AlarmDescription") or None,
            "AWSAccountId": self._emulator.host.account,
            "AlarmConfigurationUpdatedTimestamp": _iso(alarm["AlarmConfigurationUpdatedTimestamp"]),
            "NewStateValue": detail["state"]["value"],
            "NewStateReason": detail["state"]["reason"],
            "StateChangeTime": detail["state"]["timestamp"],
            "Region": self._emulator.host.region,
            "AlarmArn": alarm["AlarmArn"],
            "OldStateValue": detail["previousState"]["value"],
            **{field: alarm.get(field) or [] for field in _FIELDS.values()},
        }
        if alarm.get("AlarmRule"):
            return {**message, "AlarmRule": alarm["AlarmRule"]}
        return {**message, "Trigger": _trigger(alarm)}


def _trigger(alarm: Mapping[str, Any]) -> dict[str, Any]:
    names = ("EvaluationPeriods", "DatapointsToAlarm", "ComparisonOperator", "Threshold", "TreatMissingData")
    trigger = {name: alarm[name] for name in names if name in alarm}
    trigger["EvaluateLowSampleCountPercentile"] = alarm.get("EvaluateLowSampleCountPercentile", "")
    if alarm.get("Metrics"):
        return {**trigger, "Metrics": alarm["Metrics"]}
    dimensions = [{"value": entry["Value"], "name": entry["Name"]} for entry in alarm.get("Dimensions") or ()]
    trigger.update(
        MetricName=alarm.get("MetricName"),
        Namespace=alarm.get("Namespace"),
        StatisticType="ExtendedStatistic" if alarm.get("ExtendedStatistic") else "Statistic",
        Statistic=alarm.get("ExtendedStatistic") or str(alarm.get("Statistic")).upper(),
        Unit=alarm.get("Unit"),
        Dimensions=dimensions,
        Period=alarm.get("Period"),
    )
    return trigger


def _configuration(alarm: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if alarm.get("AlarmDescription"):
        found["description"] = alarm["AlarmDescription"]
    if alarm.get("AlarmRule"):
        return {**found, "alarmRule": alarm["AlarmRule"]}
    if alarm.get("Metrics"):
        return {**found, "metrics": [_query(entry) for entry in alarm["Metrics"]]}
    stat = {"Metric": alarm, "Period": alarm.get("Period")}
    stat["Stat"] = alarm.get("ExtendedStatistic") or alarm.get("Statistic")
    own = uuid.uuid5(uuid.NAMESPACE_URL, str(alarm["AlarmArn"]))
    return {**found, "metrics": [_query({"Id": str(own), "MetricStat": stat, "ReturnData": True})]}


def _query(entry: Mapping[str, Any]) -> dict[str, Any]:
    found = {"id": entry["Id"], "returnData": entry["ReturnData"]}
    for name in ("Expression", "Label"):
        if entry.get(name):
            found[name.lower()] = entry[name]
    stat = entry.get("MetricStat")
    if stat:
        metric = stat["Metric"]
        found["metricStat"] = {
            "metric": {
                "namespace": metric["Namespace"],
                "name": metric["MetricName"],
                "dimensions": cloudwatch._dims_from_list(list(metric.get("Dimensions") or ())),
            },
            "period": stat["Period"],
            "stat": stat["Stat"],
        }
    return found


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, tz=timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"
