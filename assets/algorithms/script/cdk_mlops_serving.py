"""
Serves a training script of a team in a container of script mode. The script's own functions come first; what it does not
have is done here: the container's defaults read one row of CSV as a vector
(https://github.com/aws/sagemaker-inference-toolkit, `decoder.py`), which models refuse.
"""

from __future__ import annotations

import importlib.util
import io
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Tuple, Union

import numpy as np

FOLDER = Path(__file__).resolve().parent


def _script() -> ModuleType:
    file = FOLDER / os.environ["CDK_MLOPS_ENTRY_POINT"]
    sys.path.insert(0, str(file.parent))
    specification = importlib.util.spec_from_file_location("entry_point", file)
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


SCRIPT = _script()


def model_fn(model_dir: str) -> Any:
    """The model, by the script."""
    return SCRIPT.model_fn(model_dir)


def input_fn(body: Union[str, bytes], content_type: str) -> Any:
    """The rows of a CSV request as a matrix, whatever their number."""
    own = getattr(SCRIPT, "input_fn", None)
    if own:
        return own(body, content_type)
    if content_type.split(";")[0].strip().lower() != "text/csv":
        raise ValueError(f"content type {content_type!r} is not supported; send text/csv")
    text = body.decode("utf-8") if isinstance(body, (bytes, bytearray)) else body
    return np.loadtxt(io.StringIO(text), delimiter=",", ndmin=2)


def predict_fn(inputs: Any, model: Any) -> Any:
    """What the model answers."""
    own = getattr(SCRIPT, "predict_fn", None)
    return own(inputs, model) if own else model.predict(inputs)


def output_fn(prediction: Any, accept: str) -> Union[str, Tuple[str, str]]:
    """CSV, one row an instance."""
    own = getattr(SCRIPT, "output_fn", None)
    if own:
        answer: Union[str, Tuple[str, str]] = own(prediction, accept)
        return answer
    text = io.StringIO()
    np.savetxt(text, np.asarray(prediction, dtype="float64"), delimiter=",", fmt="%.17g")
    return text.getvalue(), "text/csv"
