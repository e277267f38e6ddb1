"""Serves a model with the functions of the user's script: `model_fn`, and `input_fn`, `predict_fn`, `output_fn` or `transform_fn`.

Both images do so with the same toolkit (source: aws/sagemaker-containers 2.8.6, `_transformer.py`, `_worker.py`, `_encoders.py`, and the
`serving.py` of each image); what the script does not define comes from the image.
"""

from __future__ import annotations

import csv
import importlib
import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from model_server import Answer, fail_loading, media_type, serve

TEXT = ("application/json", "text/csv")
"""The content types that reach `input_fn` as text; every other one, also with a parameter such as `charset`, as bytes."""
PARTS = ("input_fn", "predict_fn", "output_fn")


class UnsupportedFormat(Exception):
    """A content type that there is no reader or writer for."""

    def __init__(self, kind: str) -> None:
        super().__init__(
            f"Content type {kind} is not supported by this framework. Please implement input_fn to to deserialize the request data"
            " or an output_fn to serialize the response."
        )


def user_module() -> ModuleType:
    """The module that SAGEMAKER_PROGRAM names, in SAGEMAKER_SUBMIT_DIRECTORY."""
    program = os.environ.get("SAGEMAKER_PROGRAM")
    if not program:
        raise ValueError("the environment variable SAGEMAKER_PROGRAM must name the script")
    folder = Path(
        os.environ.get("SAGEMAKER_SUBMIT_DIRECTORY") or Path(os.environ["SAGEMAKER_BASE_DIR"]) / "code"
    )
    if not (folder / program).is_file():
        there = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        raise FileNotFoundError(
            f"SAGEMAKER_PROGRAM {program} is not in SAGEMAKER_SUBMIT_DIRECTORY {folder}; there is {there}. For a script in the model's"
            " archive set it to /opt/ml/model/code"
        )
    sys.path.insert(0, str(folder))
    return importlib.import_module(program.removesuffix(".py").replace("/", "."))


def default_model_fn(_model_dir: str) -> NoReturn:
    raise NotImplementedError("Please provide a model_fn implementation: the image has no default for it")


def decode(body: Any, content_type: str) -> Any:
    """A request as an array."""
    import numpy

    if content_type == "text/csv":
        rows = list(csv.reader(io.StringIO(body), strict=True))
        return numpy.array(rows).squeeze()
    if content_type == "application/json":
        return numpy.array(json.loads(body))
    if content_type == "application/x-npy":
        return numpy.load(io.BytesIO(body), allow_pickle=True)
    raise UnsupportedFormat(content_type)


def encode(prediction: Any, accept: str) -> bytes:
    """An array as the answer: in CSV one row a line."""
    import numpy

    if accept == "text/csv":
        array = numpy.array(prediction)
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows(array.reshape(-1, 1) if array.ndim == 1 else array)
        return out.getvalue().encode()
    if accept == "application/json":
        return json.dumps(prediction, default=lambda value: value.tolist()).encode()
    if accept == "application/x-npy":
        stream = io.BytesIO()
        numpy.save(stream, prediction)
        return stream.getvalue()
    raise UnsupportedFormat(accept)


def default_output_fn(prediction: Any, accept: str) -> tuple[bytes, str]:
    return encode(prediction, accept), accept


class Script:
    """The user's functions, with the defaults of the image in place of those that are missing."""

    def __init__(
        self, module: ModuleType, input_fn: Callable[..., Any], predict_fn: Callable[..., Any]
    ) -> None:
        self.transform_fn = getattr(module, "transform_fn", None)
        if self.transform_fn and any(getattr(module, name, None) for name in PARTS):
            raise ValueError(
                "Cannot use transform_fn implementation with input_fn, predict_fn, and/or output_fn"
            )
        self.input_fn = getattr(module, "input_fn", None) or input_fn
        self.predict_fn = getattr(module, "predict_fn", None) or predict_fn
        self.output_fn = getattr(module, "output_fn", None) or default_output_fn
        self.model = getattr(module, "model_fn", default_model_fn)(os.environ["SM_MODEL_DIR"])
        self.default_accept = os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "application/json")

    def answer(self, body: bytes, content_type: str, accept: str) -> Answer:
        """The answer to a request; what the functions raise becomes a status 500."""
        content_type = content_type or "application/json"
        wanted = self.default_accept if accept in ("", "*/*") else accept
        given: Any = body.decode("utf-8", "replace") if content_type in TEXT else body
        if self.transform_fn:
            result = self.transform_fn(self.model, given, content_type, wanted)
        else:
            prediction = self.predict_fn(self.input_fn(given, content_type), self.model)
            result = self.output_fn(prediction, wanted)
        if hasattr(result, "get_data"):
            # A response of Flask or of the toolkit.
            return int(result.status_code), result.get_data(), str(result.content_type)
        # A text or bytes alone have Flask's default type.
        out, kind = result if isinstance(result, tuple) else (result, "text/html")
        return 200, out.encode() if isinstance(out, str) else bytes(out), media_type(str(kind))


def serve_script(input_fn: Callable[..., Any], predict_fn: Callable[..., Any]) -> None:
    """Loads the script and its model, then serves; the functions are those of the image."""
    try:
        script = Script(user_module(), input_fn, predict_fn)
    except BaseException as error:
        fail_loading(error)
    serve(script.answer)
