"""Plays batch transform jobs: starts the model of each job, sends it the records, writes `<file>.out` for each file.

SageMaker AI developer guide: "Batch transform for inference with Amazon SageMaker AI", "Use Your Own Inference Code with
Batch Transform"; defaults and limits: botocore model `sagemaker`, CreateTransformJob. Data are read and written as the
execution role of the model.
"""

from __future__ import annotations

import bz2
import gzip
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..host import ApiError
from . import service_shapes as shapes
from .job_keys import authorize_instances, output_key
from .job_runner import Job, JobFailure, JobRunner
from .serving import Fleet, LoadFailure, ModelFailure
from .storage import Storage, relative, split
from .transform_records import CSV, JSON, BadRecord, JsonPath, batches, join, parse, render, split_lines

_DEFAULT_PAYLOAD_MB = 6


class TransformJobs(JobRunner):
    """Batch transform jobs."""

    model: Callable[[str], dict[str, Any]]

    def create_transform(self, request: dict[str, Any], caller: str) -> dict[str, Any]:
        used = self.model(request["ModelName"])
        _check(request)
        instances = request["TransformResources"]
        authorize_instances(self.core.host, instances, caller, used["ExecutionRoleArn"])
        return {"TransformJobArn": self._begin("Transform", request, lambda job: self._transform(job, used))}

    def _transform(self, job: Job, used: dict[str, Any]) -> None:
        request, role = job.record, used["ExecutionRoleArn"]
        job.record["TransformStartTime"] = shapes.now()
        self._set(job, "InProgress")
        several = len(used.get("Containers") or ()) > 1
        if several and _by_lines(request) and request.get("BatchStrategy") != "SingleRecord":
            raise JobFailure(
                f"ClientError: the model {used['ModelName']} has several containers, which answer MultiRecord requests"
                " wrongly: set BatchStrategy SingleRecord"
            )
        for wanted, told in (
            (
                request["TransformResources"]["InstanceCount"] > 1,
                "asks for several instances; one process plays them",
            ),
            (request.get("DataCaptureConfig"), "has a data capture, which is recorded but captures nothing"),
        ):
            if wanted:
                self.core.host.note("not-rehearsed", f"{job.name} {told}")
        storage = Storage(self.core.host, role)
        files = self._files(storage, request["TransformInput"])
        key = output_key(self.core.host, request["TransformOutput"].get("KmsKeyId"), role)
        fleet = Fleet(
            self.core, self.images, used, job.name, "/aws/sagemaker/TransformJobs", _environment(request)
        )
        try:
            fleet.start()
        except LoadFailure as error:
            raise JobFailure(f"AlgorithmError: {error}") from error
        failures: list[str] = []
        try:
            for uri, name in files:
                if job.stop.is_set():
                    return
                try:
                    out = _File(request, fleet, job).transform(storage.read(uri))
                except (BadRecord, ModelFailure, UnicodeDecodeError, OSError, EOFError) as error:
                    # One record that fails loses its file; the others are transformed all the same.
                    failures.append(f"{uri}: {error}")
                    continue
                target = f"{request['TransformOutput']['S3OutputPath'].rstrip('/')}/{name}.out"
                storage.put(target, out, key)
        finally:
            fleet.end()
        if failures:
            raise JobFailure(f"AlgorithmError: {len(failures)} of {len(files)} files failed. {failures[0]}")

    def _files(self, storage: Storage, given: dict[str, Any]) -> list[tuple[str, str]]:
        """The objects to transform, each with the name that its output has."""
        source = given["DataSource"]["S3DataSource"]
        uri = source["S3Uri"]
        bucket, prefix = split(uri)
        if source["S3DataType"] == "ManifestFile":
            prefix_uri, names = self._manifest(storage, uri)
            found = [(prefix_uri + name, name) for name in names]
        elif source["S3DataType"] == "S3Prefix":
            keys = [key for key in storage.list(bucket, prefix) if not key.endswith("/")]
            found = [(f"s3://{bucket}/{key}", relative(key, prefix)) for key in keys]
        else:
            raise JobFailure(f"ClientError: S3DataType {source['S3DataType']} is not played by the rehearsal")
        if not found:
            raise JobFailure(f'ClientError: No S3 objects found under S3 URL "{uri}"')
        return found


def _by_lines(request: dict[str, Any]) -> bool:
    return bool(request["TransformInput"].get("SplitType") == "Line")


