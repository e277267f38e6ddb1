"""Tuning jobs: values out of ranges, the best training job, and what callers and roles need."""

from __future__ import annotations

import random
from typing import Any

import pytest

from emulator.sagemaker import SageMaker, required_permissions, tuning_ranges
from emulator.sagemaker.fake_host import FakeHost
from emulator.sagemaker.test_scenario import CALLER, JOB_ROLE, SKLEARN, XGBOOST, archive
from emulator.sagemaker.test_service import refused

SCRIPT = """
import argparse, os
parser = argparse.ArgumentParser()
parser.add_argument('-x', type=float)
parser.add_argument('--word')
given = parser.parse_args()
if given.word == 'wrong':
    raise SystemExit('the word is wrong')
open(os.path.join(os.environ['SM_MODEL_DIR'], 'm'), 'w').write(str(given.x))
print(f'score={given.x};')
"""


def continuous(**more: str) -> dict[str, Any]:
    return {
        "ContinuousParameterRanges": [{"Name": "x", "MinValue": "0.1", "MaxValue": "10", **more}],
    }


def request(**config: Any) -> dict[str, Any]:
    limits = config.pop("limits", {"MaxNumberOfTrainingJobs": 3, "MaxParallelTrainingJobs": 2})
    definition = {
        "AlgorithmSpecification": {
            "TrainingImage": SKLEARN,
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": "score", "Regex": "score=([0-9.e-]+);"}],
        },
        "RoleArn": JOB_ROLE,
        "OutputDataConfig": {"S3OutputPath": "s3://b/tuned"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        "StaticHyperParameters": {
            "sagemaker_program": "train.py",
            "sagemaker_submit_directory": "s3://b/code.tar.gz",
            "word": "ok",
        },
        **config.pop("definition", {}),
    }
    return {
        "HyperParameterTuningJobName": "hpo",
        "HyperParameterTuningJobConfig": {
            "Strategy": "Random",
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "score"},
            "ResourceLimits": limits,
            "ParameterRanges": continuous(),
            **config,
        },
        "TrainingJobDefinition": definition,
    }


@pytest.fixture
def tunes(sm: SageMaker, host: FakeHost) -> SageMaker:
    host.objects["b", "code.tar.gz"] = archive(train_py=SCRIPT)
    return sm


def run(sm: SageMaker, given: dict[str, Any]) -> dict[str, Any]:
    sm.handle("CreateHyperParameterTuningJob", given, CALLER)
    name = given["HyperParameterTuningJobName"]
    assert sm.jobs.find("HyperParameterTuning", name).done.wait(90)
    return sm.handle("DescribeHyperParameterTuningJob", {"HyperParameterTuningJobName": name}, CALLER)


def children(sm: SageMaker, **more: str) -> list[dict[str, Any]]:
    asked = {"HyperParameterTuningJobName": "hpo", **more}
    rows: list[dict[str, Any]] = sm.handle("ListTrainingJobsForHyperParameterTuningJob", asked, CALLER)[
        "TrainingJobSummaries"
    ]
    return rows


