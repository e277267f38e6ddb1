"""Checks requests against botocore's service model, in the words of AWS, and shapes responses by it."""

from __future__ import annotations

import datetime as dt
import functools
import re
import uuid
from collections.abc import Mapping
from typing import Any

import botocore.session
from botocore.model import OperationModel, ServiceModel, Shape

from ..host import ApiError

UTC = dt.timezone.utc


@functools.cache
def service_model(service: str = "sagemaker") -> ServiceModel:
    """botocore's model of the service, loaded once."""
    return botocore.session.get_session().get_service_model(service)


def operation_model(operation: str) -> OperationModel:
    """The model of one operation; a name that SageMaker does not have is an error as from AWS."""
    try:
        return service_model().operation_model(operation)
    except Exception as error:  # botocore's OperationNotFoundError is in a module without type information
        raise ApiError(
            "UnknownOperationException", f"SageMaker has no operation {operation}.", 400
        ) from error


def now() -> dt.datetime:
    """The current time to the millisecond, as SageMaker stores times."""
    moment = dt.datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def iso(moment: dt.datetime) -> str:
    """A time in the format of events."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# Java's character classes in the service model and the nearest in Python.
_CLASSES = {
    "L": r"^\W\d_",
    "M": "\u0300-\u036f",
    "Z": r"\s",
    "N": r"\d",
    "S": "$+<=>^`|~\u00a2-\u00ff",
    "P": r"!-/:-@\[-`{-~",
}


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str] | None:
    text = pattern
    for name, inner in _CLASSES.items():
        # Inside brackets a class cannot be negated; word characters are the nearest to letters.
        text = text.replace(f"\\p{{{name}}}", r"\w" if name == "L" else inner)
    try:
        return re.compile(text)
    except re.error:
        return None


class _Checker:
    """Checks a request by its shape: collects problems in the words of AWS, returns the request with typed values."""

    def __init__(self, *, lenient: bool = False) -> None:
        self.problems: list[str] = []
        self.lenient = lenient

    def fail(self, path: str, value: object, constraint: str) -> None:
        shown = value if isinstance(value, str) else repr(value)
        if len(shown) > 200:
            shown = shown[:200] + "..."
        self.problems.append(f"Value '{shown}' at '{path}' failed to satisfy constraint: {constraint}")

    def visit(self, shape: Shape, value: Any, path: str) -> Any:
        handler = getattr(self, f"visit_{shape.type_name}", self.visit_other)
        return handler(shape, value, path)

    def visit_structure(self, shape: Any, value: Any, path: str) -> Any:
        if not isinstance(value, Mapping):
            self.fail(path or "request", value, f"Member must be a structure ({shape.name})")
            return value
        prefix = f"{path}." if path else ""
        known = shape.members
        for name in shape.required_members:
            if value.get(name) is None:
                if known[name].serialization.get("idempotencyToken") or known[name].metadata.get(
                    "idempotencyToken"
                ):
                    continue
                self.problems.append(
                    f"Value null at '{prefix}{_camel(name)}' failed to satisfy constraint: Member must not be"
                    " null"
                )
        out: dict[str, Any] = {}
        for name, inner in value.items():
            if name not in known:
                near = _nearest(name, list(known))
                hint = f"; did you mean {near}?" if near else f"; it must be one of {', '.join(known)}"
                self.problems.append(f"Unknown parameter '{prefix}{name}' in {shape.name}{hint}")
            elif inner is not None:
                out[name] = self.visit(known[name], inner, f"{prefix}{_camel(name)}")
        if getattr(shape, "is_tagged_union", False) and len(out) > 1:
            self.problems.append(
                f"'{path}' must hold exactly one of {', '.join(known)}, not {', '.join(out)}"
            )
        return out

    def visit_list(self, shape: Any, value: Any, path: str) -> Any:
        if not isinstance(value, (list, tuple)):
            self.fail(path, value, "Member must be a list")
            return value
        self.bounds(shape, len(value), value, path, "length")
        return [
            self.visit(shape.member, inner, f"{path}.{index + 1}.member") for index, inner in enumerate(value)
        ]

    def visit_map(self, shape: Any, value: Any, path: str) -> Any:
        if not isinstance(value, Mapping):
            self.fail(path, value, "Member must be a map")
            return value
        self.bounds(shape, len(value), value, path, "length")
        for key in value:
            self.visit(shape.key, key, f"{path}.key")
        return {key: self.visit(shape.value, inner, f"{path}.{key}") for key, inner in value.items()}

    def visit_string(self, shape: Any, value: Any, path: str) -> Any:
        if not isinstance(value, str):
            if self.lenient and isinstance(value, (bool, int, float)):
                value = text_of(value)
            else:
                self.fail(path, value, "Member must be a string")
                return value
        enum = shape.metadata.get("enum")
        if enum and value not in enum:
            self.fail(path, value, f"Member must satisfy enum value set: [{', '.join(enum)}]")
            return value
        self.bounds(shape, len(value), value, path, "length")
        pattern = shape.metadata.get("pattern")
        compiled = _compiled(pattern) if pattern else None
        if compiled and not compiled.fullmatch(value):
            self.fail(path, value, f"Member must satisfy regular expression pattern: {pattern}")
        return value

    def visit_integer(self, shape: Any, value: Any, path: str) -> Any:
        number = value
        if self.lenient and isinstance(value, str) and re.fullmatch(r"-?\d+", value.strip()):
            number = int(value)
        if isinstance(number, float) and number.is_integer():
            number = int(number)
        if isinstance(number, bool) or not isinstance(number, int):
            self.fail(path, value, "Member must be an integer")
            return value
        self.bounds(shape, number, value, path, "value")
        return number

    visit_long = visit_integer

    def visit_float(self, shape: Any, value: Any, path: str) -> Any:
        number = value
        if self.lenient and isinstance(value, str):
            try:
                number = float(value)
            except ValueError:
                number = value
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            self.fail(path, value, "Member must be a number")
            return value
        self.bounds(shape, number, value, path, "value")
        return float(number)

    visit_double = visit_float

    def visit_boolean(self, shape: Any, value: Any, path: str) -> Any:
        if self.lenient and isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        if not isinstance(value, bool):
            self.fail(path, value, "Member must be a boolean")
        return value

    def visit_timestamp(self, shape: Any, value: Any, path: str) -> Any:
        try:
            return timestamp(value)
        except (TypeError, ValueError):
            self.fail(path, value, "Member must be a timestamp")
            return value

    def visit_other(self, shape: Any, value: Any, path: str) -> Any:
        return value

    def bounds(self, shape: Any, size: float, value: object, path: str, what: str) -> None:
        low, high = shape.metadata.get("min"), shape.metadata.get("max")
        word = "have length" if what == "length" else "have value"
        if low is not None and size < low:
            self.fail(path, value, f"Member must {word} greater than or equal to {low}")
        if high is not None and size > high:
            self.fail(path, value, f"Member must {word} less than or equal to {high}")


def check(operation: str, request: Mapping[str, Any], *, lenient: bool = False) -> dict[str, Any]:
    """The request with typed values, or `ValidationException` in AWS's words.

    `lenient` converts numbers to strings and back where the shape asks for it, as the pipeline service does
    with parameters.
    """
    model = operation_model(operation)
    if model.input_shape is None:
        return {}
    checker = _Checker(lenient=lenient)
    out: dict[str, Any] = checker.visit(model.input_shape, request, "")
    if checker.problems:
        count = len(checker.problems)
        noun = "error" if count == 1 else "errors"
        raise ApiError(
            "ValidationException", f"{count} validation {noun} detected: {'; '.join(checker.problems)}", 400
        )
    for name in model.idempotent_members:
        out.setdefault(name, str(uuid.uuid4()))
    return out


def timestamp(value: Any) -> dt.datetime:
    """A time from epoch seconds, ISO 8601 text or a datetime."""
    if isinstance(value, dt.datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, bool):
        raise ValueError(f"not a time: {value}")
    if isinstance(value, (int, float)):
        return dt.datetime.fromtimestamp(value, UTC)
    text = str(value)
    if re.fullmatch(r"\d+(\.\d+)?([eE]\d+)?", text):
        return dt.datetime.fromtimestamp(float(text), UTC)
    moment = dt.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def text_of(value: Any) -> str:
    """A value as the pipeline service writes it into a string."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return ""
    return value if isinstance(value, str) else str(value)


def wire(value: Any, times: str = "epoch") -> Any:
    """A value ready for JSON: times as epoch seconds (API), epoch milliseconds or ISO text (events)."""
    if isinstance(value, dt.datetime):
        if times == "iso":
            return iso(value)
        return value.timestamp() * 1000 if times == "ms" else value.timestamp()
    if isinstance(value, Mapping):
        return {key: wire(inner, times) for key, inner in value.items() if inner is not None}
    if isinstance(value, (list, tuple)):
        return [wire(inner, times) for inner in value]
    return value


def fit(operation: str, value: Mapping[str, Any]) -> dict[str, Any]:
    """Only those members that the operation's response has: stored records have more."""
    shape: Any = operation_model(operation).output_shape
    members = shape.members if shape is not None else {}
    return {name: value[name] for name in members if value.get(name) is not None}


def _camel(name: str) -> str:
    return name[:1].lower() + name[1:]


def _nearest(name: str, known: list[str]) -> str | None:
    import difflib

    lowered = {candidate.lower(): candidate for candidate in known}
    found = difflib.get_close_matches(name.lower(), list(lowered), n=1, cutoff=0.7)
    return lowered[found[0]] if found else None
