"""Plays `awsglue.context` of Glue's image: a Spark session with Glue's readers and writers (source:
awslabs/aws-glue-libs).
"""

from __future__ import annotations

import logging
from typing import Any

from pyspark.sql import SparkSession

from awsglue.dynamicframe import DynamicFrame

FORMATS = ("csv", "json", "parquet", "glueparquet")


class GlueContext:
    """A Spark session with Glue's readers and writers for files in S3."""

    def __init__(self, sparkContext: Any, **options: Any) -> None:
        self._sc = sparkContext
        self.spark_session = SparkSession.builder.getOrCreate()
        self.create_dynamic_frame = _Reader(self)
        self.write_dynamic_frame = _Writer()

    def getSource(self, *args: Any, **named: Any) -> Any:
        """Not played."""
        raise NotImplementedError(
            "GlueContext.getSource is not played in a rehearsal: use create_dynamic_frame.from_options"
        )

    def get_logger(self) -> logging.Logger:
        """A logger of Python."""
        return logging.getLogger("glue")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise NotImplementedError(f"GlueContext.{name} is not played in a rehearsal: use spark_session")


class _Reader:
    def __init__(self, context: GlueContext) -> None:
        self._context = context

    def from_options(
        self,
        connection_type: str = "s3",
        connection_options: dict[str, Any] | None = None,
        format: str | None = None,
        format_options: dict[str, Any] | None = None,
        transformation_ctx: str = "",
        **named: Any,
    ) -> DynamicFrame:
        """Reads files in S3."""
        _supported(connection_type, format)
        options = format_options or {}
        reader = self._context.spark_session.read.format(
            "parquet" if "parquet" in str(format) else str(format)
        )
        if format == "csv":
            reader = reader.option("header", str(options.get("withHeader", False)).lower())
            reader = reader.option("sep", options.get("separator", ","))
        if format == "json":
            reader = reader.option("multiLine", str(options.get("multiline", False)).lower())
        frame = reader.load(list((connection_options or {}).get("paths", [])))
        return DynamicFrame(frame, self._context, transformation_ctx)

    def __getattr__(self, name: str) -> Any:
        raise NotImplementedError(
            f"create_dynamic_frame.{name} is not played in a rehearsal: use from_options with S3 paths"
        )


class _Writer:
    def from_options(
        self,
        frame: DynamicFrame,
        connection_type: str = "s3",
        connection_options: dict[str, Any] | None = None,
        format: str | None = None,
        format_options: dict[str, Any] | None = None,
        transformation_ctx: str = "",
        **named: Any,
    ) -> DynamicFrame:
        """Writes files to S3; like Glue, beside those that exist already."""
        _supported(connection_type, format)
        options = connection_options or {}
        writer = (
            frame.toDF().write.mode("append").format("parquet" if "parquet" in str(format) else str(format))
        )
        if format == "csv":
            writer = writer.option("header", str((format_options or {}).get("writeHeader", True)).lower())
        if options.get("partitionKeys"):
            writer = writer.partitionBy(*options["partitionKeys"])
        writer.save(options["path"])
        return frame

    def __getattr__(self, name: str) -> Any:
        raise NotImplementedError(
            f"write_dynamic_frame.{name} is not played in a rehearsal: use from_options with an S3 path"
        )


def _supported(connection_type: str, format: str | None) -> None:
    if connection_type != "s3" or format not in FORMATS:
        raise NotImplementedError(
            f"a rehearsal plays connection type s3 with the formats {', '.join(FORMATS)}: not {connection_type} with {format}"
        )
