"""Serves the played SageMaker over HTTP: control plane, runtime, resource types of CloudFormation.

Operations and error formats: botocore models `sagemaker` and `sagemaker-runtime`.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from ministack import app
from ministack.core import concurrency

from emulator.host import ApiError
from emulator.ministack import cloudformation, json_service
from emulator.ministack.emulator import Emulator, PerEnvironment
from emulator.sagemaker import SageMaker, required_permissions
from emulator.sagemaker.cfn import RESOURCES, CfnResource, Replace

__all__ = ["install"]

_INVOKE = re.compile(r"^/endpoints/([^/]+)/(invocations|async-invocations|invocations-response-stream)$")


def install(emulator: Emulator) -> None:
    """Creates the played SageMaker and connects it to routing, permissions and CloudFormation."""
    players = emulator.players = PerEnvironment(emulator.host, SageMaker)
    emulator.on_stop.append(players.close)
    host = emulator.host

    def needed(operation: str, request: dict[str, Any]) -> Any:
        return required_permissions(operation, request, region=host.region, account=host.account)

    def handle(operation: str, request: dict[str, Any], caller: str) -> Any:
        return emulator.sagemaker.handle(operation, request, caller)

    json_service.serve_json("sagemaker", "SageMaker", needed, handle, emulator)
    _serve_runtime(emulator, needed)
    for kind, resource in RESOURCES.items():
        _register(emulator, kind, resource)


def _serve_runtime(emulator: Emulator, needed: Any) -> None:
    """Both services sign as `sagemaker`; requests without a target header are the runtime's."""
    control_plane = app.SERVICE_HANDLERS["sagemaker"]

    async def answer(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
    ) -> Any:
        if headers.get("x-amz-target"):
            return await control_plane(method, path, headers, body, query)
        return await concurrency.run_reentrant(_invoke, emulator, needed, method, path, headers, body)

    app.SERVICE_HANDLERS["sagemaker"] = answer


def _invoke(
    emulator: Emulator, needed: Any, method: str, path: str, headers: dict[str, str], body: bytes
) -> Any:
    found = _INVOKE.match(path)
    if method != "POST" or not found:
        return json_service.error_answer(
            ApiError("UnknownOperationException", f"{method} {path} is not known", 404)
        )
    name = unquote(found.group(1))
    try:
        json_service.authorize_caller(emulator, headers, needed("InvokeEndpoint", {"EndpointName": name}))
        if found.group(2) != "invocations":
            message = f"only InvokeEndpoint is played, not {found.group(2)}"
            raise ApiError("ValidationException", message, 400)
        status, answer_headers, answer = emulator.sagemaker.invoke(name, headers, body)
    except ApiError as error:
        return json_service.error_answer(error)
    return status, dict(answer_headers), answer


def _register(emulator: Emulator, kind: str, resource: CfnResource) -> None:
    def create(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
        return resource.create(emulator.sagemaker, logical_id, properties, stack)

    def update(physical_id: str, old: dict[str, Any], new: dict[str, Any]) -> Any:
        try:
            return resource.update(emulator.sagemaker, physical_id, old, new)
        except Replace:
            return None

    def delete(physical_id: str, properties: dict[str, Any]) -> None:
        resource.delete(emulator.sagemaker, physical_id, properties)

    cloudformation.register(kind, create, update, delete)
