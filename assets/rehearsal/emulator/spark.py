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
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from emulator.java import Java, find_java
from emulator.spark_worker import READY

__all__ = ["Outcome", "SparkJob", "SparkPool", "SparkRun", "prepare"]

WORKER = Path(__file__).with_name("spark_worker.py")
NICE = 10
"""Workers give way to whatever else runs: the deployment while they warm up."""
START_SECONDS = 180.0
NO_S3_FILESYSTEM = 'No FileSystem for scheme "s3'
NO_S3_HELP = (
    " (local Spark has no S3 file system: paths given to spark.read and df.write are staged, "
    "s3:// inside SQL text or a table's location is not)"
)


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


@dataclass(frozen=True)
class Outcome:
    """How a job ended. `error` is the last exception's line, empty when it succeeded."""

    succeeded: bool
    error: str
    seconds: float


class SparkRun:
    """A script at work."""

    def __init__(self, worker: _Worker, job: SparkJob) -> None:
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
        error = error.replace(f"file:{self._worker.stage}/", "s3://").replace(f"{self._worker.stage}/", "s3://")
        return error + NO_S3_HELP if NO_S3_FILESYSTEM in error else error


class SparkPool:
    """Starts workers ahead and hands each to one job. Every method may be called from any thread."""

    def __init__(self, work: Path, cache: Path | None = None, environment: Mapping[str, str] | None = None) -> None:
        self._work = work
        self._cache = cache
        self._environment = dict(environment or {})
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()
        self._filling = False
        self._closed = False
        self._busy = 0

    def warm(self, count: int) -> None:
        """Makes sure that `count` workers are, or will be, ready; they warm up one after the other, in the background."""
        with self._lock:
            if self._closed or self._filling or len(self._idle) >= count:
                return
            self._filling = True
        threading.Thread(target=self._fill, args=(count,), daemon=True, name="spark-warm-up").start()

    def run(self, job: SparkJob) -> SparkRun:
        """Starts the job on a warm worker, or on a new one. Raises `NoJava` or `RuntimeError` when none can start."""
        with self._lock:
            self._idle = [worker for worker in self._idle if worker.alive()]
            worker = self._idle.pop(0) if self._idle else None
        worker = worker or self._start()
        worker.await_ready()
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

    def _fill(self, count: int) -> None:
        try:
            while True:
                with self._lock:
                    if self._closed or len(self._idle) >= count:
                        return
                worker = self._start()
                with self._lock:
                    self._idle.append(worker)
                worker.await_ready()
        except Exception:
            # A job that needs Spark will say what is wrong; a warm-up nobody waits for stays quiet.
            return
        finally:
            with self._lock:
                self._filling = False

    def _start(self) -> _Worker:
        java = find_java()
        folder = self._work / "spark" / uuid.uuid4().hex[:12]
        worker = _Worker(folder, java, self._environment, _archive(java, self._cache))
        with self._lock:
            if self._closed:
                worker.end()
                raise RuntimeError("the emulator is ending")
            self._all = {one for one in self._all if one.alive()} | {worker}
        return worker


class _Worker:
    """A process of `spark_worker.py` with the Java that it starts, in a process group of its own."""

    def __init__(
        self, folder: Path, java: Java, extra: Mapping[str, str], archive: Path | None, dump: bool = False
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
                [sys.executable, str(WORKER)],
                cwd=folder,
                env={**self._base, "PYSPARK_SUBMIT_ARGS": _submit_arguments(folder, java, archive, dump)},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        _give_way(self.process.pid)

    def alive(self) -> bool:
        return self.process.poll() is None

    def await_ready(self) -> None:
        """Raises RuntimeError when Spark does not come up."""
        until = time.monotonic() + START_SECONDS
        while not (self.folder / READY).exists():
            if not self.alive() or time.monotonic() > until:
                self.end()
                raise RuntimeError(f"Spark did not start: {self.java_says()}")
            time.sleep(0.02)

    def order(self, job: SparkJob, log: Path) -> None:
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
        if self.process.stdin is not None:
            try:
                self.process.stdin.close()
            except OSError:
                pass

    def java_says(self) -> str:
        """The last lines of what Java and the warm-up printed."""
        try:
            lines = (self.folder / "java.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
        except OSError:
            lines = []
        return " | ".join(lines[-3:]) or "it printed nothing"


def prepare(work: Path, cache: Path | None = None) -> Path | None:
    """Makes the archive of Spark's classes unless it is there; answers its path, None when Java cannot have one.

    Takes about 20 s once; every later start of Spark is about twice as fast.
    """
    java = find_java()
    target = _archive_path(java, cache or default_cache())
    if target is None or target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f"{uuid.uuid4().hex}.tmp")
    worker = _Worker(work / "spark" / "archive", java, {}, fresh, dump=True)
    try:
        worker.await_ready()
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


def _give_way(pid: int) -> None:
    try:
        os.setpriority(os.PRIO_PROCESS, pid, NICE)
    except OSError:
        pass


def _base_environment(java: Java) -> dict[str, str]:
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "no_proxy", "NO_PROXY")
    return {
        **{name: os.environ[name] for name in kept if name in os.environ},
        "JAVA_HOME": str(java.home),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _submit_arguments(folder: Path, java: Java, archive: Path | None, dump: bool) -> str:
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
        options.append(f"-XX:{'ArchiveClassesAtExit' if dump else 'SharedArchiveFile'}={archive}")
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


def main() -> None:
    """Makes the archive for the environment that this Python belongs to."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="spark-classes-") as work:
        archive = prepare(Path(work))
    print(json.dumps({"archive": str(archive) if archive else None}))


if __name__ == "__main__":
    main()
