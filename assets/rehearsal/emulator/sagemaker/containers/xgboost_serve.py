"""Plays the model server of the XGBoost image: content types, errors and answers as there (source:
aws/sagemaker-xgboost-container, `algorithm_mode/serve_utils.py`).

With SAGEMAKER_PROGRAM it serves the functions of the user's script, or the defaults of the image (`serving.py` there).
"""

from __future__ import annotations

import csv
import io
import json
import os
import pickle  # nosec: the image loads pickled boosters too; the model is the user's own
import threading
from pathlib import Path
from typing import Any

import lean_xgboost
from model_server import Refused, fail_loading, serve
from script_serve import serve_script

MODEL_DIR = Path(os.environ["SM_MODEL_DIR"])
BATCH = bool(os.environ.get("SAGEMAKER_BATCH"))


def load() -> Any:
    """The booster of `/opt/ml/model`."""
    xgboost = lean_xgboost.load()

    files = [path for path in sorted(MODEL_DIR.iterdir()) if path.is_file() and not path.name.startswith(".")]
    if not files:
        raise FileNotFoundError(
            f"model.tar.gz holds no model file; it has {[path.name for path in MODEL_DIR.iterdir()]}"
        )
    path = next((path for path in files if path.name == "xgboost-model"), files[0])
    booster = xgboost.Booster()
    try:
        booster.load_model(bytearray(path.read_bytes()))
    except xgboost.core.XGBoostError:
        booster = pickle.loads(path.read_bytes())
    booster.set_param({"nthread": 1})
    return booster


def features(body: bytes, content_type: str) -> Any:
    """A DMatrix of a request."""
    import numpy

    xgboost = lean_xgboost.load()

    kind = content_type.split(";")[0].strip().lower()
    text = body.decode("utf-8").strip()
    if kind == "text/csv":
        try:
            rows = [
                [float(cell) if cell.strip() else float("nan") for cell in line]
                for line in csv.reader(io.StringIO(text))
                if line
            ]
            return xgboost.DMatrix(numpy.asarray(rows, dtype=numpy.float32))
        except ValueError as error:
            raise Refused(
                415, f"Loading csv data failed with Exception, please ensure data is in csv format:\n {error}"
            ) from error
    if kind in ("text/libsvm", "text/x-libsvm"):
        cells = [[part.split(":") for part in line.split() if ":" in part] for line in text.splitlines()]
        width = 1 + max((int(index) for line in cells for index, _ in line), default=0)
        data = numpy.full((len(cells), width), numpy.nan, dtype=numpy.float32)
        for row, line in enumerate(cells):
            for index, value in line:
                data[row, int(index)] = float(value)
        return xgboost.DMatrix(data)
    raise Refused(415, f"Content type {content_type!r} is not supported; use text/csv or text/libsvm")


def default_input_fn(body: Any, content_type: str) -> Any:
    return features(body.encode() if isinstance(body, str) else body, content_type)


def default_predict_fn(data: Any, model: Any) -> Any:
    return model.predict(data, validate_features=False)


def default_output_fn(prediction: Any, accept: str) -> tuple[str, str]:
    kind = accept.split(",")[0].split(";")[0].strip().lower()
    if kind == "application/json":
        return json.dumps(prediction.tolist()), kind
    if kind == "text/csv":
        return "\n".join(str(value) for value in prediction.tolist()) + "\n", kind
    raise Refused(406, f"Accept {accept!r} is not supported by the default output_fn")


def main() -> None:
    """Serves the user's script where there is one, else the model itself."""
    if os.environ.get("SAGEMAKER_PROGRAM"):
        defaults = {
            "input_fn": default_input_fn,
            "predict_fn": default_predict_fn,
            "output_fn": default_output_fn,
        }
        serve_script(defaults, "text/csv")
    else:
        serve_booster()


def serve_booster() -> None:
    """Loads, then serves."""
    try:
        booster = load()
    except BaseException as error:
        fail_loading(error)
    lock = threading.Lock()
    best = booster.attr("best_iteration")
    window = (0, int(best) + 1) if best is not None else (0, 0)

    def invoke(body: bytes, content_type: str, accept: str) -> tuple[bytes, str]:
        if not body.strip():
            raise Refused(400, "the request has no body")
        data = features(body, content_type)
        if booster.num_features() != data.num_col():
            raise Refused(
                400,
                f"Unable to evaluate payload provided: Feature size of csv inference data {data.num_col()} is"
                f" not consistent with feature size of trained model {booster.num_features()}",
            )
        with lock:
            predictions = booster.predict(data, iteration_range=window, validate_features=False)
        # The image joins by commas in real time and by lines in batch; a class vector is printed as a list.
        values = [str(value) for value in predictions.tolist()]
        out = "\n".join(values) + "\n" if BATCH else ",".join(values)
        return out.encode(), "text/csv; charset=utf-8"

    serve(invoke)


if __name__ == "__main__":
    main()
