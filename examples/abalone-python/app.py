#!/usr/bin/env python3
"""From measures of an abalone to its age: the same app as ../abalone/app.ts."""

from aws_cdk import App, Duration, Stack, Tags
from cdk_mlops import (
    Algorithm,
    Column,
    DataPipeline,
    DatasetSchema,
    InferenceEndpoint,
    MlopsApi,
    ModelMetric,
    ModelRegistry,
    QualityGate,
    StageProfile,
    TargetDisplay,
    TrainingPipeline,
)

app = App()
prod = app.node.try_get_context("profile") == "prod"
profile = StageProfile.prod() if prod else StageProfile.dev()
stack = Stack(
    app,
    "Abalone" if prod else "AbaloneDev",
    description="From measures of an abalone to its age: data, training, registry, endpoint and API",
)
Tags.of(stack).add("application", "abalone")

# The data set stores lengths and weights divided by 200; people enter millimetres and grams.
length = {"min": 0, "max": 1, "unit": "mm", "per_unit": 1 / 200}
weight = {"min": 0, "max": 4, "unit": "g", "per_unit": 1 / 200}

abalone = DatasetSchema.of(
    "abalone",
    [
        Column.categorical("sex", values=["F", "I", "M"], description="female, infant or male"),
        Column.numeric("length", **length, description="longest measure of the shell"),
        Column.numeric("diameter", **length, description="perpendicular to the length"),
        Column.numeric("height", **length | {"max": 1.5}, description="with the meat in the shell"),
        Column.numeric("whole_weight", **weight, description="the whole animal"),
        Column.numeric("shucked_weight", **weight, description="the meat alone"),
        Column.numeric("viscera_weight", **weight, description="the gut, after bleeding"),
        Column.numeric("shell_weight", **weight, description="the shell, dried"),
        Column.target("rings", integer=True, min=1, max=40, display=TargetDisplay(name="age", unit="years", offset=1.5)),
    ],
)

registry = ModelRegistry(stack, "Models", model_package_group_name="AbaloneModelPackageGroup", profile=profile)

training = TrainingPipeline(
    stack,
    "Training",
    schema=abalone,
    registry=registry,
    algorithm=Algorithm.xgboost(
        max_depth=5, eta=0.2, gamma=4, min_child_weight=6, subsample=0.7, rounds=50, early_stopping_rounds=10
    ),
    gate=QualityGate.of(ModelMetric.mse().at_most(6.0)),
    profile=profile,
)

data = DataPipeline(stack, "Data", schema=abalone, training=training, profile=profile)

endpoint = InferenceEndpoint(
    stack,
    "Endpoint",
    schema=abalone,
    registry=registry,
    profile=profile,
    poll_interval=Duration.seconds(15),
)

MlopsApi(stack, "Api", data=data, training=training, registry=registry, endpoint=endpoint, profile=profile)

app.synth()
