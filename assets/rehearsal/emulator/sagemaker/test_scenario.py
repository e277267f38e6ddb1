"""The whole line on the real data: preprocess, train, evaluate, gate, register, approve, serve; equal to
XGBoost used directly.
"""

from __future__ import annotations

import csv
import io
import json
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

from emulator.sagemaker import ApiError, SageMaker
from emulator.sagemaker.fake_host import FakeHost

ABALONE = Path(__file__).parents[4] / "examples" / "abalone" / "data" / "abalone.csv"
PIPELINE_ROLE = "arn:aws:iam::000000000000:role/pipeline"
JOB_ROLE = "arn:aws:iam::000000000000:role/job"
MODEL_ROLE = "arn:aws:iam::000000000000:role/model"
CALLER = "arn:aws:iam::000000000000:role/tester"
SKLEARN = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3"
XGBOOST = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:3.2-0"
HYPER = {
    "objective": "reg:squarederror",
    "max_depth": "5",
    "eta": "0.2",
    "gamma": "4",
    "min_child_weight": "6",
    "subsample": "0.7",
    "seed": "7",
}

PREPARE = """
import csv, pathlib, sys
source, out = map(pathlib.Path, sys.argv[1:3])
rows = [row for path in sorted(source.glob('*.csv')) for row in csv.DictReader(path.open())]
codes = {'F': 0, 'I': 1, 'M': 2}
for name in ('train', 'validation', 'test'):
    (out / name).mkdir(parents=True, exist_ok=True)
parts = {'train': rows[:2900], 'validation': rows[2900:3500], 'test': rows[3500:]}
for name, part in parts.items():
    with (out / name / 'part-0.csv').open('w', newline='') as stream:
        writer = csv.writer(stream)
        for row in part:
            rest = [row[key] for key in row if key not in ('sex', 'rings')]
            writer.writerow([row['rings'], codes[row['sex']], *rest])
print('prepared', len(rows), 'rows')
"""
EVALUATE = """
import json, os, pathlib, tarfile, numpy, xgboost
base = pathlib.Path(os.environ['INPUTS'])
with tarfile.open(base / 'model' / 'model.tar.gz') as tar:
    tar.extractall(base / 'unpacked')
booster = xgboost.Booster()
booster.load_model(bytearray((base / 'unpacked' / 'xgboost-model').read_bytes()))
data = numpy.loadtxt(base / 'test' / 'part-0.csv', delimiter=',')
best = booster.attr('best_iteration')
window = (0, int(best) + 1) if best else (0, 0)
error = booster.predict(xgboost.DMatrix(data[:, 1:]), iteration_range=window) - data[:, 0]
out = pathlib.Path(os.environ['OUT']); out.mkdir(parents=True, exist_ok=True)
mse = {'value': float(numpy.mean(error ** 2)), 'standard_deviation': float(numpy.std(error))}
report = {'regression_metrics': {'mse': mse}}
(out / 'evaluation.json').write_text(json.dumps(report))
"""
INFERENCE = """
import csv, io
CODES = {'F': 0, 'I': 1, 'M': 2}
def model_fn(model_dir):
    return open(model_dir + '/marker').read()
def input_fn(body, content_type):
    assert content_type.startswith('text/csv'), content_type
    return list(csv.reader(io.StringIO(body)))
def predict_fn(rows, model):
    assert model == 'ok'
    return [[CODES[row[0]], *row[1:]] for row in rows]
def output_fn(rows, accept):
    return '\\n'.join(','.join(map(str, row)) for row in rows), accept
"""


def step(name: str, kind: str, arguments: dict[str, Any], **extra: Any) -> dict[str, Any]:
    return {"Name": name, "Type": kind, "Arguments": arguments, **extra}


def get(path: str) -> dict[str, str]:
    return {"Get": path}


def join(*values: Any, on: str = "/") -> dict[str, Any]:
    return {"Std:Join": {"On": on, "Values": list(values)}}


def processing(
    name: str,
    script: str,
    arguments: list[str],
    inputs: list[dict[str, Any]],
    outputs: list[str],
    **extra: Any,
) -> dict[str, Any]:
    def output(each: str) -> dict[str, Any]:
        target = join(
            "s3:/", "models", get("Execution.PipelineName"), get("Execution.PipelineExecutionId"), name, each
        )
        return {
            "OutputName": each,
            "S3Output": {
                "S3Uri": target,
                "LocalPath": f"/opt/ml/processing/output/{each}",
                "S3UploadMode": "EndOfJob",
            },
        }

    code = {
        "InputName": "code",
        "S3Input": {
            "S3Uri": f"s3://code/{script}",
            "LocalPath": "/opt/ml/processing/input/code",
            "S3DataType": "S3Prefix",
            "S3InputMode": "File",
        },
    }
    request = {
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceType": get("Parameters.InstanceType"),
                "InstanceCount": 1,
                "VolumeSizeInGB": 30,
            }
        },
        "AppSpecification": {
            "ImageUri": SKLEARN,
            "ContainerEntrypoint": ["python3", f"/opt/ml/processing/input/code/{script}"],
            "ContainerArguments": arguments,
        },
        "RoleArn": JOB_ROLE,
        "ProcessingInputs": [*inputs, code],
        "ProcessingOutputConfig": {"Outputs": [output(each) for each in outputs]},
        **extra.pop("more", {}),
    }
    if not arguments:
        del request["AppSpecification"]["ContainerArguments"]
    return step(name, "Processing", request, **extra)


