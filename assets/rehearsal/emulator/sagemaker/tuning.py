"""Plays hyperparameter tuning jobs: training jobs with values out of the ranges, and the best of them by the objective.

SageMaker AI developer guide: "Automatic model tuning with SageMaker AI". The strategy Bayesian is played as Random, with a
note. The same job chooses the same values each time: by `RandomSeed`, or by a fixed seed.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from typing import Any

from ..host import ApiError
from . import tuning_ranges as ranges
from .core import listing, page
from .job_keys import authorize_instances
from .job_runner import Job, JobFailure
from .training import TrainingJobs

OBJECTIVE = "_tuning_objective_metric"
"""Hyperparameter that tells the algorithm by which metric it is measured."""
_NOT_PLAYED = ("WarmStartConfig", "Autotune")
_MOST_FAILURES = 5
"""So many training jobs may fail before the first succeeds."""


class TuningJobs(TrainingJobs):
    """Tuning jobs, each a series of training jobs."""

    def create_tuning(self, request: dict[str, Any], caller: str) -> dict[str, Any]:
        config = request["HyperParameterTuningJobConfig"]
        definitions = _definitions(request)
        self._check_tuning(request, config, definitions)
        for definition in definitions:
            authorize_instances(self.core.host, _resources(definition), caller, definition["RoleArn"])
        for used, what in (
            (config["Strategy"] == "Bayesian", "the strategy Bayesian is played as Random"),
            (
                config.get("TrainingJobEarlyStoppingType") == "Auto",
                "training jobs are not stopped early here",
            ),
            (config.get("TuningJobCompletionCriteria"), "the criteria of completion are not evaluated here"),
        ):
            if used:
                self.core.host.note("not-rehearsed", f"{request['HyperParameterTuningJobName']}: {what}")
        record = {
            **request,
            "TrainingJobStatusCounters": _training_counters(()),
            "ObjectiveStatusCounters": {"Succeeded": 0, "Pending": 0, "Failed": 0},
        }
        arn = self._begin("HyperParameterTuning", record, lambda job: self._tune(job, definitions))
        return {"HyperParameterTuningJobArn": arn}

    def list_training_of_tuning(self, request: dict[str, Any], _caller: str) -> dict[str, Any]:
        job = self.find("HyperParameterTuning", request["HyperParameterTuningJobName"])
        rows = [_summary(child, job) for child in self._children(job)]
        if request.get("StatusEquals"):
            rows = [row for row in rows if row["TrainingJobStatus"] == request["StatusEquals"]]
        if request.get("SortBy") == "FinalObjectiveMetricValue":
            rows = [row for row in rows if "FinalHyperParameterTuningJobObjectiveMetric" in row]
            for row in rows:
                row["Objective"] = row["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
        sort = {
            "Name": "TrainingJobName",
            "Status": "TrainingJobStatus",
            "FinalObjectiveMetricValue": "Objective",
        }
        rows, token = page(request, rows, sort=sort, name_key="TrainingJobName")
        return listing("ListTrainingJobsForHyperParameterTuningJob", "TrainingJobSummaries", rows, token)

    # the job

    @staticmethod
    def _check_tuning(
        request: dict[str, Any], config: dict[str, Any], definitions: list[dict[str, Any]]
    ) -> None:
        strategy, limits = config["Strategy"], config["ResourceLimits"]
        problems = [
            f"{member} is not played by the rehearsal" for member in _NOT_PLAYED if request.get(member)
        ]
        if strategy == "Hyperband":
            problems.append("the strategy Hyperband is not played by the rehearsal")
        if strategy != "Grid" and not limits.get("MaxNumberOfTrainingJobs"):
            problems.append("ResourceLimits.MaxNumberOfTrainingJobs must be given")
        if not definitions:
            problems.append("No Tuning Job Configuration found: TrainingJobDefinition must be given")
        for definition in definitions:
            if not _objective(definition, config):
                problems.append("HyperParameterTuningJobObjective must be given")
            if "TrainingImage" not in definition["AlgorithmSpecification"]:
                problems.append("AlgorithmSpecification.TrainingImage must be given")
            if not _resources(definition):
                problems.append("ResourceConfig must be given")
            try:
                ranges.check(_ranges(definition, config), strategy)
            except ranges.BadRange as error:
                problems.append(str(error))
            static = definition.get("StaticHyperParameters") or {}
            both = sorted(set(static) & _names(_ranges(definition, config)))
            if both:
                problems.append(f"{', '.join(both)} are both static and in a range")
        if problems:
            raise ApiError("ValidationException", "; ".join(problems))

    def _tune(self, job: Job, definitions: list[dict[str, Any]]) -> None:
        config = job.record["HyperParameterTuningJobConfig"]
        limits = config["ResourceLimits"]
        planned = self._plan(config, definitions)
        running: list[Job] = []
        begun = time.monotonic()
        late = float(limits.get("MaxRuntimeInSeconds", 2592000))
        while planned or running:
            if job.stop.is_set() or self.core.closing.is_set() or time.monotonic() - begun > late:
                planned = []
                for child in running:
                    child.stop.set()
            while planned and len(running) < limits["MaxParallelTrainingJobs"]:
                definition, values = planned.pop(0)
                running.append(self._train_with(job, definition, values))
                self._count(job)
            time.sleep(0.03)
            ended = [child for child in running if child.done.is_set()]
            if ended:
                running = [child for child in running if not child.done.is_set()]
                self._count(job)
                if self._hopeless(job):
                    planned = []
        if not job.stop.is_set() and "BestTrainingJob" not in job.record:
            reasons = [child.record.get("FailureReason") for child in self._children(job)]
            reason = next((text for text in reasons if text), self._unmeasured(job))
            raise JobFailure(
                f"ClientError: No training job succeeded after {len(reasons)} attempts. The first: {reason}"
            )

    def _hopeless(self, job: Job) -> bool:
        counters = job.record["TrainingJobStatusCounters"]
        return bool(counters["Completed"] == 0 and counters["NonRetryableError"] >= _MOST_FAILURES)

    @staticmethod
    def _unmeasured(job: Job) -> str:
        definition = _definitions(job.record)[0]
        name = _objective(definition, job.record["HyperParameterTuningJobConfig"])["MetricName"]
        return (
            f"the objective metric {name} was not found in the logs: the algorithm must emit it, or MetricDefinitions"
            " must have a regular expression for it"
        )

    @staticmethod
    def _plan(
        config: dict[str, Any], definitions: list[dict[str, Any]]
    ) -> list[tuple[dict[str, Any], dict[str, str]]]:
        most = config["ResourceLimits"].get("MaxNumberOfTrainingJobs")
        if config["Strategy"] == "Grid":
            grid = [
                (definition, values)
                for definition in definitions
                for values in ranges.combinations(_ranges(definition, config))
            ]
            return grid[:most]
        source = random.Random(config.get("RandomSeed", 0))
        turns = [definitions[index % len(definitions)] for index in range(most)]
        return [(definition, ranges.at_random(_ranges(definition, config), source)) for definition in turns]

    def _train_with(self, job: Job, definition: dict[str, Any], values: dict[str, str]) -> Job:
        config = job.record["HyperParameterTuningJobConfig"]
        number = len(self._children(job)) + 1
        name = f"{job.name}-{number:03d}-{self.core.token(8)}"
        passed = (
            "AlgorithmSpecification",
            "RoleArn",
            "InputDataConfig",
            "OutputDataConfig",
            "StoppingCondition",
        )
        optional = ("VpcConfig", "EnableNetworkIsolation", "Environment", "CheckpointConfig")
        record = {member: definition[member] for member in (*passed, *optional) if member in definition}
        objective = _objective(definition, config)["MetricName"]
        static = definition.get("StaticHyperParameters") or {}
        record.update(
            TrainingJobName=name,
            HyperParameters={**static, **values, OBJECTIVE: objective},
            ResourceConfig=_resources(definition),
            TuningJobArn=job.record["HyperParameterTuningJobArn"],
            TunedHyperParameters=values,
            DefinitionName=definition.get("DefinitionName"),
            SecondaryStatus="Starting",
        )
        self._begin("Training", record, self._train)
        return self.find("Training", name)

    def _children(self, job: Job) -> list[Job]:
        arn = job.record["HyperParameterTuningJobArn"]
        with self.core.lock:
            return [
                child for child in self.tables["Training"].values() if child.record.get("TuningJobArn") == arn
            ]

    def _count(self, job: Job) -> None:
        """Brings the counters and the best training job up to date."""
        children = self._children(job)
        rows = [_summary(child, job) for child in children]
        statuses = Counter(row.get("ObjectiveStatus", "Pending") for row in rows)
        fields: dict[str, Any] = {
            "TrainingJobStatusCounters": _training_counters([row["TrainingJobStatus"] for row in rows]),
            "ObjectiveStatusCounters": {name: statuses[name] for name in ("Succeeded", "Pending", "Failed")},
        }
        measured = [row for row in rows if row.get("ObjectiveStatus") == "Succeeded"]
        if measured:
            fields["BestTrainingJob"] = best_first(measured)[0]
        self._set(job, "InProgress", **fields)


def best_first(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Training jobs with a value of the objective, the best first."""

    def rank(row: dict[str, Any]) -> float:
        final = row["FinalHyperParameterTuningJobObjectiveMetric"]
        return float(-final["Value"] if final["Type"] == "Maximize" else final["Value"])

    return sorted(rows, key=rank)


