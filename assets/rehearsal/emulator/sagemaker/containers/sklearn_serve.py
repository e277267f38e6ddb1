"""Plays the model server of the scikit-learn image: the functions of the user's script, or these defaults (source:
aws/sagemaker-scikit-learn-container, `serving.py`).
"""

from __future__ import annotations

from typing import Any

from script_serve import TEXT, decode, serve_script


def default_input_fn(body: Any, content_type: str) -> Any:
    """One row of CSV is an array of one dimension, which scikit-learn's models refuse."""
    found = decode(body, content_type)
    return found.astype("float32") if content_type in TEXT else found


def default_predict_fn(data: Any, model: Any) -> Any:
    return model.predict(data)


if __name__ == "__main__":
    serve_script(default_input_fn, default_predict_fn)
