"""Plays the model server of the XGBoost image: content types, errors and answers as there (source:
aws/sagemaker-xgboost-container, `algorithm_mode/serve.py`, `serve_utils.py`, `serving.py`).

With SAGEMAKER_PROGRAM it serves the functions of the user's script instead, or the defaults of the image.
"""

from __future__ import annotations

import json
import os
import pickle  # nosec: the image loads pickled boosters too; the model is the user's own
import threading
from pathlib import Path
from typing import Any

import lean_xgboost
from model_server import HTML, Answer, fail_loading, media_type, serve
from script_serve import UnsupportedFormat, encode, serve_script
from xgboost_data import without_stack
from xgboost_outputs import encoded, selected
from xgboost_requests import format_of, from_csv, from_libsvm, parsed_type, read

ACCEPTS = ("application/json", "application/jsonlines", "application/x-recordio-protobuf", "text/csv")
MAX_BODY = 6 * 1024 * 1024


class Booster:
    """The model of `/opt/ml/model`: each file there is a booster, and several are an ensemble unless SAGEMAKER_INFERENCE_ENSEMBLE is not
    `true`."""

    def __init__(self, folder: Path) -> None:
        files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
        if not files:
            raise IndexError(f"model.tar.gz has no file at its top: {sorted(map(str, folder.iterdir()))}")
        if os.environ.get("SAGEMAKER_INFERENCE_ENSEMBLE", "true") != "true":
            files = files[:1]
        loaded = [_load(file) for file in files]
        self.boosters = [booster for booster, _ in loaded]
        self.pickled = loaded[0][1]
        learner = json.loads(self.boosters[0].save_config())["learner"]
        self.objective = str(learner["objective"]["name"])
        self.classes = int(learner["learner_model_param"].get("num_class") or 0)
        self.features = int(self.boosters[0].num_features())

    def predict(self, data: Any, content_type: str) -> Any:
        """The predictions; raises where the width does not fit. A narrower row is taken, its last features are missing."""
        import numpy

        if self.pickled:
            self._check_width(data.num_col(), format_of(content_type))
        found = [booster.predict(data, validate_features=False) for booster in self.boosters]
        if len(found) == 1:
            return found[0]
        if self.objective in ("multi:softmax", "binary:hinge"):
            votes = numpy.stack(found)
            classes = numpy.unique(votes)
            return classes[numpy.argmax([(votes == each).sum(axis=0) for each in classes], axis=0)]
        return numpy.mean(found, axis=0)

    def _check_width(self, given: int, kind: str) -> None:
        """The image looks only at the width for pickled models; it takes one column more, for the label."""
        if kind == "libsvm" and given > self.features + 1:
            raise ValueError(
                f"Feature size of libsvm inference data {given} is larger than feature size of trained model {self.features}."
            )
        if kind == "csv" and given not in (self.features, self.features + 1):
            raise ValueError(
                f"Feature size of csv inference data {given} is not consistent with feature size of trained model"
                f" {self.features}."
            )


def _load(file: Path) -> tuple[Any, bool]:
    """A booster, and whether it was pickled."""
    xgboost = lean_xgboost.load()
    try:
        with file.open("rb") as stream:
            booster, pickled = pickle.load(stream), True
    except Exception as first:
        booster, pickled = xgboost.Booster(), False
        try:
            booster.load_model(file)
        except Exception as second:
            raise RuntimeError(
                f"Model {file} cannot be loaded:\nPickle load error={first}\nXGB load model error={without_stack(second)}"
            ) from second
    booster.set_param("nthread", 1)
    return booster, pickled


def accepted(header: str) -> str:
    """The type of the answer; raises ValueError where the image has none of it. A list of types is not understood."""
    # All before the first semicolon.
    kind = header.split(";")[0].strip()
    if kind in ("", "*/*"):
        return os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "text/csv")
    if kind.lower() not in ACCEPTS:
        raise ValueError(
            f"Accept type {kind} is not supported. Please use supported accept types: {list(ACCEPTS)}."
        )
    return kind.lower()


def answer(model: Booster, body: bytes, content_type: str, accept: str) -> Answer:
    """What the algorithm answers to a request."""
    batch = bool(os.environ.get("SAGEMAKER_BATCH"))
    if not body:
        return 204, b"", HTML
    try:
        data = read(body, content_type)
    except ValueError as error:
        return _refused(415, str(error))
    try:
        predictions = model.predict(data, content_type)
    except Exception as error:
        return _refused(400, f"Unable to evaluate payload provided: {without_stack(error)}")
    try:
        kind = accepted(accept)
    except ValueError as error:
        return _refused(406, str(error))
    if "SAGEMAKER_INFERENCE_OUTPUT" in os.environ:
        keys = os.environ["SAGEMAKER_INFERENCE_OUTPUT"].replace(" ", "").lower().split(",")
        try:
            rows = selected(predictions, keys, model.objective, model.classes)
            text = encoded(rows, keys, kind, batch=batch)
        except ValueError as error:
            return _refused(500, str(error))
        return 200, text.encode(), media_type(kind)
    if batch:
        # Lines, whatever is accepted.
        out = "".join(f"{value}\n" for value in predictions.tolist()).encode()
    elif kind == "application/json":
        out = json.dumps({"predictions": [{"score": value} for value in predictions.tolist()]}).encode()
    else:
        # JSON lines and recordio are accepted, yet there is no encoder for them: status 500.
        out = encode(predictions.tolist(), kind)
    return 200, out, media_type(kind)


def _refused(status: int, message: str) -> Answer:
    print(f"[ERROR] {message}", flush=True)
    return status, message.encode(), HTML


def serve_booster() -> None:
    """Loads, then serves."""
    try:
        model = Booster(Path(os.environ["SM_MODEL_DIR"]))
    except BaseException as error:
        fail_loading(error)
    lock = threading.Lock()

    def invoke(body: bytes, content_type: str, accept: str) -> Answer:
        with lock:
            return answer(model, body, content_type, accept)

    limit = int(os.environ.get("MAX_CONTENT_LENGTH", MAX_BODY))
    parameters: dict[str, object] = {
        "MaxConcurrentTransforms": os.cpu_count() or 1,
        "BatchStrategy": "MULTI_RECORD",
        "MaxPayloadInMB": limit // 1024**2,
    }
    serve(invoke, parameters=parameters, limit=limit)


def default_input_fn(body: Any, content_type: str) -> Any:
    text = body.decode("utf-8") if isinstance(body, bytes) else body
    kind, _ = parsed_type(content_type)
    if kind == "text/csv":
        return from_csv(text)
    if kind in ("text/libsvm", "text/x-libsvm"):
        return from_libsvm(text, dense=True)
    raise UnsupportedFormat(kind)


def default_predict_fn(data: Any, model: Any) -> Any:
    return model.predict(data, validate_features=False)


if __name__ == "__main__":
    if os.environ.get("SAGEMAKER_PROGRAM"):
        serve_script(default_input_fn, default_predict_fn)
    else:
        serve_booster()
