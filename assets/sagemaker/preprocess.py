"""Fits the preprocessor on the training split only, applies it to all splits, and packs it for serving."""

from __future__ import annotations

import gzip
import importlib.util
import io
import json
import tarfile
from pathlib import Path
from typing import Any, Dict, List, Optional

import joblib
import numpy as np
import pandas as pd
from contract import Contract, ContractError, parse_contract, read_document, read_split, target_numbers
from features import csv_matrix, feature_names, feature_table
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder

SPLITS = ("train", "validation", "test")
PREPROCESSOR_FILE = "preprocessor.joblib"
SERVING_MODULES = ("inference", "contract", "features")


def fit_preprocessor(features: pd.DataFrame, contract: Contract) -> ColumnTransformer:
    """
    Numbers get the median where a value is missing. Each declared value of a category becomes an input of its
    own; all of them are zero where the value is missing. Trees do not care about scales.
    """
    empty = [
        column.name
        for column in contract.features
        if column.kind != "categorical" and features[column.name].isna().all()
    ]
    if empty:
        raise ContractError(
            f"columns {empty} have no value in split 'train': there is nothing to learn from them"
        )
    transformers: List[Any] = []
    for column in contract.features:
        if column.kind == "categorical":
            step: Any = OneHotEncoder(categories=[list(column.values)], handle_unknown="ignore")
        else:
            step = SimpleImputer(strategy="median")
        transformers.append((column.name, step, [column.name]))
    return ColumnTransformer(transformers, remainder="drop", sparse_threshold=0.0).fit(features)


def transform(preprocessor: ColumnTransformer, features: pd.DataFrame) -> "np.ndarray[Any, Any]":
    """The model's inputs, one row an instance, in the order of `feature_names`."""
    matrix: "np.ndarray[Any, Any]" = np.asarray(preprocessor.transform(features), dtype="float64")
    return matrix


def check_classes(target: "pd.Series[Any]", contract: Contract) -> None:
    """A classifier cannot learn a class that it never sees."""
    if contract.is_regression:
        return
    seen = set(target.astype(int))
    unseen = [value for index, value in enumerate(contract.target.values) if index not in seen]
    if unseen:
        raise ContractError(
            f"classes {unseen} of target {contract.target.name!r} have no row in split 'train'"
        )


def model_archive(files: Dict[str, bytes]) -> bytes:
    """A tar.gz of these files; equal files give an equal archive."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as archive,
    ):
        for name in sorted(files):
            entry = tarfile.TarInfo(name)
            entry.size = len(files[name])
            entry.mode = 0o644
            archive.addfile(entry, io.BytesIO(files[name]))
    return packed.getvalue()


def serving_code() -> Dict[str, bytes]:
    """The modules that serving needs, from wherever this one was loaded: a folder or a zip."""
    return {f"code/{module}.py": _source(module).encode("utf-8") for module in SERVING_MODULES}


def pack_preprocessor(preprocessor: ColumnTransformer, document: Dict[str, Any]) -> bytes:
    """What is kept of the preprocessor: fitted encoders, contract, names of its outputs, serving code."""
    fitted = io.BytesIO()
    joblib.dump(preprocessor, fitted)
    names = feature_names(parse_contract(document))
    return model_archive(
        {
            PREPROCESSOR_FILE: fitted.getvalue(),
            "schema.json": json.dumps(document, indent=2).encode("utf-8"),
            "features.json": json.dumps(names, indent=2).encode("utf-8"),
            **serving_code(),
        }
    )


def run(input_folder: Path, schema: Path, outputs: Dict[str, Path]) -> Dict[str, int]:
    """
    Reads `<input>/{train,validation,test}`, writes each as `<split>.csv` for the built-in XGBoost (target
    first, no header) and `model.tar.gz` for serving. Returns the number of rows of each split.
    """
    document = read_document(schema)
    contract = parse_contract(document)
    tables = {split: read_split(input_folder / split, contract) for split in SPLITS}
    targets = {split: target_numbers(table, contract, split) for split, table in tables.items()}
    features = {split: _features(table, contract, split) for split, table in tables.items()}
    check_classes(targets["train"], contract)
    preprocessor = fit_preprocessor(features["train"], contract)
    for split in SPLITS:
        inputs = transform(preprocessor, features[split])
        matrix = np.column_stack([targets[split].to_numpy(dtype="float64"), inputs])
        outputs[split].mkdir(parents=True, exist_ok=True)
        (outputs[split] / f"{split}.csv").write_text(csv_matrix(matrix), encoding="utf-8")
    outputs["preprocessor"].mkdir(parents=True, exist_ok=True)
    (outputs["preprocessor"] / "model.tar.gz").write_bytes(pack_preprocessor(preprocessor, document))
    return {split: len(table) for split, table in tables.items()}


def _features(table: pd.DataFrame, contract: Contract, split: str) -> pd.DataFrame:
    try:
        return feature_table(table, contract)
    except ContractError as error:
        raise ContractError(f"split {split!r}: {error}") from error


def _source(module: str) -> str:
    spec = importlib.util.find_spec(module)
    # Loaders of folders and of zips both have it, but share no type on Python 3.9.
    loader: Any = spec.loader if spec else None
    source: Optional[str] = loader.get_source(module) if loader else None
    if source is None:
        raise RuntimeError(f"the source of module {module!r} is not where the scripts are")
    return source
