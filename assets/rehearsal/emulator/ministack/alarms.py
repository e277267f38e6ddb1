"""Alarms are evaluated by the clock, by `emulator.cloudwatch`; their actions need the permission of the target.

MiniStack keeps metrics, alarms, their history and composite rules; what it would evaluate itself, from whatever data of
the metric's name arrives, is replaced here. Periods are played in the time of `emulator.played_time`. The age of data that
is published with a time stamp is kept: what is two minutes old is two periods of a minute back.

Sources: CloudWatch user guide, "Alarm evaluation" and "Alarm actions"; API reference, "PutMetricAlarm".
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from typing import Any

from ministack.core.responses import AccountRegionScopedDict, request_scope
from ministack.services import cloudwatch
from ministack.services.cloudformation import provisioners

from emulator.cloudwatch.alarm import Alarm, DefinitionError, Metric, Verdict, not_evaluated, read
from emulator.cloudwatch.metrics import Measured
from emulator.cloudwatch.states import STATES
from emulator.host import ApiError
from emulator.ministack import alarm_requests, cloudformation
from emulator.ministack.alarm_actions import Actions
from emulator.ministack.emulator import Emulator
from emulator.played_time import PlayedTime

__all__ = ["Alarms", "install"]

_ARRIVED = "_arrived"
"""Field of a stored value: when it was published."""


class Alarms:
    """The metric alarms of every account and region: their definitions, and one evaluation of each when it is due."""

    def __init__(self, emulator: Emulator, played: PlayedTime) -> None:
        self._emulator = emulator
        self._played = played
        self._lock = threading.RLock()
        self._definitions: AccountRegionScopedDict = AccountRegionScopedDict()
        self._evaluated: AccountRegionScopedDict = AccountRegionScopedDict()

    def define(self, name: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Keeps the definition, and gives MiniStack's record of it; the state of an alarm that exists stays."""
        reason = not_evaluated(request)
        definition = None if reason else read(request)
        with self._lock:
            self._definitions.pop(name, None)
            self._evaluated.pop(name, None)
            if definition is not None:
                self._definitions[name] = definition
        if reason:
            self._emulator.journal.note("not-rehearsed", f"alarm {name}: {reason}")
        return alarm_requests.record(name, request, cloudwatch._alarms.get(name))

    def evaluate(self, now: float) -> None:
        """Evaluates every alarm whose periods have moved on since it was last evaluated, at the real moment `now`."""
        with self._lock:
            places = {(account, region) for account, region, _name in self._definitions.to_dict()}
        for account, region in sorted(places):
            with request_scope(account, region):
                self._evaluate_here(now)

    def _evaluate_here(self, now: float) -> None:
        with self._lock:
            definitions: list[tuple[str, Alarm]] = list(self._definitions.items())
        for name, definition in definitions:
            record = cloudwatch._alarms.get(name)
            if record is None:
                with self._lock:
                    self._definitions.pop(name, None)
                continue
            # Periods end on whole minutes, those of high-resolution alarms on whole ten seconds.
            step = 60.0 if definition.period >= 60 else 10.0
            end = self._played.played(now) // step * step
            if self._evaluated.get(name) == end:
                continue
            self._evaluated[name] = end
            verdict = definition.evaluate(self._measured, end, record["StateValue"], self._played.real)
            if verdict is not None and verdict.state != record["StateValue"]:
                self._change(record, verdict, now)

    def _measured(self, metric: Metric) -> list[Measured]:
        key = (metric.namespace, metric.name, cloudwatch._dims_key(dict(metric.dimensions)))
        found = []
        for point in list(cloudwatch._metrics.get(key) or ()):
            count, total, minimum, maximum = cloudwatch._point_stats(point)
            unit = point.get("Unit") or "None"
            found.append(Measured(self._moment(point), count, total, minimum, maximum, unit))
        return found

    def _moment(self, point: Mapping[str, Any]) -> float:
        """The played moment of a stored value: its age when it was published is not shortened."""
        moment = float(point["Timestamp"])
        arrived = float(point.get(_ARRIVED, moment))
        return self._played.played(arrived) - (arrived - moment)

    def _change(self, record: dict[str, Any], verdict: Verdict, now: float) -> None:
        before = record["StateValue"]
        record.update(
            StateValue=verdict.state,
            StateReason=verdict.reason,
            StateReasonData=verdict.data,
            StateUpdatedTimestamp=now,
            StateTransitionedTimestamp=now,
        )
        name = record["AlarmName"]
        self._emulator.journal.note(
            "alarm", f"alarm {name} is {verdict.state}: {verdict.reason}", name=name, state=verdict.state
        )
        data = json.loads(verdict.data)
        cloudwatch._record_history(name, before, verdict.state, verdict.reason, "MetricAlarm", data)
        cloudwatch._dispatch_alarm_actions(record, before, verdict.state, verdict.reason)
        cloudwatch._evaluate_parent_alarms(record)


