"""Ends with the parent, and ends every process that was started on the way.

A process is known by its id and its start time (`psutil.Process`), so none is taken for another that has the same id
later.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterable

import psutil

__all__ = [
    "adopt_orphans",
    "descendants",
    "end_children",
    "free_port",
    "kill_group",
    "listening_ports",
    "signal_group",
    "watch_parent",
]

_SET_CHILD_SUBREAPER = 36
"""An option of Linux's `prctl`."""


def watch_parent(parent: int, stop: threading.Event) -> None:
    """Sets `stop` when the process `parent` has ended; 0 watches no process."""
    if parent <= 0:
        return
    threading.Thread(
        target=_watch, args=(_older_process(parent), stop), daemon=True, name="watch-parent"
    ).start()


def _older_process(pid: int) -> psutil.Process | None:
    """The process, unless it has ended: one that started after this one only has the same id."""
    try:
        found = psutil.Process(pid)
        return found if found.create_time() <= psutil.Process().create_time() else None
    except psutil.NoSuchProcess:
        return None


def _watch(parent: psutil.Process | None, stop: threading.Event) -> None:
    while not stop.is_set():
        if parent is None or not _alive(parent):
            stop.set()
            # What still runs after this long does not end by itself.
            time.sleep(20)
            end_children()
            os._exit(1)
        time.sleep(0.25)


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def descendants() -> list[psutil.Process]:
    """Every process below this one."""
    return psutil.Process().children(recursive=True)


def adopt_orphans() -> None:
    """On Linux, a process whose parent below us ends becomes our child, so that `end_children` still finds it."""
    try:
        ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    except (OSError, AttributeError):
        pass  # another system: processes that were listed before are ended all the same


def end_children(patience: float = 1.5, known: Iterable[psutil.Process] = ()) -> None:
    """Ends every process below this one, and those `known`: with SIGTERM first, after `patience` seconds with SIGKILL."""
    below = list(dict.fromkeys([*descendants(), *known]))
    for process in below:
        _signal(process, signal.SIGTERM)
    psutil.wait_procs(below, timeout=patience)
    for process in below:
        _signal(process, signal.SIGKILL)


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        pass


def signal_group(leader: subprocess.Popen[bytes], number: signal.Signals) -> bool:
    """Sends the signal to the process group that `leader` leads, orphans in it included; False when it has no process."""
    try:
        os.killpg(leader.pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def kill_group(leader: subprocess.Popen[bytes], patience: float = 3.0) -> None:
    """Kills the process group that `leader` leads; returns when its last process has ended, or after `patience` seconds."""
    members = [process for process in psutil.process_iter() if _group(process) == leader.pid]
    signal_group(leader, signal.SIGKILL)
    leader.wait()
    # A large process needs time to free its memory.
    psutil.wait_procs([process for process in members if process.pid != leader.pid], timeout=patience)


def _group(process: psutil.Process) -> int | None:
    try:
        return os.getpgid(process.pid)
    except (ProcessLookupError, PermissionError):
        return None


def free_port() -> int:
    """A port of this machine that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listening_ports(pid: int) -> list[int]:
    """The ports that a process and those below it listen on."""
    try:
        leader = psutil.Process(pid)
        family = [leader, *leader.children(recursive=True)]
        connections = [each for process in family for each in process.net_connections(kind="tcp")]
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return []
    return sorted({int(each.laddr.port) for each in connections if each.status == psutil.CONN_LISTEN})
