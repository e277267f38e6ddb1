"""Glue job: checks raw data against their contract and writes a report.

The job succeeds when the data do not keep their contract: the verdict is in the report (`valid`). It fails only when it
could not look.
"""

from __future__ import annotations

import argparse
import difflib
import logging
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pyspark.sql import Column as Expression
from pyspark.sql import DataFrame, Row, SparkSession, Window
from pyspark.sql import functions as F
from tabular.contract import Column, DataFile, Json, Manifest, Schema
from tabular.rows import Header, canonical, line_number, line_numbers, parse_header, read_rows, well_formed
from tabular.session import spark_session
from tabular.storage import Storage, why_unreadable

EXAMPLES = 5
log = logging.getLogger("validate")


@dataclass(frozen=True)
class Rules:
    """What a file must keep beside what its contract says of each column."""

    minimum_rows: int = 50
    max_duplicates: float = 0.5


@dataclass
class Finding:
    """One rule that the data break. `column` is None where it is about the file or its rows."""

    rule: str
    message: str
    count: int = 1
    share: float = 1.0
    column: str | None = None
    severity: str = "error"
    examples: list[Json] = field(default_factory=list)

    def document(self) -> Json:
        return {
            "column": self.column,
            "rule": self.rule,
            "count": self.count,
            "share": round(self.share, 6),
            "severity": self.severity,
            "message": self.message,
            "examples": self.examples,
        }


@dataclass(frozen=True)
class Check:
    """A rule that is decided row by row: which rows break it, and what they show."""

    rule: str
    column: Column | None
    broken: Expression
    shown: Expression
    expected: str


def check_files(files: Sequence[DataFile]) -> tuple[list[Finding], list[DataFile]]:
    """What is wrong with the objects themselves, and those that Spark can read."""
    findings, readable = [], []
    for file in files:
        reason = why_unreadable(file.key)
        if reason:
            message = f"{file.key} cannot be read under this name: {reason}; upload it under another name"
            findings.append(Finding("file_name", message))
        elif file.size == 0:
            findings.append(Finding("empty", f"{file.key} is empty: it has not even a header", count=0))
        else:
            readable.append(file)
    return findings, readable


def check_header(header: Header, schema: Schema, where: str) -> list[Finding]:
    """What is wrong with the columns of one file."""
    if header.problem:
        return [Finding("header", f"the header of {where} cannot be read: {header.problem}")]
    known = [column.name for column in schema.columns]
    findings = []
    for name in header.repeated:
        findings.append(
            Finding("duplicate_column", f"column {name!r} is in {where} more than once", column=name)
        )
    for column in schema.used:
        if column.name not in header.names:
            near = difflib.get_close_matches(
                column.name, [name for name in header.names if name not in known], 1, 0.75
            )
            hint = (
                f"; is it the one named {near[0]!r}?" if near else f"; the file has {_listed(header.names)}"
            )
            message = f"column {column.name!r} is missing in {where}{hint}"
            findings.append(Finding("missing_column", message, column=column.name))
    for name in dict.fromkeys(header.names):
        if name not in known:
            message = f"column {name!r} of {where} is not in the schema: declare it, or declare it as ignored"
            findings.append(Finding("unexpected_column", message, column=name))
    return findings


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:30])
    return f"{shown} and {len(names) - 30} more" if len(names) > 30 else shown


def row_checks(schema: Schema, present: set[str]) -> list[Check]:
    """The rules of the contract that look at one cell of one row."""
    checks = [
        Check("malformed", None, F.col("_bad").isNotNull(), F.col("_line"), "be lines that can be read")
    ]
    for i, column in enumerate(schema.used):
        if column.name not in present:
            continue
        text, value = F.col(f"t{i}"), F.col(f"v{i}")
        if column.kind not in ("categorical", "identifier"):
            article = {"numeric": "a number", "integer": "a whole number", "boolean": "true or false"}
            expected = article.get(column.kind, "an ISO 8601 timestamp")
            checks.append(Check("type", column, text.isNotNull() & value.isNull(), text, f"be {expected}"))
        if column.is_number and (column.minimum is not None or column.maximum is not None):
            low, high = F.lit(False), F.lit(False)
            if column.minimum is not None:
                low = value < F.lit(column.minimum)
            if column.maximum is not None:
                high = value > F.lit(column.maximum)
            checks.append(Check("range", column, low | high, text, f"be {_range(column)}"))
        if column.values is not None:
            allowed = ", ".join(repr(v) for v in column.values)
            checks.append(
                Check("allowed_values", column, ~value.isin(*column.values), text, f"be one of {allowed}")
            )
    return checks