def install(emulator: Emulator) -> None:
    """Replaces MiniStack's evaluation and actions, and starts the clock."""
    played = PlayedTime.of_environment()
    alarms = Alarms(emulator, played)
    cloudwatch._evaluate_alarm = lambda alarm: None
    cloudwatch._dispatch_alarm_actions = Actions(emulator).perform
    cloudwatch._put_metric_alarm = _putting(alarms, cloudwatch._put_metric_alarm)
    cloudwatch._set_alarm_state = _setting(cloudwatch._set_alarm_state)
    cloudwatch._describe_alarms = _describing(cloudwatch._describe_alarms)
    cloudwatch._store_datum = _storing(cloudwatch._store_datum)
    provisioners._cw_metric_alarm_record = _from_template(alarms)
    _register_composite()
    stop = threading.Event()
    emulator.on_stop.append(stop.set)
    # Twice for each ten seconds of high-resolution alarms, so that none is left out.
    arguments = (emulator, alarms, stop, max(0.1, played.seconds_per_minute / 12))
    threading.Thread(target=_run, args=arguments, daemon=True, name="alarms").start()


def _run(emulator: Emulator, alarms: Alarms, stop: threading.Event, pause: float) -> None:
    while not stop.wait(pause):
        try:
            alarms.evaluate(time.time())
        except Exception as error:  # one alarm must not end the evaluation of the others
            if not stop.is_set():
                emulator.journal.note("error", f"alarms: {type(error).__name__}: {error}")


# --- requests -------------------------------------------------------------------


def _putting(alarms: Alarms, put: Any) -> Any:
    """MiniStack checks and keeps the tags; the definition is checked and kept here."""

    def put_metric_alarm(
        params: dict[str, Any], data: dict[str, Any], is_cbor: bool, is_json: bool = False
    ) -> Any:
        request = data if is_cbor or is_json else alarm_requests.from_query(params)
        name = str(request.get("AlarmName", ""))
        try:
            record = alarms.define(name, request)
        except DefinitionError as error:
            return cloudwatch._error("ValidationError", str(error), 400, use_json=is_json, use_cbor=is_cbor)
        answer = put(params, data, is_cbor, is_json)
        if answer[0] == 200:
            cloudwatch._alarms[name] = record
        return answer

    return put_metric_alarm


def _setting(set_state: Any) -> Any:
    def set_alarm_state(
        params: dict[str, Any], data: dict[str, Any], is_cbor: bool, is_json: bool = False
    ) -> Any:
        request = data if is_cbor or is_json else alarm_requests.from_query(params)
        state = request.get("StateValue")
        if state not in STATES:
            message = f"StateValue {state!r} is not one of {', '.join(STATES)}"
            return cloudwatch._error("ValidationError", message, 400, use_json=is_json, use_cbor=is_cbor)
        return set_state(params, data, is_cbor, is_json)

    return set_alarm_state


def _describing(describe: Any) -> Any:
    """The AWS SDKs use CBOR; MiniStack's XML answer leaves out most of an alarm, so it is made here."""

    def describe_alarms(
        params: dict[str, Any], data: dict[str, Any], is_cbor: bool, is_json: bool = False
    ) -> Any:
        if is_cbor or is_json:
            return describe(params, data, is_cbor, is_json)
        status, _headers, body = describe({}, alarm_requests.from_query(params), False, True)
        if status != 200:
            return describe(params, data, is_cbor, is_json)
        inner = alarm_requests.to_xml(json.loads(body))
        return cloudwatch._xml(
            200, "DescribeAlarmsResponse", f"<DescribeAlarmsResult>{inner}</DescribeAlarmsResult>"
        )

    return describe_alarms


def _storing(store: Any) -> Any:
    """Notes when a value was published, from which its age follows."""

    def store_datum(namespace: str, name: str, dims: dict[str, str], *arguments: Any) -> None:
        key = (namespace, name, cloudwatch._dims_key(dims))
        before = len(cloudwatch._metrics.get(key) or ())
        store(namespace, name, dims, *arguments)
        now = time.time()
        for point in cloudwatch._metrics[key][before:]:
            point[_ARRIVED] = now

    return store_datum


# --- CloudFormation -------------------------------------------------------------


def _from_template(alarms: Alarms) -> Any:
    def record(name: str, props: dict[str, Any]) -> dict[str, Any]:
        try:
            return alarms.define(name, props)
        except DefinitionError as error:
            raise ApiError("ValidationError", str(error)) from error

    return record


def _register_composite() -> None:
    def create(logical_id: str, properties: dict[str, Any], stack: str) -> tuple[str, dict[str, Any]]:
        name = properties.get("AlarmName") or provisioners._physical_name(stack, logical_id, max_len=255)
        return _put_composite(str(name), properties)

    def update(
        physical_id: str, old: dict[str, Any], new: dict[str, Any]
    ) -> tuple[str, dict[str, Any]] | None:
        if old.get("AlarmName") != new.get("AlarmName"):
            return None
        return _put_composite(physical_id, new)

    def delete(physical_id: str, properties: dict[str, Any]) -> None:
        cloudwatch._delete_alarms({}, {"AlarmNames": [physical_id]}, False, True)

    cloudformation.register("AWS::CloudWatch::CompositeAlarm", create, update, delete)


def _put_composite(name: str, properties: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    request = {**properties, "AlarmName": name}
    request["ActionsEnabled"] = alarm_requests.is_true(properties.get("ActionsEnabled", True))
    status, _, body = cloudwatch._put_composite_alarm({}, request, False, True)
    if status != 200:
        raise ApiError("ValidationError", str(json.loads(body).get("message")))
    return name, {"Arn": cloudwatch._composite_alarms[name]["AlarmArn"]}
