"""Connects Glue's calls about jobs and their runs to the job runner, where MiniStack only keeps records.

StartJobRun refuses arguments that must not be overridden, and more runs at once than the job's `MaxConcurrentRuns`
(operations and errors: botocore model `glue`).
"""

from __future__ import annotations

import threading
import uuid
from typing import Any

from ministack.core.responses import error_response_json, json_response
from ministack.services import glue as service
from ministack.services.cloudformation import provisioners

from emulator.glue.job_runner import JobRunner
from emulator.glue.run_records import execution_property, new_run
from emulator.ministack import glue_crawler
from emulator.ministack.emulator import Emulator

__all__ = ["install"]

ACTIVE = ("STARTING", "RUNNING", "STOPPING", "WAITING")


def install(emulator: Emulator) -> None:
    """Replaces what MiniStack does for StartJobRun, BatchStopJobRun and StartCrawler."""
    runner = JobRunner(emulator.host, _record)
    calls = _Calls(runner)
    create, update = service._create_job, service._update_job

    def create_job(data: dict[str, Any]) -> Any:
        answer = create(data)
        job = service._jobs.get(data.get("Name"))
        if answer[0] == 200 and job is not None:
            job["ExecutionProperty"] = execution_property(data)
            runner.prepare_for(job)
        return answer

    def update_job(data: dict[str, Any]) -> Any:
        answer = update(data)
        changes = data.get("JobUpdate", {})
        if answer[0] == 200 and "ExecutionProperty" in changes:
            service._jobs[data["JobName"]]["ExecutionProperty"] = execution_property(changes)
        return answer

    service._create_job = create_job
    service._update_job = update_job
    service._start_job_run = calls.start
    service._batch_stop_job_run = calls.batch_stop
    # CloudFormation passes only the properties in this table.
    provisioners._GLUE_JOB_DEFAULTS.setdefault("ExecutionProperty", {"MaxConcurrentRuns": 1})
    provisioners._GLUE_JOB_DEFAULTS.setdefault("ExecutionClass", "STANDARD")
    glue_crawler.install(emulator.host)
    emulator.on_stop.append(runner.close)


class _Calls:
    def __init__(self, runner: JobRunner) -> None:
        self._runner = runner
        self._lock = threading.Lock()

    def start(self, data: dict[str, Any]) -> Any:
        """StartJobRun."""
        name = data.get("JobName", "")
        job = service._jobs.get(name)
        if job is None:
            return error_response_json(
                "EntityNotFoundException", f"Failed to start job run due to missing metadata: {name}", 400
            )
        given, fixed = data.get("Arguments") or {}, job.get("NonOverridableArguments") or {}
        clash = sorted(set(given) & set(fixed))
        if clash:
            return error_response_json(
                "InvalidInputException", f"Cannot override the arguments {', '.join(clash)} of {name}", 400
            )
        most = int((job.get("ExecutionProperty") or {}).get("MaxConcurrentRuns", 1))
        with self._lock:
            runs = service._job_runs.get(name, [])
            if sum(run["JobRunState"] in ACTIVE for run in runs) >= most:
                return error_response_json(
                    "ConcurrentRunsExceededException", f"Concurrent runs exceeded for {name}", 400
                )
            run = new_run(job, data, f"jr_{uuid.uuid4().hex}{uuid.uuid4().hex}", 0)
            _record(run)
        self._runner.begin(run, dict(job), given)
        return json_response({"JobRunId": run["Id"]})

    def batch_stop(self, data: dict[str, Any]) -> Any:
        """BatchStopJobRun."""
        name = data.get("JobName", "")
        known = {run["Id"]: run for run in service._job_runs.get(name, [])}
        stopped, errors = [], []
        for run_id in data.get("JobRunIds", []):
            run = known.get(run_id)
            if run is None:
                errors.append(
                    _stop_error(name, run_id, "EntityNotFoundException", f"Job run {run_id} not found")
                )
            elif run["JobRunState"] not in ("STARTING", "RUNNING"):
                errors.append(
                    _stop_error(
                        name, run_id, "InvalidInputException", f"Job run is in state {run['JobRunState']}"
                    )
                )
            else:
                self._runner.stop(run)
                stopped.append({"JobName": name, "JobRunId": run_id})
        return json_response({"SuccessfulSubmissions": stopped, "Errors": errors})


def _record(run: dict[str, Any]) -> None:
    """Adds a run to those of its job, newest first."""
    service._job_runs.setdefault(run["JobName"], []).insert(0, run)


def _stop_error(name: str, run_id: str, code: str, message: str) -> dict[str, Any]:
    return {"JobName": name, "JobRunId": run_id, "ErrorDetail": {"ErrorCode": code, "ErrorMessage": message}}
