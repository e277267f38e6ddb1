"""Runs each kind of step as the role of the pipeline: jobs, registration, conditions, Lambda, callbacks.

SageMaker AI developer guide: "Pipelines steps", "Caching pipeline steps"; which members a step has: "SageMaker Model
Building Pipeline Definition JSON Schema".
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from typing import Any

from ..host import AccessDenied, ApiError
from . import service_shapes as shapes
from .core import Core
from .definition import Definition, Step, own
from .references import Resolver, Unresolved, walk
from .step_run import StepFailure, StepRun, StepServices, duration
from .storage import Storage, StorageError
from .tuning import best_first

_JOB_OF_STEP = {
    "Processing": "Processing",
    "Training": "Training",
    "Transform": "Transform",
    "Tuning": "HyperParameterTuning",
}
"""Kind of step to the kind of job that it runs."""
_LONGEST_NAME = {"HyperParameterTuning": 32}


class StepHandlers:
    """Runs single steps; `Execution` decides which and when."""

    services: StepServices
    core: Core
    definition: Definition
    definition_text: str
    parameters: dict[str, Any]
    id: str
    arn: str
    role: str
    pipeline_name: str
    pipeline_arn: str
    record: dict[str, Any]
    runs: dict[str, StepRun]
    _stop: threading.Event

    def _halted(self) -> bool:
        raise NotImplementedError

    def _do(self, run: StepRun) -> None:
        kind = run.step.type
        if kind not in HANDLERS:
            raise StepFailure(f"ClientError: a step of type {kind} is not played by the rehearsal")
        HANDLERS[kind](self, run)

    # references

    def _resolver(self, step: Step, job_name: str | None = None) -> Resolver:
        execution = {
            "StartDateTime": shapes.iso(self.record["CreationTime"]),
            "CurrentDateTime": shapes.iso(shapes.now()),
            "PipelineName": self.pipeline_name,
            "PipelineArn": self.pipeline_arn,
            "PipelineExecutionId": self.id,
            "PipelineExecutionArn": self.arn,
        }
        if job_name:
            execution[f"{_JOB_OF_STEP[step.type]}JobName"] = job_name
        return Resolver(self.parameters, execution, self._property, self._json_file, shapes.text_of)

    def _property(self, step: str, path: str) -> Any:
        properties = self.runs[step].properties
        try:
            return shapes.wire(walk(properties, path), "iso")
        except Unresolved as error:
            raise Unresolved(f"step {step} has no property {path}: {error}") from error

    def _json_file(self, step: str | None, file: str | None, uri: str | None) -> Any:
        if step is not None:
            declared = next(
                entry
                for entry in self.definition.steps[step].raw["PropertyFiles"]
                if entry["PropertyFileName"] == file
            )
            target = walk(
                self.runs[step].properties,
                f"ProcessingOutputConfig.Outputs['{declared['OutputName']}'].S3Output.S3Uri",
            )
            path = self._resolver(self.definition.steps[step]).resolve(declared["FilePath"])
            uri = f"{target.rstrip('/')}/{path}"
        assert uri is not None
        try:
            data = Storage(self.core.host, self.role).read(uri)
        except StorageError as error:
            raise Unresolved(f"{uri} cannot be read for Std:JsonGet: {error}") from error
        try:
            return json.loads(data)
        except ValueError as error:
            raise Unresolved(f"{uri} is not valid JSON: {error}") from error

    # steps

    def _call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        try:
            return self.services.call_as(self.role, operation, request)
        except ApiError as error:
            raise StepFailure(
                f"ClientError: Failed to invoke sagemaker:{operation}. Error Details: {error.message}"
            ) from error

    def _condition(self, run: StepRun) -> None:
        resolver = self._resolver(run.step)
        held = all(resolver.holds(condition) for condition in run.step.arguments["Conditions"])
        run.properties = {"Outcome": "True" if held else "False"}
        run.row["Metadata"] = {"Condition": dict(run.properties)}

    def _fail(self, run: StepRun) -> None:
        message = shapes.text_of(self._resolver(run.step).resolve(run.step.arguments.get("ErrorMessage", "")))
        run.row["Metadata"] = {"Fail": {"ErrorMessage": message}}
        # A Fail step ends the execution: what runs beside it is stopped.
        self._stop.set()
        raise StepFailure(message or "The Fail step has no ErrorMessage.")

    def _name(self, step: Step, longest: int = 63) -> str:
        head = f"pipelines-{self.id}-"
        # In the short names of tuning jobs both the step and the suffix are cut.
        tail = self.core.token(10 if longest > 50 else 4)
        room = longest - len(head) - len(tail) - 1
        middle = re.sub(r"[^A-Za-z0-9-]", "-", step.name)[:room].strip("-") or "step"[:room]
        return f"{head}{middle}-{tail}"

    def _own_tags(self, step: Step, request: dict[str, Any]) -> list[dict[str, str]]:
        """The tags that the pipeline service gives to what it creates (they need sagemaker:AddTags)."""
        return [
            *(request.get("Tags") or ()),
            {"Key": "sagemaker:pipeline-execution-arn", "Value": self.arn},
            {"Key": "sagemaker:pipeline-name", "Value": self.pipeline_name},
            {"Key": "sagemaker:pipeline-step-name", "Value": step.name},
        ]

    def _job(self, run: StepRun) -> None:
        step, kind = run.step, _JOB_OF_STEP[run.step.type]
        member, longest = f"{kind}JobName", _LONGEST_NAME.get(kind, 63)
        given = step.arguments.get(member)
        name = self._name(step, longest)
        if isinstance(given, str):
            # The job name of a definition is a prefix: the service makes it unique.
            tail = f"-{self.id}-{self.core.token(10)}"
            name = given[: longest - len(tail)] + tail
        arguments = self._resolver(step, name).resolve(
            {key: value for key, value in step.arguments.items() if key not in (member, "ExperimentConfig")}
        )
        if self._from_cache(run, arguments):
            return
        request = {**arguments, member: name}
        if kind in ("Processing", "Training"):
            request.setdefault("RoleArn", self.role)
        request["Tags"] = self._own_tags(step, request)
        answer = self._call(f"Create{kind}Job", shapes.check(f"Create{kind}Job", request, lenient=True))
        run.row["Metadata"] = {f"{step.type}Job": {"Arn": answer[f"{kind}JobArn"]}}
        job = self.services.find_job(kind, name)
        while not job.done.wait(0.05):
            if self._halted():
                self._stop_job(kind, name, job)
                break
        run.properties = self._call(f"Describe{kind}Job", {member: name})
        if f"Steps.{step.name}.TrainingJobSummaries" in self.definition_text:
            request = {member: name, "SortBy": "FinalObjectiveMetricValue"}
            summaries = self._call("ListTrainingJobsForHyperParameterTuningJob", request)
            run.properties["TrainingJobSummaries"] = best_first(summaries["TrainingJobSummaries"])
        if job.status == "Failed":
            raise StepFailure(str(job.record.get("FailureReason")))
        if job.status == "Stopped":
            run.properties = run.properties if not self._halted() else {}
            exit_message = job.record.get("ExitMessage", "")
            raise StepFailure(
                f"ClientError: the {step.type.lower()} job {name} was stopped. {exit_message}".strip()
            )
        self._keep(run, arguments)

    def _stop_job(self, kind: str, name: str, job: Any) -> None:
        try:
            self._call(f"Stop{kind}Job", {f"{kind}JobName": name})
        except StepFailure as error:
            if not job.done.is_set():
                self.core.host.note(
                    "warning", f"the job {name} cannot be stopped by the pipeline's role: {error}"
                )
        job.done.wait(15)

    def _from_cache(self, run: StepRun, arguments: dict[str, Any]) -> bool:
        config = run.step.raw.get("CacheConfig") or {}
        if not config.get("Enabled"):
            return False
        found = self.services.cache.get((self.pipeline_arn, run.step.name, _canonical(arguments)))
        if found is None:
            return False
        at, source, properties, metadata = found
        if config.get("ExpireAfter") and shapes.now() - at > duration(config["ExpireAfter"]):
            return False
        run.properties, run.row["Metadata"] = properties, metadata
        run.row["CacheHitResult"] = {"SourcePipelineExecutionArn": source}
        return True

    def _keep(self, run: StepRun, arguments: dict[str, Any]) -> None:
        if (run.step.raw.get("CacheConfig") or {}).get("Enabled"):
            key = (self.pipeline_arn, run.step.name, _canonical(arguments))
            self.services.cache[key] = (shapes.now(), self.arn, run.properties, run.row["Metadata"])

    def _register(self, run: StepRun) -> None:
        request = self._resolver(run.step).resolve(run.step.arguments)
        request.setdefault("MetadataProperties", {"GeneratedBy": self.arn})
        answer = self._call("CreateModelPackage", shapes.check("CreateModelPackage", request, lenient=True))
        arn = answer["ModelPackageArn"]
        run.row["Metadata"] = {"RegisterModel": {"Arn": arn}}
        run.properties = self._call("DescribeModelPackage", {"ModelPackageName": arn})

    def _model(self, run: StepRun) -> None:
        request = self._resolver(run.step).resolve(run.step.arguments)
        request["ModelName"] = self._name(run.step)
        request.setdefault("ExecutionRoleArn", self.role)
        request["Tags"] = self._own_tags(run.step, request)
        answer = self._call("CreateModel", shapes.check("CreateModel", request, lenient=True))
        run.row["Metadata"] = {"Model": {"Arn": answer["ModelArn"]}}
        run.properties = self._call("DescribeModel", {"ModelName": request["ModelName"]})

    def _lambda(self, run: StepRun) -> None:
        resolved = self._resolver(run.step).resolve(own(run.step))
        arn = str(resolved["FunctionArn"])
        try:
            self.core.host.authorize(self.role, "lambda:InvokeFunction", arn)
        except AccessDenied as error:
            raise StepFailure(
                f"ClientError: Failed to invoke lambda. Error Details: {error.message}"
            ) from error
        answer = self.core.host.client("lambda").invoke(
            FunctionName=arn, Payload=json.dumps(resolved.get("Arguments") or {}).encode()
        )
        text = answer["Payload"].read().decode("utf-8", "replace")
        if answer.get("FunctionError"):
            raise StepFailure(f"ClientError: Lambda function {arn} failed: {text}")
        result = json.loads(text) if text else {}
        run.properties = {
            "OutputParameters": self._outputs(run.step, result if isinstance(result, dict) else {})
        }
        parameters = [
            {"Name": key, "Value": shapes.text_of(value)}
            for key, value in run.properties["OutputParameters"].items()
        ]
        run.row["Metadata"] = {"Lambda": {"Arn": arn, "OutputParameters": parameters}}

    @staticmethod
    def _outputs(step: Step, result: dict[str, Any]) -> dict[str, Any]:
        """The declared output parameters of what a Lambda or a receiver returned."""
        out = {}
        for entry in step.raw.get("OutputParameters") or ():
            name = entry["OutputName"]
            if name not in result:
                raise StepFailure(
                    f"ClientError: step {step.name} declares the output parameter {name!r}, which was not"
                    f" returned; there is {sorted(result)}"
                )
            out[name] = result[name]
        return out

    def _callback(self, run: StepRun) -> None:
        resolved = self._resolver(run.step).resolve(own(run.step))
        url, token = str(resolved["SqsQueueUrl"]), self.core.token(10)
        run.answered.clear()
        with self.core.lock:
            self.services.callbacks[token] = (run, self.arn)
        message = {
            "token": token,
            "pipelineExecutionArn": self.arn,
            "status": "Executing",
            "arguments": resolved.get("Arguments") or {},
        }
        try:
            queue = self.core.host.client("sqs", self.role)
            queue.send_message(QueueUrl=url, MessageBody=json.dumps(message))
        except Exception as error:  # the class of botocore's errors is made at run time
            answer: dict[str, Any] = getattr(error, "response", None) or {}
            said = answer.get("Error", {}).get("Message") or error
            raise StepFailure(
                f"ClientError: Failed to send a message to {url}. Error Details: {said}"
            ) from error
        run.row["Metadata"] = {
            "Callback": {"CallbackToken": token, "SqsQueueUrl": url, "OutputParameters": []}
        }
        while not run.answered.wait(0.1):
            if self._halted():
                return
        outputs, failure = run.answer
        if failure:
            raise StepFailure(f"ClientError: {failure}")
        run.properties = {"OutputParameters": self._outputs(run.step, outputs)}
        run.row["Metadata"]["Callback"]["OutputParameters"] = [
            {"Name": key, "Value": value} for key, value in outputs.items()
        ]


HANDLERS: dict[str, Callable[[StepHandlers, StepRun], None]] = {
    "Condition": StepHandlers._condition,
    "Fail": StepHandlers._fail,
    "Processing": StepHandlers._job,
    "Training": StepHandlers._job,
    "Transform": StepHandlers._job,
    "Tuning": StepHandlers._job,
    "RegisterModel": StepHandlers._register,
    "Model": StepHandlers._model,
    "Lambda": StepHandlers._lambda,
    "Callback": StepHandlers._callback,
}
"""What runs the steps of a kind. A step of any other kind fails when it is reached."""


def _canonical(arguments: dict[str, Any]) -> str:
    return json.dumps(arguments, sort_keys=True, default=str)
