"""One execution of a pipeline: runs the steps in the order that their references require, as the pipeline's role.

Retries follow "Retry policy for pipeline steps"; the events are those of "Events that Amazon SageMaker AI sends to
Amazon EventBridge" (SageMaker AI developer guide).
"""

from __future__ import annotations

import datetime as dt
import functools
import threading
from typing import Any

from ..host import ApiError
from . import service_shapes as shapes
from .definition import Definition, Step
from .references import Unresolved
from .step_run import StepFailure, StepRun, StepServices
from .steps import StepHandlers
from .storage import StorageError


class Execution(StepHandlers):
    """State and runner of one execution."""

    def __init__(
        self,
        services: StepServices,
        pipeline: dict[str, Any],
        definition: Definition,
        parameters: dict[str, Any],
        execution_id: str,
        arn: str,
        caller: str,
        request: dict[str, Any],
        parallelism: dict[str, Any] | None,
    ) -> None:
        self.services, self.core = services, services.core
        self.definition, self.parameters, self.id, self.arn = definition, parameters, execution_id, arn
        self.definition_text: str = pipeline["PipelineDefinition"]
        self.pipeline_name: str = pipeline["PipelineName"]
        self.pipeline_arn: str = pipeline["PipelineArn"]
        self.role: str = pipeline["RoleArn"]
        self.parallel = int((parallelism or {}).get("MaxParallelExecutionSteps", 50))
        moment = shapes.now()
        user = {"IamIdentity": {"Arn": caller}}
        self.record: dict[str, Any] = {
            "PipelineArn": self.pipeline_arn,
            "PipelineExecutionArn": arn,
            "PipelineExecutionDisplayName": (
                request.get("PipelineExecutionDisplayName") or f"execution-{int(moment.timestamp() * 1000)}"
            ),
            "PipelineExecutionDescription": request.get("PipelineExecutionDescription"),
            "PipelineExecutionStatus": "Executing",
            "ParallelismConfiguration": parallelism,
            "CreationTime": moment,
            "LastModifiedTime": moment,
            "CreatedBy": user,
            "LastModifiedBy": user,
        }
        self.runs: dict[str, StepRun] = {}
        self.done = threading.Event()
        self._stop = threading.Event()
        self._stopped_by_user = False
        self._changed = threading.Condition(self.core.lock)

    # what the API shows

    @property
    def status(self) -> str:
        return str(self.record["PipelineExecutionStatus"])

    def snapshot(self) -> dict[str, Any]:
        """The execution's record as it is now."""
        with self.core.lock:
            return dict(self.record)

    def step_rows(self) -> list[dict[str, Any]]:
        """The steps that were started, in that order."""
        with self.core.lock:
            return [dict(run.row) for run in self.runs.values()]

    def request_stop(self) -> bool:
        """Asks the execution to stop; False when it is over."""
        with self.core.lock:
            if self.status != "Executing":
                return False
            self._stopped_by_user = True
            self.record.update(PipelineExecutionStatus="Stopping", LastModifiedTime=shapes.now())
            self._stop.set()
            self._changed.notify_all()
        # Events are sent without the lock: a target of theirs may call SageMaker before it returns.
        self._emit("Stopping", "Executing")
        return True

    # the runner

    def run(self) -> None:
        """Runs to the end."""
        try:
            self._emit("Executing", None)
            with self._changed:
                while True:
                    running = [
                        run
                        for run in self.runs.values()
                        if run.status in ("Starting", "Executing", "Stopping")
                    ]
                    ready = [] if self._halted() else self._ready()
                    if not running and not ready:
                        break
                    for step in ready[: max(0, self.parallel - len(running))]:
                        self.runs[step.name] = StepRun(step)
                        self.core.spawn(
                            f"step-{step.name}", functools.partial(self._run_step, self.runs[step.name])
                        )
                    self._changed.wait(timeout=1.0)
            failed = [run for run in self.runs.values() if run.status == "Failed"]
            if failed:
                self.record["FailureReason"] = "Step failure: One or multiple steps failed."
                self._set_status("Failed")
            else:
                self._set_status(
                    "Stopped" if self._stopped_by_user or self.core.closing.is_set() else "Succeeded"
                )
        except Exception as error:
            self.record["FailureReason"] = f"InternalServerError: {type(error).__name__}: {error}"
            self._set_status("Failed")
            raise
        finally:
            self.done.set()
        detail = "; ".join(f"{run.step.name}: {run.row.get('FailureReason')}" for run in failed)
        self.core.host.note(
            "pipeline",
            f"pipeline {self.pipeline_name} {self.status}" + (f": {detail}" if detail else ""),
            name=self.pipeline_name,
            status=self.status,
        )

    def _halted(self) -> bool:
        return self._stop.is_set() or self.core.closing.is_set()

    def _ready(self) -> list[Step]:
        found = []
        for step in self.definition.steps.values():
            if step.name in self.runs:
                continue
            if all(self._succeeded(name) for name in step.depends_on) and self._chosen(step):
                found.append(step)
        return found

    def _succeeded(self, name: str) -> bool:
        run = self.runs.get(name)
        return run is not None and run.status == "Succeeded"

    def _chosen(self, step: Step) -> bool:
        if step.parent is None:
            return True
        if not self._succeeded(step.parent):
            return False
        outcome = self.runs[step.parent].properties["Outcome"]
        return step.branch == ("IfSteps" if outcome == "True" else "ElseSteps")

    def _set_status(self, status: str) -> None:
        with self.core.lock:
            before = self.status
            self.record.update(PipelineExecutionStatus=status, LastModifiedTime=shapes.now())
        self._emit(status, before)

    def _emit(self, status: str, before: str | None) -> None:
        detail: dict[str, Any] = {
            "pipelineExecutionDisplayName": self.record["PipelineExecutionDisplayName"],
            "currentPipelineExecutionStatus": status,
            "executionStartTime": shapes.iso(self.record["CreationTime"]),
            "pipelineArn": self.pipeline_arn,
            "pipelineExecutionArn": self.arn,
        }
        if before:
            detail["previousPipelineExecutionStatus"] = before
        if self.record.get("PipelineExecutionDescription"):
            detail["pipelineExecutionDescription"] = self.record["PipelineExecutionDescription"]
        if status in ("Succeeded", "Failed", "Stopped"):
            detail["executionEndTime"] = shapes.iso(shapes.now())
        self.core.emit(
            "SageMaker Model Building Pipeline Execution Status Change", detail, [self.pipeline_arn, self.arn]
        )

    def _set_step(self, run: StepRun, status: str, **fields: Any) -> None:
        with self._changed:
            before = run.status
            run.row.update(StepStatus=status, **fields)
            if status in ("Succeeded", "Failed", "Stopped"):
                run.row["EndTime"] = shapes.now()
        detail: dict[str, Any] = {
            "metadata": _lower(run.row["Metadata"]),
            "stepStartTime": shapes.iso(run.row["StartTime"]),
            "stepName": run.step.name,
            "stepType": run.step.type,
            "previousStepStatus": before,
            "currentStepStatus": status,
            "pipelineArn": self.pipeline_arn,
            "pipelineExecutionArn": self.arn,
        }
        if run.row.get("EndTime"):
            detail["stepEndTime"] = shapes.iso(run.row["EndTime"])
        if run.row.get("FailureReason"):
            detail["failureReason"] = run.row["FailureReason"]
        if run.row.get("CacheHitResult"):
            detail["cacheHitResult"] = {
                "sourcePipelineExecutionArn": run.row["CacheHitResult"]["SourcePipelineExecutionArn"]
            }
        try:
            self.core.emit(
                "SageMaker Model Building Pipeline Execution Step Status Change",
                detail,
                [self.pipeline_arn, self.arn],
            )
        finally:
            with self._changed:
                self._changed.notify_all()

    def _run_step(self, run: StepRun) -> None:
        name = run.step.name
        try:
            self._set_step(run, "Executing")
            self._attempts(run)
            status, reason = (
                ("Stopped", None) if self._halted() and not run.properties else ("Succeeded", None)
            )
        except StepFailure as error:
            status, reason = "Failed", str(error)
        except (Unresolved, StorageError) as error:
            status, reason = "Failed", f"ClientError: {error}"
        except ApiError as error:
            status, reason = "Failed", f"ClientError: {error.message}"
        except Exception as error:
            status, reason = "Failed", f"InternalServerError: {type(error).__name__}: {error}"
        if status == "Failed" and self._halted() and run.step.type != "Fail":
            status, reason = "Stopped", None
        fields = {"FailureReason": (reason or "")[:1024]} if reason else {}
        self._set_step(run, status, **fields)
        text = f"step {name} {status}" + (f": {reason}" if reason else "")
        seconds = (run.row["EndTime"] - run.row["StartTime"]).total_seconds()
        self.core.host.note(
            "step", text, name=name, status=status, pipeline=self.pipeline_name, seconds=seconds
        )

    def _attempts(self, run: StepRun) -> None:
        policies = [policy for policy in run.step.raw.get("RetryPolicies") or () if isinstance(policy, dict)]
        used: dict[int, int] = {}
        begun = shapes.now()
        while True:
            try:
                fault = self.core.take_fault("step-fault", step=run.step.name)
                if fault:
                    kind = str(fault.get("exception", "Step.SERVICE_FAULT"))
                    raise StepFailure(f"{kind}: a fault that the rehearsal plays on purpose", kind)
                self._do(run)
                return
            except StepFailure as error:
                policy = next(
                    (
                        index
                        for index, each in enumerate(policies)
                        if error.retry_type in each.get("ExceptionType", ())
                    ),
                    None,
                )
                if policy is None or self._halted():
                    raise
                chosen, count = policies[policy], used.get(policy, 0)
                limit, expire = chosen.get("MaxAttempts"), chosen.get("ExpireAfterMin")
                late = expire is not None and shapes.now() - begun > dt.timedelta(minutes=expire)
                if late or (limit is not None and count >= limit):
                    raise
                used[policy] = count + 1
                run.row["AttemptCount"] += 1
                pause = (
                    float(chosen.get("IntervalSeconds", 1)) * float(chosen.get("BackoffRate", 2.0)) ** count
                )
                self.core.host.note(
                    "step",
                    f"step {run.step.name} is tried again in {pause:g} s: {error}",
                    name=run.step.name,
                    status="Retrying",
                )
                self._stop.wait(min(pause, 5.0))


def _lower(metadata: dict[str, Any]) -> dict[str, Any]:
    """Metadata as events spell it: members begin with a small letter."""
    return {
        key[:1].lower() + key[1:]: _lower(value) if isinstance(value, dict) else value
        for key, value in metadata.items()
    }
