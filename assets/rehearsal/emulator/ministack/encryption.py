"""Makes customer keys count: who uses what such a key protects needs permission to use the key as well.

Nothing is encrypted here; what is played is who may. S3 (user guide: "Using server-side encryption with AWS KMS keys"):
reading needs `kms:Decrypt`, writing `kms:GenerateDataKey`, an upload in parts both. SQS and SNS ("Key management" of their
developer guides): senders need `kms:GenerateDataKey` and `kms:Decrypt`, receivers `kms:Decrypt`. DynamoDB (developer guide:
"DynamoDB encryption at rest usage notes"): the key of the table is decrypted on behalf of who uses the table.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import parse_qs, unquote
from xml.sax.saxutils import escape

from ministack import app
from ministack.core import iam_actions, responses, router
from ministack.services import dynamodb, s3, sns, sqs
from ministack.services.cloudformation import provisioners

from emulator.host import AccessDenied, ApiError
from emulator.ministack import json_service, keys
from emulator.ministack.emulator import Emulator
from emulator.ministack.keys import READ, WRITE, Permission

__all__ = ["install", "key_of"]

_ALGORITHM = "x-amz-server-side-encryption"
_KEY = "x-amz-server-side-encryption-aws-kms-key-id"
_WITH_KEY = ("aws:kms", "aws:kms:dsse")
_ITEMS = frozenset(
    f"dynamodb:{name}"
    for name in (
        "BatchGetItem",
        "BatchWriteItem",
        "ConditionCheckItem",
        "DeleteItem",
        "GetItem",
        "PutItem",
        "Query",
        "Scan",
        "TransactGetItems",
        "TransactWriteItems",
        "UpdateItem",
    )
)
_NEEDS: dict[str, tuple[str, ...]] = {
    "sqs:SendMessage": (*WRITE, *READ),
    "sqs:ReceiveMessage": READ,
    "sns:Publish": (*WRITE, *READ),
    **dict.fromkeys(_ITEMS, READ),
}
_CODES = {"sqs": "KmsAccessDenied", "sns": "KMSAccessDenied"}
"""How these services call a refusal by KMS; the others say that access is denied."""


def install(emulator: Emulator) -> None:
    """Records the keys that templates name, and evaluates their use in every request."""
    _record_keys_of_templates()
    _take_key_of_aws()
    _enforce_in_s3(emulator)
    for service in ("sqs", "sns", "dynamodb"):
        _enforce_in(emulator, service)


def key_of(resource_arn: str) -> str | None:
    """The key that a queue, a topic or a table is encrypted with, as it was given."""
    service = (resource_arn.split(":") + [""] * 3)[2]
    if service == "sqs":
        return ((sqs._queue_by_arn(resource_arn) or {}).get("attributes") or {}).get("KmsMasterKeyId")
    if service == "sns":
        found = sns._topic_by_arn_any_scope(resource_arn) or {}
        return (found.get("attributes") or {}).get("KmsMasterKeyId")
    if service == "dynamodb":
        table = resource_arn.partition(":table/")[2].split("/")[0]
        described = (dynamodb._tables.get(table) or {}).get("SSEDescription") or {}
        return described.get("KMSMasterKeyArn") if described.get("Status") == "ENABLED" else None
    return None


# --- queues, topics, tables ----------------------------------------------------------------


def _enforce_in(emulator: Emulator, service: str) -> None:
    handle = app.SERVICE_HANDLERS[service]

    async def answer(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
    ) -> Any:
        needed = _needed(service, method, path, headers, body, query)
        refused = _refusal(emulator, service, headers, query, needed) if needed else None
        return refused or await handle(method, path, headers, body, query)

    app.SERVICE_HANDLERS[service] = answer


def _needed(
    service: str, method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
) -> list[Permission]:
    parameters = dict(query)
    if "form" in headers.get("content-type", ""):
        parameters.update(parse_qs(body.decode("utf-8", "replace")))
    action = iam_actions.extract_iam_action(service, method, path, headers, body, parameters)
    if action not in _NEEDS:
        return []
    region, account = responses.get_region(), responses.get_account_id()
    if service == "dynamodb":
        checks = iam_actions.dynamodb_transaction_checks(action, body, region, account)
        arns = [arn for _, arn in checks] or iam_actions.dynamodb_resource_arns(body, region, account)
    else:
        arns = [
            iam_actions.extract_resource_arn(
                service, method, path, headers, body, parameters, region, account
            )
        ]
    found: list[Permission] = []
    for arn in dict.fromkeys(arns):
        context = {f"aws:{service}:arn" if service != "dynamodb" else "aws:dynamodb:tableName": arn}
        found += keys.permissions(key_of(arn), _NEEDS[action], service, context)
    return found


def _refusal(
    emulator: Emulator,
    service: str,
    headers: dict[str, str],
    query: dict[str, Any],
    needed: Iterable[Permission],
    signer: str | None = None,
) -> Any:
    """The answer of the service to a caller who may not use the key; None where it may, or is a service itself."""
    if not (signer or router.extract_access_key_id(headers, query)):
        return None
    for permission in needed:
        if keys.foreign(permission.resource):
            why = "this key was not made by the app: its own policy cannot be seen"
            emulator.journal.not_rehearsed("AWS::KMS::Key", permission.resource, "", why)
    try:
        json_service.authorize_caller(emulator, headers, needed, query, signer=signer)
    except AccessDenied as denied:
        return iam_actions.access_denied_response(
            service,
            denied.action,
            denied.principal,
            str(uuid.uuid4()),
            headers=headers,
            resource_arn=denied.resource,
            message=denied.message,
            error_code=_CODES.get(service, ""),
        )
    except ApiError:
        return None  # who is not known was refused before
    return None


# --- objects ----------------------------------------------------------------------------------


def _enforce_in_s3(emulator: Emulator) -> None:
    dispatch = s3._dispatch

    def dispatched(
        method: str, bucket: str, key: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
    ) -> Any:
        needed = _of_object(method, bucket, key, headers, query)
        if needed:
            signer = s3._request_access_key(method, key, headers, query, body)
            refused = _refusal(emulator, "s3", headers, query, needed, signer)
            if refused:
                return refused
        return dispatch(method, bucket, key, headers, body, query)

    s3._dispatch = dispatched


def _take_key_of_aws() -> None:
    """`aws:kms` without a key means the key that AWS manages for S3; MiniStack asks for one."""
    resolve = s3._resolve_sse_write_headers

    def resolved(headers: Mapping[str, str], bucket: str) -> Any:
        if headers.get(_ALGORITHM) == "aws:kms" and not headers.get(_KEY):
            return {_ALGORITHM: "aws:kms"}, None
        return resolve(headers, bucket)

    s3._resolve_sse_write_headers = resolved


def _of_object(
    method: str, bucket: str, key: str, headers: Mapping[str, str], query: Mapping[str, Any]
) -> list[Permission]:
    """What a request for an object needs of keys."""
    if not key:
        form = method == "POST" and "multipart/form-data" in headers.get("content-type", "")
        return _writing(bucket, "*", {}, WRITE) if form else []
    found: list[Permission] = []
    source = headers.get("x-amz-copy-source") if method == "PUT" else None
    if source:
        path, _, version = source.partition("?versionId=")
        from_bucket, _, from_key = unquote(path).lstrip("/").partition("/")
        found += _reading(from_bucket, from_key, version)
    upload = s3._multipart_uploads.get(s3._qp(dict(query), "uploadId", ""))
    if upload and method in ("PUT", "POST"):
        uploaded = upload.get("preserved_headers", {}).get(_KEY)
        return found + keys.permissions(uploaded, (*WRITE, *READ), "s3", _context(bucket, key))
    if method == "POST" and "uploads" in query:
        return found + _writing(bucket, key, headers, (*WRITE, *READ))
    action = iam_actions._s3_action(method, f"/{bucket}/{key}", dict(query))
    if method == "PUT" and action == "PutObject":
        return found + _writing(bucket, key, headers, WRITE)
    if method == "GET" and action in ("GetObject", "GetObjectVersion"):
        return _reading(bucket, key, s3._qp(dict(query), "versionId", ""))
    return found


def _reading(bucket: str, key: str, version: str) -> list[Permission]:
    record = ((s3._buckets.get(bucket) or {}).get("objects") or {}).get(key) or {}
    if version:
        versions = s3._object_versions.get((bucket, key), [])
        record = next((entry for entry in versions if entry["version_id"] == version), record)
    used = (record.get("preserved_headers") or {}).get(_KEY)
    return keys.permissions(used, READ, "s3", _context(bucket, key))


def _writing(bucket: str, key: str, headers: Mapping[str, str], actions: tuple[str, ...]) -> list[Permission]:
    default = s3._bucket_default_sse_headers(bucket)
    asked = headers.get(_ALGORITHM) or headers.get(f"{_ALGORITHM}-customer-algorithm")
    settings = headers if asked else default
    used = settings.get(_KEY) if settings.get(_ALGORITHM) in _WITH_KEY else None
    return keys.permissions(used, actions, "s3", _context(bucket, key))


def _context(bucket: str, key: str) -> dict[str, str]:
    """With an S3 Bucket Key the encryption context is the bucket, else the object."""
    one_for_all = "<BucketKeyEnabled>true<" in (s3._bucket_encryption.get(bucket) or "")
    return {"aws:s3:arn": f"arn:aws:s3:::{bucket}" + ("" if one_for_all else f"/{key}")}


# --- what templates say -------------------------------------------------------------------


def _record_keys_of_templates() -> None:
    _after("AWS::S3::Bucket", _record_bucket)
    _after("AWS::SNS::Topic", _record_topic)
    for kind in ("AWS::DynamoDB::Table", "AWS::DynamoDB::GlobalTable"):
        _after(kind, _record_table)


def _after(kind: str, record: Callable[[str, Mapping[str, Any]], None]) -> None:
    """Calls `record(physical id, properties)` when a resource was created or updated."""
    table: dict[str, Any] = provisioners._RESOURCE_HANDLERS[kind]
    create, update = table["create"], table["update"]

    def created(logical_id: str, props: dict[str, Any], stack_name: str) -> Any:
        result = create(logical_id, props, stack_name)
        record(result[0], props)
        return result

    def updated(physical_id: str, old: dict[str, Any], new: dict[str, Any], *more: Any) -> Any:
        result = update(physical_id, old, new, *more)
        record(result[0] if result else physical_id, new)
        return result

    table.update(create=created, update=updated)


def _record_bucket(name: str, props: Mapping[str, Any]) -> None:
    rules = (props.get("BucketEncryption") or {}).get("ServerSideEncryptionConfiguration") or []
    if not rules:
        s3._delete_bucket_encryption(name)
        return
    default = rules[0].get("ServerSideEncryptionByDefault") or {}
    algorithm, key = str(default.get("SSEAlgorithm", "AES256")), default.get("KMSMasterKeyID")
    # Both forms with a key need the same permissions; MiniStack knows the key of one.
    algorithm = "aws:kms" if algorithm in _WITH_KEY else algorithm
    one_key = str(rules[0].get("BucketKeyEnabled", False)).lower()
    with_key = f"<KMSMasterKeyID>{escape(str(key))}</KMSMasterKeyID>" if key else ""
    default_xml = f"<SSEAlgorithm>{escape(algorithm)}</SSEAlgorithm>{with_key}"
    by_default = f"<ApplyServerSideEncryptionByDefault>{default_xml}</ApplyServerSideEncryptionByDefault>"
    rule = f"<Rule>{by_default}<BucketKeyEnabled>{one_key}</BucketKeyEnabled></Rule>"
    configuration = f"<ServerSideEncryptionConfiguration>{rule}</ServerSideEncryptionConfiguration>"
    status, _, answer = s3._put_bucket_encryption(name, configuration.encode())
    if status != 200:
        raise ValueError(f"BucketEncryption of {name}: {answer.decode('utf-8', 'replace')}")


def _record_topic(arn: str, props: Mapping[str, Any]) -> None:
    attributes = (sns._topics.get(arn) or {}).get("attributes")
    if attributes is None:
        return
    if props.get("KmsMasterKeyId"):
        attributes["KmsMasterKeyId"] = str(props["KmsMasterKeyId"])
    else:
        attributes.pop("KmsMasterKeyId", None)


def _record_table(name: str, props: Mapping[str, Any]) -> None:
    """A table names its key itself, a global table for each replica."""
    region = responses.get_region()
    replicas = [entry for entry in props.get("Replicas") or [] if entry.get("Region") == region]
    given = {**(props.get("SSESpecification") or {})}
    for replica in replicas:
        given.update(replica.get("SSESpecification") or {})
    table = dynamodb._tables.get(name)
    if table is None or "SSEEnabled" not in given:
        return
    enabled = str(given["SSEEnabled"]).lower() == "true"
    table["SSEDescription"] = dynamodb._sse_description_from_spec({**given, "Enabled": enabled})
