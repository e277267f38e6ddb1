"""One process that keeps one Java with Spark's classes loaded, for one script after the other.

Run by path: `spark_keeper.py <process id of the emulator>`, in a folder of its own. Standard input: a line says that a
script waits, its end that nobody needs this Java any more.
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
    """Starts Java, warms it up, tells where it is."""
    end_with(int(sys.argv[1]))
    _warm_up(Path.cwd())
    _tell(Path.cwd() / GATEWAY)
    sys.stdin.read()


def _warm_up(folder: Path) -> None:
    """Plays a job's usual moves once on two rows, so that the real one finds loaded and compiled classes.

    A script that is there already waits for the move at hand only: it is its own warm-up.
    """
    from pyspark.sql import SparkSession
    from pyspark.sql import functions as F

    spark = SparkSession.builder.appName("warm-up").getOrCreate()
    (folder / "warm.csv").write_text("a,b\n1,x\n2,y\n", encoding="utf-8")
    number = F.when(F.trim("a").rlike("^[0-9]+$"), F.regexp_replace("a", "x", "")).cast("double")
    frame = spark.read.csv(str(folder / "warm.csv"), header=True).withColumn("n", number).persist()
    moves: list[Callable[[], Any]] = [
        lambda: frame.agg(F.min("n"), F.stddev("n"), F.count(F.when(F.col("b") == "x", 1))).collect(),
        lambda: frame.groupBy(F.xxhash64("a", "b")).count().agg(F.sum("count")).collect(),
        lambda: (
            frame.dropDuplicates()
            .coalesce(1)
            .sortWithinPartitions("a")
            .write.csv(f"{folder}/warm-out", header=True)
        ),
    ]
    for move in moves:
        if select.select([sys.stdin], [], [], 0)[0]:
            break
        move()
    spark.stop()


def _tell(file: Path) -> None:
    from pyspark import SparkContext

    gateway: Any = SparkContext._gateway
    java = gateway.java_parameters
    fresh = file.with_suffix(".tmp")
    fresh.write_text(json.dumps({"port": java.port, "secret": java.auth_token}), encoding="utf-8")
    os.replace(fresh, file)


if __name__ == "__main__":
    main()
