"""Deployments in stages: shares of the traffic, alarms that return it, metrics that alarms see."""

from __future__ import annotations

import time
from typing import Any

import pytest

from emulator.sagemaker import SageMaker
from emulator.sagemaker.fake_host import FakeHost
from emulator.sagemaker.rollouts import Stage, stages
from emulator.sagemaker.test_endpoints import ask, serving  # noqa: F401
from emulator.sagemaker.test_scenario import CALLER, MODEL_ROLE, settled


def blue_green(kind: str, wait: int = 0, termination: int = 0, **routing: Any) -> dict[str, Any]:
    return {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {"Type": kind, "WaitIntervalInSeconds": wait, **routing},
            "TerminationWaitInSeconds": termination,
        },
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "errors"}]},
    }


def percent(value: int) -> dict[str, Any]:
    return {"Type": "CAPACITY_PERCENT", "Value": value}


@pytest.mark.parametrize(
    "deployment,wanted",
    [
        (blue_green("ALL_AT_ONCE", 60, 120), [(1.0, 60), (1.0, 120)]),
        (blue_green("CANARY", 60, 0, CanarySize=percent(10)), [(0.1, 60), (1.0, 60), (1.0, 0)]),
        (
            blue_green("CANARY", 60, 0, CanarySize={"Type": "INSTANCE_COUNT", "Value": 1}),
            [(0.25, 60), (1.0, 60), (1.0, 0)],
        ),
        (
            blue_green("LINEAR", 60, 0, LinearStepSize=percent(40)),
            [(0.4, 60), (0.8, 60), (1.0, 60), (1.0, 0)],
        ),
        (
            {"RollingUpdatePolicy": {"MaximumBatchSize": percent(50), "WaitIntervalInSeconds": 30}},
            [(0.5, 30), (1.0, 30)],
        ),
    ],
)
def test_stages(deployment: dict[str, Any], wanted: list[tuple[float, float]]) -> None:
    assert stages(deployment, instances=4) == [Stage(*entry) for entry in wanted]


def update(sm: SageMaker, deployment: dict[str, Any]) -> None:
    request = {"EndpointName": "e", "EndpointConfigName": "c2", "DeploymentConfig": deployment}
    sm.handle("UpdateEndpoint", request, CALLER)


def share_of_new(sm: SageMaker, calls: int = 60) -> float:
    return sum(ask(sm).startswith("two:") for _ in range(calls)) / calls


def wait_for_new(sm: SageMaker) -> None:
    until = time.monotonic() + 20
    while not ask(sm).startswith("two:"):
        assert time.monotonic() < until, "the new fleet gets no traffic"


def test_a_canary_gets_its_share_then_all(serving: SageMaker, host: FakeHost) -> None:  # noqa: F811
    host.alarms["errors"] = "OK"
    update(serving, blue_green("CANARY", 36, 0, CanarySize=percent(50)))  # 3 s here
    wait_for_new(serving)
    assert 0.2 < share_of_new(serving) < 0.8
    after = settled(serving, "e")
    assert after["EndpointConfigName"] == "c2" and share_of_new(serving) == 1.0
    assert (MODEL_ROLE, "cloudwatch:DescribeAlarms") in [entry[:2] for entry in host.asked]


def test_an_alarm_returns_the_traffic(serving: SageMaker, host: FakeHost) -> None:  # noqa: F811
    host.alarms["errors"] = "INSUFFICIENT_DATA"
    update(serving, blue_green("ALL_AT_ONCE", 600))
    wait_for_new(serving)
    host.alarms["errors"] = "ALARM"
    after = settled(serving, "e")
    assert after["EndpointConfigName"] == "c1" and share_of_new(serving) == 0.0
    words = [event["detail"].get("EndpointStatus") for event in host.events]
    assert words[-3:] == ["UPDATING", "ROLLING_BACK", "IN_SERVICE"]
    assert any("the alarm errors is in ALARM" in message for _, message, _ in host.notes)


@pytest.mark.parametrize("denied", [True, False])
def test_fails_when_the_alarm_cannot_be_seen(
    serving: SageMaker,  # noqa: F811
    host: FakeHost,
    denied: bool,
) -> None:
    if denied:
        host.alarms["errors"] = "OK"
        host.denied.append(("*", "cloudwatch:DescribeAlarms", "*:alarm:errors"))
    update(serving, blue_green("ALL_AT_ONCE"))
    assert settled(serving, "e")["EndpointConfigName"] == "c1"
    wanted = "not authorized" if denied else "does not exist"
    assert any(f"rolled back to c1: {'User' if denied else 'the alarm'}" in m for _, m, _ in host.notes)
    assert any(wanted in message for _, message, _ in host.notes)


def test_metrics_of_invocations(serving: SageMaker, host: FakeHost) -> None:  # noqa: F811
    ask(serving)
    with pytest.raises(Exception, match="server error"):
        ask(serving, b"boom")
    found: dict[str, list[float]] = {}
    for namespace, name, value, _unit, dimensions in host.metrics:
        assert (namespace, dimensions) == ("AWS/SageMaker", {"EndpointName": "e", "VariantName": "A"})
        found.setdefault(name, []).append(value)
    assert all(value > 0 for value in found.pop("ModelLatency"))
    assert found == {
        "Invocations": [1, 1],
        "InvocationsPerInstance": [1, 1],
        "Invocation4XXErrors": [0, 0],
        "Invocation5XXErrors": [0, 1],
        "InvocationModelErrors": [0, 1],
    }
