"""Adds condition keys of requests that MiniStack does not know: those on which the grants of an app usually depend.

Which keys a request has is listed by service (Service Authorization Reference: "Actions, resources, and condition keys
for Amazon EventBridge", the same for CloudWatch and others).
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ministack.core import iam_actions
from ministack.services import dynamodb

from emulator.ministack.emulator import Emulator

__all__ = ["install", "of_request"]


def install(emulator: Emulator) -> None:
    """Adds the keys to every HTTP request that is evaluated."""
    tags = iam_actions.request_tag_context

    def conditions(service: str, iam_action: str, body: bytes, params: dict[str, Any]) -> dict[str, Any]:
        return {**of_request(iam_action, _decoded(body, params)), **tags(service, iam_action, body, params)}

    iam_actions.request_tag_context = conditions


def of_request(action: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of one request, in lower case: `events:source`, `cloudwatch:namespace` ..."""
    if action == "events:PutEvents":
        entries = [entry for entry in request.get("Entries") or [] if isinstance(entry, Mapping)]
        keys = {"Source": "events:source", "DetailType": "events:detail-type"}
        return {key: _one(entry.get(name) for entry in entries) for name, key in keys.items()}
    if action == "cloudwatch:PutMetricData":
        return {"cloudwatch:namespace": _one([request.get("Namespace")])}
    if action in ("sns:Subscribe", "sns:Publish"):
        found = {"sns:protocol": request.get("Protocol"), "sns:endpoint": request.get("Endpoint")}
        return {key: value for key, value in found.items() if value}
    if action in ("kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey"):
        context = request.get("EncryptionContext")
        pairs = context.items() if isinstance(context, Mapping) else ()
        return {f"kms:encryptioncontext:{key}".lower(): str(value) for key, value in pairs}
    if action.startswith("dynamodb:"):
        partitions = leading_keys(request, _partition_key(str(request.get("TableName"))))
        return {"dynamodb:leadingkeys": partitions} if partitions else {}
    return {}


def leading_keys(request: Mapping[str, Any], partition_key: str) -> list[str]:
    """Values of the partition key that a request of one item or a query names."""
    item = request.get("Key") or request.get("Item")
    if isinstance(item, Mapping):
        return _values([item.get(partition_key)])
    names, values = (
        request.get("ExpressionAttributeNames") or {},
        request.get("ExpressionAttributeValues") or {},
    )
    compared = re.findall(r"([\w#.-]+)\s*=\s*(:\w+)", str(request.get("KeyConditionExpression") or ""))
    return _values(values.get(value) for name, value in compared if names.get(name, name) == partition_key)


def _values(attributes: Iterable[Any]) -> list[str]:
    """`{"S": "x"}` as `x`."""
    return [
        str(value)
        for attribute in attributes
        if isinstance(attribute, Mapping)
        for value in attribute.values()
    ]


def _partition_key(table: str) -> str:
    found = dynamodb._tables.get(table.rsplit("/", 1)[-1])
    return str(found["pk_name"]) if found else ""


def _one(values: Iterable[Any]) -> Any:
    """One value where all are the same; several are given as a list, of which every operator sees each."""
    found = sorted({str(value) for value in values if value is not None})
    return found[0] if len(found) == 1 else found or None


def _decoded(body: bytes, params: Mapping[str, Any]) -> dict[str, Any]:
    """The request as a mapping, whether it came as JSON, as CBOR or as a form."""
    if body[:1] == b"{":
        try:
            decoded = json.loads(body)
        except ValueError:
            return {}
        return decoded if isinstance(decoded, dict) else {}
    # Every CBOR request is a map at its top: major type 5.
    if body[:1] and body[0] >> 5 == 5:
        return _cbor(body)
    return {name: value[0] if isinstance(value, list) and value else value for name, value in params.items()}


def _cbor(body: bytes) -> dict[str, Any]:
    try:
        import cbor2
    except ImportError:
        return {}
    try:
        decoded = cbor2.loads(body)
    except (cbor2.CBORDecodeError, ValueError):
        return {}
    if not isinstance(decoded, dict):
        return {}
    return {
        str(name): base64.b64encode(value) if isinstance(value, bytes) else value
        for name, value in decoded.items()
    }
