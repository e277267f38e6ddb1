"""Shared by the tests: small data sets and the folders that the jobs see."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any, Dict, Mapping, Sequence, Tuple

import numpy as np
import pandas as pd
import preprocess
import pytest
import xgboost


def column(name: str, kind: str = "numeric", role: str = "feature", **more: Any) -> Dict[str, Any]:
    return {"name": name, "kind": kind, "role": role, "required": True, "maxMissing": 0, **more}


def schema_document(problem_type: str = "regression", *, classes: Sequence[str] = ()) -> Dict[str, Any]:
    target = (
        column("y", role="target")
        if problem_type == "regression"
        else column("y", "categorical", "target", values=list(classes))
    )
    return {
        "version": 1,
        "name": "things",
        "problemType": problem_type,
        "columns": [
            column("id", "identifier", "none"),
            column("size", required=False, maxMissing=0.5),
            column("colour", "categorical", values=["red", "green"], required=False, maxMissing=0.5),
            column("new", "boolean"),
            column("made", "timestamp"),
            column("count", "integer"),
            target,
        ],
    }


def things(rows: int, seed: int = 0, classes: Sequence[str] = ()) -> pd.DataFrame:
    """Data whose target follows size and colour, so that a model can learn it."""
    random = np.random.default_rng(seed)
    size = random.uniform(0, 10, rows)
    red = random.integers(0, 2, rows)
    signal = size + 3 * red + random.normal(0, 0.1, rows)
    target = (
        [classes[min(int(value / 13.5 * len(classes)), len(classes) - 1)] for value in signal]
        if classes
        else [repr(float(value)) for value in signal]
    )
    return pd.DataFrame(
        {
            "size": [repr(float(value)) for value in size],
            "colour": np.where(red == 1, "red", "green"),
            "new": random.choice(["true", "false"], rows),
            "made": "2024-05-01T00:00:00Z",
            "count": [str(value) for value in random.integers(0, 100, rows)],
            "y": target,
        }
    )


class Job:
    """The folders of one run of the pipeline."""

    def __init__(self, root: Path, document: Mapping[str, Any]) -> None:
        self.root = root
        self.document = dict(document)
        self.schema = root / "schema.json"
        self.schema.write_text(json.dumps(document), encoding="utf-8")
        self.data = root / "data"
        self.outputs = {name: root / "out" / name for name in (*preprocess.SPLITS, "preprocessor")}
        self.model = root / "model"
        self.evaluation = root / "evaluation"

    def write(self, split: str, table: pd.DataFrame, name: str = "part-0.csv") -> None:
        folder = self.data / split
        folder.mkdir(parents=True, exist_ok=True)
        table.to_csv(folder / name, index=False)

    def preprocess(self) -> Dict[str, int]:
        return preprocess.run(self.data, self.schema, self.outputs)

    def matrix(self, split: str) -> Tuple[Any, Any]:
        table = pd.read_csv(
            self.outputs[split] / f"{split}.csv", header=None, float_precision="round_trip"
        ).to_numpy(dtype="float64")
        return table[:, 0], table[:, 1:]

    def train(self, parameters: Mapping[str, Any], rounds: int = 20) -> None:
        """What the built-in algorithm does: trains on the files, leaves model.tar.gz with the model in it."""
        labels, inputs = self.matrix("train")
        booster = xgboost.train(
            {"max_depth": 3, "seed": 1, "nthread": 1, **parameters}, xgboost.DMatrix(inputs, labels), rounds
        )
        self.model.mkdir(exist_ok=True)
        # XGBoost chooses the format by the name; the content is what counts.
        file = self.root / "xgboost-model.json"
        booster.save_model(str(file))
        with tarfile.open(self.model / "model.tar.gz", "w:gz") as archive:
            archive.add(file, "xgboost-model")


@pytest.fixture()
def regression(tmp_path: Path) -> Job:
    job = Job(tmp_path, schema_document())
    for index, split in enumerate(preprocess.SPLITS):
        job.write(split, things(200 if split == "train" else 60, index))
    return job


@pytest.fixture(params=[("no", "yes"), ("a", "b", "c")], ids=["binary", "multiclass"])
def classification(request: pytest.FixtureRequest, tmp_path: Path) -> Job:
    classes: Sequence[str] = request.param
    kind = "binary_classification" if len(classes) == 2 else "multiclass_classification"
    job = Job(tmp_path, schema_document(kind, classes=classes))
    for index, split in enumerate(preprocess.SPLITS):
        job.write(split, things(300 if split == "train" else 90, index, classes))
    return job


def objective(job: Job) -> Dict[str, Any]:
    kind = job.document["problemType"]
    if kind == "regression":
        return {"objective": "reg:squarederror"}
    if kind == "binary_classification":
        return {"objective": "binary:logistic"}
    return {"objective": "multi:softprob", "num_class": 3}
