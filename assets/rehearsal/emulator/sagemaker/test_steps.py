"""Steps that tune, make a model and transform with it, one after the other, and what each needs of which role."""

from __future__ import annotations

import json
from typing import Any

import pytest

from emulator.sagemaker import SageMaker
from emulator.sagemaker.fake_host import FakeHost
from emulator.sagemaker.test_scenario import CALLER, MODEL_ROLE, PIPELINE_ROLE, archive, get, join, step
from emulator.sagemaker.test_tuning import request as tuning

SCRIPT = """
import argparse, os
parser = argparse.ArgumentParser()
parser.add_argument('-x')
parser.add_argument('--word')
given = parser.parse_args()
open(os.path.join(os.environ['SM_MODEL_DIR'], 'word'), 'w').write(given.word + given.x[:3])
print(f'score={given.x};')
"""
SERVE = """
def model_fn(model_dir):
    return open(model_dir + '/word').read()
def predict_fn(data, model):
    return [model]
def output_fn(prediction, accept):
    return prediction[0], accept
"""


def definition() -> str:
    tune = tuning(limits={"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 2})
    del tune["HyperParameterTuningJobName"]
    best = get("Steps.Tune_it.TrainingJobSummaries[0].TrainingJobName")
    image = tune["TrainingJobDefinition"]["AlgorithmSpecification"]["TrainingImage"]
    environment = {"SAGEMAKER_PROGRAM": "serve.py", "SAGEMAKER_SUBMIT_DIRECTORY": "s3://b/serve.tar.gz"}
    container = {
        "Image": image,
        "ModelDataUrl": join("s3://b/tuned", best, "output/model.tar.gz"),
        "Environment": environment,
    }
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/rows"}}
    transform = {
        "ModelName": get("Steps.Make.ModelName"),
        "TransformInput": {"DataSource": source, "ContentType": "text/csv"},
        "TransformOutput": {"S3OutputPath": "s3://b/out"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    }
    steps = [
        step("Tune_it", "Tuning", tune),
        step("Make", "Model", {"ExecutionRoleArn": MODEL_ROLE, "PrimaryContainer": container}),
        step("Rows", "Transform", transform),
    ]
    return json.dumps({"Version": "2020-12-01", "Steps": steps})


def run(sm: SageMaker, host: FakeHost) -> tuple[str, dict[str, dict[str, Any]]]:
    host.objects["b", "code.tar.gz"] = archive(train_py=SCRIPT)
    host.objects["b", "serve.tar.gz"] = archive(serve_py=SERVE)
    host.objects["b", "rows"] = b"1\n"
    given = {"PipelineName": "P", "RoleArn": PIPELINE_ROLE, "PipelineDefinition": definition()}
    sm.handle("CreatePipeline", given, CALLER)
    arn = sm.handle("StartPipelineExecution", {"PipelineName": "P"}, CALLER)["PipelineExecutionArn"]
    assert sm.pipelines.execution(arn).done.wait(120)
    steps = sm.handle("ListPipelineExecutionSteps", {"PipelineExecutionArn": arn}, CALLER)
    rows = {row["StepName"]: row for row in steps["PipelineExecutionSteps"]}
    return sm.pipelines.execution(arn).status, rows


def test_the_model_of_the_best_training_job_transforms(sm: SageMaker, host: FakeHost) -> None:
    status, steps = run(sm, host)
    assert status == "Succeeded", steps
    assert host.objects["b", "out/rows.out"].startswith(b"ok")
    tuned = steps["Tune_it"]["Metadata"]["TuningJob"]["Arn"].rpartition("/")[2]
    assert tuned.startswith("pipelines-") and len(tuned) <= 32
    assert steps["Rows"]["Metadata"]["TransformJob"]["Arn"].rpartition("/")[2].startswith("pipelines-")


@pytest.mark.parametrize(
    ("step_name", "action"),
    [
        ("Tune_it", "sagemaker:CreateHyperParameterTuningJob"),
        ("Tune_it", "sagemaker:AddTags"),
        ("Tune_it", "iam:PassRole"),
        ("Tune_it", "sagemaker:DescribeHyperParameterTuningJob"),
        ("Tune_it", "sagemaker:ListTrainingJobsForHyperParameterTuningJob"),
        ("Make", "sagemaker:CreateModel"),
        ("Rows", "sagemaker:CreateTransformJob"),
        ("Rows", "sagemaker:DescribeTransformJob"),
    ],
)
def test_each_missing_grant_of_the_pipeline_fails_its_step_by_name(
    sm: SageMaker, host: FakeHost, step_name: str, action: str
) -> None:
    host.denied.append((PIPELINE_ROLE, action, "*"))
    status, steps = run(sm, host)
    assert status == "Failed"
    reason = steps[step_name]["FailureReason"]
    assert f"assumed-role/pipeline/SageMaker is not authorized to perform: {action}" in reason


def test_a_callback_that_may_not_send(sm: SageMaker, host: FakeHost) -> None:
    ask = {
        "Name": "Ask",
        "Type": "Callback",
        "SqsQueueUrl": "https://sqs.us-east-1.amazonaws.com/000000000000/q",
    }
    body = json.dumps({"Version": "2020-12-01", "Steps": [ask]})
    sm.handle(
        "CreatePipeline", {"PipelineName": "P", "RoleArn": PIPELINE_ROLE, "PipelineDefinition": body}, CALLER
    )
    host.denied.append((PIPELINE_ROLE, "sqs:SendMessage", "*"))
    arn = sm.handle("StartPipelineExecution", {"PipelineName": "P"}, CALLER)["PipelineExecutionArn"]
    assert sm.pipelines.execution(arn).done.wait(30)
    (row,) = sm.pipelines.execution(arn).step_rows()
    assert (
        "assumed-role/pipeline/SageMaker is not authorized to perform: sqs:SendMessage"
        in row["FailureReason"]
    )
