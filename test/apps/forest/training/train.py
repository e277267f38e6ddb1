"""Trains a random forest as in SageMaker's script mode, and serves it."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import joblib
import numpy as np
from files import read_table
from sklearn.ensemble import RandomForestRegressor


def model_fn(model_dir: str) -> RandomForestRegressor:
    return joblib.load(Path(model_dir) / "forest.joblib")


def feature_importance_fn(model: RandomForestRegressor) -> np.ndarray:
    return model.feature_importances_


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--n-estimators", type=int)
    parser.add_argument("--max-features")
    parser.add_argument("--seed", type=int)
    given = parser.parse_args()
    train = read_table(os.environ["SM_CHANNEL_TRAIN"])
    forest = RandomForestRegressor(
        given.n_estimators, max_features=given.max_features, random_state=given.seed
    ).fit(train[:, 1:], train[:, 0])
    held_out = read_table(os.environ["SM_CHANNEL_VALIDATION"])
    error = np.abs(forest.predict(held_out[:, 1:]) - held_out[:, 0]).mean()
    print(f"validation mae {error:.4f}")
    joblib.dump(forest, Path(os.environ["SM_MODEL_DIR"]) / "forest.joblib")
