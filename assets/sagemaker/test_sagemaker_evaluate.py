"""Metrics, the report and the sample of predictions."""

from __future__ import annotations

import json
import pickle
import re
import tarfile
from pathlib import Path
from typing import Any, List

import evaluate
import numpy as np
import pandas as pd
import pytest
import xgboost
from conftest import Job, objective, schema_document
from contract import ContractError, parse_contract
from hypothesis import given
from hypothesis import strategies as st

LOADER = Path(__file__).parents[1] / "algorithms" / "xgboost_model.py"


def measure(job: Job, *required: str) -> Any:
    return evaluate.run(job.model, LOADER, job.outputs["test"], job.schema, job.evaluation, required)


def test_regression(regression: Job) -> None:
    regression.preprocess()
    regression.train(objective(regression), rounds=60)
    document = measure(regression, "mse", "r2")
    written = json.loads((regression.evaluation / "evaluation.json").read_text())
    assert written == document
    found = written["regression_metrics"]
    assert found["r2"]["value"] > 0.9
    assert found["rmse"]["value"] == pytest.approx(found["mse"]["value"] ** 0.5, rel=1e-4)
    assert found["mse"]["standard_deviation"] > 0
    assert written["rows"] == 60
    assert next(iter(written["feature_importance"])) == "size"
    assert sum(written["feature_importance"].values()) == pytest.approx(1, abs=1e-4)
    sample = pd.read_csv(regression.evaluation / "predictions.csv")
    assert list(sample.columns) == ["truth", "prediction"]
    assert ((sample.truth - sample.prediction) ** 2).mean() == pytest.approx(found["mse"]["value"], rel=1e-4)


def test_classification(classification: Job) -> None:
    classification.preprocess()
    classification.train(objective(classification), rounds=40)
    document = measure(classification, "accuracy", "precision", "recall", "f1", "auc")
    found = document[f"{classification.document['problemType']}_metrics"]
    assert set(found) == {"accuracy", "precision", "recall", "f1", "auc"}
    assert all(0.8 < content["value"] <= 1 for content in found.values())
    assert sum(document["rows_by_class"].values()) == document["rows"] == 90
    sample = pd.read_csv(
        classification.evaluation / "predictions.csv", dtype={"truth": str, "prediction": str}
    )
    assert (sample.truth == sample.prediction).mean() == pytest.approx(found["accuracy"]["value"], rel=1e-4)
    shares = sample[[name for name in sample.columns if name.startswith("probability=")]]
    assert np.allclose(shares.sum(axis=1), 1, atol=1e-5)


def test_one_class_in_the_test_split_has_no_auc(classification: Job) -> None:
    classification.preprocess()
    classification.train(objective(classification))
    labels, inputs = classification.matrix("test")
    kept = np.column_stack([labels, inputs])[labels == 1]
    np.savetxt(classification.outputs["test"] / "test.csv", kept, delimiter=",")
    document = measure(classification, "accuracy")
    assert "auc" not in document[f"{classification.document['problemType']}_metrics"]
    with pytest.raises(ContractError, match="auc cannot be measured: split 'test' has no row of class"):
        measure(classification, "auc")


def test_a_constant_target_has_no_r2(regression: Job) -> None:
    regression.preprocess()
    regression.train(objective(regression))
    _, inputs = regression.matrix("test")
    np.savetxt(
        regression.outputs["test"] / "test.csv",
        np.column_stack([np.ones(len(inputs)), inputs]),
        delimiter=",",
    )
    with pytest.raises(ContractError, match="r2 cannot be measured: 'y' is the same in all rows"):
        measure(regression, "r2")


def test_the_gate_asks_for_a_function_of_scikit_learn(classification: Job) -> None:
    classification.preprocess()
    classification.train(objective(classification))
    document = measure(classification, "accuracy", "balanced_accuracy_score")
    found = document[f"{classification.document['problemType']}_metrics"]
    sample = pd.read_csv(
        classification.evaluation / "predictions.csv", dtype={"truth": str, "prediction": str}
    )
    shares = [(rows.prediction == label).mean() for label, rows in sample.groupby("truth")]
    assert found["balanced_accuracy_score"]["value"] == pytest.approx(sum(shares) / len(shares), rel=1e-4)
    assert "balanced_accuracy_score" not in str(measure(classification))


def test_fails_when_a_function_of_scikit_learn_cannot_measure(regression: Job) -> None:
    regression.preprocess()
    regression.train(objective(regression))
    _, inputs = regression.matrix("test")
    rows = np.column_stack([np.full(len(inputs), -2.0), inputs])
    np.savetxt(regression.outputs["test"] / "test.csv", rows, delimiter=",")
    with pytest.raises(
        ContractError, match="mean_squared_log_error cannot be measured: .* cannot be used when targets"
    ):
        measure(regression, "mean_squared_log_error")


def test_fails_when_the_gate_asks_for_another_metric(regression: Job) -> None:
    regression.preprocess()
    regression.train(objective(regression))
    with pytest.raises(
        ContractError, match=r"the gate asks for metric 'auc2'; measured are \['mae', 'mse', 'r2', 'rmse'\]"
    ):
        measure(regression, "auc2")


