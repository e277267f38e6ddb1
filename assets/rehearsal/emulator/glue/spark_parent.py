"""What the processes of Spark and the emulator that starts them agree on. Those processes import it as a neighbour."""

from __future__ import annotations

import os
import signal
import threading
import time

GATEWAY = "gateway.json"
"""Name of the file that says: the next script may use this Java, at this port and with this secret."""


def end_with(parent: int) -> None:
    """Watches the process that started this one, and ends this one's group when it is gone.

    From the first moment: a Java that is still starting must not outlive the emulator either.
    """
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.2)
    os.killpg(os.getpgid(0), signal.SIGKILL)
