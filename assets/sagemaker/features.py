"""The table that the preprocessor is fitted on and applied to, the same way in training and in serving."""

from __future__ import annotations

from typing import Any, Dict, List

import numpy as np
import pandas as pd
from contract import Column, Contract, ContractError, class_indexes, to_numbers


def feature_table(texts: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """Stored texts to values. What is missing: NaN among numbers, "" among categories."""
    columns: Dict[str, Any] = {}
    for column in contract.features:
        values = texts[column.name]
        _check_required(values, column)
        if column.kind == "categorical":
            class_indexes(values, column)
            columns[column.name] = values.astype(object).where(values.notna(), "")
        else:
            columns[column.name] = to_numbers(values, column)
    return pd.DataFrame(columns, columns=[column.name for column in contract.features])


def feature_names(contract: Contract) -> List[str]:
    """Names of the model's inputs: a column's own, or `<column>=<value>` for each value of a category."""
    names: List[str] = []
    for column in contract.features:
        if column.kind == "categorical":
            names.extend(f"{column.name}={value}" for value in column.values)
        else:
            names.append(column.name)
    return names


def csv_matrix(matrix: "np.ndarray[Any, Any]") -> str:
    """Rows of numbers as CSV, each as the shortest text that reads back as the same number."""
    return "".join(",".join(_number(value) for value in row) + "\n" for row in matrix.tolist())


def _number(value: float) -> str:
    return str(int(value)) if abs(value) < 1e15 and value == int(value) else repr(value)


def _check_required(values: "pd.Series[Any]", column: Column) -> None:
    empty = int(values.isna().sum())
    if column.required and empty:
        raise ContractError(
            f"column {column.name!r} is required, and missing in {empty} of {len(values)} rows"
        )
