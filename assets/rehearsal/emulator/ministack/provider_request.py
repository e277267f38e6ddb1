"""What CloudFormation asks of the provider of a custom resource, and what the provider answers.

Fields: CloudFormation user guide, "CloudFormation custom resource request and response reference".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ministack.services import lambda_svc

__all__ = ["Answer", "Request", "provider_role"]


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


def provider_role(request: Request) -> str | None:
    """The role of the function that provides the resource on AWS; None where there is no such function here."""
    _record, config, _name = lambda_svc._get_func_record_for_ref(
        str(request.properties.get("ServiceToken", ""))
    )
    return str(config["Role"]) if config and config.get("Role") else None


Answer = tuple[str, dict[str, Any]]
"""The physical id, and the attributes for `Fn::GetAtt`."""
