"""The program `train` of the image: `/opt/ml/input` to `/opt/ml/model`."""

from __future__ import annotations

import json
import os

import numpy as np
from model import BASE, POWERS, fitted, read_table

given = json.loads((BASE / "input/config/hyperparameters.json").read_text())
model = fitted(
    *read_table("train"), neighbours=int(given["neighbours"]), power=POWERS[os.environ["DISTANCE"]]
)
targets, inputs = read_table("validation")
print(f"validation mae {np.abs(model.predict(inputs) - targets).mean():.4f}")
model.save(BASE / "model")
