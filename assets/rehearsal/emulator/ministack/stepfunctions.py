"""Runs state machines under their role: adds what MiniStack lacks, and asks IAM where MiniStack does not.

Replaced are the functions through which a task calls something: Lambda, the `aws-sdk:` integrations, the optimised
ones, nested executions, and waiting. MiniStack interprets the Amazon States Language itself. Which permissions a call
needs: Step Functions developer guide, "How Step Functions generates IAM policies for integrated services".
"""

from __future__ import annotations

import contextvars
import json
import os
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from ministack.services import stepfunctions as service

from emulator.host import AccessDenied, Host
from emulator.ministack import sfn_sync
from emulator.ministack.emulator import Emulator
from emulator.ministack.sfn_calls import (
    Optimised,
    TaskError,
    call_optimised,
    call_sdk,
    plain,
)

__all__ = ["Workflows", "install"]

LONGEST_WAIT_SECONDS = 1.0
"""A Wait state, or the pause before a retry, is played no longer than this; `REHEARSAL_LONGEST_WAIT_SECONDS` changes it."""

DYNAMODB = Optimised("dynamodb", "DynamoDB", "AmazonDynamoDBException")
SNS = Optimised("sns", "SNS", "AmazonSNSException")
SQS = Optimised("sqs", "SQS", "AmazonSQSException")
EVENTS = Optimised("events", "EventBridge", "AmazonEventBridgeException")

_METRIC_OF_STATUS = {
    "RUNNING": "ExecutionsStarted",
    "SUCCEEDED": "ExecutionsSucceeded",
    "FAILED": "ExecutionsFailed",
    "ABORTED": "ExecutionsAborted",
    "TIMED_OUT": "ExecutionsTimedOut",
}

_execution: contextvars.ContextVar[Mapping[str, Any] | None] = contextvars.ContextVar(
    "rehearsal_execution", default=None
)
_token: contextvars.ContextVar[str] = contextvars.ContextVar("rehearsal_task_token", default="")


def install(emulator: Emulator) -> None:
    """Makes every call of a state machine with its role."""
    Workflows(emulator.host).install()


