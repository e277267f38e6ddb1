"""
Writes the golden pipeline definitions with the official SDK, version 2.257.1, without network or account:

    pip install -r requirements.txt && python make.py

`training.json` is a pipeline of the forms that the training room uses; `values.json` has the functions, conditions and
parameter types one by one. test/training.test.ts builds both with `PipelineDefinition` and compares them as parsed JSON.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from unittest.mock import Mock

os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
os.environ.setdefault("SAGEMAKER_ADMIN_CONFIG_OVERRIDE", "/dev/null")

from sagemaker import PipelineModel  # noqa: E402
from sagemaker.estimator import Estimator  # noqa: E402
from sagemaker.inputs import TrainingInput  # noqa: E402
from sagemaker.model import Model  # noqa: E402
from sagemaker.model_metrics import MetricsSource, ModelMetrics  # noqa: E402
from sagemaker.processing import ProcessingInput, ProcessingOutput, Processor  # noqa: E402
from sagemaker.workflow.condition_step import ConditionStep  # noqa: E402
from sagemaker.workflow.conditions import (  # noqa: E402
    ConditionEquals,
    ConditionGreaterThan,
    ConditionGreaterThanOrEqualTo,
    ConditionIn,
    ConditionLessThan,
    ConditionLessThanOrEqualTo,
    ConditionNot,
    ConditionOr,
)
from sagemaker.workflow.execution_variables import ExecutionVariables  # noqa: E402
from sagemaker.workflow.fail_step import FailStep  # noqa: E402
from sagemaker.workflow.functions import Join, JsonGet  # noqa: E402
from sagemaker.workflow.model_step import ModelStep  # noqa: E402
from sagemaker.workflow.parameters import (  # noqa: E402
    ParameterBoolean,
    ParameterFloat,
    ParameterInteger,
    ParameterString,
)
from sagemaker.workflow.pipeline import Pipeline  # noqa: E402
from sagemaker.workflow.pipeline_context import PipelineSession  # noqa: E402
from sagemaker.workflow.properties import PropertyFile  # noqa: E402
from sagemaker.workflow.retry import (  # noqa: E402
    SageMakerJobExceptionTypeEnum,
    SageMakerJobStepRetryPolicy,
    StepExceptionTypeEnum,
    StepRetryPolicy,
)
from sagemaker.workflow.steps import CacheConfig, ProcessingStep, TrainingStep  # noqa: E402

HERE = Path(__file__).parent
ROLE = "arn:aws:iam::111122223333:role/jobs"
SKLEARN = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
XGBOOST = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
HOUR = 3600


def stub_session() -> PipelineSession:
    boto = Mock(region_name="us-east-1")
    boto.client.return_value.get_caller_identity.return_value = {"Account": "111122223333"}
    session = PipelineSession(boto_session=boto, sagemaker_client=Mock(), default_bucket="bucket")
    # Without this the SDK reports each call to its makers.
    session.sagemaker_config = {
        "SchemaVersion": "1.0",
        "SageMaker": {"PythonSDK": {"Modules": {"TelemetryOptOut": True}}},
    }
    return session


SESSION = stub_session()


def place(path: str) -> Join:
    return Join(on="", values=["s3://bucket/animals/", ExecutionVariables.PIPELINE_EXECUTION_ID, "/" + path])


def processor(image: str, instance: object, command: str) -> Processor:
    return Processor(
        role=ROLE,
        image_uri=image,
        instance_type=instance,
        instance_count=1,
        entrypoint=["python3", "/opt/ml/processing/input/code/scripts.zip", command],
        max_runtime_in_seconds=HOUR,
        sagemaker_session=SESSION,
    )


def given(name: str, source: object) -> ProcessingInput:
    return ProcessingInput(input_name=name, source=source, destination=f"/opt/ml/processing/input/{name}")


def left(name: str, step: str) -> ProcessingOutput:
    return ProcessingOutput(
        output_name=name, source=f"/opt/ml/processing/output/{name}", destination=place(f"{step}/{name}")
    )


def output_of(step: ProcessingStep, name: str) -> object:
    return step.properties.ProcessingOutputConfig.Outputs[name].S3Output.S3Uri


def training() -> Pipeline:
    data = ParameterString("InputData")
    manifest = ParameterString("ManifestId")
    instance = ParameterString("ProcessingInstanceType", default_value="ml.t3.medium")
    approval = ParameterString(
        "ModelApprovalStatus",
        default_value="PendingManualApproval",
        enum_values=["PendingManualApproval", "Approved"],
    )
    depth = ParameterInteger("MaxDepth", default_value=5)
    eta = ParameterFloat("Eta", default_value=0.2)
    limit = ParameterFloat("MseThreshold", default_value=6.0)
    retries = [
        StepRetryPolicy(
            exception_types=[StepExceptionTypeEnum.SERVICE_FAULT, StepExceptionTypeEnum.THROTTLING],
            interval_seconds=5,
            max_attempts=5,
        ),
        SageMakerJobStepRetryPolicy(
            exception_types=[
                SageMakerJobExceptionTypeEnum.INTERNAL_ERROR,
                SageMakerJobExceptionTypeEnum.CAPACITY_ERROR,
            ],
            interval_seconds=60,
            expire_after_mins=30,
        ),
    ]
    preprocess = ProcessingStep(
        name="Preprocess",
        display_name="Prepare",
        step_args=processor(SKLEARN, instance, "preprocess").run(
            inputs=[given("data", data), given("code", "s3://assets/scripts.zip")],
            outputs=[left(name, "Preprocess") for name in ("train", "validation", "test", "preprocessor")],
            arguments=["--input", "/opt/ml/processing/input/data"],
        ),
        retry_policies=retries,
        cache_config=CacheConfig(enable_caching=True, expire_after="P30D"),
    )
    estimator = Estimator(
        image_uri=XGBOOST,
        role=ROLE,
        instance_count=1,
        instance_type="ml.m4.xlarge",
        output_path=place("Train"),
        max_run=HOUR,
        hyperparameters={"objective": "reg:squarederror", "max_depth": depth, "eta": eta, "num_round": "50"},
        disable_profiler=True,
        debugger_hook_config=False,
        use_spot_instances=True,
        max_wait=2 * HOUR,
        sagemaker_session=SESSION,
    )
    train = TrainingStep(
        name="Train",
        step_args=estimator.fit(
            inputs={
                name: TrainingInput(s3_data=output_of(preprocess, name), content_type="text/csv")
                for name in ("train", "validation")
            }
        ),
    )
    file = PropertyFile(name="EvaluationReport", output_name="evaluation", path="evaluation.json")
    evaluate = ProcessingStep(
        name="Evaluate",
        description="Measure",
        step_args=processor(XGBOOST, instance, "evaluate").run(
            inputs=[
                given("model", train.properties.ModelArtifacts.S3ModelArtifacts),
                given("test", output_of(preprocess, "test")),
            ],
            outputs=[left("evaluation", "Evaluate")],
        ),
        property_files=[file],
    )
    model = PipelineModel(
        models=[
            Model(
                image_uri=SKLEARN,
                model_data=Join(on="", values=[output_of(preprocess, "preprocessor"), "/model.tar.gz"]),
                env={"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"},
                role=ROLE,
                sagemaker_session=SESSION,
            ),
            Model(
                image_uri=XGBOOST,
                model_data=train.properties.ModelArtifacts.S3ModelArtifacts,
                role=ROLE,
                sagemaker_session=SESSION,
            ),
        ],
        role=ROLE,
        sagemaker_session=SESSION,
    )
    register = ModelStep(
        name="Register",
        step_args=model.register(
            content_types=["text/csv"],
            response_types=["text/csv"],
            inference_instances=["ml.m5.large"],
            transform_instances=["ml.m5.large"],
            model_package_group_name="Animals",
            approval_status=approval,
            model_metrics=ModelMetrics(
                model_statistics=MetricsSource(
                    content_type="application/json",
                    s3_uri=Join(on="", values=[output_of(evaluate, "evaluation"), "/evaluation.json"]),
                )
            ),
            customer_metadata_properties={
                "ManifestId": manifest,
                "PipelineExecutionArn": ExecutionVariables.PIPELINE_EXECUTION_ARN,
            },
        ),
    )
    mse = JsonGet(step_name="Evaluate", property_file=file, json_path="regression_metrics.mse.value")
    reject = FailStep(name="Reject", error_message=Join(on="", values=["mse ", mse, " > ", limit]))
    gate = ConditionStep(
        name="Gate",
        conditions=[ConditionLessThanOrEqualTo(left=mse, right=limit)],
        if_steps=[register],
        else_steps=[reject],
    )
    return Pipeline(
        name="animals",
        pipeline_experiment_config=None,
        parameters=[data, manifest, instance, approval, depth, eta, limit],
        steps=[preprocess, train, evaluate, gate],
        sagemaker_session=SESSION,
    )


def values() -> Pipeline:
    text = ParameterString("Text")
    empty = ParameterString("Empty", default_value="")
    whole = ParameterInteger("Whole", default_value=0)
    real = ParameterFloat("Real", default_value=0.5)
    flag = ParameterBoolean("Flag", default_value=False)
    nested = Join(on="-", values=["a", text])
    first = FailStep(
        name="First",
        error_message=Join(
            on=", ", values=[text, whole.to_string(), ExecutionVariables.START_DATETIME, nested]
        ),
    )
    inner = ConditionStep(
        name="Inner",
        conditions=[
            ConditionNot(ConditionEquals(left=text, right="a")),
            ConditionOr(
                conditions=[
                    ConditionGreaterThan(left=whole, right=3),
                    ConditionLessThan(left=real, right=whole),
                ]
            ),
        ],
        if_steps=[FailStep(name="Third", error_message="stop")],
        else_steps=[],
    )
    outer = ConditionStep(
        name="Outer",
        depends_on=["First"],
        conditions=[
            ConditionIn(value=text, in_values=["a", "b"]),
            ConditionEquals(left=flag, right=True),
            ConditionEquals(left=whole, right=2),
            ConditionGreaterThanOrEqualTo(left=real, right=0.25),
        ],
        if_steps=[inner],
        else_steps=[FailStep(name="Second", error_message=text)],
    )
    return Pipeline(
        name="values",
        pipeline_experiment_config=None,
        parameters=[text, empty, whole, real, flag],
        steps=[first, outer],
        sagemaker_session=SESSION,
    )


def main() -> None:
    for name, pipeline in (("training", training()), ("values", values())):
        definition = json.loads(pipeline.definition())
        (HERE / f"{name}.json").write_text(json.dumps(definition, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
