"""Calls that a state machine makes to other services: signed with its role, named as Step Functions names them.

Each is an ordinary request to the emulator, so it is checked against botocore's service model and evaluated against
the role like any other. Two families differ in how they name errors: `aws-sdk:` integrations as the AWS SDK for Java 2
(`SageMaker.SageMakerException`, `S3.NoSuchKeyException`), optimised ones as version 1
(`DynamoDB.AmazonDynamoDBException`). Step Functions developer guide: "Learning to use AWS service SDK integrations in
Step Functions", "Integrating optimized services with Step Functions".
"""

from __future__ import annotations

import datetime
import difflib
import functools
import json
import re
import uuid
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError
from botocore.loaders import Loader
from dateutil.tz import tzutc
from ministack.services.stepfunctions import _api_name_to_sfn_key, _ExecutionError

from emulator.host import Host

__all__ = ["Optimised", "call_optimised", "call_sdk", "error_name", "sdk_service"]

TaskError = _ExecutionError
"""What a task raises: an error name for Retry and Catch, and a cause."""

OTHER_NAMES = {
    "cloudwatchlogs": "logs",
    "cognitoidentityprovider": "cognito-idp",
    "cognitoidentity": "cognito-identity",
    "costexplorer": "ce",
    "elasticloadbalancingv2": "elbv2",
    "eventbridge": "events",
    "sfn": "stepfunctions",
}
"""Services whose name in a task's resource is not botocore's without its hyphens."""


class Optimised:
    """How an optimised integration names its errors."""

    def __init__(self, service: str, prefix: str, base: str) -> None:
        self.service = service
        self.prefix = prefix
        self.base = base


@functools.cache
def sdk_service(name: str) -> str:
    """botocore's name for the service of `aws-sdk:<name>:...`; raises a task error that names the nearest."""
    known = {service.replace("-", ""): service for service in Loader().list_available_services("service-2")}
    wanted = name.lower()
    found = OTHER_NAMES.get(wanted) or known.get(wanted)
    if found is None:
        near = difflib.get_close_matches(wanted, [*known, *OTHER_NAMES], 1)
        hint = f": did you mean {near[0]}?" if near else ""
        raise TaskError(
            "States.Runtime", f"aws-sdk:{name} is not a service that Step Functions can call{hint}"
        )
    return found


def call_sdk(host: Host, role_arn: str, service_name: str, action: str, arguments: Any) -> Any:
    """One `aws-sdk:<service>:<action>` task."""
    client = host.client(sdk_service(service_name), role_arn)
    operation = action[:1].upper() + action[1:]
    try:
        result, shape = _call(client, operation, arguments)
    except ClientError as refused:
        service = client.meta.service_model
        status = refused.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
        prefix = _java_class(str(service.service_id))
        code = refused.response["Error"]["Code"]
        cause = f"{_message(refused)} (Service: {prefix}, Status Code: {status}, Request ID: {uuid.uuid4()})"
        raise TaskError(
            error_name(service, operation, code, prefix, f"{prefix}Exception"), cause
        ) from refused
    return _as_output(result, shape)


def call_optimised(host: Host, role_arn: str, kind: Optimised, operation: str, arguments: Any) -> Any:
    """One call of an optimised integration; returns the response with the service's own member names."""
    client = host.client(kind.service, role_arn)
    try:
        result, _ = _call(client, operation, arguments)
    except ClientError as refused:
        status = refused.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
        code = refused.response["Error"]["Code"]
        cause = f"{_message(refused)} (Service: {kind.base.removesuffix('Exception')}; Status Code: {status}; Error Code: {code}; Request ID: {uuid.uuid4()})"
        model = client.meta.service_model
        base = kind.base if kind.base.endswith("Exception") else f"{kind.base}Exception"
        raise TaskError(error_name(model, operation, code, kind.prefix, base), cause) from refused
    return result


def error_name(service_model: Any, operation: str, code: str, prefix: str, base: str) -> str:
    """The error's name for Retry and Catch: an exception that the operation declares by its own name, any other by the
    service's base exception (SageMaker declares no ValidationException, so a missing endpoint is a
    `SageMaker.SageMakerException`)."""
    declared = {shape.name: shape for shape in service_model.operation_model(operation).error_shapes}
    by_code = {
        str(shape.metadata.get("error", {}).get("code", name)): name for name, shape in declared.items()
    }
    code = code.rsplit("#", 1)[-1]
    name = code if code in declared else by_code.get(code)
    return f"{prefix}.{_exception_class(name)}" if name else f"{prefix}.{base}"


