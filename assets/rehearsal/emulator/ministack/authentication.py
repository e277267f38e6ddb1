"""Refuses every request whose caller is not known, before any service sees it.

The port answers whoever reaches it, any web page in a browser on this machine included, and what is deployed runs as
the person who rehearses. Therefore a request must name this run as its host, and must carry a signature that one of
this run's secrets made (IAM user guide: "AWS Signature Version 4 for API requests"). Served without one is only what
AWS serves so: user calls and pages of Cognito, signing keys, POST forms of S3 (their policy is signed), APIs, function
URLs and distributions, which have authorizers of their own. Not played: buckets that the public may read.
"""

from __future__ import annotations

import hmac
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ministack import app
from ministack.core import iam_actions, iam_evaluator, lambda_runtime
from ministack.services import cloudfront, cognito, lambda_svc, s3
from ministack.services import sts as sts_service

from emulator.ministack.asgi import Asgi, Receive, Send, send_answer, send_json, whole_body
from emulator.ministack.emulator import Emulator
from emulator.ministack.signatures import Request, is_signed, read, signature_failure

__all__ = ["CONTROL", "install", "known_callers_only"]

CONTROL = "/_rehearsal/"
CALLBACKS = ("/_ministack/cfn-response/", "/_ministack/cfn-signal/")
"""Their last part is a random token: on AWS these are presigned URLs."""
OWN_ROUTES = re.compile(r"^/(_ministack|_localstack|_aws|health)(/|$)", re.IGNORECASE)
DATA_ROUTES = re.compile(r"^/_aws/(execute-api|lambda-url)/[^/]+(/|$)")
SPECIAL_ROUTES = re.compile(
    r"^/(iceberg|v20180820/|v2(/|$)|WriteGetObjectResponse|Execute|BatchExecute|BeginTransaction"
    r"|CommitTransaction|RollbackTransaction)"
)
"""Paths that MiniStack routes by themselves, whatever the host is."""
COGNITO_PAGES = {
    "/login": ("POST",),
    "/logout": ("GET",),
    "/oauth2/authorize": ("GET",),
    "/oauth2/login": ("POST",),
    "/oauth2/token": ("POST",),
    "/oauth2/userInfo": ("GET", "POST"),
    "/oauth2/userinfo": ("GET", "POST"),
}
"""Those that MiniStack serves; with another method such a path is an object of S3."""
SIGNING_KEYS = re.compile(r"^/([\w-]+)/\.well-known/(jwks\.json|openid-configuration)$")
CORS_SERVICES = ("cognito-idp", "cognito-identity")
"""Services whose user calls web pages make, so that pages may read the answers."""


def install(emulator: Emulator) -> None:
    """Makes the credentials of this run its own: MiniStack's are the same in every run, or can be calculated."""
    administrator = emulator.settings.administrator.access_key_id

    def is_root(access_key_id: str) -> bool:
        # No key: what is served without a signature, which `_refusal` has let through.
        return access_key_id in ("", administrator)

    iam_evaluator.is_root_access_key = is_root
    sts_service.is_root_access_key = is_root
    for account, key in emulator.settings.others.items():
        # MiniStack has one root user; those of other accounts are sessions without an end.
        root = {"Arn": f"arn:aws:iam::{account}:root", "UserId": account, "AccountId": account}
        secret = {"SecretAccessKey": key.secret_access_key, "PrincipalType": "Root"}
        sts_service.register_session(key.access_key_id, {**root, **secret})
    _make_function_credentials_secret(emulator)
    s3._enforce_post_policy_size = _refuse_unsigned_form


def _make_function_credentials_secret(emulator: Emulator) -> None:
    original = lambda_runtime.execution_credentials

    def credentials(config: dict[str, Any]) -> dict[str, str]:
        made: dict[str, str] = original(config)
        session = sts_service._sessions[made["AWS_ACCESS_KEY_ID"]]
        session["SecretAccessKey"] = emulator.settings.secret("function", made["AWS_ACCESS_KEY_ID"])
        session["SessionToken"] = emulator.settings.secret("function-token", made["AWS_ACCESS_KEY_ID"])
        return {
            **made,
            "AWS_SECRET_ACCESS_KEY": session["SecretAccessKey"],
            "AWS_SESSION_TOKEN": session["SessionToken"],
        }

    lambda_runtime.execution_credentials = credentials
    lambda_svc.execution_credentials = credentials


def _refuse_unsigned_form(_policy: str, _size: int) -> Any:
    return s3._error("AccessDenied", "Access Denied", 403)


