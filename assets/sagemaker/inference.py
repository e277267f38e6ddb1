"""
Serves the preprocessor in front of the model, in SageMaker's scikit-learn container (script mode). Request:
text/csv without a header, the features in the order of the contract, in stored units, empty =
missing. Answer: text/csv, the model's inputs.
"""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from pathlib import Path
from typing import Any, List, Tuple, Union

# The container may install this file elsewhere; its neighbours still lie in the folder of the model.
for _folder in (os.environ.get("SAGEMAKER_SUBMIT_DIRECTORY", ""), os.path.dirname(os.path.abspath(__file__))):
    if os.path.isdir(_folder) and _folder not in sys.path:
        sys.path.insert(0, _folder)

import joblib  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from contract import Contract, parse_contract  # noqa: E402
from features import csv_matrix, feature_table  # noqa: E402

Model = Tuple[Any, Contract]


def model_fn(model_dir: str) -> Model:
    """The fitted preprocessor and the contract that it was fitted under."""
    folder = Path(model_dir)
    document = json.loads((folder / "schema.json").read_text(encoding="utf-8"))
    return joblib.load(folder / "preprocessor.joblib"), parse_contract(document)


def input_fn(body: Union[str, bytes], content_type: str) -> List[List[str]]:
    """The rows of a CSV request as text."""
    if content_type.split(";")[0].strip().lower() != "text/csv":
        raise ValueError(f"content type {content_type!r} is not supported; send text/csv")
    text = body.decode("utf-8-sig") if isinstance(body, (bytes, bytearray)) else body
    rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    if not rows:
        raise ValueError("the request has no row")
    return rows


def predict_fn(rows: List[List[str]], model: Model) -> "np.ndarray[Any, Any]":
    """The model's inputs, one row an instance."""
    preprocessor, contract = model
    names = [column.name for column in contract.features]
    for number, row in enumerate(rows, start=1):
        if len(row) != len(names):
            raise ValueError(
                f"row {number} has {len(row)} fields; the features are {len(names)}: {', '.join(names)}"
            )
    texts = pd.DataFrame(
        [[field if field != "" else None for field in row] for row in rows], columns=names, dtype=object
    )
    matrix: "np.ndarray[Any, Any]" = np.asarray(
        preprocessor.transform(feature_table(texts, contract)), dtype="float64"
    )
    return matrix


def output_fn(matrix: "np.ndarray[Any, Any]", accept: str) -> Tuple[str, str]:
    """Always CSV: the next container reads nothing else, whatever the caller accepts in the end."""
    return csv_matrix(matrix), "text/csv"
