"""The validation job, on the abalone data and on what people upload by mistake."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import pytest
import validate
from conftest import MemoryS3, etag
from pyspark.sql import SparkSession
from tabular.contract import DataFile
from tabular.rows import parse_header
from tabular.storage import Storage

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
    s3: MemoryS3,
    content: bytes | str,
    schema: dict[str, Any] = SCHEMA,
    *arguments: str,
    key: str = "raw/animals.csv",
) -> dict[str, Any]:
    body = content.encode() if isinstance(content, str) else content
    s3.objects["b", key] = body
    s3.objects["b", "schema.json"] = json.dumps(schema).encode()
    file = {"bucket": "b", "key": key, "etag": etag(body), "size": len(body), "versionId": "v"}
    manifest = {"version": 1, "id": "0" * 64, "files": [file]}
    s3.objects["b", "manifest.json"] = json.dumps(manifest).encode()
    validate.main(
        [
            *("--schema", "s3://b/schema.json"),
            *("--manifest", "s3://b/manifest.json"),
            *("--report", "s3://b/reports/0/validation.json"),
            *("--minimum-rows", "10"),
            *("--JOB_NAME", "glue says"),
            *arguments,
        ]
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


# Column, its place, what stands there, the rule that it breaks.
CELLS: list[tuple[str, int, str, str]] = [
    ("sex", 0, "X", "allowed_values"),
    ("sex", 0, "f", "allowed_values"),
    ("length", 1, "long", "type"),
    ("length", 1, "NaN", "type"),
    ("length", 1, "1e999", "type"),
    ("length", 1, "1d", "type"),
    ("length", 1, "0x1F", "type"),
    ("length", 1, "-0.5", "range"),
    ("length", 1, "", "missing"),
    ("weight", 2, "10.01", "range"),
    ("tagged", 3, "yes", "type"),
    ("seen", 4, "31.12.2024", "type"),
    ("seen", 4, "2024-02-30", "type"),
    ("seen", 4, "2024-01-01T25:00:00Z", "type"),
    ("tag", 5, "  ", "missing"),
    ("rings", 6, "3.5", "type"),
    ("rings", 6, "99999999999999999999", "type"),
    ("rings", 6, "41", "range"),
    ("rings", 6, "0", "range"),
]


def test_each_rule_names_column_count_and_first_rows(spark: SparkSession, s3: MemoryS3) -> None:
    data = rows(60)
    expected: dict[tuple[str | None, str], list[dict[str, Any]]] = {}
    for at, (name, cell, value, rule) in enumerate(CELLS):
        data = changed(data, at, cell, value)
        expected.setdefault((name, rule), []).append({"row": at + 2, "value": value.strip() or None})
    document = check(s3, "\n".join([HEADER, *data]) + "\n")
    assert not document["valid"]
    found = broken(document)
    assert {key: finding["examples"] for key, finding in found.items()} == expected
    assert {key: finding["count"] for key, finding in found.items()} == {
        key: len(rows) for key, rows in expected.items()
    }
    assert found["sex", "allowed_values"]["message"] == (
        "2 of 60 values of 'sex' (3.33 %) are wrong: they must be one of 'F', 'I', 'M'"
    )


def test_lines_that_cannot_be_read_are_one_finding_each(spark: SparkSession, s3: MemoryS3) -> None:
    lines = ["F,1", "F,1,2,true,2024-01-01,t,3,4", 'F,"1,2,true,2024-01-01,t,3', "," * 30000]
    found = broken(check(s3, "\n".join([HEADER, *rows(20), *lines, *rows(20)])))
    assert list(found) == [(None, "malformed")]
    examples = found[None, "malformed"]["examples"]
    assert [example["row"] for example in examples] == [22, 23, 24, 25]
    assert [example["value"] for example in examples] == [line[:200] for line in lines]


@pytest.mark.parametrize("count", [0, 5])
def test_too_few_rows(spark: SparkSession, s3: MemoryS3, count: int) -> None:
    found = broken(check(s3, "\n".join([HEADER, *rows(count)])))
    assert list(found) == [(None, "minimum_rows")]
    assert found[None, "minimum_rows"]["message"] == f"the data have {count} rows; at least 10 are needed"


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


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("raw/_x.csv", "Spark takes names that begin with '_' for hidden"),
        ("raw/.x.csv", "Spark takes names that begin with '.' for hidden"),
        ("raw/a:b.csv", "a path of Spark cannot hold ':'"),
        ("raw//x.csv", "a path of Spark cannot hold an empty folder name, '.' or '..'"),
        ("raw/a/../x.csv", "a path of Spark cannot hold an empty folder name, '.' or '..'"),
    ],
)
def test_an_object_whose_name_spark_would_not_read_is_a_finding(
    s3: MemoryS3, monkeypatch: pytest.MonkeyPatch, key: str, reason: str
) -> None:
    monkeypatch.setattr(validate, "spark_session", lambda *_: pytest.fail("no Spark is needed"))
    document = check(s3, "\n".join([HEADER, *rows(100)]), key=key)
    assert not document["valid"] and list(broken(document)) == [(None, "file_name")]
    assert document["findings"][0]["message"] == (
        f"{key} cannot be read under this name: {reason}; upload it under another name"
    )
    file = DataFile("b", key, etag(s3.objects["b", key]), 1)
    with pytest.raises(ValueError, match=re.escape(f"s3://b/{key} cannot be read: {reason}")):
        Storage().spark_path(file)


@pytest.mark.parametrize("name", ["_x.csv", ".x.csv"])
def test_spark_itself_would_leave_hidden_names_out_without_a_word(
    spark: SparkSession, s3: MemoryS3, name: str
) -> None:
    s3.objects["b", f"raw/{name}"] = b"a\n1\n"
    assert spark.read.text(f"s3://b/raw/{name}").count() == 0


@pytest.mark.parametrize(
    "key", ["raw/a[1].csv", "raw/{a,b}*?.csv", "raw/_folder/a b+ü%20.csv", "raw/d=1/x.csv"]
)
def test_other_names_are_read_as_they_are(spark: SparkSession, s3: MemoryS3, key: str) -> None:
    s3.objects["b", "raw/a1.csv"] = s3.objects["b", "raw/{a,b}xx.csv"] = b"another file"
    document = check(s3, "\n".join([HEADER, *rows(100)]), key=key)
    assert document["valid"] and document["rows"] == 100


def test_a_file_that_was_replaced_after_its_event_is_not_read(spark: SparkSession, s3: MemoryS3) -> None:
    s3.objects["b", "raw/a.csv"] = b"newer"
    with pytest.raises(RuntimeError, match="was replaced after its event"):
        Storage().spark_path(DataFile("b", "raw/a.csv", etag(b"older"), 5))


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
