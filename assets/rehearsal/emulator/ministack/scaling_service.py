"""Plays Application Auto Scaling for endpoint variants: targets and policies are checked and kept; nothing scales.

AWS checks that the variant exists, with the caller's permissions on SageMaker, CloudWatch and the service-linked role
(Application Auto Scaling user guide: "Amazon SageMaker AI and Application Auto Scaling", "Permissions validation for
Application Auto Scaling API calls on target resources"; shapes: botocore model `application-autoscaling`).
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
from emulator.ministack.emulator import Emulator

__all__ = ["AutoScaling", "Key", "key_of"]

_VARIANT = re.compile(r"endpoint/([^/]+)/variant/([^/]+)")
_VARIANT_DIMENSIONS = (
    "sagemaker:variant:DesiredInstanceCount",
    "sagemaker:variant:DesiredProvisionedConcurrency",
)
_BURSTABLE = "ml.t2."
_TRACKING = "TargetTrackingScaling"
_LINKED_ROLES = {"sagemaker": "SageMakerEndpoint", "dynamodb": "DynamoDBTable", "lambda": "LambdaConcurrency"}
"""Endings of the names of service-linked roles (user guide: "Service-linked roles for Application Auto Scaling")."""

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
        target = self.targets.get(key_of(request))
        resource = target["ScalableTargetARN"] if target else self._arn("scalable-target/*")
        found = [Needed(action, resource, context)]
        if operation == "RegisterScalableTarget":
            found += self._of_linked_role(str(request.get("ServiceNamespace", "")))
            found += self._of_endpoint(str(request.get("ResourceId", "")), request.get("ServiceNamespace"))
        return found + self._of_alarms(operation, request)

    def _of_endpoint(self, resource_id: str, namespace: object) -> list[Needed]:
        match = _VARIANT.fullmatch(resource_id)
        if namespace != "sagemaker" or not match:
            return []
        endpoint = self._arn_of("sagemaker", f"endpoint/{match.group(1)}")
        found = [Needed("sagemaker:DescribeEndpoint", endpoint)]
        record = self._emulator.sagemaker.endpoints.endpoints.get(match.group(1))
        if record:
            config = self._arn_of("sagemaker", f"endpoint-config/{record['EndpointConfigName']}")
            found.append(Needed("sagemaker:DescribeEndpointConfig", config))
        return [*found, Needed("sagemaker:UpdateEndpointWeightsAndCapacities", endpoint)]

    def _of_linked_role(self, namespace: str) -> list[Needed]:
        """The first target of a service makes its service-linked role, in the name of the caller."""
        if namespace not in _LINKED_ROLES or any(key[0] == namespace for key in self.targets):
            return []
        service = f"{namespace}.application-autoscaling.amazonaws.com"
        name = (
            f"aws-service-role/{service}/AWSServiceRoleForApplicationAutoScaling_{_LINKED_ROLES[namespace]}"
        )
        arn = f"arn:aws:iam::{self._host.account}:role/{name}"
        return [Needed("iam:CreateServiceLinkedRole", arn, {"iam:AWSServiceName": service})]

    def _of_alarms(self, operation: str, request: Mapping[str, Any]) -> list[Needed]:
        """The alarms of a target-tracking policy are made and deleted in the name of the caller."""
        key, name = key_of(request), request.get("PolicyName")
        if operation == "PutScalingPolicy" and request.get("PolicyType") == _TRACKING:
            alarms = self._arn_of("cloudwatch", f"alarm:{_alarm_prefix(key)}*")
            return [
                Needed("cloudwatch:DescribeAlarms", self._arn_of("cloudwatch", "alarm:*")),
                Needed("cloudwatch:PutMetricAlarm", alarms),
            ]
        if operation not in ("DeleteScalingPolicy", "DeregisterScalableTarget"):
            return []
        deleted = [
            policy
            for (target, policy_name), policy in self.policies.items()
            if target == key and (operation == "DeregisterScalableTarget" or policy_name == name)
        ]
        arns = [alarm["AlarmARN"] for policy in deleted for alarm in policy["Alarms"]]
        return [Needed("cloudwatch:DeleteAlarms", arn) for arn in arns]

    def _arn_of(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{self._host.region}:{self._host.account}:{resource}"

    def _arn(self, resource: str) -> str:
        return self._arn_of("application-autoscaling", resource)

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
        key = key_of(request)
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
        account = self._host.account
        service = f"{record['ServiceNamespace']}.application-autoscaling.amazonaws.com"
        linked = f"role/aws-service-role/{service}/AWSServiceRoleForApplicationAutoScaling"
        record.setdefault("RoleARN", f"arn:aws:iam::{account}:{linked}")
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
        key = key_of(request)
        if self.targets.pop(key, None) is None:
            raise ApiError("ObjectNotFoundException", f"No scalable target found for {_place(key)}")
        for found in [entry for entry in self.policies if entry[0] == key]:
            del self.policies[found]
        return {}

    def _put_scaling_policy(self, request: dict[str, Any]) -> dict[str, Any]:
        key, name = key_of(request), request["PolicyName"]
        if key not in self.targets:
            raise ApiError("ObjectNotFoundException", f"No scalable target registered for {_place(key)}")
        known = self.policies.get((key, name), {})
        kind = request.get("PolicyType") or known.get("PolicyType") or "StepScaling"
        if kind not in ("StepScaling", _TRACKING):
            raise ApiError("ValidationException", f"the rehearsal does not play policies of type {kind}")
        member = (
            "TargetTrackingScalingPolicyConfiguration"
            if kind == _TRACKING
            else "StepScalingPolicyConfiguration"
        )
        if member not in request:
            raise ApiError("ValidationException", f"a policy of type {kind} needs {member}")
        record = {**known, **request, "PolicyType": kind}
        record.setdefault("Alarms", self._alarms(key) if kind == _TRACKING else [])
        record.setdefault("CreationTime", time.time())
        suffix = f"resource/{key[0]}/{key[1]}:policyName/{name}"
        arn = f"arn:aws:autoscaling:{self._host.region}:{self._host.account}:scalingPolicy:{uuid.uuid4()}:{suffix}"
        record.setdefault("PolicyARN", arn)
        self.policies[(key, name)] = record
        return {"PolicyARN": record["PolicyARN"], "Alarms": record["Alarms"]}

    def _alarms(self, key: Key) -> list[dict[str, str]]:
        """The names under which AWS makes the two alarms of a policy; they are not evaluated, as nothing scales here."""
        names = [f"{_alarm_prefix(key)}-Alarm{end}-{uuid.uuid4()}" for end in ("High", "Low")]
        return [
            {"AlarmName": name, "AlarmARN": self._arn_of("cloudwatch", f"alarm:{name}")} for name in names
        ]

    def _describe_scaling_policies(self, request: dict[str, Any]) -> dict[str, Any]:
        found = [entry for entry in self.policies.values() if _wanted(entry, request, None)]
        names = request.get("PolicyNames")
        return {
            "ScalingPolicies": [_shown(entry) for entry in found if not names or entry["PolicyName"] in names]
        }

    def _delete_scaling_policy(self, request: dict[str, Any]) -> dict[str, Any]:
        key = (key_of(request), request["PolicyName"])
        if self.policies.pop(key, None) is None:
            raise ApiError(
                "ObjectNotFoundException", f"No scaling policy {key[1]} found for {_place(key[0])}"
            )
        return {}

    def _describe_scaling_activities(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"ScalingActivities": []}


def key_of(request: Mapping[str, Any]) -> Key:
    return (
        str(request.get("ServiceNamespace", "")),
        str(request.get("ResourceId", "")),
        str(request.get("ScalableDimension", "")),
    )


def _alarm_prefix(key: Key) -> str:
    return f"TargetTracking-{key[1]}"


def _place(key: Key) -> str:
    return f"service namespace: {key[0]}, resource ID: {key[1]}, scalable dimension: {key[2]}"


def _wanted(entry: Mapping[str, Any], request: Mapping[str, Any], ids: str | None) -> bool:
    for name in ("ServiceNamespace", "ScalableDimension", "ResourceId"):
        if request.get(name) and entry.get(name) != request[name]:
            return False
    return not (ids and request.get(ids)) or entry["ResourceId"] in request[ids or ""]


def _shown(entry: Mapping[str, Any]) -> dict[str, Any]:
    return dict(entry)
