"""Sizes and numbers that AWS does not exceed and MiniStack does not count.

Sources: EventBridge user guide, "Calculating PutEvents event entry size"; Lambda developer guide, "Lambda quotas"
(payloads: 6 MB, asynchronous 1 MB); Step Functions developer guide, "Service quotas" (256 KiB of input or result,
25,000 events in the history of an execution). MiniStack itself limits messages of SNS and SQS and items of DynamoDB.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from ministack.core import responses
from ministack.services import eventbridge, lambda_svc, stepfunctions

from emulator.ministack.emulator import Emulator
from emulator.ministack.sfn_calls import TaskError

__all__ = ["install"]

EVENT_BYTES = 256 * 1024
SYNCHRONOUS_BYTES = 6 * 1024 * 1024
ASYNCHRONOUS_BYTES = 1024 * 1024
STATE_BYTES = 256 * 1024
HISTORY_EVENTS = 25_000


def install(emulator: Emulator) -> None:
    """Refuses what is larger than AWS takes."""
    eventbridge._put_events = _events(eventbridge._put_events)
    lambda_svc._invoke = _requests(lambda_svc._invoke)
    lambda_svc._execute_function_warm = _results(lambda_svc._execute_function_warm)
    stepfunctions._start_execution = _inputs(stepfunctions._start_execution)
    stepfunctions._start_sync_execution = _inputs(stepfunctions._start_sync_execution)
    stepfunctions._add_event = _history(stepfunctions._add_event)


def _bytes(value: object) -> int:
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return len(text.encode())


# --- EventBridge ----------------------------------------------------------------


def _events(put: Callable[..., Any]) -> Callable[..., Any]:
    def put_events(data: dict[str, Any], allow_aws_source: bool = False) -> Any:
        if sum(_entry_bytes(entry) for entry in data.get("Entries") or ()) > EVENT_BYTES:
            message = "Total size of the entries in the request is over the limit."
            return responses.error_response_json("ValidationException", message, 400)
        return put(data, allow_aws_source)

    return put_events


def _entry_bytes(entry: Mapping[str, Any]) -> int:
    texts = [str(entry.get(name) or "") for name in ("Source", "DetailType", "Detail")]
    texts += [str(arn) for arn in entry.get("Resources") or ()]
    return sum(_bytes(text) for text in texts) + (14 if entry.get("Time") is not None else 0)


# --- Lambda ---------------------------------------------------------------------


def _requests(invoke: Callable[..., Any]) -> Callable[..., Any]:
    async def invoked(name: str, event: Any, headers: dict[str, str], *more: Any, **named: Any) -> Any:
        kind = {key.lower(): value for key, value in headers.items()}.get("x-amz-invocation-type")
        most = ASYNCHRONOUS_BYTES if kind == "Event" else SYNCHRONOUS_BYTES
        if _bytes(event) > most:
            message = f"Request must be smaller than {most} bytes for the InvokeFunction operation"
            return responses.error_response_json("RequestTooLargeException", message, 413)
        return await invoke(name, event, headers, *more, **named)

    return invoked


def _results(execute: Callable[..., Any]) -> Callable[..., Any]:
    def executed(function: dict[str, Any], event: Any, *more: Any, **named: Any) -> Any:
        result = execute(function, event, *more, **named)
        body = result.get("body") if isinstance(result, dict) else None
        if body is None or isinstance(body, bytes) or _bytes(body) <= SYNCHRONOUS_BYTES:
            return result
        message = f"Response payload size exceeded maximum allowed payload size ({SYNCHRONOUS_BYTES} bytes)."
        failure = {"errorType": "Function.ResponseSizeTooLarge", "errorMessage": message}
        return {**result, "body": failure, "error": True}

    return executed


# --- Step Functions -------------------------------------------------------------


def _inputs(start: Callable[..., Any]) -> Callable[..., Any]:
    def start_execution(data: dict[str, Any]) -> Any:
        if _bytes(str(data.get("input") or "")) > STATE_BYTES:
            message = (
                "1 validation error detected: Value at 'input' failed to satisfy constraint: Member must have"
                f" length less than or equal to {STATE_BYTES}"
            )
            return responses.error_response_json("ValidationException", message, 400)
        return start(data)

    return start_execution


def _history(add: Callable[..., Any]) -> Callable[..., Any]:
    """An execution ends with an error when a state's result is too large or its history is full."""

    def add_event(execution: dict[str, Any], kind: str, details: dict[str, Any] | None = None) -> Any:
        if kind.startswith("Execution"):
            return add(execution, kind, details)
        exited = (details or {}).get("stateExitedEventDetails", {})
        if _bytes(str(exited.get("output", ""))) > STATE_BYTES:
            raise TaskError(
                "States.DataLimitExceeded",
                f"The state/task '{exited.get('name')}' returned a result with a size exceeding the maximum number"
                " of bytes service limit.",
            )
        # The last one is the end of the execution.
        if len(execution["events"]) >= HISTORY_EVENTS - 1:
            raise TaskError(
                "States.Runtime",
                f"The execution reached the maximum number of history events ({HISTORY_EVENTS}).",
            )
        return add(execution, kind, details)

    return add_event
