"""One process that runs one Spark script. It starts Java ahead, warms up until its order comes, runs it and ends.

Run by path, not as a module, so that the script's `sys.path` is its own. Standard input carries one JSON line:
`{"script", "arguments", "environment", "pythonPath", "properties", "log", "outcome", "s3", "folder"}`.
Uses nothing of the emulator but `spark_s3`, its neighbour.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import runpy
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

READY = "ready"
"""Name of the file in the worker's folder that says: Java runs, an order is welcome."""
WARM = "warm"
"""Name of the file that says: the warm-up is over, by itself or because an order came."""


def main() -> None:
    """Warms up, waits, runs. The exit code is the script's."""
    # From the first moment: a Java that is still starting must not outlive the emulator either.
    threading.Thread(target=_end_with, args=(int(sys.argv[1]),), daemon=True).start()
    folder = Path.cwd()
    _warm_up(folder)
    (folder / WARM).touch()
    line = sys.stdin.readline()
    if not line:
        _end_group()
    order = json.loads(line)
    sys.exit(_run(order))


def _end_with(parent: int) -> None:
    """Ends the worker, its Java and its job when the emulator has ended, however that was."""
    while os.getppid() == parent:
        time.sleep(0.2)
    _end_group()


def _end_group() -> None:
    os.killpg(os.getpgid(0), signal.SIGKILL)


def _warm_up(folder: Path) -> None:
    """Plays a job's usual moves once on two rows, so that the real one finds loaded and compiled classes.

    A job that is there already waits for the move at hand only: it is its own warm-up.
    """
    from pyspark.sql import SparkSession
    from pyspark.sql import functions as F

    spark = SparkSession.builder.appName("warm-up").getOrCreate()
    (folder / READY).touch()
    (folder / "warm.csv").write_text("a,b\n1,x\n2,y\n", encoding="utf-8")
    number = F.when(F.trim("a").rlike("^[0-9]+$"), F.regexp_replace("a", "x", "")).cast("double")
    frame = spark.read.csv(str(folder / "warm.csv"), header=True).withColumn("n", number).persist()
    moves: list[Callable[[], Any]] = [
        lambda: frame.agg(F.min("n"), F.stddev("n"), F.count(F.when(F.col("b") == "x", 1))).collect(),
        lambda: importlib.import_module("boto3"),
        lambda: frame.groupBy(F.xxhash64("a", "b")).count().agg(F.sum("count")).collect(),
        lambda: (
            frame.dropDuplicates()
            .coalesce(1)
            .sortWithinPartitions("a")
            .write.csv(f"{folder}/warm-out", header=True)
        ),
    ]
    for move in moves:
        if _order_waits():
            break
        move()
    spark.stop()


def _order_waits() -> bool:
    return bool(select.select([sys.stdin], [], [], 0)[0])


def _run(order: dict[str, Any]) -> int:
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    _enter(order)
    error, code = "", 0
    try:
        runpy.run_path(order["script"], run_name="__main__")
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else (0 if stop.code is None else 1)
        if code:
            error = f"SystemExit: {stop.code}"
            print(error, file=sys.stderr)
    except BaseException as failure:
        code = 1
        error = _sentence(failure)
        traceback.print_exc()
    Path(order["outcome"]).write_text(json.dumps({"error": error, "code": code}), encoding="utf-8")
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def _enter(order: dict[str, Any]) -> None:
    """Makes this process the job's: environment, arguments, import path, Spark properties."""
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    sys.argv = [order["script"], *order["arguments"]]
    here = str(Path(__file__).resolve().parent)
    sys.path[:] = [
        str(Path(order["script"]).parent),
        *order["pythonPath"],
        *(p for p in sys.path if p != here),
    ]
    properties = _java_properties()
    for name, value in order["properties"].items():
        properties.setProperty(name, value)
    if order.get("s3"):
        _load_s3(here).install(Path(order["s3"]))


def _java_properties() -> Any:
    """System properties of Java: what starts with `spark.` is the default of the next session."""
    from pyspark import SparkContext

    gateway: Any = SparkContext._jvm
    return gateway.java.lang.System


def _load_s3(here: str) -> Any:
    spec = importlib.util.spec_from_file_location("_spark_s3", Path(here) / "spark_s3.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["_spark_s3"] = module
    spec.loader.exec_module(module)
    return module


def _sentence(failure: BaseException) -> str:
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
