"""What is larger than AWS takes is refused: events, calls of functions, inputs and results of state machines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator.ministack import limits
from emulator.ministack.sfn_calls import TaskError
from emulator.ministack.testing import Running


@pytest.fixture(scope="module")
def emulator() -> Iterator[Running]:
    with Running() as running:
        yield running


def code_of(caught: pytest.ExceptionInfo[ClientError]) -> str:
    return str(caught.value.response["Error"]["Code"])


def event(size: int) -> dict[str, Any]:
    """An entry of exactly so many bytes."""
    detail = json.dumps({"text": ""})
    rest = size - len("app") - len("Kind") - len(detail)
    return {"Source": "app", "DetailType": "Kind", "Detail": json.dumps({"text": "x" * rest})}


def test_entries_of_events(emulator: Running) -> None:
    events = emulator.client("events")
    assert events.put_events(Entries=[event(limits.EVENT_BYTES)])["FailedEntryCount"] == 0
    for entries in ([event(limits.EVENT_BYTES + 1)], [event(limits.EVENT_BYTES // 2 + 1)] * 2):
        with pytest.raises(ClientError, match="Total size of the entries") as caught:
            events.put_events(Entries=entries)
        assert code_of(caught) == "ValidationException"


@pytest.fixture(scope="module")
def function(emulator: Running) -> str:
    logs = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
    role = emulator.role("sized", "lambda", (logs, "*"))
    code = "def handler(event, context):\n    return {'text': 'x' * event.get('answer', 0)}\n"
    return emulator.function("sized", role, code)


def call(emulator: Running, function: str, kind: str, size: int) -> int:
    body = json.dumps({"text": ""}, separators=(",", ":"))
    payload = json.dumps({"text": "x" * (size - len(body))}, separators=(",", ":")).encode()
    answer = emulator.client("lambda").invoke(FunctionName=function, InvocationType=kind, Payload=payload)
    return int(answer["StatusCode"])


@pytest.mark.parametrize(
    "kind,most,status",
    [("RequestResponse", limits.SYNCHRONOUS_BYTES, 200), ("Event", limits.ASYNCHRONOUS_BYTES, 202)],
)
def test_requests_to_functions(emulator: Running, function: str, kind: str, most: int, status: int) -> None:
    assert call(emulator, function, kind, most) == status
    with pytest.raises(ClientError, match=f"smaller than {most} bytes") as caught:
        call(emulator, function, kind, most + 1)
    assert code_of(caught) == "RequestTooLargeException"


def test_answers_of_functions(emulator: Running, function: str) -> None:
    def answer(size: int) -> Any:
        around = json.dumps({"text": ""}, separators=(",", ":"))
        payload = json.dumps({"answer": size - len(around)}).encode()
        return emulator.client("lambda").invoke(FunctionName=function, Payload=payload)

    assert "FunctionError" not in answer(limits.SYNCHRONOUS_BYTES)
    large = answer(limits.SYNCHRONOUS_BYTES + 1)
    assert large["FunctionError"] == "Unhandled"
    assert json.loads(large["Payload"].read())["errorType"] == "Function.ResponseSizeTooLarge"


def test_inputs_and_results_of_states(emulator: Running) -> None:
    role = emulator.role("states", "states")
    passes = {"StartAt": "Double", "States": {"Double": {"Type": "Pass", "End": True}}}
    passes["States"]["Double"]["Parameters"] = {"one.$": "$.text", "two.$": "$.text"}  # type: ignore[index]
    machine = emulator.machine("double", role, passes)
    assert emulator.execute(machine, {"text": "x" * 1000})["status"] == "SUCCEEDED"
    failed = emulator.execute(machine, {"text": "x" * (limits.STATE_BYTES - 100)})
    assert (failed["status"], failed["error"]) == ("FAILED", "States.DataLimitExceeded")
    assert "'Double'" in failed["cause"]
    with pytest.raises(ClientError, match="262144"):
        emulator.client("stepfunctions").start_execution(
            stateMachineArn=machine, input=json.dumps({"text": "x" * limits.STATE_BYTES})
        )


def test_a_loop_without_end_fills_its_history(monkeypatch: pytest.MonkeyPatch) -> None:
    execution: dict[str, Any] = {"events": []}

    def add(of: dict[str, Any], kind: str, details: Any = None) -> None:
        of["events"].append(kind)

    add_event = limits._history(add)
    with pytest.raises(TaskError, match="history events"):
        for _ in range(30_000):
            add_event(execution, "PassStateEntered")
    add_event(execution, "ExecutionFailed")
    assert len(execution["events"]) == 25_000
