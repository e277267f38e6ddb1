"""What SAGEMAKER_INFERENCE_OUTPUT selects from the predictions of the XGBoost image (source: aws/sagemaker-xgboost-container,
`algorithm_mode/serve_utils.py`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

CLASSES = ("predicted_label", "labels", "raw_score", "raw_scores")
PROBABLE = (*CLASSES, "probability", "probabilities")
KEYS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        ("reg:squarederror", "reg:logistic", "reg:gamma", "reg:absoluteerror", "reg:tweedie"),
        ("predicted_score",),
    ),
    **dict.fromkeys(("binary:logistic", "multi:softprob"), PROBABLE),
    **dict.fromkeys(("binary:logitraw", "binary:hinge", "multi:softmax"), CLASSES),
}
"""The keys that there are for an objective; all others are NaN."""


def selected(predictions: Any, keys: Sequence[str], objective: str, classes: int) -> list[dict[str, Any]]:
    """The selected values of each prediction; raises ValueError for an objective that has none."""
    if objective not in KEYS:
        raise ValueError(f"Objective `{objective}` unsupported for selectable inference predictions.")
    known = KEYS[objective]
    # The image gives what it has in an order of its own, then what it has not.
    order = ("predicted_label", "labels", "probability", "probabilities", "raw_score", "raw_scores")
    present = [key for key in (*order, "predicted_score") if key in keys and key in known]
    absent = [key for key in dict.fromkeys(keys) if key not in known]
    return [
        {
            **{key: _value(key, prediction, objective, classes) for key in present},
            **dict.fromkeys(absent, float("nan")),
        }
        for prediction in predictions
    ]


def _value(key: str, prediction: Any, objective: str, classes: int) -> Any:
    if key == "labels":
        return [0, 1] if objective.startswith("binary:") else list(range(classes))
    several = objective == "multi:softprob"
    if key == "predicted_label":
        if several:
            return int(prediction.argmax())
        cuts = {"binary:logistic": 0.5, "binary:logitraw": 0}
        return int(prediction > cuts[objective]) if objective in cuts else prediction.item()
    if key in ("probabilities", "raw_scores"):
        return prediction.tolist() if several else [1.0 - prediction.item(), prediction.item()]
    return max(prediction).item() if several else prediction.item()


def encoded(rows: list[dict[str, Any]], keys: Sequence[str], accept: str, *, batch: bool) -> str:
    """The rows in the accepted type; raises ValueError for what is not rehearsed."""
    if accept == "application/json":
        return json.dumps({"predictions": rows})
    if accept == "application/jsonlines":
        return "".join(json.dumps(row) + "\n" for row in rows)
    if accept == "text/csv":
        cells = [[_cell(row[key]) for key in keys] for row in rows]
        return "\n".join(",".join(row) for row in cells) + ("\n" if batch else "")
    raise ValueError(
        f"not rehearsed: the stand-in of the XGBoost image does not answer selected predictions as {accept}"
    )


def _cell(value: Any) -> str:
    return f'"{value}"' if isinstance(value, list) else str(value)
