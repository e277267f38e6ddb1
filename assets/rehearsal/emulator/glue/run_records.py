"""The records of Glue job runs, and their logs in CloudWatch.

The fields are those of GetJobRun (botocore model `glue`, `JobRun`); the log groups are those of "Monitoring AWS Glue
Spark jobs" and "Logging for AWS Glue jobs" in the AWS Glue developer guide.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from emulator.glue.arguments import JobArguments

__all__ = ["SPARK", "execution_property", "log_places", "new_run", "own_arguments", "write_log"]

SPARK = ("glueetl", "gluestreaming")
MOST_LINES = 2000
LONGEST_LINE = 20_000


def new_run(job: Mapping[str, Any], data: Mapping[str, Any], run_id: str, attempt: int) -> dict[str, Any]:
    """A run as GetJobRun shows it, about to start."""
    now = time.time()
    given = dict(data.get("Arguments") or {})
    return {
        "Id": run_id,
        "Attempt": attempt,
        "JobName": job["Name"],
        "StartedOn": now,
        "LastModifiedOn": now,
        "JobRunState": "STARTING",
        "Arguments": {**(job.get("DefaultArguments") or {}), **given},
        "ErrorMessage": "",
        "PredecessorRuns": [],
        "AllocatedCapacity": int(data.get("NumberOfWorkers") or job.get("NumberOfWorkers") or 2),
        "ExecutionTime": 0,
        "Timeout": int(data.get("Timeout") or job.get("Timeout") or 2880),
        "WorkerType": data.get("WorkerType") or job.get("WorkerType") or "G.1X",
        "NumberOfWorkers": int(data.get("NumberOfWorkers") or job.get("NumberOfWorkers") or 2),
        "LogGroupName": "/aws-glue/jobs",
        "GlueVersion": job.get("GlueVersion") or "5.1",
        "ExecutionClass": data.get("ExecutionClass") or job.get("ExecutionClass") or "STANDARD",
    }


def own_arguments(run: Mapping[str, Any], given: Mapping[str, str], kind: str) -> dict[str, str]:
    """What Glue itself adds for the script."""
    if kind not in SPARK:
        return dict(given)
    bookmark = run["Arguments"].get("--job-bookmark-option", "job-bookmark-disable")
    return {
        "--job-bookmark-option": bookmark,
        "--JOB_NAME": run["JobName"],
        "--JOB_RUN_ID": run["Id"],
        **given,
    }


def execution_property(data: Mapping[str, Any]) -> dict[str, int]:
    """How many runs may be active at once: one, unless the job sets another number."""
    return {"MaxConcurrentRuns": int((data.get("ExecutionProperty") or {}).get("MaxConcurrentRuns") or 1)}


def log_places(
    run: Mapping[str, Any], kind: str, arguments: JobArguments, succeeded: bool
) -> tuple[list[str], str]:
    """The log groups of a run and the stream in each: prefixes exist from Glue 5 on, continuous logging before."""
    own = kind in SPARK and int(str(run["GlueVersion"]).split(".")[0]) >= 5
    base = "/aws-glue/jobs" if kind in SPARK else "/aws-glue/python-jobs"
    if own and arguments.log_group_prefix:
        base = arguments.log_group_prefix
    groups = [f"{base}/output"]
    if arguments.log_group and not own:
        groups.append(arguments.log_group)
    if not succeeded:
        groups.append(f"{base}/error")
    prefix = arguments.log_stream_prefix if own else ""
    return groups, f"{prefix}-driver" if prefix else run["Id"]


def write_log(logs: Any, groups: Sequence[str], stream: str, text: str) -> None:
    """Puts the last lines into each group; raises `ClientError` when the role is not permitted to."""
    now = int(time.time() * 1000)
    lines = [line[:LONGEST_LINE] for line in text.splitlines() if line.strip()][-MOST_LINES:]
    if not lines:
        return
    for group in groups:
        try:
            _unless_there(logs.create_log_stream, logGroupName=group, logStreamName=stream)
        except ClientError as missing:
            # For a group that exists, no permission to create groups is needed.
            if missing.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
            _unless_there(logs.create_log_group, logGroupName=group)
            _unless_there(logs.create_log_stream, logGroupName=group, logStreamName=stream)
        events = [{"timestamp": now, "message": line} for line in lines]
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


def _unless_there(call: Any, **named: str) -> None:
    try:
        call(**named)
    except ClientError as known:
        if known.response["Error"]["Code"] != "ResourceAlreadyExistsException":
            raise
