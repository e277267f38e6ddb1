"""Failures that a rehearsal causes on purpose, to see that the app tolerates them."""

from __future__ import annotations

import threading
from typing import Any

__all__ = ["Faults"]


class Faults:
    """Faults that have yet to happen. Each happens `count` times, once by default."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[dict[str, Any]] = []

    def add(self, fault: dict[str, Any]) -> None:
        """Remembers a fault: its `kind`, `count`, and fields that say where it happens."""
        with self._lock:
            self._waiting.append({"count": 1, **fault})

    def take(self, kind: str, **where: str) -> dict[str, Any] | None:
        """The next fault of the kind whose fields are parts of those in `where`; it counts as happened."""
        with self._lock:
            for fault in self._waiting:
                fits = all(str(fault.get(name, "")) in value for name, value in where.items())
                if fault["kind"] == kind and fits:
                    fault["count"] -= 1
                    if fault["count"] <= 0:
                        self._waiting.remove(fault)
                    return fault
        return None

    def waiting(self) -> list[dict[str, Any]]:
        """Those that have not happened yet."""
        with self._lock:
            return [dict(fault) for fault in self._waiting]
