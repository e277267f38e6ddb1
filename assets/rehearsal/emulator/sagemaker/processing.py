"""Plays processing jobs: downloads the inputs, runs the entry point, uploads the outputs, as the role of the job.

SageMaker AI developer guide: "How to Build Your Own Processing Container (Advanced Scenario)".
"""

from __future__ import annotations

import re
import time
from typing import Any

from ..host import ApiError
from . import service_shapes as shapes
from .container import Container, LogStream
from .job_keys import authorize_instances, output_key
from .job_runner import Job, JobFailure, JobRunner
from .stand_ins import missing_program
from .storage import Storage


class ProcessingJobs(JobRunner):
    """Processing jobs as processes."""

    def create_processing(self, request: dict[str, Any], caller: str) -> dict[str, Any]:
        for entry in request.get("ProcessingInputs") or ():
            if "DatasetDefinition" in entry:
                raise ApiError(
                    "ValidationException",
                    "DatasetDefinition inputs are not played by the rehearsal; use S3Input.",
                )
            self._local_path(entry.get("S3Input", {}).get("LocalPath"), f"input {entry['InputName']}")
        for entry in (request.get("ProcessingOutputConfig") or {}).get("Outputs") or ():
            if "FeatureStoreOutput" in entry:
                raise ApiError(
                    "ValidationException", "FeatureStoreOutput is not played by the rehearsal; use S3Output."
                )
            self._local_path(entry.get("S3Output", {}).get("LocalPath"), f"output {entry['OutputName']}")
        instances = request["ProcessingResources"]["ClusterConfig"]
        authorize_instances(self.core.host, instances, caller, request["RoleArn"])
        return {"ProcessingJobArn": self._begin("Processing", request, self._process)}

    @staticmethod
    def _local_path(path: str | None, what: str) -> None:
        if path is not None and not re.match(r"/opt/ml/processing(/|$)", path):
            raise ApiError(
                "ValidationException", f"LocalPath of {what} must be below /opt/ml/processing, got {path!r}."
            )

    def _process(self, job: Job) -> None:
        request, role = job.record, job.record["RoleArn"]
        specification = request["AppSpecification"]
        image = specification["ImageUri"]
        self.images.authorize_pull(role, image)
        stand_in = self.images.stand_in(image)
        container = Container(self.core, "jobs", job.name)
        (container.opt_ml / "output").mkdir(exist_ok=True)
        log = LogStream(
            self.core, role, "/aws/sagemaker/ProcessingJobs", f"{job.name}/algo-1-{int(time.time())}"
        )
        storage = Storage(self.core.host, role)
        job.record["ProcessingStartTime"] = shapes.now()
        self._set(job, "InProgress")
        for entry in request.get("ProcessingInputs") or ():
            source = entry["S3Input"]
            folder = container.path(source["LocalPath"])
            folder.mkdir(parents=True, exist_ok=True)
            self._download(
                storage, source.get("S3DataType", "S3Prefix"), source["S3Uri"], folder, entry["InputName"]
            )
        outputs = (request.get("ProcessingOutputConfig") or {}).get("Outputs") or []
        for entry in outputs:
            container.path(entry["S3Output"]["LocalPath"]).mkdir(parents=True, exist_ok=True)
        argv = [
            *(specification.get("ContainerEntrypoint") or ()),
            *(specification.get("ContainerArguments") or ()),
        ]
        if not specification.get("ContainerEntrypoint") and stand_in.process:
            argv = ["python3", str(stand_in.process), *argv]
        elif not specification.get("ContainerEntrypoint"):
            if stand_in.own:
                raise JobFailure(f"ClientError: {missing_program(stand_in, 'process')}")
            raise JobFailure(
                f"ClientError: the stand-in {stand_in.name} has no entry point of its own; give"
                " AppSpecification.ContainerEntrypoint"
            )
        cluster = request["ProcessingResources"]["ClusterConfig"]
        container.write_json(
            "/opt/ml/config/resourceconfig.json", {"current_host": "algo-1", "hosts": ["algo-1"]}
        )
        container.write_json(
            "/opt/ml/config/processingjobconfig.json",
            shapes.wire(shapes.fit("DescribeProcessingJob", request), "iso"),
        )
        if cluster["InstanceCount"] > 1:
            self.core.host.note(
                "not-rehearsed",
                f"{job.name} asks for {cluster['InstanceCount']} instances; one process plays them",
            )
        extra = {
            **(request.get("Environment") or {}),
            **stand_in.environment,
            "PROCESSING_JOB_NAME": job.name,
            "PROCESSING_JOB_ARN": job.record["ProcessingJobArn"],
            "SM_CURRENT_HOST": "algo-1",
            "SM_HOSTS": '["algo-1"]',
        }
        limit = float((request.get("StoppingCondition") or {}).get("MaxRuntimeInSeconds", 86400))
        try:
            self._execute(job, container, image, argv, container.environment(role, extra), limit, log.add)
        finally:
            log.flush()
            message = container.opt_ml / "output" / "message"
            if message.is_file():
                job.record["ExitMessage"] = message.read_text(errors="replace")[:1024]
        if job.stop.is_set():
            return
        given = (request.get("ProcessingOutputConfig") or {}).get("KmsKeyId")
        key = output_key(self.core.host, given, role)
        for entry in outputs:
            target = entry["S3Output"]
            storage.upload(container.path(target["LocalPath"]), target["S3Uri"], key)
        container.remove()
