"""A process that keeps one Java with Spark's classes loaded, for one script after the other.

Run by path: `spark_keeper.py <process id of the emulator>`, in a folder of its own. A line on standard input means
that a script waits; the end of standard input means that this Java is no longer needed.
"""

from __future__ import annotations

import json
import os
import select
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from spark_parent import GATEWAY, end_with


def main() -> None:
    """Starts Java, warms it up, writes where it can be reached."""
    end_with(int(sys.argv[1]))
    _warm_up(Path.cwd())
    _write_gateway(Path.cwd() / GATEWAY)
    sys.stdin.read()


def _warm_up(folder: Path) -> None:
    """Runs the usual operations of a job on two rows, so that the real job finds loaded and compiled classes.

    Ends after the current operation when a script waits.
    """
    from pyspark.sql import SparkSession
    from pyspark.sql import functions as F

    spark = SparkSession.builder.appName("warm-up").getOrCreate()
    (folder / "warm.csv").write_text("a,b\n1,x\n2,y\n", encoding="utf-8")
    number = F.when(F.trim("a").rlike("^[0-9]+$"), F.regexp_replace("a", "x", "")).cast("double")
    frame = spark.read.csv(str(folder / "warm.csv"), header=True).withColumn("n", number).persist()
    operations: list[Callable[[], Any]] = [
        lambda: frame.agg(F.min("n"), F.stddev("n"), F.count(F.when(F.col("b") == "x", 1))).collect(),
        lambda: frame.groupBy(F.xxhash64("a", "b")).count().agg(F.sum("count")).collect(),
        lambda: (
            frame.dropDuplicates()
            .coalesce(1)
            .sortWithinPartitions("a")
            .write.csv(f"{folder}/warm-out", header=True)
        ),
    ]
    for operation in operations:
        if select.select([sys.stdin], [], [], 0)[0]:
            break
        operation()
    spark.stop()


def _write_gateway(file: Path) -> None:
    from pyspark import SparkContext

    gateway: Any = SparkContext._gateway
    java = gateway.java_parameters
    fresh = file.with_suffix(".tmp")
    fresh.write_text(json.dumps({"port": java.port, "secret": java.auth_token}), encoding="utf-8")
    os.replace(fresh, file)


if __name__ == "__main__":
    main()
