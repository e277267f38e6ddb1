"""Plays the model server of the scikit-learn image: the user's `model_fn`, `input_fn`, `predict_fn`,
`output_fn` or their defaults (source: aws/sagemaker-scikit-learn-container, `serving.py`).
"""

from __future__ import annotations

import csv
import importlib
import io
import json
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from model_server import Refused, fail_loading, serve

MODEL_DIR = os.environ["SM_MODEL_DIR"]


def user_module() -> ModuleType:
    """The module named by SAGEMAKER_PROGRAM in SAGEMAKER_SUBMIT_DIRECTORY."""
    program = os.environ.get("SAGEMAKER_PROGRAM") or "inference.py"
    folder = Path(os.environ.get("SAGEMAKER_SUBMIT_DIRECTORY") or Path(MODEL_DIR) / "code")
    if not (folder / program).is_file():
        there = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        raise FileNotFoundError(f"SAGEMAKER_PROGRAM {program} is not in {folder}; there is {there}")
    sys.path.insert(0, str(folder))
    return importlib.import_module(program.removesuffix(".py").replace("/", "."))


def default_model_fn(model_dir: str) -> Any:
    raise NotImplementedError("inference.py must define model_fn(model_dir): the image has no default for it")


def default_input_fn(body: Any, content_type: str) -> Any:
    import numpy

    kind = content_type.split(";")[0].strip().lower()
    if kind == "text/csv":
        text = body.decode("utf-8") if isinstance(body, bytes) else body
        return numpy.genfromtxt(io.StringIO(text), delimiter=",")
    if kind == "application/json":
        return numpy.array(json.loads(body))
    if kind == "application/x-npy":
        return numpy.load(io.BytesIO(body), allow_pickle=False)
    raise Refused(415, f"Content type {content_type!r} is not supported by the default input_fn")


def default_predict_fn(data: Any, model: Any) -> Any:
    return model.predict(data)


def default_output_fn(prediction: Any, accept: str) -> Any:
    import numpy

    kind = accept.split(",")[0].split(";")[0].strip().lower()
    array = numpy.asarray(prediction)
    if kind == "text/csv":
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows(array.reshape(len(array), -1).tolist())
        return out.getvalue(), "text/csv"
    if kind == "application/json":
        return json.dumps(array.tolist()), "application/json"
    if kind == "application/x-npy":
        stream = io.BytesIO()
        numpy.save(stream, array, allow_pickle=False)
        return stream.getvalue(), "application/x-npy"
    raise Refused(406, f"Accept {accept!r} is not supported by the default output_fn")


def is_text(content_type: str) -> bool:
    kind = content_type.split(";")[0].strip().lower()
    return kind.startswith("text/") or kind == "application/json"


def main() -> None:
    """Loads, then serves."""
    try:
        module = user_module()
        model_fn = getattr(module, "model_fn", default_model_fn)
        model = model_fn(MODEL_DIR)
        steps = {
            name: getattr(module, name, None)
            for name in ("input_fn", "predict_fn", "output_fn", "transform_fn")
        }
        if steps["transform_fn"] and any(steps[name] for name in ("input_fn", "predict_fn", "output_fn")):
            raise ValueError(
                "inference.py must not define transform_fn together with input_fn, predict_fn or output_fn"
            )
    except BaseException as error:
        fail_loading(error)
    default_accept = os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT") or "application/json"

    def invoke(body: bytes, content_type: str, accept: str) -> tuple[bytes, str]:
        content_type = content_type or "application/json"
        wanted = accept if accept and accept not in ("*/*", "*") else default_accept
        # The toolkit passes text as str and everything else as bytes.
        given: Any = body.decode("utf-8") if is_text(content_type) else body
        if steps["transform_fn"]:
            result = steps["transform_fn"](model, given, content_type, wanted)
        else:
            data = (steps["input_fn"] or default_input_fn)(given, content_type)
            prediction = (steps["predict_fn"] or default_predict_fn)(data, model)
            result = (steps["output_fn"] or default_output_fn)(prediction, wanted)
        out, kind = result if isinstance(result, tuple) else (result, wanted)
        if hasattr(out, "get_data"):
            out, kind = out.get_data(), getattr(out, "mimetype", kind)
        return (out.encode() if isinstance(out, str) else bytes(out)), str(kind)

    serve(invoke)


if __name__ == "__main__":
    main()
