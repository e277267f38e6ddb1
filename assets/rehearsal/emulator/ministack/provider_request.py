"""What CloudFormation asks of the provider of a custom resource, and what the provider answers.

Fields: CloudFormation user guide, "CloudFormation custom resource request and response reference".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Answer", "Request"]


@dataclass(frozen=True)
class Request:
    """What CloudFormation asks of a provider."""

    kind: str
    logical_id: str
    properties: dict[str, Any]
    stack: str
    stack_id: str
    resource_type: str
    physical_id: str | None = None
    old_properties: dict[str, Any] = field(default_factory=dict)


Answer = tuple[str, dict[str, Any]]
"""The physical id, and the attributes for `Fn::GetAtt`."""
