"""What jobs have in common: their record, their process, their data.

Statuses and fields: botocore model `sagemaker`, DescribeProcessingJob and those of the other kinds.
"""

from __future__ import annotations

import functools
import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..host import AccessDenied, ApiError
from . import service_shapes as shapes
from .container import Container
from .core import Core, Operation, listing, page
from .images import Images
from .storage import Storage, StorageError

REAL_OPT_ML = Path("/opt/ml")
LITERAL_PATHS = (
    "In the rehearsal a container is a process and its /opt/ml is the folder in SAGEMAKER_BASE_DIR: take"
    " paths as arguments or from the environment (both are rewritten), not as literals in the code."
)
_FINAL = ("Completed", "Failed", "Stopped")


@dataclass(frozen=True)
class JobKind:
    """How a kind of job is called in ARNs, in events and in sentences, and the member that tells when it ended."""

    arn: str
    event: str
    noun: str
    end: str


KINDS = {
    "Processing": JobKind("processing-job", "Processing", "processing", "ProcessingEndTime"),
    "Training": JobKind("training-job", "Training", "training", "TrainingEndTime"),
    "Transform": JobKind("transform-job", "Transform", "transform", "TransformEndTime"),
    "HyperParameterTuning": JobKind(
        "hyper-parameter-tuning-job", "HyperParameter Tuning", "tuning", "HyperParameterTuningEndTime"
    ),
}


class JobFailure(Exception):
    """Ends a job as Failed with this reason."""


class Job:
    """A job's record and its progress."""

    def __init__(self, kind: str, name: str, record: dict[str, Any]) -> None:
        self.kind, self.name, self.record = kind, name, record
        self.stop = threading.Event()
        self.done = threading.Event()

    @property
    def status_key(self) -> str:
        return f"{self.kind}JobStatus"

    @property
    def status(self) -> str:
        return str(self.record[self.status_key])


