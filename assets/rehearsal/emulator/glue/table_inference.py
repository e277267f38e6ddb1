"""Infers the columns of a table from data, as a Glue crawler does: CSV with a header row, and JSON lines.

A crawler's built-in classifiers look at the beginning of the data (Glue developer guide: "Built-in classifiers"; for
CSV a header row and a row of data are needed).
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Sequence

__all__ = ["SAMPLE_BYTES", "identifier", "infer_table"]

SAMPLE_BYTES = 1024 * 1024
"""Types are inferred from the beginning of one object; the real crawler takes a sample too."""


def columns_of_csv(text: str) -> list[dict[str, str]]:
    """Names from the header row, types from the rows below it."""
    rows = [row for row in csv.reader(io.StringIO(text)) if row]
    if len(rows) < 2:
        raise ValueError("a CSV file needs a header row and a row of data to infer types from")
    names = _distinct(identifier(name) for name in rows[0])
    return [
        {"Name": name, "Type": _type([row[i] for row in rows[1:] if i < len(row)])}
        for i, name in enumerate(names)
    ]


def columns_of_json(text: str) -> list[dict[str, str]]:
    """Names and types from objects, one on each line."""
    seen: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.strip():
            for name, value in json.loads(line).items():
                seen.setdefault(identifier(name), []).append(
                    value if isinstance(value, str) else json.dumps(value)
                )
    return [{"Name": name, "Type": _type(values)} for name, values in seen.items()]


def infer_table(key: str, sample: bytes) -> tuple[str, list[dict[str, str]]]:
    """The classification and the columns of an object, of which `sample` is the beginning."""
    text = sample.decode("utf-8", errors="replace")
    if len(sample) == SAMPLE_BYTES:
        text = text[: text.rfind("\n") + 1]
    if key.endswith((".json", ".jsonl")):
        return "json", columns_of_json(text)
    if sample[:4] == b"PAR1" or sample[:2] == b"\x1f\x8b":
        raise ValueError(
            f"{key} is Parquet or compressed: a rehearsal's crawler reads plain CSV and JSON lines, declare the table instead"
        )
    return "csv", columns_of_csv(text)


def _type(values: Sequence[str]) -> str:
    filled = [value for value in values if value != ""]
    if filled and all(re.fullmatch(r"[+-]?\d{1,18}", value) for value in filled):
        return "bigint"
    if filled and all(re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", value) for value in filled):
        return "double"
    if filled and all(value.lower() in ("true", "false") for value in filled):
        return "boolean"
    return "string"


def identifier(name: str) -> str:
    """A name as the catalog has it: lower case, with letters, digits and underscores."""
    return re.sub(r"[^a-z0-9_]", "_", name.strip().lower()) or "column"


def _distinct(names: Iterable[str]) -> list[str]:
    found: list[str] = []
    for name in names:
        found.append(name if name not in found else f"{name}_{sum(one.startswith(name) for one in found)}")
    return found
