"""Corrects S3, secrets and VPCs where their CloudFormation or their events differ from AWS.

A bucket that holds objects cannot be deleted; events name the object's version (S3 API reference: DeleteBucket; S3 user
guide: "EventBridge event message structure").
"""

from __future__ import annotations

import contextvars
import json
from typing import Any

from ministack.services import eventbridge, s3, secretsmanager
from ministack.services.cloudformation import provisioners

from emulator.ministack.emulator import Emulator

__all__ = ["install"]

_version: contextvars.ContextVar[str | None] = contextvars.ContextVar(
    "rehearsal_object_version", default=None
)


def install(emulator: Emulator) -> None:
    """Buckets keep their tags, and are not deleted while they hold objects; copies take conditions; events name the object's version."""
    _mend_buckets()
    _mend_copies()
    _mend_events()
    _mend_secrets()
    _mend_vpcs()


def _handlers(kind: str) -> dict[str, Any]:
    table: dict[str, Any] = provisioners._RESOURCE_HANDLERS[kind]
    return table


def _mend_buckets() -> None:
    table = _handlers("AWS::S3::Bucket")
    create, update, delete = table["create"], table["update"], table["delete"]

    def set_tags(name: str, props: dict[str, Any]) -> None:
        tags = {tag["Key"]: str(tag["Value"]) for tag in props.get("Tags") or [] if isinstance(tag, dict)}
        if tags:
            s3._bucket_tags[name] = tags
        else:
            s3._bucket_tags.pop(name, None)

    def created(logical_id: str, props: dict[str, Any], stack_name: str) -> Any:
        result = create(logical_id, props, stack_name)
        set_tags(result[0], props)
        return result

    def updated(physical_id: str, old: dict[str, Any], new: dict[str, Any], stack_name: str) -> Any:
        result = update(physical_id, old, new, stack_name)
        set_tags(result[0], new)
        return result

    def deleted(physical_id: str, props: dict[str, Any]) -> None:
        if _holds_objects(physical_id):
            raise ValueError(
                f"The bucket you tried to delete is not empty: {physical_id}. "
                "You must delete all versions in the bucket. "
                "(Service: S3, Status Code: 409, Error Code: BucketNotEmpty)"
            )
        delete(physical_id, props)

    table.update(create=created, update=updated, delete=deleted)


def _holds_objects(bucket: str) -> bool:
    record = s3._buckets.get(bucket)
    return bool(record) and bool(record.get("objects") or s3._bucket_has_versions(bucket))


def _mend_copies() -> None:
    """A copy takes conditions and a checksum algorithm of its own (S3 API reference: CopyObject)."""
    copy = s3._copy_object

    def copied(bucket: str, key: str, headers: dict[str, str]) -> Any:
        objects = (s3._buckets.get(bucket) or {}).get("objects") or {}
        refused = s3._check_put_preconditions(headers, objects.get(key))
        if refused is not None:
            return refused
        algorithm = headers.get("x-amz-checksum-algorithm")
        if algorithm:
            # S3 computes it of the bytes that it copies.
            headers = {**headers, "x-amz-sdk-checksum-algorithm": algorithm}
        return copy(bucket, key, headers)

    s3._copy_object = copied


def _mend_events() -> None:
    """Every event of a versioned bucket has `detail.object.version-id`."""
    fire, dispatch = s3._fire_s3_event, eventbridge._dispatch_event

    def fired(*arguments: Any, **named: Any) -> None:
        token = _version.set(named.get("version_id"))
        try:
            fire(*arguments, **named)
        finally:
            _version.reset(token)

    def dispatched(event: dict[str, Any], view: Any = None) -> None:
        version = _version.get()
        if version and event.get("Source") == "aws.s3":
            detail = json.loads(event["Detail"])
            if isinstance(detail.get("object"), dict):
                detail["object"].setdefault("version-id", version)
                event["Detail"] = json.dumps(detail)
                view = None
        dispatch(event, view)

    s3._fire_s3_event = fired
    eventbridge._dispatch_event = dispatched


def _mend_secrets() -> None:
    """`Ref` of a secret is its ARN, which CDK also passes to every consumer."""
    table = _handlers("AWS::SecretsManager::Secret")
    create, update, delete = table["create"], table["update"], table["delete"]

    def name_of(reference: str) -> str:
        for name, secret in secretsmanager._secrets.items():
            if secret.get("ARN") == reference:
                return str(name)
        return reference

    def created(logical_id: str, props: dict[str, Any], stack_name: str) -> Any:
        _name, attributes = create(logical_id, props, stack_name)
        return attributes["Arn"], attributes

    def updated(physical_id: str, old: Any, new: Any, stack_name: str, logical_id: str | None = None) -> Any:
        name = name_of(physical_id)
        changed, attributes = (
            update(name, old, new, stack_name, logical_id)
            if table.get("update_with_logical_id")
            else update(name, old, new, stack_name)
        )
        return (attributes or {}).get("Arn") or (physical_id if changed == name else changed), attributes

    def deleted(physical_id: str, props: dict[str, Any]) -> None:
        delete(name_of(physical_id), props)

    table.update(create=created, update=updated, delete=deleted)


def _mend_vpcs() -> None:
    table = _handlers("AWS::EC2::VPC")
    create = table["create"]

    def created(logical_id: str, props: dict[str, Any], stack_name: str) -> Any:
        physical_id, attributes = create(logical_id, props, stack_name)
        blocks = {
            "CidrBlock": props.get("CidrBlock", "10.0.0.0/16"),
            "CidrBlockAssociations": [],
            "Ipv6CidrBlocks": [],
        }
        return physical_id, {**blocks, **attributes}

    table["create"] = created
