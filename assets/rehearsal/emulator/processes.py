"""Ends with the parent, and takes every process along that was started on the way."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterable
from pathlib import Path

__all__ = ["adopt_orphans", "descendants", "end_children", "watch_parent"]

_SET_CHILD_SUBREAPER = 36
"""Of Linux's `prctl`."""


def watch_parent(parent: int, stop: threading.Event) -> None:
    """Sets `stop` when the process `parent` is gone; 0 watches nobody."""
    if parent <= 0:
        return
    threading.Thread(target=_watch, args=(parent, stop), daemon=True, name="watch-parent").start()


def _watch(parent: int, stop: threading.Event) -> None:
    # A direct parent that ends hands us over to another one at once, even if its number is used again.
    direct = os.getppid() == parent
    while not stop.is_set():
        if (direct and os.getppid() != parent) or not _alive(parent):
            stop.set()
            # What still runs after this long does not end by itself.
            time.sleep(20)
            end_children()
            os._exit(1)
        time.sleep(0.25)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def descendants(pid: int) -> list[int]:
    """Processes below `pid`, children before grandchildren."""
    children: dict[int, list[int]] = {}
    for child, parent in _pairs():
        children.setdefault(parent, []).append(child)
    found, waiting = [], [pid]
    while waiting:
        below = children.get(waiting.pop(0), [])
        found.extend(below)
        waiting.extend(below)
    return found


def _pairs() -> list[tuple[int, int]]:
    """Every process with its parent: from `/proc` where there is one, for slim images have no `ps`."""
    proc = Path("/proc")
    if not (proc / "self" / "stat").exists():
        command = ["ps", "-axo", "pid=,ppid="]
        listing = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        rows = [line.split() for line in listing.splitlines()]
        return [(int(row[0]), int(row[1])) for row in rows if len(row) == 2]
    pairs = []
    for stat in proc.glob("[0-9]*/stat"):
        try:
            # The name in parentheses may itself hold spaces and parentheses.
            after = stat.read_text(errors="replace").rpartition(")")[2].split()
            pairs.append((int(stat.parent.name), int(after[1])))
        except (OSError, IndexError, ValueError):
            continue
    return pairs


def adopt_orphans() -> None:
    """On Linux, a process whose parent below us ends becomes our child, so that `end_children` still finds it."""
    try:
        ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    except (OSError, AttributeError):
        pass  # another system: those known beforehand are ended all the same


def end_children(patience: float = 1.5, known: Iterable[int] = ()) -> None:
    """Ends every process below this one, and those `known`: politely first, after `patience` seconds for good."""
    below = list(dict.fromkeys([*descendants(os.getpid()), *known]))
    for pid in below:
        _signal(pid, signal.SIGTERM)
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline and any(_running(pid) for pid in below):
        time.sleep(0.05)
    for pid in below:
        _signal(pid, signal.SIGKILL)


def _running(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG) == (0, 0)
    except ChildProcessError:
        return _alive(pid)


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        pass