def _range(column: Column) -> str:
    if column.minimum is None:
        return f"at most {column.maximum}"
    if column.maximum is None:
        return f"at least {column.minimum}"
    return f"from {column.minimum} to {column.maximum}"


def profile(rows: DataFrame, schema: Schema, checks: list[Check]) -> Row:
    """All counts and statistics in one pass over the data."""
    measures = [F.count(F.lit(1)).alias("rows")]
    for k, check in enumerate(checks):
        measures.append(F.count(F.when(check.broken, 1)).alias(f"broken{k}"))
    for i, column in enumerate(schema.used):
        text, value = F.col(f"t{i}"), F.col(f"v{i}")
        measures.append(F.count(F.when(well_formed() & text.isNull(), 1)).alias(f"missing{i}"))
        measures.append(F.hll_sketch_estimate(F.hll_sketch_agg(text)).alias(f"distinct{i}"))
        if column.is_number:
            number = value.cast("double")
            measures += [
                F.min(number).alias(f"min{i}"),
                F.max(number).alias(f"max{i}"),
                F.mean(number).alias(f"mean{i}"),
                F.stddev(number).alias(f"stddev{i}"),
            ]
    return rows.agg(*measures).collect()[0]


def count_duplicates(rows: DataFrame, schema: Schema) -> int:
    """Rows that repeat another one in everything but ignored columns."""
    good = rows.where(well_formed())
    cells = [
        F.coalesce(canonical(column, F.col(f"v{i}")), F.lit("\0")) for i, column in enumerate(schema.used)
    ]
    hashed = good.select(F.xxhash64(*cells).alias("h"))
    counted = hashed.groupBy("h").count().agg(F.sum(F.col("count") - 1)).collect()[0][0]
    return int(counted or 0)


def column_statistics(schema: Schema, measured: Row) -> Json:
    """The quality metrics of each column. `distinct` is an estimate: exact for few values, within 2 % for many."""
    rows = measured["rows"]
    statistics: Json = {}
    for i, column in enumerate(schema.used):
        missing = measured[f"missing{i}"]
        entry: Json = {
            "missing": missing,
            "missingShare": round(missing / rows, 6) if rows else 0.0,
            "distinct": measured[f"distinct{i}"],
        }
        if column.is_number:
            for name in ("min", "max", "mean", "stddev"):
                value = measured[f"{name}{i}"]
                # A sum that overflows is not a number that JSON can hold.
                entry[name] = value if value is not None and math.isfinite(value) else None
        statistics[column.name] = entry
    return statistics


def judge(
    schema: Schema, rules: Rules, checks: list[Check], measured: Row, duplicates: int, present: set[str]
) -> list[tuple[Finding, Check | None]]:
    """Turns counts into findings; with each, the check that can show its rows."""
    rows = measured["rows"]
    found: list[tuple[Finding, Check | None]] = []
    if rows < rules.minimum_rows:
        message = f"the data have {rows} rows; at least {rules.minimum_rows} are needed"
        found.append((Finding("minimum_rows", message, count=rows), None))
    for k, check in enumerate(checks):
        count = measured[f"broken{k}"]
        if count:
            what = f"values of {check.column.name!r}" if check.column else "rows"
            message = (
                f"{count} of {rows} {what} ({_percent(count, rows)}) are wrong: they must {check.expected}"
            )
            name = check.column.name if check.column else None
            found.append((Finding(check.rule, message, count, count / rows, name), check))
    for i, column in enumerate(schema.used):
        missing = measured[f"missing{i}"]
        if column.name in present and rows and missing > column.max_missing * rows:
            limit = "none" if column.max_missing == 0 else f"at most {column.max_missing * 100:g} %"
            message = f"{missing} of {rows} values of {column.name!r} ({_percent(missing, rows)}) are missing; {limit} may be"
            check = Check(
                "missing", column, well_formed() & F.col(f"t{i}").isNull(), F.lit(None).cast("string"), ""
            )
            found.append((Finding("missing", message, missing, missing / rows, column.name), check))
    if duplicates:
        too_many = duplicates > rules.max_duplicates * rows
        limit = f"at most {rules.max_duplicates * 100:g} % may" if too_many else "they will be dropped"
        message = f"{duplicates} of {rows} rows ({_percent(duplicates, rows)}) repeat another row; {limit}"
        severity = "error" if too_many else "warning"
        found.append((Finding("duplicates", message, duplicates, duplicates / rows, severity=severity), None))
    return found


def _percent(count: int, total: int) -> str:
    return f"{100 * count / total:.3g} %"


