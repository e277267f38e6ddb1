"""Plays `awsglue.job` of Glue's image: without bookmarks a job has nothing to record (source: awslabs/aws-glue-libs)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Job:
    """`init` and `commit` are accepted and have no effect."""

    def __init__(self, glue_context: Any) -> None:
        self.glue_context = glue_context

    def init(self, job_name: str, args: Mapping[str, str] | None = None) -> None:
        """Would begin to track what the run reads."""

    def commit(self) -> None:
        """Would remember what the run has read."""