def source(name: str, uri: Any) -> dict[str, Any]:
    return {
        "InputName": name,
        "S3Input": {
            "S3Uri": uri,
            "LocalPath": f"/opt/ml/processing/input/{name}",
            "S3DataType": "S3Prefix",
            "S3InputMode": "File",
        },
    }


def channel(name: str) -> dict[str, Any]:
    uri = get(f"Steps.Preprocess.ProcessingOutputConfig.Outputs['{name}'].S3Output.S3Uri")
    data = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": data}, "ContentType": "text/csv"}


def definition() -> dict[str, Any]:
    mse = {
        "Std:JsonGet": {
            "PropertyFile": get("Steps.Evaluate.PropertyFiles.EvaluationReport"),
            "Path": "regression_metrics.mse.value",
        }
    }
    artifact = get("Steps.Train.ModelArtifacts.S3ModelArtifacts")
    train = {
        "AlgorithmSpecification": {"TrainingImage": XGBOOST, "TrainingInputMode": "File"},
        "OutputDataConfig": {
            "S3OutputPath": join(
                "s3:/", "models", get("Execution.PipelineName"), get("Execution.PipelineExecutionId"), "Train"
            )
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m4.xlarge", "VolumeSizeInGB": 30},
        "RoleArn": JOB_ROLE,
        "InputDataConfig": [channel("train"), channel("validation")],
        "HyperParameters": {
            **HYPER,
            # Without it nothing stops early.
            "eval_metric": "rmse",
            "num_round": get("Parameters.NumRound"),
            "early_stopping_rounds": join(get("Parameters.EarlyStoppingRounds"), on=""),
        },
    }
    register = {
        "ModelPackageGroupName": "Abalone",
        "ModelApprovalStatus": get("Parameters.ModelApprovalStatus"),
        "InferenceSpecification": {
            "Containers": [
                {
                    "Image": SKLEARN,
                    "ModelDataUrl": "s3://models/preprocessor/model.tar.gz",
                    "Environment": {
                        "SAGEMAKER_PROGRAM": "inference.py",
                        "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
                        "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "text/csv",
                    },
                },
                {"Image": XGBOOST, "ModelDataUrl": artifact},
            ],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        },
        "ModelMetrics": {
            "ModelQuality": {
                "Statistics": {
                    "ContentType": "application/json",
                    "S3Uri": join(
                        get("Steps.Evaluate.ProcessingOutputConfig.Outputs['evaluation'].S3Output.S3Uri"),
                        "evaluation.json",
                    ),
                }
            }
        },
        "CustomerMetadataProperties": {
            "ManifestId": get("Parameters.ManifestId"),
            "PipelineExecutionArn": get("Execution.PipelineExecutionArn"),
        },
    }
    evaluate = processing(
        "Evaluate",
        "evaluate.py",
        [],
        [
            source("model", artifact),
            source("test", get("Steps.Preprocess.ProcessingOutputConfig.Outputs['test'].S3Output.S3Uri")),
        ],
        ["evaluation"],
        more={
            "Environment": {
                "INPUTS": "/opt/ml/processing/input",
                "OUT": "/opt/ml/processing/output/evaluation",
            }
        },
        PropertyFiles=[
            {
                "PropertyFileName": "EvaluationReport",
                "OutputName": "evaluation",
                "FilePath": "evaluation.json",
            }
        ],
    )
    gate = {
        "Conditions": [
            {"Type": "LessThanOrEqualTo", "LeftValue": mse, "RightValue": get("Parameters.MseThreshold")}
        ],
        "IfSteps": [step("Register", "RegisterModel", register)],
        "ElseSteps": [
            step(
                "Reject",
                "Fail",
                {"ErrorMessage": join("mse ", mse, " > ", get("Parameters.MseThreshold"), on="")},
            )
        ],
    }
    return {
        "Version": "2020-12-01",
        "Metadata": {},
        "Parameters": [
            {"Name": "InputData", "Type": "String"},
            {"Name": "ManifestId", "Type": "String", "DefaultValue": "none"},
            {"Name": "InstanceType", "Type": "String", "DefaultValue": "ml.t3.medium"},
            {"Name": "ModelApprovalStatus", "Type": "String", "DefaultValue": "PendingManualApproval"},
            {"Name": "NumRound", "Type": "Integer", "DefaultValue": 50},
            {"Name": "EarlyStoppingRounds", "Type": "Integer", "DefaultValue": 10},
            {"Name": "MseThreshold", "Type": "Float", "DefaultValue": 6},
        ],
        # A consumer may stand before its producer: the order is that of the references.
        "Steps": [
            step("Gate", "Condition", gate),
            evaluate,
            step("Train", "Training", train),
            processing(
                "Preprocess",
                "prepare.py",
                ["/opt/ml/processing/input/data", "/opt/ml/processing/output"],
                [source("data", get("Parameters.InputData"))],
                ["train", "validation", "test"],
            ),
        ],
    }


def archive(**files: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name.replace("__", "/").replace("_py", ".py"))
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return stream.getvalue()


@pytest.fixture
def ready(sm: SageMaker, host: FakeHost) -> SageMaker:
    host.objects["data", "processed/abc/abalone.csv"] = ABALONE.read_bytes()
    host.objects["code", "prepare.py"] = PREPARE.encode()
    host.objects["code", "evaluate.py"] = EVALUATE.encode()
    host.objects["models", "preprocessor/model.tar.gz"] = archive(marker="ok", code__inference_py=INFERENCE)
    sm.handle("CreateModelPackageGroup", {"ModelPackageGroupName": "Abalone"}, CALLER)
    sm.handle(
        "CreatePipeline",
        {
            "PipelineName": "Training",
            "RoleArn": PIPELINE_ROLE,
            "PipelineDefinition": json.dumps(definition()),
        },
        CALLER,
    )
    return sm


def start(sm: SageMaker, **parameters: str) -> str:
    given = {"InputData": "s3://data/processed/abc", **parameters}
    request = {
        "PipelineName": "Training",
        "PipelineParameters": [{"Name": key, "Value": value} for key, value in given.items()],
        "ClientRequestToken": "t" * 40,
    }
    arn: str = sm.handle("StartPipelineExecution", request, CALLER)["PipelineExecutionArn"]
    return arn


def finish(sm: SageMaker, arn: str, seconds: float = 120) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    assert sm.pipelines.execution(arn).done.wait(seconds), "the pipeline does not end"
    steps = sm.handle("ListPipelineExecutionSteps", {"PipelineExecutionArn": arn, "MaxResults": 100}, CALLER)[
        "PipelineExecutionSteps"
    ]
    return sm.handle("DescribePipelineExecution", {"PipelineExecutionArn": arn}, CALLER), {
        row["StepName"]: row for row in steps
    }


def settled(sm: SageMaker, name: str, seconds: float = 60) -> dict[str, Any]:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = sm.handle("DescribeEndpoint", {"EndpointName": name}, CALLER)
        if found["EndpointStatus"] not in ("Creating", "Updating", "RollingBack"):
            return found
        time.sleep(0.05)
    raise AssertionError(f"endpoint {name} does not settle")


def offline() -> tuple[list[float], float]:
    """The same training without any of this: predictions of the first three animals and the test MSE."""
    import numpy
    import xgboost

    codes = {"F": 0.0, "I": 1.0, "M": 2.0}
    with ABALONE.open() as stream:
        rows = [
            [
                float(row["rings"]),
                codes[row["sex"]],
                *[float(row[key]) for key in row if key not in ("sex", "rings")],
            ]
            for row in csv.DictReader(stream)
        ]
    data = numpy.asarray(rows, dtype=numpy.float32)
    parts = [data[:2900], data[2900:3500], data[3500:]]
    train, validation, test = (xgboost.DMatrix(part[:, 1:], label=part[:, 0]) for part in parts)
    params: dict[str, Any] = {
        key: value if key == "objective" else float(value) for key, value in HYPER.items()
    }
    params.update(seed=7, max_depth=5, nthread=2)
    booster = xgboost.train(
        params,
        train,
        50,
        evals=[(train, "train"), (validation, "validation")],
        early_stopping_rounds=10,
        verbose_eval=False,
    )
    window = (0, booster.best_iteration + 1)
    error = booster.predict(test, iteration_range=window) - parts[2][:, 0]
    first = booster.predict(xgboost.DMatrix(data[:3, 1:]), iteration_range=window)
    return [float(value) for value in first], float(numpy.mean(error**2))


def test_from_data_to_prediction(ready: SageMaker, host: FakeHost) -> None:
    begun = time.monotonic()
    execution, steps = finish(ready, start(ready, ManifestId="m-1"))
    assert execution["PipelineExecutionStatus"] == "Succeeded", steps
    assert {name: row["StepStatus"] for name, row in steps.items()} == dict.fromkeys(
        ("Preprocess", "Train", "Evaluate", "Gate", "Register"), "Succeeded"
    )
    assert steps["Gate"]["Metadata"] == {"Condition": {"Outcome": "True"}}
    print(f"pipeline {time.monotonic() - begun:.1f} s")

    package = ready.handle("ListModelPackages", {"ModelPackageGroupName": "Abalone"}, CALLER)[
        "ModelPackageSummaryList"
    ][0]
    assert package["ModelPackageVersion"] == 1 and package["ModelApprovalStatus"] == "PendingManualApproval"
    described = ready.handle("DescribeModelPackage", {"ModelPackageName": package["ModelPackageArn"]}, CALLER)
    assert described["CustomerMetadataProperties"]["ManifestId"] == "m-1"
    assert described["MetadataProperties"]["GeneratedBy"] == execution["PipelineExecutionArn"]
    predictions, mse = offline()
    report_uri = described["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"]
    report = json.loads(host.objects["models", report_uri.removeprefix("s3://models/")])
    assert report["regression_metrics"]["mse"]["value"] == pytest.approx(mse, rel=1e-6)
    assert 3.0 < mse < 5.8  # the split is by position, not shuffled

    ready_to_serve(ready, package["ModelPackageArn"])
    assert settled(ready, "abalone")["EndpointStatus"] == "InService"
    body = b"".join(
        b",".join(line.split(b",")[:8]) + b"\n" for line in ABALONE.read_bytes().splitlines()[1:4]
    )
    status, headers, answer = ready.invoke(
        "abalone", {"Content-Type": "text/csv", "Accept": "text/csv"}, body
    )
    assert status == 200 and headers["Content-Type"].startswith("text/csv")
    assert [float(part) for part in answer.decode().splitlines()] == pytest.approx(predictions, rel=1e-6)
    with pytest.raises(ApiError) as caught:
        ready.invoke("abalone", {"Content-Type": "text/csv"}, b"X,1,2,3,4,5,6,7\n")
    assert (caught.value.code, caught.value.status) == ("ModelError", 424)
    assert host.logged("KeyError: 'X'")
    print(f"all {time.monotonic() - begun:.1f} s")

    train_job = steps["Train"]["Metadata"]["TrainingJob"]["Arn"].rsplit("/", 1)[-1]
    job = ready.handle("DescribeTrainingJob", {"TrainingJobName": train_job}, CALLER)
    assert (
        job["HyperParameters"]["num_round"] == "50"
        and job["HyperParameters"]["early_stopping_rounds"] == "10"
    )
    assert {entry["MetricName"] for entry in job["FinalMetricDataList"]} == {"train:rmse", "validation:rmse"}
    logged = [
        lines
        for (group, stream), lines in host.logs.items()
        if group == "/aws/sagemaker/TrainingJobs" and stream.startswith(train_job)
    ]
    assert any("validation-rmse" in line for line in logged[0])
    kinds = {event["detail-type"] for event in host.events}
    assert {
        "SageMaker Model Package State Change",
        "SageMaker Model Building Pipeline Execution Status Change",
        "SageMaker Model Building Pipeline Execution Step Status Change",
        "SageMaker Endpoint State Change",
        "SageMaker Training Job State Change",
        "SageMaker Processing Job State Change",
    } <= kinds


def ready_to_serve(sm: SageMaker, package_arn: str) -> None:
    sm.handle(
        "UpdateModelPackage", {"ModelPackageArn": package_arn, "ModelApprovalStatus": "Approved"}, CALLER
    )
    sm.handle(
        "CreateModel",
        {
            "ModelName": "m1",
            "ExecutionRoleArn": MODEL_ROLE,
            "Containers": [{"ModelPackageName": package_arn}],
        },
        CALLER,
    )
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": "m1",
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    sm.handle("CreateEndpointConfig", {"EndpointConfigName": "c1", "ProductionVariants": [variant]}, CALLER)
    sm.handle("CreateEndpoint", {"EndpointName": "abalone", "EndpointConfigName": "c1"}, CALLER)


def test_the_gate_rejects(ready: SageMaker) -> None:
    execution, steps = finish(ready, start(ready, MseThreshold="1.0"))
    assert execution["PipelineExecutionStatus"] == "Failed"
    assert steps["Gate"]["Metadata"] == {"Condition": {"Outcome": "False"}}
    assert steps["Reject"]["StepStatus"] == "Failed" and "Register" not in steps
    assert steps["Reject"]["FailureReason"].startswith("mse 3.3") and steps["Reject"][
        "FailureReason"
    ].endswith(" > 1.0")
    assert (
        ready.handle("ListModelPackages", {"ModelPackageGroupName": "Abalone"}, CALLER)[
            "ModelPackageSummaryList"
        ]
        == []
    )
