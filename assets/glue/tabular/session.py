"""The Spark session of a job."""

from __future__ import annotations

from pyspark.sql import SparkSession


def spark_session(name: str) -> SparkSession:
    """What the jobs ask of Spark; the cluster is configured by Glue."""
    builder = SparkSession.builder.appName(name).config("spark.sql.session.timeZone", "UTC")
    # A cell that is not of its kind is a finding, not an exception (Spark 4 turns this on by default).
    builder = builder.config("spark.sql.ansi.enabled", "false")
    # The same for bytes that are not UTF-8.
    builder = builder.config("spark.sql.legacy.codingErrorAction", "true")
    # A folder of results holds parts and nothing else.
    builder = builder.config("spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs", "false")
    return builder.getOrCreate()
