"""The operations of jobs of every kind (shapes: botocore model `sagemaker`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .core import Core, Operation
from .images import Images
from .job_runner import Job, JobFailure
from .processing import ProcessingJobs
from .transform import TransformJobs
from .tuning import TuningJobs

__all__ = ["Job", "JobFailure", "Jobs"]


class Jobs(ProcessingJobs, TransformJobs, TuningJobs):
    """The jobs of the account. `model` gives the record of a model by its name."""

    def __init__(self, core: Core, images: Images, model: Callable[[str], dict[str, Any]]) -> None:
        super().__init__(core, images)
        self.model = model

    def operations(self) -> dict[str, Operation]:
        """Operation name to function."""
        return {
            **super().operations(),
            "CreateProcessingJob": self.create_processing,
            "CreateTrainingJob": self.create_training,
            "CreateTransformJob": self.create_transform,
            "CreateHyperParameterTuningJob": self.create_tuning,
            "ListTrainingJobsForHyperParameterTuningJob": self.list_training_of_tuning,
        }
