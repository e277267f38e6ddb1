"""Reads CSV into Spark without trusting it.

A file is read line by line and each line is parsed on its own, so that every row knows its line number, a broken line
stays one broken line, and files can be split over a cluster. The price: a line break inside quotes is a broken line.

Columns of the result, whatever the names in the contract (so that names need no quoting):
`_file` index of the file, `_id` place in the file, `_bad` why the line is broken (or null), and for each used column `i` of
the contract `t<i>` its trimmed text (null: missing) and `v<i>` its value (null: missing or not of its kind).
"""

from __future__ import annotations

import csv
import sys
from collections import Counter
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import Column as Expression
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from tabular.contract import Column, Schema

BOM = "\ufeff"
REPLACEMENT = "\ufffd"
# More separators in one line are surely not data, and more than the parser takes.
MOST_COLUMNS = 10_000

NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
WHOLE = r"^[+-]?[0-9]+(\.0*)?$"
ISO = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?(Z|[+-][0-9]{2}:[0-9]{2})?)?$"
TRUE, FALSE = ("true", "1"), ("false", "0")


@dataclass(frozen=True)
class Header:
    """The first line of a file."""

    names: tuple[str, ...]
    problem: str | None = None

    def position(self, name: str) -> int | None:
        return self.names.index(name) if name in self.names else None

    @property
    def repeated(self) -> tuple[str, ...]:
        return tuple(name for name, count in Counter(self.names).items() if count > 1)


def parse_header(first_bytes: bytes) -> Header:
    """Column names from the first bytes of a file. Whatever the bytes are, it answers."""
    text = first_bytes.decode("utf-8", errors="replace").removeprefix(BOM)
    line = text.replace("\r\n", "\n").replace("\r", "\n").split("\n", 1)[0]
    problem = "it is not UTF-8 text" if REPLACEMENT in line or "\0" in line else None
    try:
        cells = next(csv.reader([line.replace("\0", "")], strict=True), [])
    except csv.Error:
        cells, problem = [line], "its quotes are not closed"
    return Header(tuple(cell.strip() for cell in cells[:MOST_COLUMNS]), problem)


def read_rows(spark: SparkSession, files: list[tuple[str, Header]], schema: Schema) -> DataFrame:
    """The data rows of all files, parsed and typed, header lines left out."""
    frames = [_read_file(spark, i, path, header, schema) for i, (path, header) in enumerate(files)]
    return reduce(DataFrame.unionByName, frames)


def well_formed() -> Expression:
    return F.col("_bad").isNull()


def _read_file(spark: SparkSession, index: int, path: str, header: Header, schema: Schema) -> DataFrame:
    # Spark hands on bytes as they are; decoding puts the replacement character where they are no UTF-8.
    decoded = F.decode(F.col("value").cast("binary"), "UTF-8").alias("_line")
    lines = spark.read.text(path).select(decoded, F.monotonically_increasing_id().alias("_id"))
    lines = lines.where(F.col("_id") != 0)
    if len(header.names) > 1:
        lines = lines.where(F.trim("_line") != "")
    parsed = lines.withColumn("_bad", _broken(F.col("_line")))
    width = max(1, len(header.names))
    cells = ", ".join(f"h{i} string" for i in range(width))
    safe = F.when(F.col("_bad").isNull(), F.col("_line"))
    options = {
        "mode": "PERMISSIVE",
        "columnNameOfCorruptRecord": "_corrupt",
        "escape": '"',
        "ignoreLeadingWhiteSpace": "true",
        "ignoreTrailingWhiteSpace": "true",
    }
    parsed = parsed.withColumn("_cells", F.from_csv(safe, f"{cells}, _corrupt string", options))
    parsed = parsed.withColumn(
        "_bad",
        F.coalesce(
            F.col("_bad"),
            F.when(
                F.col("_cells._corrupt").isNotNull(),
                F.lit(f"it does not have {width} cells, as the header has"),
            ),
        ),
    )
    texts: list[Expression] = []
    for i, column in enumerate(schema.used):
        place = header.position(column.name)
        text = F.lit(None).cast("string") if place is None else _text(F.col(f"_cells.h{place}"))
        texts.append(F.when(well_formed(), text).alias(f"t{i}"))
    line = F.when(F.col("_bad").isNotNull(), F.substring("_line", 1, 200)).alias("_line")
    placed = parsed.select(F.lit(index).alias("_file"), "_id", "_bad", line, *texts)
    values = [_value(column, F.col(f"t{i}")).alias(f"v{i}") for i, column in enumerate(schema.used)]
    return placed.select("*", *values)


def _broken(line: Expression) -> Expression:
    """What can be said of a line before it is parsed."""
    quotes = F.length(line) - F.length(F.regexp_replace(line, '"', ""))
    commas = F.length(line) - F.length(F.regexp_replace(line, ",", ""))
    return (
        F.when(line.contains(REPLACEMENT) | line.contains("\0"), F.lit("it is not UTF-8 text"))
        .when(quotes % 2 == 1, F.lit("its quotes are not closed"))
        .when(commas >= MOST_COLUMNS, F.lit("it has too many cells"))
    )


def _text(cell: Expression) -> Expression:
    trimmed = F.regexp_replace(cell, r"^\s+|\s+$", "")
    return F.when(trimmed != "", trimmed)


def _value(column: Column, text: Expression) -> Expression:
    """The value of a cell, or null where the text is not of the column's kind."""
    if column.kind == "numeric":
        number = _cast(text.rlike(NUMBER), text, "double")
        return F.when(number.between(-sys.float_info.max, sys.float_info.max), number)
    if column.kind == "integer":
        return _cast(text.rlike(WHOLE), F.regexp_replace(text, r"\.0*$", ""), "long")
    if column.kind == "boolean":
        lower = F.lower(text)
        return F.when(lower.isin(*TRUE), F.lit(True)).when(lower.isin(*FALSE), F.lit(False))
    if column.kind == "timestamp":
        return _cast(text.rlike(ISO), text, "timestamp")
    return text


def _cast(condition: Expression, text: Expression, kind: str) -> Expression:
    return F.when(condition, text).cast(kind)


def canonical(column: Column, value: Expression) -> Expression:
    """The one text of a value: what is written, compared and hashed."""
    if column.kind == "timestamp":
        return F.date_format(value, "yyyy-MM-dd'T'HH:mm:ss.SSS'Z'")
    return value.cast("string")


def line_numbers(spark: SparkSession, path: str) -> dict[int, int]:
    """How many lines come before each partition of a file: with it, `_id` becomes a line number.

    A file is cut the same way each time it is read; only who wants to show single rows pays for this count.
    """
    counts = spark.read.text(path).groupBy(F.spark_partition_id().alias("partition")).count().collect()
    before, total = {}, 0
    for row in sorted(counts, key=lambda row: row["partition"]):
        before[row["partition"]] = total
        total += row["count"]
    return before


def line_number(identifier: int, before: dict[int, int]) -> int:
    """The line of a row in its file, the header being line 1."""
    partition, index = identifier >> 33, identifier & ((1 << 33) - 1)
    return before.get(partition, 0) + index + 1
