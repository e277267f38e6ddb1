"""
Loads what SageMaker's XGBoost leaves, for the evaluation. The file `xgboost-model` is in XGBoost's own format,
or pickled by images before 3.2 (aws/sagemaker-xgboost-container, `algorithm_mode/train.py`).
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, List

import numpy as np
import xgboost

MODEL_FILE = "xgboost-model"


def model_fn(model_dir: str) -> xgboost.Booster:
    """The booster in the folder of an unpacked `model.tar.gz`."""
    file = Path(model_dir) / MODEL_FILE
    if not file.is_file():
        found = sorted(str(path.relative_to(model_dir)) for path in Path(model_dir).rglob("*"))
        raise FileNotFoundError(f"the model holds no {MODEL_FILE}; it holds {found}")
    booster = xgboost.Booster()
    content = file.read_bytes()
    try:
        booster.load_model(bytearray(content))
    except xgboost.core.XGBoostError:
        booster = pickle.loads(content)  # the training job of this very run wrote it
    return booster


def predict_fn(inputs: Any, booster: xgboost.Booster) -> Any:
    """One number a row, or one probability a class; up to the best round, if training stopped early."""
    best = booster.attr("best_iteration")
    rounds = (
        booster.num_boosted_rounds() if best is None else min(int(best) + 1, booster.num_boosted_rounds())
    )
    return booster.predict(xgboost.DMatrix(inputs), iteration_range=(0, rounds))


def feature_importance_fn(booster: xgboost.Booster) -> List[float]:
    """The gain of all splits that each input brought, in the order of the inputs."""
    gains = {
        str(key): float(np.sum(gain)) for key, gain in booster.get_score(importance_type="total_gain").items()
    }
    return [gains.get(f"f{index}", 0.0) for index in range(booster.num_features())]
