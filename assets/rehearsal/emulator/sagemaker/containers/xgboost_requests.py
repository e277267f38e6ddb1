"""Reads what is sent to the model server of the XGBoost image (source: aws/sagemaker-xgboost-container, `encoder.py`,
`algorithm_mode/serve_utils.py`).
"""

from __future__ import annotations

import csv
from email.message import Message
from typing import Any

import lean_xgboost
from xgboost_data import FORMATS


def parsed_type(header: str) -> tuple[str, dict[str, str]]:
    """A media type without its parameters, and these."""
    message: Message = Message()
    message["content-type"] = header
    (kind, _), *parameters = message.get_params(failobj=[("", "")])
    return str(kind), dict(parameters)


def format_of(content_type: str) -> str:
    """The format of a request; libsvm without a content type. Raises ValueError for what the image refuses."""
    if not content_type:
        return "libsvm"
    kind, parameters = parsed_type(content_type.lower())
    if kind not in FORMATS:
        raise ValueError(f"{content_type} is not an accepted ContentType: {', '.join(FORMATS)}.")
    found: str = FORMATS[kind]
    if found == "csv" and parameters.get("label_size", "1") != "1":
        raise ValueError(
            f"{content_type} is not an accepted csv ContentType. Optional parameter label_size must be equal to 1"
        )
    return found


def read(body: bytes, content_type: str) -> Any:
    """A DMatrix of a request to the algorithm; raises ValueError with the message of the image."""
    kind = format_of(content_type)
    if kind == "parquet":
        raise ValueError(f"Content-type {content_type} is not supported.")
    if kind == "recordio-protobuf":
        raise ValueError(
            "not rehearsed: the stand-in of the XGBoost image does not read recordio-protobuf; send text/csv or text/libsvm"
        )
    try:
        text = body.strip().decode("utf-8")
        return from_csv(text) if kind == "csv" else from_libsvm(text)
    except Exception as error:
        raise ValueError(
            f"Loading {kind} data failed with Exception, please ensure data is in {kind} format:\n {type(error)}\n {error}"
        ) from error


def from_csv(text: str) -> Any:
    """Numbers only, without a header; an empty cell is a missing value. The delimiter is guessed from the first line, quotes mean
    nothing, and every line must have the same number of cells."""
    import numpy

    found = csv.Sniffer().sniff(text.split("\n")[0][:512]).delimiter
    delimiter = "," if found.isalnum() else found
    rows = [[cell or "nan" for cell in line.split(delimiter)] for line in text.split("\n")]
    return lean_xgboost.load().DMatrix(numpy.array(rows).astype(float))


def from_libsvm(text: str, *, dense: bool = False) -> Any:
    """Features by index, from 0, or from 1 where no index is 0; a label before them is ignored. What is not named is missing, or 0 where
    `dense`."""
    import numpy

    cells: list[tuple[int, int, float]] = []
    for row, line in enumerate(text.split("\n")):
        for index, colon, value in (item.partition(":") for item in line.split()):
            if colon:
                cells.append((row, int(index), float(value.partition(":")[0])))
    if not cells:
        raise ValueError("cannot infer dimensions from zero sized index arrays")
    indexes = [index for _, index, _ in cells]
    first = min(1, *indexes)
    shape = (max(row for row, _, _ in cells) + 1, max(indexes) - first + 1)
    data = numpy.full(shape, 0.0 if dense else numpy.nan)
    for at, column, number in cells:
        data[at, column - first] = number
    return lean_xgboost.load().DMatrix(data)
