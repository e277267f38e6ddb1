"""Programs of a team that play its own images, its scripts on SageMaker's images, and the repositories that images come from."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emulator.host import ApiError
from emulator.sagemaker import SageMaker, serving
from emulator.sagemaker.fake_host import FakeHost
from emulator.sagemaker.stand_ins import own_stand_ins
from emulator.sagemaker.test_endpoints import config, model, variant
from emulator.sagemaker.test_scenario import CALLER, JOB_ROLE, MODEL_ROLE, SKLEARN, XGBOOST, archive, settled
from emulator.sagemaker.test_service import job, refused, run_job

MINE = "111122223333.dkr.ecr.us-east-1.amazonaws.com/team/mine:1"
TRAIN = """
import json, os, pathlib, sys
assert sys.argv[1:] == ['train'], sys.argv
base = pathlib.Path(os.environ['SAGEMAKER_BASE_DIR'])
hyper = json.loads((base / 'input/config/hyperparameters.json').read_text())
if hyper.get('word') == 'bad':
    (base / 'output/failure').write_text('the word is bad')
    sys.exit(1)
rows = (base / 'input/data/train/rows').read_text()
(base / 'model/word').write_text(hyper['word'] + rows)
print('loss=0.5;')
"""
SERVE = """
import http.server, os, pathlib, sys
assert sys.argv[1:] == ['serve'], sys.argv
word = (pathlib.Path(os.environ['SAGEMAKER_BASE_DIR']) / 'model/word').read_text()
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == '/ping' else 404)
        self.send_header('Content-Length', '0')
        self.end_headers()
    def do_POST(self):
        body = self.rfile.read(int(self.headers['Content-Length']))
        out = (word + ':' + body.decode()).encode()
        self.send_response(200)
        self.send_header('Content-Type', 'text/plain')
        self.send_header('Content-Length', str(len(out)))
        self.end_headers()
        self.wfile.write(out)
