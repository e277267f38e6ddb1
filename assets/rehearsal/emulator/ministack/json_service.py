"""Serves a service that MiniStack does not have over HTTP: routing, the caller's permissions, the format of errors.

AWS's JSON services name the operation in the header `X-Amz-Target` and the error in the body (Smithy: "AWS JSON 1.1
protocol").
"""

from __future__ import annotations

import contextvars
import json
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Protocol

from ministack import app
from ministack.core import concurrency, iam_evaluator, responses, router

from emulator.host import AccessDenied, ApiError
from emulator.ministack.emulator import Emulator
from emulator.ministack.grants import denial_message

__all__ = ["Permission", "authorize_caller", "caller", "error_answer", "serve_json"]

Answer = tuple[int, dict[str, str], bytes]
Handler = Callable[[str, str, dict[str, str], bytes, dict[str, Any]], Awaitable[Answer]]
Operation = Callable[[str, dict[str, Any], str], Any]

_caller: contextvars.ContextVar[str] = contextvars.ContextVar("rehearsal_caller", default="")


class Permission(Protocol):
    """One action on one resource that a call needs."""

    @property
    def action(self) -> str: ...
    @property
    def resource(self) -> str: ...
    @property
    def context(self) -> Mapping[str, str]: ...


def serve_json(
    name: str,
    target: str,
    permissions: Callable[[str, dict[str, Any]], Iterable[Permission]],
    handle: Operation,
    emulator: Emulator,
) -> None:
    """Answers requests of the JSON 1.1 protocol whose target header is `<target>.<operation>`."""

    async def answer(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
    ) -> Answer:
        answered: Answer = await concurrency.run_reentrant(
            _answer_json, emulator, permissions, handle, headers, body
        )
        return answered

    register(name, answer, target_prefixes=[f"{target}."])


def register(name: str, handler: Handler, *, target_prefixes: list[str] | None = None) -> None:
    """Adds a service to MiniStack's routing. The name is also the scope of its signatures."""
    app.SERVICE_HANDLERS[name] = handler
    router.SERVICE_PATTERNS[name] = {"target_prefixes": target_prefixes or [], "credential_scope": name}


def _answer_json(
    emulator: Emulator,
    permissions: Callable[[str, dict[str, Any]], Iterable[Permission]],
    handle: Operation,
    headers: dict[str, str],
    body: bytes,
) -> Answer:
    operation = headers.get("x-amz-target", "").rsplit(".", 1)[-1]
    try:
        request = json.loads(body or b"{}")
        if not isinstance(request, dict):
            raise ValueError("not an object")
    except ValueError:
        return error_answer(ApiError("SerializationException", "the request is not a JSON object"))
    try:
        authorize_caller(emulator, headers, permissions(operation, request))
        result = handle(operation, request, caller(headers))
    except ApiError as error:
        return error_answer(error)
    return 200, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(result or {}).encode()


def error_answer(error: ApiError) -> Answer:
    """The error in the form of both JSON protocols: the code in a header and in the body."""
    body = {"__type": error.code, "message": error.message, "Message": error.message}
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "x-amzn-ErrorType": error.code,
        "x-amzn-RequestId": str(uuid.uuid4()),
    }
    return error.status, headers, json.dumps(body).encode()


def caller(headers: dict[str, str]) -> str:
    """ARN of the caller who signed the request: a role session, or the account's root user."""
    return str(iam_evaluator.request_caller_arn(headers, {}))


def authorize_caller(
    emulator: Emulator,
    headers: dict[str, str],
    permissions: Iterable[Permission],
    query: dict[str, Any] | None = None,
    signer: str | None = None,
) -> None:
    """Raises AWS's error unless the signer of the request is permitted to do all of that.

    `signer` is the access key where it does not stand in headers or query, as in the form of an upload.
    """
    key = signer or router.extract_access_key_id(headers, query or {})
    region = responses.get_region()
    for needed in permissions:
        service = needed.action.split(":", 1)[0]
        context = {name.lower(): value for name, value in needed.context.items()}
        denied = iam_evaluator.enforce(key, needed.action, service, region, needed.resource, context)
        if denied is None:
            continue
        if isinstance(denied, iam_evaluator.AuthError):
            raise ApiError(denied.code, denied.message, 403)
        message = denial_message(denied, denied.principal_arn, needed.action, needed.resource)
        raise AccessDenied(
            message, principal=denied.principal_arn, action=needed.action, resource=needed.resource
        )