def _check(request: dict[str, Any]) -> None:
    """What CreateTransformJob refuses, and what is not played."""
    given, wanted = request["TransformInput"], request["TransformOutput"]
    processing = request.get("DataProcessing") or {}
    problems = []
    if given.get("SplitType") in ("RecordIO", "TFRecord"):
        problems.append(f"SplitType {given['SplitType']} is not played by the rehearsal")
    if request.get("BatchStrategy") == "MultiRecord" and not _by_lines(request):
        problems.append("BatchStrategy MultiRecord needs SplitType Line")
    if request.get("MaxPayloadInMB") == 0:
        problems.append("MaxPayloadInMB 0 (streaming) is not played by the rehearsal")
    if (
        int(request.get("MaxPayloadInMB", _DEFAULT_PAYLOAD_MB))
        * int(request.get("MaxConcurrentTransforms", 1))
        > 100
    ):
        problems.append("MaxPayloadInMB times MaxConcurrentTransforms must not be more than 100")
    for member in ("InputFilter", "OutputFilter"):
        try:
            JsonPath(processing.get(member) or "$")
        except ValueError as error:
            problems.append(f"{member}: {error}")
    if _processes(processing):
        kinds = (given.get("ContentType"), wanted.get("Accept"))
        if kinds[0] != kinds[1] or kinds[0] not in (CSV, *JSON):
            problems.append(
                f"DataProcessing needs ContentType and Accept to be the same of {CSV}, {', '.join(JSON)}; they are"
                f" {kinds[0]} and {kinds[1]}"
            )
        if kinds[0] == CSV and not (_by_lines(request) and wanted.get("AssembleWith") == "Line"):
            problems.append(f"DataProcessing of {CSV} needs SplitType Line and AssembleWith Line")
    if problems:
        raise ApiError("ValidationException", "; ".join(problems))


def _processes(processing: dict[str, Any]) -> bool:
    filters = (processing.get("InputFilter") or "$", processing.get("OutputFilter") or "$")
    return filters != ("$", "$") or processing.get("JoinSource") == "Input"


def _environment(request: dict[str, Any]) -> dict[str, str]:
    """Values that the caller did not set are not passed."""
    words = {"SingleRecord": "SINGLE_RECORD", "MultiRecord": "MULTI_RECORD"}
    settings = {
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": request.get("MaxPayloadInMB"),
        "SAGEMAKER_BATCH_STRATEGY": words.get(request.get("BatchStrategy", "")),
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": request.get("MaxConcurrentTransforms"),
    }
    passed = {name: str(value) for name, value in settings.items() if value is not None}
    return {"SAGEMAKER_BATCH": "true", **passed, **(request.get("Environment") or {})}


class _File:
    """The transformation of one file."""

    def __init__(self, request: dict[str, Any], fleet: Fleet, job: Job) -> None:
        self.request, self.fleet, self.job = request, fleet, job
        self.kind: str = request["TransformInput"].get("ContentType") or ""
        self.accept: str = request["TransformOutput"].get("Accept") or ""
        processing = request.get("DataProcessing") or {}
        self.processes = _processes(processing)
        self.joins = processing.get("JoinSource") == "Input"
        self.input_filter = JsonPath(processing.get("InputFilter") or "$")
        self.output_filter = JsonPath(processing.get("OutputFilter") or "$")
        self.limit = int(request.get("MaxPayloadInMB", _DEFAULT_PAYLOAD_MB)) * 1024 * 1024

    def transform(self, body: bytes) -> bytes:
        """What the output file holds."""
        compression = self.request["TransformInput"].get("CompressionType", "None")
        body = {"Gzip": gzip.decompress, "Bzip2": bz2.decompress}.get(compression, bytes)(body)
        records = split_lines(body) if _by_lines(self.request) else [body]
        one_by_one = self.request.get("BatchStrategy") == "SingleRecord" or not _by_lines(self.request)
        threads = int(self.request.get("MaxConcurrentTransforms", 1))
        with ThreadPoolExecutor(max_workers=max(1, threads)) as pool:
            answers = list(pool.map(self._answer, batches(records, self.limit, one_by_one=one_by_one)))
        if self.request["TransformOutput"].get("AssembleWith") == "Line":
            return b"".join(answer.removesuffix(b"\n") + b"\n" for answer in answers)
        return b"".join(answers)

    def _answer(self, batch: list[bytes]) -> bytes:
        if self.job.stop.is_set():
            raise BadRecord("the job was stopped")
        sent = batch
        if self.input_filter.steps:
            sent = [render(self.input_filter.select(parse(record, self.kind)), self.kind) for record in batch]
        payload = b"\n".join(sent) + (b"\n" if len(sent) > 1 else b"")
        if len(payload) > self.limit:
            raise BadRecord(
                f"a record of {len(payload)} bytes is larger than MaxPayloadInMB allows ({self.limit} bytes)"
            )
        answered = self._invoke(payload)
        return self._processed(batch, answered) if self.processes else answered

    def _invoke(self, payload: bytes) -> bytes:
        headers = {"Content-Type": self.kind, "Accept": self.accept}
        retries = int((self.request.get("ModelClientConfig") or {}).get("InvocationsMaxRetries", 0))
        while True:
            try:
                return self.fleet.invoke(payload, {key: value for key, value in headers.items() if value})[0]
            except ModelFailure as failure:
                if retries == 0 or 400 <= failure.status < 500:
                    raise ModelFailure(
                        failure.container,
                        failure.status,
                        f"container {failure.container} answered {failure.status}: {failure.message}",
                    ) from failure
                retries -= 1

    def _processed(self, batch: list[bytes], answered: bytes) -> bytes:
        rows = split_lines(answered) if _by_lines(self.request) else [answered]
        if len(rows) != len(batch):
            raise BadRecord(f"the model answered {len(rows)} records to {len(batch)}")
        out = []
        for record, row in zip(batch, rows, strict=True):
            value = parse(row, self.kind)
            if self.joins:
                value = join(parse(record, self.kind), value, self.kind)
            out.append(render(self.output_filter.select(value), self.kind))
        return b"\n".join(out)
