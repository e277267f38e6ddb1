"""How near a stand-in comes to its image: what is told of it, and that XGBoost's is the library itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost

from emulator.sagemaker import SageMaker, image_fidelity
from emulator.sagemaker.fake_host import FakeHost
from emulator.sagemaker.image_contents import CONTAINERS, KNOWN, PYTHON
from emulator.sagemaker.image_fidelity import compare

ECR = "683313688378.dkr.ecr.us-east-1.amazonaws.com"
SKLEARN, XGBOOST = "sagemaker-scikit-learn", "sagemaker-xgboost"
HERE = {"scikit-learn": "1.9.0", "xgboost": "3.2.0", PYTHON: "3.12", "numpy": "2.5.1", "pandas": "2.2.3"}


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    versions = {**HERE, "scipy": "1.18.0", "pyarrow": "25.0.0", "joblib": "1.5.3"}
    monkeypatch.setattr(image_fidelity, "installed", versions.get)
    return versions


class TestFidelity:
    def test_every_version_is_that_of_the_image(self, installed: dict[str, str]) -> None:
        found = compare("u", "1.9-0-cpu-py3", KNOWN[SKLEARN])
        assert (found.level, found.summary) == ("exact", "")
        assert all(there == here for _, there, here in found.libraries)

    def test_only_other_libraries_differ(self, installed: dict[str, str]) -> None:
        del installed["pyarrow"]
        found = compare("u", "3.2-0", KNOWN[XGBOOST])
        assert found.level == "near"
        assert found.summary == (
            "played by xgboost 3.2.0, as in the image, with numpy 2.5.1 instead of 2.1.0, scipy 1.18.0 instead"
            " of 1.15.0, scikit-learn 1.9.0 instead of 1.8.0, pyarrow missing instead of 22.0.0"
        )

    @pytest.mark.parametrize(
        ("tag", "stand_in", "summary"),
        [
            ("1.2-1-cpu-py3", SKLEARN, "played by scikit-learn 1.9.0 instead of 1.2.1"),
            ("1.7-1", XGBOOST, "played by xgboost 3.2.0 instead of 1.7.4"),
            ("1.5-1", XGBOOST, "played by xgboost 3.2.0; what the image holds is not known"),
            (None, XGBOOST, "played by xgboost 3.2.0; what the image holds is not known"),
        ],
    )
    def test_another_version_of_the_library_itself(
        self, installed: dict[str, str], tag: str | None, stand_in: str, summary: str
    ) -> None:
        found = compare("u", tag, KNOWN[stand_in])
        assert (found.level, found.summary) == ("other", summary)

    def test_an_own_stand_in(self, installed: dict[str, str]) -> None:
        found = compare("u", "1.9-0-cpu-py3", KNOWN[SKLEARN], own=True)
        assert found.level == "other"
        assert found.summary == (
            "as the stand-in sagemaker-scikit-learn, which was chosen for it: played by scikit-learn 1.9.0; what"
            " the image holds is not known"
        )
        assert {there for _, there, _ in found.libraries} == {None}

    def test_what_is_installed_is_what_the_images_are_named_after(self) -> None:
        if sys.version_info >= (3, 11):
            assert compare("u", "1.9-0-cpu-py3", KNOWN[SKLEARN]).level != "other"
        assert compare("u", "3.2-0", KNOWN[XGBOOST]).level != "other"

    def test_is_told_once_for_an_image_with_a_warning(
        self, host: FakeHost, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CDK_MLOPS_STAND_INS", json.dumps({"team/mine": XGBOOST}))
        service = SageMaker(host)
        images = [f"{ECR}/{SKLEARN}:1.2-1-cpu-py3", f"{ECR}/{XGBOOST}:1.7-1", f"{ECR}/team/mine:1"]
        for uri in [*images, *images]:
            service.images.stand_in(uri)
        service.close()
        told = [message for kind, message, _ in host.notes if kind == "warning"]
        assert [message.split(":")[0] for message in told] == [
            f"image {ECR}/{n}" for n in (SKLEARN, XGBOOST, "team/mine")
        ]
        assert [entry["level"] for entry in service.images.fidelity()] == ["other"] * 3
        assert {entry["standIn"] for entry in service.images.fidelity()} == {SKLEARN, XGBOOST}


def few_small_steps() -> tuple[Any, dict[str, str]]:
    """A target far from 0.5, and so little learning that the starting point decides the metric."""
    rng = np.random.default_rng(3)
    features = rng.uniform(size=(400, 3)).astype(np.float32)
    target = (1000 + 40 * features[:, 0] - 25 * features[:, 1]).astype(np.float32)
    hyper = {"num_round": "12", "eta": "0.05", "max_depth": "3", "objective": "reg:squarederror", "seed": "1"}
    return np.column_stack([target, features]), hyper


def train_as_the_image(base: Path, table: Any, hyper: dict[str, str]) -> xgboost.Booster:
    config, channel = base / "input" / "config", base / "input" / "data" / "train"
    for folder in (config, channel, base / "model"):
        folder.mkdir(parents=True)
    (config / "hyperparameters.json").write_text(json.dumps(hyper))
    settings = {"ContentType": "text/csv", "TrainingInputMode": "File"}
    (config / "inputdataconfig.json").write_text(json.dumps({"train": settings}))
    np.savetxt(channel / "part.csv", table, delimiter=",", fmt="%.9g")
    environment = {**os.environ, "SAGEMAKER_BASE_DIR": str(base)}
    subprocess.run([sys.executable, str(CONTAINERS / "xgboost_train.py")], env=environment, check=True)
    booster = xgboost.Booster()
    booster.load_model(bytearray((base / "model" / "xgboost-model").read_bytes()))
    return booster


def r2(booster: xgboost.Booster, table: Any) -> float:
    error = table[:, 0] - booster.predict(xgboost.DMatrix(table[:, 1:]))
    return float(1 - (error**2).sum() / ((table[:, 0] - table[:, 0].mean()) ** 2).sum())


def test_training_gives_the_metric_of_the_library_where_the_starting_point_decides(tmp_path: Path) -> None:
    table, hyper = few_small_steps()
    parameters = {"eta": 0.05, "max_depth": 3, "objective": "reg:squarederror", "seed": 1}

    def directly(**more: float) -> float:
        data = xgboost.DMatrix(table[:, 1:], label=table[:, 0])
        return r2(xgboost.train({**parameters, **more}, data, num_boost_round=12), table)

    played = r2(train_as_the_image(tmp_path, table, hyper), table)
    assert xgboost.__version__ == "3.2.0"
    assert played == pytest.approx(directly(), abs=1e-6)
    # What XGBoost 1.7 starts from: the same data and hyper-parameters are then worth nothing.
    assert played > 0.5 and directly(base_score=0.5) < -10
