"""Fitting, transforming and packing; what is wrong with data is said in one sentence."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any, List

import numpy as np
import pandas as pd
import preprocess
import pytest
from conftest import Job, column, schema_document, things
from contract import ContractError, is_missing, parse_contract, target_numbers, to_numbers
from features import csv_matrix, feature_names, feature_table
from hypothesis import given, settings
from hypothesis import strategies as st


def test_target_comes_first_and_without_header(regression: Job) -> None:
    rows = regression.preprocess()
    assert rows == {"train": 200, "validation": 60, "test": 60}
    labels, inputs = regression.matrix("test")
    raw = pd.read_csv(regression.data / "test" / "part-0.csv", float_precision="round_trip")
    assert labels.tolist() == raw["y"].tolist()
    assert inputs.shape == (60, 6)
    assert inputs[:, 0].tolist() == raw["size"].tolist()
    assert inputs[:, 1].tolist() == (raw["colour"] == "red").astype(float).tolist()


def test_columns_go_by_name_and_all_parts_are_read(regression: Job) -> None:
    table = things(60, 2)
    regression.preprocess()
    _, before = regression.matrix("test")
    (regression.data / "test" / "part-0.csv").unlink()
    regression.write("test", table.iloc[:25][sorted(table.columns)], "part-0.csv")
    regression.write("test", table.iloc[25:], "part-1.csv")
    (regression.data / "test" / "_SUCCESS").touch()
    (regression.data / "test" / "part-2.csv").touch()
    regression.preprocess()
    _, after = regression.matrix("test")
    assert np.array_equal(before, after)


def test_fitted_on_the_training_split_only(regression: Job) -> None:
    table = things(60, 2)
    table.loc[0, "size"] = None
    regression.write("test", table)
    regression.preprocess()
    median = float(
        pd.read_csv(regression.data / "train" / "part-0.csv", float_precision="round_trip")["size"].median()
    )
    _, inputs = regression.matrix("test")
    assert inputs[0, 0] == median
    table["size"] = [None] + ["1000.0"] * 59
    regression.write("test", table)
    regression.preprocess()
    _, inputs = regression.matrix("test")
    assert inputs[0, 0] == median


def test_missing_category_is_none_of_them(regression: Job) -> None:
    table = things(60, 2)
    table.loc[0, "colour"] = None
    regression.write("test", table)
    regression.preprocess()
    assert regression.matrix("test")[1][0, 1:3].tolist() == [0.0, 0.0]


def test_times_and_booleans_become_numbers(regression: Job) -> None:
    regression.preprocess()
    _, inputs = regression.matrix("train")
    assert set(inputs[:, 3]) == {0.0, 1.0}
    assert set(inputs[:, 4]) == {1714521600.0}


def test_twice_the_same(regression: Job) -> None:
    def contents() -> List[bytes]:
        return [file.read_bytes() for file in sorted((regression.root / "out").rglob("*")) if file.is_file()]

    regression.preprocess()
    first = contents()
    regression.preprocess()
    assert contents() == first


def test_archive_holds_all_that_serving_needs(regression: Job) -> None:
    regression.preprocess()
    with tarfile.open(regression.outputs["preprocessor"] / "model.tar.gz") as archive:
        names = sorted(archive.getnames())
        found = archive.extractfile("features.json")
        assert found is not None
        assert json.loads(found.read()) == ["size", "colour=red", "colour=green", "new", "made", "count"]
    assert names == [
        "code/contract.py",
        "code/features.py",
        "code/inference.py",
        "features.json",
        "preprocessor.joblib",
        "schema.json",
    ]


def test_classes_become_their_index(classification: Job) -> None:
    classification.preprocess()
    labels, _ = classification.matrix("train")
    classes = classification.document["columns"][-1]["values"]
    raw = pd.read_csv(classification.data / "train" / "part-0.csv", dtype=str)["y"]
    assert [classes[int(label)] for label in labels] == raw.tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop(columns="size"), r"missing \['size'\]"),
        (lambda table: table.assign(weight="1"), r"not in the schema \['weight'\]"),
        (
            lambda table: table.assign(count="many"),
            r"column 'count': 'many' is not a finite number \(60 such values\)",
        ),
        (lambda table: table.assign(count="inf"), "'inf' is not a finite number"),
        (lambda table: table.assign(count="1e39"), "'1e39' is not a finite number"),
        (lambda table: table.assign(count="1_000"), "'1_000' is not a finite number"),
        (lambda table: table.assign(new="maybe"), "column 'new': 'maybe' is neither true nor false"),
        (
            lambda table: table.assign(made="yesterday noon"),
            "column 'made': 'yesterday noon' is not a point in time",
        ),
        (
            lambda table: table.assign(colour="blue"),
            r"column 'colour': 'blue' is not one of \['red', 'green'\]",
        ),
        (lambda table: table.assign(count=None), "column 'count' is required, and missing in 60 of 60 rows"),
        (lambda table: table.assign(y=None), "target 'y' is missing in 60 of 60 rows of split 'validation'"),
        (lambda table: table.iloc[:0], "split 'validation' has no row"),
    ],
)
def test_fails_when_data_break_the_contract(regression: Job, change: Any, message: str) -> None:
    regression.write("validation", change(things(60, 1)))
    with pytest.raises(ContractError, match=message):
        regression.preprocess()


def test_fails_when_a_split_is_not_there(regression: Job) -> None:
    (regression.data / "test" / "part-0.csv").unlink()
    with pytest.raises(ContractError, match="split 'test' has no CSV file"):
        regression.preprocess()
    (regression.data / "test").rmdir()
    with pytest.raises(ContractError, match="there is no folder .*test: the data must be split"):
        regression.preprocess()


def test_fails_when_there_is_no_schema(regression: Job) -> None:
    regression.schema.unlink()
    with pytest.raises(ContractError, match="there is no schema at"):
        regression.preprocess()


def test_fails_when_a_column_is_empty_in_training(regression: Job) -> None:
    regression.write("train", things(60).assign(size=None))
    with pytest.raises(ContractError, match=r"columns \['size'\] have no value in split 'train'"):
        regression.preprocess()


def test_fails_when_a_class_is_never_seen(classification: Job) -> None:
    table = pd.read_csv(classification.data / "train" / "part-0.csv", dtype=str)
    first = classification.document["columns"][-1]["values"][0]
    classification.write("train", table[table["y"] != first])
    with pytest.raises(
        ContractError, match=rf"classes \['{first}'\] of target 'y' have no row in split 'train'"
    ):
        classification.preprocess()


def test_fails_when_the_file_is_not_text(regression: Job) -> None:
    (regression.data / "train" / "part-0.csv").write_bytes(b"size\n\xff\xfe\n")
    with pytest.raises(ContractError, match="not a CSV file in UTF-8"):
        regression.preprocess()


def test_fails_when_the_schema_has_no_target() -> None:
    document = schema_document()
    with pytest.raises(ContractError, match="must have one target; it has 0"):
        parse_contract({**document, "columns": document["columns"][:-1]})


finite = st.floats(min_value=-3e38, max_value=3e38)


@given(st.lists(finite, min_size=1, max_size=20))
def test_numbers_survive_the_way_to_the_model(values: List[float]) -> None:
    text = csv_matrix(np.array([values]))
    assert [float(field) for field in text.strip().split(",")] == values


@given(st.lists(st.one_of(st.none(), finite), min_size=1, max_size=20))
def test_stored_numbers_are_read_exactly(values: List[Any]) -> None:
    texts = pd.Series([None if value is None else repr(value) for value in values], dtype=object)
    numbers = to_numbers(texts, parse_contract(schema_document()).features[0])
    for value, number in zip(values, numbers):  # noqa: B905 - Python 3.9 has no strict
        assert is_missing(number) if value is None else number == value


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.one_of(st.none(), finite), st.sampled_from(["red", "green", None])),
        min_size=1,
        max_size=12,
    )
)
def test_every_row_becomes_one_row_of_finite_numbers(rows: List[Any]) -> None:
    contract = parse_contract(
        {
            "name": "x",
            "problemType": "regression",
            "columns": [
                column("size", required=False),
                column("colour", "categorical", values=["red", "green"], required=False),
                column("y", role="target"),
            ],
        }
    )
    table = pd.DataFrame(
        [
            {"size": None if size is None else repr(size), "colour": colour, "y": "1"}
            for size, colour in [(1.0, "red"), *rows]
        ],
        dtype=object,
    )
    features = feature_table(table, contract)
    matrix = preprocess.transform(preprocess.fit_preprocessor(features, contract), features)
    assert matrix.shape == (len(rows) + 1, len(feature_names(contract)))
    assert np.isfinite(matrix).all()
    assert target_numbers(table, contract, "train").tolist() == [1.0] * len(table)


def test_scripts_need_no_path_of_their_own() -> None:
    folder = Path(preprocess.__file__).parent
    code = "".join(
        file.read_text() for file in folder.glob("*.py") if not file.name.startswith(("test_", "conftest"))
    )
    assert code.count("/opt/ml") == 3  # the defaults of the command line
