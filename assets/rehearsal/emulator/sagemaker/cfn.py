"""Plays CloudFormation's side of SageMaker: resource types as create, update and delete.

What `Ref` and `Fn::GetAtt` give, and which changes replace a resource: CloudFormation template reference, "Amazon
SageMaker AI resource type reference".
"""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..host import ApiError
from . import service_shapes as shapes
from .api import SageMaker

CALLER = "arn:aws:iam::000000000000:root"
"""Who deploys is an administrator."""
Result = tuple[str, dict[str, str]]


class Replace(Exception):
    """A change for which CloudFormation creates a new resource and deletes the old one."""


@dataclass(frozen=True)
class CfnResource:
    """One resource type. Physical ids and attributes are those that `Ref` and `Fn::GetAtt` give on AWS."""

    type: str
    create_resource: Callable[[SageMaker, str, dict[str, Any], str], Result]
    update_resource: Callable[[SageMaker, str, dict[str, Any], dict[str, Any]], Result]
    delete_resource: Callable[[SageMaker, str], None]

    def create(
        self, sm: SageMaker, logical_id: str, properties: Mapping[str, Any], stack_name: str
    ) -> Result:
        """Creates the resource; raises `ApiError`."""
        return self.create_resource(sm, logical_id, dict(properties), stack_name)

    def update(
        self, sm: SageMaker, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Result:
        """Updates in place, or raises `Replace` when AWS would make a new one."""
        return self.update_resource(sm, physical_id, dict(old), dict(new))

    def delete(self, sm: SageMaker, physical_id: str, properties: Mapping[str, Any] | None = None) -> None:
        """Deletes the resource; no error when it does not exist any longer."""
        try:
            self.delete_resource(sm, physical_id)
        except ApiError as error:
            gone = (
                error.code == "ResourceNotFound"
                or "Could not find" in error.message
                or "does not exist" in error.message
            )
            if not gone:
                raise


def _call(sm: SageMaker, operation: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    """A call with template properties: CloudFormation sends strings for numbers and booleans, so types are converted."""
    return sm.handle(operation, shapes.check(operation, properties, lenient=True), CALLER)


def _name(logical_id: str, stack_name: str, longest: int = 63) -> str:
    """A generated name: stack, logical id and twelve random characters, as CloudFormation makes them."""
    tail = "".join(random.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", k=12))
    room = longest - len(tail) - 1
    base = re.sub(r"[^A-Za-z0-9-]+", "-", f"{stack_name}-{logical_id}")
    return f"{base[:room].strip('-')}-{tail}"


def _tags(properties: Mapping[str, Any]) -> list[dict[str, str]] | None:
    return properties.get("Tags") or None


def _only(properties: Mapping[str, Any], *without: str, **renamed: Any) -> dict[str, Any]:
    out = {key: value for key, value in properties.items() if key not in without}
    out.update({key: value for key, value in renamed.items() if value is not None})
    return out


def _same(old: Mapping[str, Any], new: Mapping[str, Any], *members: str) -> None:
    changed = [member for member in members if old.get(member) != new.get(member)]
    if changed:
        raise Replace(", ".join(changed))


def _retag(sm: SageMaker, arn: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    before = {tag["Key"]: tag["Value"] for tag in _tags(old) or ()}
    after = {tag["Key"]: tag["Value"] for tag in _tags(new) or ()}
    gone = sorted(set(before) - set(after))
    if gone:
        sm.handle("DeleteTags", {"ResourceArn": arn, "TagKeys": gone}, CALLER)
    if after and after != before:
        sm.handle(
            "AddTags",
            {"ResourceArn": arn, "Tags": [{"Key": key, "Value": value} for key, value in after.items()]},
            CALLER,
        )


# AWS::SageMaker::Pipeline


def _definition(properties: Mapping[str, Any]) -> dict[str, Any]:
    raw = properties.get("PipelineDefinition") or {}
    body, location = raw.get("PipelineDefinitionBody"), raw.get("PipelineDefinitionS3Location")
    if body is not None:
        return {"PipelineDefinition": body if isinstance(body, str) else json.dumps(body)}
    if location:
        names = {
            "Bucket": "Bucket",
            "Key": "ObjectKey",
            "ObjectKey": "ObjectKey",
            "Version": "VersionId",
            "VersionId": "VersionId",
        }
        return {
            "PipelineDefinitionS3Location": {
                names[key]: value for key, value in location.items() if key in names
            }
        }
    raise ApiError(
        "ValidationException",
        "PipelineDefinition must hold PipelineDefinitionBody or PipelineDefinitionS3Location.",
    )


def _create_pipeline(sm: SageMaker, logical_id: str, properties: dict[str, Any], stack_name: str) -> Result:
    request = _only(properties, "PipelineDefinition", Tags=_tags(properties))
    request.update(
        _definition(properties), PipelineName=properties.get("PipelineName") or _name(logical_id, stack_name)
    )
    arn = _call(sm, "CreatePipeline", request)["PipelineArn"]
    return request["PipelineName"], {"PipelineArn": arn, "PipelineName": request["PipelineName"]}


def _update_pipeline(sm: SageMaker, physical_id: str, old: dict[str, Any], new: dict[str, Any]) -> Result:
    _same(old, new, "PipelineName")
    request = _only(new, "PipelineDefinition", "Tags", "PipelineName")
    request.update(_definition(new), PipelineName=physical_id)
    arn = _call(sm, "UpdatePipeline", request)["PipelineArn"]
    _retag(sm, arn, old, new)
    return physical_id, {"PipelineArn": arn, "PipelineName": physical_id}


# AWS::SageMaker::ModelPackageGroup


def _create_group(sm: SageMaker, logical_id: str, properties: dict[str, Any], stack_name: str) -> Result:
    request = _only(properties, "ModelPackageGroupPolicy", Tags=_tags(properties))
    request.setdefault("ModelPackageGroupName", _name(logical_id, stack_name))
    arn = _call(sm, "CreateModelPackageGroup", request)["ModelPackageGroupArn"]
    _group_policy(sm, request["ModelPackageGroupName"], properties)
    return arn, _group_attributes(sm, arn)


def _group_policy(sm: SageMaker, name: str, properties: Mapping[str, Any]) -> None:
    policy = properties.get("ModelPackageGroupPolicy")
    if policy:
        text = policy if isinstance(policy, str) else json.dumps(policy)
        _call(sm, "PutModelPackageGroupPolicy", {"ModelPackageGroupName": name, "ResourcePolicy": text})


def _group_attributes(sm: SageMaker, arn: str) -> dict[str, str]:
    group = sm.registry.group(arn)
    return {
        "ModelPackageGroupArn": arn,
        "ModelPackageGroupStatus": group["ModelPackageGroupStatus"],
        "CreationTime": shapes.iso(group["CreationTime"]),
    }


def _update_group(sm: SageMaker, physical_id: str, old: dict[str, Any], new: dict[str, Any]) -> Result:
    _same(old, new, "ModelPackageGroupName", "ModelPackageGroupDescription")
    name = physical_id.rsplit("/", 1)[-1]
    if old.get("ModelPackageGroupPolicy") and not new.get("ModelPackageGroupPolicy"):
        sm.handle("DeleteModelPackageGroupPolicy", {"ModelPackageGroupName": name}, CALLER)
    _group_policy(sm, name, new)
    _retag(sm, physical_id, old, new)
    return physical_id, _group_attributes(sm, physical_id)


def _delete_group(sm: SageMaker, physical_id: str) -> None:
    sm.handle("DeleteModelPackageGroup", {"ModelPackageGroupName": physical_id}, CALLER)


# AWS::SageMaker::Model


def _create_model(sm: SageMaker, logical_id: str, properties: dict[str, Any], stack_name: str) -> Result:
    request = _only(properties, Tags=_tags(properties))
    request.setdefault("ModelName", _name(logical_id, stack_name))
    arn = _call(sm, "CreateModel", request)["ModelArn"]
    return arn, {"ModelName": request["ModelName"]}


def _replace_model(sm: SageMaker, physical_id: str, old: dict[str, Any], new: dict[str, Any]) -> Result:
    _same({**old, "Tags": None}, {**new, "Tags": None}, *{*old, *new})
    _retag(sm, physical_id, old, new)
    return physical_id, {"ModelName": physical_id.rsplit("/", 1)[-1]}


# AWS::SageMaker::EndpointConfig


def _config_request(properties: Mapping[str, Any]) -> dict[str, Any]:
    request = _only(properties, Tags=_tags(properties))
    capture = request.get("DataCaptureConfig")
    if capture:
        request["DataCaptureConfig"] = dict(capture)
    return request


def _create_config(sm: SageMaker, logical_id: str, properties: dict[str, Any], stack_name: str) -> Result:
    request = _config_request(properties)
    request.setdefault("EndpointConfigName", _name(logical_id, stack_name))
    arn = _call(sm, "CreateEndpointConfig", request)["EndpointConfigArn"]
    return arn, {"EndpointConfigName": request["EndpointConfigName"]}


def _replace_config(sm: SageMaker, physical_id: str, old: dict[str, Any], new: dict[str, Any]) -> Result:
    _same({**old, "Tags": None}, {**new, "Tags": None}, *{*old, *new})
    _retag(sm, physical_id, old, new)
    return physical_id, {"EndpointConfigName": physical_id.rsplit("/", 1)[-1]}


# AWS::SageMaker::Endpoint


def _last(name_or_arn: Any) -> Any:
    """A `Ref` of a SageMaker resource is its ARN; the API takes names."""
    return name_or_arn.rsplit("/", 1)[-1] if isinstance(name_or_arn, str) else name_or_arn


def _settled(sm: SageMaker, name: str, wanted: str) -> None:
    """Waits as CloudFormation does; an endpoint that failed, or rolled back, fails the resource."""
    deadline = time.monotonic() + 300
    while True:
        record = sm.handle("DescribeEndpoint", {"EndpointName": name}, CALLER)
        status = record["EndpointStatus"]
        if status not in ("Creating", "Updating", "RollingBack", "SystemUpdating"):
            break
        if time.monotonic() > deadline:
            raise ApiError("NotStabilized", f"endpoint {name} is still {status} after 300 seconds")
        time.sleep(0.1)
    if status != "InService":
        raise ApiError("NotStabilized", f"endpoint {name} is {status}: {record.get('FailureReason', '')}")
    if record["EndpointConfigName"] != wanted:
        raise ApiError(
            "NotStabilized",
            f"endpoint {name} was rolled back to {record['EndpointConfigName']}; {wanted} does not serve",
        )


def _create_endpoint(sm: SageMaker, logical_id: str, properties: dict[str, Any], stack_name: str) -> Result:
    unused = ("ExcludeRetainedVariantProperties", "RetainAllVariantProperties", "RetainDeploymentConfig")
    request = _only(properties, *unused, Tags=_tags(properties))
    request["EndpointConfigName"] = _last(request.get("EndpointConfigName"))
    request.setdefault("EndpointName", _name(logical_id, stack_name))
    arn = _call(sm, "CreateEndpoint", request)["EndpointArn"]
    _settled(sm, request["EndpointName"], request["EndpointConfigName"])
    return arn, {"EndpointName": request["EndpointName"]}


def _update_endpoint(sm: SageMaker, physical_id: str, old: dict[str, Any], new: dict[str, Any]) -> Result:
    _same(old, new, "EndpointName")
    name = _last(physical_id)
    request = _only(new, "Tags", EndpointName=name, EndpointConfigName=_last(new.get("EndpointConfigName")))
    _call(sm, "UpdateEndpoint", request)
    _settled(sm, name, request["EndpointConfigName"])
    _retag(sm, physical_id, old, new)
    return physical_id, {"EndpointName": name}


def _delete_endpoint(sm: SageMaker, physical_id: str) -> None:
    """Returns when the endpoint is gone, as CloudFormation does."""
    request = {"EndpointName": _last(physical_id)}
    if sm.handle("DescribeEndpoint", request, CALLER)["EndpointStatus"] != "Deleting":
        sm.handle("DeleteEndpoint", request, CALLER)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        # Raises when there is no such endpoint any longer, which a deletion takes as its success.
        sm.handle("DescribeEndpoint", request, CALLER)
        time.sleep(0.1)
    raise ApiError("NotStabilized", f"endpoint {_last(physical_id)} is still Deleting after 60 seconds")


def _delete_by(operation: str, member: str) -> Callable[[SageMaker, str], None]:
    def delete(sm: SageMaker, physical_id: str) -> None:
        sm.handle(operation, {member: _last(physical_id)}, CALLER)

    return delete


def _delete_pipeline(sm: SageMaker, physical_id: str) -> None:
    sm.handle("DeletePipeline", shapes.check("DeletePipeline", {"PipelineName": _last(physical_id)}), CALLER)


RESOURCES: dict[str, CfnResource] = {
    resource.type: resource
    for resource in (
        CfnResource("AWS::SageMaker::Pipeline", _create_pipeline, _update_pipeline, _delete_pipeline),
        CfnResource("AWS::SageMaker::ModelPackageGroup", _create_group, _update_group, _delete_group),
        CfnResource(
            "AWS::SageMaker::Model", _create_model, _replace_model, _delete_by("DeleteModel", "ModelName")
        ),
        CfnResource(
            "AWS::SageMaker::EndpointConfig",
            _create_config,
            _replace_config,
            _delete_by("DeleteEndpointConfig", "EndpointConfigName"),
        ),
        CfnResource(
            "AWS::SageMaker::Endpoint",
            _create_endpoint,
            _update_endpoint,
            _delete_endpoint,
        ),
    )
}
"""CloudFormation type to its implementation."""
