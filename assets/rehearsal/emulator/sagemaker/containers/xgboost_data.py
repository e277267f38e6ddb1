"""Reads the channels of the built-in XGBoost algorithm (source: aws/sagemaker-xgboost-container, `data_utils.py`,
`algorithm_mode/channel_validation.py`).

XGBoost's own reader of text is used, as in the image: it has no errors for cells that are not numbers. In CSV they are missing values, and a
label that is not a number is 0.
"""

from __future__ import annotations

import csv
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lean_xgboost
from xgboost_hyperparameters import UserError

FORMATS = {
    "csv": "csv",
    "libsvm": "libsvm",
    "parquet": "parquet",
    "recordio-protobuf": "recordio-protobuf",
    "text/csv": "csv",
    "text/libsvm": "libsvm",
    "text/x-libsvm": "libsvm",
    "application/x-parquet": "parquet",
    "application/x-recordio-protobuf": "recordio-protobuf",
}
CHANNELS = ("train", "validation", "code")


def check_channels(channels: Mapping[str, Mapping[str, Any]]) -> str:
    """Refuses what the image refuses; returns the format of the training data."""
    if "train" not in channels:
        # The image fails with a KeyError for this environment variable before it looks at the channels.
        raise UserError("'SM_CHANNEL_TRAIN'")
    for name, settings in channels.items():
        if name not in CHANNELS:
            raise UserError(f"Extraneous channel found: {name}")
        kind = settings.get("ContentType", "text/libsvm")
        pipe = settings["TrainingInputMode"] == "Pipe"
        if kind not in (("text/python",) if name == "code" else FORMATS) or (
            pipe and FORMATS.get(kind) == "libsvm"
        ):
            shown = {"ContentType": kind, **settings}
            raise UserError(f"Channel configuration for '{name}' channel is not supported: {shown}")
    found = FORMATS[channels["train"].get("ContentType", "text/libsvm")]
    if channels["train"]["TrainingInputMode"] == "Pipe":
        words = {"csv": "CSV", "parquet": "Parquet", "recordio-protobuf": "RecordIO-Protobuf"}
        raise UserError(
            f"Pipe mode for {words[found]} is no longer supported. Please use Fast File mode (default) instead. Set"
            " input_mode='File' in your SageMaker Estimator or TrainingInput."
        )
    if found == "recordio-protobuf":
        raise UserError(
            "not rehearsed: the stand-in of the XGBoost image does not read recordio-protobuf; use CSV, libsvm or Parquet"
        )
    return found


def matrix(folder: Path, kind: str, *, weights: bool = False) -> Any:
    """A DMatrix of all files of a channel, label first; None where they are empty."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if any(path.name.startswith(".") for path in files):
        raise UserError("Hidden file found in the data path! Remove that before training.")
    if not sum(path.stat().st_size for path in files):
        return None
    found = _parquet(files) if kind == "parquet" else _text(files, kind, weights)
    if found.get_label().size == 0:
        raise UserError("Got input data without labels. Please check the input data set.")
    return found


def _parquet(files: list[Path]) -> Any:
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.ParquetDataset(files).read().to_pandas().to_numpy()
        return lean_xgboost.load().DMatrix(table[:, 1:], label=table[:, 0])
    except Exception as error:
        raise UserError(f"Failed to load parquet data with exception:\n{error}") from error


def _text(files: list[Path], kind: str, weights: bool) -> Any:
    # The format of files whose names begin with _ is not checked, yet they are read.
    data = [path for path in files if not path.name.startswith("_")] or files
    options = "format=libsvm"
    if kind == "libsvm":
        for path in data:
            _check_libsvm(path)
    else:
        delimiters = [_delimiter(path) for path in data]
        options = (
            f"format=csv&label_column=0&delimiter={delimiters[0]}{'&weight_column=1' if weights else ''}"
        )
    with tempfile.TemporaryDirectory() as folder:
        # One file, for an order that does not depend on the file system; XGBoost reads a path as a URI, so that only a plain name is safe.
        with (Path(folder) / "data").open("wb") as joined:
            for path in files:
                joined.write(path.read_bytes().rstrip(b"\n") + b"\n")
        before = os.getcwd()
        os.chdir(folder)
        try:
            return lean_xgboost.load().DMatrix(f"data?{options}")
        except Exception as error:
            raise UserError(f"Failed to load {kind} data with exception:\n{without_stack(error)}") from error
        finally:
            os.chdir(before)


def _delimiter(path: Path) -> str:
    with path.open(encoding="utf-8", errors="replace") as stream:
        line = stream.readline()
    try:
        found = csv.Sniffer().sniff(line).delimiter
    except csv.Error as error:
        raise UserError(f"Could not determine delimiter on line {line[:50]}:\n{error}") from error
    cells = [cell.strip() for cell in line.split(found)]
    if any(cell and not _is_number(cell) for cell in cells):
        # Only told, because the image trains.
        print(
            f"[WARNING] line 1 of {path.name} is not numeric: {line.strip()[:120]!r}. The image reads a header as a row: its label is 0,"
            " its features are missing",
            flush=True,
        )
    return found


def _check_libsvm(path: Path) -> None:
    """The first line with more than one feature must be libsvm: `<label>(:<weight>) <index>:<value> ...`."""
    with path.open(encoding="utf-8", errors="replace") as stream:
        for line in stream:
            label, *features = line.split(" ")
            parts = label.split(":")
            pairs = [feature.split(":") for feature in features]
            if (
                len(parts) > 2
                or not all(map(_is_number, parts))
                or any(len(pair) < 2 for pair in pairs)
                or (pairs and len(pairs[0]) != 2)
            ):
                raise UserError(
                    f"First line '{line[:50]}...' of file '{path.name}' is not 'LIBSVM' format. Please ensure the file is in"
                    " 'LIBSVM' format."
                )
            if len(features) > 1:
                return


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def without_stack(error: Exception) -> str:
    """XGBoost's message without the addresses of its C++ functions."""
    return str(error).partition("\nStack trace")[0].strip()
