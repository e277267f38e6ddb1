"""The few calls of ASGI that are made here: a whole body in, a whole answer out."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

__all__ = ["Asgi", "Receive", "Send", "send_answer", "send_json", "whole_body"]

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Asgi = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]


async def whole_body(receive: Receive) -> bytes | None:
    """The body of a request, None when the caller has gone before its end."""
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def send_json(send: Send, status: int, content: Mapping[str, Any]) -> None:
    """Answers with a JSON object; what JSON does not know is written as text."""
    body = json.dumps(content, default=str).encode()
    await send_answer(send, status, {"Content-Type": "application/json"}, body)


async def send_answer(send: Send, status: int, headers: Mapping[str, str], body: bytes) -> None:
    """Answers with these headers and the length of the body."""
    lines = [(name.encode(), str(value).encode()) for name, value in headers.items()]
    if not any(name.lower() == b"content-length" for name, _ in lines):
        lines.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": body})
