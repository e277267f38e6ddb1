"""Finds customer keys, and evaluates whether a caller may use one: the policies of the caller and the key's own count.

A key policy that names the account lets the account's IAM policies decide; one that does not must name the caller itself
(KMS developer guide: "Key policies in AWS KMS", "Default key policy"). Keys that AWS manages for a service
(`alias/aws/...`) permit everybody in the account who uses them through that service.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ministack.core import iam_evaluator, responses
from ministack.core.arn import ArnParseError, parse_arn
from ministack.services import kms

__all__ = ["READ", "WRITE", "Permission", "foreign", "key_arn", "permissions", "refused_to_service"]

READ = ("kms:Decrypt",)
WRITE = ("kms:GenerateDataKey",)


@dataclass(frozen=True)
class Permission:
    """One use of a key that a call needs, with the condition keys of the request that the service makes for the caller."""

    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict)


def key_arn(key: str | None) -> str | None:
    """ARN of a customer key, given by id, ARN or alias; None where there is none or where AWS manages it.

    An id or ARN of a key that was not made here is taken as it is: only the caller's own policies can be evaluated.
    """
    if not key or ":alias/aws/" in key or key.startswith("alias/aws/"):
        return None
    found = kms._resolve_key(key)
    if found is not None:
        return str(found["Arn"])
    if key.startswith("arn:"):
        return key
    kind = "" if key.startswith("alias/") else "key/"
    return f"arn:aws:kms:{responses.get_region()}:{responses.get_account_id()}:{kind}{key}"


def foreign(arn: str) -> bool:
    """Whether the key was not made here, so that its policy cannot be seen."""
    return kms._resolve_key(arn) is None


def permissions(
    key: str | None, actions: Iterable[str], service: str, context: Mapping[str, str] | None = None
) -> list[Permission]:
    """The uses of a key that `service` makes on behalf of a caller; none where there is no customer key.

    `context` is the encryption context (KMS developer guide: "Condition keys for AWS KMS").
    """
    arn = key_arn(key)
    if arn is None:
        return []
    keys = {f"kms:EncryptionContext:{name}": value for name, value in (context or {}).items()}
    keys["kms:ViaService"] = f"{service}.{responses.get_region()}.amazonaws.com"
    keys["kms:CallerAccount"] = responses.get_account_id()
    return [Permission(action, arn, keys) for action in actions]


def refused_to_service(
    principal: str, key: str | None, actions: Iterable[str], keys: Mapping[str, Any]
) -> Permission | None:
    """The first use of the key that its policy does not allow to a service of AWS, such as `sns.amazonaws.com`."""
    arn = key_arn(key)
    found = kms.key_policy_for_arn(arn) if arn else None
    if arn is None or found is None:
        return None
    try:
        account = parse_arn(arn).account_id
    except ArnParseError:
        account = responses.get_account_id()
    for action in actions:
        context = iam_evaluator.EvalContext(
            principal_arn=principal,
            principal_type="Service",
            principal_account=account or responses.get_account_id(),
            action=action,
            resource_arn=arn,
            region=responses.get_region(),
            secure_transport=True,
            service_context=dict(keys),
        )
        decision = iam_evaluator.evaluate_resource_policy(found[0], context, service=principal).decision
        if decision != "Allow":
            return Permission(action, arn)
    return None
