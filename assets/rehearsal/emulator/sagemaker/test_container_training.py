"""The built-in algorithm of the XGBoost image, trained: a test for each row of `containers/README.md`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost

from emulator.sagemaker import SageMaker
from emulator.sagemaker.fake_host import FakeHost
from emulator.sagemaker.test_container_scripts import container
from emulator.sagemaker.test_scenario import XGBOOST
from emulator.sagemaker.test_stand_ins import train as start

ROWS = [(2 * a + b, a, b) for a in range(8) for b in range(8)]
CSV = "".join(f"{label},{a},{b}\n" for label, a, b in ROWS)
CLASSES = "".join(f"{int(a > b)},{a},{b}\n" for _, a, b in ROWS)
LIBSVM = "".join(f"{label} 0:{a} 1:{b}\n" for label, a, b in ROWS)
BINARY = {"objective": "binary:logistic"}
REGRESSION = {"objective": "reg:squarederror"}

Fit = Callable[..., list[str]]
"""Hyper-parameters, files by path and the content type to the lines of metrics; raises where the algorithm does."""


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    module = container("xgboost_train")
    monkeypatch.setattr(module, "BASE", tmp_path)
    monkeypatch.setattr(module, "MODEL", tmp_path / "model" / "xgboost-model")
    for folder in ("input/config", "input/data", "model", "output"):
        (tmp_path / folder).mkdir(parents=True)
    return tmp_path


@pytest.fixture
def fit(base: Path, capsys: pytest.CaptureFixture[str]) -> Fit:
    def run(
        hyper: dict[str, str] | None = None,
        files: dict[str, str | bytes] | None = None,
        content_type: str | None = "text/csv",
        mode: str = "File",
    ) -> list[str]:
        files = files or {"train/a": CSV}
        for name, content in files.items():
            path = base / "input" / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        settings = {"TrainingInputMode": mode, **({"ContentType": content_type} if content_type else {})}
        channels = {name.split("/")[0]: settings for name in files}
        (base / "input/config/inputdataconfig.json").write_text(json.dumps(channels))
        (base / "input/config/hyperparameters.json").write_text(
            json.dumps({"num_round": "2", **(hyper or {})})
        )
        capsys.readouterr()
        container("xgboost_train").run()
        return [line for line in capsys.readouterr().out.splitlines() if line.startswith("[")]

    return run


def values(lines: list[str]) -> dict[str, float]:
    """The metrics of the last round."""
    return {name: float(value) for name, value in re.findall(r"\t([\w@.-]+):(\S+)", lines[-1])}


def directly(rows: Any, rounds: int = 2, **more: Any) -> float:
    """The rmse of XGBoost itself."""
    table = np.array(rows, dtype=float)
    data = xgboost.DMatrix(table[:, 1:], label=table[:, 0], weight=more.pop("weight", None))
    found: dict[str, Any] = {}
    xgboost.train(more, data, rounds, evals=[(data, "train")], evals_result=found, verbose_eval=False)
    return float(found["train"]["rmse"][-1])


@pytest.mark.parametrize(
    ("hyper", "said"),
    [
        ({}, "Missing required hyperparameter: num_round"),
        ({"num_round": "0"}, "Hyperparameter num_round: 0 is not in [1, +inf)"),
        ({"num_round": "2.0"}, "Hyperparameter num_round: could not parse value (caused by ValueError)"),
        ({"num_round": "1", "depth": "3"}, "Extraneous hyperparameter found: depth"),
        ({"num_round": "1", "sagemaker_region": "x"}, "Extraneous hyperparameter found: sagemaker_region"),
        ({"num_round": "1", "eta": "2"}, "Hyperparameter eta: 2.0 is not in [0, 1]"),
        ({"num_round": "1", "learning_rate": "2"}, "Hyperparameter eta: 2.0 is not in [0, 1]"),
        ({"num_round": "1", "subsample": "0"}, "Hyperparameter subsample: 0.0 is not in (0, 1]"),
        (
            {"num_round": "1", "tweedie_variance_power": "2"},
            "Hyperparameter tweedie_variance_power: 2.0 is not in (1, 2)",
        ),
        ({"num_round": "1", "verbosity": "4"}, "Hyperparameter verbosity: 4 is not in [0, 3]"),
        (
            {"num_round": "1", "booster": "x"},
            "Hyperparameter booster: x is not in ['gbtree', 'gblinear', 'dart']",
        ),
        (
            {"num_round": "1", "objective": '"reg:linear"'},
            'Hyperparameter objective: "reg:linear" is not in [',
        ),
        (
            {"num_round": "1", "eval_metric": "rmse, mae"},
            "Hyperparameter eval_metric: value ['rmse', ' mae'] not in range [",
        ),
        ({"num_round": "1", "eval_metric": "auc@0.3"}, "Metric 'auc@0.3' is not supported."),
        (
            {"num_round": "1", "eval_metric": "error@x"},
            "Threshold value 't' in 'error@t' expects float input.",
        ),
        (
            {"num_round": "1", "_tuning_objective_metric": "train:rmse"},
            "Hyperparameter _tuning_objective_metric: train:rmse is",
        ),
    ],
)
def test_hyper_parameters(hyper: dict[str, str], said: str) -> None:
    module = container("xgboost_hyperparameters")
    with pytest.raises(module.UserError) as caught:
        module.validate(hyper)
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("hyper", "said"),
    [
        ({"objective": "multi:softmax"}, "Require input for parameter 'num_class' for multi-classification"),
        ({"eval_metric": "rmse"}, "'objective'"),
        ({**REGRESSION, "eval_metric": "auc"}, "Metric 'auc' can only be applied for classification"),
        ({**REGRESSION, "eval_metric": "aft-nloglik"}, "Metric 'aft-nloglik' can only be applied for"),
        ({"monotone_constraints": "(1,0)"}, "monotone_constraints can be used only when the tree_method"),
        ({"interaction_constraints": "[[1,2]]"}, "interaction_constraints can be used only when the"),
        (
            {"interaction_constraints": "[[0,1]]", "tree_method": "hist"},
            "Hyperparameter interaction_constraints: value",
        ),
        ({"updater": "shotgun"}, "Tree updater should be selected from"),
        ({"updater": "prune", "booster": "gblinear"}, "Linear updater should be one of"),
        ({"updater": "sync", "process_type": "update"}, "process_type 'update' can only be used with"),
        ({"updater": "distcol,grow_colmaker"}, "Only one tree grow plugin can be selected."),
    ],
)
def test_hyper_parameters_together(hyper: dict[str, str], said: str) -> None:
    module = container("xgboost_hyperparameters")
    with pytest.raises(module.UserError) as caught:
        module.validate({"num_round": "1", **hyper})
    assert str(caught.value).startswith(said)


def test_failure(fit: Fit, base: Path) -> None:
    with pytest.raises(Exception, match="Extraneous"):
        fit({"depth": "3"})
    with pytest.raises(SystemExit) as caught:
        container("xgboost_train").main()
    assert caught.value.code == 1
    assert (base / "output/failure").read_text() == (
        "framework error: \nsagemaker_algorithm_toolkit.exceptions.UserError: Extraneous hyperparameter found: depth"
    )
    with pytest.raises(
        Exception, match=r"^XGB train call failed with exception:\n .*base_score must be in \(0,1\)"
    ):
        fit(BINARY)


@pytest.mark.parametrize(
    ("files", "kind", "said"),
    [
        ({"validation/a": CSV}, "text/csv", "'SM_CHANNEL_TRAIN'"),
        ({"train/a": CSV, "test/a": CSV}, "text/csv", "Extraneous channel found: test"),
        (
            {"train/a": CSV},
            "text/csv; charset=utf-8",
            "Channel configuration for 'train' channel is not supported: {",
        ),
        (
            {"train/a": CSV},
            "application/json",
            "Channel configuration for 'train' channel is not supported: {",
        ),
        ({"train/a": CSV}, None, "First line '0,0,0"),
    ],
)
def test_channels(fit: Fit, files: dict[str, str], kind: str | None, said: str) -> None:
    with pytest.raises(Exception, match=f"^{re.escape(said)}"):
        fit({}, files, kind)


def test_pipe_mode(fit: Fit) -> None:
    with pytest.raises(Exception, match="^Pipe mode for CSV is no longer supported"):
        fit(mode="Pipe")
    with pytest.raises(Exception, match="^Channel configuration for 'train' channel is not supported"):
        fit({}, {"train/a": LIBSVM}, "text/libsvm", mode="Pipe")


def test_csv_of_training(fit: Fit, base: Path) -> None:
    assert values(fit())["train-rmse"] == pytest.approx(directly(ROWS), abs=1e-5)
    assert values(fit({}, {"train/a": CSV.replace(",", ";")})) == values(fit())
    lines = fit({}, {"train/a": "rings,height,length\n" + CSV})
    assert lines[0].startswith("[WARNING] line 1 of a is not numeric: 'rings,height,length'")
    with_header = [(0, np.nan, np.nan), *ROWS]
    assert values(lines)["train-rmse"] == pytest.approx(directly(with_header), abs=1e-5)
    odd = fit({}, {"train/a": "1,2,3\n2,x,4\n3,,5\n4,5\n"})
    missing = [(1, 2, 3), (2, np.nan, 4), (3, np.nan, 5), (4, 5, np.nan)]
    assert values(odd)["train-rmse"] == pytest.approx(directly(missing), abs=1e-5)


def test_weights(fit: Fit) -> None:
    weights = [1 + index % 3 for index in range(len(ROWS))]
    text = "".join(f"{y},{w},{a},{b}\n" for (y, a, b), w in zip(ROWS, weights, strict=True))
    found = values(fit({"csv_weights": "1"}, {"train/a": text}))
    assert found["train-rmse"] == pytest.approx(directly(ROWS, weight=weights), abs=1e-5)


def test_libsvm_of_training(fit: Fit) -> None:
    assert values(fit({}, {"train/a": LIBSVM}, None)) == values(fit())
    weighted = "".join(f"{y}:{1 + a} 0:{a} 1:{b}\n" for y, a, b in ROWS)
    found = values(fit({}, {"train/a": weighted}, "text/x-libsvm"))
    assert found["train-rmse"] == pytest.approx(directly(ROWS, weight=[1 + a for _, a, _ in ROWS]), abs=1e-5)
    with pytest.raises(Exception, match="is not 'LIBSVM' format"):
        fit({}, {"train/a": "1 a b\n"}, "libsvm")


def test_parquet(fit: Fit) -> None:
    import io

    import pandas

    stream = io.BytesIO()
    pandas.DataFrame(ROWS, columns=["y", "a", "b"]).to_parquet(stream)
    assert values(fit({}, {"train/a": stream.getvalue()}, "application/x-parquet")) == values(fit())


def test_recordio_of_training(fit: Fit) -> None:
    with pytest.raises(Exception, match="^not rehearsed:"):
        fit({}, {"train/a": "x"}, "application/x-recordio-protobuf")


def test_folders(fit: Fit) -> None:
    half = len(CSV.splitlines()) // 2
    lines = CSV.splitlines(keepends=True)
    parts = {"train/x/a": "".join(lines[:half]).rstrip(), "train/_b": "".join(lines[half:])}
    assert values(fit({}, parts)) == values(fit({}, {"train/x/a": CSV, "train/_b": ""}))
    with pytest.raises(Exception, match="^No data in validation channel path"):
        fit({}, {"train/a": CSV, "validation/a": ""})
    with pytest.raises(Exception, match="^Hidden file found in the data path!"):
        fit({}, {"train/a": CSV, "train/.b": ""})


def test_log(sm: SageMaker, host: FakeHost) -> None:
    host.objects["b", "rows"] = CSV.encode()
    definitions = [{"Name": "own", "Regex": r"\[1\]#011train-rmse:(\S+)"}]
    specification = {"TrainingImage": XGBOOST, "TrainingInputMode": "File", "MetricDefinitions": definitions}
    hyper = {"num_round": "2"}
    described = start(sm, host, XGBOOST, AlgorithmSpecification=specification, HyperParameters=hyper)
    found = {entry["MetricName"]: entry["Value"] for entry in described["FinalMetricDataList"]}
    assert found["train:rmse"] == found["own"] == pytest.approx(directly(ROWS), abs=1e-5)
    log = [line for lines in host.logs.values() for line in lines]
    assert [line.split(":")[0] for line in log if "#011" in line] == [
        "[0]#011train-rmse",
        "[1]#011train-rmse",
    ]


def test_own_metrics(fit: Fit) -> None:
    files = {"train/a": CLASSES}
    found = values(fit({**BINARY, "eval_metric": "accuracy,f1,mse,logloss"}, files))
    # Every row counts as class 1.
    share = sum(a > b for _, a, b in ROWS) / len(ROWS)
    assert found["train-accuracy"] == pytest.approx(share, abs=1e-5)
    assert list(found) == ["train-logloss", "train-accuracy", "train-f1", "train-mse"]
    assert "train-logloss" in values(fit({**BINARY, "eval_metric": "f1"}, files)), (
        "that of the objective is added"
    )


def test_early_stopping(fit: Fit, base: Path) -> None:
    files = {"train/a": CSV, "validation/a": "9,1,1\n9,2,2\n"}
    hyper = {**REGRESSION, "num_round": "40", "eta": "1", "early_stopping_rounds": "3"}
    assert len(fit(hyper, files)) == 40
    stopped = fit({**hyper, "eval_metric": "mae,rmse"}, files)
    assert 4 <= len(stopped) < 40
    kept = xgboost.Booster(model_file=str(base / "model/xgboost-model"))
    assert kept.num_boosted_rounds() == len(stopped) - 3
    assert len(fit({**hyper, "_tuning_objective_metric": "validation:rmse"}, files)) == len(stopped)
    (base / "input/data/validation/a").unlink()
    assert len(fit({**hyper, "eval_metric": "rmse"})) == 40


def test_model(fit: Fit, base: Path) -> None:
    fit()
    assert [path.name for path in (base / "model").iterdir()] == ["xgboost-model"]
    content = (base / "model/xgboost-model").read_bytes()
    assert (
        content.startswith(b"{L") and xgboost.Booster(model_file=bytearray(content)).num_boosted_rounds() == 2
    )


def test_kept_on_termination(fit: Fit, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    replace = Path.replace

    def record(self: Path, target: Path) -> Path:
        done = replace(self, target)
        seen.append(xgboost.Booster(model_file=str(target)).num_boosted_rounds())
        return done

    monkeypatch.setattr(Path, "replace", record)
    fit({"save_model_on_termination": "true", "num_round": "3"})
    assert seen == [1, 2, 3] and [path.name for path in (base / "model").iterdir()] == ["xgboost-model"]


def test_checkpoints(sm: SageMaker, host: FakeHost) -> None:
    host.objects["b", "rows"] = CSV.encode()
    checkpoints = {"S3Uri": "s3://b/checkpoints"}
    start(sm, host, XGBOOST, CheckpointConfig=checkpoints, HyperParameters={"num_round": "1"})
    assert any(kind == "not-rehearsed" and "CheckpointConfig" in text for kind, text, _ in host.notes)


def test_cross_validation(fit: Fit) -> None:
    for hyper in ({"_kfold": "3"}, {"use_dask_gpu_training": "true"}):
        with pytest.raises(Exception, match="^not rehearsed:"):
            fit(hyper)