http.server.HTTPServer(('127.0.0.1', PORT), Handler).serve_forever()
"""
ON_THE_GIVEN_PORT = SERVE.replace("PORT", "int(os.environ['SAGEMAKER_BIND_TO_PORT'])")
ON_A_PORT_OF_ITS_OWN = SERVE.replace("PORT", "0")
PROCESS = """
import pathlib, os, sys
base = pathlib.Path(os.environ['SAGEMAKER_BASE_DIR'])
(base / 'processing/output/x').write_text(' '.join(sys.argv[1:]))
"""


@pytest.fixture
def sagemaker(
    host: FakeHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Callable[..., SageMaker]:
    """Makes a SageMaker in which programs play the repository team/mine."""

    def make(**programs: str) -> SageMaker:
        for use, text in programs.items():
            (tmp_path / f"{use}.py").write_text(text)
        given = {"team/mine": {use: f"{use}.py" for use in programs}}
        monkeypatch.setenv("CDK_MLOPS_STAND_INS", json.dumps(given))
        monkeypatch.setenv("CDK_MLOPS_STAND_INS_FOLDER", str(tmp_path))
        made = SageMaker(host)
        request.addfinalizer(made.close)
        return made

    return make


def training(image: str, **changes: Any) -> dict[str, Any]:
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/rows"}}
    return {
        "TrainingJobName": "t1",
        "AlgorithmSpecification": {
            "TrainingImage": image,
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": "loss", "Regex": "loss=([0-9.]+);"}],
        },
        "RoleArn": JOB_ROLE,
        "InputDataConfig": [{"ChannelName": "train", "ContentType": "text/csv", "DataSource": source}],
        "OutputDataConfig": {"S3OutputPath": "s3://b/models"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        "HyperParameters": {"word": "hello"},
        **changes,
    }


def train(sm: SageMaker, host: FakeHost, image: str, **changes: Any) -> dict[str, Any]:
    host.objects.setdefault(("b", "rows"), b"!")
    sm.handle("CreateTrainingJob", training(image, **changes), CALLER)
    assert sm.jobs.find("Training", "t1").done.wait(60)
    return sm.handle("DescribeTrainingJob", {"TrainingJobName": "t1"}, CALLER)


def serve(sm: SageMaker, *containers: dict[str, Any]) -> dict[str, Any]:
    model(sm, "m", *containers)
    config(sm, "c", variant("A", "m"))
    sm.handle("CreateEndpoint", {"EndpointName": "e", "EndpointConfigName": "c"}, CALLER)
    return settled(sm, "e")


def ask(sm: SageMaker, body: bytes, accept: str = "text/csv") -> str:
    return sm.invoke("e", {"Content-Type": "text/csv", "Accept": accept}, body)[2].decode()


class TestProgramsOfTheTeam:
    def test_trained_and_served_by_the_containers_contract(
        self, sagemaker: Callable[..., SageMaker], host: FakeHost
    ) -> None:
        sm = sagemaker(train=TRAIN, serve=ON_THE_GIVEN_PORT)
        described = train(sm, host, MINE)
        assert described["TrainingJobStatus"] == "Completed", described
        assert described["FinalMetricDataList"][0]["MetricName"] == "loss"
        container = {"Image": MINE, "ModelDataUrl": described["ModelArtifacts"]["S3ModelArtifacts"]}
        assert serve(sm, container, container)["EndpointStatus"] == "InService"
        assert ask(sm, b"x") == "hello!:hello!:x"

    def test_a_server_that_chooses_its_port(
        self, sagemaker: Callable[..., SageMaker], host: FakeHost
    ) -> None:
        sm = sagemaker(serve=ON_A_PORT_OF_ITS_OWN)
        host.objects["b", "m.tar.gz"] = archive(word="w")
        assert serve(sm, {"Image": MINE, "ModelDataUrl": "s3://b/m.tar.gz"})["EndpointStatus"] == "InService"
        assert ask(sm, b"x") == "w:x"

    def test_its_failures_are_told(self, sagemaker: Callable[..., SageMaker], host: FakeHost) -> None:
        sm = sagemaker(train=TRAIN, serve="raise SystemExit('the model is broken')")
        reason = train(sm, host, MINE, HyperParameters={"word": "bad"})["FailureReason"]
        assert reason.startswith(f"AlgorithmError: the word is bad, exit code: 1 (image {MINE}, log: ")
        host.objects["b", "m.tar.gz"] = archive(word="w")
        assert serve(sm, {"Image": MINE, "ModelDataUrl": "s3://b/m.tar.gz"})["FailureReason"].endswith(
            f"The primary container (image {MINE}) did not pass the ping health check: its server ended with exit code 1;"
            " it must answer /ping with status 200 on the port of SAGEMAKER_BIND_TO_PORT, or on 8080. Its log says: the"
            " model is broken"
        )

    def test_a_server_that_never_answers(
        self, sagemaker: Callable[..., SageMaker], host: FakeHost, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(serving, "START_TIMEOUT", 1)
        sm = sagemaker(serve="import time; time.sleep(60)")
        reason = serve(sm, {"Image": MINE})["FailureReason"]
        assert (
            f"(image {MINE}) did not pass the ping health check: its server did not answer within 1 s; it must"
            in reason
        )
        assert reason.endswith("It wrote no log.")

    def test_a_server_that_does_not_speak_http(
        self, sagemaker: Callable[..., SageMaker], host: FakeHost
    ) -> None:
        sm = sagemaker(serve=ON_THE_GIVEN_PORT.replace("out = (", "self.wfile.write(b'garbage\\n'); out = ("))
        host.objects["b", "m.tar.gz"] = archive(word="w")
        assert serve(sm, {"Image": MINE, "ModelDataUrl": "s3://b/m.tar.gz"})["EndpointStatus"] == "InService"
        with pytest.raises(ApiError) as caught:
            ask(sm, b"x")
        assert (
            f"(image {MINE}) gave no valid HTTP answer to /invocations: BadStatusLine: garbage"
            in caught.value.message
        )

    def test_its_folder_stays_as_it_is(
        self, sagemaker: Callable[..., SageMaker], host: FakeHost, tmp_path: Path
    ) -> None:
        (tmp_path / "neighbour.py").write_text("")
        sm = sagemaker(train="import neighbour\n" + TRAIN)
        assert train(sm, host, MINE)["TrainingJobStatus"] == "Completed"
        assert not list(tmp_path.rglob("__pycache__"))

    def test_the_entry_point_of_the_image_processes(
        self, sagemaker: Callable[..., SageMaker], host: FakeHost
    ) -> None:
        sm = sagemaker(process=PROCESS)
        request = job(image=MINE)
        del request["AppSpecification"]["ContainerEntrypoint"]
        request["AppSpecification"]["ContainerArguments"] = ["a", "b"]
        assert run_job(sm, request)["ProcessingJobStatus"] == "Completed"
        assert host.objects["b", "out/x"] == b"a b"

    def test_a_use_without_a_program(self, sagemaker: Callable[..., SageMaker], host: FakeHost) -> None:
        sm = sagemaker(process=PROCESS)
        assert "names no program for 'train'" in train(sm, host, MINE)["FailureReason"]
        given = {"ModelName": "m", "ExecutionRoleArn": MODEL_ROLE, "PrimaryContainer": {"Image": MINE}}
        message = refused(sm, "CreateModel", given)
        assert "stand-in of the repository team/mine names no program for 'serve'" in message
        sm = sagemaker(train=TRAIN)
        request = job(image=MINE)
        del request["AppSpecification"]["ContainerEntrypoint"]
        assert "names no program for 'process'" in run_job(sm, request)["FailureReason"]

    def test_what_plays_the_image_is_told(self, sagemaker: Callable[..., SageMaker], host: FakeHost) -> None:
        sm = sagemaker(train=TRAIN)
        train(sm, host, MINE)
        (told,) = sm.images.fidelity()
        assert told["level"] == "other" and "played by the team's own train.py" in told["summary"]

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ('{"mine": {"train": "none.py"}}', "program none.py for 'train' of mine is not in"),
            ('{"mine": {"tran": "x"}}', "programs for some of train, serve, process"),
            ('{"mine": {}}', "must be a known stand-in"),
            ('{"mine": 1}', "must be a known stand-in"),
            ('{"mine": "other"}', "unknown stand-in other for mine"),
            ("[]", "must be a JSON object of repository names"),
            ("{", "must be a JSON object of repository names"),
        ],
    )
    def test_settings_that_cannot_be_used(self, given: str, said: str) -> None:
        with pytest.raises(ValueError, match=said):
            own_stand_ins({"CDK_MLOPS_STAND_INS": given})


class TestRepositories:
    OWN = "000000000000.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0"

    def test_one_of_this_account_must_exist(self, sm: SageMaker, host: FakeHost) -> None:
        reason = run_job(sm, job(image=self.OWN))["FailureReason"]
        assert (
            "the repository sagemaker-scikit-learn does not exist in the registry of the account 000000000000"
            in reason
        )
        host.repositories.add("sagemaker-scikit-learn")
        assert run_job(sm, job("print(1)", image=self.OWN), "j2")["ProcessingJobStatus"] == "Completed"
        host.denied.append(
            (JOB_ROLE, "ecr:BatchGetImage", "*:000000000000:repository/sagemaker-scikit-learn")
        )
        assert "ecr:BatchGetImage" in run_job(sm, job(image=self.OWN), "j3")["FailureReason"]

    def test_the_policy_of_one_of_another_account_cannot_be_seen(
        self, sagemaker: Callable[..., SageMaker], host: FakeHost
    ) -> None:
        sm = sagemaker(train=TRAIN)
        for _ in range(2):
            sm.images.authorize_pull(JOB_ROLE, MINE)
        sm.images.authorize_pull(JOB_ROLE, SKLEARN)
        told = [text for kind, text, _ in host.notes if kind == "not-rehearsed"]
        assert len(told) == 1 and "repository/team/mine belongs to another account" in told[0]


PREDICTS = """
import os
def model_fn(model_dir):
    import xgboost
    booster = xgboost.Booster()
    booster.load_model(os.path.join(model_dir, 'mine.json'))
    return booster
