"""The built-in algorithm of the XGBoost image, served: a test for each row of `containers/README.md`."""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost

from emulator.sagemaker import ApiError, SageMaker
from emulator.sagemaker.fake_host import FakeHost
from emulator.sagemaker.image_contents import CONTAINERS
from emulator.sagemaker.test_container_scripts import container
from emulator.sagemaker.test_endpoints import config, model, variant
from emulator.sagemaker.test_scenario import CALLER, XGBOOST, settled

Ask = Callable[..., tuple[int, str, str]]
"""Body, content type and accept to status, media type and body."""
TABLE = np.array([[a, b] for a in range(10) for b in range(10)], dtype=float)


def booster(objective: str = "reg:squarederror", labels: Any = None, rounds: int = 3, **more: Any) -> Any:
    data = xgboost.DMatrix(TABLE, label=TABLE @ [2, 1] if labels is None else labels)
    return xgboost.train({"objective": objective, "seed": 1, "nthread": 1, **more}, data, rounds)


def of_classes(objective: str) -> Any:
    return booster(objective, TABLE.sum(axis=1) % 3, num_class=3)


@pytest.fixture
def serve(tmp_path: Path) -> Callable[..., Ask]:
    """Serves boosters, each a file of the model."""
    xgboost_serve = container("xgboost_serve")

    def make(*boosters: Any) -> Ask:
        for index, each in enumerate(boosters or (booster(),)):
            each.save_model(tmp_path / f"xgboost-model-{index}")
        served = xgboost_serve.Booster(tmp_path)

        def ask(body: str, content_type: str = "text/csv", accept: str = "") -> tuple[int, str, str]:
            status, out, kind = xgboost_serve.answer(served, body.encode(), content_type, accept)
            return status, kind, out.decode()

        return ask

    return make


def expected(rows: Any, given: Any = None) -> list[float]:
    return [float(value) for value in (given or booster()).predict(xgboost.DMatrix(np.array(rows)))]


TWO = "1,2\n8,3\n"


