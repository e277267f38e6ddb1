"""The Spark session of a job."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from pyspark.sql import SparkSession


def spark_session(name: str, *, local: bool, scratch: Path | None = None) -> SparkSession:
    """Glue configures the cluster; on one machine everything is kept small and quiet."""
    builder = SparkSession.builder.appName(name).config("spark.sql.session.timeZone", "UTC")
    # A cell that is not of its kind is a finding, not an exception (Spark 4 turns this on by default).
    builder = builder.config("spark.sql.ansi.enabled", "false")
    # The same for bytes that are no UTF-8.
    builder = builder.config("spark.sql.legacy.codingErrorAction", "true")
    # A folder of results holds parts and nothing else.
    builder = builder.config("spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs", "false")
    if local:
        scratch = scratch or Path(tempfile.mkdtemp(prefix="spark-", dir=os.environ.get("GLUE_LOCAL_S3")))
        settings = {
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.sql.shuffle.partitions": "2",
            "spark.default.parallelism": "2",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.memory": "1g",
            "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto",
            "spark.local.dir": str(scratch),
            "spark.sql.warehouse.dir": f"{scratch}/warehouse",
        }
        builder = builder.master("local[2]")
        for key, value in settings.items():
            builder = builder.config(key, value)
    session = builder.getOrCreate()
    if local:
        session.sparkContext.setLogLevel("ERROR")
    return session
