"""Calls from one account to the buckets, keys and APIs of another: the policies of the caller and of the resource must both allow them.

IAM user guide: "Cross-account policy evaluation logic". MiniStack evaluates the policy of a foreign bucket for the
account as a whole instead of the caller, and finds no keys and no APIs of other accounts.
"""

from __future__ import annotations

from typing import Any

from ministack.core import iam_evaluator, responses
from ministack.core.arn import ArnParseError, parse_arn
from ministack.services import apigateway, apigateway_v1, kms, s3

from emulator.ministack.emulator import Emulator

__all__ = ["install"]


def install(emulator: Emulator) -> None:
    """Lets the evaluation see the policies of all accounts."""
    administrators = {key.access_key_id for key in emulator.settings.administrators.values()}
    _see_buckets(administrators)
    _see_keys()
    _see_apis(apigateway, apigateway._apis)
    _see_apis(apigateway_v1, apigateway_v1._rest_apis)


def _see_buckets(administrators: set[str]) -> None:
    own, allows = s3.bucket_policy_for_arn, s3._foreign_bucket_allows

    def policy_of(arn: str) -> tuple[str, str] | None:
        found: tuple[str, str] | None = own(arn)
        if found is not None or not arn.startswith("arn:aws:s3:::"):
            return found
        bucket = arn.removeprefix("arn:aws:s3:::").split("/", 1)[0]
        owner = s3._bucket_owner_account(bucket)
        return (s3._bucket_policies.get_scoped(owner, None, bucket) or "", owner) if owner else None

    def allowed(
        owner: str, bucket: str, key: str, method: str, query: Any, caller: str, headers: Any = None
    ) -> bool:
        signer = iam_evaluator._verified_key.get()
        if caller and signer and signer not in administrators:
            # Roles and users were evaluated with both policies before; a root user only with the bucket's.
            return True
        return bool(allows(owner, bucket, key, method, query, caller, headers))

    s3.bucket_policy_for_arn = policy_of
    s3._foreign_bucket_allows = allowed


def _see_keys() -> None:
    resolve = kms._resolve_key

    def resolved(key: str | None) -> Any:
        account, region = _place_of(key)
        with responses.request_scope(account, region):
            return resolve(key)

    def policy_of(arn: str) -> tuple[str, str] | None:
        record = resolved(arn)
        return (record.get("Policy") or "", parse_arn(record["Arn"]).account_id) if record else None

    kms._resolve_key = resolved
    kms.key_policy_for_arn = policy_of


def _see_apis(module: Any, apis: Any) -> None:
    """Who does not sign is of no account: the API is found by its id alone. Who signs can call those of the own account."""
    own = module.find_api_scope

    def found(api_id: str) -> Any:
        scope = own(api_id)
        if scope is None and not iam_evaluator._verified_key.get():
            places = [(account, region) for account, region, api in apis.to_dict() if api == api_id]
            return places[0] if places else None
        return scope

    module.find_api_scope = found


def _place_of(key: str | None) -> tuple[str, str]:
    """Account and region of a key: those of its ARN, for an id or an alias those of the request."""
    try:
        arn = parse_arn(key or "")
    except ArnParseError:
        return responses.get_account_id(), responses.get_region()
    return arn.account_id, arn.region
