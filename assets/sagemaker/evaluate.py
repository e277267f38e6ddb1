"""Measures the trained model on the test split."""

from __future__ import annotations

import importlib.util
import json
import math
import sys
import tarfile
import tempfile
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any, Callable, Dict, List, Sequence, Tuple

import numpy as np
import pandas as pd
from contract import BINARY, Contract, ContractError, parse_contract, read_document
from features import feature_names
from sklearn import metrics

SAMPLE_ROWS = 2000

Array = Any  # numpy arrays; their type parameters differ between the versions that this runs on


class Model:
    """A trained model behind the functions of its loader, see `ModelLoader` of the library."""

    def __init__(self, folder: Path, loader: Path) -> None:
        self._name = loader.name
        self._module = self._ask("the code", lambda: _module_of(loader))
        if not hasattr(self._module, "model_fn"):
            raise ContractError(f"{loader.name} has no function model_fn(model_dir), which loads the model")
        self._model = self._ask("model_fn", lambda: self._module.model_fn(str(folder)))

    def predict(self, inputs: Array) -> Array:
        """One number a row, or one probability a class."""
        own = getattr(self._module, "predict_fn", None)

        def ask() -> Array:
            answer = own(inputs, self._model) if own else self._model.predict(inputs)
            return np.asarray(answer, dtype="float64")

        scores = self._ask("predict_fn", ask)
        return scores[:, 0] if scores.ndim == 2 and scores.shape[1] == 1 else scores

    def importance(self, names: List[str]) -> Dict[str, float]:
        """Share of each input in what decides, the greatest first; empty where the loader does not tell."""
        own = getattr(self._module, "feature_importance_fn", None)
        if own is None:
            return {}
        values = [float(value) for value in self._ask("feature_importance_fn", lambda: own(self._model))]
        total = sum(values) or 1.0
        shares = {name: _rounded(value / total) for name, value in zip(names, values)}
        return dict(sorted(shares.items(), key=lambda item: (-item[1], item[0])))

    def _ask(self, function: str, call: Callable[[], Any]) -> Any:
        """What a function of the loader answers; where it fails, the log has all of it and the message the reason."""
        try:
            return call()
        except Exception as error:
            traceback.print_exc()
            raise ContractError(
                f"{function} of {self._name} failed: {type(error).__name__}: {error}"
            ) from error


def regression_metrics(truth: Array, predicted: Array) -> Dict[str, Dict[str, float]]:
    """Errors with their standard error, and the share of the variance that is explained (if there is any)."""
    squared = (truth - predicted) ** 2
    absolute = np.abs(truth - predicted)
    mse = float(squared.mean())
    result = {
        "mse": _measured(mse, squared),
        "mae": _measured(float(absolute.mean()), absolute),
        "rmse": {"value": _rounded(math.sqrt(mse))},
    }
    if len(truth) > 1 and float(np.var(truth)) > 0:
        result["r2"] = {"value": _rounded(float(metrics.r2_score(truth, predicted)))}
    return result


def classification_metrics(truth: Array, scores: Array, classes: int) -> Dict[str, Dict[str, float]]:
    """Binary: of class 1. More classes: weighted by their frequency, the AUC of each against the rest."""
    predicted = predicted_classes(scores)
    average = "binary" if classes == 2 else "weighted"
    hits = (truth == predicted).astype("float64")
    result = {
        "accuracy": _measured(float(hits.mean()), hits),
        "precision": _plain(metrics.precision_score(truth, predicted, average=average, zero_division=0)),
        "recall": _plain(metrics.recall_score(truth, predicted, average=average, zero_division=0)),
        "f1": _plain(metrics.f1_score(truth, predicted, average=average, zero_division=0)),
    }
    if len(set(truth.tolist())) == classes:
        if classes == 2:
            result["auc"] = _plain(metrics.roc_auc_score(truth, scores))
        else:
            # Single precision does not add up to 1 closely enough for every version of scikit-learn.
            shares = scores.astype("float64") / scores.astype("float64").sum(axis=1, keepdims=True)
            result["auc"] = _plain(
                metrics.roc_auc_score(truth, shares, multi_class="ovr", labels=list(range(classes)))
            )
    return result


def predicted_classes(scores: Array) -> Array:
    """Index of the most likely class of each row."""
    classes: Array = (scores >= 0.5).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)
    return classes


def report(truth: Array, scores: Array, contract: Contract) -> Dict[str, Any]:
    """The content of `evaluation.json`."""
    if contract.is_regression:
        return {"regression_metrics": regression_metrics(truth, scores), "rows": len(truth)}
    section = (
        "binary_classification_metrics"
        if contract.problem_type == BINARY
        else "multiclass_classification_metrics"
    )
    counts = {value: int((truth == index).sum()) for index, value in enumerate(contract.target.values)}
    measured = classification_metrics(truth, scores, len(contract.target.values))
    return {section: measured, "rows": len(truth), "rows_by_class": counts}


def measure_required(
    measured: Dict[str, Dict[str, float]],
    required: Sequence[str],
    truth: Array,
    scores: Array,
    contract: Contract,
) -> None:
    """
    Adds what the gate asks for beside the metrics that are always measured: functions of `sklearn.metrics`, by their
    name. What the test split cannot tell must not look like a number.
    """
    predicted = scores if contract.is_regression else predicted_classes(scores)
    for name in required:
        if name in measured:
            continue
        if name == "auc":
            absent = [
                value for index, value in enumerate(contract.target.values) if not (truth == index).any()
            ]
            raise ContractError(
                f"auc cannot be measured: split 'test' has no row of class {absent} of "
                f"{contract.target.name!r}; "
                "give more data, or gate on another metric"
            )
        if name == "r2":
            raise ContractError(
                f"r2 cannot be measured: {contract.target.name!r} is the same in all rows of split 'test'"
            )
        function = getattr(metrics, name, None)
        if function is None:
            raise ContractError(f"the gate asks for metric {name!r}; measured are {sorted(measured)}")
        try:
            measured[name] = _plain(function(truth, predicted))
        except ValueError as error:
            raise ContractError(f"{name} cannot be measured: {error}") from error