"""
TRAINS = """
import argparse, json, os, numpy, xgboost
parser = argparse.ArgumentParser()
parser.add_argument('--rounds', type=int)
rounds = parser.parse_args().rounds
assert json.loads(os.environ['SM_HPS']) == {'rounds': rounds}
data = numpy.loadtxt(os.path.join(os.environ['SM_CHANNEL_TRAIN'], 'rows'), delimiter=',')
booster = xgboost.train({'seed': 1}, xgboost.DMatrix(data[:, 1:], label=data[:, 0]), rounds)
booster.save_model(os.path.join(os.environ['SM_MODEL_DIR'], 'mine.json'))
"""
SCRIPT_MODE = {"sagemaker_program": "train.py", "sagemaker_submit_directory": "s3://b/code.tar.gz"}


class TestScripts:
    def test_a_script_trains_and_serves_on_the_image_of_xgboost(self, sm: SageMaker, host: FakeHost) -> None:
        host.objects["b", "rows"] = b"".join(b"%d,%d\n" % (2 * i, i) for i in range(30))
        host.objects["b", "code.tar.gz"] = archive(train_py=TRAINS, predict_py=PREDICTS)
        described = train(sm, host, XGBOOST, HyperParameters={**SCRIPT_MODE, "rounds": "20"})
        assert described["TrainingJobStatus"] == "Completed", described
        environment = {"SAGEMAKER_PROGRAM": "predict.py", "SAGEMAKER_SUBMIT_DIRECTORY": "s3://b/code.tar.gz"}
        container = {
            "Image": XGBOOST,
            "ModelDataUrl": described["ModelArtifacts"]["S3ModelArtifacts"],
            "Environment": environment,
        }
        assert serve(sm, container)["EndpointStatus"] == "InService"
        first, second = map(float, ask(sm, b"3\n20").split())
        assert abs(first - 6) < 2 and abs(second - 40) < 2
        assert len(json.loads(ask(sm, b"3\n20", "application/json"))) == 2

    @pytest.mark.parametrize("image", [SKLEARN, XGBOOST])
    def test_one_function_for_the_whole_request(self, sm: SageMaker, host: FakeHost, image: str) -> None:
        code = "def model_fn(d):\n    return 'm'\ndef transform_fn(m, body, kind, accept):\n    return m + body, accept\n"
        host.objects["b", "m.tar.gz"] = archive(code__inference_py=code)
        environment = {
            "SAGEMAKER_PROGRAM": "inference.py",
            "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
        }
        container = {"Image": image, "ModelDataUrl": "s3://b/m.tar.gz", "Environment": environment}
        assert serve(sm, container)["EndpointStatus"] == "InService"
        assert ask(sm, b"x") == "mx"

    def test_packages_that_are_not_there_fail_by_name(self, sm: SageMaker, host: FakeHost) -> None:
        needs = "# packages\nnumpy==0.1\nno-such-package>=2 # why\n-r other.txt\n"
        host.objects["b", "code.tar.gz"] = packed({"train.py": "print(1)", "requirements.txt": needs})
        reason = train(sm, host, SKLEARN, HyperParameters=SCRIPT_MODE)["FailureReason"]
        assert reason.startswith(
            "AlgorithmError: requirements.txt of the training job t1 needs no-such-package>=2,"
        )
        host.objects["b", "m.tar.gz"] = packed({"code/inference.py": "", "code/requirements.txt": needs})
        container = {"Image": SKLEARN, "ModelDataUrl": "s3://b/m.tar.gz"}
        assert "needs no-such-package>=2" in serve(sm, container)["FailureReason"]

    def test_other_versions_are_told(self, sm: SageMaker, host: FakeHost) -> None:
        needs = "numpy==0.1\npandas[excel]\n-r other.txt\n"
        code = "import os; open(os.path.join(os.environ['SM_MODEL_DIR'], 'm'), 'w').write('1')"
        host.objects["b", "code.tar.gz"] = packed({"train.py": code, "requirements.txt": needs})
        assert train(sm, host, SKLEARN, HyperParameters=SCRIPT_MODE)["TrainingJobStatus"] == "Completed"
        (told,) = [text for kind, text, _ in host.notes if kind == "warning" and "requirements.txt" in text]
        assert (
            "plays numpy==0.1" in told and "-r other.txt cannot be compared" in told and "pandas" not in told
        )


def packed(files: dict[str, str]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return stream.getvalue()
