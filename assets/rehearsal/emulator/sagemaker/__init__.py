"""Plays SageMaker on one machine: control plane, pipelines, jobs, registry, endpoints."""

from __future__ import annotations

from ..host import AccessDenied, ApiError
from .api import SageMaker
from .endpoints import ModelError
from .permissions import Permission, required_permissions

__all__ = ["AccessDenied", "ApiError", "ModelError", "Permission", "SageMaker", "required_permissions"]
