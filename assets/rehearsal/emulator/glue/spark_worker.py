"""A process that runs one Spark script, in a Java that `spark_keeper.py` keeps.

Run by path, not as a module, so that the script's `sys.path` is its own: `spark_worker.py <process id of the
emulator>`. Started in advance; standard input then carries one JSON line: `{"script", "arguments", "environment",
"pythonPath", "properties", "gateway", "log", "outcome", "s3", "folder"}`.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spark_parent import end_with


def main() -> None:
    """Imports what every script needs, waits for a script, runs it. The exit code is the script's."""
    end_with(int(sys.argv[1]))
    import boto3  # noqa: F401
    import pyspark.sql.functions  # noqa: F401

    line = sys.stdin.readline()
    if line:
        sys.exit(_run(json.loads(line)))


def _run(request: dict[str, Any]) -> int:
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    system = _connect(request["gateway"])
    before = _exchange(system, request["properties"])
    _become_script(request)
    error, code = _run_script(request["script"])
    outcome = {"error": error, "code": code, "clean": _stop(system, before)}
    Path(request["outcome"]).write_text(json.dumps(outcome), encoding="utf-8")
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def _connect(gateway: Mapping[str, Any]) -> Any:
    """Java's class `System`, in the Java that the gateway reaches."""
    from pyspark import SparkContext

    os.environ["PYSPARK_GATEWAY_PORT"] = str(gateway["port"])
    os.environ["PYSPARK_GATEWAY_SECRET"] = gateway["secret"]
    SparkContext._ensure_initialized()
    java: Any = SparkContext._jvm
    return java.java.lang.System


def _exchange(system: Any, properties: Mapping[str, str | None]) -> dict[str, str | None]:
    """Sets system properties, of which those of Spark are the defaults of a session; returns the values before."""
    before = {name: system.getProperty(name) for name in properties}
    for name, value in properties.items():
        if value is None:
            system.clearProperty(name)
        else:
            system.setProperty(name, value)
    return before


def _become_script(request: dict[str, Any]) -> None:
    """Makes this process the script's: environment, arguments, import path."""
    import spark_s3

    spark_s3.install(Path(request["s3"]))
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = [request["script"], *request["arguments"]]
    here = str(Path(__file__).resolve().parent)
    sys.path[:] = [
        str(Path(request["script"]).parent),
        *request["pythonPath"],
        *(path for path in sys.path if path != here),
    ]


def _run_script(script: str) -> tuple[str, int]:
    """The script's last error, in one sentence, and its exit code."""
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else (0 if stop.code is None else 1)
        error = f"SystemExit: {stop.code}" if code else ""
        if error:
            print(error, file=sys.stderr)
        return error, code
    except BaseException as failure:
        traceback.print_exc()
        return _message(failure), 1
    return "", 0


def _stop(system: Any, before: Mapping[str, str | None]) -> bool:
    """Stops what the script left running; whether Java is as it was before, so that another script may use it."""
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

    try:
        running = SparkSession._instantiatedSession or SparkContext._active_spark_context
        if running is not None:
            running.stop()
        _exchange(system, before)
    except Exception:  # of any kind: Java has ended, or does not answer
        return False
    return True


def _message(failure: BaseException) -> str:
    """The exception's type and message; of a Java exception the innermost cause."""
    java = getattr(failure, "java_exception", None)
    if java is None:
        return f"{type(failure).__name__}: {failure}"
    try:
        while java.getCause() is not None:
            java = java.getCause()
        return str(java.toString())
    except Exception:
        return f"{type(failure).__name__}: {failure}"


if __name__ == "__main__":
    main()
