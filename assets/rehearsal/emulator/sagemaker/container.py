"""Plays a container with a process: a folder of its own with `/opt/ml` in it, its environment, its log.

Every `/opt/ml` at the beginning of a path in arguments and environment values is rewritten to the folder. Programs that
write such a path in their code do not see it; they should take paths as arguments or from the environment (`SM_*`,
`SAGEMAKER_BASE_DIR`), as SageMaker's own toolkits do (SageMaker AI developer guide: "Docker containers for training and
deploying models"; source: aws/sagemaker-training-toolkit, `environment.py`).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ..host import AccessDenied
from .core import Core

THREADS = "2"
"""Threads of numeric libraries: fixed, so that sums are computed in the same order on every machine."""
_OPT_ML = re.compile(r"(?<![\w.~-])/opt/ml(?=/|$|[\s\"',:;=\])}])")


class Container:
    """One played container."""

    def __init__(self, core: Core, kind: str, name: str) -> None:
        self.core = core
        self.name = name
        self.root = Path(core.host.work).resolve() / "sagemaker" / kind / name
        self.opt_ml = self.root / "opt" / "ml"
        self.opt_ml.mkdir(parents=True, exist_ok=True)
        (self.root / "tmp").mkdir(exist_ok=True)
        self.log_file = self.root / "log.txt"
        self.tail: deque[str] = deque(maxlen=40)

    def path(self, container_path: str) -> Path:
        """The path on this machine of a path below `/opt/ml`."""
        return Path(self.rewrite(container_path))

    def rewrite(self, text: str) -> str:
        """A text with each `/opt/ml` replaced by the path on this machine."""
        return _OPT_ML.sub(lambda _: str(self.opt_ml), text)

    def command(self, argv: Sequence[str]) -> list[str]:
        """The command to start: Python is the emulator's own, other programs must be on this machine."""
        program, rest = argv[0], [self.rewrite(argument) for argument in argv[1:]]
        if re.fullmatch(r"(.*/)?python(3(\.\d+)?)?", program):
            return [sys.executable, *rest]
        rewritten = self.rewrite(program)
        found = shutil.which(rewritten)
        if found is None and Path(rewritten).exists():
            # Files from S3 have no executable bit; in the container the shebang would be used all the same
            # by a shell.
            return ["/bin/sh", rewritten, *rest]
        if found is None:
            raise FileNotFoundError(f"the program {program} of the entry point is not on this machine")
        return [found, *rest]

    def environment(self, role_arn: str, extra: Mapping[str, str]) -> dict[str, str]:
        """Environment of the process: nothing of the emulator's own but the path, the role's credentials,
        then `extra`.
        """
        base = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.root),
            "TMPDIR": str(self.root / "tmp"),
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            "PYTHONHASHSEED": "0",
            "OMP_NUM_THREADS": THREADS,
            "OPENBLAS_NUM_THREADS": THREADS,
            "OMP_WAIT_POLICY": "PASSIVE",
            "SAGEMAKER_BASE_DIR": str(self.opt_ml),
        }
        for name in ("LD_LIBRARY_PATH", "SSL_CERT_FILE", "SYSTEMROOT"):
            if name in os.environ:
                base[name] = os.environ[name]
        base.update(self.core.host.environment(role_arn))
        base.update({key: self.rewrite(str(value)) for key, value in extra.items()})
        return base

    def write_json(self, container_path: str, value: object) -> None:
        """Writes a configuration file of the container."""
        target = self.path(container_path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(value, indent=2), encoding="utf-8")

    def start(self, argv: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
        """Starts the process; standard output and error go together into the log."""
        return self.core.start_process(
            argv,
            cwd=self.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def follow(self, process: subprocess.Popen[bytes], on_line: Callable[[str], None]) -> threading.Thread:
        """Copies the process's output line by line to the log file and to `on_line`."""

        def read() -> None:
            stream = process.stdout
            if stream is None:
                return
            with self.log_file.open("ab") as log, stream:
                for raw in stream:
                    log.write(raw)
                    log.flush()
                    line = raw.decode("utf-8", "replace").rstrip("\r\n")
                    self.tail.append(line)
                    on_line(line)

        thread = threading.Thread(target=read, name=f"log-{self.name}", daemon=True)
        thread.start()
        return thread

    def run(
        self,
        argv: list[str],
        environment: dict[str, str],
        *,
        timeout: float,
        stop: threading.Event,
        on_line: Callable[[str], None],
    ) -> int | None:
        """Runs to the end; the exit code, or None when it was ended by `stop` or the time limit."""
        process = self.start(argv, environment)
        reader = self.follow(process, on_line)
        deadline = time.monotonic() + timeout
        ended: int | None = None
        while True:
            ended = process.poll()
            if ended is not None or stop.is_set() or time.monotonic() > deadline:
                break
            stop.wait(0.03)
        # A child that the program leaves behind would keep the log open: the whole group is ended.
        self.core.end_process(process)
        reader.join(timeout=5.0)
        return ended

    def remove(self) -> None:
        """Removes the folder."""
        shutil.rmtree(self.root, ignore_errors=True)


class LogStream:
    """Copies log lines to CloudWatch Logs, with the permissions of the container's role."""

    def __init__(self, core: Core, role_arn: str, group: str, stream: str) -> None:
        self.core = core
        self.group, self.stream = group, stream
        self._pending: list[tuple[int, str]] = []
        self._lock = threading.Lock()
        arn = f"arn:aws:logs:{core.host.region}:{core.host.account}:log-group:{group}:log-stream:{stream}"
        for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
            core.host.authorize(role_arn, action, arn)
        self._logs = core.host.client("logs")
        self._create(role_arn)

    def _create(self, role_arn: str) -> None:
        try:
            self._logs.create_log_stream(logGroupName=self.group, logStreamName=self.stream)
            return
        except Exception as error:
            code = str((getattr(error, "response", None) or {}).get("Error", {}).get("Code", ""))
            if code != "ResourceNotFoundException":
                return
        host = self.core.host
        try:
            host.authorize(
                role_arn,
                "logs:CreateLogGroup",
                f"arn:aws:logs:{host.region}:{host.account}:log-group:{self.group}",
            )
        except AccessDenied as denial:
            # AWS runs the job all the same, without a log; here the log is kept so that the user can read it.
            host.note(
                "warning",
                f"log group {self.group} does not exist and the role may not create it: {denial.message}",
            )
        try:
            self._logs.create_log_group(logGroupName=self.group)
        except Exception as error:
            host.note("warning", f"log group {self.group} could not be created: {error}")
        try:
            self._logs.create_log_stream(logGroupName=self.group, logStreamName=self.stream)
        except Exception as error:
            host.note("warning", f"log stream {self.stream} could not be created: {error}")

    def add(self, line: str) -> None:
        """Takes one line; it is written with the next `flush`."""
        with self._lock:
            self._pending.append((int(time.time() * 1000), line))
            full = len(self._pending) >= 500
        if full:
            self.flush()

    def flush(self) -> None:
        """Writes what is pending. Logging never fails a job."""
        with self._lock:
            pending, self._pending = self._pending, []
        for start in range(0, len(pending), 500):
            # CloudWatch Logs refuses empty messages.
            events = [
                {"timestamp": at, "message": line[:200_000] or " "}
                for at, line in pending[start : start + 500]
            ]
            try:
                self._logs.put_log_events(
                    logGroupName=self.group, logStreamName=self.stream, logEvents=events
                )
            except Exception as error:
                if not self.core.closing.is_set():
                    self.core.host.note(
                        "warning", f"log lines of {self.stream} could not be written: {error}"
                    )
