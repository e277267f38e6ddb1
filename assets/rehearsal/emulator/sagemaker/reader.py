"""Reads a pipeline definition and lists everything that is wrong with it.

CreatePipeline refuses a definition that does not fit its schema, names unknown steps or has a circle (source:
"SageMaker Model Building Pipeline Definition JSON Schema").
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from typing import Any

from ..host import ApiError
from .definition import (
    COMPARISONS,
    EXECUTION_VARIABLES,
    PARAMETER_TYPES,
    STEP_NAME,
    STEP_TYPES,
    Definition,
    Parameter,
    Step,
    own,
)
from .references import special


def read_definition(text: str) -> Definition:
    """Reads a definition; everything that is wrong with it comes in one `ValidationException`."""
    try:
        raw = json.loads(text)
    except ValueError as error:
        raise ApiError(
            "ValidationException", f"Unable to parse pipeline definition. It is not valid JSON: {error}."
        ) from error
    try:
        return _Reader().read(raw)
    except (AttributeError, LookupError, TypeError, RecursionError) as error:
        # For example a list in place of an object; the service's parser gives no more detail either.
        raise ApiError(
            "ValidationException",
            f"Unable to parse pipeline definition. A member has the wrong type: {error}.",
        ) from error


class _Reader:
    """Collects problems while it reads; one reader reads one definition."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.parameters: dict[str, Parameter] = {}
        self.steps: dict[str, Step] = {}

    def read(self, raw: Any) -> Definition:
        """The definition, or one `ValidationException` with all problems."""
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
        if kind not in PARAMETER_TYPES:
            self.problems.append(
                f"type of parameter {name} must be one of {', '.join(PARAMETER_TYPES)}, got {kind!r}"
            )
            return
        default, allowed = entry.get("DefaultValue"), tuple(entry.get("EnumValues") or ())
        if "DefaultValue" in entry:
            fits = isinstance(default, PARAMETER_TYPES[kind]) and (
                kind == "Boolean" or not isinstance(default, bool)
            )
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
            if not isinstance(name, str) or not STEP_NAME.fullmatch(name):
                self.problems.append(f"step name {name!r} must match {STEP_NAME.pattern}")
                continue
            kind = entry.get("Type")
            if kind not in STEP_TYPES:
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
                        f"step {step.name}: DependsOn with Trigger {entry['Trigger']} is not played by the"
                        " rehearsal"
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
        for place, node in special(own(step)):
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
                    f"property file {file.get('PropertyFileName')} of step {step.name} is in output"
                    f" {file.get('OutputName')!r}, which the step does not have"
                )

    def _condition(self, step: Step, condition: Any) -> None:
        kind = condition.get("Type") if isinstance(condition, dict) else None
        needs = {
            **dict.fromkeys(COMPARISONS, ("LeftValue", "RightValue")),
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
            {entry.get("PropertyFileName") for entry in other.raw.get("PropertyFiles") or ()}
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
            self.problems.append(f"step {step.name}: {target!r} at {place} is not a reference")
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
                f"step {step.name}: {target!r} at {place} is not a reference that the rehearsal plays"
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