class JobRunner:
    """Keeps the jobs of the account and runs them."""

    def __init__(self, core: Core, images: Images) -> None:
        self.core = core
        self.images = images
        self.tables: dict[str, dict[str, Job]] = {kind: {} for kind in KINDS}
        """The jobs of each kind by name."""

    def find(self, kind: str, name: str) -> Job:
        """A job by kind, one of `KINDS`, and name."""
        with self.core.lock:
            job = self.tables[kind].get(name)
        if job is None:
            raise ApiError(
                "ResourceNotFound",
                f"Requested resource not found: {KINDS[kind].noun} job {name} does not exist.",
                400,
            )
        return job

    def operations(self) -> dict[str, Operation]:
        """The operations that are the same for every kind of job."""
        found: dict[str, Operation] = {}
        for kind in KINDS:
            found[f"Describe{kind}Job"] = functools.partial(self._describe, kind)
            found[f"List{kind}Jobs"] = functools.partial(self._list, kind)
            found[f"Stop{kind}Job"] = functools.partial(self._stop, kind)
        return found

    def _describe(self, kind: str, request: dict[str, Any], _caller: str) -> dict[str, Any]:
        job = self.find(kind, request[f"{kind}JobName"])
        with self.core.lock:
            return shapes.fit(f"Describe{kind}Job", job.record)

    def _list(self, kind: str, request: dict[str, Any], _caller: str) -> dict[str, Any]:
        with self.core.lock:
            rows = [dict(job.record) for job in self.tables[kind].values()]
        if request.get("StatusEquals"):
            rows = [row for row in rows if row[f"{kind}JobStatus"] == request["StatusEquals"]]
        sort = {"Name": f"{kind}JobName", "Status": f"{kind}JobStatus"}
        rows, token = page(request, rows, sort=sort, name_key=f"{kind}JobName")
        return listing(f"List{kind}Jobs", f"{kind}JobSummaries", rows, token)

    def _stop(self, kind: str, request: dict[str, Any], _caller: str) -> dict[str, Any]:
        job = self.find(kind, request[f"{kind}JobName"])
        with self.core.lock:
            if job.status in _FINAL:
                raise ApiError(
                    "ValidationException",
                    f"The job {job.name} is already {job.status} and cannot be stopped.",
                )
            job.record.update({job.status_key: "Stopping", "LastModifiedTime": shapes.now()})
            job.stop.set()
        self._announce(job)
        return {}

    def _set(self, job: Job, status: str, **fields: Any) -> None:
        with self.core.lock:
            if job.status == "Stopping" and status == "InProgress":
                status = "Stopping"
            job.record.update({job.status_key: status, "LastModifiedTime": shapes.now(), **fields})
            secondary = fields.get("SecondaryStatus")
            if secondary:
                transitions = job.record.setdefault("SecondaryStatusTransitions", [])
                if transitions:
                    transitions[-1].setdefault("EndTime", shapes.now())
                transitions.append(
                    {
                        "Status": secondary,
                        "StartTime": shapes.now(),
                        "StatusMessage": _MESSAGES.get(secondary, ""),
                    }
                )
        self._announce(job)

    def _announce(self, job: Job) -> None:
        with self.core.lock:
            detail = shapes.wire(shapes.fit(f"Describe{job.kind}Job", job.record), "ms")
        detail["Tags"] = self.core.tags.get(job.record[f"{job.kind}JobArn"], {})
        self.core.emit(
            f"SageMaker {KINDS[job.kind].event} Job State Change", detail, [job.record[f"{job.kind}JobArn"]]
        )

    def _begin(self, kind: str, request: dict[str, Any], work: Callable[[Job], None]) -> str:
        name = request[f"{kind}JobName"]
        table, noun = self.tables[kind], KINDS[kind].noun
        arn = self.core.arn(KINDS[kind].arn, name)
        record = {key: value for key, value in request.items() if key != "Tags"}
        moment = shapes.now()
        record.update(
            {
                f"{kind}JobArn": arn,
                f"{kind}JobStatus": "InProgress",
                "CreationTime": moment,
                "LastModifiedTime": moment,
            }
        )
        with self.core.lock:
            if name in table:
                raise ApiError(
                    "ResourceInUse",
                    f"Job name must be unique within an AWS account and region, and a {noun} job"
                    f" {arn} already exists.",
                )
            job = table[name] = Job(kind, name, record)
            self.core.set_tags(arn, request.get("Tags"))
        self.core.spawn(f"{noun}-{name}", lambda: self._run(job, work))
        return arn

    def _run(self, job: Job, work: Callable[[Job], None]) -> None:
        host = self.core.host
        begun = time.monotonic()
        noun = KINDS[job.kind].noun
        host.note("job", f"{noun} job {job.name} started", name=job.name, status="InProgress")
        secondary = job.kind == "Training"
        try:
            work(job)
            status, reason = ("Stopped" if job.stop.is_set() else "Completed"), None
        except (JobFailure, StorageError, AccessDenied, ApiError) as error:
            status = "Stopped" if job.stop.is_set() and not isinstance(error, AccessDenied) else "Failed"
            reason = _reason(error)
        except Exception as error:
            status, reason = "Failed", f"InternalServerError: {type(error).__name__}: {error}"
        fields: dict[str, Any] = {KINDS[job.kind].end: shapes.now()}
        if status == "Failed":
            fields["FailureReason"] = (reason or "")[:1024]
        if secondary and not (
            status == "Stopped" and job.record.get("SecondaryStatus") == "MaxRuntimeExceeded"
        ):
            fields["SecondaryStatus"] = status
        if secondary and job.record.get("TrainingStartTime"):
            seconds = max(1, round(time.monotonic() - begun))
            fields.update(TrainingTimeInSeconds=seconds, BillableTimeInSeconds=seconds)
        try:
            self._set(job, status, **fields)
        finally:
            job.done.set()
        seconds_text = f"{time.monotonic() - begun:.1f} s"
        detail = f": {reason}" if status == "Failed" else ""
        host.note(
            "job",
            f"{noun} job {job.name} {status} after {seconds_text}{detail}",
            name=job.name,
            status=status,
        )

    def _download(self, storage: Storage, kind: str, uri: str, folder: Path, name: str) -> None:
        try:
            if kind == "ManifestFile":
                count = self._download_manifest(storage, uri, folder)
            elif kind == "S3Prefix":
                count = storage.download(uri, folder)
            else:
                raise JobFailure(f"ClientError: S3DataType {kind} is not played by the rehearsal")
        except StorageError as error:
            raise JobFailure(
                f"ClientError: Failed to download data for input {name} from {uri}: {error}"
            ) from error
        if count == 0:
            bucket = uri[5:].partition("/")[0]
            raise JobFailure(
                f'ClientError: Failed to download data. No S3 objects found under S3 URL "{uri}" given in'
                f" input data source {name}. Please ensure that the bucket {bucket} exists in the selected"
                f' region, that objects exist under that prefix, and that the role "{storage.role_arn}" has'
                ' "s3:ListBucket" permissions on it.'
            )

    @staticmethod
    def _manifest(storage: Storage, uri: str) -> tuple[str, list[str]]:
        """The prefix and the names of a manifest."""
        try:
            entries = json.loads(storage.read(uri))
            return str(entries[0]["prefix"]), [str(name) for name in entries[1:]]
        except (ValueError, LookupError, TypeError) as error:
            raise JobFailure(
                f'ClientError: {uri} is not a manifest; it must look like [{{"prefix": "s3://b/p/"}}, "file"]'
            ) from error

    def _download_manifest(self, storage: Storage, uri: str, folder: Path) -> int:
        prefix, names = self._manifest(storage, uri)
        for name in names:
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(storage.read(prefix + name))
        return len(names)

    def _execute(
        self,
        job: Job,
        container: Container,
        image: str,
        argv: list[str],
        environment: dict[str, str],
        limit: float,
        on_line: Callable[[str], None],
    ) -> None:
        def line(text: str) -> None:
            on_line(text)
            self.core.host.note("log", text, name=job.name)

        deadline = time.monotonic() + limit
        there_before = REAL_OPT_ML.exists()
        try:
            command = container.command(argv)
        except FileNotFoundError as error:
            raise JobFailure(f"AlgorithmError: {error}, exit code: 127 (image {image})") from error
        code = container.run(command, environment, timeout=limit, stop=job.stop, on_line=line)
        if REAL_OPT_ML.exists() and not there_before:
            raise JobFailure(f"ClientError: the program wrote to {REAL_OPT_ML} itself. {LITERAL_PATHS}")
        if code is None:
            if not job.stop.is_set() and not self.core.closing.is_set() and time.monotonic() >= deadline:
                job.stop.set()
                fields = {"SecondaryStatus": "MaxRuntimeExceeded"} if job.kind == "Training" else {}
                job.record["ExitMessage"] = f"MaxRuntimeExceeded: the job ran longer than {limit:g} seconds"
                self._set(job, "Stopping", **fields)
            return
        if code != 0:
            # Training jobs leave their reason in `failure`, processing jobs in `message`.
            files = [container.opt_ml / "output" / name for name in ("failure", "message")]
            reason = next((file.read_text(errors="replace").strip() for file in files if file.is_file()), "")
            tail = reason or " | ".join(text for text in list(container.tail)[-12:] if text.strip())
            code = 128 - code if code < 0 else code
            if not reason and any(
                "No such file" in text and f"'{REAL_OPT_ML}/" in text for text in container.tail
            ):
                tail = f"{tail} | {LITERAL_PATHS}"
            head, foot = "AlgorithmError: ", f", exit code: {code} (image {image}, log: {container.log_file})"
            room = 1024 - len(head) - len(foot)
            raise JobFailure(f"{head}{tail[-room:] if not reason else tail[:room]}{foot}")


_MESSAGES = {
    "Starting": "Preparing the instances for training",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopped": "Training job stopped",
}


def _reason(error: Exception) -> str:
    if isinstance(error, ApiError):
        return f"ClientError: {error.message}"
    text = str(error)
    return text if re.match(r"\w+Error: ", text) else f"ClientError: {text}"
