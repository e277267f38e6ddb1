"""Adds Application Auto Scaling to the emulator: its API and its two resource types of CloudFormation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from emulator.host import ApiError
from emulator.ministack import cloudformation, json_service
from emulator.ministack.emulator import Emulator
from emulator.ministack.scaling_service import AutoScaling, key_of

__all__ = ["install", "targets"]


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
        key = key_of(request)
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
