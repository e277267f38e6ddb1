"""Runs a Python shell job of Glue: a plain Python process with the job's arguments and credentials.

Glue runs such a job without Spark (AWS Glue developer guide: "Configuring job properties for Python shell jobs in AWS
Glue").
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from emulator.glue.spark import Outcome, SparkJob
from emulator.processes import kill_group

__all__ = ["ShellRun", "read_log"]

KEPT = ("PATH", "HOME", "LANG", "TZ", "TMPDIR", "NO_PROXY", "no_proxy")


class ShellRun:
    """A Python shell job: a plain Python process in a group of its own."""

    def __init__(self, job: SparkJob) -> None:
        folder = job.folder or job.script.parent
        self.log = folder / "job.log"
        self._started = time.monotonic()
        base = {name: os.environ[name] for name in KEPT if name in os.environ}
        path = os.pathsep.join(str(entry) for entry in job.python_path)
        with open(self.log, "wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-u", str(job.script), *job.arguments],
                cwd=folder,
                env={**base, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", **job.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait(self, seconds: float | None) -> Outcome | None:
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        lines = [line for line in read_log(self.log).splitlines() if line.strip()]
        error = "" if code == 0 else (lines[-1] if lines else f"exit code {code}")
        return Outcome(code == 0, error, time.monotonic() - self._started)

    def stop(self) -> None:
        kill_group(self._process)

    def discard(self) -> None:
        """Does nothing: the folder belongs to the run and is removed with the work folder."""


def read_log(path: Path) -> str:
    """The file's text, empty when there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
