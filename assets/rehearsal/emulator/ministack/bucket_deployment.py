"""Plays CDK's `BucketDeployment` in this process, under the role of its function: unpacks, replaces markers, uploads, prunes.

CDK's provider does this with `aws s3 sync` (source: aws-cdk, `@aws-cdk/custom-resource-handlers`,
`aws-s3-deployment/bucket-deployment-handler`).
"""

from __future__ import annotations

import fnmatch
import io
import json
import mimetypes
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

from emulator.ministack.emulator import Emulator
from emulator.ministack.provider_request import Answer, Request, provider_role

__all__ = ["provide"]

_SYSTEM_METADATA = {
    "cache-control": "CacheControl",
    "content-disposition": "ContentDisposition",
    "content-encoding": "ContentEncoding",
    "content-language": "ContentLanguage",
    "content-type": "ContentType",
    "storage-class": "StorageClass",
    "website-redirect": "WebsiteRedirectLocation",
}


def provide(emulator: Emulator, request: Request) -> Answer:
    """Plays one request of `Custom::CDKBucketDeployment`."""
    client = emulator.host.client("s3", provider_role(request))
    properties = request.properties
    physical_id = request.physical_id or f"aws.cdk.s3deployment.{uuid.uuid4()}"
    if request.kind == "Delete":
        if not _true(properties.get("RetainOnDelete", "true")):
            _remove(client, properties, keep=frozenset())
        return physical_id, {}
    moved = _place(request.old_properties) != _place(properties)
    if request.kind == "Update" and moved and not _true(request.old_properties.get("RetainOnDelete", "true")):
        _remove(client, request.old_properties, keep=frozenset())
    uploaded = _upload(client, properties)
    if _true(properties.get("Prune", "true")):
        _remove(client, properties, keep=frozenset(uploaded))
    data: dict[str, Any] = {"SourceObjectKeys": properties.get("SourceObjectKeys", [])}
    if properties.get("DestinationBucketArn"):
        data["DestinationBucketArn"] = properties["DestinationBucketArn"]
    return physical_id, data


def _place(properties: Mapping[str, Any]) -> tuple[str, str]:
    prefix = str(properties.get("DestinationBucketKeyPrefix") or "").lstrip("/")
    if prefix and not prefix.endswith("/"):
        prefix += "/"
    return str(properties.get("DestinationBucketName", "")), prefix


def _upload(client: Any, properties: Mapping[str, Any]) -> set[str]:
    bucket, prefix = _place(properties)
    uploaded = set()
    for name, body in _files(client, properties):
        if not _chosen(name, properties):
            continue
        key = prefix + name
        client.put_object(Bucket=bucket, Key=key, Body=body, **_metadata(name, properties))
        uploaded.add(key)
    return uploaded


def _files(client: Any, properties: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    keys = properties.get("SourceObjectKeys", [])
    markers = properties.get("SourceMarkers") or [{}] * len(keys)
    configs = properties.get("SourceMarkersConfig") or [{}] * len(keys)
    for index, key in enumerate(keys):
        body = client.get_object(Bucket=properties["SourceBucketNames"][index], Key=key)["Body"].read()
        if not _true(properties.get("Extract", "true")):
            yield key.rsplit("/", 1)[-1], body
            continue
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            for entry in archive.infolist():
                if not entry.is_dir():
                    yield entry.filename, _replaced(archive.read(entry), markers[index], configs[index])


def _replaced(body: bytes, markers: Mapping[str, Any], config: Mapping[str, Any]) -> bytes:
    escape = _true(config.get("jsonEscape", "false"))
    for marker, value in markers.items():
        text = str(value)
        # Within a JSON document the value is inside quotes already.
        body = body.replace(marker.encode(), (json.dumps(text)[1:-1] if escape else text).encode())
    return body


def _chosen(name: str, properties: Mapping[str, Any]) -> bool:
    """Like `aws s3 sync`: excluded by any pattern, taken back in by an include pattern."""
    excluded = any(fnmatch.fnmatchcase(name, pattern) for pattern in properties.get("Exclude") or [])
    return not excluded or any(
        fnmatch.fnmatchcase(name, pattern) for pattern in properties.get("Include") or []
    )


def _metadata(name: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {"ContentType": mimetypes.guess_type(name)[0] or "binary/octet-stream"}
    for key, value in (properties.get("SystemMetadata") or {}).items():
        if key.lower() in _SYSTEM_METADATA:
            result[_SYSTEM_METADATA[key.lower()]] = str(value)
    user = {key.lower(): str(value) for key, value in (properties.get("UserMetadata") or {}).items()}
    if user:
        result["Metadata"] = user
    return result


def _remove(client: Any, properties: Mapping[str, Any], keep: frozenset[str]) -> None:
    bucket, prefix = _place(properties)
    doomed = []
    try:
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            doomed += [entry["Key"] for entry in page.get("Contents", []) if entry["Key"] not in keep]
    except client.exceptions.NoSuchBucket:
        return
    for key in doomed:
        if _chosen(key[len(prefix) :], properties):
            client.delete_object(Bucket=bucket, Key=key)


def _true(value: object) -> bool:
    return str(value).lower() == "true"
