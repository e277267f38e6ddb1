"""The data contract (schema.json) as the scripts need it, and the reading of CSV files against it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pandas as pd

REGRESSION = "regression"
BINARY = "binary_classification"
MULTICLASS = "multiclass_classification"

SINGLE_PRECISION_MAX = 3.4e38
TRUE_TEXTS = frozenset({"true", "1", "yes", "y", "t"})
FALSE_TEXTS = frozenset({"false", "0", "no", "n", "f"})


class ContractError(Exception):
    """The data break the contract. The message is for people: it becomes the failure reason of the job."""


@dataclass(frozen=True)
class Column:
    """One column of the data set."""

    name: str
    kind: str
    role: str
    required: bool
    values: Tuple[str, ...]


@dataclass(frozen=True)
class Contract:
    """Columns in the order of the data set; exactly one is the target."""

    name: str
    problem_type: str
    columns: Tuple[Column, ...]

    @property
    def features(self) -> List[Column]:
        return [column for column in self.columns if column.role == "feature"]

    @property
    def target(self) -> Column:
        return next(column for column in self.columns if column.role == "target")

    @property
    def is_regression(self) -> bool:
        return self.problem_type == REGRESSION


def parse_contract(document: Dict[str, Any]) -> Contract:
    """Makes a contract of the JSON document."""
    columns = tuple(
        Column(
            name=str(column["name"]),
            kind=str(column["kind"]),
            role=str(column["role"]),
            required=bool(column.get("required", True)),
            values=tuple(str(value) for value in column.get("values") or ()),
        )
        for column in document["columns"]
    )
    contract = Contract(str(document["name"]), str(document["problemType"]), columns)
    targets = [column.name for column in columns if column.role == "target"]
    if len(targets) != 1:
        raise ContractError(
            f"schema {contract.name!r} must have one target; it has {len(targets)}: {targets}"
        )
    if not contract.features:
        raise ContractError(f"schema {contract.name!r} has no feature")
    return contract


def read_document(path: Path) -> Dict[str, Any]:
    """Reads schema.json."""
    if not path.is_file():
        raise ContractError(f"there is no schema at {path}")
    document: Dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def read_split(folder: Path, contract: Contract) -> pd.DataFrame:
    """
    Reads one split, all CSV files below the folder in the order of their names, as text. Empty fields are
    missing.
    The columns are those of features and target, in the order of the contract.
    """
    if not folder.is_dir():
        raise ContractError(
            f"there is no folder {folder}: the data must be split into train, validation and test"
        )
    files = sorted(file for file in folder.rglob("*.csv") if file.is_file() and file.stat().st_size > 0)
    if not files:
        raise ContractError(f"split {folder.name!r} has no CSV file in {folder}")
    wanted = [column.name for column in contract.columns if column.role != "none"]
    frames = [_read_file(file, wanted, contract) for file in files]
    table = pd.concat(frames, ignore_index=True)
    if table.empty:
        raise ContractError(f"split {folder.name!r} has no row in {folder}")
    return table


def _read_file(file: Path, wanted: List[str], contract: Contract) -> pd.DataFrame:
    try:
        table = pd.read_csv(
            file, dtype=str, keep_default_na=False, na_values=[""], encoding="utf-8", index_col=False
        )
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ContractError(f"{file} is not a CSV file in UTF-8: {error}") from error
    missing = [name for name in wanted if name not in table.columns]
    known = {column.name for column in contract.columns}
    unknown = [name for name in table.columns if name not in known]
    if missing or unknown:
        raise ContractError(
            f"the columns of {file} do not match schema {contract.name!r}: "
            f"missing {missing}, not in the schema {unknown}"
        )
    return table[wanted]


def to_numbers(texts: "pd.Series[Any]", column: Column) -> "pd.Series[Any]":
    """The stored texts of a column as numbers; what is missing becomes NaN. Categories are not numbers."""
    if column.kind == "boolean":
        return texts.map(lambda text: _boolean(text, column)).astype("float64")
    if column.kind == "timestamp":
        return _epoch_seconds(texts, column)
    # Python's own reading is exact in every version, so that training and serving see the same number.
    numbers = texts.map(_number).astype("float64")
    _refuse(texts[numbers.isna() & texts.notna()], column, "a finite number")
    return numbers


def class_indexes(texts: "pd.Series[Any]", column: Column) -> "pd.Series[Any]":
    """The position of each class in the contract's list of values."""
    positions = {value: index for index, value in enumerate(column.values)}
    indexes = texts.map(lambda text: positions.get(text, float("nan"))).astype("float64")
    _refuse(texts[indexes.isna() & texts.notna()], column, f"one of {list(column.values)}")
    return indexes


def target_numbers(table: pd.DataFrame, contract: Contract, split: str) -> "pd.Series[Any]":
    """The target of each row: its number, or the index of its class. Every row must have one."""
    column = contract.target
    texts = table[column.name]
    empty = int(texts.isna().sum())
    if empty:
        raise ContractError(
            f"target {column.name!r} is missing in {empty} of {len(table)} rows of split {split!r}"
        )
    return to_numbers(texts, column) if contract.is_regression else class_indexes(texts, column)


def is_missing(value: Any) -> bool:
    """None and NaN, as the versions of pandas write what is missing."""
    return value is None or value is pd.NA or value != value


def _number(text: Any) -> float:
    """NaN also for what is not a finite number."""
    try:
        number = float(text)
    except (TypeError, ValueError):
        return float("nan")
    # XGBoost computes in single precision: what is greater than that would be infinite there.
    return number if abs(number) <= SINGLE_PRECISION_MAX and "_" not in str(text) else float("nan")


def _boolean(text: Any, column: Column) -> float:
    if is_missing(text):
        return float("nan")
    lower = str(text).strip().lower()
    if lower in TRUE_TEXTS:
        return 1.0
    if lower in FALSE_TEXTS:
        return 0.0
    raise ContractError(f"column {column.name!r}: {text!r} is neither true nor false")


def _epoch_seconds(texts: "pd.Series[Any]", column: Column) -> "pd.Series[Any]":
    def seconds(text: Any) -> float:
        if is_missing(text):
            return float("nan")
        try:
            moment = pd.Timestamp(text)
        except (ValueError, OverflowError) as error:
            raise ContractError(
                f"column {column.name!r}: {text!r} is not a point in time in ISO 8601"
            ) from error
        moment = moment.tz_localize("UTC") if moment.tzinfo is None else moment.tz_convert("UTC")
        return float(moment.timestamp())

    return texts.map(seconds).astype("float64")


def _refuse(wrong: "pd.Series[Any]", column: Column, expected: str) -> None:
    if len(wrong):
        raise ContractError(
            f"column {column.name!r}: {wrong.iloc[0]!r} is not {expected} ({len(wrong)} such values)"
        )
