"""The loader of XGBoost models, and the program that runs a training script of a team."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict

import numpy as np
import pytest
import xgboost
import xgboost_model

HERE = Path(__file__).parent
INPUTS = np.arange(40, dtype="float64").reshape(20, 2)


def trained(rounds: int = 3) -> xgboost.Booster:
    return xgboost.train({"max_depth": 2}, xgboost.DMatrix(INPUTS, INPUTS.sum(axis=1)), rounds)


def test_a_model_of_today_and_of_older_images(tmp_path: Path) -> None:
    booster = trained()
    expected = booster.predict(xgboost.DMatrix(INPUTS))
    for content in (bytes(booster.save_raw(raw_format="ubj")), pickle.dumps(booster)):
        (tmp_path / "xgboost-model").write_bytes(content)
        loaded = xgboost_model.model_fn(str(tmp_path))
        assert np.array_equal(xgboost_model.predict_fn(INPUTS, loaded), expected)
        assert len(xgboost_model.feature_importance_fn(loaded)) == 2


def test_predicts_up_to_the_best_round() -> None:
    booster = trained(10)
    booster.set_attr(best_iteration="3")
    expected = booster.predict(xgboost.DMatrix(INPUTS), iteration_range=(0, 4))
    assert np.array_equal(xgboost_model.predict_fn(INPUTS, booster), expected)


def test_a_model_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    with pytest.raises(FileNotFoundError, match=r"the model holds no xgboost-model; it holds \['other'\]"):
        xgboost_model.model_fn(str(tmp_path))


SCRIPT = """
import argparse, json, os, pathlib
import neighbour
parser = argparse.ArgumentParser()
parser.add_argument("--depth", type=int)
parser.add_argument("--name")
given = vars(parser.parse_args())
rows = pathlib.Path(os.environ["SM_CHANNEL_TRAIN"], "train.csv").read_text()
told = {"given": given, "rows": rows, "hps": json.loads(os.environ["SM_HPS"]), "says": neighbour.SAYS}
pathlib.Path(os.environ["SM_MODEL_DIR"], "model.json").write_text(json.dumps(told))
"""


SERVED = """
import numpy as np
import neighbour

class Doubles:
    def predict(self, inputs):
        assert inputs.ndim == 2
        return inputs[:, 0] * 2

def model_fn(model_dir):
    return Doubles()
"""
ASK = """
import sys
sys.path.insert(0, sys.argv[1])
import cdk_mlops_serving as serving
model = serving.model_fn(sys.argv[1])
for body in ("1,2", b"0.1,0\\n0.3,0\\n"):
    print(serving.output_fn(serving.predict_fn(serving.input_fn(body, "text/csv; charset=utf-8"), model), "text/csv"))
"""


class Job:
    """A training job with a script: `/opt/ml` and the zip as CDK makes it."""

    def __init__(self, root: Path, script: str) -> None:
        self.base = root / "opt" / "ml"
        for folder in ("input/config", "input/data/train", "model", "output/data"):
            (self.base / folder).mkdir(parents=True)
        (self.base / "input/data/train/train.csv").write_text("1,2")
        self.hyper_parameters({"depth": "3", "name": "a b", "sagemaker_region": "x"})
        code = root / "code"
        shutil.copytree(HERE / "script", code, ignore=shutil.ignore_patterns("__pycache__"))
        (code / "source").mkdir()
        (code / "source" / "train.py").write_text(script)
        (code / "source" / "neighbour.py").write_text("SAYS = 'hello'")
        self.archive = Path(shutil.make_archive(str(root / "code"), "zip", code))

    def hyper_parameters(self, values: Dict[str, str]) -> None:
        (self.base / "input/config/hyperparameters.json").write_text(json.dumps(values))

    def run(self) -> int:
        environment = {**os.environ, "SAGEMAKER_BASE_DIR": str(self.base)}
        command = [sys.executable, str(self.archive), "train.py"]
        return subprocess.run(command, env=environment, check=False).returncode

    def failure(self) -> str:
        return (self.base / "output/failure").read_text()


def test_a_script_sees_what_script_mode_gives(tmp_path: Path) -> None:
    job = Job(tmp_path, SCRIPT)
    assert job.run() == 0
    assert json.loads((job.base / "model/model.json").read_text()) == {
        "given": {"depth": 3, "name": "a b"},
        "rows": "1,2",
        "hps": {"depth": 3, "name": "a b"},
        "says": "hello",
    }
    packed = sorted(path.name for path in (job.base / "model/code").iterdir())
    assert packed == ["cdk_mlops_serving.py", "neighbour.py", "train.py"]


def test_a_script_that_fails_or_leaves_nothing(tmp_path: Path) -> None:
    failing = Job(tmp_path / "failing", "raise SystemExit(3)")
    assert failing.run() == 3
    assert failing.failure() == "train.py ended with exit code 3; its log says why"
    idle = Job(tmp_path / "idle", "print('done')")
    assert idle.run() == 1
    assert "train.py left no model" in idle.failure()


def test_a_script_that_says_why_is_believed(tmp_path: Path) -> None:
    script = "import os, pathlib, sys\npathlib.Path(os.environ['SM_OUTPUT_DIR'], 'failure').write_text('too little')\nsys.exit(1)"
    job = Job(tmp_path, script)
    assert job.run() == 1
    assert job.failure() == "too little"


def serve(folder: Path, script: str) -> str:
    """What the answers to one row and to two rows are."""
    shutil.copy(HERE / "script" / "cdk_mlops_serving.py", folder)
    (folder / "train.py").write_text(script)
    (folder / "neighbour.py").touch()
    environment = {**os.environ, "CDK_MLOPS_ENTRY_POINT": "train.py"}
    command = [sys.executable, "-c", ASK, str(folder)]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


def test_what_a_script_does_not_serve_itself(tmp_path: Path) -> None:
    assert serve(tmp_path, SERVED).splitlines() == [
        "('2\\n', 'text/csv')",
        "('0.20000000000000001\\n0.59999999999999998\\n', 'text/csv')",
    ]


def test_functions_of_the_script_come_first(tmp_path: Path) -> None:
    own = (
        "def model_fn(model_dir): return 3\n"
        "def input_fn(body, content_type): return content_type\n"
        "def predict_fn(inputs, model): return [inputs, model]\n"
        "def output_fn(prediction, accept): return str(prediction), accept\n"
    )
    assert serve(tmp_path, own).splitlines() == ["(\"['text/csv; charset=utf-8', 3]\", 'text/csv')"] * 2