def sample(truth: Array, scores: Array, contract: Contract) -> pd.DataFrame:
    """Truth and prediction of up to 2000 evenly spaced rows; classes by name, with their probabilities."""
    rows = np.unique(np.linspace(0, len(truth) - 1, num=min(SAMPLE_ROWS, len(truth))).astype(int))
    truth, scores = truth[rows], scores[rows]
    if contract.is_regression:
        return pd.DataFrame({"truth": truth, "prediction": scores.astype("float64")})
    values = contract.target.values
    table = pd.DataFrame(
        {
            "truth": [values[int(index)] for index in truth],
            "prediction": [values[int(index)] for index in predicted_classes(scores)],
        }
    )
    shares = np.column_stack([1 - scores, scores]) if scores.ndim == 1 else scores
    for index, value in enumerate(values):
        table[f"probability={value}"] = shares[:, index].astype("float64")
    return table


def run(
    model: Path, loader: Path, test: Path, schema: Path, evaluation: Path, required: Sequence[str] = ()
) -> Dict[str, Any]:
    """
    Writes `evaluation.json` and `predictions.csv`; returns the former. `loader` is the file that loads the
    model; a relative path is one in the model's archive.
    """
    contract = parse_contract(read_document(schema))
    truth, inputs = _read_test(test, len(feature_names(contract)))
    with tempfile.TemporaryDirectory() as work:
        folder = _unpacked(model, Path(work))
        loaded = Model(folder, _loader_file(loader, folder))
        scores = loaded.predict(inputs)
        importance = loaded.importance(feature_names(contract))
    if not np.isfinite(scores).all():
        raise ContractError("the model predicts values that are not finite numbers")
    _check_shape(scores, len(truth), contract)
    document = report(truth, scores, contract)
    measured = next(content for key, content in document.items() if key.endswith("_metrics"))
    measure_required(measured, required, truth, scores, contract)
    document["feature_importance"] = importance
    evaluation.mkdir(parents=True, exist_ok=True)
    (evaluation / "evaluation.json").write_text(json.dumps(document, indent=2), encoding="utf-8")
    sample(truth, scores, contract).to_csv(evaluation / "predictions.csv", index=False)
    return document


def _loader_file(loader: Path, model: Path) -> Path:
    """The file that loads the model: a relative path is one in the model."""
    if loader.is_absolute():
        return loader
    if not (model / loader).is_file():
        found = sorted(str(path.relative_to(model)) for path in model.rglob("*") if path.is_file())
        raise ContractError(
            f"the model holds no file {loader}, which should load it; it holds {found[:20]}. Pack the file into the model,"
            " or name one on your machine with ModelLoader.fromFile"
        )
    return model / loader


def _module_of(file: Path) -> ModuleType:
    """The loader, which may import its neighbours."""
    sys.path.insert(0, str(file.parent))
    specification = importlib.util.spec_from_file_location("model_loader", file)
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def _unpacked(folder: Path, work: Path) -> Path:
    """The model's files: those of `model.tar.gz`, or of the folder where a job left them unpacked."""
    archives = sorted(folder.glob("*.tar.gz")) if folder.is_dir() else []
    if not archives:
        if not folder.is_dir() or not any(folder.iterdir()):
            raise ContractError(f"there is no model in {folder}: expected model.tar.gz or its files")
        return folder
    # Debian 12's own Python, 3.11.2, has no filters yet.
    safely = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    with tarfile.open(archives[0]) as archive:
        archive.extractall(work, **safely)
    return work


def _read_test(folder: Path, inputs: int) -> Tuple[Array, Array]:
    files = (
        sorted(file for file in folder.rglob("*.csv") if file.stat().st_size > 0) if folder.is_dir() else []
    )
    if not files:
        raise ContractError(f"there is no test data in {folder}")
    matrix: Array = np.concatenate(
        [
            pd.read_csv(file, header=None, float_precision="round_trip").to_numpy(dtype="float64")
            for file in files
        ]
    )
    if matrix.shape[1] != inputs + 1:
        raise ContractError(
            f"the test data have {matrix.shape[1]} columns; target and inputs of the schema are {inputs + 1}"
        )
    return matrix[:, 0], matrix[:, 1:]


def _check_shape(scores: Array, rows: int, contract: Contract) -> None:
    if scores.ndim == 0 or len(scores) != rows:
        raise ContractError(
            f"the model gives {len(np.atleast_1d(scores))} predictions for {rows} rows; each row needs one"
        )
    classes = len(contract.target.values)
    expected = classes if classes > 2 else 1
    found = scores.shape[1] if scores.ndim == 2 else 1
    if found != expected:
        raise ContractError(
            f"the model gives {found} numbers a row; {contract.problem_type} needs {expected}"
        )


def _measured(value: float, values: Array) -> Dict[str, float]:
    return {
        "value": _rounded(value),
        "standard_deviation": _rounded(float(values.std() / math.sqrt(len(values)))),
    }


def _plain(value: Any) -> Dict[str, float]:
    return {"value": _rounded(float(value))}


def _rounded(value: float) -> float:
    """Six digits are more than the data say, and read well in a message."""
    return float(f"{value:.6g}")
