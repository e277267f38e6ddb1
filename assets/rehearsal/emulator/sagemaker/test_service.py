"""The control plane without models: jobs, permissions, registry, tags, requests that AWS would refuse."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest

from emulator.sagemaker import ApiError, SageMaker, required_permissions
from emulator.sagemaker.cfn import RESOURCES, Replace
from emulator.sagemaker.fake_host import FakeHost
from emulator.sagemaker.test_scenario import (
    CALLER,
    JOB_ROLE,
    PIPELINE_ROLE,
    SKLEARN,
    XGBOOST,
    finish,
    get,
    join,
    step,
)

TOKEN = "t" * 32


def refused(sm: SageMaker, operation: str, request: dict[str, Any], code: str = "ValidationException") -> str:
    with pytest.raises(ApiError) as caught:
        sm.handle(operation, request, CALLER)
    assert caught.value.code == code, caught.value
    return caught.value.message


def job(script: str = "", *, image: str = SKLEARN, outputs: bool = True, **extra: Any) -> dict[str, Any]:
    """A processing request that runs a line of Python."""
    request: dict[str, Any] = {
        "ProcessingResources": {
            "ClusterConfig": {"InstanceType": "ml.t3.medium", "InstanceCount": 1, "VolumeSizeInGB": 30}
        },
        "AppSpecification": {"ImageUri": image, "ContainerEntrypoint": ["python3", "-c", script or "pass"]},
        "RoleArn": JOB_ROLE,
    }
    if outputs:
        request["ProcessingOutputConfig"] = {
            "Outputs": [
                {
                    "OutputName": "out",
                    "S3Output": {
                        "S3Uri": "s3://b/out",
                        "LocalPath": "/opt/ml/processing/output",
                        "S3UploadMode": "EndOfJob",
                    },
                }
            ]
        }
    return {**request, **extra}


def run_job(sm: SageMaker, request: dict[str, Any], name: str = "j1") -> dict[str, Any]:
    sm.handle("CreateProcessingJob", {"ProcessingJobName": name, **request}, CALLER)
    assert sm.jobs.find("Processing", name).done.wait(30)
    return sm.handle("DescribeProcessingJob", {"ProcessingJobName": name}, CALLER)


def s3_input(uri: str, **extra: Any) -> dict[str, Any]:
    source = {
        "S3Uri": uri,
        "LocalPath": "/opt/ml/processing/input/data",
        "S3DataType": "S3Prefix",
        "S3InputMode": "File",
        **extra,
    }
    return {"ProcessingInputs": [{"InputName": "data", "S3Input": source}]}


# requests


@pytest.mark.parametrize(
    ("operation", "request_", "said"),
    [
        ("CreatePipeline", {"PipelineName": "a b", "RoleArn": PIPELINE_ROLE}, "regular expression pattern"),
        ("DescribePipeline", {}, "'pipelineName' failed to satisfy constraint: Member must not be null"),
        ("DescribePipeline", {"PipelineNme": "x"}, "did you mean PipelineName?"),
        ("ListModelPackages", {"SortOrder": "Up"}, "enum value set: [Ascending, Descending]"),
        ("ListModelPackages", {"MaxResults": 0}, "greater than or equal to 1"),
        ("ListModelPackages", {"MaxResults": "5"}, "must be an integer"),
        (
            "StartPipelineExecution",
            {"PipelineName": "p", "ClientRequestToken": "short"},
            "length greater than or equal to 32",
        ),
        ("CreateAutoMLJobV2", {}, "CreateAutoMLJobV2 is not played by the rehearsal."),
        ("ListModelPackages", {"NextToken": "!!"}, "Invalid NextToken"),
    ],
)
def test_requests_that_aws_would_refuse(
    sm: SageMaker, operation: str, request_: dict[str, Any], said: str
) -> None:
    assert said in refused(sm, operation, request_)


def test_an_operation_that_does_not_exist(sm: SageMaker) -> None:
    assert "no operation Foo" in refused(sm, "Foo", {}, "UnknownOperationException")


def test_every_played_operation_exists_in_the_service_model(sm: SageMaker) -> None:
    from emulator.sagemaker.service_shapes import operation_model

    for operation in sm.played:
        operation_model(operation)


# permissions


def actions(operation: str, request: dict[str, Any]) -> list[tuple[str, str]]:
    return [(found.action, found.resource) for found in required_permissions(operation, request)]


def test_required_permissions() -> None:
    base = "arn:aws:sagemaker:us-east-1:000000000000:"
    created = required_permissions(
        "CreateProcessingJob",
        {"ProcessingJobName": "j", "RoleArn": JOB_ROLE, "Tags": [{"Key": "k", "Value": "v"}]},
    )
    assert [(each.action, each.resource) for each in created] == [
        ("sagemaker:CreateProcessingJob", base + "processing-job/j"),
        ("sagemaker:AddTags", base + "processing-job/j"),
        ("iam:PassRole", JOB_ROLE),
    ]
    assert created[0].context == {"aws:RequestTag/k": "v"} and created[2].context == {
        "iam:PassedToService": "sagemaker.amazonaws.com"
    }
    assert actions("CreateModel", {"ModelName": "m", "ExecutionRoleArn": JOB_ROLE}) == [
        ("sagemaker:CreateModel", base + "model/m"),
        ("iam:PassRole", JOB_ROLE),
    ]
    package = base + "model-package/g/1"
    registered = {
        "ModelName": "m",
        "ExecutionRoleArn": JOB_ROLE,
        "Containers": [{"ModelPackageName": package}],
    }
    assert ("sagemaker:CreateModel", package) in actions("CreateModel", registered)
    assert actions("StartPipelineExecution", {"PipelineName": "p"}) == [
        ("sagemaker:StartPipelineExecution", base + "pipeline/p")
    ]
    assert actions("StartPipelineExecution", {"PipelineName": base + "pipeline/p"}) == [
        ("sagemaker:StartPipelineExecution", base + "pipeline/p")
    ]
    assert actions("UpdateEndpoint", {"EndpointName": "e", "EndpointConfigName": "c"}) == [
        ("sagemaker:UpdateEndpoint", base + "endpoint/e"),
        ("sagemaker:UpdateEndpoint", base + "endpoint-config/c"),
    ]
    assert actions("UpdateModelPackage", {"ModelPackageArn": base + "model-package/g/1"}) == [
        ("sagemaker:UpdateModelPackage", base + "model-package/g/1")
    ]
    assert actions("CreateModelPackage", {"ModelPackageGroupName": "g"})[0] == (
        "sagemaker:CreateModelPackage",
        base + "model-package/g/*",
    )
    assert actions(
        "DescribePipelineExecution", {"PipelineExecutionArn": base + "pipeline/p/execution/x"}
    ) == [("sagemaker:DescribePipelineExecution", base + "pipeline/p/execution/x")]
    assert actions("ListEndpoints", {}) == [("sagemaker:ListEndpoints", "*")]
    assert actions("InvokeEndpoint", {"EndpointName": "e"}) == [
        ("sagemaker:InvokeEndpoint", base + "endpoint/e")
    ]


def test_every_played_operation_has_a_resource(sm: SageMaker) -> None:
    """No operation with resource-level permissions falls through to `*`."""
    from emulator.sagemaker.service_shapes import operation_model

    for operation in sm.played:
        shape: Any = operation_model(operation).input_shape
        request = {name: "arn:x" if name.endswith("Arn") else "n" for name in shape.members if name != "Tags"}
        resources = [found.resource for found in required_permissions(operation, request)]
        everything = operation.startswith(("List", "SendPipeline", "BatchDescribe"))
        assert resources and (everything or "*" not in resources), operation


# jobs


def test_a_job_reads_runs_and_writes(sm: SageMaker, host: FakeHost) -> None:
    for key in ("in/a.csv", "in/deep/b.csv", "in/deep/", "inner/c.csv"):
        host.objects["b", key] = key.encode()
    script = (
        "import os,sys,pathlib; base=pathlib.Path(os.environ['IN']);"
        " print(sorted(p.relative_to(base).as_posix() for p in base.rglob('*') if"
        " p.is_file()));print(sys.argv[1:], os.environ['SAGEMAKER_BASE_DIR'] in os.environ['IN'],"
        " os.environ['AWS_REGION']);pathlib.Path(sys.argv[1], 'sub').mkdir(); pathlib.Path(sys.argv[1],"
        " 'sub', 'r.txt').write_text('done')"
    )
    request = job(**s3_input("s3://b/in"), Environment={"IN": "/opt/ml/processing/input/data"})
    host.objects["b", "code/run.py"] = script.encode()
    request["ProcessingInputs"] += [
        {
            "InputName": "code",
            "S3Input": {
                **s3_input("s3://b/code/run.py")["ProcessingInputs"][0]["S3Input"],
                "LocalPath": "/opt/ml/processing/input/code",
            },
        }
    ]
    request["AppSpecification"]["ContainerEntrypoint"] = ["python3", "/opt/ml/processing/input/code/run.py"]
    request["AppSpecification"]["ContainerArguments"] = [
        "/opt/ml/processing/output",
        "x/opt/ml",
        "--d=/opt/ml/processing",
    ]
    described = run_job(sm, request)
    assert described["ProcessingJobStatus"] == "Completed", described
    assert host.objects["b", "out/sub/r.txt"] == b"done"
    lines = next(iter(host.logs.values()))
    # S3Prefix means all keys that begin so: `inner/` too, as on AWS.
    assert "a.csv" in lines[0] and "deep/b.csv" in lines[0] and "inner/c.csv" in lines[0]
    assert "'x/opt/ml'" in lines[1] and "True us-east-1" in lines[1]
    assert not list((host.work / "sagemaker" / "jobs").iterdir()), (
        "the folder of a job that succeeded is removed"
    )


def test_one_object_lands_as_that_file_and_a_manifest_names_several(sm: SageMaker, host: FakeHost) -> None:
    host.objects["b", "x/schema.json"] = b"{}"
    host.objects["b", "x/m"] = json.dumps([{"prefix": "s3://b/x/"}, "schema.json"]).encode()
    show = "import os; print(os.listdir(os.environ['SAGEMAKER_BASE_DIR'] + '/processing/input/data'))"
    assert run_job(sm, job(show, **s3_input("s3://b/x/schema.json")))["ProcessingJobStatus"] == "Completed"
    assert (
        run_job(sm, job(show, **s3_input("s3://b/x/m", S3DataType="ManifestFile")), "j2")[
            "ProcessingJobStatus"
        ]
        == "Completed"
    )
    assert list(host.logs.values()) == [["['schema.json']"], ["['schema.json']"]]


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("print('before'); raise ValueError('column sex is missing')", "column sex is missing, exit code: 1"),
        ("import sys; sys.exit(7)", "exit code: 7"),
        ("import os; os.kill(os.getpid(), 9)", "exit code: 137"),
        (
            (
                "import os,pathlib,sys; p=pathlib.Path(os.environ['SAGEMAKER_BASE_DIR'],'output');"
                " (p/'failure').write_text('my own words'); sys.exit(1)"
            ),
            "AlgorithmError: my own words, exit code: 1",
        ),
    ],
)
def test_a_job_that_fails_says_why(sm: SageMaker, script: str, said: str) -> None:
    described = run_job(sm, job(script))
    assert described["ProcessingJobStatus"] == "Failed"
    assert described["FailureReason"].startswith("AlgorithmError: ") and said in described["FailureReason"]


def test_a_literal_path_is_explained(sm: SageMaker) -> None:
    reason = run_job(sm, job("open('/op' + 't/ml/processing/input/data/x.csv')"))["FailureReason"]
    assert reason.startswith("AlgorithmError") and "SAGEMAKER_BASE_DIR" in reason


def test_no_data_no_program_no_image(sm: SageMaker) -> None:
    assert (
        'No S3 objects found under S3 URL "s3://b/none"'
        in run_job(sm, job(**s3_input("s3://b/none")))["FailureReason"]
    )
    request = job()
    request["AppSpecification"]["ContainerEntrypoint"] = ["/usr/bin/spark-submitter"]
    assert "is not on this machine, exit code: 127" in run_job(sm, request, "j2")["FailureReason"]
    reason = run_job(sm, job(image="111111111111.dkr.ecr.us-east-1.amazonaws.com/mine:1"), "j3")[
        "FailureReason"
    ]
    assert "no stand-in for the image" in reason and 'CDK_MLOPS_STAND_INS=\'{"mine": ' in reason


def test_a_tag_that_does_not_exist(sm: SageMaker) -> None:
    reason = run_job(sm, job(image=SKLEARN.replace("1.9-0-cpu-py3", "latest")))["FailureReason"]
    assert "begin with a version, e.g. 1.9-0-cpu-py3" in reason


def test_own_stand_in(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDK_MLOPS_STAND_INS", '{"team/mine": "sagemaker-scikit-learn"}')
    sm = SageMaker(host)
    assert (
        run_job(sm, job("print(1)", image="111111111111.dkr.ecr.us-east-1.amazonaws.com/team/mine:1"))[
            "ProcessingJobStatus"
        ]
        == "Completed"
    )
    sm.close()
    monkeypatch.setenv("CDK_MLOPS_STAND_INS", '{"mine": "nothing"}')
    with pytest.raises(ValueError, match="unknown stand-in nothing for mine"):
        SageMaker(host)


@pytest.mark.parametrize(
    "action",
    [
        "s3:ListBucket",
        "s3:GetObject",
        "s3:PutObject",
        "ecr:BatchGetImage",
        "ecr:GetAuthorizationToken",
        "ecr:BatchCheckLayerAvailability",
        "logs:PutLogEvents",
        "logs:CreateLogStream",
    ],
)
def test_each_missing_grant_of_a_job_fails_it_by_name(sm: SageMaker, host: FakeHost, action: str) -> None:
    host.objects["b", "in/a.csv"] = b"1"
    host.denied.append((JOB_ROLE, action, "*"))
    script = (
        "import os,pathlib;"
        " pathlib.Path(os.environ['SAGEMAKER_BASE_DIR'],'processing/output/x').write_text('1')"
    )
    described = run_job(sm, job(script, **s3_input("s3://b/in")))
    assert described["ProcessingJobStatus"] == "Failed"
    assert (
        f"is not authorized to perform: {action}" in described["FailureReason"]
        and "job" in described["FailureReason"]
    )
    assert ("b", "out/x") not in host.objects


def test_the_time_limit_and_stop_leave_no_process(sm: SageMaker, host: FakeHost) -> None:
    children = (
        "import subprocess,sys,time; c=subprocess.Popen([sys.executable,'-c','import time; time.sleep(60)']);"
        " print(c.pid, flush=True); time.sleep(60)"
    )
    described = run_job(sm, job(children, StoppingCondition={"MaxRuntimeInSeconds": 1}))
    assert described["ProcessingJobStatus"] == "Stopped" and "MaxRuntimeExceeded" in described["ExitMessage"]
    sm.handle("CreateProcessingJob", {"ProcessingJobName": "j2", **job(children)}, CALLER)
    until = time.monotonic() + 20
    while sum(bool(lines) for lines in host.logs.values()) < 1 and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(1.0)
    sm.handle("StopProcessingJob", {"ProcessingJobName": "j2"}, CALLER)
    assert sm.jobs.find("Processing", "j2").done.wait(20)
    assert "already Stopped" in refused(sm, "StopProcessingJob", {"ProcessingJobName": "j2"})
    for lines in host.logs.values():
        for line in lines:
            assert gone(int(line))


def alive(pid: int) -> bool:
    import os

    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        with open(f"/proc/{pid}/stat") as stream:
            return stream.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return True


def gone(pid: int) -> bool:
    """Whether a process ends within a moment: a killed one is not gone at once on a busy machine."""
    until = time.monotonic() + 5
    while alive(pid) and time.monotonic() < until:
        time.sleep(0.05)
    return not alive(pid)


def test_close_ends_everything(host: FakeHost) -> None:
    sm = SageMaker(host)
    sm.handle(
        "CreateProcessingJob",
        {"ProcessingJobName": "j", **job("import os,time; print(os.getpid(), flush=True); time.sleep(60)")},
        CALLER,
    )
    until = time.monotonic() + 20
    logged = [fields for kind, message, fields in host.notes if kind == "log"]
    while not logged and time.monotonic() < until:
        time.sleep(0.05)
        logged = [message for kind, message, fields in host.notes if kind == "log"]  # type: ignore[misc]
    sm.close()
    assert gone(int(str(logged[0])))
    assert sm.jobs.find("Processing", "j").done.wait(5)
    assert "ending" in refused(sm, "ListModels", {}, "ServiceUnavailable")


def test_names_are_unique_and_pages_turn(sm: SageMaker) -> None:
    for index in range(5):
        run_job(sm, job(outputs=False), f"job-{index}")
    assert "already exists" in refused(
        sm, "CreateProcessingJob", {"ProcessingJobName": "job-1", **job()}, "ResourceInUse"
    )
    refused(sm, "DescribeProcessingJob", {"ProcessingJobName": "none"}, "ResourceNotFound")
    seen: list[str] = []
    token: dict[str, str] = {}
    while True:
        answer = sm.handle(
            "ListProcessingJobs",
            {"MaxResults": 2, "SortBy": "Name", "SortOrder": "Ascending", **token},
            CALLER,
        )
        seen += [row["ProcessingJobName"] for row in answer["ProcessingJobSummaries"]]
        if "NextToken" not in answer:
            break
        token = {"NextToken": answer["NextToken"]}
    assert seen == [f"job-{index}" for index in range(5)]


def train(sm: SageMaker, host: FakeHost, data: str, **extra: Any) -> dict[str, Any]:
    host.objects["b", "train/x.csv"] = data.encode()
    hyper = extra.pop("hyper", {"num_round": "3"})
    request = {
        "TrainingJobName": "t1",
        "AlgorithmSpecification": {"TrainingImage": XGBOOST, "TrainingInputMode": "File"},
        "RoleArn": JOB_ROLE,
        "HyperParameters": hyper,
        "InputDataConfig": [
            {
                "ChannelName": "train",
                "ContentType": "text/csv",
                "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/train"}},
            }
        ],
        "OutputDataConfig": {"S3OutputPath": "s3://b/models"},
        "ResourceConfig": {"InstanceType": "ml.m4.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        **extra,
    }
    sm.handle("CreateTrainingJob", request, CALLER)
    begun = sm.handle("DescribeTrainingJob", {"TrainingJobName": request["TrainingJobName"]}, CALLER)
    assert begun["TrainingJobStatus"] == "InProgress", "a job is not complete when its creation returns"
    assert sm.jobs.find("Training", "t1").done.wait(60)
    return sm.handle("DescribeTrainingJob", {"TrainingJobName": "t1"}, CALLER)


@pytest.mark.parametrize(
    ("data", "hyper", "said"),
    [
        ("1,2\n", {}, "Missing required hyperparameter: num_round"),
        ("1,2\n3,4\n", {"num_round": "1", "objective": "binary:logistic"}, "base_score must be in (0,1)"),
    ],
)
def test_training_data_and_hyperparameters_that_xgboost_refuses(
    sm: SageMaker, host: FakeHost, data: str, hyper: dict[str, str], said: str
) -> None:
    described = train(sm, host, data, hyper=hyper)
    assert described["TrainingJobStatus"] == "Failed" and said in described["FailureReason"]
    assert described["FailureReason"].startswith("AlgorithmError: framework error:")


def test_script_mode(sm: SageMaker, host: FakeHost) -> None:
    from emulator.sagemaker.test_scenario import archive

    program = (
        "import os,sys; print(sys.argv[1:], os.environ['SM_HP_DEPTH'],"
        " os.listdir(os.environ['SM_CHANNEL_TRAIN'])); print('loss=0.25');"
        " open(os.environ['SM_MODEL_DIR']+'/m','w').write('x')"
    )
    host.objects["b", "code.tar.gz"] = archive(fit_py=program)
    hyper = {
        "sagemaker_program": '"fit.py"',
        "sagemaker_submit_directory": '"s3://b/code.tar.gz"',
        "depth": "5",
    }
    specification = {
        "TrainingImage": SKLEARN,
        "TrainingInputMode": "File",
        "MetricDefinitions": [{"Name": "loss", "Regex": "loss=([0-9.]+)"}],
    }
    described = train(sm, host, "1,2\n", hyper=hyper, AlgorithmSpecification=specification)
    assert described["TrainingJobStatus"] == "Completed", described
    assert described["FinalMetricDataList"][0]["Value"] == 0.25
    assert [entry["Status"] for entry in described["SecondaryStatusTransitions"]] == [
        "Starting",
        "Downloading",
        "Training",
        "Uploading",
        "Completed",
    ]
    assert ("b", "models/t1/output/model.tar.gz") in host.objects
    assert next(iter(host.logs.values()))[0] == "['--depth', '5'] 5 ['x.csv']"


# pipelines


def pipeline(
    sm: SageMaker, *steps: dict[str, Any], parameters: Any = (), name: str = "P", **extra: Any
) -> None:
    body = {"Version": "2020-12-01", "Parameters": list(parameters), "Steps": list(steps)}
    sm.handle(
        "CreatePipeline",
        {"PipelineName": name, "RoleArn": PIPELINE_ROLE, "PipelineDefinition": json.dumps(body), **extra},
        CALLER,
    )


def execute(sm: SageMaker, **extra: Any) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    return finish(
        sm,
        sm.handle("StartPipelineExecution", {"PipelineName": "P", **extra}, CALLER)["PipelineExecutionArn"],
        40,
    )


def test_the_same_token_starts_once(sm: SageMaker) -> None:
    pipeline(
        sm,
        step("A", "Processing", job(outputs=False)),
        parameters=[{"Name": "X", "Type": "String", "DefaultValue": ""}],
    )
    request = {"PipelineName": "P", "ClientRequestToken": TOKEN}
    found: list[str] = []
    threads = [
        threading.Thread(
            target=lambda: found.append(
                sm.handle("StartPipelineExecution", request, CALLER)["PipelineExecutionArn"]
            )
        )
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    refused(
        sm,
        "StartPipelineExecution",
        {**request, "PipelineParameters": [{"Name": "X", "Value": "1"}]},
        "ConflictException",
    )
    finish(sm, found[0])
    assert (
        len(sm.handle("ListPipelineExecutions", {"PipelineName": "P"}, CALLER)["PipelineExecutionSummaries"])
        == 1
    )
    assert sm.handle("StartPipelineExecution", request, CALLER)["PipelineExecutionArn"] == found[0]


@pytest.mark.parametrize(
    "action",
    ["sagemaker:CreateProcessingJob", "sagemaker:AddTags", "iam:PassRole", "sagemaker:DescribeProcessingJob"],
)
def test_the_pipeline_role_must_be_allowed(sm: SageMaker, host: FakeHost, action: str) -> None:
    host.denied.append((PIPELINE_ROLE, action, "*"))
    pipeline(
        sm,
        step("A", "Processing", job(outputs=False)),
        step("B", "Processing", job(outputs=False), DependsOn=["A"]),
    )
    execution, steps = execute(sm)
    assert (
        execution["PipelineExecutionStatus"] == "Failed"
        and execution["FailureReason"] == "Step failure: One or multiple steps failed."
    )
    assert list(steps) == ["A"]
    assert (
        f"is not authorized to perform: {action}" in steps["A"]["FailureReason"]
        and "assumed-role/pipeline/" in steps["A"]["FailureReason"]
    )


def test_a_failed_step_does_not_stop_the_one_beside_it(sm: SageMaker) -> None:
    pipeline(
        sm,
        step("Bad", "Processing", job("raise SystemExit(3)", outputs=False)),
        step("Good", "Processing", job("import time; time.sleep(1)", outputs=False)),
        step("After", "Processing", job(outputs=False), DependsOn=["Good", "Bad"]),
    )
    execution, steps = execute(sm)
    assert execution["PipelineExecutionStatus"] == "Failed"
    assert {name: row["StepStatus"] for name, row in steps.items()} == {"Bad": "Failed", "Good": "Succeeded"}


def test_a_fail_step_stops_the_one_beside_it(sm: SageMaker) -> None:
    pipeline(
        sm,
        step("Slow", "Processing", job("import time; time.sleep(60)", outputs=False)),
        step("No", "Fail", {"ErrorMessage": join("x", get("Parameters.F"), on="=")}),
        parameters=[{"Name": "F", "Type": "Float", "DefaultValue": 6}],
    )
    execution, steps = execute(sm)
    assert execution["PipelineExecutionStatus"] == "Failed"
    assert steps["No"]["FailureReason"] == "x=6.0" and steps["Slow"]["StepStatus"] == "Stopped"


def test_stop(sm: SageMaker, host: FakeHost) -> None:
    pipeline(sm, step("Slow", "Processing", job("import time; time.sleep(60)", outputs=False)))
    arn = sm.handle("StartPipelineExecution", {"PipelineName": "P"}, CALLER)["PipelineExecutionArn"]
    time.sleep(0.5)
    assert "running executions" in refused(sm, "DeletePipeline", {"PipelineName": "P"}, "ConflictException")
    sm.handle("StopPipelineExecution", {"PipelineExecutionArn": arn}, CALLER)
    execution, steps = finish(sm, arn, 30)
    assert execution["PipelineExecutionStatus"] == "Stopped" and steps["Slow"]["StepStatus"] == "Stopped"
    refused(sm, "StopPipelineExecution", {"PipelineExecutionArn": arn}, "ConflictException")
    sm.handle("DeletePipeline", {"PipelineName": "P"}, CALLER)
    refused(sm, "DescribePipelineExecution", {"PipelineExecutionArn": arn}, "ResourceNotFound")


def test_retries_and_faults(sm: SageMaker) -> None:
    policy = {"ExceptionType": ["Step.THROTTLING"], "IntervalSeconds": 0, "BackoffRate": 1, "MaxAttempts": 2}
    pipeline(sm, step("A", "Processing", job(outputs=False), RetryPolicies=[policy]))
    sm.inject({"kind": "step-fault", "step": "A", "exception": "Step.THROTTLING", "count": 2})
    execution, steps = execute(sm)
    assert execution["PipelineExecutionStatus"] == "Succeeded" and steps["A"]["AttemptCount"] == 3
    sm.inject({"kind": "step-fault", "exception": "Step.SERVICE_FAULT"})
    assert execute(sm)[1]["A"]["FailureReason"].startswith("Step.SERVICE_FAULT")
    for wrong in ({"kind": "flood"}, {"kind": "step-fault", "stp": "A"}):
        with pytest.raises(ApiError):
            sm.inject(wrong)


def test_cache(sm: SageMaker) -> None:
    parameters = [{"Name": "X", "Type": "String", "DefaultValue": "1"}]
    pipeline(
        sm,
        step(
            "A",
            "Processing",
            {**job(outputs=False), "Environment": {"X": get("Parameters.X")}},
            CacheConfig={"Enabled": True, "ExpireAfter": "P1D"},
        ),
        parameters=parameters,
    )
    first, steps = execute(sm)
    assert "CacheHitResult" not in steps["A"]
    assert execute(sm)[1]["A"]["CacheHitResult"] == {
        "SourcePipelineExecutionArn": first["PipelineExecutionArn"]
    }
    assert "CacheHitResult" not in execute(sm, PipelineParameters=[{"Name": "X", "Value": "2"}])[1]["A"]


def test_lambda_and_callback_steps(sm: SageMaker, host: FakeHost) -> None:
    function = "arn:aws:lambda:us-east-1:000000000000:function:f"
    host.functions[function] = lambda payload: json.dumps({"status": json.loads(payload)["x"] + 1}).encode()
    queue = "http://127.0.0.1:1/000000000000/q"
    pipeline(
        sm,
        {
            **step("L", "Lambda", {"x": 4}),
            "FunctionArn": function,
            "OutputParameters": [{"OutputName": "status", "OutputType": "Integer"}],
        },
        {
            **step("C", "Callback", {"seen": get("Steps.L.OutputParameters['status']")}),
            "SqsQueueUrl": queue,
            "OutputParameters": [{"OutputName": "ok", "OutputType": "String"}],
        },
        step("No", "Fail", {"ErrorMessage": get("Steps.C.OutputParameters['ok']")}),
    )
    arn = sm.handle("StartPipelineExecution", {"PipelineName": "P"}, CALLER)["PipelineExecutionArn"]
    until = time.monotonic() + 10
    while not host.messages and time.monotonic() < until:
        time.sleep(0.05)
    message = json.loads(host.messages[0][1])
    assert message["arguments"] == {"seen": 5} and message["pipelineExecutionArn"] == arn
    refused(sm, "SendPipelineExecutionStepSuccess", {"CallbackToken": "a" * 10}, "ResourceNotFound")
    sm.handle(
        "SendPipelineExecutionStepSuccess",
        {"CallbackToken": message["token"], "OutputParameters": [{"Name": "ok", "Value": "yes"}]},
        CALLER,
    )
    assert finish(sm, arn)[1]["No"]["FailureReason"] == "yes"


def test_a_step_that_is_not_played_says_so(sm: SageMaker, host: FakeHost) -> None:
    pipeline(sm, step("T", "EMR", {}))
    assert any(kind == "not-rehearsed" and "T (EMR)" in message for kind, message, _ in host.notes)
    assert "a step of type EMR is not played by the rehearsal" in execute(sm)[1]["T"]["FailureReason"]


def test_json_get_needs_the_pipeline_role_and_the_path(sm: SageMaker, host: FakeHost) -> None:
    script = (
        "import os,pathlib;"
        " pathlib.Path(os.environ['SAGEMAKER_BASE_DIR'],'processing/output/e.json').write_text('{\"a\": 1}')"
    )
    files = [{"PropertyFileName": "R", "OutputName": "out", "FilePath": "e.json"}]

    def gate(path: str) -> dict[str, Any]:
        left = {"Std:JsonGet": {"PropertyFile": get("Steps.E.PropertyFiles.R"), "Path": path}}
        return step(
            "Gate",
            "Condition",
            {
                "Conditions": [{"Type": "Equals", "LeftValue": left, "RightValue": 1}],
                "IfSteps": [],
                "ElseSteps": [],
            },
        )

    pipeline(sm, step("E", "Processing", job(script), PropertyFiles=files), gate("b"))
    assert "the JSON path 'b' is not in property file R of step E: 'b' has no 'b'; there is a" in execute(sm)[
        1
    ]["Gate"]["FailureReason"].replace("there are", "there is")
    body = {
        "Version": "2020-12-01",
        "Steps": [step("E", "Processing", job(script), PropertyFiles=files), gate("a")],
    }
    sm.handle("UpdatePipeline", {"PipelineName": "P", "PipelineDefinition": json.dumps(body)}, CALLER)
    assert execute(sm)[0]["PipelineExecutionStatus"] == "Succeeded"
    host.denied.append((PIPELINE_ROLE, "s3:GetObject", "arn:aws:s3:::b/out/e.json"))
    reason = execute(sm)[1]["Gate"]["FailureReason"]
    assert (
        "role/pipeline/SageMaker is not authorized to perform: s3:GetObject on resource: arn:aws:s3:::b/out/e.json"
        in reason
    )


# registry and tags


def container(host: FakeHost) -> dict[str, Any]:
    host.objects["b", "m.tar.gz"] = b"x"
    return {
        "InferenceSpecification": {
            "Containers": [{"Image": XGBOOST, "ModelDataUrl": "s3://b/m.tar.gz"}],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        }
    }


def test_registry(sm: SageMaker, host: FakeHost) -> None:
    sm.handle(
        "CreateModelPackageGroup",
        {"ModelPackageGroupName": "G", "Tags": [{"Key": "a", "Value": "1"}]},
        CALLER,
    )
    assert "already exists" in refused(sm, "CreateModelPackageGroup", {"ModelPackageGroupName": "G"})
    assert "does not exist" in refused(
        sm, "CreateModelPackage", {"ModelPackageGroupName": "H", **container(host)}
    )
    arns = [
        sm.handle("CreateModelPackage", {"ModelPackageGroupName": "G", **container(host)}, CALLER)[
            "ModelPackageArn"
        ]
        for _ in range(3)
    ]
    assert [arn.rsplit("/", 1)[-1] for arn in arns] == ["1", "2", "3"]
    sm.handle(
        "UpdateModelPackage",
        {
            "ModelPackageArn": arns[1],
            "ModelApprovalStatus": "Approved",
            "ApprovalDescription": "good",
            "CustomerMetadataProperties": {"by": "me"},
        },
        CALLER,
    )
    approved = sm.handle(
        "ListModelPackages", {"ModelPackageGroupName": "G", "ModelApprovalStatus": "Approved"}, CALLER
    )["ModelPackageSummaryList"]
    assert [row["ModelPackageVersion"] for row in approved] == [2]
    newest = sm.handle(
        "ListModelPackages",
        {"ModelPackageGroupName": "G", "SortBy": "CreationTime", "SortOrder": "Descending", "MaxResults": 1},
        CALLER,
    )
    assert newest["ModelPackageSummaryList"][0]["ModelPackageVersion"] == 3 and newest["NextToken"]
    event = host.events[-1]
    assert event["detail-type"] == "SageMaker Model Package State Change" and event["resources"] == [arns[1]]
    assert (
        event["detail"]["ModelApprovalStatus"] == "Approved" and event["detail"]["ModelPackageVersion"] == 2
    )
    json.dumps(event)
    assert "enum value set" in refused(
        sm, "UpdateModelPackage", {"ModelPackageArn": arns[0], "ModelApprovalStatus": "approved"}
    )
    assert "contains Model Packages" in refused(
        sm, "DeleteModelPackageGroup", {"ModelPackageGroupName": "G"}, "ConflictException"
    )
    for arn in arns:
        sm.handle("DeleteModelPackage", {"ModelPackageName": arn}, CALLER)
    assert "does not exist" in refused(sm, "DescribeModelPackage", {"ModelPackageName": arns[0]})
    sm.handle("DeleteModelPackageGroup", {"ModelPackageGroupName": "G"}, CALLER)
    assert sm.leftovers() == []


def test_a_package_without_its_artifact_is_refused(sm: SageMaker, host: FakeHost) -> None:
    sm.handle("CreateModelPackageGroup", {"ModelPackageGroupName": "G"}, CALLER)
    request = {"ModelPackageGroupName": "G", **container(host)}
    host.objects.clear()
    assert "Could not access model data at s3://b/m.tar.gz" in refused(sm, "CreateModelPackage", request)
    # A version number is not used up by a refusal.
    arn = sm.handle("CreateModelPackage", {"ModelPackageGroupName": "G", **container(host)}, CALLER)[
        "ModelPackageArn"
    ]
    assert arn.endswith("/1")


def test_tags(sm: SageMaker) -> None:
    arn = sm.handle(
        "CreateModelPackageGroup",
        {"ModelPackageGroupName": "G", "Tags": [{"Key": "a", "Value": "1"}]},
        CALLER,
    )["ModelPackageGroupArn"]
    sm.handle(
        "AddTags",
        {"ResourceArn": arn, "Tags": [{"Key": "a", "Value": "2"}, {"Key": "b", "Value": "3"}]},
        CALLER,
    )
    sm.handle("DeleteTags", {"ResourceArn": arn, "TagKeys": ["b"]}, CALLER)
    assert sm.handle("ListTags", {"ResourceArn": arn}, CALLER)["Tags"] == [{"Key": "a", "Value": "2"}]
    assert "Could not find resource" in refused(sm, "ListTags", {"ResourceArn": arn + "x"})
    assert "aws:" in refused(sm, "AddTags", {"ResourceArn": arn, "Tags": [{"Key": "aws:x", "Value": "1"}]})


# CloudFormation


def test_cloudformation_pipeline_and_group(sm: SageMaker) -> None:
    body = json.dumps({"Version": "2020-12-01", "Steps": [step("A", "Fail", {"ErrorMessage": "no"})]})
    resource = RESOURCES["AWS::SageMaker::Pipeline"]
    properties: dict[str, Any] = {
        "PipelineName": "P",
        "RoleArn": PIPELINE_ROLE,
        "PipelineDefinition": {"PipelineDefinitionBody": body},
        # CloudFormation hands numbers over as strings.
        "ParallelismConfiguration": {"MaxParallelExecutionSteps": "2"},
        "Tags": [{"Key": "a", "Value": "1"}],
    }
    physical, _ = resource.create(sm, "Training", properties, "Stack")
    described = sm.handle("DescribePipeline", {"PipelineName": physical}, CALLER)
    assert physical == "P" and described["ParallelismConfiguration"] == {"MaxParallelExecutionSteps": 2}
    changed = {**properties, "PipelineDescription": "new", "Tags": [{"Key": "b", "Value": "2"}]}
    assert resource.update(sm, physical, properties, changed)[0] == "P"
    assert sm.handle("ListTags", {"ResourceArn": described["PipelineArn"]}, CALLER)["Tags"] == [
        {"Key": "b", "Value": "2"}
    ]
    with pytest.raises(Replace):
        resource.update(sm, physical, properties, {**properties, "PipelineName": "Q"})
    resource.delete(sm, physical, properties)
    resource.delete(sm, physical, properties)
    unnamed, _ = resource.create(
        sm, "Training", {key: value for key, value in properties.items() if key != "PipelineName"}, "My-Stack"
    )
    assert unnamed.startswith("My-Stack-Training-")
    resource.delete(sm, unnamed)
    group = RESOURCES["AWS::SageMaker::ModelPackageGroup"]
    arn, attributes = group.create(sm, "Group", {"ModelPackageGroupName": "G"}, "Stack")
    assert attributes["ModelPackageGroupArn"] == arn and arn.endswith(":model-package-group/G")
    with pytest.raises(Replace):
        group.update(sm, arn, {"ModelPackageGroupName": "G"}, {"ModelPackageGroupName": "H"})
    group.delete(sm, arn)
    assert sm.leftovers() == []
    with pytest.raises(ApiError, match="PipelineDefinitionBody"):
        resource.create(sm, "X", {"RoleArn": PIPELINE_ROLE}, "Stack")
