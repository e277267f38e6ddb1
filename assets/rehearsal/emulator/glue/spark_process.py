"""Starts and ends the processes of Spark: one that keeps a Java, one that runs a script in it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emulator.glue.java import Java
from emulator.glue.spark_parent import GATEWAY
from emulator.processes import kill_group

__all__ = ["START_SECONDS", "SparkJava", "SparkJob", "SparkWorker"]

KEEPER = Path(__file__).with_name("spark_keeper.py")
WORKER = Path(__file__).with_name("spark_worker.py")
START_SECONDS = 180.0


@dataclass(frozen=True)
class SparkJob:
    """A script to run."""

    script: Path
    arguments: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to a small base environment, which has none of the machine's other variables."""
    python_path: Sequence[Path] = ()
    properties: Mapping[str, str] = field(default_factory=dict)
    """Spark properties, as `--conf` gives them."""
    folder: Path | None = None
    """Working directory of the script; the worker's own by default."""


class _Group:
    """A Python process that leads a process group of its own, in a folder of its own."""

    def __init__(self, script: Path, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.environment = dict(environment)
        with open(self.folder / "process.log", "wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(script), str(os.getpid())],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def alive(self) -> bool:
        """Whether it still runs."""
        return self.process.poll() is None

    def write_line(self, line: str) -> None:
        """Writes a line to its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()

    def close_input(self) -> None:
        """Ends its standard input."""
        if self.process.stdin is not None:
            with contextlib.suppress(OSError):
                self.process.stdin.close()

    def end(self) -> None:
        """Kills the group: the process and all that it started."""
        kill_group(self.process)
        self.close_input()


class SparkJava(_Group):
    """A Java with Spark's classes loaded, and the process that keeps it."""

    def __init__(
        self,
        folder: Path,
        java: Java,
        extra: Mapping[str, str],
        archive: Path | None,
        dump: Sequence[str] = (),
    ) -> None:
        folder.mkdir(parents=True)
        (folder / "log4j2.properties").write_text(_LOG4J, encoding="utf-8")
        arguments = _submit_arguments(folder, java, archive, dump)
        super().__init__(
            KEEPER, folder, {**_base_environment(java), **extra, "PYSPARK_SUBMIT_ARGS": arguments}
        )

    def gateway(self) -> Any:
        """Port and secret of the Java. Raises RuntimeError when Spark does not start."""
        file = self.folder / GATEWAY
        until = time.monotonic() + START_SECONDS
        while not file.exists():
            if not self.alive() or time.monotonic() > until:
                self.end()
                raise RuntimeError(f"Spark did not start: {self.last_error()}")
            time.sleep(0.02)
        return json.loads(file.read_text(encoding="utf-8"))

    def last_error(self) -> str:
        """The most helpful line of what Java and the warm-up printed: the last exception, else the last line."""
        try:
            text = (self.folder / "process.log").read_text(encoding="utf-8", errors="replace")
        except OSError:
            text = ""
        lines = text.strip().splitlines()
        errors = [
            line
            for line in lines
            if re.search(r"(Exception|Error)\b.*:", line) and not line.startswith("\tat ")
        ]
        return (errors or lines or ["it printed nothing"])[-1].strip()


class SparkWorker(_Group):
    """A process that waits for a script and runs it."""

    def __init__(self, folder: Path, java: Java, extra: Mapping[str, str]) -> None:
        super().__init__(WORKER, folder, {**_base_environment(java), **extra})
        self.staging = self.folder / "s3"
        self.staging.mkdir()
        self.log = self.folder / "job.log"
        self.outcome = self.folder / "outcome.json"

    def run(self, job: SparkJob, gateway: Any) -> None:
        """Gives the process its script, and port and secret of its Java."""
        python_path = [str(path) for path in job.python_path]
        # For the script's user-defined functions, which Java runs in processes of their own.
        executor = {name: value for name, value in job.environment.items() if name.startswith("AWS_")}
        properties = {
            **{f"spark.executorEnv.{name}": value for name, value in executor.items()},
            "spark.executorEnv.PYTHONPATH": os.pathsep.join(python_path),
            **job.properties,
        }
        request = {
            "script": str(job.script),
            "arguments": list(job.arguments),
            "environment": {**self.environment, **job.environment},
            "pythonPath": python_path,
            "properties": properties,
            "gateway": gateway,
            "log": str(self.log),
            "outcome": str(self.outcome),
            "s3": str(self.staging),
            "folder": str(job.folder or self.folder),
        }
        self.write_line(json.dumps(request))


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
