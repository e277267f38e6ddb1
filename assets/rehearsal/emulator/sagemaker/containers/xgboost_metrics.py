"""The metrics that the XGBoost image computes itself (source: aws/sagemaker-xgboost-container, `metrics/custom_metrics.py`).

The image expects margins here and cuts at 0. XGBoost gives the transformed predictions of its own objectives, so that with
binary:logistic every probability counts as class 1: `accuracy`, `f1` and their like are wrong there, as in the image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Evaluate = Callable[[Any, Any], list[tuple[str, float]]]
"""Predictions and the matrix to the values by name."""

OF_LABELS: dict[str, tuple[str, dict[str, str]]] = {
    "accuracy": ("accuracy_score", {}),
    "balanced_accuracy": ("balanced_accuracy_score", {}),
    "f1": ("f1_score", {"average": "macro"}),
    "f1_binary": ("f1_score", {"average": "binary"}),
    "f1_macro": ("f1_score", {"average": "macro"}),
    "precision": ("precision_score", {}),
    "precision_macro": ("precision_score", {"average": "macro"}),
    "precision_micro": ("precision_score", {"average": "micro"}),
    "recall": ("recall_score", {}),
    "recall_macro": ("recall_score", {"average": "macro"}),
    "recall_micro": ("recall_score", {"average": "micro"}),
}
OF_NUMBERS = {
    "mse": "mean_squared_error",
    "rmse": "root_mean_squared_error",
    "mae": "mean_absolute_error",
    "r2": "r2_score",
}
OWN = (*OF_LABELS, *OF_NUMBERS)


def evaluation(names: Sequence[str]) -> Evaluate | None:
    """What computes those of the named metrics that are the image's own; None where there is none."""
    own = [name for name in names if name in OWN]
    if not own:
        return None
    import numpy
    from sklearn import metrics

    def one(name: str, predictions: Any, labels: Any) -> float:
        if name in OF_NUMBERS:
            return float(getattr(metrics, OF_NUMBERS[name])(labels, predictions))
        classes = (
            numpy.argmax(predictions, axis=-1) if predictions.ndim > 1 else (predictions > 0.0).astype(int)
        )
        function, options = OF_LABELS[name]
        return float(getattr(metrics, function)(labels, classes, **options))

    def evaluate(predictions: Any, matrix: Any) -> list[tuple[str, float]]:
        return [(name, one(name, predictions, matrix.get_label())) for name in own]

    return evaluate
