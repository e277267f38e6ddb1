"""The definition language of SageMaker Pipelines: parameters, steps, and the values that an execution is given.

Source: "SageMaker Model Building Pipeline Definition JSON Schema", version 2020-12-01, to which the operation
CreatePipeline refers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from ..host import ApiError

EXECUTION_VARIABLES = frozenset(
    (
        "StartDateTime",
        "CurrentDateTime",
        "PipelineName",
        "PipelineArn",
        "PipelineExecutionId",
        "PipelineExecutionArn",
        "TrainingJobName",
        "ProcessingJobName",
    )
)
STEP_TYPES = frozenset(
    [
        "Processing",
        "Training",
        "Transform",
        "Tuning",
        "RegisterModel",
        "Model",
        "Condition",
        "Fail",
        "Lambda",
        "Callback",
        "AutoML",
        "EMR",
        "EMRServerless",
        "QualityCheck",
        "ClarifyCheck",
        "Endpoint",
        "EndpointConfig",
        "InferenceComponent",
        "Lineage",
        "ForEach",
        "Job",
        "Cleanup",
    ]
)
"""The kinds of steps that the language has; `steps.HANDLERS` says which of them are played."""
COMPARISONS = ("Equals", "GreaterThan", "GreaterThanOrEqualTo", "LessThan", "LessThanOrEqualTo")
STEP_NAME = re.compile(r"[A-Za-z0-9\-_]{1,64}")
PARAMETER_TYPES: dict[str, tuple[type, ...]] = {
    "String": (str,),
    "Integer": (int,),
    "Float": (int, float),
    "Boolean": (bool,),
}


@dataclass(frozen=True)
class Parameter:
    """A declared pipeline parameter."""

    name: str
    type: str
    default: Any = None
    has_default: bool = False
    allowed: tuple[Any, ...] = ()

    def parse(self, text: str) -> Any:
        """A value given at start (always a string) as its type, or `ValidationException`."""
        try:
            value = self._convert(text)
        except ValueError as error:
            raise ApiError(
                "ValidationException",
                f"Pipeline parameter {self.name} must be of type {self.type}, got {text!r}.",
            ) from error
        if self.allowed and value not in self.allowed:
            raise ApiError(
                "ValidationException",
                f"Pipeline parameter {self.name} must be one of [{', '.join(map(str, self.allowed))}], got"
                f" {text!r}.",
            )
        return value

    def _convert(self, text: str) -> Any:
        if self.type == "Integer":
            return int(text)
        if self.type == "Float":
            return float(text)
        if self.type == "Boolean":
            if text.lower() not in ("true", "false"):
                raise ValueError(text)
            return text.lower() == "true"
        return text


@dataclass
class Step:
    """One step, those inside of condition branches included."""

    name: str
    type: str
    raw: dict[str, Any]
    depends_on: set[str] = field(default_factory=set)
    """Names of the steps that must have succeeded: declared, and through references."""
    parent: str | None = None
    branch: str | None = None
    """`IfSteps` or `ElseSteps` of `parent`."""

    @property
    def arguments(self) -> dict[str, Any]:
        """The step's arguments as written."""
        found = self.raw.get("Arguments")
        return found if isinstance(found, dict) else {}


@dataclass
class Definition:
    """A pipeline definition without contradictions."""

    parameters: dict[str, Parameter]
    steps: dict[str, Step]
    experiment: dict[str, Any] | None

    def values(self, given: list[dict[str, str]] | None) -> dict[str, Any]:
        """Parameter values of an execution: what was given at start over the defaults."""
        pairs = {entry["Name"]: entry["Value"] for entry in given or ()}
        if len(pairs) != len(given or ()):
            raise ApiError("ValidationException", "A pipeline parameter was given twice.")
        unknown = sorted(set(pairs) - set(self.parameters))
        if unknown:
            known = ", ".join(self.parameters) or "none"
            raise ApiError(
                "ValidationException",
                f"Unknown pipeline parameters [{', '.join(unknown)}]. The pipeline has: {known}.",
            )
        missing = sorted(
            name for name, each in self.parameters.items() if name not in pairs and not each.has_default
        )
        if missing:
            raise ApiError(
                "ValidationException",
                f"Pipeline parameters [{', '.join(missing)}] do not have a value and have no default.",
            )
        return {
            name: each.parse(pairs[name]) if name in pairs else each.default
            for name, each in self.parameters.items()
        }


def own(step: Step) -> dict[str, Any]:
    """The part of a step that it evaluates itself: without its name, and a condition without its branches."""
    skipped = (
        "Name",
        "Type",
        "DependsOn",
        "DisplayName",
        "Description",
        "CacheConfig",
        "RetryPolicies",
        "PropertyFiles",
    )
    out = {key: value for key, value in step.raw.items() if key not in skipped}
    if step.type == "Condition":
        out["Arguments"] = {"Conditions": step.arguments.get("Conditions")}
    return out
