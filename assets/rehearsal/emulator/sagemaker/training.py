"""Plays training jobs: the built-in algorithm of the image, a script (script mode), or an entry point of one's own.

Folders, files and environment: SageMaker AI developer guide, "How Amazon SageMaker AI Provides Training Information";
source: aws/sagemaker-training-toolkit.
"""

from __future__ import annotations

import json
import re
import time
from typing import Any

from ..host import ApiError
from . import service_shapes as shapes
from .container import Container, LogStream
from .job_keys import authorize_instances, output_key
from .job_runner import Job, JobFailure, JobRunner
from .requirements_of_code import MissingPackages, check_requirements
from .stand_ins import missing_program
from .storage import Storage, StorageError, pack, unpack


class TrainingJobs(JobRunner):
    """Training jobs as processes."""

    def create_training(self, request: dict[str, Any], caller: str) -> dict[str, Any]:
        specification = request.get("AlgorithmSpecification") or {}
        if "TrainingImage" not in specification:
            raise ApiError(
                "ValidationException",
                "AlgorithmSpecification.TrainingImage must be given; AlgorithmName is not played by the"
                " rehearsal.",
            )
        if not request.get("ResourceConfig"):
            raise ApiError("ValidationException", "ResourceConfig must be given.")
        names = [channel["ChannelName"] for channel in request.get("InputDataConfig") or ()]
        if len(set(names)) != len(names):
            raise ApiError("ValidationException", f"Channel names must be unique, got {', '.join(names)}.")
        authorize_instances(self.core.host, request["ResourceConfig"], caller, request["RoleArn"])
        arn = self._begin("Training", {**request, "SecondaryStatus": "Starting"}, self._train)
        return {"TrainingJobArn": arn}

    def _train(self, job: Job) -> None:
        request, role = job.record, job.record["RoleArn"]
        specification = request["AlgorithmSpecification"]
        self._set(job, "InProgress", SecondaryStatus="Starting")
        image = specification["TrainingImage"]
        self.images.authorize_pull(role, image)
        stand_in = self.images.stand_in(image)
        container = Container(self.core, "jobs", job.name)
        log = LogStream(
            self.core, role, "/aws/sagemaker/TrainingJobs", f"{job.name}/algo-1-{int(time.time())}"
        )
        storage = Storage(self.core.host, role)
        self._set(job, "InProgress", SecondaryStatus="Downloading", TrainingStartTime=shapes.now())
        channels = self._channels(request, container, storage)
        hyper: dict[str, str] = request.get("HyperParameters") or {}
        for folder in ("model", "output/data", "code", "input/config"):
            (container.opt_ml / folder).mkdir(parents=True, exist_ok=True)
        container.write_json("/opt/ml/input/config/hyperparameters.json", hyper)
        container.write_json("/opt/ml/input/config/inputdataconfig.json", channels)
        resources = {"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "eth0"}
        container.write_json("/opt/ml/input/config/resourceconfig.json", resources)
        count = request["ResourceConfig"].get("InstanceCount", 1)
        if count > 1:
            self.core.host.note(
                "not-rehearsed", f"{job.name} asks for {count} instances; one process plays them"
            )
        if request.get("CheckpointConfig"):
            self.core.host.note(
                "not-rehearsed",
                f"{job.name} has a CheckpointConfig; it starts without checkpoints and keeps none",
            )
        # A container of the team's own decides itself what its hyperparameters mean.
        scripted = not (stand_in.own and stand_in.train)
        environment, arguments = self._script_mode(
            request, container, storage, list(channels), hyper, scripted
        )
        entry = list(specification.get("ContainerEntrypoint") or ())
        if entry:
            argv = [*entry, *(specification.get("ContainerArguments") or ())]
        elif arguments:
            argv = arguments
        elif stand_in.train:
            argv = ["python3", str(stand_in.train), *(["train"] if stand_in.own else [])]
        elif stand_in.own:
            raise JobFailure(f"ClientError: {missing_program(stand_in, 'train')}")
        else:
            raise JobFailure(
                f"ClientError: the stand-in {stand_in.name} trains in script mode only; give the"
                " hyperparameters sagemaker_program and sagemaker_submit_directory"
            )
        self._set(job, "InProgress", SecondaryStatus="Training")
        metrics = _Metrics(
            specification.get("MetricDefinitions") or (),
            None if arguments or entry else stand_in.metrics,
        )

        def line(text: str) -> None:
            # SageMaker's log shows a tab so; the regular expressions of its own algorithms expect it (source:
            # aws/sagemaker-xgboost-container, `algorithm_mode/metrics.py`).
            text = text.replace("\t", "#011")
            log.add(text)
            metrics.see(text)

        limit = float((request.get("StoppingCondition") or {}).get("MaxRuntimeInSeconds", 86400))
        try:
            settings = container.environment(role, {**environment, **stand_in.environment})
            self._execute(job, container, image, argv, settings, limit, line)
        finally:
            log.flush()
            if metrics.values:
                job.record["FinalMetricDataList"] = metrics.final()
        if job.stop.is_set() and not any((container.opt_ml / "model").iterdir()):
            return
        self._set(job, "InProgress", SecondaryStatus="Uploading")
        self._upload_model(job, container, storage)
        container.remove()

    def _channels(
        self, request: dict[str, Any], container: Container, storage: Storage
    ) -> dict[str, dict[str, Any]]:
        channels = {}
        for channel in request.get("InputDataConfig") or ():
            name, source = channel["ChannelName"], channel["DataSource"].get("S3DataSource")
            if source is None:
                raise JobFailure(
                    f"ClientError: channel {name} has no S3DataSource; other sources are not played by the"
                    " rehearsal"
                )
            folder = container.opt_ml / "input" / "data" / name
            folder.mkdir(parents=True, exist_ok=True)
            self._download(storage, source["S3DataType"], source["S3Uri"], folder, name)
            mode = channel.get("InputMode") or request["AlgorithmSpecification"]["TrainingInputMode"]
            channels[name] = {
                **({"ContentType": channel["ContentType"]} if channel.get("ContentType") else {}),
                # Files of FastFile are files for the container.
                "TrainingInputMode": "Pipe" if mode == "Pipe" else "File",
                "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
                "RecordWrapperType": channel.get("RecordWrapperType", "None"),
            }
        return channels

    def _script_mode(
        self,
        request: dict[str, Any],
        container: Container,
        storage: Storage,
        channels: list[str],
        hyper: dict[str, str],
        scripted: bool,
    ) -> tuple[dict[str, str], list[str]]:
        """Environment as SageMaker's training toolkit sets it, and the command of the user's program, if
        there is one and it is to be run.
        """
        decoded = {key: _decode(value) for key, value in hyper.items()}
        own = {key: value for key, value in decoded.items() if not key.startswith(("sagemaker_", "_tuning_"))}
        environment = {
            **(request.get("Environment") or {}),
            "TRAINING_JOB_NAME": request["TrainingJobName"],
            "TRAINING_JOB_ARN": request["TrainingJobArn"],
            "SM_MODEL_DIR": "/opt/ml/model",
            "SM_INPUT_DIR": "/opt/ml/input",
            "SM_INPUT_CONFIG_DIR": "/opt/ml/input/config",
            "SM_OUTPUT_DIR": "/opt/ml/output",
            "SM_OUTPUT_DATA_DIR": "/opt/ml/output/data",
            "SM_OUTPUT_INTERMEDIATE_DIR": "/opt/ml/output/intermediate",
            "SM_CHANNELS": json.dumps(sorted(channels)),
            "SM_HPS": json.dumps(own),
            "SM_CURRENT_HOST": "algo-1",
            "SM_HOSTS": '["algo-1"]',
            "SM_NUM_GPUS": "0",
            "SM_NUM_CPUS": "2",
            "SM_JOB_NAME": request["TrainingJobName"],
        }
        environment.update({f"SM_CHANNEL_{name.upper()}": f"/opt/ml/input/data/{name}" for name in channels})
        environment.update({f"SM_HP_{key.upper()}": _variable(value) for key, value in own.items()})
        program, code = decoded.get("sagemaker_program"), decoded.get("sagemaker_submit_directory")
        if not program or not scripted:
            return environment, []
        folder = container.opt_ml / "code"
        if isinstance(code, str) and code.startswith("s3://"):
            archive = container.root / "sourcedir.tar.gz"
            try:
                archive.write_bytes(storage.read(code))
                unpack(archive, folder)
            except StorageError as error:
                raise JobFailure(f"ClientError: Failed to download the code from {code}: {error}") from error
        environment.update(
            SM_MODULE_DIR=str(code), SM_USER_ENTRY_POINT=str(program), PYTHONPATH="/opt/ml/code"
        )
        try:
            check_requirements(self.core.host, folder, f"the training job {request['TrainingJobName']}")
        except MissingPackages as error:
            raise JobFailure(f"AlgorithmError: {error}") from error
        arguments = [
            text
            for key, value in sorted(own.items())
            for text in (f"--{key}" if len(key) > 1 else f"-{key}", _argument(value))
        ]
        return environment, ["python3", str(folder / str(program)), *arguments]

    def _upload_model(self, job: Job, container: Container, storage: Storage) -> None:
        output = job.record["OutputDataConfig"]
        base = f"{output['S3OutputPath'].rstrip('/')}/{job.name}/output"
        key = output_key(self.core.host, output.get("KmsKeyId"), job.record["RoleArn"])
        try:
            if output.get("CompressionType", "GZIP") == "NONE":
                artifact = f"{base}/model/"
                storage.upload(container.opt_ml / "model", artifact, key)
            else:
                artifact = f"{base}/model.tar.gz"
                archive = container.root / "model.tar.gz"
                pack(container.opt_ml / "model", archive)
                storage.put(artifact, archive.read_bytes(), key)
            data = container.opt_ml / "output" / "data"
            if any(data.iterdir()):
                archive = container.root / "output.tar.gz"
                pack(data, archive)
                storage.put(f"{base}/output.tar.gz", archive.read_bytes(), key)
        except StorageError as error:
            raise JobFailure(f"ClientError: Failed to upload the model to {base}: {error}") from error
        job.record["ModelArtifacts"] = {"S3ModelArtifacts": artifact}


class _Metrics:
    """Picks metric values out of log lines."""

    def __init__(self, definitions: Any, sent: re.Pattern[str] | None) -> None:
        self.rules = [(entry["Name"], re.compile(entry["Regex"])) for entry in definitions]
        self.sent = sent
        self.values: dict[str, tuple[float, Any]] = {}

    def see(self, line: str) -> None:
        for name, rule in self.rules:
            match = rule.search(line)
            if match:
                self._keep(name, match.group(match.lastindex or 0))
        if self.sent:
            for part, metric, value in self.sent.findall(line):
                self._keep(f"{part}:{metric}", value)

    def _keep(self, name: str, text: str) -> None:
        try:
            self.values[name] = (float(text), shapes.now())
        except ValueError:
            return

    def final(self) -> list[dict[str, Any]]:
        return [
            {"MetricName": name, "Value": value, "Timestamp": at} for name, (value, at) in self.values.items()
        ]


def _decode(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value


def _argument(value: Any) -> str:
    """A hyper-parameter on the command line of a script."""
    if isinstance(value, dict):
        return ",".join(f"{key}={inner}" for key, inner in sorted(value.items()))
    return "" if value is None else str(value)


def _variable(value: Any) -> str:
    """A hyper-parameter in the environment of a script."""
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
