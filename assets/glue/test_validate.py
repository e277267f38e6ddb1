"""The validation job, on the abalone data and on what people upload by mistake."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
import validate
from conftest import MemoryS3
from pyspark.sql import SparkSession
from tabular.rows import parse_header

NUMBERS = ("length", "weight")


def column(name: str, kind: str, role: str = "feature", **more: Any) -> dict[str, Any]:
    required = more.pop("required", True)
    return {
        "name": name,
        "kind": kind,
        "role": role,
        "required": required,
        "maxMissing": 0 if required else 0.1,
        **more,
    }


SCHEMA = {
    "version": 1,
    "name": "animals",
    "problemType": "regression",
    "columns": [
        column("sex", "categorical", values=["F", "I", "M"]),
        column("length", "numeric", min=0),
        column("weight", "numeric", min=0, max=10, required=False),
        column("tagged", "boolean"),
        column("seen", "timestamp"),
        column("tag", "identifier", "none"),
        column("note", "ignored", "none", required=False),
        column("rings", "integer", "target", min=1, max=40),
    ],
}
HEADER = "sex,length,weight,tagged,seen,tag,rings"


def rows(count: int) -> list[str]:
    rng = random.Random(7)
    return [
        f"{rng.choice('FIM')},{rng.random():.4f},{rng.uniform(0, 10):.3f},{rng.choice(['true', '0'])},2024-05-{i % 28 + 1:02d},t{i},{i % 40 + 1}"
        for i in range(count)
    ]


def check(
    s3: MemoryS3, content: bytes | str, schema: dict[str, Any] = SCHEMA, *arguments: str
) -> dict[str, Any]:
    body = content.encode() if isinstance(content, str) else content
    s3.objects["b", "raw/animals.csv"] = body
    s3.objects["b", "schema.json"] = json.dumps(schema).encode()
    file = {"bucket": "b", "key": "raw/animals.csv", "etag": "e", "size": len(body), "versionId": "v"}
    manifest = {"version": 1, "id": "0" * 64, "files": [file]}
    s3.objects["b", "manifest.json"] = json.dumps(manifest).encode()
    validate.main(
        [
            "--schema",
            "s3://b/schema.json",
            "--manifest",
            "s3://b/manifest.json",
            "--report",
            "s3://b/reports/0/validation.json",
        ]
        + ["--minimum-rows", "10", "--JOB_NAME", "glue says", *arguments]
    )
    document: dict[str, Any] = json.loads(s3.objects["b", "reports/0/validation.json"])
    return document


def broken(document: dict[str, Any]) -> dict[tuple[str | None, str], dict[str, Any]]:
    return {(f["column"], f["rule"]): f for f in document["findings"] if f["severity"] == "error"}


def changed(lines: list[str], at: int, cell: int, value: str) -> list[str]:
    cells = lines[at].split(",")
    cells[cell] = value
    return [*lines[:at], ",".join(cells), *lines[at + 1 :]]


def test_valid_data_pass_with_their_statistics(spark: SparkSession, s3: MemoryS3) -> None:
    document = check(s3, "\n".join([HEADER, *rows(100)]) + "\n")
    assert document["valid"] and document["findings"] == []
    assert document["rows"] == 100
    assert document["columns"]["sex"] == {"missing": 0, "missingShare": 0.0, "distinct": 3}
    rings = document["columns"]["rings"]
    assert (rings["min"], rings["max"], rings["distinct"]) == (1, 40, 40)
    assert rings["mean"] == pytest.approx(18.5, abs=1)


@pytest.mark.parametrize(
    ("make", "column_name", "rule", "count", "examples"),
    [
        (lambda r: changed(r, 3, 0, "X"), "sex", "allowed_values", 1, [{"row": 5, "value": "X"}]),
        (lambda r: changed(r, 3, 0, "f"), "sex", "allowed_values", 1, [{"row": 5, "value": "f"}]),
        (lambda r: changed(r, 4, 1, "long"), "length", "type", 1, [{"row": 6, "value": "long"}]),
        (lambda r: changed(r, 4, 1, "NaN"), "length", "type", 1, [{"row": 6, "value": "NaN"}]),
        (lambda r: changed(r, 4, 1, "1e999"), "length", "type", 1, [{"row": 6, "value": "1e999"}]),
        (lambda r: changed(r, 4, 1, "1d"), "length", "type", 1, [{"row": 6, "value": "1d"}]),
        (lambda r: changed(r, 4, 1, "-0.5"), "length", "range", 1, [{"row": 6, "value": "-0.5"}]),
        (lambda r: changed(r, 4, 2, "10.01"), "weight", "range", 1, [{"row": 6, "value": "10.01"}]),
        (lambda r: changed(r, 4, 3, "yes"), "tagged", "type", 1, [{"row": 6, "value": "yes"}]),
        (lambda r: changed(r, 4, 4, "31.12.2024"), "seen", "type", 1, [{"row": 6, "value": "31.12.2024"}]),
        (lambda r: changed(r, 4, 4, "2024-02-30"), "seen", "type", 1, [{"row": 6, "value": "2024-02-30"}]),
        (lambda r: changed(r, 4, 6, "3.5"), "rings", "type", 1, [{"row": 6, "value": "3.5"}]),
        (
            lambda r: changed(r, 4, 6, "99999999999999999999"),
            "rings",
            "type",
            1,
            [{"row": 6, "value": "99999999999999999999"}],
        ),
        (lambda r: changed(r, 4, 6, "41"), "rings", "range", 1, [{"row": 6, "value": "41"}]),
        (lambda r: changed(r, 4, 1, ""), "length", "missing", 1, [{"row": 6, "value": None}]),
        (lambda r: changed(r, 4, 5, "  "), "tag", "missing", 1, [{"row": 6, "value": None}]),
        (lambda r: [*r[:9], "F,1", *r[9:]], None, "malformed", 1, [{"row": 11, "value": "F,1"}]),
        (lambda r: [*r[:9], "F,1,2,true,2024-01-01,t,3,4", *r[9:]], None, "malformed", 1, None),
        (lambda r: [*r[:9], 'F,"1,2,true,2024-01-01,t,3', *r[9:]], None, "malformed", 1, None),
        (lambda r: [*r[:9], "," * 30000, *r[9:]], None, "malformed", 1, None),
        (lambda r: r[:5], None, "minimum_rows", 5, []),
        (lambda r: [], None, "minimum_rows", 0, []),
    ],
)
def test_each_rule_names_column_count_and_first_rows(
    spark: SparkSession,
    s3: MemoryS3,
    make: Any,
    column_name: str | None,
    rule: str,
    count: int,
    examples: Any,
) -> None:
    document = check(s3, "\n".join([HEADER, *make(rows(30))]) + "\n")
    assert not document["valid"]
    assert list(broken(document)) == [(column_name, rule)]
    finding = broken(document)[column_name, rule]
    assert finding["count"] == count
    if examples is not None:
        assert finding["examples"] == examples


def test_what_may_be_missing_may_be_missing_up_to_its_limit(spark: SparkSession, s3: MemoryS3) -> None:
    data = rows(40)
    for i in range(4):
        data = changed(data, i, 2, "")
    assert check(s3, "\n".join([HEADER, *data]))["valid"]
    data = changed(data, 10, 2, "")
    finding = broken(check(s3, "\n".join([HEADER, *data])))["weight", "missing"]
    assert (finding["count"], finding["share"]) == (5, 0.125)
    assert finding["message"] == "5 of 40 values of 'weight' (12.5 %) are missing; at most 10 % may be"
    assert [e["row"] for e in finding["examples"]] == [2, 3, 4, 5, 12]


def test_an_empty_file_is_reported_without_starting_spark(
    s3: MemoryS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validate, "spark_session", lambda *_, **__: pytest.fail("no Spark is needed"))
    document = check(s3, b"")
    assert list(broken(document)) == [(None, "empty")] and not document["valid"]
    assert document["rows"] == 0


def test_columns_that_do_not_fit(spark: SparkSession, s3: MemoryS3) -> None:
    header = "sex,Length,weight,tagged,seen,tag,rings"
    found = broken(check(s3, "\n".join([header, *rows(30)])))
    assert set(found) == {("length", "missing_column"), ("Length", "unexpected_column")}
    assert "is it the one named 'Length'?" in found["length", "missing_column"]["message"]
    document = check(s3, "\n".join([HEADER + ",sex", *(f"{r},F" for r in rows(30))]))
    assert set(broken(document)) == {("sex", "duplicate_column")}


def test_order_of_columns_ignored_columns_and_line_ends_do_not_matter(
    spark: SparkSession, s3: MemoryS3
) -> None:
    header = ",".join(reversed(HEADER.split(","))) + ",note"
    lines = [",".join(reversed(r.split(","))) + ', "said ""hi"", twice"' for r in rows(30)]
    text = "\ufeff" + "\r\n".join([header, *lines, "", "   ", ""])
    assert check(s3, text)["findings"] == []


def test_row_numbers_are_line_numbers_after_blank_lines(spark: SparkSession, s3: MemoryS3) -> None:
    data = changed(rows(30), 10, 0, "X")
    found = broken(check(s3, "\n".join([HEADER, "", *data[:5], "", *data[5:]])))
    assert found["sex", "allowed_values"]["examples"] == [{"row": 14, "value": "X"}]


def test_row_numbers_hold_when_the_file_is_cut_into_partitions(spark: SparkSession, s3: MemoryS3) -> None:
    spark.conf.set("spark.sql.files.maxPartitionBytes", "512")
    try:
        found = broken(check(s3, "\n".join([HEADER, *changed(rows(200), 150, 0, "X")])))
    finally:
        spark.conf.unset("spark.sql.files.maxPartitionBytes")
    assert found["sex", "allowed_values"]["examples"] == [{"row": 152, "value": "X"}]


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe" + "sex,length\nF,1".encode("utf-16-le"),
        b"\x89PNG\r\n\x1a\n\0\0\0",
        b"\n\n\n",
        b'"sex,length\n1,2',
    ],
)
def test_what_is_no_csv_is_a_finding(spark: SparkSession, s3: MemoryS3, content: bytes) -> None:
    assert not check(s3, content)["valid"]


def test_bytes_that_are_not_utf8_are_a_finding(spark: SparkSession, s3: MemoryS3) -> None:
    lines = [*rows(29), "F,1,2,true,2024-01-01,M\u00fcller,3"]
    found = broken(check(s3, "\n".join([HEADER, *lines]).encode("latin-1")))
    assert list(found) == [(None, "malformed")]


def test_duplicates_are_a_warning_up_to_their_limit(spark: SparkSession, s3: MemoryS3) -> None:
    data = rows(30)
    document = check(s3, "\n".join([HEADER, *data, *data[:10]]))
    assert document["valid"] and document["duplicates"] == 10
    assert [(f["rule"], f["severity"], f["count"]) for f in document["findings"]] == [
        ("duplicates", "warning", 10)
    ]
    document = check(s3, "\n".join([HEADER, *data, *data[:10]]), SCHEMA, "--max-duplicates", "0.2")
    assert (None, "duplicates") in broken(document)


def test_names_that_spark_would_misread(spark: SparkSession, s3: MemoryS3) -> None:
    schema = {
        **SCHEMA,
        "columns": [
            column("sepal.length (cm)", "numeric"),
            column("a b-c", "integer"),
            column("y", "categorical", "target", values=["a,b", 'c"d']),
        ],
    }
    lines = [f"{i}.5,{i},{'a,b' if i % 2 else chr(99)}" for i in range(20)]
    quoted = [f"{i}.5,{i}," + ('"a,b"' if i % 2 else '"c""d"') for i in range(20)]
    assert check(s3, "\n".join(["sepal.length (cm),a b-c,y", *quoted]), schema)["findings"] == []
    assert not check(s3, "\n".join(["sepal.length (cm),a b-c,y", *lines]), schema)["valid"]


def test_header_of_anything() -> None:
    assert parse_header(b"\xef\xbb\xbfa, b ,c\r\n1,2,3").names == ("a", "b", "c")
    assert parse_header(b"a\rb").names == ("a",)
    assert parse_header(b"").names == ()
    assert parse_header(b"\xff\xfea").problem
