"""Nothing that the emulator starts outlives it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from emulator import processes

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(processes.__file__).resolve().parent.parent)}
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
WITH_CHILD = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {STUBBORN!r}], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
"""


@contextmanager
def script(text: str) -> Iterator[tuple[subprocess.Popen[bytes], psutil.Process]]:
    """A process that leads a group and starts a child, which does not end by itself."""
    with subprocess.Popen(
        [sys.executable, "-c", text],
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as leader:
        assert leader.stdout is not None
        child = psutil.Process(int(leader.stdout.readline()))
        try:
            yield leader, child
        finally:
            leader.kill()
            if child.is_running():
                child.kill()


def gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_group_is_killed_with_the_orphans_in_it() -> None:
    with script(WITH_CHILD) as (leader, child):
        leader.wait()
        assert not gone(child)
        processes.kill_group(leader)
        assert gone(child)


def test_children_that_ignore_sigterm_are_ended() -> None:
    ends = "from emulator.processes import end_children; sys.stdin.read(); end_children(patience=0.2)"
    with script(f"{WITH_CHILD}\n{ends}") as (leader, child):
        assert leader.stdin is not None
        leader.stdin.close()
        assert leader.wait(20) == 0
        child.wait(5)
        assert gone(child)


def test_the_parent_is_watched_by_its_start_time() -> None:
    stop = threading.Event()
    processes.watch_parent(os.getppid(), stop)
    assert not stop.wait(0.6)
    stop.set()


def test_a_process_younger_than_this_one_is_not_its_parent() -> None:
    with script(f"{WITH_CHILD}\nsys.stdin.read()") as (leader, _child):
        assert processes._older_process(leader.pid) is None


def test_a_process_that_has_ended_is_gone_even_before_anybody_has_waited_for_it() -> None:
    with script(f"{WITH_CHILD}\nsys.stdin.read()") as (leader, _child):
        watched = psutil.Process(leader.pid)
        assert processes._alive(watched)
        leader.kill()
        for _ in range(100):
            if not processes._alive(watched):
                break
            threading.Event().wait(0.05)
        assert not processes._alive(watched)