def first_rows(rows: DataFrame, checks: list[Check]) -> list[list[tuple[int, int, str | None]]]:
    """For each check the first rows that break it: file, place in the file, what they show."""
    if not checks:
        return []
    flags = [
        F.when(check.broken, F.struct(F.lit(k).alias("check"), check.shown.alias("shown")))
        for k, check in enumerate(checks)
    ]
    broken = rows.select(
        "_file", "_id", F.explode(F.filter(F.array(*flags), lambda flag: flag.isNotNull())).alias("flag")
    )
    order = Window.partitionBy("flag.check").orderBy("_file", "_id")
    picked = broken.withColumn("_rank", F.row_number().over(order)).where(F.col("_rank") <= EXAMPLES)
    examples: list[list[tuple[int, int, str | None]]] = [[] for _ in checks]
    for row in picked.orderBy("_file", "_id").collect():
        examples[row["flag"]["check"]].append((row["_file"], row["_id"], row["flag"]["shown"]))
    return examples


def validate(
    spark: SparkSession, files: list[tuple[DataFile, str, Header]], schema: Schema, rules: Rules
) -> tuple[list[Finding], Json, int, int]:
    """Findings, statistics of the columns, rows, and rows that repeat another."""
    findings = [finding for file, _, header in files for finding in check_header(header, schema, file.key)]
    readable = [(path, header) for _, path, header in files if not header.problem and not header.repeated]
    if not readable:
        return findings, {}, 0, 0
    rows = read_rows(spark, readable, schema).persist()
    present = {
        column.name
        for column in schema.used
        if all(header.position(column.name) is not None for _, header in readable)
    }
    checks = row_checks(schema, present)
    measured = profile(rows, schema, checks)
    duplicates = count_duplicates(rows, schema)
    judged = judge(schema, rules, checks, measured, duplicates, present)
    shown = [(finding, check) for finding, check in judged if check]
    if shown:
        before = [line_numbers(spark, path) for path, _ in readable]
        keys = [file.key for file, _, header in files if not header.problem and not header.repeated]
        for (finding, _), examples in zip(
            shown, first_rows(rows, [check for _, check in shown]), strict=True
        ):
            for index, identifier, value in examples:
                example: Json = {"row": line_number(identifier, before[index]), "value": value}
                finding.examples.append(example if len(keys) == 1 else {"file": keys[index], **example})
    rows.unpersist()
    statistics = {
        name: entry for name, entry in column_statistics(schema, measured).items() if name in present
    }
    return findings + [finding for finding, _ in judged], statistics, measured["rows"], duplicates


def report(
    schema: Schema, manifest: Manifest, findings: list[Finding], statistics: Json, rows: int, duplicates: int
) -> Json:
    return {
        "version": 1,
        "valid": not any(finding.severity == "error" for finding in findings),
        "dataset": schema.name,
        "manifestId": manifest.id,
        "files": [file.uri for file in manifest.files],
        "rows": rows,
        "duplicates": duplicates,
        "columns": statistics,
        "findings": [finding.document() for finding in findings],
    }


def run(arguments: argparse.Namespace) -> Json:
    storage = Storage()
    schema = Schema.of(storage.read_json(arguments.schema))
    manifest = Manifest.of(storage.read_json(arguments.manifest))
    findings, readable = check_files(manifest.files)
    statistics: Json = {}
    rows = duplicates = 0
    if readable:
        spark = spark_session("validate")
        files = [(file, storage.spark_path(file), parse_header(storage.head(file))) for file in readable]
        rules = Rules(arguments.minimum_rows, arguments.max_duplicates)
        more, statistics, rows, duplicates = validate(spark, files, schema, rules)
        findings += more
    document = report(schema, manifest, findings, statistics, rows, duplicates)
    storage.write_json(arguments.report, document)
    return document


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--schema", required=True, help="S3 URI of schema.json")
    parser.add_argument("--manifest", required=True, help="S3 URI of the manifest")
    parser.add_argument("--report", required=True, help="S3 URI to write the report to")
    parser.add_argument("--minimum-rows", type=int, default=Rules.minimum_rows)
    parser.add_argument("--max-duplicates", type=float, default=Rules.max_duplicates)
    # Glue hands over arguments of its own.
    known, _ = parser.parse_known_args(arguments)
    return known


def main(arguments: Sequence[str]) -> Any:
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s", stream=sys.stdout)
    document = run(parse(arguments))
    log.info("%s rows, %s", document["rows"], "valid" if document["valid"] else "not valid")
    for finding in document["findings"]:
        log.info("%s: %s", finding["severity"], finding["message"])
    return document


if __name__ == "__main__":
    main(sys.argv[1:])