@pytest.mark.parametrize("goal", ["Minimize", "Maximize"])
def test_the_best_of_several_training_jobs(tunes: SageMaker, host: FakeHost, goal: str) -> None:
    objective = {"Type": goal, "MetricName": "score"}
    described = run(tunes, request(HyperParameterTuningJobObjective=objective))
    assert described["HyperParameterTuningJobStatus"] == "Completed", described
    assert described["TrainingJobStatusCounters"]["Completed"] == 3
    assert described["ObjectiveStatusCounters"] == {"Succeeded": 3, "Pending": 0, "Failed": 0}
    rows = children(tunes, SortBy="FinalObjectiveMetricValue", SortOrder="Ascending")
    values = [row["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] for row in rows]
    assert values == sorted(values) and len(set(values)) == 3 and all(0.1 <= value <= 10 for value in values)
    best = described["BestTrainingJob"]
    expected = rows[0 if goal == "Minimize" else -1]
    assert best["TrainingJobName"] == expected["TrainingJobName"]
    assert (
        float(best["TunedHyperParameters"]["x"])
        == expected["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
    )
    assert ("b", f"tuned/{best['TrainingJobName']}/output/model.tar.gz") in host.objects
    trained = tunes.handle("DescribeTrainingJob", {"TrainingJobName": best["TrainingJobName"]}, CALLER)
    assert trained["HyperParameters"]["_tuning_objective_metric"] == "score"
    assert trained["TuningJobArn"].endswith(":hyper-parameter-tuning-job/hpo")
    assert best["TrainingJobName"].startswith("hpo-00")


def test_the_built_in_algorithm_emits_its_own_metrics(sm: SageMaker, host: FakeHost) -> None:
    for channel in ("train", "validation"):
        host.objects["b", f"{channel}/x.csv"] = b"".join(b"%d,%d\n" % (2 * i, i) for i in range(20))

    def channel(name: str) -> dict[str, Any]:
        source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://b/{name}/"}
        return {"ChannelName": name, "ContentType": "text/csv", "DataSource": {"S3DataSource": source}}

    given = request(
        HyperParameterTuningJobObjective={"Type": "Minimize", "MetricName": "validation:mae"},
        ParameterRanges={
            "IntegerParameterRanges": [{"Name": "max_depth", "MinValue": "1", "MaxValue": "3"}],
            "ContinuousParameterRanges": [{"Name": "eta", "MinValue": "0.1", "MaxValue": "0.9"}],
        },
        limits={"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 1},
        definition={
            "AlgorithmSpecification": {"TrainingImage": XGBOOST, "TrainingInputMode": "File"},
            "StaticHyperParameters": {"num_round": "2"},
            "InputDataConfig": [channel("train"), channel("validation")],
        },
    )
    described = run(sm, given)
    assert described["HyperParameterTuningJobStatus"] == "Completed", described
    assert (
        described["BestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"]["MetricName"]
        == "validation:mae"
    )


def test_a_grid_tries_every_combination(tunes: SageMaker) -> None:
    grid = {
        "CategoricalParameterRanges": [
            {"Name": "x", "Values": ["1", "2"]},
            {"Name": "word", "Values": ["a", "b"]},
        ]
    }
    given = request(Strategy="Grid", ParameterRanges=grid, limits={"MaxParallelTrainingJobs": 4})
    del given["TrainingJobDefinition"]["StaticHyperParameters"]["word"]
    run(tunes, given)
    tried = sorted(
        (row["TunedHyperParameters"]["x"], row["TunedHyperParameters"]["word"]) for row in children(tunes)
    )
    assert tried == [("1", "a"), ("1", "b"), ("2", "a"), ("2", "b")]


def test_failures_are_counted_and_the_job_fails_when_none_succeeds(tunes: SageMaker) -> None:
    words = {"CategoricalParameterRanges": [{"Name": "word", "Values": ["wrong"]}], **continuous()}
    given = request(
        ParameterRanges=words, limits={"MaxNumberOfTrainingJobs": 9, "MaxParallelTrainingJobs": 1}
    )
    del given["TrainingJobDefinition"]["StaticHyperParameters"]["word"]
    described = run(tunes, given)
    assert described["HyperParameterTuningJobStatus"] == "Failed"
    assert described["TrainingJobStatusCounters"]["NonRetryableError"] == 5
    assert "No training job succeeded after 5 attempts" in described["FailureReason"]
    assert "the word is wrong" in described["FailureReason"]


def test_a_metric_that_nobody_emits(tunes: SageMaker) -> None:
    objective = {"Type": "Minimize", "MetricName": "loss"}
    described = run(tunes, request(HyperParameterTuningJobObjective=objective))
    assert "the objective metric loss was not found in the logs" in described["FailureReason"]


def test_the_job_role_is_missing_a_grant(tunes: SageMaker, host: FakeHost) -> None:
    host.denied.append((JOB_ROLE, "s3:PutObject", "*"))
    reason = run(tunes, request())["FailureReason"]
    assert "assumed-role/job/SageMaker is not authorized to perform: s3:PutObject" in reason


def test_what_is_played_otherwise_is_told(tunes: SageMaker, host: FakeHost) -> None:
    run(tunes, request(Strategy="Bayesian", TrainingJobEarlyStoppingType="Auto"))
    told = [text for kind, text, _ in host.notes if kind == "not-rehearsed"]
    assert [text for text in told if "Bayesian is played as Random" in text]
    assert [text for text in told if "not stopped early" in text]


def test_it_can_be_stopped(tunes: SageMaker, host: FakeHost) -> None:
    host.objects["b", "code.tar.gz"] = archive(train_py="import time; time.sleep(60)")
    tunes.handle("CreateHyperParameterTuningJob", request(), CALLER)
    tunes.handle("StopHyperParameterTuningJob", {"HyperParameterTuningJobName": "hpo"}, CALLER)
    assert tunes.jobs.find("HyperParameterTuning", "hpo").done.wait(30)
    described = tunes.handle(
        "DescribeHyperParameterTuningJob", {"HyperParameterTuningJobName": "hpo"}, CALLER
    )
    assert described["HyperParameterTuningJobStatus"] == "Stopped"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"Strategy": "Hyperband"}, "Hyperband is not played"),
        ({"limits": {"MaxParallelTrainingJobs": 1}}, "MaxNumberOfTrainingJobs must be given"),
        ({"Strategy": "Grid"}, "takes categorical ranges only"),
        ({"ParameterRanges": {}}, "at least one range"),
        ({"ParameterRanges": continuous(MinValue="11")}, "MinValue 11 of x is greater than MaxValue 10"),
        ({"ParameterRanges": continuous(MinValue="0", ScalingType="Logarithmic")}, "begins above 0"),
        ({"ParameterRanges": continuous(ScalingType="ReverseLogarithmic")}, "is within 0 and 1"),
        ({"definition": {"StaticHyperParameters": {"x": "1"}}}, "x are both static and in a range"),
    ],
)
def test_requests_that_are_refused(tunes: SageMaker, changes: dict[str, Any], said: str) -> None:
    assert said in refused(tunes, "CreateHyperParameterTuningJob", request(**changes))


def test_scales() -> None:
    source = random.Random(1)
    for scale, low, high in (
        ("Linear", 1, 5),
        ("Logarithmic", 1e-4, 1.0),
        ("ReverseLogarithmic", 0.5, 0.999),
    ):
        entry = {"Name": "x", "MinValue": str(low), "MaxValue": str(high), "ScalingType": scale}
        drawn = [
            float(tuning_ranges.at_random({"ContinuousParameterRanges": [entry]}, source)["x"])
            for _ in range(300)
        ]
        assert all(low <= value <= high for value in drawn)
        below = sum(value < (low + high) / 2 for value in drawn) / 300
        expected = {"Linear": (0.4, 0.6), "Logarithmic": (0.8, 1.0), "ReverseLogarithmic": (0.0, 0.3)}[scale]
        assert expected[0] <= below <= expected[1], scale


def test_what_the_caller_needs() -> None:
    arn = "arn:aws:sagemaker:us-east-1:000000000000:hyper-parameter-tuning-job/hpo"
    needed = required_permissions("CreateHyperParameterTuningJob", request())
    assert [(found.action, found.resource) for found in needed] == [
        ("sagemaker:CreateHyperParameterTuningJob", arn),
        ("iam:PassRole", JOB_ROLE),
    ]
