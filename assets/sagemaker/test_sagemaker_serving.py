"""What is packed serves as it was trained; the zip runs as the jobs run it."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any, List

import inference
import numpy as np
import pandas as pd
import pytest
from conftest import Job
from hypothesis import given
from hypothesis import strategies as st

HERE = Path(__file__).parent


def unpack(job: Job) -> Path:
    folder = job.root / "served"
    with tarfile.open(job.outputs["preprocessor"] / "model.tar.gz") as archive:
        archive.extractall(folder)
    return folder


def request(table: pd.DataFrame) -> str:
    body = io.StringIO()
    features = table[["size", "colour", "new", "made", "count"]]
    csv.writer(body).writerows(
        [["" if pd.isna(field) else field for field in row] for row in features.values.tolist()]
    )
    return body.getvalue()


def test_serving_gives_the_model_what_training_gave(regression: Job) -> None:
    regression.preprocess()
    model = inference.model_fn(str(unpack(regression)))
    raw = pd.read_csv(regression.data / "test" / "part-0.csv", dtype=str)
    for content_type, body in (
        ("text/csv", request(raw)),
        ("text/csv; charset=utf-8", request(raw).encode()),
    ):
        rows = inference.input_fn(body, content_type)
        answer, accept = inference.output_fn(inference.predict_fn(rows, model), "application/json")
        served = np.loadtxt(io.StringIO(answer), delimiter=",")
        assert accept == "text/csv"
        assert np.array_equal(served, regression.matrix("test")[1])


def test_empty_fields_are_missing(regression: Job) -> None:
    regression.preprocess()
    model = inference.model_fn(str(unpack(regression)))
    answer = inference.predict_fn(inference.input_fn(",,true,2024-05-01T00:00:00Z,5", "text/csv"), model)
    median = float(
        pd.read_csv(regression.data / "train" / "part-0.csv", float_precision="round_trip")["size"].median()
    )
    assert answer.tolist() == [[median, 0.0, 0.0, 1.0, 1714521600.0, 5.0]]


@pytest.mark.parametrize(
    ("body", "content_type", "message"),
    [
        ("1,red", "text/csv", "row 1 has 2 fields; the features are 5: size, colour, new, made, count"),
        ("", "text/csv", "the request has no row"),
        ("{}", "application/json", "content type 'application/json' is not supported; send text/csv"),
        ("1,blue,true,2024-05-01,5", "text/csv", "column 'colour': 'blue' is not one of"),
        ("x,red,true,2024-05-01,5", "text/csv", "column 'size': 'x' is not a finite number"),
        ("1,red,true,2024-05-01,", "text/csv", "column 'count' is required"),
    ],
)
def test_fails_when_a_request_is_wrong(regression: Job, body: str, content_type: str, message: str) -> None:
    regression.preprocess()
    model = inference.model_fn(str(unpack(regression)))
    with pytest.raises(Exception, match=message):
        inference.predict_fn(inference.input_fn(body, content_type), model)


fields = st.text(
    alphabet=st.characters(blacklist_categories=("Cs",), blacklist_characters="\x00"), max_size=8
)


@given(st.lists(st.lists(fields, min_size=2, max_size=4), min_size=1, max_size=5))
def test_requests_follow_rfc_4180(rows: List[List[str]]) -> None:
    body = io.StringIO()
    csv.writer(body, quoting=csv.QUOTE_ALL).writerows(rows)
    assert inference.input_fn(body.getvalue().encode("utf-8"), "text/csv") == rows


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip as the construct makes it: without the tests."""
    file = tmp_path_factory.mktemp("code") / "0123abcd.zip"
    with zipfile.ZipFile(file, "w") as archive:
        for source in HERE.glob("*.py"):
            if not source.name.startswith(("test_", "conftest")):
                archive.write(source, source.name)
    return file


def run(scripts: Path, *arguments: Any) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, str(scripts), *map(str, arguments)], capture_output=True, text=True
    )


def test_the_zip_runs_both_jobs_and_serves_alone(regression: Job, scripts: Path) -> None:
    places = [argument for name, folder in regression.outputs.items() for argument in (f"--{name}", folder)]
    done = run(scripts, "preprocess", "--input", regression.data, "--schema", regression.schema, *places)
    assert (done.returncode, done.stdout) == (
        0,
        '{"rows": {"train": 200, "validation": 60, "test": 60}}\n',
    ), done.stderr
    regression.train({"objective": "reg:squarederror"})
    done = run(
        scripts,
        "evaluate",
        *("--model", regression.model, "--test", regression.outputs["test"]),
        *("--schema", regression.schema, "--evaluation", regression.evaluation, "--require", "mse,r2"),
        *("--loader", HERE.parent / "algorithms" / "xgboost_model.py"),
    )
    assert done.returncode == 0, done.stderr
    folder = unpack(regression)
    code = (
        "import inference\n"
        f"model = inference.model_fn({str(folder)!r})\n"
        "rows = inference.input_fn('1,red,true,2024-05-01T00:00:00Z,5', 'text/csv')\n"
        "print(inference.output_fn(inference.predict_fn(rows, model), '*/*')[0], end='')\n"
    )
    served = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=str(folder / "code"),
    )
    assert served.stdout == "1,1,0,1,1714521600,5\n", served.stderr


def test_a_broken_contract_ends_the_job_with_one_sentence(regression: Job, scripts: Path) -> None:
    message = regression.root / "message"
    done = run(
        scripts,
        "preprocess",
        *("--input", regression.root / "nowhere", "--schema", regression.schema, "--message", message),
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("error: there is no folder")
    assert message.read_text() == done.stderr[len("error: ") : -1]
