"""Scripts in the XGBoost and the scikit-learn image: a test for each row of `containers/README.md`."""

from __future__ import annotations

import importlib
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import xgboost

from emulator.sagemaker import SageMaker
from emulator.sagemaker.fake_host import FakeHost
from emulator.sagemaker.image_contents import CONTAINERS
from emulator.sagemaker.test_endpoints import config, model, variant
from emulator.sagemaker.test_scenario import CALLER, SKLEARN, XGBOOST, archive, settled
from emulator.sagemaker.test_service import refused

Make = Callable[..., Callable[..., tuple[int, Any, str]]]


def container(name: str) -> ModuleType:
    """A module of the stand-ins, which are run as scripts beside each other."""
    if str(CONTAINERS) not in sys.path:
        sys.path.append(str(CONTAINERS))
    return importlib.import_module(name)


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Serves functions of a script in an image."""
    monkeypatch.setenv("SM_MODEL_DIR", str(tmp_path))

    def make(image: str, **functions: Any) -> Callable[..., tuple[int, Any, str]]:
        module = ModuleType("inference")
        vars(module).update({"model_fn": lambda folder: "m", **functions})
        served = container(f"{image}_serve")
        made = container("script_serve").Script(module, served.default_input_fn, served.default_predict_fn)

        def ask(body: bytes, content_type: str = "text/csv", accept: str = "") -> tuple[int, Any, str]:
            status, out, kind = made.answer(body, content_type, accept)
            return status, out, kind

        return ask

    return make


ECHO = {"transform_fn": lambda model, body, kind, accept: (f"{type(body).__name__} {kind} {accept}", accept)}


@pytest.mark.parametrize("image", ["xgboost", "sklearn"])
def test_script_defaults(script: Make, image: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = script(image, **ECHO)
    assert ask(b"x", "", "")[1] == b"str application/json application/json"
    assert ask(b"x", "text/csv", "*/*")[1] == b"str text/csv application/json"
    assert ask(b"x", "text/csv", "text/csv, */*")[1] == b"str text/csv text/csv, */*"
    monkeypatch.setenv("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "text/csv")
    assert script(image, **ECHO)(b"x")[1] == b"str text/csv text/csv"


def test_text_or_bytes(script: Make) -> None:
    ask = script("sklearn", **ECHO)
    kinds = ("text/csv", "application/json", "text/csv; charset=utf-8", "text/plain", "application/x-npy")
    assert [ask(b"x", kind)[1].split()[0] for kind in kinds] == [b"str", b"str", b"bytes", b"bytes", b"bytes"]


def test_answer_type(script: Make) -> None:
    ask = script("sklearn", **ECHO)
    assert ask(b"x", accept="text/csv")[2] == "text/csv; charset=utf-8"
    assert ask(b"x", accept="application/json")[2] == "application/json"
    alone = script("sklearn", transform_fn=lambda *_: "a")
    assert alone(b"x") == (200, b"a", "text/html; charset=utf-8")


def deployed(sm: SageMaker, host: FakeHost, image: str, code: str, **environment: str) -> dict[str, Any]:
    """The endpoint `e` with a script in the archive of the model."""
    host.objects["b", "m.tar.gz"] = archive(code__inference_py=code)
    environment = {"SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code", **environment}
    given = {key: value for key, value in environment.items() if value}
    model(sm, "m", {"Image": image, "ModelDataUrl": "s3://b/m.tar.gz", "Environment": given})
    config(sm, "c", variant("A", "m"))
    sm.handle("CreateEndpoint", {"EndpointName": "e", "EndpointConfigName": "c"}, CALLER)
    return settled(sm, "e")


def test_script_errors(sm: SageMaker, host: FakeHost) -> None:
    code = "def model_fn(d):\n    return 1\ndef predict_fn(x, m):\n    raise ValueError('too tall')\n"
    deployed(sm, host, SKLEARN, code, SAGEMAKER_PROGRAM="inference.py")
    for kind in ("text/csv", "application/xml"):
        with pytest.raises(Exception, match=r"server error \(500\)") as caught:
            sm.invoke("e", {"Content-Type": kind}, b"1,2")
        assert "<title>500 Internal Server Error</title>" in str(caught.value)
        assert "too tall" not in str(caught.value)
    assert host.logged("[ERROR] ValueError: too tall")
    assert host.logged("Content type application/xml is not supported")


def test_functions(script: Make) -> None:
    with pytest.raises(ValueError, match="Cannot use transform_fn implementation with input_fn"):
        script("xgboost", **ECHO, input_fn=lambda *_: 1)
    module = container("script_serve")
    with pytest.raises(NotImplementedError, match="Please provide a model_fn implementation"):
        module.Script(ModuleType("inference"), None, None)


def test_input_of_scikit_learn(script: Make) -> None:
    seen: list[Any] = []

    class Model:
        def predict(self, data: Any) -> Any:
            seen.append((data.dtype.name, data.shape, data.tolist()))
            return [0]

    ask = script("sklearn", model_fn=lambda _: Model())
    stream = io.BytesIO()
    np.save(stream, np.array([[1, 2]]))
    for body, kind in (
        (b"1,2\n3,4\n", "text/csv"),
        (b"1,2", "text/csv"),
        (b"[[1, 2]]", "application/json"),
        (stream.getvalue(), "application/x-npy"),
    ):
        ask(body, kind)
    assert seen == [
        ("float32", (2, 2), [[1, 2], [3, 4]]),
        ("float32", (2,), [1, 2]),
        ("float32", (1, 2), [[1, 2]]),
        ("int64", (1, 2), [[1, 2]]),
    ]
    for body, kind in ((b"a,b", "text/csv"), (b"1,2\n3", "text/csv"), (b"1,2", "text/plain")):
        with pytest.raises(Exception, match=r"convert string|inhomogeneous|text/plain is not supported"):
            ask(body, kind)


def test_input_of_xgboost(script: Make) -> None:
    class Model:
        def predict(self, data: Any, validate_features: bool) -> Any:
            return [data.num_row(), data.num_col(), data.num_nonmissing()]

    ask = script("xgboost", model_fn=lambda _: Model())
    assert json.loads(ask(b"1,2\n3,\n5,6")[1]) == [3, 2, 5]
    assert json.loads(ask(b"1,2", "text/csv; charset=utf-8")[1]) == [1, 2, 2]
    assert json.loads(ask(b"1:1 3:2\n2:4", "text/libsvm")[1]) == [2, 3, 6]
    with pytest.raises(ValueError, match="inhomogeneous"):
        ask(b"1,2\n3,4\n")
    for kind in ("application/json", "application/x-recordio-protobuf"):
        with pytest.raises(Exception, match=f"Content type {kind} is not supported"):
            ask(b"[[1, 2]]", kind)


@pytest.mark.parametrize("image", ["xgboost", "sklearn"])
def test_output(script: Make, image: str) -> None:
    def ask(prediction: Any, accept: str) -> Any:
        functions = {"input_fn": lambda *_: prediction, "predict_fn": lambda data, _: data}
        return script(image, **functions)(b"", accept=accept)[1]

    assert ask(np.array([1.5, 2.5]), "text/csv") == b"1.5\n2.5\n"
    assert ask(np.array([[1, 2], [3, 4]]), "text/csv") == b"1,2\n3,4\n"
    assert ask(np.array([1.5, 2.5]), "application/json") == b"[1.5, 2.5]"
    assert np.load(io.BytesIO(ask(np.array([1, 2]), "application/x-npy"))).tolist() == [1, 2]
    with pytest.raises(Exception, match="Content type application/xml is not supported"):
        ask(np.array([1]), "application/xml")


ONE = "def model_fn(d):\n    return 1\ndef transform_fn(m, b, k, a):\n    return 'one', a\n"


def test_program(sm: SageMaker, host: FakeHost) -> None:
    failed = deployed(sm, host, SKLEARN, ONE)
    assert "the environment variable SAGEMAKER_PROGRAM must name the script" in failed["FailureReason"]
    sm.handle("DeleteEndpoint", {"EndpointName": "e"}, CALLER)
    data = xgboost.DMatrix(np.array([[1.0], [2.0]]), label=[1.0, 2.0])
    raw = xgboost.train({"nthread": 1}, data, 1).save_raw("ubj")
    import tarfile

    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        info = tarfile.TarInfo("xgboost-model")
        info.size = len(raw)
        tar.addfile(info, io.BytesIO(raw))
    host.objects["b", "x.tar.gz"] = stream.getvalue()
    model(sm, "x", {"Image": XGBOOST, "ModelDataUrl": "s3://b/x.tar.gz"})
    config(sm, "x", variant("A", "x"))
    sm.handle("CreateEndpoint", {"EndpointName": "x", "EndpointConfigName": "x"}, CALLER)
    assert settled(sm, "x")["EndpointStatus"] == "InService"


def test_code_folder(sm: SageMaker, host: FakeHost) -> None:
    failed = deployed(sm, host, XGBOOST, ONE, SAGEMAKER_PROGRAM="inference.py", SAGEMAKER_SUBMIT_DIRECTORY="")
    assert "is not in SAGEMAKER_SUBMIT_DIRECTORY" in failed["FailureReason"]
    assert "set it to /opt/ml/model/code" in failed["FailureReason"]


def test_requirements(sm: SageMaker, host: FakeHost) -> None:
    from emulator.sagemaker.test_stand_ins import packed

    files = {"code/inference.py": ONE, "code/requirements.txt": "no-such-package>=2\nnumpy==0.1\n"}
    host.objects["b", "m.tar.gz"] = packed(files)
    environment = {
        "SAGEMAKER_PROGRAM": "inference.py",
        "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
    }
    model(sm, "m", {"Image": SKLEARN, "ModelDataUrl": "s3://b/m.tar.gz", "Environment": environment})
    config(sm, "c", variant("A", "m"))
    sm.handle("CreateEndpoint", {"EndpointName": "e", "EndpointConfigName": "c"}, CALLER)
    assert "needs no-such-package>=2, which the rehearsal's" in settled(sm, "e")["FailureReason"]


def test_arguments(sm: SageMaker, host: FakeHost) -> None:
    from emulator.sagemaker.test_stand_ins import SCRIPT_MODE, train

    code = (
        "import os, sys, json\n"
        "seen = [sys.argv[1:], json.loads(os.environ['SM_HPS']), os.environ['SM_HP_IS-ON'], os.environ['SM_CHANNELS']]\n"
        "print('seen', json.dumps(seen))\n"
        "open(os.path.join(os.environ['SM_MODEL_DIR'], 'm'), 'w').write('1')\n"
    )
    host.objects["b", "code.tar.gz"] = archive(train_py=code)
    hyper = {**SCRIPT_MODE, "k": "2", "is-on": "true", "of": '{"b": 1}', "word": '"a"'}
    assert train(sm, host, SKLEARN, HyperParameters=hyper)["TrainingJobStatus"] == "Completed"
    (line,) = [line for lines in host.logs.values() for line in lines if line.startswith("seen ")]
    assert json.loads(line[5:]) == [
        ["--is-on", "True", "-k", "2", "--of", "b=1", "--word", "a"],
        {"k": 2, "is-on": True, "of": {"b": 1}, "word": "a"},
        "true",
        '["train"]',
    ]


def test_multi_model(sm: SageMaker) -> None:
    given = {"Image": SKLEARN, "Mode": "MultiModel", "ModelDataUrl": "s3://b/models/"}
    request = {
        "ModelName": "m",
        "ExecutionRoleArn": "arn:aws:iam::000000000000:role/m",
        "PrimaryContainer": given,
    }
    assert "Multi-model containers are not played" in refused(sm, "CreateModel", request)