def test_fails_when_something_is_not_there(regression: Job) -> None:
    regression.preprocess()
    with pytest.raises(ContractError, match="there is no model in"):
        measure(regression)
    regression.model.mkdir()
    with tarfile.open(regression.model / "model.tar.gz", "w:gz") as archive:
        archive.add(regression.schema, "other.json")
    with pytest.raises(
        ContractError,
        match=r"model_fn of xgboost_model.py failed: FileNotFoundError: .* it holds \['other.json'\]",
    ):
        measure(regression)
    (regression.outputs["test"] / "test.csv").unlink()
    with pytest.raises(ContractError, match="there is no test data in"):
        measure(regression)


def test_fails_when_model_and_schema_are_of_two_minds(regression: Job) -> None:
    regression.preprocess()
    labels, inputs = regression.matrix("train")
    data = xgboost.DMatrix(inputs, np.floor(labels) % 3)
    booster = xgboost.train({"objective": "multi:softprob", "num_class": 3}, data, 2)
    regression.model.mkdir()
    (regression.model / "xgboost-model").write_bytes(pickle.dumps(booster))
    with pytest.raises(ContractError, match="the model gives 3 numbers a row; regression needs 1"):
        measure(regression)
    (regression.outputs["test"] / "test.csv").write_text("1,2\n")
    with pytest.raises(
        ContractError, match="the test data have 2 columns; target and inputs of the schema are 7"
    ):
        measure(regression)


def test_a_loader_of_a_team_in_the_model(regression: Job) -> None:
    regression.preprocess()
    (regression.model / "code").mkdir(parents=True)
    loader = regression.model / "code" / "train.py"
    loader.write_text("import helper\n\ndef model_fn(model_dir):\n    return helper.Mean()\n")
    (regression.model / "code" / "helper.py").write_text(
        "class Mean:\n    def predict(self, inputs):\n        return [[float(row[0])] for row in inputs]\n"
    )
    document = evaluate.run(
        regression.model,
        Path("code/train.py"),
        regression.outputs["test"],
        regression.schema,
        regression.evaluation,
    )
    assert document["feature_importance"] == {}
    assert document["regression_metrics"]["mse"]["value"] > 0
    loader.write_text("")
    with pytest.raises(ContractError, match="train.py has no function model_fn"):
        evaluate.run(
            regression.model,
            Path("code/train.py"),
            regression.outputs["test"],
            regression.schema,
            regression.evaluation,
        )
    with pytest.raises(
        ContractError, match=r"holds no file code/other.py, .* it holds \['code/helper.py', 'code/train.py'"
    ):
        evaluate.run(
            regression.model,
            Path("code/other.py"),
            regression.outputs["test"],
            regression.schema,
            regression.evaluation,
        )


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            "import no_such_module",
            "the code of loader.py failed: ModuleNotFoundError: No module named 'no_such_module'",
        ),
        ("def predict_fn(inputs, model): return []", "loader.py has no function model_fn"),
        (
            "def model_fn(folder): pass\ndef predict_fn(inputs, model): return ['many'] * len(inputs)",
            "predict_fn of loader.py failed: ValueError: could not convert string to float: 'many'",
        ),
        (
            "def model_fn(folder): pass\ndef predict_fn(inputs, model): return [1]",
            "gives 1 predictions for 60 rows",
        ),
        (
            "def model_fn(folder): pass\ndef predict_fn(inputs, model): return 1",
            "gives 1 predictions for 60 rows",
        ),
        (
            "def model_fn(folder): pass\ndef predict_fn(inputs, model): return [1] * 61",
            "gives 61 predictions for 60 rows; each row needs one",
        ),
    ],
)
def test_a_loader_that_answers_wrongly(regression: Job, tmp_path: Path, code: str, said: str) -> None:
    regression.preprocess()
    regression.train(objective(regression))
    loader = tmp_path / "loader.py"
    loader.write_text(code)
    with pytest.raises(ContractError, match=re.escape(said)):
        evaluate.run(
            regression.model, loader, regression.outputs["test"], regression.schema, regression.evaluation
        )


numbers = st.floats(min_value=-1e6, max_value=1e6, allow_nan=False)


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=50))
def test_errors_are_never_negative_and_agree(pairs: List[Any]) -> None:
    truth, predicted = np.array(pairs).T
    found = evaluate.regression_metrics(truth, predicted)
    assert found["mse"]["value"] >= 0
    assert found["mae"]["value"] <= found["rmse"]["value"] * (1 + 1e-4) + 1e-9
    assert found.get("r2", {"value": 0})["value"] <= 1


@given(st.integers(min_value=1, max_value=5000))
def test_the_sample_is_small_and_has_both_ends(rows: int) -> None:
    truth = np.arange(rows, dtype="float64")
    sample = evaluate.sample(truth, truth, parse_contract(schema_document()))
    assert len(sample) == min(rows, 2000)
    assert sample.truth.is_monotonic_increasing
    assert (sample.truth.iloc[0], sample.truth.iloc[-1]) == (0, rows - 1)


def test_old_reports_do_not_mix(regression: Job) -> None:
    regression.preprocess()
    regression.train(objective(regression))
    first = measure(regression)
    assert measure(regression) == first
    assert sorted(file.name for file in Path(regression.evaluation).iterdir()) == [
        "evaluation.json",
        "predictions.csv",
    ]
