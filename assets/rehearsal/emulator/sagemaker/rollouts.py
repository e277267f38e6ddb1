"""Shifts the traffic of an endpoint to a new fleet in stages, and watches alarms while each stage bakes.

Source: SageMaker AI developer guide, "Deployment guardrails for updating models in production" and "Auto-Rollback
Configuration and Monitoring": the execution role needs `cloudwatch:DescribeAlarms` on the alarms; one of them in ALARM
during a baking period returns all traffic to the old fleet. Waits are played in the time of `emulator.played_time`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..host import AccessDenied, Host
from ..played_time import PlayedTime
from .serving import Fleet

__all__ = ["RolledBack", "Rollout", "Stage", "bake", "stages"]

_LOOK_SECONDS = 0.1


class RolledBack(Exception):
    """The new fleet is not to serve; the message says why."""


@dataclass(frozen=True)
class Stage:
    """The share of the traffic that the new fleet gets, from 0 to 1, and how many seconds are waited then."""

    share: float
    wait_seconds: float


@dataclass
class Rollout:
    """The new fleet of an endpoint while it gets a part of the traffic."""

    fleets: dict[str, Fleet]
    summaries: list[dict[str, Any]]
    share: float = 0.0


def stages(deployment: Mapping[str, Any], instances: int) -> list[Stage]:
    """The stages of a `DeploymentConfig` for a fleet of so many instances."""
    rolling = deployment.get("RollingUpdatePolicy")
    if rolling:
        step = _share(rolling["MaximumBatchSize"], instances)
        return _steps(step, float(rolling["WaitIntervalInSeconds"]))
    policy = deployment.get("BlueGreenUpdatePolicy") or {}
    routing = policy.get("TrafficRoutingConfiguration") or {}
    wait = float(routing.get("WaitIntervalInSeconds") or 0)
    kind = routing.get("Type", "ALL_AT_ONCE")
    if kind == "CANARY":
        found = [Stage(_share(routing["CanarySize"], instances), wait), Stage(1.0, wait)]
    elif kind == "LINEAR":
        found = _steps(_share(routing["LinearStepSize"], instances), wait)
    else:
        found = [Stage(1.0, wait)]
    return [*found, Stage(1.0, float(policy.get("TerminationWaitInSeconds") or 0))]


def _steps(step: float, wait: float) -> list[Stage]:
    count = math.ceil(round(1 / step, 6))
    return [Stage(min(1.0, step * (index + 1)), wait) for index in range(count)]


def _share(size: Mapping[str, Any], instances: int) -> float:
    value = float(size["Value"])
    share = value / 100 if size["Type"] == "CAPACITY_PERCENT" else value / max(1, instances)
    return min(1.0, share)


def bake(host: Host, rollout: Rollout, deployment: Mapping[str, Any], role: str, played: PlayedTime) -> None:
    """Goes through the stages; raises `RolledBack` when an alarm is tripped or cannot be seen."""
    instances = sum(int(entry.get("CurrentInstanceCount") or 1) for entry in rollout.summaries)
    alarms = [
        str(entry["AlarmName"])
        for entry in (deployment.get("AutoRollbackConfiguration") or {}).get("Alarms") or ()
    ]
    for stage in stages(deployment, instances):
        rollout.share = stage.share
        until = time.monotonic() + played.real(stage.wait_seconds)
        while True:
            _look(host, alarms, role)
            left = until - time.monotonic()
            if left <= 0:
                break
            time.sleep(min(_LOOK_SECONDS, left))


def _look(host: Host, alarms: list[str], role: str) -> None:
    for name in alarms:
        arn = f"arn:aws:cloudwatch:{host.region}:{host.account}:alarm:{name}"
        try:
            host.authorize(role, "cloudwatch:DescribeAlarms", arn)
        except AccessDenied as denied:
            raise RolledBack(denied.message) from denied
        state = host.alarm_state(name)
        if state is None:
            raise RolledBack(f"the alarm {name} of its DeploymentConfig does not exist")
        if state == "ALARM":
            raise RolledBack(f"the alarm {name} is in ALARM")
