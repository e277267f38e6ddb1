"""What the emulator and the processes of Spark share. Those run by path, so they import this file by its bare name."""

from __future__ import annotations

import os
import signal
import threading
import time

GATEWAY = "gateway.json"
"""Name of the file with port and secret of a Java that the next script may use."""


def end_with(parent: int) -> None:
    """Watches the process that started this one, and ends this one's group when it is gone.

    To be called first: a Java that is still starting must not outlive the emulator either.
    """
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.2)
    os.killpg(os.getpgid(0), signal.SIGKILL)
