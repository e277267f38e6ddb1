"""Plays the operations of pipelines and their executions (shapes: botocore model `sagemaker`).

The same `ClientRequestToken` starts one execution only; callback steps are answered by
SendPipelineExecutionStepSuccess and -Failure (SageMaker AI developer guide: "Pipelines steps").
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..host import ApiError
from . import service_shapes as shapes
from .core import Core, Operation, listing, not_found, page
from .definition import Definition
from .execution import Execution
from .reader import read_definition
from .step_run import CallAs, StepRun, StepServices
from .steps import HANDLERS


class Pipelines:
    """Pipelines of the account."""

    def __init__(self, core: Core, call_as: CallAs, find_job: Callable[[str, str], Any]) -> None:
        self.core = core
        self._services = StepServices(core, call_as, find_job)
        self.pipelines: dict[str, dict[str, Any]] = {}
        self.executions: dict[str, Execution] = {}
        self._tokens: dict[tuple[str, str], tuple[dict[str, Any], str]] = {}

    def operations(self) -> dict[str, Operation]:
        """Operation name to function."""
        return {
            "CreatePipeline": self.create,
            "UpdatePipeline": self.update,
            "DescribePipeline": lambda request, _: shapes.fit(
                "DescribePipeline", self.pipeline(request["PipelineName"])
            ),
            "ListPipelines": self.list,
            "DeletePipeline": self.delete,
            "StartPipelineExecution": self.start,
            "StopPipelineExecution": self.stop,
            "DescribePipelineExecution": lambda request, _: shapes.fit(
                "DescribePipelineExecution", self.execution(request["PipelineExecutionArn"]).snapshot()
            ),
            "UpdatePipelineExecution": self.update_execution,
            "ListPipelineExecutions": self.list_executions,
            "ListPipelineExecutionSteps": self.list_steps,
            "ListPipelineParametersForExecution": self.list_parameters,
            "DescribePipelineDefinitionForExecution": self.describe_definition,
            "SendPipelineExecutionStepSuccess": self.send_success,
            "SendPipelineExecutionStepFailure": self.send_failure,
        }

    # pipelines

    def pipeline(self, name_or_arn: str) -> dict[str, Any]:
        """A pipeline's record by name or ARN."""
        name = name_or_arn.rsplit("/", 1)[-1]
        with self.core.lock:
            if name not in self.pipelines:
                raise not_found("Pipeline", self.core.arn("pipeline", name))
            return self.pipelines[name]

    def _definition_text(self, request: dict[str, Any]) -> str | None:
        text, location = request.get("PipelineDefinition"), request.get("PipelineDefinitionS3Location")
        if text and location:
            raise ApiError(
                "ValidationException",
                "Only one of PipelineDefinition and PipelineDefinitionS3Location can be given.",
            )
        if location:
            bucket, key = location["Bucket"], location["ObjectKey"]
            extra = {"VersionId": location["VersionId"]} if location.get("VersionId") else {}
            try:
                answer = self.core.host.client("s3").get_object(Bucket=bucket, Key=key, **extra)
                body: bytes = answer["Body"].read()
                return body.decode("utf-8")
            except Exception as error:
                raise ApiError(
                    "ValidationException",
                    f"Unable to read the pipeline definition s3://{bucket}/{key}: {error}",
                ) from error
        return text

    def create(self, request: dict[str, Any], caller: str) -> dict[str, Any]:
        name = request["PipelineName"]
        arn = self.core.arn("pipeline", name)
        text = self._definition_text(request)
        if not text:
            raise ApiError(
                "ValidationException",
                "One of PipelineDefinition and PipelineDefinitionS3Location must be given.",
            )
        parsed = self._parse(name, text)
        moment = shapes.now()
        user = {"IamIdentity": {"Arn": caller}}
        with self.core.lock:
            token = ("create:" + name, request["ClientRequestToken"])
            if name in self.pipelines and token in self._tokens:
                return {"PipelineArn": arn}
            if name in self.pipelines:
                raise ApiError(
                    "ValidationException",
                    "Pipeline names must be unique within an AWS account and region. Pipeline with name"
                    f" ({name}) already exists.",
                )
            self.core.set_tags(arn, request.get("Tags"))
            self._tokens[token] = ({}, arn)
            self.pipelines[name] = {
                "PipelineName": name,
                "PipelineArn": arn,
                "PipelineDisplayName": request.get("PipelineDisplayName", name),
                "PipelineDescription": request.get("PipelineDescription"),
                "PipelineDefinition": text,
                "RoleArn": request["RoleArn"],
                "ParallelismConfiguration": request.get("ParallelismConfiguration"),
                "PipelineStatus": "Active",
                "CreationTime": moment,
                "LastModifiedTime": moment,
                "CreatedBy": user,
                "LastModifiedBy": user,
                "parsed": parsed,
            }
        return {"PipelineArn": arn}

    def _parse(self, name: str, text: str) -> Definition:
        parsed = read_definition(text)
        unplayed = [
            f"{step.name} ({step.type})" for step in parsed.steps.values() if step.type not in HANDLERS
        ]
        if unplayed:
            self.core.host.note(
                "not-rehearsed",
                f"pipeline {name}: these steps will fail when they are reached, the rehearsal does not play"
                f" them: {', '.join(unplayed)}",
            )
        return parsed

    def update(self, request: dict[str, Any], caller: str) -> dict[str, Any]:
        record = self.pipeline(request["PipelineName"])
        text = self._definition_text(request)
        parsed = self._parse(record["PipelineName"], text) if text else None
        with self.core.lock:
            if text:
                record.update(PipelineDefinition=text, parsed=parsed)
            for member in (
                "PipelineDisplayName",
                "PipelineDescription",
                "RoleArn",
                "ParallelismConfiguration",
            ):
                if member in request:
                    record[member] = request[member]
            record.update(LastModifiedTime=shapes.now(), LastModifiedBy={"IamIdentity": {"Arn": caller}})
        return {"PipelineArn": record["PipelineArn"]}

    def list(self, request: dict[str, Any], _caller: str) -> dict[str, Any]:
        with self.core.lock:
            rows = [{**row, "LastExecutionTime": row.get("LastRunTime")} for row in self.pipelines.values()]
        if request.get("PipelineNamePrefix"):
            rows = [row for row in rows if row["PipelineName"].startswith(request["PipelineNamePrefix"])]
        rows, token = page(request, rows, sort={"Name": "PipelineName"})
        return listing("ListPipelines", "PipelineSummaries", rows, token)

    def delete(self, request: dict[str, Any], _caller: str) -> dict[str, Any]:
        with self.core.lock:
            record = self.pipeline(request["PipelineName"])
            arn = record["PipelineArn"]
            own = [execution for execution in self.executions.values() if execution.pipeline_arn == arn]
            running = [execution for execution in own if not execution.done.is_set()]
            if running:
                raise ApiError(
                    "ConflictException",
                    f"Pipeline {arn} has running executions: {', '.join(each.arn for each in running)}. Stop"
                    " them first.",
                    400,
                )
            del self.pipelines[record["PipelineName"]]
            for execution in own:
                del self.executions[execution.arn]
            self._tokens = {
                key: value
                for key, value in self._tokens.items()
                if key[0] not in (arn, "create:" + record["PipelineName"])
            }
            self.core.tags.pop(arn, None)
        return {"PipelineArn": arn}

    # executions

    def execution(self, arn: str) -> Execution:
        """An execution by ARN."""
        with self.core.lock:
            found = self.executions.get(arn)
        if found is None:
            raise not_found("Pipeline execution", arn)
        return found

    def start(self, request: dict[str, Any], caller: str) -> dict[str, Any]:
        if request.get("SelectiveExecutionConfig"):
            raise ApiError("ValidationException", "SelectiveExecutionConfig is not played by the rehearsal.")
        if request.get("PipelineVersionId", 1) != 1:
            raise ApiError(
                "ValidationException",
                "Pipeline versions are not played by the rehearsal; leave PipelineVersionId out.",
            )
        with self.core.lock:
            record = self.pipeline(request["PipelineName"])
            token = (record["PipelineArn"], request["ClientRequestToken"])
            asked = {
                key: request.get(key)
                for key in (
                    "PipelineParameters",
                    "PipelineExecutionDisplayName",
                    "PipelineExecutionDescription",
                )
            }
            if token in self._tokens:
                before, arn = self._tokens[token]
                if before != asked:
                    raise ApiError(
                        "ConflictException",
                        f"ClientRequestToken {token[1]} was used before for {arn} with other parameters.",
                        400,
                    )
                self.core.host.note(
                    "pipeline", f"the same ClientRequestToken again: {arn} is not started twice"
                )
                return {"PipelineExecutionArn": arn}
            parsed: Definition = record["parsed"]
            values = parsed.values(request.get("PipelineParameters"))
            execution_id = self.core.token(12)
            arn = f"{record['PipelineArn']}/execution/{execution_id}"
            parallel = request.get("ParallelismConfiguration") or record.get("ParallelismConfiguration")
            execution = Execution(
                self._services, record, parsed, values, execution_id, arn, caller, request, parallel
            )
            self.executions[arn] = execution
            self._tokens[token] = (asked, arn)
            record["LastRunTime"] = shapes.now()
        self.core.host.note(
            "pipeline",
            f"pipeline {record['PipelineName']} started: {arn}",
            name=record["PipelineName"],
            status="Executing",
        )
        self.core.spawn(f"pipeline-{execution_id}", execution.run)
        return {"PipelineExecutionArn": arn}

    def stop(self, request: dict[str, Any], _caller: str) -> dict[str, Any]:
        execution = self.execution(request["PipelineExecutionArn"])
        if not execution.request_stop():
            raise ApiError(
                "ConflictException",
                f"Pipeline execution {execution.arn} is {execution.status} and cannot be stopped.",
                400,
            )
        return {"PipelineExecutionArn": execution.arn}

    def update_execution(self, request: dict[str, Any], _caller: str) -> dict[str, Any]:
        execution = self.execution(request["PipelineExecutionArn"])
        with self.core.lock:
            for member in ("PipelineExecutionDisplayName", "PipelineExecutionDescription"):
                if member in request:
                    execution.record[member] = request[member]
        return {"PipelineExecutionArn": execution.arn}

    def list_executions(self, request: dict[str, Any], _caller: str) -> dict[str, Any]:
        record = self.pipeline(request["PipelineName"])
        with self.core.lock:
            found = [
                execution
                for execution in self.executions.values()
                if execution.pipeline_arn == record["PipelineArn"]
            ]
            rows = [
                {
                    **each.snapshot(),
                    "StartTime": each.record["CreationTime"],
                    "PipelineExecutionFailureReason": each.record.get("FailureReason"),
                }
                for each in found
            ]
        rows, token = page(request, rows, sort={"PipelineExecutionArn": "PipelineExecutionArn"})
        return listing("ListPipelineExecutions", "PipelineExecutionSummaries", rows, token)

    def list_steps(self, request: dict[str, Any], _caller: str) -> dict[str, Any]:
        if not request.get("PipelineExecutionArn"):
            raise ApiError("ValidationException", "PipelineExecutionArn must be given.")
        rows = self.execution(request["PipelineExecutionArn"]).step_rows()
        ordered = [{**row, "CreationTime": row["StartTime"]} for row in rows]
        ordered, token = page(request, ordered)
        return listing("ListPipelineExecutionSteps", "PipelineExecutionSteps", ordered, token)

    def list_parameters(self, request: dict[str, Any], _caller: str) -> dict[str, Any]:
        execution = self.execution(request["PipelineExecutionArn"])
        rows = [
            {"Name": name, "Value": shapes.text_of(value), "CreationTime": execution.record["CreationTime"]}
            for name, value in execution.parameters.items()
        ]
        rows, token = page(request, rows, default_order="Ascending")
        return listing("ListPipelineParametersForExecution", "PipelineParameters", rows, token)

    def describe_definition(self, request: dict[str, Any], _caller: str) -> dict[str, Any]:
        execution = self.execution(request["PipelineExecutionArn"])
        return {
            "PipelineDefinition": execution.definition_text,
            "CreationTime": execution.record["CreationTime"],
        }

    # callback steps

    def _callback(self, token: str) -> tuple[StepRun, str]:
        with self.core.lock:
            found = self._services.callbacks.pop(token, None)
        if found is None:
            raise not_found("Callback token", token)
        return found

    def send_success(self, request: dict[str, Any], _caller: str) -> dict[str, Any]:
        run, execution_arn = self._callback(request["CallbackToken"])
        run.take_answer(
            {entry["Name"]: entry["Value"] for entry in request.get("OutputParameters") or ()}, None
        )
        return {"PipelineExecutionArn": execution_arn}

    def send_failure(self, request: dict[str, Any], _caller: str) -> dict[str, Any]:
        run, execution_arn = self._callback(request["CallbackToken"])
        run.take_answer({}, request.get("FailureReason") or "The callback step was failed by its receiver.")
        return {"PipelineExecutionArn": execution_arn}
