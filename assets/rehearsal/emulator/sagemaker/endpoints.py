"""Plays endpoints: created, updated beside the model servers that serve, rolled back, deleted.

An update keeps the old fleet until the new one is healthy; when that fails the endpoint stays InService with the old
config (SageMaker AI developer guide: "Deployment guardrails for updating models in production"; operation
UpdateEndpoint of the botocore model `sagemaker`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ..host import ApiError
from ..played_time import PlayedTime
from . import service_shapes as shapes
from .core import Operation, listing, page
from .endpoint_fleets import EndpointFleets
from .rollouts import Rollout, bake
from .runtime import ModelError
from .serving import Fleet, LoadFailure

__all__ = ["Endpoints", "ModelError"]


DELETING_SECONDS = 0.5
"""An endpoint is seen as Deleting for at least so long. On AWS it takes minutes, and its name is not free until then."""


class Endpoints(EndpointFleets):
    """What serves models in the account."""

    def operations(self) -> dict[str, Operation]:
        """Operation name to function."""
        return {
            "CreateModel": self.create_model,
            "DescribeModel": lambda request, _: shapes.fit("DescribeModel", self.model(request["ModelName"])),
            "ListModels": lambda request, _: self._list(
                "ListModels", "Models", self.models, "ModelName", request
            ),
            "DeleteModel": self.delete_model,
            "CreateEndpointConfig": self.create_config,
            "DescribeEndpointConfig": lambda request, _: shapes.fit(
                "DescribeEndpointConfig", self._config(request["EndpointConfigName"])
            ),
            "ListEndpointConfigs": lambda request, _: self._list(
                "ListEndpointConfigs", "EndpointConfigs", self.configs, "EndpointConfigName", request
            ),
            "DeleteEndpointConfig": self.delete_config,
            "CreateEndpoint": self.create_endpoint,
            "UpdateEndpoint": self.update_endpoint,
            "UpdateEndpointWeightsAndCapacities": self.update_weights,
            "DescribeEndpoint": lambda request, _: shapes.fit(
                "DescribeEndpoint", self._endpoint(request["EndpointName"])
            ),
            "ListEndpoints": self.list_endpoints,
            "DeleteEndpoint": self.delete_endpoint,
        }

    def create_endpoint(self, request: dict[str, Any], caller: str) -> dict[str, Any]:
        name = request["EndpointName"]
        arn = self.core.arn("endpoint", name)
        config = self._config_for(request, caller)
        moment = shapes.now()
        with self.core.lock:
            if name.lower() in (other.lower() for other in self.endpoints):
                raise ApiError("ValidationException", f'Cannot create already existing endpoint "{arn}".')
            self.core.set_tags(arn, request.get("Tags"))
            record = self.endpoints[name] = {
                "EndpointName": name,
                "EndpointArn": arn,
                "EndpointConfigName": request["EndpointConfigName"],
                "EndpointStatus": "Creating",
                "CreationTime": moment,
                "LastModifiedTime": moment,
            }
        self._emit(record)
        self.core.spawn(f"endpoint-{name}", lambda: self._bring_up(record, config))
        return {"EndpointArn": arn}

    def _bring_up(self, record: dict[str, Any], config: dict[str, Any]) -> None:
        name, begun = record["EndpointName"], time.monotonic()
        self.core.host.note("endpoint", f"endpoint {name} is being created", name=name, status="Creating")
        try:
            fleets = self._start(name, config)
        except Exception as error:
            self._finish(record, "Failed", FailureReason=str(error)[:1024])
            self.core.host.note("endpoint", f"endpoint {name} Failed: {error}", name=name, status="Failed")
            return
        self._serve(record, config, fleets)
        self.core.host.note(
            "endpoint",
            f"endpoint {name} InService after {time.monotonic() - begun:.1f} s",
            name=name,
            status="InService",
        )

    def update_endpoint(self, request: dict[str, Any], caller: str) -> dict[str, Any]:
        record = self._endpoint(request["EndpointName"])
        config = self._config_for(request, caller)
        variants = [dict(variant) for variant in config["ProductionVariants"]]
        with self.core.lock:
            self._busy(record)
            if request.get("RetainAllVariantProperties"):
                self._retain(variants, record, request.get("ExcludeRetainedVariantProperties") or [])
            pending = [
                {
                    "VariantName": variant["VariantName"],
                    "CurrentInstanceCount": 0,
                    "DesiredInstanceCount": variant.get("InitialInstanceCount", 0),
                }
                for variant in variants
            ]
            record.update(
                EndpointStatus="Updating",
                LastModifiedTime=shapes.now(),
                PendingDeploymentSummary={
                    "EndpointConfigName": config["EndpointConfigName"],
                    "ProductionVariants": pending,
                    "StartTime": shapes.now(),
                },
            )
            record.pop("FailureReason", None)
            if request.get("DeploymentConfig"):
                record["LastDeploymentConfig"] = request["DeploymentConfig"]
            elif not request.get("RetainDeploymentConfig"):
                record.pop("LastDeploymentConfig", None)
        self._emit(record)
        self.core.spawn(
            f"endpoint-{record['EndpointName']}",
            lambda: self._change_over(record, {**config, "ProductionVariants": variants}),
        )
        return {"EndpointArn": record["EndpointArn"]}

    @staticmethod
    def _retain(
        variants: list[dict[str, Any]], record: Mapping[str, Any], excluded: list[dict[str, str]]
    ) -> None:
        without = {entry["VariantPropertyType"] for entry in excluded}
        current = {summary["VariantName"]: summary for summary in record.get("ProductionVariants") or ()}
        for variant in variants:
            summary = current.get(variant["VariantName"])
            if summary is None:
                continue
            if "DesiredWeight" not in without:
                variant["InitialVariantWeight"] = summary["DesiredWeight"]
            if (
                "DesiredInstanceCount" not in without
                and variant.get("InitialInstanceCount")
                and summary["DesiredInstanceCount"]
            ):
                variant["InitialInstanceCount"] = summary["DesiredInstanceCount"]

    def _change_over(self, record: dict[str, Any], config: dict[str, Any]) -> None:
        """Starts the new fleet beside the old one, then switches. When the new one does not start, the old
        config stays in service.

        As on AWS the endpoint is then InService again without a FailureReason: who updates must compare the
        config.
        """
        name, begun = record["EndpointName"], time.monotonic()
        fault = self.core.take_fault("endpoint-rollback", endpoint=name)
        self.core.host.note(
            "endpoint",
            f"endpoint {name} is being updated to {config['EndpointConfigName']}",
            name=name,
            status="Updating",
        )
        fleets: dict[str, Fleet] = {}
        try:
            if fault:
                raise LoadFailure("a rollback that the rehearsal plays on purpose")
            fleets = self._start(name, config)
            if record.get("LastDeploymentConfig"):
                self._roll_out(record, config, fleets)
        except Exception as error:
            with self.core.lock:
                self.rollouts.pop(name, None)
            for fleet in fleets.values():
                fleet.end()
            with self.core.lock:
                record["EndpointStatus"] = "RollingBack"
            self._emit(record)
            self._finish(record, "InService")
            self.core.host.note(
                "endpoint",
                f"endpoint {name} rolled back to {record['EndpointConfigName']}: {error}",
                name=name,
                status="RolledBack",
            )
            return
        self._serve(record, config, fleets)
        self.core.host.note(
            "endpoint",
            f"endpoint {name} InService with {config['EndpointConfigName']} after"
            f" {time.monotonic() - begun:.1f} s",
            name=name,
            status="InService",
        )

    def _roll_out(
        self, record: Mapping[str, Any], config: Mapping[str, Any], fleets: dict[str, Fleet]
    ) -> None:
        variants = config["ProductionVariants"]
        summaries = [self._summary(variant, fleets[variant["VariantName"]]) for variant in variants]
        rollout = Rollout(fleets, summaries)
        role = self.model(variants[0]["ModelName"])["ExecutionRoleArn"]
        with self.core.lock:
            self.rollouts[record["EndpointName"]] = rollout
        bake(self.core.host, rollout, record["LastDeploymentConfig"], role, PlayedTime.of_environment())

    def update_weights(self, request: dict[str, Any], _caller: str) -> dict[str, Any]:
        record = self._endpoint(request["EndpointName"])
        with self.core.lock:
            self._busy(record)
            summaries = {summary["VariantName"]: summary for summary in record["ProductionVariants"]}
            for wanted in request["DesiredWeightsAndCapacities"]:
                if wanted["VariantName"] not in summaries:
                    raise ApiError(
                        "ValidationException",
                        f"Variant {wanted['VariantName']} does not exist in endpoint"
                        f" {record['EndpointName']}.",
                    )
            for wanted in request["DesiredWeightsAndCapacities"]:
                summary = summaries[wanted["VariantName"]]
                if "DesiredWeight" in wanted:
                    summary["DesiredWeight"] = wanted["DesiredWeight"]
                if "DesiredInstanceCount" in wanted:
                    summary["DesiredInstanceCount"] = wanted["DesiredInstanceCount"]
            record.update(EndpointStatus="Updating", LastModifiedTime=shapes.now())
        self._emit(record)
        self.core.spawn(f"endpoint-{record['EndpointName']}", lambda: self._settle(record))
        return {"EndpointArn": record["EndpointArn"]}

    def _settle(self, record: dict[str, Any]) -> None:
        with self.core.lock:
            for summary in record["ProductionVariants"]:
                summary.update(
                    CurrentWeight=summary["DesiredWeight"],
                    CurrentInstanceCount=summary["DesiredInstanceCount"],
                )
        self._finish(record, "InService")

    def list_endpoints(self, request: dict[str, Any], _caller: str) -> dict[str, Any]:
        with self.core.lock:
            rows = [dict(row) for row in self.endpoints.values()]
        if request.get("StatusEquals"):
            rows = [row for row in rows if row["EndpointStatus"] == request["StatusEquals"]]
        rows, token = page(
            request, rows, sort={"Name": "EndpointName", "Status": "EndpointStatus"}, name_key="EndpointName"
        )
        return listing("ListEndpoints", "Endpoints", rows, token)

    def delete_endpoint(self, request: dict[str, Any], _caller: str) -> dict[str, Any]:
        with self.core.lock:
            record = self._endpoint(request["EndpointName"])
            if record["EndpointStatus"] in ("Creating", "Updating", "RollingBack", "Deleting"):
                raise ApiError(
                    "ValidationException",
                    f'Cannot delete in-progress endpoint "{record["EndpointArn"]}". Its status is'
                    f" {record['EndpointStatus']}.",
                )
            fleets = self.fleets.pop(request["EndpointName"], {})
            record.update(EndpointStatus="Deleting", LastModifiedTime=shapes.now())
        self._emit(record)
        self.core.spawn(f"end-{request['EndpointName']}", lambda: self._remove(record, fleets))
        return {}

    def _remove(self, record: dict[str, Any], fleets: dict[str, Fleet]) -> None:
        until = time.monotonic() + DELETING_SECONDS
        for fleet in fleets.values():
            fleet.end()
        self.core.closing.wait(max(0.0, until - time.monotonic()))
        with self.core.lock:
            del self.endpoints[record["EndpointName"]]
            self.core.tags.pop(record["EndpointArn"], None)
