"""Ends with the parent, and takes every process along that was started on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time

__all__ = ["descendants", "end_children", "watch_parent"]


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
    """Processes below `pid`, deepest last. Uses `ps`, which Linux and macOS both have."""
    listing = subprocess.run(["ps", "-axo", "pid=,ppid="], capture_output=True, text=True, check=False).stdout
    children: dict[int, list[int]] = {}
    for line in listing.splitlines():
        fields = line.split()
        if len(fields) == 2:
            children.setdefault(int(fields[1]), []).append(int(fields[0]))
    found, waiting = [], [pid]
    while waiting:
        below = children.get(waiting.pop(0), [])
        found.extend(below)
        waiting.extend(below)
    return found


def end_children(patience: float = 1.5) -> None:
    """Ends every process below this one: politely first, after `patience` seconds for good."""
    below = descendants(os.getpid())
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