def known_callers_only(emulator: Emulator, control: Asgi, services: Asgi) -> Asgi:
    """`control` for who has the token of this run, `services` for who has credentials of it."""
    own_hosts = re.compile(rf"^(127\.0\.0\.1|localhost|[a-z0-9.-]+\.localhost):{emulator.settings.port}$")

    home = emulator.host.at(emulator.settings.account, emulator.settings.region)

    async def answer(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await services(scope, receive, send)
            return
        # Whoever names none is in this account and region; MiniStack sets those of a signature.
        home.enter()
        request = read(scope)
        if not own_hosts.match(request.host) and not _is_domain_of_app(request, emulator.settings.port):
            note = f"{request.host or 'no host'} is not a name of this rehearsal"
            await _refuse(scope, send, f"{note}: it listens at {emulator.settings.endpoint}")
        elif request.path.startswith(CONTROL) and not _has_token(request, emulator.settings.token):
            await _refuse(scope, send, "the token of this rehearsal is missing")
        elif request.path.startswith(CONTROL):
            await control(scope, receive, send)
        elif scope["type"] == "websocket":
            if app._parse_execute_api_url(request.host, request.path):
                await services(scope, receive, send)
            else:
                await _refuse(scope, send, "")
        else:
            await _serve(emulator, request, scope, receive, send, services)

    return answer


async def _serve(
    emulator: Emulator, request: Request, scope: dict[str, Any], receive: Receive, send: Send, services: Asgi
) -> None:
    body = await whole_body(receive)
    if body is None:
        return
    request = replace(request, body=body)
    refusal = _refusal(request)
    if refusal is not None:
        status, headers, content = refusal
        emulator.journal.note(
            "refused", f"{request.method} {request.path}: {_summary(content)}", host=request.host
        )
        await send_answer(send, status, headers, content if request.method != "HEAD" else b"")
        return
    given = False

    async def again() -> Any:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    await services(scope, again, send if _may_be_read_by_pages(request) else _without_cors(send))


def _refusal(request: Request) -> tuple[int, dict[str, str], bytes] | None:
    """The answer of AWS to a request without a valid signature, None where it may go on."""
    if request.method == "PUT" and request.path.startswith(CALLBACKS):
        return None
    if OWN_ROUTES.match(request.path) and not DATA_ROUTES.match(request.path):
        content = json.dumps({"message": f"{request.path} is not a route of AWS"})
        return 403, {"Content-Type": "application/json"}, content.encode()
    failure = signature_failure(request)
    if failure is None and is_signed(request):
        return None
    if failure is None and _is_served_unsigned(request):
        return None
    failure = failure or (
        "AccessDenied" if request.service == "s3" else "MissingAuthenticationToken",
        "Access Denied"
        if request.service == "s3"
        else str(iam_actions.anonymous_denial_message(request.service, request.action, "*")),
    )
    code, message = failure
    problem = iam_evaluator.AuthError(code, message)
    refused: tuple[int, dict[str, str], bytes] = app._credential_failure(
        request.service, request.action, str(uuid.uuid4()), problem, request.headers
    )
    return refused


def _is_served_unsigned(request: Request) -> bool:
    if _is_data(request) or _is_cognito_page(request):
        return True
    if request.method == "OPTIONS":
        return _is_preflight_answered(request)
    if request.path == "/" and not app._extract_s3_vhost_bucket(request.host):
        return bool(iam_evaluator._served_unsigned(request.service, request.action))
    return _is_form_of_bucket(request)


def _is_data(request: Request) -> bool:
    """Whether it is for an API, a function URL or a distribution of the app, which have authorizers of their own."""
    if DATA_ROUTES.match(request.path):
        return True
    distribution = app._parse_cloudfront_dataplane_host(request.host)
    named = (
        app._parse_execute_api_url(request.host, request.path)
        or app._parse_lambda_url(request.host, request.path)
        or (distribution and cloudfront.find_distribution_for_label(distribution))
        or app._resolve_custom_domain_request(request.host, request.path)
    )
    return bool(named) and not SPECIAL_ROUTES.match(request.path)


def _is_cognito_page(request: Request) -> bool:
    """Whether it is for a page, a token or the signing keys of a user pool."""
    keys = SIGNING_KEYS.match(request.path)
    if keys:
        return request.method == "GET" and cognito._get_pool_unscoped(keys[1]) is not None
    return (
        request.method in (*COGNITO_PAGES.get(request.path, ()), "OPTIONS") and request.path in COGNITO_PAGES
    )


def _is_form_of_bucket(request: Request) -> bool:
    content = request.headers.get("content-type", "").lower()
    bucket = "/" if app._extract_s3_vhost_bucket(request.host) else r"/[^/]+/?"
    return (
        request.method == "POST"
        and content.startswith("multipart/form-data")
        and not request.query
        and request.service == "s3"
        and bool(re.fullmatch(bucket, request.path))
        and not SPECIAL_ROUTES.match(request.path)
    )


def _is_preflight_answered(request: Request) -> bool:
    """Only services that pages may read, and buckets, which answer by their own configuration."""
    if SPECIAL_ROUTES.match(request.path):
        return False
    return app._s3_cors_target(request.host, request.path) is not None or request.service in CORS_SERVICES


def _may_be_read_by_pages(request: Request) -> bool:
    """Whether the answer keeps headers for other origins: those of APIs and buckets are set by the app."""
    return (
        _is_data(request)
        or _is_cognito_page(request)
        or request.service == "s3"
        or (request.path == "/" and request.service in CORS_SERVICES)
    )


def _is_domain_of_app(request: Request, port: int) -> bool:
    """Whether the host is a domain that the app has registered with API Gateway."""
    return request.host.endswith(f":{port}") and bool(
        app._resolve_custom_domain_request(request.host, request.path)
    )


def _has_token(request: Request, token: str) -> bool:
    given = request.headers.get("authorization", "")
    return hmac.compare_digest(given.encode(), f"Bearer {token}".encode())


def _without_cors(send: Send) -> Send:
    async def sent(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            headers = message.get("headers", [])
            kept = [
                (name, value) for name, value in headers if not name.lower().startswith(b"access-control-")
            ]
            message = {**message, "headers": kept}
        await send(message)

    return sent


async def _refuse(scope: Mapping[str, Any], send: Send, message: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
    else:
        await send_json(send, 403, {"message": message})


def _summary(content: bytes) -> str:
    return " ".join(content.decode("utf-8", "replace").split())[:300]
