"""The preprocessing job: what is dropped, how rows are split, what the files look like."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import random
from typing import Any

import preprocess
import pytest
from conftest import MemoryS3, etag
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from tabular.contract import SPLITS, Schema
from tabular.rows import canonical, parse_header

SCHEMA = {
    "version": 1,
    "name": "animals",
    "problemType": "regression",
    "columns": [
        {"name": "id", "kind": "identifier", "role": "none", "required": True, "maxMissing": 0},
        {
            "name": "sex",
            "kind": "categorical",
            "role": "feature",
            "required": True,
            "maxMissing": 0,
            "values": ["F", "I", "M"],
        },
        {"name": "length", "kind": "numeric", "role": "feature", "required": False, "maxMissing": 0.1},
        {"name": "tagged", "kind": "boolean", "role": "feature", "required": True, "maxMissing": 0},
        {"name": "seen", "kind": "timestamp", "role": "feature", "required": True, "maxMissing": 0},
        {"name": "note", "kind": "ignored", "role": "none", "required": False, "maxMissing": 1},
        {"name": "rings", "kind": "integer", "role": "target", "required": False, "maxMissing": 0.1},
    ],
}
HEADER = "id,sex,length,tagged,seen,note,rings"


def lines(count: int, seed: int = 7) -> list[str]:
    rng = random.Random(seed)
    return [
        f"i{i},{rng.choice('FIM')},{rng.random():.6f},{rng.choice(['TRUE', '0'])},2024-05-01T10:00:00+02:00,,{rng.randint(1, 40)}"
        for i in range(count)
    ]


def run(s3: MemoryS3, text: str, *arguments: str, schema: dict[str, Any] = SCHEMA) -> dict[str, Any]:
    body = text.encode()
    s3.objects["b", "raw/a b+ü.csv"] = body
    s3.objects["b", "schema.json"] = json.dumps(schema).encode()
    file = {"bucket": "b", "key": "raw/a b+ü.csv", "etag": etag(body), "size": len(body), "versionId": "v"}
    s3.objects["b", "manifest.json"] = json.dumps({"version": 1, "id": "i", "files": [file]}).encode()
    fixed = ["--schema", "s3://b/schema.json", "--manifest", "s3://b/manifest.json"]
    places = ["--output", "s3://b/processed/i", "--summary", "s3://b/reports/i/preprocess.json"]
    preprocess.main([*fixed, *places, *arguments])
    document: dict[str, Any] = json.loads(s3.objects["b", "reports/i/preprocess.json"])
    return document


def parts(s3: MemoryS3, name: str) -> list[list[str]]:
    files = s3.folder("b", f"processed/i/{name}/")
    assert len(files) == 1 and next(iter(files)).startswith("part-")
    return list(csv.reader(io.StringIO(next(iter(files.values())))))


def test_rows_become_three_parts_with_a_header_in_schema_order(spark: SparkSession, s3: MemoryS3) -> None:
    document = run(s3, "\n".join([HEADER, *lines(400)]))
    tables = {name: parts(s3, name) for name in SPLITS}
    assert all(table[0] == ["sex", "length", "tagged", "seen", "rings"] for table in tables.values())
    assert {name: len(table) - 1 for name, table in tables.items()} == {
        name: document["rows"][name] for name in SPLITS
    }
    assert sum(document["rows"][name] for name in SPLITS) == 400
    assert 250 < document["rows"]["train"] < 310
    sex, _, tagged, seen, _ = tables["train"][1]
    assert sex in "FIM" and tagged in ("true", "false") and seen == "2024-05-01T08:00:00.000Z"


def test_the_same_rows_are_split_the_same_whatever_their_order_and_partitions(
    spark: SparkSession, s3: MemoryS3
) -> None:
    data = lines(300)
    run(s3, "\n".join([HEADER, *data]))
    first = {name: s3.folder("b", f"processed/i/{name}/") for name in SPLITS}
    random.Random(1).shuffle(data)
    spark.conf.set("spark.sql.files.maxPartitionBytes", "1024")
    try:
        run(s3, "\r\n".join([HEADER, *data]))
    finally:
        spark.conf.unset("spark.sql.files.maxPartitionBytes")
    second = {name: s3.folder("b", f"processed/i/{name}/") for name in SPLITS}
    assert [list(files.values()) for files in first.values()] == [
        list(files.values()) for files in second.values()
    ]


def test_a_row_stays_in_its_part_when_rows_are_added(spark: SparkSession, s3: MemoryS3) -> None:
    run(s3, "\n".join([HEADER, *lines(200)]))
    before = {tuple(row) for row in parts(s3, "test")[1:]}
    run(s3, "\n".join([HEADER, *lines(200), *lines(200, seed=8)]))
    after = {tuple(row) for row in parts(s3, "test")[1:]}
    assert before < after


def test_another_seed_splits_otherwise(spark: SparkSession, s3: MemoryS3) -> None:
    run(s3, "\n".join([HEADER, *lines(200)]))
    before = parts(s3, "test")
    run(s3, "\n".join([HEADER, *lines(200)]), "--seed", "1")
    assert parts(s3, "test") != before


def test_duplicates_and_rows_without_target_are_dropped(spark: SparkSession, s3: MemoryS3) -> None:
    data = lines(100)
    again = [row.replace(",TRUE,", ", true ,").replace(",,", ",a note,") for row in data[:10]]
    without = [f"x{i},F,0.{i},1,2024-01-01,,  " for i in range(5)]
    document = run(s3, "\n".join([HEADER, *data, *again, *without]))
    assert document["rows"] | {} == {
        "read": 115,
        "duplicates": 10,
        "missingTarget": 5,
        "kept": 100,
        **{name: document["rows"][name] for name in SPLITS},
    }


def test_what_is_missing_stays_missing_and_what_needs_quotes_has_them(
    spark: SparkSession, s3: MemoryS3
) -> None:
    schema = json.loads(json.dumps(SCHEMA))
    schema["columns"][1]["values"] = ['say "F", please', "I", "M"]
    data = [
        f'{row.split(",")[0]},"say ""F"", please",,1,2024-01-01,,{i + 1}' for i, row in enumerate(lines(100))
    ]
    run(s3, "\n".join([HEADER, *data]), schema=schema)
    assert {(row[0], row[1]) for row in parts(s3, "train")[1:]} == {('say "F", please', "")}


def test_a_second_run_replaces_what_the_first_left(spark: SparkSession, s3: MemoryS3) -> None:
    s3.objects["b", "processed/i/train/part-of-another-run.csv"] = b"x"
    run(s3, "\n".join([HEADER, *lines(100)]))
    assert len(s3.folder("b", "processed/i/train/")) == 1


def test_an_empty_part_is_an_error_that_says_what_to_do(spark: SparkSession, s3: MemoryS3) -> None:
    with pytest.raises(
        RuntimeError, match=r"part would be empty: of 3 rows, 1 are left after dropping 2 duplicates"
    ):
        run(s3, "\n".join([HEADER, *[lines(1)[0]] * 3]))


@pytest.mark.parametrize("split", ["0.5,0.5", "1,0,0", "0.7,0.2,0.2", "a,b,c"])
def test_a_split_that_is_none_is_refused(s3: MemoryS3, split: str) -> None:
    with pytest.raises((SystemExit, ValueError)):
        run(s3, HEADER, "--split", split)


def expected_part(row: list[str | None], seed: int, shares: tuple[float, float, float]) -> int:
    """The split as plain Python: what the Spark expression must agree with."""
    cells = ["-" if cell is None else f"{len(cell)}:{cell}" for cell in row]
    fraction = int(hashlib.sha256("|".join([str(seed), *cells]).encode()).hexdigest()[:13], 16) / 16**13
    return 0 if fraction < shares[0] else 1 if fraction < shares[0] + shares[1] else 2


CELL = st.one_of(
    st.none(),
    st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=8),
)
PAIR = {
    "version": 1,
    "name": "pairs",
    "columns": [
        {
            "name": "a",
            "kind": "categorical",
            "role": "feature",
            "required": False,
            "maxMissing": 1,
            "values": ["x"],
        },
        {
            "name": "b",
            "kind": "categorical",
            "role": "target",
            "required": False,
            "maxMissing": 1,
            "values": ["x", "y"],
        },
    ],
}


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(CELL, st.text("xyé🐚", min_size=1, max_size=4)), min_size=1, max_size=20),
    st.integers(-(2**31), 2**31),
    st.integers(1, 6),
)
def test_the_split_follows_content_and_seed_alone(
    spark: SparkSession, data: list[tuple[str | None, str]], seed: int, partitions: int
) -> None:
    shares = (0.5, 0.25, 0.25)
    frame = spark.createDataFrame(data, "c0 string, c1 string").repartition(partitions)
    placed = preprocess.split_rows(frame, Schema.of(PAIR), preprocess.Split(shares, seed)).collect()
    assert len(placed) == len(data)
    for row in placed:
        # Spark counts a character outside the basic plane as one, as Python does.
        assert row["_part"] == expected_part([row["c0"], row["c1"]], seed, shares)


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=50, max_size=100))
def test_numbers_survive_as_they_are(spark: SparkSession, numbers: list[float]) -> None:
    frame = spark.createDataFrame([(number,) for number in numbers], "x double").coalesce(1)
    texts = frame.select(canonical(Schema.of(SCHEMA).columns[2], F.col("x"))).collect()
    assert [float(row[0]) for row in texts] == numbers


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_a_header_is_parsed_whatever_the_bytes(content: bytes) -> None:
    header = parse_header(content)
    assert all(name == name.strip() for name in header.names)