def test_accept(serve: Callable[..., Ask], monkeypatch: pytest.MonkeyPatch) -> None:
    ask, (first, second) = serve(), expected([[1, 2], [8, 3]])
    lines = (200, "text/csv; charset=utf-8", f"{first}\n{second}\n")
    for accept in ("", "*/*", "text/csv", "TEXT/CSV", "text/csv; charset=utf-8"):
        assert ask(TWO, accept=accept) == lines
    status, kind, body = ask(TWO, accept="application/json")
    assert (status, kind) == (200, "application/json")
    assert json.loads(body) == {"predictions": [{"score": first}, {"score": second}]}
    monkeypatch.setenv("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "application/json")
    assert ask(TWO) == ask(TWO, accept="application/json") and ask(TWO, accept="text/csv") == lines


def test_accept_refused(serve: Callable[..., Ask]) -> None:
    ask = serve()
    for accept in ("application/xml", "text/csv, */*", "text/plain"):
        status, kind, body = ask(TWO, accept=accept)
        assert (status, kind) == (406, "text/html; charset=utf-8")
        assert body.startswith(f"Accept type {accept} is not supported. Please use supported accept types: [")
    for accept in ("application/jsonlines", "application/x-recordio-protobuf"):
        # The server answers 500 for what is raised.
        with pytest.raises(Exception, match=f"Content type {accept} is not supported"):
            ask(TWO, accept=accept)


def test_classes(serve: Callable[..., Ask]) -> None:
    rows = serve(of_classes("multi:softprob"))(TWO)[2].splitlines()
    assert [len(row.split(",")) for row in rows] == [3, 3]
    assert sum(map(float, rows[0].split(","))) == pytest.approx(1, abs=1e-5)
    assert set(serve(of_classes("multi:softmax"))(TWO)[2].split()) <= {"0.0", "1.0", "2.0"}
    probability = serve(booster("binary:logistic", TABLE[:, 0] > 4))(TWO)[2].split()
    assert 0 < float(probability[0]) < 0.5 < float(probability[1]) < 1


def test_content_type(serve: Callable[..., Ask]) -> None:
    ask = serve()
    for kind in ("text/csv", "csv", "TEXT/CSV", "text/csv; charset=utf-8"):
        assert ask("1,2", kind)[0] == 200
    for kind in ("text/libsvm", "text/x-libsvm", "libsvm", ""):
        assert ask("0:1 1:2", kind)[0] == 200
    assert ask("1,2", "")[:1] == (415,)
    status, _, body = ask("1,2", "application/json")
    assert status == 415 and body.startswith(
        "application/json is not an accepted ContentType: csv, libsvm, parquet,"
    )
    assert ask("x", "application/x-parquet")[0::2] == (
        415,
        "Content-type application/x-parquet is not supported.",
    )


def test_label_size(serve: Callable[..., Ask]) -> None:
    ask = serve()
    assert ask("1,2", "text/csv;label_size=1")[0] == 200
    status, _, body = ask("1,2", "text/csv;label_size=2")
    assert status == 415 and body.endswith("Optional parameter label_size must be equal to 1")


def test_csv(serve: Callable[..., Ask]) -> None:
    ask = serve()
    same = ask("1,2")
    assert all(ask(body) == same for body in ("1;2", "1\t2", "1 2", "1,2\r\n", "\n1,2\n"))
    assert [float(value) for value in ask("1,\n,2")[2].split()] == expected([[1, np.nan], [np.nan, 2]])
    for body in ("1,a", "a,b\n1,2", '"1",2', "1,2\n3", "1,2\n\n3,4", "\n"):
        status, _, said = ask(body)
        assert status == 415 and said.startswith(
            "Loading csv data failed with Exception, please ensure data is in csv format:\n"
        )


def test_libsvm(serve: Callable[..., Ask]) -> None:
    ask = serve()
    [of_row, of_missing] = expected([[1, 2], [1, np.nan]])
    for body in ("0:1 1:2", "1:1 2:2", "7 0:1 1:2"):
        assert float(ask(body, "text/libsvm")[2]) == of_row
    assert float(ask("0:1", "text/libsvm")[2]) == of_missing
    for body in ("abc", "0:x"):
        assert ask(body, "text/libsvm")[0] == 415


def test_recordio(serve: Callable[..., Ask]) -> None:
    status, _, said = serve()("x", "application/x-recordio-protobuf")
    assert status == 415 and said.startswith("not rehearsed:")


def test_empty_body(serve: Callable[..., Ask]) -> None:
    assert serve()("")[0::2] == (204, "")


def test_width(serve: Callable[..., Ask], tmp_path: Path) -> None:
    ask = serve()
    assert float(ask("1")[2]) == expected([[1, np.nan]])[0]
    status, _, said = ask("1,2,3")
    assert status == 400 and said.startswith("Unable to evaluate payload provided: ")
    assert said.endswith("Number of columns does not match number of features in booster.")
    (tmp_path / "xgboost-model-0").write_bytes(pickle.dumps(booster()))
    pickled = container("xgboost_serve").Booster(tmp_path)
    status, out, _ = container("xgboost_serve").answer(pickled, b"1", "text/csv", "")
    assert status == 400 and out.endswith(b"data 1 is not consistent with feature size of trained model 2.")


def endpoint(sm: SageMaker, host: FakeHost, folder: Path, **environment: str) -> SageMaker:
    """The endpoint `e` with a model of the algorithm."""
    import io
    import tarfile

    booster().save_model(folder / "xgboost-model")
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        tar.add(folder / "xgboost-model", "xgboost-model")
    host.objects["b", "m.tar.gz"] = stream.getvalue()
    model(sm, "m", {"Image": XGBOOST, "ModelDataUrl": "s3://b/m.tar.gz", "Environment": environment})
    config(sm, "c", variant("A", "m"))
    sm.handle("CreateEndpoint", {"EndpointName": "e", "EndpointConfigName": "c"}, CALLER)
    assert settled(sm, "e")["EndpointStatus"] == "InService"
    return sm


def test_limits(sm: SageMaker, host: FakeHost, tmp_path: Path) -> None:
    import http.client

    endpoint(sm, host, tmp_path, MAX_CONTENT_LENGTH="2097152")
    with pytest.raises(ApiError) as caught:
        sm.invoke("e", {"Content-Type": "text/csv"}, b"1,2\n" * 600_000)
    assert "client error (413)" in caught.value.message
    connection = http.client.HTTPConnection("127.0.0.1", sm.endpoints.fleets["e"]["A"].servers[0].port)
    answers = {}
    for path in ("/ping", "/execution-parameters", "/other"):
        connection.request("GET", path)
        answer = connection.getresponse()
        answers[path] = (answer.status, answer.read())
    connection.close()
    assert answers["/ping"] == (200, b"") and answers["/other"][0] == 404
    told = json.loads(answers["/execution-parameters"][1])
    assert (told["BatchStrategy"], told["MaxPayloadInMB"]) == ("MULTI_RECORD", 2)


def test_selected_output(serve: Callable[..., Ask], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGEMAKER_INFERENCE_OUTPUT", "predicted_label, probabilities,labels,predicted_score")
    ask = serve(of_classes("multi:softprob"))
    (row,) = json.loads(ask("1,2", accept="application/json")[2])["predictions"]
    assert row["predicted_label"] == int(np.argmax(row["probabilities"])) and row["labels"] == [0, 1, 2]
    assert np.isnan(row["predicted_score"])
    assert ask("1,2", accept="application/jsonlines")[2] == json.dumps(row) + "\n"
    label, _, rest = ask("1,2")[2].partition(",")
    assert int(label) == row["predicted_label"]
    assert rest == f'"{row["probabilities"]}","[0, 1, 2]",nan'
    binary = serve(booster("binary:logistic", TABLE[:, 0] > 4))
    (row,) = json.loads(binary("8,2", accept="application/json")[2])["predictions"]
    assert row["predicted_label"] == 1 and sum(row["probabilities"]) == 1 and row["labels"] == [0, 1]
    assert serve()("1,2")[2].startswith("nan,nan,nan,")
    assert serve()("1,2", accept="application/x-recordio-protobuf")[2].startswith("not rehearsed:")
    status, _, said = serve(booster("count:poisson"))("1,2")
    assert (status, said) == (
        500,
        "Objective `count:poisson` unsupported for selectable inference predictions.",
    )


def test_batch(serve: Callable[..., Ask], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGEMAKER_BATCH", "true")
    ask = serve()
    assert ask(TWO, accept="application/json")[1:] == ("application/json", ask(TWO)[2])
    assert ask(TWO, accept="application/xml")[0] == 406
    probabilities = serve(of_classes("multi:softprob"))(TWO)[2].splitlines()
    assert [len(json.loads(line)) for line in probabilities] == [3, 3]


def test_model_files(serve: Callable[..., Ask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = booster(), booster(rounds=9)
    rows = [[1, 2], [8, 3]]
    (tmp_path / "code").mkdir()
    (tmp_path / ".note").write_text("x")
    mean = np.mean([expected(rows, one), expected(rows, two)], axis=0)
    assert [float(value) for value in serve(one, two)(TWO)[2].split()] == pytest.approx(list(mean), abs=1e-6)
    monkeypatch.setenv("SAGEMAKER_INFERENCE_ENSEMBLE", "false")
    assert [float(value) for value in serve(one, two)(TWO)[2].split()] == expected(rows, one)
    (tmp_path / "aaa.txt").write_text("not a booster")
    with pytest.raises(RuntimeError, match=r"Model .*aaa\.txt cannot be loaded:\nPickle load error="):
        container("xgboost_serve").Booster(tmp_path)


def test_each_row_of_the_table_has_a_test() -> None:
    rows = re.findall(r"(?m)^\| ([a-z][\w -]*) \|", (CONTAINERS / "README.md").read_text(encoding="utf-8"))
    names = {re.sub(r"[ -]+", "_", row).lower() for row in rows} - {"row"}
    here = Path(__file__).parent
    tests = {
        name
        for file in here.glob("test_container_*.py")
        for name in re.findall(r"(?m)^def test_(\w+)\(", file.read_text(encoding="utf-8"))
    }
    assert len(names) > 40 and names - tests == set()
