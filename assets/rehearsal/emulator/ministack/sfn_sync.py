"""Plays tasks that start a job and wait for its end: `glue:startJobRun.sync`, `sagemaker:create...Job.sync`.

The role needs the permissions to start, describe and stop the job and, for SageMaker, to keep the rule that reports
its end (Step Functions developer guide: "Discover service integration patterns in Step Functions", "Start an AWS Glue
job with Step Functions", "Create and manage Amazon SageMaker AI jobs with Step Functions").
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from emulator.host import Host
from emulator.ministack.sfn_calls import Optimised, TaskError, call_optimised, plain

__all__ = ["check_managed_rule", "dispatch"]

GLUE = Optimised("glue", "Glue", "AWSGlueException")
SAGEMAKER = Optimised("sagemaker", "SageMaker", "AmazonSageMakerException")
FIRST_POLL_SECONDS = 0.1
LONGEST_POLL_SECONDS = 0.5

JOBS = {
    "createProcessingJob": ("ProcessingJob", "StepFunctionsGetEventsForSageMakerProcessingJobsRule"),
    "createTrainingJob": ("TrainingJob", "StepFunctionsGetEventsForSageMakerTrainingJobsRule"),
    "createTransformJob": ("TransformJob", "StepFunctionsGetEventsForSageMakerTransformJobsRule"),
    "createHyperParameterTuningJob": (
        "HyperParameterTuningJob",
        "StepFunctionsGetEventsForSageMakerTuningJobsRule",
    ),
}
"""SageMaker's jobs that a task can wait for, with the EventBridge rule through which Step Functions learns of their end."""

PLAIN = ("createEndpoint", "createEndpointConfig", "createModel", "updateEndpoint")

Dispatch = dict[str, Callable[[str, Any], Any]]
Authorize = Callable[[str, str, str], None]
"""Error name, action, resource: raises the error unless the role of the state machine is permitted to."""


def dispatch(
    host: Host, role: Callable[[], str], stopped: Callable[[], bool], authorize: Authorize
) -> Dispatch:
    """Handlers by the beginning of the task's resource, without `.sync`."""
    jobs = _Jobs(host, role, stopped, authorize)
    table: Dispatch = {"arn:aws:states:::glue:startJobRun": jobs.glue}
    for action in JOBS:
        table[f"arn:aws:states:::sagemaker:{action}"] = jobs.sagemaker_job
    for action in PLAIN:
        table[f"arn:aws:states:::sagemaker:{action}"] = jobs.sagemaker_plain
    # The first entry that a name begins with is used: the longer of two names must come first.
    return dict(sorted(table.items(), key=lambda entry: -len(entry[0])))


def check_managed_rule(authorize: Authorize, host: Host, rule: str) -> None:
    """To learn of the end of a job, Step Functions keeps a rule in the account; the role of the state machine must permit this."""
    arn = f"arn:aws:events:{host.region}:{host.account}:rule/{rule}"
    for action in ("events:PutTargets", "events:PutRule", "events:DescribeRule"):
        authorize("StepFunctions.AWSStepFunctionsException", action, arn)


class _Jobs:
    def __init__(
        self, host: Host, role: Callable[[], str], stopped: Callable[[], bool], authorize: Authorize
    ) -> None:
        self._host = host
        self._role = role
        self._stopped = stopped
        self._authorize = authorize

    def _call(self, kind: Optimised, operation: str, arguments: dict[str, Any]) -> Any:
        return call_optimised(self._host, self._role(), kind, operation, arguments)

    def glue(self, resource: str, data: dict[str, Any]) -> Any:
        """`glue:startJobRun`, with or without `.sync`."""
        started = self._call(GLUE, "StartJobRun", data)
        if not resource.endswith(".sync"):
            return plain(started)
        which = {"JobName": data.get("JobName") or data.get("jobName"), "RunId": started["JobRunId"]}

        def ask() -> tuple[str, Any]:
            run = self._call(GLUE, "GetJobRun", which)["JobRun"]
            return str(run["JobRunState"]), run

        def stop() -> None:
            self._call(GLUE, "BatchStopJobRun", {"JobName": which["JobName"], "JobRunIds": [which["RunId"]]})

        return self._await(
            ask, stop, good="SUCCEEDED", bad=("FAILED", "STOPPED", "TIMEOUT", "ERROR", "EXPIRED")
        )

    def sagemaker_plain(self, resource: str, data: dict[str, Any]) -> Any:
        """`sagemaker:createModel` and the like, which cannot wait."""
        action = resource.rsplit(":", 1)[-1].split(".")[0]
        if resource.endswith(".sync"):
            raise TaskError(
                "States.Runtime",
                f"sagemaker:{action} has no .sync: poll with aws-sdk:sagemaker:describeEndpoint",
            )
        return plain(self._call(SAGEMAKER, action[:1].upper() + action[1:], data))

    def sagemaker_job(self, resource: str, data: dict[str, Any]) -> Any:
        """`sagemaker:createTrainingJob` and the like, with or without `.sync`."""
        action = resource.rsplit(":", 1)[-1].split(".")[0]
        job, rule = JOBS[action]
        if resource.endswith(".sync"):
            check_managed_rule(self._authorize, self._host, rule)
        started = self._call(SAGEMAKER, f"Create{job}", data)
        if not resource.endswith(".sync"):
            return plain(started)
        name = {f"{job}Name": data[f"{job}Name"]}

        def ask() -> tuple[str, Any]:
            described = self._call(SAGEMAKER, f"Describe{job}", name)
            described.pop("ResponseMetadata", None)
            return str(described[f"{job}Status"]), described

        def stop() -> None:
            self._call(SAGEMAKER, f"Stop{job}", name)

        return self._await(ask, stop, good="Completed", bad=("Failed", "Stopped"))

    def _await(
        self, ask: Callable[[], tuple[str, Any]], stop: Callable[[], None], good: str, bad: tuple[str, ...]
    ) -> Any:
        pause = FIRST_POLL_SECONDS
        while True:
            state, job = ask()
            if state == good:
                return plain(job, epoch=True)
            if state in bad:
                raise TaskError("States.TaskFailed", json.dumps(plain(job, epoch=True)))
            if self._stopped():
                stop()
                raise TaskError("States.TaskFailed", "the execution was stopped")
            time.sleep(pause)
            pause = min(pause * 1.3, LONGEST_POLL_SECONDS)
