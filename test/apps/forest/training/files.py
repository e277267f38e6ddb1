"""A neighbour that the script imports, in training and when it serves."""

from pathlib import Path

import numpy as np


def read_table(folder: str) -> np.ndarray:
    return np.concatenate([np.loadtxt(file, delimiter=",", ndmin=2) for file in sorted(Path(folder).glob("*.csv"))])
