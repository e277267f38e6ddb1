"""Plays Application Auto Scaling for endpoint variants: targets and policies are checked and kept; nothing scales.

AWS checks that the variant exists, with the caller's permissions on SageMaker and CloudWatch (Application Auto Scaling
user guide: "Amazon SageMaker AI and Application Auto Scaling"; shapes: botocore model `application-autoscaling`).
"""

from __future__ import annotations

import re
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import botocore.session
from botocore.validate import ParamValidator
from ministack.core.responses import AccountRegionScopedDict

from emulator.host import ApiError
from emulator.ministack import cloudformation, json_service
from emulator.ministack.emulator import Emulator

__all__ = ["AutoScaling", "install", "targets"]

_VARIANT = re.compile(r"endpoint/([^/]+)/variant/([^/]+)")
_VARIANT_DIMENSIONS = (
    "sagemaker:variant:DesiredInstanceCount",
    "sagemaker:variant:DesiredProvisionedConcurrency",
)
_BURSTABLE = "ml.t2."
Key = tuple[str, str, str]


@dataclass(frozen=True)
class Needed:
    """A permission of the caller."""

    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict)


class AutoScaling:
    """The service of every account and region."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._host = emulator.host
        self._model = botocore.session.get_session().get_service_model("application-autoscaling")
        self._lock = threading.RLock()
        self.targets: AccountRegionScopedDict = AccountRegionScopedDict()
        self.policies: AccountRegionScopedDict = AccountRegionScopedDict()

    # --- permissions ----------------------------------------------------------

    def needed(self, operation: str, request: dict[str, Any]) -> list[Needed]:
        """The action on the scalable target, and what the service reads with the permissions of the caller."""
        action = f"application-autoscaling:{operation}"
        if operation.startswith("Describe"):
            return [Needed(action, "*")]
        context = {
            "application-autoscaling:service-namespace": str(request.get("ServiceNamespace", "")),
            "application-autoscaling:scalable-dimension": str(request.get("ScalableDimension", "")),
        }
        target = self.targets.get(_key(request))
        resource = target["ScalableTargetARN"] if target else self._arn("scalable-target/*")
        found = [Needed(action, resource, context)]
        if operation == "RegisterScalableTarget":
            found += self._of_endpoint(str(request.get("ResourceId", "")), request.get("ServiceNamespace"))
        return found

    def _of_endpoint(self, resource_id: str, namespace: object) -> list[Needed]:
        match = _VARIANT.fullmatch(resource_id)
        if namespace != "sagemaker" or not match:
            return []
        arn = f"arn:aws:sagemaker:{self._host.region}:{self._host.account}:endpoint/{match.group(1)}"
        return [Needed("sagemaker:DescribeEndpoint", arn)]

    def _arn(self, resource: str) -> str:
        return f"arn:aws:application-autoscaling:{self._host.region}:{self._host.account}:{resource}"

    # --- operations -----------------------------------------------------------

    def handle(self, operation: str, request: dict[str, Any], caller: str) -> dict[str, Any]:
        """One call; raises `ApiError` as AWS answers."""
        if operation not in self._model.operation_names:
            raise ApiError(
                "UnknownOperationException", f"Application Auto Scaling has no operation {operation}"
            )
        shape = self._model.operation_model(operation).input_shape
        assert shape is not None  # each of its operations takes a request
        problems = ParamValidator().validate(request, shape)
        if problems.has_errors():
            raise ApiError("ValidationException", " ".join(problems.generate_report().split()))
        method = getattr(self, "_" + re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower(), None)
        if method is None:
            raise ApiError(
                "ValidationException", f"the rehearsal does not play {operation} of Application Auto Scaling"
            )
        with self._lock:
            answer: dict[str, Any] = method(request)
            return answer

    def _register_scalable_target(self, request: dict[str, Any]) -> dict[str, Any]:
        key = _key(request)
        known = self.targets.get(key)
        if known is None and ("MinCapacity" not in request or "MaxCapacity" not in request):
            raise ApiError(
                "ValidationException", "MinCapacity and MaxCapacity are required for a new scalable target"
            )
        record = {**(known or {}), **{name: value for name, value in request.items() if name != "Tags"}}
        if record["MinCapacity"] > record["MaxCapacity"]:
            most, least = record["MaxCapacity"], record["MinCapacity"]
            message = f"Maximum capacity {most} cannot be less than minimum capacity {least}"
            raise ApiError("ValidationException", message)
        if record["ServiceNamespace"] == "sagemaker":
            self._check_variant(record)
        if known is None:
            record["CreationTime"] = time.time()
            record["ScalableTargetARN"] = self._arn(f"scalable-target/{uuid.uuid4().hex}")
        service = f"{record['ServiceNamespace']}.application-autoscaling.amazonaws.com"
        linked = f"role/aws-service-role/{service}/AWSServiceRoleForApplicationAutoScaling"
        record.setdefault("RoleARN", f"arn:aws:iam::{self._host.account}:{linked}")
        record.setdefault("SuspendedState", {})
        self.targets[key] = record
        return {"ScalableTargetARN": record["ScalableTargetARN"]}

    def _check_variant(self, record: Mapping[str, Any]) -> None:
        """The endpoint and its variant must exist, in service, and be of a kind that can scale."""
        resource, dimension = str(record["ResourceId"]), record["ScalableDimension"]
        match = _VARIANT.fullmatch(resource)
        if not match:
            raise ApiError(
                "ValidationException", f"ResourceId {resource!r} is not endpoint/<name>/variant/<name>"
            )
        if dimension not in _VARIANT_DIMENSIONS:
            allowed = ", ".join(_VARIANT_DIMENSIONS)
            raise ApiError("ValidationException", f"ScalableDimension {dimension!r} is not one of {allowed}")
        player, (endpoint, variant) = self._emulator.sagemaker, match.groups()
        try:
            described = player.handle(
                "DescribeEndpoint", {"EndpointName": endpoint}, "application-autoscaling"
            )
        except ApiError as error:
            raise ApiError(
                "ValidationException", f"Endpoint {endpoint} could not be found: {error.message}"
            ) from error
        variants = {entry["VariantName"]: entry for entry in described.get("ProductionVariants", [])}
        if variant not in variants:
            known = ", ".join(variants) or "none"
            raise ApiError(
                "ValidationException", f"Endpoint {endpoint} has no variant {variant}: it has {known}"
            )
        request = {"EndpointConfigName": described["EndpointConfigName"]}
        config = player.handle("DescribeEndpointConfig", request, "application-autoscaling")
        for entry in config.get("ProductionVariants", []):
            if entry["VariantName"] == variant and str(entry.get("InstanceType", "")).startswith(_BURSTABLE):
                raise ApiError(
                    "ValidationException", f"instances of type {entry['InstanceType']} cannot be scaled"
                )

    def _describe_scalable_targets(self, request: dict[str, Any]) -> dict[str, Any]:
        return {
            "ScalableTargets": [
                _shown(entry) for entry in self.targets.values() if _wanted(entry, request, "ResourceIds")
            ]
        }

    def _deregister_scalable_target(self, request: dict[str, Any]) -> dict[str, Any]:
        key = _key(request)
        if self.targets.pop(key, None) is None:
            raise ApiError("ObjectNotFoundException", f"No scalable target found for {_place(key)}")
        for found in [entry for entry in self.policies if entry[0] == key]:
            del self.policies[found]
        return {}

    def _put_scaling_policy(self, request: dict[str, Any]) -> dict[str, Any]:
        key, name = _key(request), request["PolicyName"]
        if key not in self.targets:
            raise ApiError("ObjectNotFoundException", f"No scalable target registered for {_place(key)}")
        known = self.policies.get((key, name), {})
        kind = request.get("PolicyType") or known.get("PolicyType") or "StepScaling"
        if kind not in ("StepScaling", "TargetTrackingScaling"):
            raise ApiError("ValidationException", f"the rehearsal does not play policies of type {kind}")
        member = (
            "TargetTrackingScalingPolicyConfiguration"
            if kind == "TargetTrackingScaling"
            else "StepScalingPolicyConfiguration"
        )
        if member not in request:
            raise ApiError("ValidationException", f"a policy of type {kind} needs {member}")
        record = {**known, **request, "PolicyType": kind, "Alarms": []}
        record.setdefault("CreationTime", time.time())
        suffix = f"resource/{key[0]}/{key[1]}:policyName/{name}"
        place = f"{self._host.region}:{self._host.account}"
        arn = f"arn:aws:autoscaling:{place}:scalingPolicy:{uuid.uuid4()}:{suffix}"
        record.setdefault("PolicyARN", arn)
        self.policies[(key, name)] = record
        return {"PolicyARN": record["PolicyARN"], "Alarms": []}

    def _describe_scaling_policies(self, request: dict[str, Any]) -> dict[str, Any]:
        found = [entry for entry in self.policies.values() if _wanted(entry, request, None)]
        names = request.get("PolicyNames")
        return {
            "ScalingPolicies": [_shown(entry) for entry in found if not names or entry["PolicyName"] in names]
        }

    def _delete_scaling_policy(self, request: dict[str, Any]) -> dict[str, Any]:
        key = (_key(request), request["PolicyName"])
        if self.policies.pop(key, None) is None:
            raise ApiError(
                "ObjectNotFoundException", f"No scaling policy {key[1]} found for {_place(key[0])}"
            )
        return {}

    def _describe_scaling_activities(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"ScalingActivities": []}


def _key(request: Mapping[str, Any]) -> Key:
    return (
        str(request.get("ServiceNamespace", "")),
        str(request.get("ResourceId", "")),
        str(request.get("ScalableDimension", "")),
    )


def _place(key: Key) -> str:
    return f"service namespace: {key[0]}, resource ID: {key[1]}, scalable dimension: {key[2]}"


def _wanted(entry: Mapping[str, Any], request: Mapping[str, Any], ids: str | None) -> bool:
    for name in ("ServiceNamespace", "ScalableDimension", "ResourceId"):
        if request.get(name) and entry.get(name) != request[name]:
            return False
    return not (ids and request.get(ids)) or entry["ResourceId"] in request[ids or ""]


def _shown(entry: Mapping[str, Any]) -> dict[str, Any]:
    return dict(entry)


# --- CloudFormation -------------------------------------------------------------


def install(emulator: Emulator) -> None:
    """Adds the service and its two resource types."""
    service = emulator.autoscaling = AutoScaling(emulator)
    json_service.serve_json(
        "application-autoscaling", "AnyScaleFrontendService", service.needed, service.handle, emulator
    )
    _register_target(service)
    _register_policy(service)


def targets(emulator: Emulator) -> list[str]:
    """What is registered, for the list of what is left."""
    service = emulator.autoscaling
    return [key[1] for key in service.targets] if service else []


def _register_target(service: AutoScaling) -> None:
    def request_of(properties: Mapping[str, Any]) -> dict[str, Any]:
        members = ("ServiceNamespace", "ResourceId", "ScalableDimension", "RoleARN", "SuspendedState")
        request = {name: properties[name] for name in members if properties.get(name)}
        request.update({name: int(properties[name]) for name in ("MinCapacity", "MaxCapacity")})
        return request

    def create(logical_id: str, properties: dict[str, Any], stack: str) -> tuple[str, dict[str, Any]]:
        request = request_of(properties)
        service.handle("RegisterScalableTarget", request, "cloudformation")
        key = _key(request)
        physical_id = f"{key[1]}|{key[2]}|{key[0]}"
        return physical_id, {"Id": physical_id}

    def update(physical_id: str, old: dict[str, Any], new: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        return create("", new, "")

    def delete(physical_id: str, properties: dict[str, Any]) -> None:
        resource, dimension, namespace = physical_id.split("|")
        request = {"ServiceNamespace": namespace, "ResourceId": resource, "ScalableDimension": dimension}
        _gone_is_fine(service, "DeregisterScalableTarget", request)

    cloudformation.register("AWS::ApplicationAutoScaling::ScalableTarget", create, update, delete)


def _register_policy(service: AutoScaling) -> None:
    def place_of(properties: Mapping[str, Any]) -> dict[str, str]:
        if properties.get("ScalingTargetId"):
            resource, dimension, namespace = str(properties["ScalingTargetId"]).split("|")
            return {"ServiceNamespace": namespace, "ResourceId": resource, "ScalableDimension": dimension}
        return {
            name: str(properties[name]) for name in ("ServiceNamespace", "ResourceId", "ScalableDimension")
        }

    def create(logical_id: str, properties: dict[str, Any], stack: str) -> tuple[str, dict[str, Any]]:
        request: dict[str, Any] = {**place_of(properties), "PolicyName": properties["PolicyName"]}
        for name in (
            "PolicyType",
            "TargetTrackingScalingPolicyConfiguration",
            "StepScalingPolicyConfiguration",
        ):
            if properties.get(name):
                request[name] = _numbers(properties[name])
        arn = service.handle("PutScalingPolicy", request, "cloudformation")["PolicyARN"]
        return arn, {"Arn": arn}

    def update(physical_id: str, old: dict[str, Any], new: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        return create("", new, "")

    def delete(physical_id: str, properties: dict[str, Any]) -> None:
        _gone_is_fine(
            service, "DeleteScalingPolicy", {**place_of(properties), "PolicyName": properties["PolicyName"]}
        )

    cloudformation.register("AWS::ApplicationAutoScaling::ScalingPolicy", create, update, delete)


def _numbers(value: Any) -> Any:
    """Templates may carry numbers and booleans as text."""
    if isinstance(value, dict):
        return {key: _numbers(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_numbers(entry) for entry in value]
    if isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?", value):
        return float(value) if "." in value else int(value)
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


def _gone_is_fine(service: AutoScaling, operation: str, request: dict[str, Any]) -> None:
    try:
        service.handle(operation, request, "cloudformation")
    except ApiError as error:
        if error.code != "ObjectNotFoundException":
            raise
