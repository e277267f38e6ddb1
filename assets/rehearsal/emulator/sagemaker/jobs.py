"""Processing and training jobs as processes."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..host import AccessDenied, ApiError
from . import model
from .container import Container, LogStream
from .core import Core, Operation, could_not_find, listing, page
from .images import CONTAINERS, Images
from .storage import Storage, StorageError, pack, unpack

REAL_OPT_ML = Path("/opt/ml")
LITERAL_PATHS = (
    "In the rehearsal a container is a process and its /opt/ml is the folder in SAGEMAKER_BASE_DIR: take paths as arguments "
    "or from the environment (both are rewritten), not as literals in the code."
)
_FINAL = ("Completed", "Failed", "Stopped")


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


class Jobs:
    """Processing and training jobs of the account."""

    def __init__(self, core: Core, images: Images) -> None:
        self.core = core
        self.images = images
        self.processing: dict[str, Job] = {}
        self.training: dict[str, Job] = {}

    def operations(self) -> dict[str, Operation]:
        """Operation name to function."""
        return {
            "CreateProcessingJob": self.create_processing,
            "DescribeProcessingJob": lambda request, _: model.fit(
                "DescribeProcessingJob", self.find("Processing", request["ProcessingJobName"]).record
            ),
            "ListProcessingJobs": lambda request, _: self._list("Processing", self.processing, request),
            "StopProcessingJob": lambda request, _: self._stop(
                self.find("Processing", request["ProcessingJobName"])
            ),
            "CreateTrainingJob": self.create_training,
            "DescribeTrainingJob": lambda request, _: model.fit(
                "DescribeTrainingJob", self.find("Training", request["TrainingJobName"]).record
            ),
            "ListTrainingJobs": lambda request, _: self._list("Training", self.training, request),
            "StopTrainingJob": lambda request, _: self._stop(
                self.find("Training", request["TrainingJobName"])
            ),
        }

    def find(self, kind: str, name: str) -> Job:
        """A job by kind (`Processing`, `Training`) and name."""
        with self.core.lock:
            job = (self.processing if kind == "Processing" else self.training).get(name)
        if job is None:
            raise ApiError(
                "ResourceNotFound",
                f"Requested resource not found: {kind.lower()} job {name} does not exist.",
                404,
            )
        return job

    def _list(self, kind: str, jobs: dict[str, Job], request: dict[str, Any]) -> dict[str, Any]:
        with self.core.lock:
            rows = [dict(job.record) for job in jobs.values()]
        if request.get("StatusEquals"):
            rows = [row for row in rows if row[f"{kind}JobStatus"] == request["StatusEquals"]]
        sort = {"Name": f"{kind}JobName", "Status": f"{kind}JobStatus"}
        rows, token = page(request, rows, sort=sort, name_key=f"{kind}JobName")
        return listing(f"List{kind}Jobs", f"{kind}JobSummaries", rows, token)

    def _stop(self, job: Job) -> dict[str, Any]:
        with self.core.lock:
            if job.status in _FINAL:
                raise ApiError(
                    "ValidationException",
                    f"The job {job.name} is already {job.status} and cannot be stopped.",
                )
            self._set(job, "Stopping")
            job.stop.set()
        return {}

    def _set(self, job: Job, status: str, **fields: Any) -> None:
        with self.core.lock:
            if job.status == "Stopping" and status == "InProgress":
                status = "Stopping"
            job.record.update({job.status_key: status, "LastModifiedTime": model.now(), **fields})
            secondary = fields.get("SecondaryStatus")
            if secondary:
                transitions = job.record.setdefault("SecondaryStatusTransitions", [])
                if transitions:
                    transitions[-1].setdefault("EndTime", model.now())
                transitions.append(
                    {
                        "Status": secondary,
                        "StartTime": model.now(),
                        "StatusMessage": _MESSAGES.get(secondary, ""),
                    }
                )
        operation = f"Describe{job.kind}Job"
        detail = model.wire(model.fit(operation, job.record), "ms")
        detail["Tags"] = self.core.tags.get(job.record[f"{job.kind}JobArn"], {})
        self.core.host.put_event(
            f"SageMaker {job.kind} Job State Change", detail, [job.record[f"{job.kind}JobArn"]]
        )

    def _begin(self, kind: str, request: dict[str, Any], work: Callable[[Job], None]) -> str:
        name = request[f"{kind}JobName"]
        table = self.processing if kind == "Processing" else self.training
        arn = self.core.arn(f"{kind.lower()}-job", name)
        record = {key: value for key, value in request.items() if key != "Tags"}
        moment = model.now()
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
                    f"Job name must be unique within an AWS account and region, and a {kind.lower()} job {arn} already exists.",
                )
            job = table[name] = Job(kind, name, record)
            self.core.set_tags(arn, request.get("Tags"))
        self.core.spawn(f"{kind.lower()}-{name}", lambda: self._run(job, work))
        return arn

    def _run(self, job: Job, work: Callable[[Job], None]) -> None:
        host = self.core.host
        begun = time.monotonic()
        host.note("job", f"{job.kind.lower()} job {job.name} started", name=job.name, status="InProgress")
        end = {"Processing": "ProcessingEndTime", "Training": "TrainingEndTime"}[job.kind]
        secondary = job.kind == "Training"
        try:
            work(job)
            status, reason = ("Stopped" if job.stop.is_set() else "Completed"), None
        except (JobFailure, StorageError, AccessDenied, ApiError) as error:
            status = "Stopped" if job.stop.is_set() and not isinstance(error, AccessDenied) else "Failed"
            reason = _reason(error)
        except Exception as error:
            status, reason = "Failed", f"InternalServerError: {type(error).__name__}: {error}"
        fields: dict[str, Any] = {end: model.now()}
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
            f"{job.kind.lower()} job {job.name} {status} after {seconds_text}{detail}",
            name=job.name,
            status=status,
        )

    # processing

    def create_processing(self, request: dict[str, Any], _caller: str) -> dict[str, Any]:
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
        self.images.authorize_pull(role, specification["ImageUri"])
        stand_in = self.images.stand_in(specification["ImageUri"])
        container = Container(self.core, "jobs", job.name)
        (container.opt_ml / "output").mkdir(exist_ok=True)
        log = LogStream(
            self.core, role, "/aws/sagemaker/ProcessingJobs", f"{job.name}/algo-1-{int(time.time())}"
        )
        storage = Storage(self.core.host, role)
        job.record["ProcessingStartTime"] = model.now()
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
        if not specification.get("ContainerEntrypoint"):
            raise JobFailure(
                f"ClientError: the stand-in {stand_in.name} has no entry point of its own; give AppSpecification.ContainerEntrypoint"
            )
        cluster = request["ProcessingResources"]["ClusterConfig"]
        container.write_json(
            "/opt/ml/config/resourceconfig.json", {"current_host": "algo-1", "hosts": ["algo-1"]}
        )
        container.write_json(
            "/opt/ml/config/processingjobconfig.json",
            model.wire(model.fit("DescribeProcessingJob", request), "iso"),
        )
        if cluster["InstanceCount"] > 1:
            self.core.host.note(
                "not-rehearsed",
                f"{job.name} asks for {cluster['InstanceCount']} instances; one process plays them",
            )
        extra = {
            **(request.get("Environment") or {}),
            "PROCESSING_JOB_NAME": job.name,
            "PROCESSING_JOB_ARN": job.record["ProcessingJobArn"],
            "SM_CURRENT_HOST": "algo-1",
            "SM_HOSTS": '["algo-1"]',
        }
        limit = float((request.get("StoppingCondition") or {}).get("MaxRuntimeInSeconds", 86400))
        try:
            self._execute(job, container, argv, container.environment(role, extra), limit, log.add)
        finally:
            log.flush()
            message = container.opt_ml / "output" / "message"
            if message.is_file():
                job.record["ExitMessage"] = message.read_text(errors="replace")[:1024]
        if job.stop.is_set():
            return
        for entry in outputs:
            target = entry["S3Output"]
            storage.upload(container.path(target["LocalPath"]), target["S3Uri"])
        container.remove()

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
                f'ClientError: Failed to download data. No S3 objects found under S3 URL "{uri}" given in input data source '
                f"{name}. Please ensure that the bucket {bucket} exists in the selected region, that objects exist under that prefix, "
                f'and that the role "{storage.role_arn}" has "s3:ListBucket" permissions on it.'
            )

    @staticmethod
    def _download_manifest(storage: Storage, uri: str, folder: Path) -> int:
        try:
            entries = json.loads(storage.read(uri))
            prefix = entries[0]["prefix"]
            names = [str(name) for name in entries[1:]]
        except (ValueError, LookupError, TypeError) as error:
            raise JobFailure(
                f'ClientError: {uri} is no manifest; it must look like [{{"prefix": "s3://b/p/"}}, "file"]'
            ) from error
        for name in names:
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(storage.read(prefix + name))
        return len(names)

    def _execute(
        self,
        job: Job,
        container: Container,
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
            raise JobFailure(f"AlgorithmError: {error}, exit code: 127") from error
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
            said = next((file.read_text(errors="replace").strip() for file in files if file.is_file()), "")
            tail = said or " | ".join(text for text in list(container.tail)[-12:] if text.strip())
            code = 128 - code if code < 0 else code
            if not said and any("No such file" in text and f"'{REAL_OPT_ML}/" in text for text in container.tail):
                tail = f"{tail} | {LITERAL_PATHS}"
            head, foot = "AlgorithmError: ", f", exit code: {code} (log: {container.log_file})"
            room = 1024 - len(head) - len(foot)
            raise JobFailure(f"{head}{tail[-room:] if not said else tail[:room]}{foot}")

    # training

    def create_training(self, request: dict[str, Any], _caller: str) -> dict[str, Any]:
        specification = request.get("AlgorithmSpecification") or {}
        if "TrainingImage" not in specification:
            raise ApiError(
                "ValidationException",
                "AlgorithmSpecification.TrainingImage must be given; AlgorithmName is not played by the rehearsal.",
            )
        if not request.get("ResourceConfig"):
            raise ApiError("ValidationException", "ResourceConfig must be given.")
        names = [channel["ChannelName"] for channel in request.get("InputDataConfig") or ()]
        if len(set(names)) != len(names):
            raise ApiError("ValidationException", f"Channel names must be unique, got {', '.join(names)}.")
        arn = self._begin("Training", {**request, "SecondaryStatus": "Starting"}, self._train)
        return {"TrainingJobArn": arn}

    def _train(self, job: Job) -> None:
        request, role = job.record, job.record["RoleArn"]
        specification = request["AlgorithmSpecification"]
        self._set(job, "InProgress", SecondaryStatus="Starting")
        self.images.authorize_pull(role, specification["TrainingImage"])
        stand_in = self.images.stand_in(specification["TrainingImage"])
        container = Container(self.core, "jobs", job.name)
        log = LogStream(
            self.core, role, "/aws/sagemaker/TrainingJobs", f"{job.name}/algo-1-{int(time.time())}"
        )
        storage = Storage(self.core.host, role)
        self._set(job, "InProgress", SecondaryStatus="Downloading", TrainingStartTime=model.now())
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
        environment, arguments = self._script_mode(request, container, storage, list(channels), hyper)
        entry = list(specification.get("ContainerEntrypoint") or ())
        if entry:
            argv = [*entry, *(specification.get("ContainerArguments") or ())]
        elif arguments:
            argv = arguments
        elif stand_in.train:
            argv = ["python3", str(CONTAINERS / stand_in.train)]
        else:
            raise JobFailure(
                f"ClientError: the stand-in {stand_in.name} trains in script mode only; give the hyperparameters sagemaker_program and sagemaker_submit_directory"
            )
        self._set(job, "InProgress", SecondaryStatus="Training")
        metrics = _Metrics(
            specification.get("MetricDefinitions") or (),
            built_in=stand_in.train is not None and not arguments and not entry,
        )

        def line(text: str) -> None:
            log.add(text)
            metrics.see(text)

        limit = float((request.get("StoppingCondition") or {}).get("MaxRuntimeInSeconds", 86400))
        try:
            self._execute(job, container, argv, container.environment(role, environment), limit, line)
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
                    f"ClientError: channel {name} has no S3DataSource; other sources are not played by the rehearsal"
                )
            folder = container.opt_ml / "input" / "data" / name
            folder.mkdir(parents=True, exist_ok=True)
            self._download(storage, source["S3DataType"], source["S3Uri"], folder, name)
            channels[name] = {
                "ContentType": channel.get("ContentType"),
                "TrainingInputMode": "File",
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
    ) -> tuple[dict[str, str], list[str]]:
        """Environment as SageMaker's training toolkit sets it, and the command of the user's program, if there is one."""
        decoded = {key: _decode(value) for key, value in hyper.items()}
        own = {key: value for key, value in decoded.items() if not key.startswith("sagemaker_")}
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
        environment.update(
            {
                f"SM_CHANNEL_{name.upper().replace('-', '_')}": f"/opt/ml/input/data/{name}"
                for name in channels
            }
        )
        environment.update(
            {f"SM_HP_{key.upper().replace('-', '_')}": str(value) for key, value in own.items()}
        )
        program, code = decoded.get("sagemaker_program"), decoded.get("sagemaker_submit_directory")
        if not program:
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
        if (folder / "requirements.txt").is_file():
            self.core.host.note(
                "not-rehearsed",
                f"{request['TrainingJobName']}: requirements.txt is not installed; the rehearsal's own packages are used",
            )
        arguments = [
            text for key, value in sorted(own.items()) for text in (f"--{key}", model.text_of(value))
        ]
        return environment, ["python3", str(folder / str(program)), *arguments]

    def _upload_model(self, job: Job, container: Container, storage: Storage) -> None:
        output = job.record["OutputDataConfig"]
        base = f"{output['S3OutputPath'].rstrip('/')}/{job.name}/output"
        try:
            if output.get("CompressionType", "GZIP") == "NONE":
                artifact = f"{base}/model/"
                storage.upload(container.opt_ml / "model", artifact)
            else:
                artifact = f"{base}/model.tar.gz"
                archive = container.root / "model.tar.gz"
                pack(container.opt_ml / "model", archive)
                storage.put(artifact, archive.read_bytes())
            data = container.opt_ml / "output" / "data"
            if any(data.iterdir()):
                archive = container.root / "output.tar.gz"
                pack(data, archive)
                storage.put(f"{base}/output.tar.gz", archive.read_bytes())
        except StorageError as error:
            raise JobFailure(f"ClientError: Failed to upload the model to {base}: {error}") from error
        job.record["ModelArtifacts"] = {"S3ModelArtifacts": artifact}


_MESSAGES = {
    "Starting": "Preparing the instances for training",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopped": "Training job stopped",
}


class _Metrics:
    """Picks metric values out of log lines."""

    def __init__(self, definitions: Any, *, built_in: bool) -> None:
        self.rules = [(entry["Name"], re.compile(entry["Regex"])) for entry in definitions]
        self.built_in = built_in
        self.values: dict[str, tuple[float, Any]] = {}

    def see(self, line: str) -> None:
        for name, rule in self.rules:
            match = rule.search(line)
            if match:
                self._keep(name, match.group(match.lastindex or 0))
        if self.built_in and line.startswith("["):
            for part, metric, value in re.findall(r"(train|validation)-([\w@-]+):([-+.\deE]+)", line):
                self._keep(f"{part}:{metric}", value)

    def _keep(self, name: str, text: str) -> None:
        try:
            self.values[name] = (float(text), model.now())
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


def _reason(error: Exception) -> str:
    if isinstance(error, ApiError):
        return f"ClientError: {error.message}"
    text = str(error)
    return text if re.match(r"\w+Error: ", text) else f"ClientError: {text}"


__all__ = ["Job", "JobFailure", "Jobs", "could_not_find"]
