"""Records what happened in a rehearsal: progress, refused calls, and what could not be played."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

__all__ = ["Journal"]

_REPEAT_SECONDS = 1.0
"""A refusal that a client retries is recorded once: same principal, action and resource within this time."""


class Journal:
    """The record of one run. Every method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._notes: list[dict[str, Any]] = []
        self._denials: list[dict[str, Any]] = []
        self._not_rehearsed: dict[tuple[str, str, str], dict[str, str]] = {}

    def note(self, kind: str, message: str, **fields: object) -> None:
        """Adds a progress line. `fields` must be JSON-serialisable; others are written as text."""
        with self._lock:
            self._append(kind, message, fields)

    def _append(self, kind: str, message: str, fields: Mapping[str, object]) -> None:
        entry: dict[str, Any] = {**{name: _plain(value) for name, value in fields.items()}}
        entry.update(seq=len(self._notes) + 1, time=time.time(), kind=kind, message=message)
        self._notes.append(entry)

    def since(self, seq: int) -> list[dict[str, Any]]:
        """The notes after number `seq`, oldest first."""
        with self._lock:
            return list(self._notes[max(0, seq) :])

    def denied(self, principal: str, action: str, resource: str, message: str) -> None:
        """Records a refused call and adds a note, once for all retries in a row."""
        now = time.time()
        with self._lock:
            for earlier in reversed(self._denials[-20:]):
                same = (earlier["principal"], earlier["action"], earlier["resource"]) == (
                    principal,
                    action,
                    resource,
                )
                if same and now - earlier["last"] < _REPEAT_SECONDS:
                    earlier["last"] = now
                    earlier["count"] += 1
                    return
            denial = {"principal": principal, "action": action, "resource": resource, "time": now}
            self._denials.append({**denial, "message": message, "count": 1, "last": now})
            role = role_of(principal)
            fields = {"principal": principal, "role": role, "action": action, "resource": resource}
            self._append("denied", message, fields)

    def denials(self) -> list[dict[str, Any]]:
        """The refused calls, oldest first."""
        with self._lock:
            return [
                {name: value for name, value in entry.items() if name != "last"} for entry in self._denials
            ]

    def not_rehearsed(self, resource_type: str, logical_id: str, stack: str, why: str) -> None:
        """Records a resource, or a part of one, that deploys here without its effect."""
        with self._lock:
            entry = {"type": resource_type, "logicalId": logical_id, "stack": stack, "why": why}
            self._not_rehearsed[(stack, logical_id, why)] = entry

    def all_not_rehearsed(self) -> list[dict[str, str]]:
        """Everything that `not_rehearsed` recorded, each once."""
        with self._lock:
            return list(self._not_rehearsed.values())


def role_of(principal: str) -> str:
    """Name of the role or user in a principal ARN: `arn:aws:sts::1:assumed-role/Name/session` gives `Name`."""
    parts = principal.rsplit(":", 1)[-1].split("/")
    return parts[1] if len(parts) > 1 else parts[0]


def _plain(value: object) -> object:
    return value if isinstance(value, (str, int, float, bool, list, dict)) or value is None else str(value)
