"""Splits files of a batch transform into records, filters them, and joins them with what the model answered.

SageMaker AI developer guide: "Associate Prediction Results with Input Records", with the subset of JSONPath that is
supported there. That guide counts both ends of a slice: `$[1:4]` is the second through the fifth column.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from typing import Any

CSV = "text/csv"
JSON = ("application/json", "application/jsonlines")


class BadRecord(Exception):
    """A record that cannot be read, filtered or joined; the message says why."""


_STEP = re.compile(r"\.([A-Za-z_][\w-]*)|\.?\[([^\]]*)\]|\.?(\*)")
_NAME = re.compile(r"'([^']*)'|\"([^\"]*)\"")


class JsonPath:
    """A filter such as `$[1:]` or `$['id','SageMakerOutput']`; raises ValueError where it is not supported."""

    def __init__(self, text: str) -> None:
        self.text = text
        if not text.startswith("$"):
            raise ValueError(f"{text!r} must begin with $")
        self.steps: list[tuple[str, Any]] = []
        position = 1
        while position < len(text):
            match = _STEP.match(text, position)
            if match is None:
                raise ValueError(f"{text!r} cannot be read from {text[position:]!r}")
            position = match.end()
            name, inside, _ = match.groups()
            self.steps.append(
                ("name", [name]) if name else _inside(inside) if inside is not None else ("all", None)
            )

    def select(self, value: Any) -> Any:
        """The part of a value that the path names."""
        for kind, what in self.steps:
            value = self._step(kind, what, value)
        return value

    def _step(self, kind: str, what: Any, value: Any) -> Any:
        try:
            if kind == "all":
                return list(value.values()) if isinstance(value, dict) else list(value)
            if kind == "name":
                return value[what[0]] if len(what) == 1 else {name: value[name] for name in what}
            if not isinstance(value, list):
                raise TypeError
            if kind == "index":
                return value[what[0]] if len(what) == 1 else [value[index] for index in what]
            first, last = what
            return value[first : None if last in (None, -1) else last + 1]
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise BadRecord(
                f"the filter {self.text} does not fit the record {json.dumps(value)[:200]}"
            ) from error


def _inside(text: str) -> tuple[str, Any]:
    if text.strip() == "*":
        return "all", None
    parts = [part.strip() for part in text.split(",")]
    if all(re.fullmatch(r"-?\d+", part) for part in parts):
        return "index", [int(part) for part in parts]
    names = [_NAME.fullmatch(part) for part in parts]
    if all(names):
        return "name", [match[1] if match[1] is not None else match[2] for match in names if match]
    match = re.fullmatch(r"(-?\d*):(-?\d*)", text.strip())
    if match is None:
        raise ValueError(f"[{text}] is none of an index, a name, a slice and *")
    return "slice", tuple(int(end) if end else None for end in match.groups())


def split_lines(body: bytes) -> list[bytes]:
    """The records of a file with `SplitType` Line; line breaks within quotes are not known, as on AWS."""
    return [line.removesuffix(b"\r") for line in body.split(b"\n") if line.strip()]


def batches(records: list[bytes], limit: int, *, one_by_one: bool) -> Iterator[list[bytes]]:
    """As many records as fit a request, or one for each."""
    batch: list[bytes] = []
    size = 0
    for record in records:
        if batch and (one_by_one or size + len(record) + 1 > limit):
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += len(record) + 1
    if batch:
        yield batch


def parse(record: bytes, kind: str) -> Any:
    """A record as value: a row of CSV as a list of texts."""
    text = record.decode("utf-8")
    if kind == CSV:
        return next(csv.reader(io.StringIO(text)), [])
    try:
        return json.loads(text)
    except ValueError as error:
        raise BadRecord(f"{text[:200]!r} is not valid JSON: {error}") from error


def render(value: Any, kind: str) -> bytes:
    """A value as record."""
    if kind != CSV:
        return json.dumps(value).encode()
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(value if isinstance(value, list) else [value])
    return out.getvalue().encode()


def join(given: Any, answered: Any, kind: str) -> Any:
    """The record followed by the answer: columns appended in CSV, the attribute `SageMakerOutput` in JSON."""
    if kind == CSV:
        return [*given, *answered]
    if isinstance(given, dict):
        return {**given, "SageMakerOutput": answered}
    return {"SageMakerInput": given, "SageMakerOutput": answered}
