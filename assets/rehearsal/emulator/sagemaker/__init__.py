"""SageMaker, played on one machine: control plane, pipelines, jobs, registry, endpoints."""

from __future__ import annotations

from ..host import AccessDenied, ApiError

__all__ = ["AccessDenied", "ApiError"]