class Workflows:
    """The calls of all state machines."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._longest_wait = _longest_wait()

    def install(self) -> None:
        """Replaces the functions through which MiniStack's interpreter calls something."""
        service._execute_task = self._around_task(service._execute_task)
        service._invoke_with_callback = self._around_callback(service._invoke_with_callback)
        service._call_lambda = self._lambda(service._call_lambda)
        service._invoke_aws_sdk_integration = self._sdk
        service._invoke_nested_start_execution = self._nested(
            service._invoke_nested_start_execution, waits=False
        )
        service._invoke_nested_start_execution_sync = self._nested(
            service._invoke_nested_start_execution_sync, waits=True
        )
        service._scaled_sleep = self._sleep
        service._add_event = self._around_event(service._add_event)
        service._emit_execution_status_event = self._around_status(service._emit_execution_status_event)
        service._SERVICE_DISPATCH.update(self._optimised())
        service._SERVICE_DISPATCH.update(
            sfn_sync.dispatch(self._host, self.role, self.stopped, self._authorize)
        )

    # --- the role of a call -------------------------------------------------------------------------------------------

    def role(self) -> str:
        """The role of the state machine whose task this thread runs."""
        execution = _execution.get()
        machine = service._state_machines.get(_machine_arn(execution)) if execution else None
        if machine is None:
            raise TaskError("States.Runtime", "the state machine of this task does not exist any longer")
        return str(machine["roleArn"])

    def stopped(self) -> bool:
        """Whether the execution has been stopped in the meantime."""
        execution = _execution.get()
        return execution is not None and execution.get("status") != "RUNNING"

    def _authorize(self, error: str, action: str, resource: str) -> None:
        try:
            self._host.authorize(self.role(), action, resource)
        except AccessDenied as denied:
            cause = f"{denied.message} (Service: {error.split('.')[0]}; Status Code: 403; Error Code: AccessDeniedException; "
            raise TaskError(error, f"{cause}Request ID: {uuid.uuid4()})") from denied

    def _around_task(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def execute_task(
            state: dict[str, Any], data: Any, execution: dict[str, Any], context: dict[str, Any]
        ) -> Any:
            before = _execution.set(execution)
            try:
                return original(state, data, execution, context)
            finally:
                _execution.reset(before)

        return execute_task

    def _around_event(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Reports to the command line which state runs and which failed."""

        def add_event(execution: dict[str, Any], kind: str, details: dict[str, Any] | None = None) -> Any:
            arn = execution.get("executionArn", "")
            machine = arn.split(":")[6] if arn.count(":") >= 7 else arn
            if kind.endswith("StateEntered"):
                state = (details or {}).get("stateEnteredEventDetails", {}).get("name", "")
                execution["_state"] = state
                self._host.note("state", f"{machine}: {state}", execution=arn, machine=machine, state=state)
            elif kind in ("TaskFailed", "ExecutionFailed"):
                event = (details or {}).get(f"{kind[:1].lower()}{kind[1:]}EventDetails", {})
                failure = {
                    "error": event.get("error", ""),
                    "cause": event.get("cause", ""),
                    "state": execution.get("_state", ""),
                }
                self._host.note(
                    "state-failed" if kind == "TaskFailed" else "execution-failed",
                    f"{machine}: {failure['state']} failed with {failure['error']}: {str(failure['cause'])[:500]}",
                    execution=arn,
                    machine=machine,
                    **failure,
                )
            return original(execution, kind, details)

        return add_event

    def _around_status(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Publishes the metrics of executions (Step Functions developer guide: "Monitoring metrics")."""

        def emit_status(execution: dict[str, Any]) -> None:
            dimensions = {"StateMachineArn": str(execution["stateMachineArn"])}
            name = _METRIC_OF_STATUS[str(execution["status"])]
            self._host.put_metric("AWS/States", name, 1, "Count", dimensions)
            if execution.get("stopDate"):
                lasted = service._iso_to_epoch_ms(execution["stopDate"]) - service._iso_to_epoch_ms(
                    execution["startDate"]
                )
                self._host.put_metric("AWS/States", "ExecutionTime", lasted, "Milliseconds", dimensions)
            original(execution)

        return emit_status

    # --- Lambda -----------------------------------------------------------------------------------------------------

    def _lambda(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def call_lambda(function: str, event: Any) -> Any:
            try:
                self._authorize(
                    "Lambda.AWSLambdaException", "lambda:InvokeFunction", self._function_arn(function)
                )
                return original(function, event)
            except TaskError as problem:
                failure = _throttled(problem)
                _fail_callback(failure)
                raise failure from problem

        return call_lambda

    def _function_arn(self, function: str) -> str:
        if function.startswith("arn:"):
            return function
        return f"arn:aws:lambda:{self._host.region}:{self._host.account}:function:{function}"

    def _around_callback(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """MiniStack waits for the token even when the function that receives it failed; AWS fails the task."""

        def invoke_with_callback(resource: str, data: Any, token: str, state: dict[str, Any]) -> Any:
            before = _token.set(token)
            try:
                return original(resource, data, token, state)
            finally:
                _token.reset(before)

        return invoke_with_callback

    # --- integrations -----------------------------------------------------------------------------------------------

    def _sdk(self, resource: str, data: Any) -> Any:
        parts = resource.split(":")
        if len(parts) < 8 or parts[5] != "aws-sdk":
            raise TaskError(
                "States.Runtime",
                f"{resource} is not a resource of a task: arn:aws:states:::aws-sdk:service:action expected",
            )
        return call_sdk(self._host, self.role(), parts[6], parts[7].split(".", 1)[0], data)

    def _optimised(self) -> dict[str, Callable[[str, Any], Any]]:
        table: dict[str, Callable[[str, Any], Any]] = {
            f"arn:aws:states:::dynamodb:{name}Item": self._simple(
                DYNAMODB, f"{name[:1].upper()}{name[1:]}Item"
            )
            for name in ("get", "put", "update", "delete")
        }
        table["arn:aws:states:::sns:publish"] = self._simple(SNS, "Publish")
        table["arn:aws:states:::sqs:sendMessage"] = self._simple(SQS, "SendMessage")
        table["arn:aws:states:::events:putEvents"] = self._put_events
        return table

    def _simple(self, kind: Optimised, operation: str) -> Callable[[str, Any], Any]:
        return lambda resource, data: plain(call_optimised(self._host, self.role(), kind, operation, data))

    def _put_events(self, resource: str, data: Any) -> Any:
        answer = plain(call_optimised(self._host, self.role(), EVENTS, "PutEvents", data))
        if answer.get("FailedEntryCount"):
            raise TaskError("EventBridge.FailedEntry", json.dumps(answer))
        return answer

    def _nested(self, original: Callable[..., Any], *, waits: bool) -> Callable[..., Any]:
        def start(resource: str, data: dict[str, Any]) -> Any:
            machine = str(data.get("StateMachineArn") or data.get("stateMachineArn") or "")
            error = "StepFunctions.AWSStepFunctionsException"
            self._authorize(error, "states:StartExecution", machine)
            if waits:
                execution = machine.replace(":stateMachine:", ":execution:") + ":*"
                self._authorize(error, "states:DescribeExecution", execution)
                sfn_sync.check_managed_rule(
                    self._authorize, self._host, "StepFunctionsGetEventsForStepFunctionsExecutionRule"
                )
            try:
                return original(resource, data)
            except TaskError as failure:
                raise _named(failure) from failure

        return start

    # --- time -------------------------------------------------------------------------------------------------------

    def _sleep(self, seconds: float) -> None:
        execution = _execution.get() or {}
        if seconds > self._longest_wait:
            arn = str(execution.get("executionArn", ""))
            self._host.note(
                "wait",
                f"a wait of {seconds:g} s is played in {self._longest_wait:g} s",
                execution=arn,
                seconds=seconds,
            )
        time.sleep(max(0.0, min(seconds, self._longest_wait)))


def _machine_arn(execution: Mapping[str, Any] | None) -> str:
    """The state machine of an execution; a child of a distributed Map belongs to the machine before the slash."""
    return str(execution["stateMachineArn"]).split("/", 1)[0] if execution else ""


def _fail_callback(failure: TaskError) -> None:
    """Ends the wait for a token that will not be sent back."""
    record = service._task_tokens.get(_token.get()) if _token.get() else None
    if record is not None:
        record["error"] = {"Error": failure.error, "Cause": failure.cause}
        record["event"].set()


def _throttled(failure: TaskError) -> TaskError:
    """MiniStack has no name for a function that is at its concurrency limit."""
    busy = failure.error == "Lambda.Unknown" and "TooManyRequestsException" in str(failure.cause)
    return TaskError("Lambda.TooManyRequestsException", failure.cause) if busy else failure


def _named(failure: TaskError) -> TaskError:
    """MiniStack passes on the bare code of StartExecution."""
    if failure.error.startswith(("States.", "StepFunctions.")) or not failure.error.isidentifier():
        return failure
    known = (
        "StateMachineDoesNotExist",
        "ExecutionAlreadyExists",
        "ExecutionLimitExceeded",
        "InvalidArn",
        "InvalidName",
    )
    if failure.error in known:
        return TaskError(f"StepFunctions.{failure.error}Exception", failure.cause)
    return failure


def _longest_wait() -> float:
    given = os.environ.get("REHEARSAL_LONGEST_WAIT_SECONDS", "")
    try:
        return float(given) if given else LONGEST_WAIT_SECONDS
    except ValueError:
        return LONGEST_WAIT_SECONDS
