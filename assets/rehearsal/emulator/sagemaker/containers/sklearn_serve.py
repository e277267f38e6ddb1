"""Plays the model server of the scikit-learn image: the functions of the user's script, or these defaults (source:
aws/sagemaker-scikit-learn-container, `serving.py`).
"""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from model_server import Refused
from script_serve import serve_script


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


if __name__ == "__main__":
    defaults = {
        "input_fn": default_input_fn,
        "predict_fn": default_predict_fn,
        "output_fn": default_output_fn,
    }
    serve_script(defaults, "application/json")
