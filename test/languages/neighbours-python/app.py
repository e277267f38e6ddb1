#!/usr/bin/env python3
"""The app of test/apps/neighbours in Python, its algorithm a subclass: both synthesize the same template."""

from pathlib import Path

from aws_cdk import App, RemovalPolicy, Stack
from aws_cdk import aws_ecr as ecr
from cdk_mlops import (
    Algorithm,
    AlgorithmConfig,
    AlgorithmObjective,
    Column,
    ContainerImage,
    DataPipeline,
    DatasetSchema,
    HyperParameter,
    InferenceEndpoint,
    MetricDefinition,
    MlopsApi,
    ModelLoader,
    ModelMetric,
    ModelRegistry,
    ProblemType,
    QualityGate,
    StageProfile,
    TrainingPipeline,
)
from constructs import Construct

TYPESCRIPT = Path(__file__).parents[2] / "apps" / "neighbours"
"""Folder of the app in TypeScript, where the programs are."""


class Neighbours(Algorithm):
    """The mean of the nearest rows, in a container image of ours."""

    def __init__(self, repository: ecr.IRepository, *, neighbours: int) -> None:
        super().__init__()
        self._repository = repository
        self._neighbours = neighbours

    def bind(self, scope: Construct, *, schema: DatasetSchema) -> AlgorithmConfig:
        if schema.problem_type != ProblemType.REGRESSION:
            raise ValueError("Neighbours: only regressions are supported")
        return AlgorithmConfig(
            training_image=ContainerImage.from_ecr_repository(self._repository, "1.0"),
            hyper_parameters=[
                HyperParameter.of_integer("neighbours", value=self._neighbours, min=1, max=1000)
            ],
            metric_definitions=[MetricDefinition(name="validation:mae", regex="validation mae ([0-9.]+)")],
            objective=AlgorithmObjective(metric_name="validation:mae", minimize=True),
            training_environment={"DISTANCE": "manhattan"},
            serving_environment={"DECIMALS": "6"},
            model_loader=ModelLoader.from_file(str(TYPESCRIPT / "loader.py")),
            evaluation_image=ContainerImage.scikit_learn(),
        )


app = App()
stack = Stack(app, "Neighbours")
profile = StageProfile.dev()
measures = [
    "length",
    "diameter",
    "height",
    "whole_weight",
    "shucked_weight",
    "viscera_weight",
    "shell_weight",
]
shells = DatasetSchema.of(
    "shells",
    [
        Column.categorical("sex", values=["F", "I", "M"]),
        *(Column.numeric(name, min=0) for name in measures),
        Column.target("rings", integer=True, min=1, max=40),
    ],
)

repository = ecr.Repository(
    stack,
    "Repository",
    repository_name="team/neighbours",
    removal_policy=RemovalPolicy.DESTROY,
    empty_on_delete=True,
)
registry = ModelRegistry(stack, "Models", profile=profile)
training = TrainingPipeline(
    stack,
    "Training",
    schema=shells,
    registry=registry,
    algorithm=Neighbours(repository, neighbours=15),
    gate=QualityGate.of(ModelMetric.mae().at_most(2)),
)
data = DataPipeline(stack, "Data", schema=shells, training=training, profile=profile)
endpoint = InferenceEndpoint(stack, "Endpoint", schema=shells, registry=registry, profile=profile)
MlopsApi(stack, "Api", data=data, training=training, registry=registry, endpoint=endpoint, profile=profile)

app.synth()
