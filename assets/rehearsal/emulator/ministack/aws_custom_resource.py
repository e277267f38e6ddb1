"""Plays CDK's `AwsCustomResource` in this process: one SDK call with the permissions of the provider's role.

Parameters, physical id and answer as in CDK's handler (source: aws-cdk, `@aws-cdk/custom-resource-handlers`,
`custom-resources/aws-custom-resource-handler`).
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from typing import Any

import boto3
from botocore import xform_name
from botocore.exceptions import ClientError

from emulator.ministack.emulator import Emulator
from emulator.ministack.provider_request import Answer, Request, provider_role

__all__ = ["provide"]

_PHYSICAL_ID = "PHYSICAL:RESOURCEID:"
_OTHER_NAMES = {
    "cloudwatchlogs": "logs",
    "cloudwatchevents": "events",
    "eventbridge": "events",
    "cognitoidentityprovider": "cognito-idp",
    "cognitoidentityserviceprovider": "cognito-idp",
    "cognitoidentity": "cognito-identity",
    "sfn": "stepfunctions",
    "elasticloadbalancingv2": "elbv2",
    "elasticsearchservice": "es",
    "sesv2": "sesv2",
}
"""Services whose JavaScript name is not boto3's, in lower case without dashes."""


def provide(emulator: Emulator, request: Request) -> Answer:
    """Plays one request of `Custom::AWS`."""
    physical_id = request.physical_id or str(uuid.uuid4())
    text = request.properties.get(request.kind)
    if not text:
        return physical_id, {}
    call = _decoded(text, physical_id)
    data: dict[str, Any] = {}
    try:
        data = _flat(_made(emulator, request, call))
    except ClientError as error:
        code = error.response["Error"].get("Code", "")
        ignored = call.get("ignoreErrorCodesMatching")
        if not ignored or not re.search(ignored, code):
            raise RuntimeError(
                f"{request.logical_id}: {error.response['Error'].get('Message') or code}"
            ) from error
    wanted = call.get("physicalResourceId") or {}
    if wanted.get("id"):
        physical_id = str(wanted["id"])
    elif wanted.get("responsePath") in data:
        physical_id = str(data[wanted["responsePath"]])
    paths = call.get("outputPaths")
    if paths:
        data = {key: value for key, value in data.items() if any(key.startswith(path) for path in paths)}
    return physical_id, data


def _decoded(text: Any, physical_id: str) -> dict[str, Any]:
    call = json.loads(text) if isinstance(text, str) else text
    decoded: dict[str, Any] = json.loads(
        json.dumps(call).replace(_PHYSICAL_ID, json.dumps(physical_id)[1:-1])
    )
    return decoded


def _made(emulator: Emulator, request: Request, call: Mapping[str, Any]) -> Mapping[str, Any]:
    role = call.get("assumedRoleArn") or provider_role(request)
    client = emulator.host.client(_service(str(call["service"])), role)
    action = re.sub(r"Command$", "", str(call["action"]))
    method = getattr(client, xform_name(action[:1].upper() + action[1:]), None)
    if method is None:
        raise RuntimeError(f"{request.logical_id}: the service {call['service']} has no action {action}")
    answer: Mapping[str, Any] = method(**(call.get("parameters") or {}))
    return answer


def _service(name: str) -> str:
    plain = re.sub(r"^@aws-sdk/client-", "", name)
    available = boto3.session.Session().get_available_services()
    if plain.lower() in available:
        return plain.lower()
    squeezed = re.sub(r"[^a-z0-9]", "", plain.lower())
    if squeezed in _OTHER_NAMES:
        return _OTHER_NAMES[squeezed]
    return next((service for service in available if service.replace("-", "") == squeezed), squeezed)


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """`{"a": {"b": [1]}}` gives `{"a.b.0": 1}`, as the provider answers."""
    if isinstance(value, Mapping):
        pairs = [(str(key), entry) for key, entry in value.items() if key != "ResponseMetadata"]
    elif isinstance(value, list):
        pairs = [(str(index), entry) for index, entry in enumerate(value)]
    else:
        plain = value if isinstance(value, (str, int, float, bool)) or value is None else str(value)
        return {prefix: plain}
    result: dict[str, Any] = {}
    for key, entry in pairs:
        result.update(_flat(entry, f"{prefix}.{key}" if prefix else key))
    return result
