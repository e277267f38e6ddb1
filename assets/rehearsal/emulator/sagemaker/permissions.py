"""Which IAM permissions a SageMaker call needs of its caller.

Actions, resource types, `iam:PassRole` and `sagemaker:AddTags`: Service Authorization Reference, "Actions, resources,
and condition keys for Amazon SageMaker".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

PASSED_TO = {"iam:PassedToService": "sagemaker.amazonaws.com"}

_OPERATION = re.compile(r"(?:Create|Describe|Update|Delete|Stop|Put|Get)(\w+)")
# `CreateTrainingJob` is on `training-job/<TrainingJobName>`; these operations are on something else than their words say.
_NAMED_OTHERWISE = {
    "EndpointWeightsAndCapacities": "Endpoint",
    "ModelPackageGroupPolicy": "ModelPackageGroup",
}
# Operations without resource-level permissions: IAM evaluates them on `*`.
_ON_EVERYTHING = frozenset(
    (
        "ListPipelines",
        "ListModelPackageGroups",
        "ListModels",
        "ListEndpoints",
        "ListEndpointConfigs",
        "ListProcessingJobs",
        "ListTrainingJobs",
        "ListTransformJobs",
        "ListHyperParameterTuningJobs",
        "SendPipelineExecutionStepSuccess",
        "SendPipelineExecutionStepFailure",
    )
)


@dataclass(frozen=True)
class Permission:
    """One action on one resource, with the condition keys of the request."""

    action: str
    resource: str
    context: dict[str, str] = field(default_factory=dict)


def required_permissions(
    operation: str, request: Mapping[str, Any], *, region: str = "us-east-1", account: str = "000000000000"
) -> list[Permission]:
    """What the caller of `operation` must be allowed: the action itself, AddTags for tags in it, PassRole for
    each role in it.

    `InvokeEndpoint` takes `{"EndpointName": ...}`.
    """
    context = _tag_context(request)
    resources = list(_resources(operation, request, region, account))
    found = [Permission(f"sagemaker:{operation}", resource, context) for resource in resources]
    if operation.startswith("Create") and request.get("Tags"):
        found.append(Permission("sagemaker:AddTags", resources[0], context))
    for role in _roles(operation, request):
        found.append(Permission("iam:PassRole", role, dict(PASSED_TO)))
    return found


def _tag_context(request: Mapping[str, Any]) -> dict[str, str]:
    tags = request.get("Tags")
    if not isinstance(tags, list):
        return {}
    return {
        f"aws:RequestTag/{tag['Key']}": str(tag.get("Value", ""))
        for tag in tags
        if isinstance(tag, Mapping) and "Key" in tag
    }


def _roles(operation: str, request: Mapping[str, Any]) -> Iterator[str]:
    if not operation.startswith(("Create", "Update")):
        return
    definitions = [request.get("TrainingJobDefinition"), *(request.get("TrainingJobDefinitions") or ())]
    holders = [request, *(definition for definition in definitions if isinstance(definition, Mapping))]
    found = [holder.get(member) for holder in holders for member in ("RoleArn", "ExecutionRoleArn")]
    yield from dict.fromkeys(role for role in found if isinstance(role, str))


def _resources(operation: str, request: Mapping[str, Any], region: str, account: str) -> Iterator[str]:
    def arn(kind: str, name: Any) -> str:
        text = str(name)
        return text if text.startswith("arn:") else f"arn:aws:sagemaker:{region}:{account}:{kind}/{text}"

    if operation in _ON_EVERYTHING:
        yield "*"
        return
    if operation in ("AddTags", "ListTags", "DeleteTags"):
        yield str(request.get("ResourceArn", "*"))
        return
    if operation == "InvokeEndpoint":
        yield arn("endpoint", request.get("EndpointName"))
        return
    if operation == "ListTrainingJobsForHyperParameterTuningJob":
        yield arn("hyper-parameter-tuning-job", request.get("HyperParameterTuningJobName"))
        return
    if operation in ("StartPipelineExecution", "ListPipelineExecutions", "ListPipelineVersions"):
        yield arn("pipeline", request.get("PipelineName"))
        return
    if "PipelineExecutionArn" in request:
        yield str(request["PipelineExecutionArn"])
        return
    if operation == "ListModelPackages":
        group = request.get("ModelPackageGroupName")
        yield arn("model-package-group", group) if group else "*"
        return
    if operation == "BatchDescribeModelPackage":
        for package in request.get("ModelPackageArnList") or ("*",):
            yield arn("model-package", package)
        return
    if operation.endswith("ModelPackage"):
        group = request.get("ModelPackageGroupName")
        if operation == "CreateModelPackage" and group:
            name = str(group).rsplit("/", 1)[-1]
            # The version is not known before; IAM sees the package below its group.
            yield arn("model-package", f"{name}/*")
            yield arn("model-package-group", name)
        else:
            yield arn("model-package", request.get("ModelPackageArn") or request.get("ModelPackageName"))
        return
    match = _OPERATION.fullmatch(operation)
    if match is None:
        yield "*"
        return
    thing = _NAMED_OTHERWISE.get(match[1], match[1])
    yield arn(_kind(thing), request.get(f"{thing}Name", "*"))
    if operation == "CreateModel":
        # A model of a registered package is made from that package: both are checked.
        yield from (arn("model-package", package) for package in _packages(request))
    if operation in ("CreateEndpoint", "UpdateEndpoint") and request.get("EndpointConfigName"):
        yield arn("endpoint-config", request["EndpointConfigName"])


def _kind(thing: str) -> str:
    """How ARNs call it: `processing-job` for `ProcessingJob`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", thing).lower()


def _packages(request: Mapping[str, Any]) -> Iterator[str]:
    given = request.get("Containers")
    for container in [request.get("PrimaryContainer"), *(given if isinstance(given, list) else [])]:
        if isinstance(container, Mapping) and container.get("ModelPackageName"):
            yield str(container["ModelPackageName"])
