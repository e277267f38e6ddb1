"""The record of a step that was started, how it fails, and what the steps of all executions share."""

from __future__ import annotations

import datetime as dt
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from . import service_shapes as shapes
from .core import Core
from .definition import Step

CallAs = Callable[[str, str, dict[str, Any]], dict[str, Any]]
"""(role, operation, request) to response: a call that the role makes, with its permissions checked."""


class StepFailure(Exception):
    """Ends a step as Failed; `retry_type` names the exception type that a retry policy may match."""

    def __init__(self, reason: str, retry_type: str | None = None) -> None:
        super().__init__(reason)
        self.retry_type = retry_type


class StepRun:
    """The record of a step that was started."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self.row: dict[str, Any] = {
            "StepName": step.name,
            "StepStatus": "Starting",
            "StartTime": shapes.now(),
            "AttemptCount": 1,
            "Metadata": {},
        }
        if step.raw.get("DisplayName"):
            self.row["StepDisplayName"] = step.raw["DisplayName"]
        if step.raw.get("Description"):
            self.row["StepDescription"] = step.raw["Description"]
        self.properties: dict[str, Any] = {}
        self.answered = threading.Event()
        self.answer: tuple[dict[str, str], str | None] = ({}, None)

    @property
    def status(self) -> str:
        return str(self.row["StepStatus"])

    def take_answer(self, outputs: dict[str, str], failure: str | None) -> None:
        """The receiver of a callback step has answered."""
        self.answer = (outputs, failure)
        self.answered.set()


@dataclass
class StepServices:
    """What steps need of the rest of SageMaker, and what the executions of all pipelines share."""

    core: Core
    call_as: CallAs
    find_job: Callable[[str, str], Any]
    """(kind, name) to job."""
    cache: dict[tuple[str, str, str], tuple[Any, str, dict[str, Any], dict[str, Any]]] = field(
        default_factory=dict
    )
    """(pipeline ARN, step, arguments) to what a step with a cache configuration gave: time, execution ARN, properties, metadata."""
    callbacks: dict[str, tuple[StepRun, str]] = field(default_factory=dict)
    """Callback token to the step that waits for its answer, and the ARN of its execution."""


_ISO = re.compile(
    r"P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?|T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?"
)


def duration(text: str) -> dt.timedelta:
    """An ISO 8601 duration of the definition language; fails the step where the text is something else."""
    match = _ISO.fullmatch(text)
    if match is None:
        raise StepFailure(
            f"ClientError: CacheConfig.ExpireAfter {text!r} is not an ISO 8601 duration such as P30D or T12H"
        )
    years, months, weeks, days, hours, minutes, seconds, *short = (
        int(group or 0) for group in match.groups()
    )
    return dt.timedelta(
        days=years * 365 + months * 30 + weeks * 7 + days,
        hours=hours + short[0],
        minutes=minutes + short[1],
        seconds=seconds + short[2],
    )
