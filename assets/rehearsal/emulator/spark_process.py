"""A process of `spark_worker.py` with the Java that it starts: how it is started, told its job, and ended."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from emulator.java import Java
from emulator.spark_worker import READY, WARM

__all__ = ["READY", "START_SECONDS", "WARM", "SparkJob", "SparkProcess"]

WORKER = Path(__file__).with_name("spark_worker.py")
START_SECONDS = 180.0


@dataclass(frozen=True)
class SparkJob:
    """One script to run."""

    script: Path
    arguments: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to a small base environment; the machine's own variables do not leak in."""
    python_path: Sequence[Path] = ()
    properties: Mapping[str, str] = field(default_factory=dict)
    """Spark properties, as `--conf` gives them."""
    folder: Path | None = None
    """Working directory of the script; the worker's own by default."""


class SparkProcess:
    """One worker, in a process group of its own."""

    def __init__(
        self,
        folder: Path,
        java: Java,
        extra: Mapping[str, str],
        archive: Path | None,
        dump: Sequence[str] = (),
    ) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.stage = folder / "s3"
        self.stage.mkdir()
        self.outcome = folder / "outcome.json"
        self._base = {**_base_environment(java), **extra}
        (folder / "log4j2.properties").write_text(_LOG4J, encoding="utf-8")
        with open(folder / "java.log", "wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(WORKER), str(os.getpid())],
                cwd=folder,
                env={**self._base, "PYSPARK_SUBMIT_ARGS": _submit_arguments(folder, java, archive, dump)},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def alive(self) -> bool:
        """Whether it still runs."""
        return self.process.poll() is None

    def await_sign(self, sign: str) -> None:
        """Waits until it says `READY` or `WARM`. Raises RuntimeError when Spark does not come up."""
        until = time.monotonic() + START_SECONDS
        while not (self.folder / sign).exists():
            if not self.alive() or time.monotonic() > until:
                self.end()
                raise RuntimeError(f"Spark did not start: {self.java_says()}")
            time.sleep(0.02)

    def order(self, job: SparkJob, log: Path) -> None:
        """Hands it the one job that it will run."""
        environment = {**self._base, **job.environment, "GLUE_LOCAL_S3": str(self.stage)}
        python_path = [str(path) for path in job.python_path]
        # What the script's user-defined functions see, which Java starts in processes of their own.
        executor = {name: value for name, value in job.environment.items() if name.startswith("AWS_")}
        properties = {
            **{f"spark.executorEnv.{name}": value for name, value in executor.items()},
            "spark.executorEnv.PYTHONPATH": os.pathsep.join(python_path),
            **job.properties,
        }
        order = {
            "script": str(job.script),
            "arguments": list(job.arguments),
            "environment": environment,
            "pythonPath": python_path,
            "properties": properties,
            "log": str(log),
            "outcome": str(self.outcome),
            "s3": str(self.stage),
            "folder": str(job.folder or self.folder),
        }
        assert self.process.stdin is not None
        self.process.stdin.write((json.dumps(order) + "\n").encode())
        self.process.stdin.flush()

    def end(self) -> None:
        """Kills the group: the worker, its Java and what they started."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
        self.process.wait()
        _await_end(self.process.pid)
        if self.process.stdin is not None:
            try:
                self.process.stdin.close()
            except OSError:
                pass

    def java_says(self) -> str:
        """The line that tells most of what Java and the warm-up printed: the last exception, else the last line."""
        try:
            lines = (
                (self.folder / "java.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
            )
        except OSError:
            lines = []
        telling = [
            line
            for line in lines
            if re.search(r"(Exception|Error)\b.*:", line) and not line.startswith("\tat ")
        ]
        return (telling or lines or ["it printed nothing"])[-1].strip()


def _await_end(group: int) -> None:
    """Until the last of a killed group is gone: Java needs a moment to give its memory back."""
    until = time.monotonic() + 3
    while time.monotonic() < until:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(-group, os.WNOHANG)  # an orphan that the emulator adopted
        try:
            os.killpg(group, 0)
        except (ProcessLookupError, PermissionError):
            return
        time.sleep(0.02)


def _base_environment(java: Java) -> dict[str, str]:
    kept = (
        "PATH",
        "HOME",
        "LANG",
        "LC_ALL",
        "TZ",
        "TMPDIR",
        "LD_LIBRARY_PATH",
        "no_proxy",
        "NO_PROXY",
        "PYTHONPYCACHEPREFIX",
    )
    return {
        **{name: os.environ[name] for name in kept if name in os.environ},
        "JAVA_HOME": str(java.home),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _submit_arguments(folder: Path, java: Java, archive: Path | None, dump: Sequence[str]) -> str:
    options = [
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        f"-Dlog4j2.configurationFile={folder / 'log4j2.properties'}",
        f"-Dderby.system.home={folder}",
        f"-Djava.io.tmpdir={folder}",
        "-XX:-UsePerfData",
    ]
    if java.archives:
        options.append("-Xlog:disable")
    if archive is not None:
        options += [f"-XX:{'ArchiveClassesAtExit' if dump else 'SharedArchiveFile'}={archive}", *dump]
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.default.parallelism": "2",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.local.dir": str(folder / "local"),
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
    }
    configured = " ".join(f"--conf '{name}={value}'" for name, value in settings.items())
    return f"--master local[2] --driver-memory 1g {configured} --driver-java-options '{' '.join(options)}' pyspark-shell"


_LOG4J = """\
rootLogger.level = error
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{HH:mm:ss} %p %c{1}: %m%n%ex
"""
