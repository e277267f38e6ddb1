"""Plays models and endpoint configs (operations CreateModel and CreateEndpointConfig of the botocore model `sagemaker`).

A model is created only if its role can read the model data; several containers form an inference pipeline (SageMaker AI
developer guide: "Inference pipelines in Amazon SageMaker AI").
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from ..host import ApiError
from . import service_shapes as shapes
from .core import Core, could_not_find, listing, page
from .images import Images
from .job_keys import authorize_volume
from .registry import Registry
from .rollouts import Rollout
from .serving import Fleet
from .storage import Storage, StorageError, split


class Models:
    """Models and endpoint configs of the account, and the tables of the endpoints that serve them."""

    def __init__(self, core: Core, images: Images, registry: Registry) -> None:
        self.core, self.images, self.registry = core, images, registry
        self.models: dict[str, dict[str, Any]] = {}
        self.configs: dict[str, dict[str, Any]] = {}
        self.endpoints: dict[str, dict[str, Any]] = {}
        self.fleets: dict[str, dict[str, Fleet]] = {}
        """Endpoint name to variant name to the model servers."""
        self.rollouts: dict[str, Rollout] = {}
        """Endpoint name to the new fleet that gets a part of the traffic."""
        self._random = random.Random(0)

    def _list(
        self,
        operation: str,
        member: str,
        table: dict[str, dict[str, Any]],
        name: str,
        request: dict[str, Any],
    ) -> dict[str, Any]:
        with self.core.lock:
            rows = [dict(row) for row in table.values()]
        rows, token = page(request, rows, sort={"Name": name}, name_key=name)
        return listing(operation, member, rows, token)

    # models

    def create_model(self, request: dict[str, Any], _caller: str) -> dict[str, Any]:
        name, role = request["ModelName"], request.get("ExecutionRoleArn")
        arn = self.core.arn("model", name)
        if bool(request.get("PrimaryContainer")) == bool(request.get("Containers")):
            raise ApiError(
                "ValidationException", "Exactly one of PrimaryContainer and Containers must be given."
            )
        if not role:
            raise ApiError("ValidationException", "ExecutionRoleArn must be given.")
        record = {key: value for key, value in request.items() if key != "Tags"}
        given = record.pop("Containers", None) or [record.pop("PrimaryContainer")]
        containers = [inner for spec in given for inner in self._containers(spec)]
        if len(containers) == 1:
            record["PrimaryContainer"] = containers[0]
        else:
            record["Containers"] = containers
        hosts = [spec["ContainerHostname"] for spec in containers if spec.get("ContainerHostname")]
        if len(set(hosts)) != len(hosts):
            raise ApiError("ValidationException", f"Duplicate container hostnames: {', '.join(hosts)}")
        for spec in containers:
            self._check_container(spec, role)
        with self.core.lock:
            if name in self.models:
                raise ApiError("ValidationException", f'Cannot create already existing model "{arn}".')
            self.core.set_tags(arn, request.get("Tags"))
            self.models[name] = {
                **record,
                "ModelArn": arn,
                "CreationTime": shapes.now(),
                "EnableNetworkIsolation": request.get("EnableNetworkIsolation", False),
            }
        self.core.emit(
            "SageMaker Model State Change",
            shapes.wire(shapes.fit("DescribeModel", self.models[name]), "ms"),
            [arn],
        )
        return {"ModelArn": arn}

    def _containers(self, spec: dict[str, Any]) -> list[dict[str, Any]]:
        """A container as given, or those of the model package that it names."""
        package_name = spec.get("ModelPackageName")
        if not package_name:
            if not spec.get("Image"):
                raise ApiError("ValidationException", "A container must have an Image or a ModelPackageName.")
            return [spec]
        if spec.get("Image") or spec.get("ModelDataUrl"):
            raise ApiError(
                "ValidationException",
                "A container with a ModelPackageName must have neither Image nor ModelDataUrl.",
            )
        package = self.registry.package(package_name)
        status = package.get("ModelApprovalStatus")
        if status not in (None, "Approved"):
            raise ApiError(
                "ValidationException",
                f"Model Package {package['ModelPackageArn']} is not approved: its status is {status}.",
            )
        found = []
        for inner in package["InferenceSpecification"]["Containers"]:
            members = ("ContainerHostname", "Image", "ModelDataUrl", "ModelDataSource")
            out = {key: inner[key] for key in members if key in inner}
            out["Environment"] = {**(inner.get("Environment") or {}), **(spec.get("Environment") or {})}
            found.append(out)
        return found

    def _check_container(self, spec: Mapping[str, Any], role: str) -> None:
        """What AWS checks when a model is made: the image exists, the role may read the data."""
        self.images.serving(spec["Image"])
        if spec.get("Mode") == "MultiModel":
            raise ApiError("ValidationException", "Multi-model containers are not played by the rehearsal.")
        uri = spec.get("ModelDataUrl")
        if not uri:
            return
        try:
            bucket, key = split(uri)
            Storage(self.core.host, role).call(
                "head_object", "s3:GetObject", f"arn:aws:s3:::{bucket}/{key}", Bucket=bucket, Key=key
            )
        except StorageError as error:
            raise ApiError(
                "ValidationException",
                f'Could not access model data at {uri}. Please ensure that the role "{role}" exists and that'
                ' its trust relationship policy allows the action "sts:AssumeRole" for the service principal'
                ' "sagemaker.amazonaws.com". Also ensure that the role has "s3:GetObject" permissions and'
                f" that the object is located in {self.core.host.region}. {error}",
            ) from error

    def model(self, name: str) -> dict[str, Any]:
        """A model's record by name."""
        with self.core.lock:
            if name not in self.models:
                raise could_not_find("model", self.core.arn("model", name))
            return self.models[name]

    def delete_model(self, request: dict[str, Any], _caller: str) -> dict[str, Any]:
        with self.core.lock:
            record = self.model(request["ModelName"])
            del self.models[request["ModelName"]]
            self.core.tags.pop(record["ModelArn"], None)
        return {}

    # endpoint configs

    def create_config(self, request: dict[str, Any], _caller: str) -> dict[str, Any]:
        name = request["EndpointConfigName"]
        arn = self.core.arn("endpoint-config", name)
        variants = request["ProductionVariants"]
        names = [variant["VariantName"] for variant in variants]
        if len(set(names)) != len(names):
            raise ApiError("ValidationException", f"Variant names must be unique, got {', '.join(names)}.")
        for unplayed in ("AsyncInferenceConfig", "ExplainerConfig", "ShadowProductionVariants"):
            if request.get(unplayed):
                raise ApiError(
                    "ValidationException", f"{unplayed} of an endpoint config is not played by the rehearsal."
                )
        for variant in variants:
            if not variant.get("ModelName"):
                raise ApiError(
                    "ValidationException",
                    f"Variant {variant['VariantName']} has no ModelName; inference components are not played"
                    " by the rehearsal.",
                )
            self._check_variant(variant)
        if (request.get("DataCaptureConfig") or {}).get("EnableCapture"):
            self.core.host.note(
                "not-rehearsed",
                f"endpoint config {name}: its data capture is recorded but nothing is captured",
            )
        with self.core.lock:
            if name in self.configs:
                raise ApiError(
                    "ValidationException", f'Cannot create already existing endpoint configuration "{arn}".'
                )
            self.core.set_tags(arn, request.get("Tags"))
            record = {key: value for key, value in request.items() if key != "Tags"}
            record["ProductionVariants"] = [{"InitialVariantWeight": 1.0, **variant} for variant in variants]
            self.configs[name] = {**record, "EndpointConfigArn": arn, "CreationTime": shapes.now()}
        return {"EndpointConfigArn": arn}

    def _check_variant(self, variant: Mapping[str, Any]) -> None:
        used = self.model(variant["ModelName"])
        serverless = variant.get("ServerlessConfig")
        if serverless:
            if used.get("Containers"):
                raise ApiError(
                    "ValidationException",
                    f"Serverless inference does not support inference pipelines: model {variant['ModelName']}"
                    " has several containers.",
                )
            if serverless["MemorySizeInMB"] % 1024:
                raise ApiError(
                    "ValidationException",
                    f"MemorySizeInMB must be a multiple of 1024, got {serverless['MemorySizeInMB']}.",
                )
        elif not variant.get("InstanceType") or not variant.get("InitialInstanceCount"):
            raise ApiError(
                "ValidationException",
                f"Variant {variant['VariantName']} needs InstanceType and InitialInstanceCount, or"
                " ServerlessConfig.",
            )

    def _config_for(self, request: Mapping[str, Any], caller: str) -> dict[str, Any]:
        """The config that an endpoint is to have; the caller must permit the use of its key."""
        config = self._config(request["EndpointConfigName"])
        authorize_volume(self.core.host, config.get("KmsKeyId"), caller)
        return config

    def _config(self, name: str) -> dict[str, Any]:
        with self.core.lock:
            if name not in self.configs:
                raise could_not_find("endpoint configuration", self.core.arn("endpoint-config", name))
            return self.configs[name]

    def delete_config(self, request: dict[str, Any], _caller: str) -> dict[str, Any]:
        with self.core.lock:
            record = self._config(request["EndpointConfigName"])
            del self.configs[request["EndpointConfigName"]]
            self.core.tags.pop(record["EndpointConfigArn"], None)
        return {}
