"""HTTP APIs: the CORS configuration of a template, and the access logs of a stage.

API Gateway answers preflight requests itself and writes one line for each request in the stage's format (API Gateway
developer guide: "Configure CORS for HTTP APIs in API Gateway", "Configure logging for HTTP APIs in API Gateway").
"""

from __future__ import annotations

import base64
import json
import re
import time
import uuid
from collections.abc import Mapping
from typing import Any

from ministack.services import apigateway
from ministack.services.cloudformation import provisioners

from emulator.ministack.emulator import Emulator

__all__ = ["install"]


def install(emulator: Emulator) -> None:
    """Makes preflight requests, the address of an API and access logs work."""
    _mend_apis(emulator)
    _write_access_logs(emulator)
    apigateway._validate_jwt_authorizer = _no_refresh_tokens(apigateway._validate_jwt_authorizer)


def _no_refresh_tokens(validate: Any) -> Any:
    """A refresh token of Cognito is encrypted, not a signed web token, so no authorizer can accept it; MiniStack signs it."""

    async def validated(*arguments: Any) -> Any:
        claims, scopes, refusal = await validate(*arguments)
        if claims is not None and claims.get("token_use") not in (None, "id", "access"):
            return None, None, apigateway._jwt_unauthorized()
        return claims, scopes, refusal

    return validated


def _mend_apis(emulator: Emulator) -> None:
    """The template writes `AllowOrigins`, the service reads `allowOrigins`."""
    table = provisioners._RESOURCE_HANDLERS["AWS::ApiGatewayV2::Api"]
    create, update = table["create"], table["update"]

    def created(logical_id: str, props: dict[str, Any], stack_name: str) -> Any:
        physical_id, attributes = create(logical_id, _lower_cors(props), stack_name)
        if props.get("ProtocolType", "HTTP") == "HTTP":
            # An IP address, because names below localhost do not resolve everywhere.
            url = f"{emulator.settings.endpoint}/_aws/execute-api/{physical_id}"
            apigateway._apis[physical_id]["apiEndpoint"] = attributes["ApiEndpoint"] = url
        return physical_id, attributes

    def updated(
        physical_id: str, old: dict[str, Any], new: dict[str, Any], stack_name: str, *more: Any
    ) -> Any:
        return update(physical_id, _lower_cors(old), _lower_cors(new), stack_name, *more)

    table.update(create=created, update=updated)


def _lower_cors(props: dict[str, Any]) -> dict[str, Any]:
    cors = props.get("CorsConfiguration")
    if not isinstance(cors, Mapping):
        return props
    lowered = {key[:1].lower() + key[1:]: value for key, value in cors.items()}
    if "maxAge" in lowered:
        lowered["maxAge"] = int(lowered["maxAge"])
    if "allowCredentials" in lowered:
        lowered["allowCredentials"] = str(lowered["allowCredentials"]).lower() == "true"
    return {**props, "CorsConfiguration": lowered}


# --- access logs ----------------------------------------------------------------


def _write_access_logs(emulator: Emulator) -> None:
    execute = apigateway.handle_execute

    async def executed(
        api_id: str,
        stage: str,
        path: str,
        method: str,
        headers: dict[str, str],
        body: bytes,
        query_params: dict[str, Any],
        **named: Any,
    ) -> Any:
        started = time.time()
        status, answer_headers, answer = await execute(
            api_id, stage, path, method, headers, body, query_params, **named
        )
        settings = ((apigateway._stages.get(api_id) or {}).get(stage) or {}).get("accessLogSettings") or {}
        if settings.get("destinationArn") and settings.get("format"):
            line = _line(
                str(settings["format"]), api_id, stage, path, method, headers, status, answer, started
            )
            _put(str(settings["destinationArn"]), f"{api_id}/{stage}", line)
        return status, answer_headers, answer

    apigateway.handle_execute = executed


def _line(
    pattern: str,
    api_id: str,
    stage: str,
    path: str,
    method: str,
    headers: Mapping[str, str],
    status: int,
    answer: Any,
    started: float,
) -> str:
    now = time.gmtime(started)
    values = {
        "apiId": api_id,
        "stage": stage,
        "path": path,
        "httpMethod": method,
        "routeKey": _route(api_id, method, path),
        "status": str(status),
        "protocol": "HTTP/1.1",
        "responseLength": str(len(answer) if isinstance(answer, (bytes, str)) else 0),
        "responseLatency": str(int((time.time() - started) * 1000)),
        "integrationLatency": str(int((time.time() - started) * 1000)),
        "integration.latency": str(int((time.time() - started) * 1000)),
        "integrationStatus": str(status),
        "requestId": base64.b64encode(uuid.uuid4().bytes).decode().rstrip("=")[:16],
        "requestTime": time.strftime("%d/%b/%Y:%H:%M:%S +0000", now),
        "requestTimeEpoch": str(int(started * 1000)),
        "identity.sourceIp": "127.0.0.1",
        "identity.userAgent": headers.get("user-agent", "-"),
        "domainName": headers.get("host", "-"),
        **_claims(headers),
    }
    return re.sub(r"\$context\.([\w.]+)", lambda found: values.get(found.group(1), "-"), pattern)


def _claims(headers: Mapping[str, str]) -> dict[str, str]:
    """`authorizer.claims.*` of a JSON web token that was accepted or not: for the log only."""
    found = re.match(r"(?:Bearer\s+)?[\w-]+\.([\w-]+)\.[\w-]*$", headers.get("authorization", ""))
    if not found:
        return {}
    try:
        padded = found.group(1) + "=" * (-len(found.group(1)) % 4)
        claims = json.loads(base64.urlsafe_b64decode(padded))
    except ValueError:
        return {}
    return (
        {f"authorizer.claims.{key}": str(value) for key, value in claims.items()}
        if isinstance(claims, dict)
        else {}
    )


def _route(api_id: str, method: str, path: str) -> str:
    """The route key that serves the request, best match first; `-` when none does."""
    best, rank = "-", -1
    for route in (apigateway._routes.get(api_id) or {}).values():
        key = str(route.get("routeKey", ""))
        if key == "$default":
            best = key if rank < 0 else best
            continue
        verb, _, pattern = key.partition(" ")
        if verb not in (method, "ANY"):
            continue
        expression = "".join(
            ".+"
            if part.startswith("{") and part.endswith("+}")
            else "[^/]+"
            if part.startswith("{")
            else re.escape(part)
            for part in re.split(r"(\{[^}]*\})", pattern)
        )
        specific = pattern.count("/") * 10 - pattern.count("{") + (verb == method)
        if re.fullmatch(expression, path.rstrip("/") or "/") and specific > rank:
            best, rank = key, specific
    return best


def _put(destination: str, stream: str, line: str) -> None:
    from ministack.services import cloudwatch_logs

    group = destination.split(":log-group:", 1)[-1].removesuffix(":*")
    place = {"logGroupName": group, "logStreamName": stream}
    # Both fail when the group does not exist or the stream exists already; neither concerns the caller.
    cloudwatch_logs._create_log_stream(dict(place))
    cloudwatch_logs._put_log_events(
        {**place, "logEvents": [{"timestamp": int(time.time() * 1000), "message": line}]}
    )
