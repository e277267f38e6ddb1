"""Gives the references and functions of a pipeline definition (`Get`, `Std:Join`, `Std:JsonGet`) their values.

Source: "SageMaker Model Building Pipeline Definition JSON Schema"; the functions of sagemaker-python-sdk
(`workflow/functions.py`) render these.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any


class Unresolved(Exception):
    """A reference that has no value; the step that needs it fails with this message."""


def is_special(node: Any) -> bool:
    """Whether a JSON value is a reference or a function rather than a literal."""
    return (
        isinstance(node, dict) and len(node) == 1 and next(iter(node)) in ("Get", "Std:Join", "Std:JsonGet")
    )


def special(node: Any, path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    if is_special(node):
        yield path or ".", node
        # The property file of a JsonGet is checked with it; everything else in it is checked separately.
        inner = node.get("Std:JsonGet")
        if isinstance(inner, dict) and "PropertyFile" in inner:
            return
    if isinstance(node, dict):
        for key, value in node.items():
            yield from special(value, f"{path}.{key}" if path else key)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from special(value, f"{path}[{index}]")


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
    """The value at a path such as `Outputs['train'].S3Output.S3Uri`, `a.b[0]`; a name selects a list's
    element by its name.
    """
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
