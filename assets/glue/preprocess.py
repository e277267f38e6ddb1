"""Glue job: turns valid raw data into clean, split data sets.

Typed and trimmed cells, exact duplicates and rows without a target dropped, then train, validation and test as CSV with a
header. Nothing is fitted here: what learns from data (imputing, scaling, encoding) belongs to training.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import Column as Expression
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from tabular.contract import SPLITS, DataFile, Json, Manifest, Schema
from tabular.rows import Header, canonical, parse_header, read_rows, well_formed
from tabular.session import spark_session
from tabular.storage import Storage

# One part file per this many bytes of input: small data are one file.
PART_BYTES = 128 * 1024 * 1024
# Hexadecimal digits of the content hash that place a row: 52 bits fill the fraction of a double.
DIGITS = 13
log = logging.getLogger("preprocess")


@dataclass(frozen=True)
class Split:
    """Shares of train, validation and test, and the seed."""

    shares: tuple[float, float, float] = (0.7, 0.15, 0.15)
    seed: int = 0

    def __post_init__(self) -> None:
        if any(share <= 0 for share in self.shares) or abs(sum(self.shares) - 1) > 1e-9:
            raise ValueError(f"split {self.shares} must be three shares greater than 0 that add up to 1")


def clean(rows: DataFrame, schema: Schema) -> DataFrame:
    """The used columns as canonical text `c<i>`; broken lines left out."""
    cells = [canonical(column, F.col(f"v{i}")).alias(f"c{i}") for i, column in enumerate(schema.used)]
    return rows.where(well_formed()).select(*cells)


def without_duplicates(cleaned: DataFrame) -> DataFrame:
    return cleaned.dropDuplicates()


def content_hash(schema: Schema, seed: int) -> Expression:
    """A hash of what the model sees of a row, the same wherever and whenever it is computed."""
    cells = [F.col(f"c{i}") for i, column in enumerate(schema.used) if column.role != "none"]
    # A length before each cell: no two rows have the same text unless they are the same row.
    parts = [
        F.coalesce(F.concat(F.length(cell).cast("string"), F.lit(":"), cell), F.lit("-")) for cell in cells
    ]
    return F.sha2(F.concat_ws("|", F.lit(str(seed)), *parts), 256)


def place(hashed: Expression, shares: Sequence[float]) -> Expression:
    """The index of the part that a hash falls into."""
    fraction = F.conv(F.substring(hashed, 1, DIGITS), 16, 10).cast("double") / F.lit(float(16**DIGITS))
    return F.when(fraction < shares[0], 0).when(fraction < shares[0] + shares[1], 1).otherwise(2)


def split_rows(cleaned: DataFrame, schema: Schema, split: Split) -> DataFrame:
    """Rows with a target, with their hash and the part they fall into."""
    target = next(i for i, column in enumerate(schema.used) if column.role == "target")
    kept = cleaned.where(F.col(f"c{target}").isNotNull())
    return kept.withColumn("_hash", content_hash(schema, split.seed)).withColumn(
        "_part", place(F.col("_hash"), split.shares)
    )


def write_part(placed: DataFrame, part: int, schema: Schema, files: int, path: str) -> None:
    """One part as CSV, in the order of the hash: the same rows make the same files."""
    rows = placed.where(F.col("_part") == part)
    rows = rows.coalesce(1) if files == 1 else rows.repartitionByRange(files, "_hash")
    columns = [
        F.col(f"c{i}").alias(column.name) for i, column in enumerate(schema.used) if column.role != "none"
    ]
    writer = rows.sortWithinPartitions("_hash").select(*columns).write.mode("overwrite")
    writer.options(header=True, escape='"', emptyValue="", nullValue="", encoding="UTF-8").csv(path)


def preprocess(
    spark: SparkSession,
    files: list[tuple[DataFile, str, Header]],
    schema: Schema,
    split: Split,
    output: str,
) -> Json:
    """Writes the parts and answers how many rows went where."""
    rows = read_rows(spark, [(path, header) for _, path, header in files], schema)
    cleaned = clean(rows, schema).persist()
    read = cleaned.count()
    distinct = without_duplicates(cleaned).persist()
    distinct_rows = distinct.count()
    placed = split_rows(distinct, schema, split).persist()
    counts = {row["_part"]: row["count"] for row in placed.groupBy("_part").count().collect()}
    kept = sum(counts.values())
    for part, name in enumerate(SPLITS):
        if not counts.get(part):
            raise RuntimeError(
                f"the {name} part would be empty: of {read} rows, {kept} are left after dropping {read - distinct_rows} duplicates and "
                f"{distinct_rows - kept} without {schema.target.name!r}; give it more rows, a larger share or another seed"
            )
    parts = max(1, -(-sum(file.size for file, _, _ in files) // PART_BYTES))
    for part, name in enumerate(SPLITS):
        write_part(placed, part, schema, parts, f"{output}/{name}")
    return {
        "read": read,
        "duplicates": read - distinct_rows,
        "missingTarget": distinct_rows - kept,
        "kept": kept,
        **{name: counts[part] for part, name in enumerate(SPLITS)},
    }


def run(arguments: argparse.Namespace) -> Json:
    storage = Storage()
    schema = Schema.of(storage.read_json(arguments.schema))
    manifest = Manifest.of(storage.read_json(arguments.manifest))
    spark = spark_session("preprocess")
    files = [
        (file, storage.spark_path(file), parse_header(storage.head(file)))
        for file in manifest.files
        if file.size
    ]
    if not files:
        raise RuntimeError(f"manifest {manifest.id} names no file with content")
    split = Split(arguments.split, arguments.seed)
    counts = preprocess(spark, files, schema, split, arguments.output)
    document: Json = {
        "version": 1,
        "dataset": schema.name,
        "manifestId": manifest.id,
        "output": arguments.output,
        "columns": [column.name for column in schema.modelled],
        "split": dict(zip(SPLITS, split.shares, strict=True)),
        "seed": split.seed,
        "rows": counts,
    }
    storage.write_json(arguments.summary, document)
    return document


def _shares(text: str) -> tuple[float, float, float]:
    shares = tuple(float(share) for share in text.split(","))
    if len(shares) != 3:
        raise argparse.ArgumentTypeError(f"{text!r} must be three numbers with commas between them")
    return shares


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--schema", required=True, help="S3 URI of schema.json")
    parser.add_argument("--manifest", required=True, help="S3 URI of the manifest")
    parser.add_argument(
        "--output", required=True, help="S3 URI of the folder for train/, validation/ and test/"
    )
    parser.add_argument("--summary", required=True, help="S3 URI to write the counts to")
    parser.add_argument("--split", type=_shares, default=Split.shares, help="shares of train,validation,test")
    parser.add_argument("--seed", type=int, default=Split.seed)
    # Glue hands over arguments of its own.
    known, _ = parser.parse_known_args(arguments)
    return known


def main(arguments: Sequence[str]) -> Any:
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s", stream=sys.stdout)
    document = run(parse(arguments))
    log.info("%s", ", ".join(f"{name} {count}" for name, count in document["rows"].items()))
    return document


if __name__ == "__main__":
    main(sys.argv[1:])