def _definitions(request: dict[str, Any]) -> list[dict[str, Any]]:
    single = request.get("TrainingJobDefinition")
    return [single] if single else list(request.get("TrainingJobDefinitions") or ())


def _objective(definition: dict[str, Any], config: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = (
        definition.get("TuningObjective") or config.get("HyperParameterTuningJobObjective") or {}
    )
    return found


def _ranges(definition: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    return definition.get("HyperParameterRanges") or config.get("ParameterRanges") or {}


def _names(given: dict[str, Any]) -> set[str]:
    return {
        entry["Name"] for kind, entries in given.items() if kind.endswith("Ranges") for entry in entries or ()
    }


def _resources(definition: dict[str, Any]) -> dict[str, Any]:
    """The instances of a training job, in the form of its own request."""
    flexible = definition.get("HyperParameterTuningResourceConfig")
    if not flexible:
        return definition.get("ResourceConfig") or {}
    chosen = (flexible.get("InstanceConfigs") or [flexible])[0]
    out = {key: chosen[key] for key in ("InstanceType", "InstanceCount", "VolumeSizeInGB") if chosen.get(key)}
    return {**out, **{key: flexible[key] for key in ("VolumeKmsKeyId",) if flexible.get(key)}}


def _training_counters(statuses: Any) -> dict[str, int]:
    count = Counter(statuses)
    return {
        "Completed": count["Completed"],
        "InProgress": count["InProgress"] + count["Stopping"],
        "RetryableError": 0,
        "NonRetryableError": count["Failed"],
        "Stopped": count["Stopped"],
    }


def _summary(child: Job, tuning: Job) -> dict[str, Any]:
    """A training job as the tuning job tells it."""
    config = tuning.record["HyperParameterTuningJobConfig"]
    named = child.record.get("DefinitionName")
    definitions = _definitions(tuning.record)
    definition = next((each for each in definitions if each.get("DefinitionName") == named), definitions[0])
    objective = _objective(definition, config)
    record = child.record
    row = {
        "TrainingJobDefinitionName": named,
        "TrainingJobName": child.name,
        "TrainingJobArn": record["TrainingJobArn"],
        "TuningJobName": tuning.name,
        "CreationTime": record["CreationTime"],
        "TrainingStartTime": record.get("TrainingStartTime"),
        "TrainingEndTime": record.get("TrainingEndTime"),
        "TrainingJobStatus": child.status,
        "TunedHyperParameters": record["TunedHyperParameters"],
        "FailureReason": record.get("FailureReason"),
    }
    if child.done.is_set():
        metrics = {entry["MetricName"]: entry["Value"] for entry in record.get("FinalMetricDataList") or ()}
        value = metrics.get(objective["MetricName"])
        row["ObjectiveStatus"] = (
            "Succeeded" if value is not None and child.status == "Completed" else "Failed"
        )
        if value is not None:
            row["FinalHyperParameterTuningJobObjectiveMetric"] = {**objective, "Value": value}
    return {key: value for key, value in row.items() if value is not None}
