"""Serves a model with the functions of the user's script: `model_fn`, and `input_fn`, `predict_fn`, `output_fn` or `transform_fn`.

As the toolkits of SageMaker's images do (source: aws/sagemaker-inference-toolkit, `default_handler_service.py`,
`transformer.py`); what the script does not define comes from the image.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from model_server import fail_loading, serve

MODEL_DIR = os.environ["SM_MODEL_DIR"]
PARTS = ("input_fn", "predict_fn", "output_fn")


def user_module() -> ModuleType:
    """The module named by SAGEMAKER_PROGRAM in SAGEMAKER_SUBMIT_DIRECTORY."""
    program = os.environ.get("SAGEMAKER_PROGRAM") or "inference.py"
    folder = Path(os.environ.get("SAGEMAKER_SUBMIT_DIRECTORY") or Path(MODEL_DIR) / "code")
    if not (folder / program).is_file():
        there = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        raise FileNotFoundError(f"SAGEMAKER_PROGRAM {program} is not in {folder}; there is {there}")
    sys.path.insert(0, str(folder))
    return importlib.import_module(program.removesuffix(".py").replace("/", "."))


def default_model_fn(model_dir: str) -> NoReturn:
    raise NotImplementedError("inference.py must define model_fn(model_dir): the image has no default for it")


def is_text(content_type: str) -> bool:
    kind = content_type.split(";")[0].strip().lower()
    return kind.startswith("text/") or kind == "application/json"


def serve_script(defaults: Mapping[str, Callable[..., Any]], default_type: str) -> None:
    """Loads the script and its model, then serves. `defaults` are the functions of the image, `default_type` is what it answers when
    nothing else is asked for."""
    try:
        module = user_module()
        model = getattr(module, "model_fn", default_model_fn)(MODEL_DIR)
        steps = {name: getattr(module, name, None) for name in (*PARTS, "transform_fn")}
        if steps["transform_fn"] and any(steps[name] for name in PARTS):
            raise ValueError(
                "inference.py must not define transform_fn together with input_fn, predict_fn or output_fn"
            )
    except BaseException as error:
        fail_loading(error)
    default_accept = os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT") or default_type

    def invoke(body: bytes, content_type: str, accept: str) -> tuple[bytes, str]:
        content_type = content_type or default_type
        wanted = accept if accept and accept not in ("*/*", "*") else default_accept
        # The toolkit passes text as str and everything else as bytes.
        given: Any = body.decode("utf-8") if is_text(content_type) else body
        if steps["transform_fn"]:
            result = steps["transform_fn"](model, given, content_type, wanted)
        else:
            data = (steps["input_fn"] or defaults["input_fn"])(given, content_type)
            prediction = (steps["predict_fn"] or defaults["predict_fn"])(data, model)
            result = (steps["output_fn"] or defaults["output_fn"])(prediction, wanted)
        out, kind = result if isinstance(result, tuple) else (result, wanted)
        if hasattr(out, "get_data"):
            out, kind = out.get_data(), getattr(out, "mimetype", kind)
        return (out.encode() if isinstance(out, str) else bytes(out)), str(kind)

    serve(invoke)
