"""The routes below `/_rehearsal/` through which the command line controls a running emulator.

They need the token of the run, as `Authorization: Bearer <token>` (see `authentication`).

| route | answer |
|---|---|
| `GET health` | `{"status": "ok", "account", "region"}` |
| `GET notes?since=N` | `{"notes": [{"seq", "time", "kind", "message", ...}]}`, those after number N |
| `GET report` | `{"notRehearsed": [...], "grants": {"exercised", "unexercised"}, "denials": [...], "images": [...]}` |
| `GET leftovers` | `{"leftovers": [{"service", "kind", "id", "why"?}]}`: what remains, see `leftovers` |
| `POST outside` | makes what exists outside of the app, see `outside`: `{"account", "region", "things"}`; those made: `{"made"}` |
| `POST faults` | asks for a fault: an object with `kind`, `count` (default 1) and where it happens |
| `GET faults` | `{"faults": [...]}`: those that are not SageMaker's and have not happened yet |

Faults: `duplicate-event` (EventBridge delivers an event twice; optional `rule` and `detailType`, parts of the names)
and those of SageMaker: `endpoint-rollback`, `step-fault` (see `SageMaker.inject`).
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

from botocore.exceptions import ClientError
from ministack.core import concurrency

from emulator.host import ApiError
from emulator.ministack import leftovers, outside
from emulator.ministack.asgi import Asgi, Receive, Send, send_json, whole_body
from emulator.ministack.authentication import CONTROL
from emulator.ministack.cloudformation import all_bootstrap_stacks
from emulator.ministack.emulator import Emulator

__all__ = ["application"]

OWN_FAULTS = {"duplicate-event": {"rule", "detailType"}}
"""Faults that are not SageMaker's, with their fields."""


def application(emulator: Emulator) -> Asgi:
    """The control routes."""

    async def answer(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        body = await whole_body(receive) or b""
        query = parse_qs(scope.get("query_string", b"").decode())
        route = scope["path"][len(CONTROL) :]
        # What makes things calls this server.
        status, content = await concurrency.run_reentrant(
            respond, emulator, scope["method"], route, query, body
        )
        await send_json(send, status, content)

    return answer


def respond(
    emulator: Emulator, method: str, route: str, query: dict[str, list[str]], body: bytes
) -> tuple[int, dict[str, Any]]:
    """Status and content of one control request."""
    journal, settings = emulator.journal, emulator.settings
    if route == "faults" and method == "POST":
        return _add_fault(emulator, body)
    if route == "outside" and method == "POST":
        return _make_outside(emulator, body)
    if method != "GET":
        return 405, {"message": f"{method} {CONTROL}{route} is not known"}
    if route == "health":
        return 200, {"status": "ok", "account": settings.account, "region": settings.region}
    if route == "notes":
        return _notes(emulator, query)
    if route == "report":
        own = all_bootstrap_stacks()
        return 200, {
            "notRehearsed": [entry for entry in journal.all_not_rehearsed() if entry["stack"] not in own],
            "grants": emulator.grants.report(without=own),
            "denials": journal.denials(),
            "images": _images(emulator),
        }
    if route == "leftovers":
        return 200, {"leftovers": leftovers.find(emulator)}
    if route == "faults":
        return 200, {"faults": emulator.faults.waiting()}
    return 404, {
        "message": f"there is no route {CONTROL}{route}: health, notes, report, leftovers and faults exist"
    }


def _images(emulator: Emulator) -> list[dict[str, Any]]:
    """Those of all accounts and regions, each once."""
    found: list[dict[str, Any]] = []
    for player in emulator.players.all() if emulator.players else []:
        found += [image for image in player.images.fidelity() if image not in found]
    return found


def _notes(emulator: Emulator, query: dict[str, list[str]]) -> tuple[int, dict[str, Any]]:
    text = query.get("since", ["0"])[0]
    if not text.isdigit():
        return 400, {"message": f"since must be the number of a note, not {text!r}"}
    return 200, {"notes": emulator.journal.since(int(text))}


def _make_outside(emulator: Emulator, body: bytes) -> tuple[int, dict[str, Any]]:
    try:
        given = json.loads(body)
        made = outside.make(emulator, given["account"], given["region"], given["things"])
    except (ValueError, KeyError, TypeError) as problem:
        return 400, {"message": f"account, region and things are needed: {type(problem).__name__}: {problem}"}
    except (ApiError, ClientError) as problem:
        return 400, {"message": str(problem)}
    return 200, {"made": made}


def _add_fault(emulator: Emulator, body: bytes) -> tuple[int, dict[str, Any]]:
    try:
        fault = json.loads(body or b"{}")
    except ValueError:
        fault = None
    if not isinstance(fault, dict) or not isinstance(fault.get("kind"), str):
        return 400, {"message": "a fault is a JSON object with a kind"}
    if fault["kind"] in OWN_FAULTS:
        unknown = sorted(set(fault) - OWN_FAULTS[fault["kind"]] - {"kind", "count"})
        if unknown:
            return 400, {"message": f"a fault of kind {fault['kind']} has no {', '.join(unknown)}"}
        emulator.faults.add(fault)
        return 200, {"faults": emulator.faults.waiting()}
    try:
        emulator.sagemaker.inject(fault)
    except ApiError as error:
        return 400, {"message": error.message}
    return 200, {"faults": emulator.faults.waiting()}
