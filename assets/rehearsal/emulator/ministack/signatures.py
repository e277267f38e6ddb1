"""A request as it arrived, and whether somebody of this run has signed it.

Signature version 4 in headers or in the query, and addresses that S3's version 2 presigns, as MiniStack calculates them (IAM user guide:
"Create a signed AWS API request"; S3 API reference: "Signing and authenticating REST requests"). MiniStack itself does
not verify the keys of its root user.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote

from ministack import app
from ministack.core import iam_actions, iam_evaluator, responses, sigv4

__all__ = ["Request", "is_signed", "read", "signature_failure"]

UNSUPPORTED = (
    "InvalidRequest",
    "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
)


@dataclass(frozen=True)
class Request:
    """A request as it arrived."""

    method: str
    path: str
    raw_path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes = b""

    @property
    def host(self) -> str:
        """Name and port."""
        return self.headers.get("host", "").lower()

    @property
    def service(self) -> str:
        """The service that it goes to."""
        return str(app.detect_service(self.method, self.path, self.headers, self._parameters))

    @property
    def action(self) -> str:
        """The IAM action of the call, empty where there is none."""
        return str(
            iam_actions.extract_iam_action(
                self.service, self.method, self.path, self.headers, self.body, self._parameters
            )
            or ""
        )

    @property
    def _parameters(self) -> dict[str, Any]:
        found: dict[str, Any] = app._routing_params(
            self.method, self.path, self.headers, self.body, self.query
        )
        return found


def read(scope: Mapping[str, Any]) -> Request:
    """The head of a request of ASGI."""
    headers: dict[str, str] = {}
    for name, value in scope.get("headers", []):
        key, text = name.decode("latin-1").lower(), sigv4.decode_header_value(value)
        # SigV4 signs a header that is sent on several lines as its values joined by a comma.
        headers[key] = f"{headers[key]},{text}" if key in headers else text
    path = scope.get("path", "")
    raw_path = (scope.get("raw_path") or quote(path).encode()).decode("latin-1")
    query = parse_qs(scope.get("query_string", b"").decode("utf-8", "replace"), keep_blank_values=True)
    return Request(scope.get("method", "GET"), path, raw_path, query, headers)


def is_signed(request: Request) -> bool:
    """Whether it claims to be signed, in whatever way."""
    authorization = request.headers.get("authorization", "")
    return authorization.startswith(("AWS4-", "AWS ")) or any(
        name.lower() in ("x-amz-signature", "x-amz-credential", "x-amz-algorithm", "awsaccesskeyid")
        for name in request.query
    )


def signature_failure(request: Request) -> tuple[str, str] | None:
    """Code and message for a signature that nobody of this run made; None when it is valid or there is none."""
    if not is_signed(request):
        return None
    if _is_of_version_2(request):
        return _version_2_failure(request)
    presigned = not request.headers.get("authorization", "").startswith("AWS4-HMAC-SHA256 ")
    in_query = any(name.lower().startswith("x-amz-signature") for name in request.query)
    if presigned != in_query:
        return UNSUPPORTED
    parsed = (
        sigv4.parse_query_signature(request.query)
        if presigned
        else sigv4.parse_header_signature(request.headers)
    )
    if isinstance(parsed, tuple):
        return parsed
    if parsed.region_set is not None or parsed.access_key_id != app.extract_access_key_id(
        request.headers, request.query
    ):
        return UNSUPPORTED
    failure = _time_failure(request, parsed, presigned) or _digest_failure(request)
    if failure:
        return failure
    token = (
        request.query.get("X-Amz-Security-Token", [""])[0]
        if presigned
        else request.headers.get("x-amz-security-token", "")
    )
    credential = iam_evaluator.resolve_credential(
        parsed.access_key_id, _account_of(parsed.access_key_id), token
    )
    if isinstance(credential, iam_evaluator.CredentialResolutionError):
        return credential.code, credential.message
    mismatch: tuple[str, str] | None = sigv4.header_signature_failure(
        parsed,
        credential.secret_access_key,
        request.method,
        request.raw_path,
        request.query,
        request.headers,
        request.body,
        presigned=presigned,
    )
    return mismatch


def _is_of_version_2(request: Request) -> bool:
    return not request.headers.get("authorization") and "AWSAccessKeyId" in request.query


def _version_2_failure(request: Request) -> tuple[str, str] | None:
    """boto3 still presigns so for us-east-1; only S3 takes it."""
    if request.service != "s3":
        return UNSUPPORTED
    key = app.extract_access_key_id(request.headers, request.query)
    bucket = app._extract_s3_vhost_bucket(request.host)
    signed = iam_evaluator.SignedRequest(
        key,
        request.method,
        request.raw_path,
        request.query,
        request.headers,
        sigv2=True,
        auth_path=f"/{bucket}{request.raw_path}" if bucket else request.raw_path,
    )
    checked = iam_evaluator._sigv2_check(signed, _account_of(key))
    if isinstance(checked, iam_evaluator.AuthError):
        return str(checked.code), str(checked.message)
    return None


def _account_of(access_key_id: str) -> str | None:
    found: str | None = iam_evaluator.find_iam_access_key_account(
        access_key_id
    ) or responses._account_from_sts_session(access_key_id)
    return found


def _time_failure(request: Request, signature: Any, presigned: bool) -> tuple[str, str] | None:
    if not presigned:
        late: tuple[str, str] | None = sigv4.request_time_failure(signature)
        return late
    expires = request.query.get("X-Amz-Expires", ["900"])[0]
    try:
        expired = sigv4.presigned_request_is_expired(signature.amz_date, expires)
    except ValueError:
        expired = True
    return ("AccessDenied", "Request has expired") if expired else None


def _digest_failure(request: Request) -> tuple[str, str] | None:
    """The signature covers the digest that the header names; the body must have it."""
    named = request.headers.get("x-amz-content-sha256", "")
    if not re.fullmatch(r"[0-9a-f]{64}", named) or named == hashlib.sha256(request.body).hexdigest():
        return None
    return (
        "XAmzContentSHA256Mismatch",
        "The provided 'x-amz-content-sha256' header does not match what was computed.",
    )
