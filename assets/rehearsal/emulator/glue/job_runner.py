"""Plays Glue job runs: PySpark scripts in local Spark, Python shell jobs as plain processes, as the role of the job.

Glue downloads the script and its libraries from S3, runs them, writes what they print to CloudWatch Logs, retries a
failed run up to `MaxRetries` times and sends `Glue Job State Change` to EventBridge (Glue developer guide: "Jobs",
"Automating with EventBridge"; states and fields: botocore model `glue`, `JobRun`).
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from emulator.glue.arguments import JobArguments, read_arguments
from emulator.glue.java import NoJava
from emulator.glue.run_records import SPARK, log_places, new_run, own_arguments, write_log
from emulator.glue.shell_job import ShellRun, read_log
from emulator.glue.spark import Outcome, SparkJob, SparkPool
from emulator.host import Host

__all__ = ["JobRunner"]

STAND_IN = Path(__file__).resolve().parent / "awsglue_standin"
LINES_REPORTED = 20


class Running(Protocol):
    """A script that runs, in whatever process."""

    log: Path

    def wait(self, seconds: float | None) -> Outcome | None: ...

    def stop(self) -> None: ...

    def discard(self) -> None: ...


class JobRunner:
    """Every run of every job, from start to end. `record` adds a run to those that the service shows."""

    def __init__(self, host: Host, record: Callable[[dict[str, Any]], None]) -> None:
        self._host = host
        self._record = record
        self._pool = SparkPool(host.work)
        self._lock = threading.Lock()
        self._running: dict[str, Running] = {}
        self._asked_to_stop: set[str] = set()

    def prepare_for(self, job: Mapping[str, Any]) -> None:
        """Warms Spark up while the rest of the stack deploys."""
        if job.get("Command", {}).get("Name") in SPARK:
            self._pool.warm()

    def close(self) -> None:
        """Ends every run."""
        with self._lock:
            running = list(self._running.values())
            self._running.clear()
        for one in running:
            one.stop()
        self._pool.close()

    def stop(self, run: dict[str, Any]) -> None:
        """Ends a run, which is then `STOPPED`."""
        run["JobRunState"] = "STOPPING"
        with self._lock:
            self._asked_to_stop.add(run["Id"])
            running = self._running.get(run["Id"])
        if running is not None:
            running.stop()

    def begin(self, run: dict[str, Any], job: dict[str, Any], given: Mapping[str, str]) -> None:
        """Starts a run, which is kept up to date in `run`. `given`: the arguments of the call that asked for it."""
        context = contextvars.copy_context()
        arguments = (self._run, run, job, dict(given))
        threading.Thread(
            target=context.run, args=arguments, daemon=True, name=f"glue-{run['Id'][:10]}"
        ).start()

    def _run(self, run: dict[str, Any], job: dict[str, Any], given: dict[str, str]) -> None:
        try:
            self._attempt(run, job, given)
        except (ClientError, BotoCoreError, NoJava, ValueError, RuntimeError, OSError) as problem:
            self._end(run, "FAILED", str(problem))
        except Exception as problem:
            self._end(run, "FAILED", f"{type(problem).__name__}: {problem}")
        finally:
            with self._lock:
                self._running.pop(run["Id"], None)
        if run["JobRunState"] == "FAILED" and run["Attempt"] < int(job.get("MaxRetries") or 0):
            self._again(run, job, given)

    def _attempt(self, run: dict[str, Any], job: dict[str, Any], given: dict[str, str]) -> None:
        role = _role_arn(job.get("Role", ""), self._host.account)
        kind = job.get("Command", {}).get("Name", "")
        if kind not in (*SPARK, "pythonshell"):
            raise ValueError(
                f"a job with command {kind} is not played: glueetl, gluestreaming and pythonshell are"
            )
        self._host.note(
            "job", f"Glue job {run['JobName']} started", service="glue", job=run["JobName"], run=run["Id"]
        )
        arguments = read_arguments(
            run["Arguments"], own_arguments(run, given, kind), job.get("NonOverridableArguments") or {}
        )
        for remark in arguments.remarks:
            self._host.note(
                "warning", f"Glue job {run['JobName']}: {remark}", service="glue", job=run["JobName"]
            )
        spark_job = self._prepare(run, job, role, arguments)
        running: Running = self._pool.run(spark_job) if kind in SPARK else ShellRun(spark_job)
        with self._lock:
            self._running[run["Id"]] = running
            stopping = run["Id"] in self._asked_to_stop
        if stopping:
            running.stop()
        run["JobRunState"] = "STOPPING" if stopping else "RUNNING"
        outcome = running.wait(float(run["Timeout"]) * 60 if run["Timeout"] else None)
        if outcome is None:
            running.stop()
        log = read_log(running.log)
        running.discard()
        self._write_log(role, run, kind, arguments, log, outcome is not None and outcome.succeeded)
        self._conclude(run, outcome, arguments, log)

    def _prepare(
        self, run: dict[str, Any], job: dict[str, Any], role: str, arguments: JobArguments
    ) -> SparkJob:
        """Fetches the script and what goes with it, as the job's role."""
        folder = self._host.work / "glue" / run["Id"][:15]
        folder.mkdir(parents=True)
        location = job.get("Command", {}).get("ScriptLocation", "")
        script = self._fetch(role, location, folder)
        libraries = []
        for address in arguments.python_files:
            library = self._fetch(role, address, folder / "libraries")
            libraries.append(library.parent if library.suffix == ".py" else library)
        for address in arguments.files:
            self._fetch(role, address, folder)
        return SparkJob(
            script=script,
            arguments=arguments.script,
            environment={**self._host.environment(role), **arguments.environment},
            python_path=[*libraries, STAND_IN],
            properties=arguments.properties,
            folder=folder,
        )

    def _fetch(self, role: str, address: str, folder: Path) -> Path:
        if not address.startswith("s3://") or "/" not in address[5:]:
            raise ValueError(
                f"{address or 'an empty script location'} is not an S3 address: s3://bucket/key expected"
            )
        bucket, _, key = address[5:].partition("/")
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / key.rsplit("/", 1)[-1]
        try:
            body = self._host.client("s3", role).get_object(Bucket=bucket, Key=key)["Body"].read()
        except ClientError as refused:
            error = refused.response["Error"]
            raise ValueError(
                f"{error['Code']}: {error['Message']} (reading {address} as {role})"
            ) from refused
        target.write_bytes(body)
        return target

    def _conclude(
        self, run: dict[str, Any], outcome: Outcome | None, arguments: JobArguments, log: str
    ) -> None:
        if run["Id"] in self._asked_to_stop:
            self._end(run, "STOPPED", "")
        elif outcome is None:
            self._end(run, "TIMEOUT", f"Job run timed out after {run['Timeout']} minutes")
        elif outcome.succeeded:
            self._end(run, "SUCCEEDED", "")
        else:
            missing = arguments.remarks if "ModuleNotFoundError" in outcome.error else ()
            self._end(run, "FAILED", ". ".join([outcome.error, *missing]), log)

    def _end(self, run: dict[str, Any], state: str, error: str, log: str = "") -> None:
        now = time.time()
        run.update(CompletedOn=now, LastModifiedOn=now, ErrorMessage=error[:4000])
        run["ExecutionTime"] = max(1, round(now - run["StartedOn"]))
        run["JobRunState"] = state
        if not error:
            run.pop("ErrorMessage")
        seconds = round(now - run["StartedOn"], 1)
        message = f"Glue job {run['JobName']} {state.lower()} after {seconds} s" + (
            f": {error}" if error else ""
        )
        tail = log.strip().splitlines()[-LINES_REPORTED:] if state == "FAILED" else []
        self._host.note(
            "job",
            message,
            service="glue",
            job=run["JobName"],
            run=run["Id"],
            state=state,
            seconds=seconds,
            log=tail,
        )
        detail = {
            "jobName": run["JobName"],
            "severity": "INFO" if state in ("SUCCEEDED", "STOPPED") else "ERROR",
            "state": state,
            "jobRunId": run["Id"],
            "message": error or f"Job run {state.lower()}",
        }
        self._host.put_event("Glue Job State Change", detail, source="aws.glue")

    def _again(self, run: dict[str, Any], job: dict[str, Any], given: dict[str, str]) -> None:
        attempt = run["Attempt"] + 1
        again = new_run(
            job, {"Arguments": given}, f"{run['Id'].split('_attempt_')[0]}_attempt_{attempt}", attempt
        )
        again["PreviousRunId"] = run["Id"]
        self._record(again)
        self.begin(again, job, given)

    def _write_log(
        self, role: str, run: dict[str, Any], kind: str, arguments: JobArguments, log: str, succeeded: bool
    ) -> None:
        """Writes as the job's role: without the permission the job succeeds and its log is lost."""
        groups, stream = log_places(run, kind, arguments, succeeded)
        try:
            write_log(self._host.client("logs", role), groups, stream, log)
        except ClientError as refused:
            message = f"the log of Glue job {run['JobName']} would be lost on AWS: {refused.response['Error']['Message']}"
            self._host.note("warning", message, service="glue", job=run["JobName"])


def _role_arn(role: str, account: str) -> str:
    return role if role.startswith("arn:") else f"arn:aws:iam::{account}:role/{role}"
