"""The operations of processing and training jobs (shapes: botocore model `sagemaker`)."""

from __future__ import annotations

from . import service_shapes as shapes
from .core import Operation
from .job_runner import Job, JobFailure
from .processing import ProcessingJobs
from .training import TrainingJobs

__all__ = ["Job", "JobFailure", "Jobs"]


class Jobs(ProcessingJobs, TrainingJobs):
    """Processing and training jobs of the account."""

    def operations(self) -> dict[str, Operation]:
        """Operation name to function."""
        return {
            "CreateProcessingJob": self.create_processing,
            "DescribeProcessingJob": lambda request, _: shapes.fit(
                "DescribeProcessingJob", self.find("Processing", request["ProcessingJobName"]).record
            ),
            "ListProcessingJobs": lambda request, _: self._list("Processing", self.processing, request),
            "StopProcessingJob": lambda request, _: self._stop(
                self.find("Processing", request["ProcessingJobName"])
            ),
            "CreateTrainingJob": self.create_training,
            "DescribeTrainingJob": lambda request, _: shapes.fit(
                "DescribeTrainingJob", self.find("Training", request["TrainingJobName"]).record
            ),
            "ListTrainingJobs": lambda request, _: self._list("Training", self.training, request),
            "StopTrainingJob": lambda request, _: self._stop(
                self.find("Training", request["TrainingJobName"])
            ),
        }
