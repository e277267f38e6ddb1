"""The model servers behind the endpoints: started, put into service, summarised, and the state that they give an endpoint.

States and events: SageMaker AI developer guide, "Events that Amazon SageMaker AI sends to Amazon EventBridge" (endpoint state
change); operation DescribeEndpoint of the botocore model `sagemaker`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..host import ApiError
from . import service_shapes as shapes
from .core import could_not_find
from .runtime import Runtime
from .serving import Fleet, LoadFailure

__all__ = ["EndpointFleets"]


class EndpointFleets(Runtime):
    """The records of endpoints and the fleets that serve them."""

    def _endpoint(self, name: str) -> dict[str, Any]:
        with self.core.lock:
            if name not in self.endpoints:
                raise could_not_find("endpoint", self.core.arn("endpoint", name))
            return self.endpoints[name]

    def _start(self, name: str, config: dict[str, Any]) -> dict[str, Fleet]:
        """Model servers for every variant of a config; all or none."""
        fleets: dict[str, Fleet] = {}
        try:
            for variant in config["ProductionVariants"]:
                # The config has names only: the model may have been deleted since, as on AWS.
                used = self.model(variant["ModelName"])
                fleet = fleets[variant["VariantName"]] = Fleet(
                    self.core,
                    self.images,
                    used,
                    f"{name}-{variant['VariantName']}",
                    f"/aws/sagemaker/Endpoints/{name}",
                )
                try:
                    fleet.start()
                except LoadFailure as error:
                    raise LoadFailure(
                        f"The model of production variant {variant['VariantName']} cannot be served. {error}"
                    ) from error
        except BaseException:
            for fleet in fleets.values():
                fleet.end()
            raise
        return fleets

    def _serve(
        self, record: dict[str, Any], config: dict[str, Any], fleets: dict[str, Fleet], **fields: Any
    ) -> None:
        name = record["EndpointName"]
        with self.core.lock:
            gone = self.endpoints.get(name) is not record
            old = {} if gone else self.fleets.pop(name, {})
            self.rollouts.pop(name, None)
            if not gone:
                self.fleets[name] = fleets
                record["ProductionVariants"] = [
                    self._summary(variant, fleets[variant["VariantName"]])
                    for variant in config["ProductionVariants"]
                ]
                record["EndpointConfigName"] = config["EndpointConfigName"]
        for fleet in (fleets if gone else old).values():
            fleet.end()
        if not gone:
            self._finish(record, "InService", **fields)

    @staticmethod
    def _summary(variant: Mapping[str, Any], fleet: Fleet) -> dict[str, Any]:
        weight = float(variant.get("InitialVariantWeight", 1.0))
        images = [server.spec["Image"] for server in fleet.servers]
        deployed = [
            {"SpecifiedImage": image, "ResolvedImage": image, "ResolutionTime": shapes.now()}
            for image in images
        ]
        out: dict[str, Any] = {
            "VariantName": variant["VariantName"],
            "DeployedImages": deployed,
            "CurrentWeight": weight,
            "DesiredWeight": weight,
        }
        if variant.get("ServerlessConfig"):
            out.update(
                CurrentServerlessConfig=variant["ServerlessConfig"],
                DesiredServerlessConfig=variant["ServerlessConfig"],
            )
            out.update(CurrentInstanceCount=0, DesiredInstanceCount=0)
        else:
            count = variant["InitialInstanceCount"]
            out.update(CurrentInstanceCount=count, DesiredInstanceCount=count)
        return out

    def _finish(self, record: dict[str, Any], status: str, **fields: Any) -> None:
        with self.core.lock:
            record.pop("PendingDeploymentSummary", None)
            record.update({"EndpointStatus": status, "LastModifiedTime": shapes.now(), **fields})
        self._emit(record)

    def _emit(self, record: dict[str, Any]) -> None:
        with self.core.lock:
            detail = shapes.wire(shapes.fit("DescribeEndpoint", record), "ms")
        words = {
            "InService": "IN_SERVICE",
            "OutOfService": "OUT_OF_SERVICE",
            "RollingBack": "ROLLING_BACK",
            "SystemUpdating": "SYSTEM_UPDATING",
        }
        detail["EndpointStatus"] = words.get(detail["EndpointStatus"], detail["EndpointStatus"].upper())
        detail["Tags"] = dict(self.core.tags.get(record["EndpointArn"], {}))
        self.core.emit("SageMaker Endpoint State Change", detail, [record["EndpointArn"]])

    def _busy(self, record: dict[str, Any]) -> None:
        if record["EndpointStatus"] not in ("InService", "OutOfService"):
            raise ApiError(
                "ValidationException",
                f'Cannot update in-progress endpoint "{record["EndpointArn"]}". Its status is'
                f" {record['EndpointStatus']}.",
            )
