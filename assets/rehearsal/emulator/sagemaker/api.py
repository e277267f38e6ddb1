"""The entry to the played SageMaker: takes one operation and gives one response.

Operations and shapes: botocore model `sagemaker`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..host import ApiError, Host
from . import service_shapes as shapes
from .core import Core, Operation
from .endpoints import Endpoints
from .images import Images
from .job_runner import KINDS
from .jobs import Jobs
from .permissions import required_permissions
from .pipelines import Pipelines
from .registry import Registry

FAULTS = ("endpoint-rollback", "step-fault")


class SageMaker:
    """SageMaker of one account and region, in memory. Thread-safe; `close` ends every process that it
    started.
    """

    def __init__(self, host: Host) -> None:
        self.host = host
        self.core = Core(host)
        self.images = Images(host)
        self.registry = Registry(self.core, self.images)
        self.endpoints = Endpoints(self.core, self.images, self.registry)
        self.jobs = Jobs(self.core, self.images, self.endpoints.model)
        self.pipelines = Pipelines(self.core, self.call_as, self.jobs.find)
        self._operations: dict[str, Operation] = {
            **self.registry.operations(),
            **self.jobs.operations(),
            **self.endpoints.operations(),
            **self.pipelines.operations(),
            "AddTags": self._add_tags,
            "ListTags": self._list_tags,
            "DeleteTags": self._delete_tags,
        }

    @property
    def played(self) -> tuple[str, ...]:
        """Names of the operations that are played."""
        return tuple(sorted(self._operations))

    def handle(self, operation: str, request: Mapping[str, Any], caller_arn: str) -> dict[str, Any]:
        """Answers one call; the caller's permissions were checked before. Times in the response are epoch
        seconds.

        Raises `ApiError` with AWS's code and message.
        """
        answer: dict[str, Any] = shapes.wire(self._perform(operation, request, caller_arn))
        return answer

    def _perform(self, operation: str, request: Mapping[str, Any], caller_arn: str) -> dict[str, Any]:
        shapes.operation_model(operation)
        function = self._operations.get(operation)
        if function is None:
            raise ApiError("ValidationException", f"{operation} is not played by the rehearsal.", 400)
        if self.core.closing.is_set():
            raise ApiError("ServiceUnavailable", "the rehearsal is ending", 503)
        return function(shapes.check(operation, request), caller_arn)

    def call_as(self, role_arn: str, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """A call that a role makes from within SageMaker (a pipeline): its permissions are evaluated, then the call is
        answered.
        """
        for permission in self.permissions(operation, request):
            self.host.authorize(role_arn, permission.action, permission.resource, permission.context)
        return self._perform(operation, request, role_arn)

    def permissions(self, operation: str, request: Mapping[str, Any]) -> list[Any]:
        """`required_permissions` for this account and region."""
        return required_permissions(operation, request, region=self.host.region, account=self.host.account)

    def invoke(
        self, endpoint_name: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """`InvokeEndpoint` of the runtime. Raises `ApiError` (`ModelError` has status 424 and a `body()`)."""
        return self.endpoints.invoke(endpoint_name, headers, body)

    def inject(self, fault: Mapping[str, Any]) -> None:
        """Makes a fault happen `count` times (default 1).

        `{"kind": "endpoint-rollback", "endpoint"?: name}`: the next update rolls back without an error.
        `{"kind": "step-fault", "step"?: name, "exception"?: "Step.THROTTLING"}`: the next attempt fails with it.
        """
        kind = fault.get("kind")
        if kind not in FAULTS:
            raise ApiError(
                "ValidationException", f"kind of a fault must be one of {', '.join(FAULTS)}, got {kind!r}."
            )
        known = {"endpoint-rollback": {"endpoint"}, "step-fault": {"step", "exception"}}[str(kind)] | {
            "kind",
            "count",
        }
        unknown = sorted(set(fault) - known)
        if unknown:
            raise ApiError(
                "ValidationException",
                f"a fault of kind {kind} has no {', '.join(unknown)}; it has {', '.join(sorted(known))}.",
            )
        self.core.add_fault(dict(fault))

    def leftovers(self) -> list[dict[str, str]]:
        """What remains: everything that a destroyed stack must not leave behind. Jobs and their logs
        are history, not leftovers.
        """
        with self.core.lock:
            return [
                {"service": "sagemaker", "kind": kind, "id": name}
                for kind, table in self._resources().items()
                for name in table
            ]

    def _resources(self) -> dict[str, Mapping[str, Any]]:
        """What is there until it is deleted, by its kind in ARNs and its name; packages by their ARN."""
        return {
            "pipeline": self.pipelines.pipelines,
            "model-package-group": self.registry.groups,
            "model-package": self.registry.packages,
            "model": self.endpoints.models,
            "endpoint-config": self.endpoints.configs,
            "endpoint": self.endpoints.endpoints,
        }

    def close(self) -> None:
        """Ends all jobs and model servers."""
        self.core.close()

    # tags

    def _exists(self, arn: str) -> None:
        kind, _, name = arn.split(":", 5)[-1].partition("/")
        tables = {
            **self._resources(),
            **{KINDS[kind].arn: table for kind, table in self.jobs.tables.items()},
        }
        if (arn if kind == "model-package" else name) not in tables.get(kind, ()):
            raise ApiError("ValidationException", f"Could not find resource {arn}.")

    def _add_tags(self, request: dict[str, Any], _caller: str) -> dict[str, Any]:
        self._exists(request["ResourceArn"])
        self.core.set_tags(request["ResourceArn"], request["Tags"])
        return {"Tags": self.core.tag_list(request["ResourceArn"])}

    def _list_tags(self, request: dict[str, Any], _caller: str) -> dict[str, Any]:
        self._exists(request["ResourceArn"])
        return {"Tags": self.core.tag_list(request["ResourceArn"])}

    def _delete_tags(self, request: dict[str, Any], _caller: str) -> dict[str, Any]:
        self._exists(request["ResourceArn"])
        with self.core.lock:
            tags = self.core.tags.get(request["ResourceArn"], {})
            for key in request["TagKeys"]:
                tags.pop(key, None)
        return {}
