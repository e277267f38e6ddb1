"""Plays the built-in XGBoost algorithm: checks hyper-parameters and channels, trains, and leaves `xgboost-model` (source:
aws/sagemaker-xgboost-container, `algorithm_mode/train.py`, `callback.py`).
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lean_xgboost
from xgboost_data import check_channels, matrix, without_stack
from xgboost_hyperparameters import MAXIMIZED, UserError, validate
from xgboost_metrics import OWN, evaluation

BASE = Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))
MODEL = BASE / "model" / "xgboost-model"
CUSTOMER_ERRORS = (
    "label must be in [0,1] for logistic regression",
    "label must be in [0, num_class)",
    "Target is multiclass but average='binary'",
    "feature_names mismatch",
    "Check failed: preds.size() == info.labels_.size()",
    "Check failed: !auc_error AUC: the dataset only contains pos or neg samples",
    "base_score must be in (0,1) for logistic loss",
    "PoissonRegression: label must be nonnegative",
    "TweedieRegression: label must be nonnegative",
    "Parameter reg_lambda should be greater equal to 0",
)
"""Messages of XGBoost for which the user is to blame."""
NOT_FOR_BOOSTER = (
    "num_round",
    "eval_metric",
    "early_stopping_rounds",
    "csv_weights",
    "save_model_on_termination",
    "use_dask_gpu_training",
    "_tuning_objective_metric",
)


class AlgorithmError(Exception):
    """What the image calls an error of the algorithm."""


def eval_metrics(values: Mapping[str, Any]) -> list[str]:
    """What is evaluated in each round, with the metric of a tuning job."""
    named: list[str] = values.get("eval_metric") or []
    tuned = str(values.get("_tuning_objective_metric", "")).rpartition(":")[2]
    return sorted({*named, tuned}) if tuned else named


def train(values: dict[str, Any], data: Any, validation: Any) -> Any:
    """The booster."""
    xgboost = lean_xgboost.load()

    names = eval_metrics(values)
    # The metrics of the image's own replace XGBoost's of the same name; where no other is left, XGBoost adds that of the objective.
    left = [name for name in names if name not in OWN]
    parameters = {
        name: ",".join(value) if name == "updater" else value
        for name, value in values.items()
        if name not in NOT_FOR_BOOSTER
    }
    parameters.setdefault("nthread", int(os.environ.get("OMP_NUM_THREADS", "2")))
    try:
        return xgboost.train(
            {**parameters, **({"eval_metric": left} if left else {})},
            data,
            num_boost_round=values["num_round"],
            evals=[(data, "train"), *([(validation, "validation")] if validation is not None else [])],
            custom_metric=evaluation(names),
            callbacks=callbacks(values, validation is not None),
            verbose_eval=False,
        )
    except Exception as error:
        message = without_stack(error)
        if any(known in message for known in CUSTOMER_ERRORS):
            raise UserError(message) from error
        raise AlgorithmError(f"XGB train call failed with exception:\n {message}") from error


def callbacks(values: Mapping[str, Any], validated: bool) -> Sequence[Any]:
    """The log of the metrics, what keeps the model of each round, and early stopping. Without a validation channel or without eval_metric
    nothing stops early."""
    callback = lean_xgboost.load().callback
    found = [callback.EvaluationMonitor()]
    if values.get("save_model_on_termination") == "true":

        class KeepModel(callback.TrainingCallback):  # type: ignore[name-defined, misc]
            def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
                new = MODEL.with_name(".new.ubj")
                model.save_model(new)
                new.replace(MODEL)
                return False

        found.append(KeepModel())
    tuned = str(values.get("_tuning_objective_metric", "")).rpartition(":")[2]
    watched = tuned or (values.get("eval_metric") or [""])[-1]
    if validated and watched and "early_stopping_rounds" in values:
        found.append(
            callback.EarlyStopping(
                rounds=values["early_stopping_rounds"],
                data_name="validation",
                metric_name=watched,
                maximize=watched in MAXIMIZED,
                save_best=True,
            )
        )
    return found


def run() -> None:
    """Trains on the files below the base folder."""
    config = BASE / "input" / "config"
    channels: dict[str, dict[str, Any]] = json.loads((config / "inputdataconfig.json").read_text())
    values = validate(json.loads((config / "hyperparameters.json").read_text()))
    kind = check_channels(channels)
    for name in ("_kfold", "use_dask_gpu_training"):
        if values.get(name, "false") != "false":
            raise UserError(f"not rehearsed: the stand-in of the XGBoost image does not play {name}")
    data = {}
    for name in ("train", "validation"):
        if name in channels:
            folder = BASE / "input" / "data" / name
            data[name] = matrix(folder, kind, weights=values.get("csv_weights") == 1)
            if data[name] is None:
                word = "training" if name == "train" else name
                raise UserError(f"No data in {word} channel path {folder}")
    logging.info("Single node training.")
    rows, columns = data["train"].num_row(), data["train"].num_col()
    logging.info(f"Train matrix has {rows} rows and {columns} columns")
    if "validation" in data:
        logging.info(f"Validation matrix has {data['validation'].num_row()} rows")
    train(values, data["train"], data.get("validation")).save_model(MODEL)


def main() -> None:
    """Ends as the image does: the reason in the file `failure`, exit code 1."""
    logging.basicConfig(
        level=logging.INFO,
        format="[%(asctime)s:%(levelname)s] %(message)s",
        datefmt="%Y-%m-%d:%H:%M:%S",
        stream=sys.stdout,
    )
    try:
        run()
    except (UserError, AlgorithmError) as error:
        # The image writes its traceback in between, which may leave no room for the message in the FailureReason.
        failure = BASE / "output" / "failure"
        failure.parent.mkdir(parents=True, exist_ok=True)
        failure.write_text(
            f"framework error: \nsagemaker_algorithm_toolkit.exceptions.{type(error).__name__}: {error}",
            encoding="utf-8",
        )
        logging.error(str(error))
        raise SystemExit(1) from error


if __name__ == "__main__":
    main()
