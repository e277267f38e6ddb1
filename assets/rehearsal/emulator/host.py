"""The interface through which the played services use what surrounds them: identity, other services, events, a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

__all__ = ["AccessDenied", "ApiError", "Host"]


class ApiError(Exception):
    """An error of AWS with its code; the HTTP side gives it the format of the service."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class AccessDenied(ApiError):
    """A call that no policy allows. The message is AWS's sentence: who, which action, on what."""

    def __init__(self, message: str, *, principal: str = "", action: str = "", resource: str = "") -> None:
        super().__init__("AccessDeniedException", message, 400)
        self.principal = principal
        self.action = action
        self.resource = resource


class Host(Protocol):
    """The surroundings of a played service: identity, other services, events, a folder to work in."""

    @property
    def region(self) -> str:
        """Region that is played, e.g. `us-east-1`."""
        ...

    @property
    def account(self) -> str:
        """Account that is played, twelve digits."""
        ...

    endpoint: str
    """URL of the emulator itself: `http://127.0.0.1:<port>`."""

    work: Path
    """Folder of this run. The one who starts the emulator removes it."""

    def authorize(
        self, role_arn: str, action: str, resource: str, context: Mapping[str, str] | None = None
    ) -> None:
        """Raises `AccessDenied` unless the role's policies allow `action` on `resource`; counts the grant as
        exercised.

        The message reads `User: <assumed-role arn> is not authorized to perform: <action> on resource: <arn>
        because no identity-based policy allows the <action> action`.
        """
        ...

    def permits(
        self, role_arn: str, action: str, resource: str, context: Mapping[str, str] | None = None
    ) -> bool:
        """Whether `authorize` would allow it; a refusal is not reported. A grant counts as exercised."""
        ...

    def key_arn(self, key: str) -> str | None:
        """ARN of the customer key that an id, an ARN or an alias names; None for a key that AWS manages."""
        ...

    def client(self, service: str, role_arn: str | None = None) -> Any:
        """A boto3 client of `service` that acts as the role (None: as the emulator itself) against
        `endpoint`.
        """
        ...

    def environment(self, role_arn: str) -> dict[str, str]:
        """`AWS_*` variables for a process that acts as the role: credentials, region, `AWS_ENDPOINT_URL`."""
        ...

    def put_event(
        self,
        detail_type: str,
        detail: Mapping[str, object],
        resources: Sequence[str] = (),
        source: str = "aws.sagemaker",
    ) -> None:
        """Sends an event to the default event bus, as the service itself would."""
        ...

    def put_metric(
        self, namespace: str, name: str, value: float, unit: str, dimensions: Mapping[str, str]
    ) -> None:
        """Publishes one value of a metric, as the service itself would."""
        ...

    def alarm_state(self, name: str) -> str | None:
        """`OK`, `ALARM` or `INSUFFICIENT_DATA`; None when there is no metric or composite alarm of that name."""
        ...

    def note(self, kind: str, message: str, **fields: object) -> None:
        """Reports to the command line what happens: `job`, `step`, `endpoint`, `denial`, `log` ... with further
        fields.
        """
        ...
