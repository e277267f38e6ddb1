"""The definition language of SageMaker Pipelines: what a definition says, and what is wrong with it."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterator, Mapping
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
    (
        "Processing",
        "Training",
        "RegisterModel",
        "Model",
        "Condition",
        "Fail",
        "Lambda",
        "Callback",
        "Transform",
    )
)
NOT_PLAYED = frozenset(
    (
        "Tuning", "AutoML", "EMR", "EMRServerless", "QualityCheck", "ClarifyCheck", "Endpoint", "EndpointConfig",
        "InferenceComponent", "Lineage", "ForEach", "Job", "Cleanup",
    )
)  # fmt: skip
_COMPARISONS = ("Equals", "GreaterThan", "GreaterThanOrEqualTo", "LessThan", "LessThanOrEqualTo")
_NAME = re.compile(r"[A-Za-z0-9\-_]{1,64}")
_TYPES: dict[str, tuple[type, ...]] = {
    "String": (str,),
    "Integer": (int,),
    "Float": (int, float),
    "Boolean": (bool,),
}


class Unresolved(Exception):
    """A reference that has no value; the step that needs it fails with this sentence."""


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
                f"Pipeline parameter {self.name} must be one of [{', '.join(map(str, self.allowed))}], got {text!r}.",
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

    @staticmethod
    def parse(text: str) -> Definition:
        """Reads a definition; everything that is wrong with it comes in one `ValidationException`."""
        try:
            raw = json.loads(text)
        except ValueError as error:
            raise ApiError(
                "ValidationException", f"Unable to parse pipeline definition. It is not JSON: {error}."
            ) from error
        try:
            return _Reader().read(raw)
        except (AttributeError, LookupError, TypeError, RecursionError) as error:
            # A list where an object belongs, and the like; the service's parser gives no more detail either.
            raise ApiError(
                "ValidationException",
                f"Unable to parse pipeline definition. A member has the wrong type: {error}.",
            ) from error

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
                f"Pipeline parameters [{', '.join(missing)}] do not have a value and no default.",
            )
        return {
            name: each.parse(pairs[name]) if name in pairs else each.default
            for name, each in self.parameters.items()
        }


class _Reader:
    def __init__(self) -> None:
        self.problems: list[str] = []
        self.parameters: dict[str, Parameter] = {}
        self.steps: dict[str, Step] = {}

    def read(self, raw: Any) -> Definition:
        if not isinstance(raw, dict):
            raise ApiError(
                "ValidationException", "Unable to parse pipeline definition. It must be a JSON object."
            )
        if raw.get("Version") != "2020-12-01":
            self.problems.append(f"Version must be 2020-12-01, got {raw.get('Version')!r}")
        for entry in self._list(raw, "Parameters", "the definition"):
            self._parameter(entry)
        steps = self._list(raw, "Steps", "the definition")
        if not steps:
            self.problems.append("Steps must hold at least one step")
        self._collect(steps, None, None)
        for step in self.steps.values():
            self._check(step)
        if not self.problems:
            self._cycles()
        if self.problems:
            raise ApiError(
                "ValidationException",
                "Unable to parse pipeline definition. " + "; ".join(self.problems) + ".",
            )
        return Definition(self.parameters, self.steps, raw.get("PipelineExperimentConfig"))

    def _list(self, holder: Mapping[str, Any], key: str, where: str) -> list[Any]:
        value = holder.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            self.problems.append(f"{key} of {where} must be a list")
            return []
        return value

    def _parameter(self, entry: Any) -> None:
        name = entry.get("Name") if isinstance(entry, dict) else None
        kind = entry.get("Type") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9\-_]{1,256}", name):
            self.problems.append(f"parameter name {name!r} must match [A-Za-z0-9\\-_]*")
            return
        if name in self.parameters:
            self.problems.append(f"parameter {name} is declared twice")
        if kind not in _TYPES:
            self.problems.append(f"type of parameter {name} must be one of {', '.join(_TYPES)}, got {kind!r}")
            return
        default, allowed = entry.get("DefaultValue"), tuple(entry.get("EnumValues") or ())
        if "DefaultValue" in entry:
            fits = isinstance(default, _TYPES[kind]) and (kind == "Boolean" or not isinstance(default, bool))
            if not fits:
                self.problems.append(f"default of parameter {name} must be of type {kind}, got {default!r}")
            elif allowed and default not in allowed:
                self.problems.append(
                    f"default {default!r} of parameter {name} must be one of {', '.join(map(str, allowed))}"
                )
        if kind == "Float" and isinstance(default, int) and not isinstance(default, bool):
            default = float(default)
        self.parameters[name] = Parameter(name, kind, default, "DefaultValue" in entry, allowed)

    def _collect(self, entries: list[Any], parent: str | None, branch: str | None) -> None:
        for entry in entries:
            name = entry.get("Name") if isinstance(entry, dict) else None
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                self.problems.append(f"step name {name!r} must match {_NAME.pattern}")
                continue
            kind = entry.get("Type")
            if kind not in STEP_TYPES | NOT_PLAYED:
                near = difflib.get_close_matches(str(kind), sorted(STEP_TYPES), n=1)
                self.problems.append(
                    f"step {name} has an unknown type {kind!r}"
                    + (f", did you mean {near[0]}?" if near else "")
                )
                continue
            if name in self.steps:
                self.problems.append(f"step name {name} is used twice")
                continue
            self.steps[name] = Step(name, kind, entry, parent=parent, branch=branch)
            if kind == "Condition":
                arguments = self.steps[name].arguments
                for key in ("IfSteps", "ElseSteps"):
                    self._collect(self._list(arguments, key, f"step {name}"), name, key)

    def _check(self, step: Step) -> None:
        for entry in self._list(step.raw, "DependsOn", f"step {step.name}"):
            if isinstance(entry, dict):
                if entry.get("Trigger", "Completed") != "Completed":
                    self.problems.append(
                        f"step {step.name}: DependsOn with Trigger {entry['Trigger']} is not played by the rehearsal"
                    )
                entry = entry.get("Step")
            self._depend(step, str(entry), "DependsOn")
        if "Arguments" not in step.raw and step.type not in ("Callback", "Lambda"):
            self.problems.append(f"step {step.name} has no Arguments")
        if step.type == "Condition":
            conditions = self._list(step.arguments, "Conditions", f"step {step.name}")
            if not conditions:
                self.problems.append(f"condition step {step.name} has no conditions")
            for condition in conditions:
                self._condition(step, condition)
        for place, node in _special(own(step)):
            self._reference(step, place, node)
        outputs = {
            entry.get("OutputName")
            for entry in (step.arguments.get("ProcessingOutputConfig") or {}).get("Outputs") or ()
            if isinstance(entry, dict)
        }
        for file in self._list(step.raw, "PropertyFiles", f"step {step.name}"):
            if not isinstance(file, dict):
                self.problems.append(f"PropertyFiles of step {step.name} must hold objects, got {file!r}")
            elif file.get("OutputName") not in outputs:
                self.problems.append(
                    f"property file {file.get('PropertyFileName')} of step {step.name} is in output {file.get('OutputName')!r}, "
                    f"which the step does not have"
                )

    def _condition(self, step: Step, condition: Any) -> None:
        kind = condition.get("Type") if isinstance(condition, dict) else None
        needs = {
            **dict.fromkeys(_COMPARISONS, ("LeftValue", "RightValue")),
            "In": ("QueryValue", "Values"),
            "Not": ("Condition",),
            "Or": ("Conditions",),
        }
        if kind not in needs:
            near = difflib.get_close_matches(str(kind).removeprefix("Condition"), list(needs), n=1)
            hint = f", did you mean {near[0]}?" if near else f"; there are {', '.join(needs)}"
            self.problems.append(f"step {step.name} has a condition of unknown type {kind!r}{hint}")
            return
        for key in needs[kind]:
            if key not in condition:
                self.problems.append(f"condition {kind} of step {step.name} has no {key}")
        if kind == "Not" and "Condition" in condition:
            self._condition(step, condition["Condition"])
        for inner in condition.get("Conditions", ()) if kind == "Or" else ():
            self._condition(step, inner)

    def _depend(self, step: Step, name: str, place: str) -> None:
        if name not in self.steps:
            near = difflib.get_close_matches(name, list(self.steps), n=1)
            hint = f", did you mean {near[0]}?" if near else f"; there are {', '.join(self.steps)}"
            self.problems.append(
                f"step {step.name} refers at {place} to step {name!r}, which does not exist{hint}"
            )
            return
        if name == step.name:
            self.problems.append(f"step {step.name} depends on itself")
            return
        step.depends_on.add(name)

    def _reference(self, step: Step, place: str, node: Mapping[str, Any]) -> None:
        if "Get" in node:
            self._get(step, place, node["Get"])
        elif "Std:JsonGet" in node:
            inner = node["Std:JsonGet"]
            if (
                not isinstance(inner, dict)
                or "Path" not in inner
                or ("PropertyFile" in inner) == ("S3Uri" in inner)
            ):
                self.problems.append(
                    f"step {step.name}: Std:JsonGet at {place} needs a Path and either PropertyFile or S3Uri"
                )
            elif "PropertyFile" in inner:
                self._property_file(step, place, inner["PropertyFile"])

    def _property_file(self, step: Step, place: str, file: Any) -> None:
        text = file.get("Get") if isinstance(file, dict) else None
        match = re.fullmatch(r"Steps\.([^.]+)\.PropertyFiles\.(.+)", text) if isinstance(text, str) else None
        if match is None:
            self.problems.append(
                f"step {step.name}: Std:JsonGet.PropertyFile at {place} must be "
                f'{{"Get": "Steps.<step>.PropertyFiles.<name>"}}, got {file!r}'
            )
            return
        self._depend(step, match[1], place)
        other = self.steps.get(match[1])
        files = (
            {entry.get("PropertyFileName") for entry in (other.raw.get("PropertyFiles") or ())}
            if other
            else set()
        )
        if other and match[2] not in files:
            self.problems.append(
                f"step {step.name}: step {match[1]} has no property file {match[2]!r}; it has {sorted(files)}"
            )

    def _get(self, step: Step, place: str, target: Any) -> None:
        head, _, rest = str(target).partition(".")
        if not isinstance(target, str) or not rest:
            self.problems.append(f"step {step.name}: {target!r} at {place} is no reference")
        elif head == "Parameters":
            if rest not in self.parameters:
                near = difflib.get_close_matches(rest, list(self.parameters), n=1)
                hint = f", did you mean {near[0]}?" if near else ""
                self.problems.append(
                    f"step {step.name} uses parameter {rest!r} at {place}, which is not declared{hint}"
                )
        elif head == "Execution":
            if rest not in EXECUTION_VARIABLES:
                self.problems.append(f"step {step.name}: there is no execution variable {rest!r} ({place})")
        elif head == "Steps":
            self._depend(step, re.split(r"[.\[]", rest, maxsplit=1)[0], place)
        elif head != "PipelineExperimentConfig":
            self.problems.append(
                f"step {step.name}: {target!r} at {place} is no reference that the rehearsal plays"
            )

    def _cycles(self) -> None:
        state: dict[str, int] = {}

        def visit(name: str, trail: tuple[str, ...]) -> None:
            if state.get(name) == 2 or self.problems:
                return
            if state.get(name) == 1:
                self.problems.append(
                    "steps depend on each other in a circle: "
                    + " -> ".join((*trail[trail.index(name) :], name))
                )
                return
            state[name] = 1
            step = self.steps[name]
            for other in sorted(step.depends_on | ({step.parent} if step.parent else set())):
                visit(other, (*trail, name))
            state[name] = 2

        for name in self.steps:
            visit(name, ())


def own(step: Step) -> dict[str, Any]:
    """The part of a step that it evaluates itself: a condition without its branches, no names and comments."""
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


def is_special(node: Any) -> bool:
    """Whether a JSON value is a reference or a function rather than a literal."""
    return (
        isinstance(node, dict) and len(node) == 1 and next(iter(node)) in ("Get", "Std:Join", "Std:JsonGet")
    )


def _special(node: Any, path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    if is_special(node):
        yield path or ".", node
        # The property file of a JsonGet is checked with it; what else stands inside is checked on its own.
        inner = node.get("Std:JsonGet")
        if isinstance(inner, dict) and "PropertyFile" in inner:
            return
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _special(value, f"{path}.{key}" if path else key)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _special(value, f"{path}[{index}]")


@dataclass
class Resolver:
    """Gives references their values during one execution."""

    parameters: Mapping[str, Any]
    execution: Mapping[str, Any]
    step_property: Callable[[str, str], Any]
    """(step, rest of the path) to the value."""
    json_file: Callable[[str | None, str | None, str | None], Any]
    """(step, property file, None) or (None, None, S3 URI) to the parsed JSON document."""
    text_of: Callable[[Any], str]

    def resolve(self, node: Any) -> Any:
        """A copy of a JSON value with every reference replaced."""
        if is_special(node):
            if "Get" in node:
                return self._get(node["Get"])
            if "Std:Join" in node:
                join = node["Std:Join"]
                return str(join.get("On", "")).join(
                    self.text_of(self.resolve(value)) for value in join.get("Values", ())
                )
            return self._json_get(node["Std:JsonGet"])
        if isinstance(node, dict):
            return {key: self.resolve(value) for key, value in node.items()}
        if isinstance(node, list):
            return [self.resolve(value) for value in node]
        return node

    def _get(self, target: str) -> Any:
        head, _, rest = target.partition(".")
        if head == "Parameters":
            return self.parameters[rest]
        if head == "Execution":
            if rest not in self.execution:
                raise Unresolved(f"execution variable {rest} has no value here")
            return self.execution[rest]
        if head == "Steps":
            parts = re.split(r"(?=[.\[])", rest, maxsplit=1)
            return self.step_property(parts[0], parts[1].removeprefix(".") if len(parts) > 1 else "")
        raise Unresolved(f"{target} has no value: the execution has no experiment")

    def _json_get(self, inner: Mapping[str, Any]) -> Any:
        path = str(self.resolve(inner["Path"]))
        if "PropertyFile" in inner:
            step, _, file = inner["PropertyFile"]["Get"].removeprefix("Steps.").partition(".PropertyFiles.")
            document, source = self.json_file(step, file, None), f"property file {file} of step {step}"
        else:
            uri = str(self.resolve(inner["S3Uri"]))
            document, source = self.json_file(None, None, uri), uri
        try:
            return walk(document, path)
        except Unresolved as error:
            raise Unresolved(f"the JSON path {path!r} is not in {source}: {error}") from error

    def holds(self, condition: Mapping[str, Any]) -> bool:
        """Whether a condition is true."""
        kind = condition["Type"]
        if kind == "Not":
            return not self.holds(condition["Condition"])
        if kind == "Or":
            return any(self.holds(inner) for inner in condition["Conditions"])
        if kind == "In":
            query = self.resolve(condition["QueryValue"])
            values = self.resolve(condition["Values"])
            return any(_equal(query, value) for value in values)
        left, right = self.resolve(condition["LeftValue"]), self.resolve(condition["RightValue"])
        if kind == "Equals":
            return _equal(left, right)
        first, second = _numbers(kind, left, right)
        return {
            "GreaterThan": first > second,
            "GreaterThanOrEqualTo": first >= second,
            "LessThan": first < second,
            "LessThanOrEqualTo": first <= second,
        }[kind]


def _equal(left: Any, right: Any) -> bool:
    if isinstance(left, bool) or isinstance(right, bool) or type(left) is type(right):
        return bool(left == right)
    try:
        return float(left) == float(right)
    except (TypeError, ValueError):
        return bool(left == right)


def _numbers(kind: str, left: Any, right: Any) -> tuple[float, float]:
    found = []
    for value in (left, right):
        try:
            if isinstance(value, bool):
                raise ValueError
            found.append(float(value))
        except (TypeError, ValueError) as error:
            raise Unresolved(f"condition {kind} compares numbers, got {value!r}") from error
    return found[0], found[1]


_PART = re.compile(r"\.?([^.\[\]]+)|\['((?:[^'\\]|\\.)*)'\]|\[\"((?:[^\"\\]|\\.)*)\"\]|\[(\d+)\]")


def walk(document: Any, path: str) -> Any:
    """The value at a path such as `Outputs['train'].S3Output.S3Uri`, `a.b[0]`; a name selects a list's element by its name."""
    node, position = document, 0
    path = path.removeprefix("$.")
    while position < len(path):
        match = _PART.match(path, position)
        if match is None:
            raise Unresolved(f"the path {path!r} cannot be read from {path[position:]!r}")
        position = match.end()
        name = next((group for group in match.groups()[:3] if group is not None), None)
        node = _child(node, name, match.group(4), path)
    return node


def _child(node: Any, name: str | None, index: str | None, path: str) -> Any:
    if name is None and index is not None:
        if isinstance(node, list) and int(index) < len(node):
            return node[int(index)]
        if not isinstance(node, dict):
            raise Unresolved(f"{path!r} has no element {index}")
        name = index
    if isinstance(node, dict) and name in node:
        return node[name]
    if isinstance(node, list):
        for element in node:
            if isinstance(element, dict) and any(
                key.endswith("Name") and value == name for key, value in element.items()
            ):
                return element
    have = f"; there are {', '.join(map(str, node))}" if isinstance(node, dict) and node else ""
    raise Unresolved(f"{path!r} has no {name!r}{have}")
