"""Loads the model for the evaluation, in which the image's own code is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np


def model_fn(model_dir: str) -> Any:
    return dict(np.load(Path(model_dir) / "neighbours.npz"))


def predict_fn(inputs: np.ndarray, model: Any) -> np.ndarray:
    scaled, rows = model["inputs"] / model["scale"], inputs / model["scale"]
    distances = [(np.abs(scaled - row) ** model["power"]).sum(axis=1) for row in rows]
    nearest = [np.argsort(distance, kind="stable")[: int(model["neighbours"])] for distance in distances]
    return np.array([model["targets"][chosen].mean() for chosen in nearest])