def _exception_class(name: str) -> str:
    name = name.removesuffix("Fault")
    return name if name.endswith("Exception") else f"{name}Exception"


def _java_class(service_id: str) -> str:
    """`DynamoDB` to `DynamoDb`, `Application Auto Scaling` to `ApplicationAutoScaling`, `SFN` to `Sfn`."""
    words = re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z0-9]+|[A-Z0-9]+", service_id)
    return "".join(word[:1].upper() + word[1:].lower() for word in words)


def _message(refused: ClientError) -> str:
    return str(refused.response["Error"].get("Message", ""))


def _call(client: Any, operation: str, arguments: Any) -> tuple[dict[str, Any], Any]:
    method = {name: python for python, name in client.meta.method_to_api_mapping.items()}.get(operation)
    service = client.meta.service_model.service_name
    if method is None:
        near = difflib.get_close_matches(operation, client.meta.service_model.operation_names, 1)
        hint = f": did you mean {near[0][:1].lower() + near[0][1:]}?" if near else ""
        raise TaskError(
            "States.Runtime", f"{service} has no action {operation[:1].lower() + operation[1:]}{hint}"
        )
    model = client.meta.service_model.operation_model(operation)
    if not isinstance(arguments, Mapping):
        raise TaskError(
            "States.Runtime",
            f"the parameters of {service}:{operation} must be an object, not {json.dumps(arguments)[:80]}",
        )
    request = _as_input(arguments, model.input_shape, operation) if model.input_shape is not None else {}
    try:
        result = getattr(client, method)(**request)
    except ParamValidationError as wrong:
        text = " ".join(str(wrong).split("\n"))
        raise TaskError(
            "States.Runtime",
            f"The Parameters '{json.dumps(arguments)}' could not be used to start the Task: [{text}]",
        ) from wrong
    except BotoCoreError as broken:
        raise TaskError("States.TaskFailed", f"{service}:{operation}: {broken}") from broken
    result.pop("ResponseMetadata", None)
    return result, model.output_shape


def _as_input(value: Any, shape: Any, path: str) -> Any:
    kind = shape.type_name
    if kind == "structure" and isinstance(value, Mapping):
        if getattr(shape, "is_document_type", False):
            return value
        members = {_letters(name): name for name in shape.members}
        request = {}
        for key, item in value.items():
            name = key if key in shape.members else members.get(_letters(key))
            if name is None:
                near = difflib.get_close_matches(key, list(shape.members), 1)
                hint = f", did you mean {near[0]}?" if near else ""
                raise TaskError(
                    "States.Runtime", f'The field "{key}" is not supported by Step Functions in {path}{hint}'
                )
            request[name] = _as_input(item, shape.members[name], f"{path}.{name}")
        return request
    if kind == "list" and isinstance(value, list):
        return [_as_input(item, shape.member, path) for item in value]
    if kind == "map" and isinstance(value, Mapping):
        return {key: _as_input(item, shape.value, path) for key, item in value.items()}
    if kind == "blob":
        return value.encode() if isinstance(value, str) else json.dumps(value).encode()
    if kind in ("string", "timestamp") and isinstance(value, (dict, list)):
        return json.dumps(value)
    return value


def _letters(name: str) -> str:
    """Names are compared without case: `executionArn`, `ExecutionArn` and `ExecutionARN` are one."""
    return "Null" if name == "Nul" else name.lower()


def _as_output(value: Any, shape: Any) -> Any:
    """Members in Java's spelling, times as ISO 8601, bodies as text."""
    kind = shape.type_name if shape is not None else ""
    if isinstance(value, Mapping):
        if kind == "structure":
            return {
                _api_name_to_sfn_key(name): _as_output(item, shape.members.get(name))
                for name, item in value.items()
            }
        inner = shape.value if kind == "map" else None
        return {name: _as_output(item, inner) for name, item in value.items()}
    if isinstance(value, list):
        return [_as_output(item, shape.member if kind == "list" else None) for item in value]
    return plain(value)


def plain(value: Any, epoch: bool = False) -> Any:
    """JSON for what botocore made of a response; times in milliseconds when `epoch` is set."""
    if isinstance(value, Mapping):
        return {name: plain(item, epoch) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, epoch) for item in value]
    if isinstance(value, datetime.datetime):
        if epoch:
            return int(value.timestamp() * 1000)
        return value.astimezone(tzutc()).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    if hasattr(value, "read"):
        value = value.read()
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode("utf-8", errors="replace")
    return value
