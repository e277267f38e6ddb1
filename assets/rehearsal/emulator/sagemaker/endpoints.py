"""Models, endpoint configs, endpoints and their invocation."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Mapping
from typing import Any

from ..host import AccessDenied, ApiError
from . import model
from .core import Core, Operation, could_not_find, listing, page
from .images import Images
from .registry import Registry
from .serving import Fleet, LoadFailure, ModelFailure
from .storage import Storage, StorageError, split

MAX_BODY = 6 * 1024 * 1024


class Endpoints:
    """What serves models in the account."""

    def __init__(self, core: Core, images: Images, registry: Registry) -> None:
        self.core, self.images, self.registry = core, images, registry
        self.models: dict[str, dict[str, Any]] = {}
        self.configs: dict[str, dict[str, Any]] = {}
        self.endpoints: dict[str, dict[str, Any]] = {}
        self.fleets: dict[str, dict[str, Fleet]] = {}
        """Endpoint name to variant name to what serves."""
        self._random = random.Random(0)

    def operations(self) -> dict[str, Operation]:
        """Operation name to function."""
        return {
            "CreateModel": self.create_model,
            "DescribeModel": lambda request, _: model.fit("DescribeModel", self._model(request["ModelName"])),
            "ListModels": lambda request, _: self._list(
                "ListModels", "Models", self.models, "ModelName", request
            ),
            "DeleteModel": self.delete_model,
            "CreateEndpointConfig": self.create_config,
            "DescribeEndpointConfig": lambda request, _: model.fit(
                "DescribeEndpointConfig", self._config(request["EndpointConfigName"])
            ),
            "ListEndpointConfigs": lambda request, _: self._list(
                "ListEndpointConfigs", "EndpointConfigs", self.configs, "EndpointConfigName", request
            ),
            "DeleteEndpointConfig": self.delete_config,
            "CreateEndpoint": self.create_endpoint,
            "UpdateEndpoint": self.update_endpoint,
            "UpdateEndpointWeightsAndCapacities": self.update_weights,
            "DescribeEndpoint": lambda request, _: model.fit(
                "DescribeEndpoint", self._endpoint(request["EndpointName"])
            ),
            "ListEndpoints": self.list_endpoints,
            "DeleteEndpoint": self.delete_endpoint,
        }

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
                "CreationTime": model.now(),
                "EnableNetworkIsolation": request.get("EnableNetworkIsolation", False),
            }
        self.core.host.put_event(
            "SageMaker Model State Change",
            model.wire(model.fit("DescribeModel", self.models[name]), "ms"),
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
                f'Could not access model data at {uri}. Please ensure that the role "{role}" exists and that its trust relationship policy '
                f'allows the action "sts:AssumeRole" for the service principal "sagemaker.amazonaws.com". Also ensure that the role has '
                f'"s3:GetObject" permissions and that the object is located in {self.core.host.region}. {error}',
            ) from error

    def _model(self, name: str) -> dict[str, Any]:
        with self.core.lock:
            if name not in self.models:
                raise could_not_find("model", self.core.arn("model", name))
            return self.models[name]

    def delete_model(self, request: dict[str, Any], _caller: str) -> dict[str, Any]:
        with self.core.lock:
            record = self._model(request["ModelName"])
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
                    f"Variant {variant['VariantName']} has no ModelName; inference components are not played by the rehearsal.",
                )
            self._check_variant(variant)
        if (request.get("DataCaptureConfig") or {}).get("EnableCapture"):
            self.core.host.note(
                "not-rehearsed", f"endpoint config {name}: data capture is kept but nothing is captured"
            )
        with self.core.lock:
            if name in self.configs:
                raise ApiError(
                    "ValidationException", f'Cannot create already existing endpoint configuration "{arn}".'
                )
            self.core.set_tags(arn, request.get("Tags"))
            record = {key: value for key, value in request.items() if key != "Tags"}
            record["ProductionVariants"] = [{"InitialVariantWeight": 1.0, **variant} for variant in variants]
            self.configs[name] = {**record, "EndpointConfigArn": arn, "CreationTime": model.now()}
        return {"EndpointConfigArn": arn}

    def _check_variant(self, variant: Mapping[str, Any]) -> None:
        used = self._model(variant["ModelName"])
        serverless = variant.get("ServerlessConfig")
        if serverless:
            if used.get("Containers"):
                raise ApiError(
                    "ValidationException",
                    f"Serverless inference does not support inference pipelines: model {variant['ModelName']} has several containers.",
                )
            if serverless["MemorySizeInMB"] % 1024:
                raise ApiError(
                    "ValidationException",
                    f"MemorySizeInMB must be a multiple of 1024, got {serverless['MemorySizeInMB']}.",
                )
        elif not variant.get("InstanceType") or not variant.get("InitialInstanceCount"):
            raise ApiError(
                "ValidationException",
                f"Variant {variant['VariantName']} needs InstanceType and InitialInstanceCount, or ServerlessConfig.",
            )

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

    # endpoints

    def _endpoint(self, name: str) -> dict[str, Any]:
        with self.core.lock:
            if name not in self.endpoints:
                raise could_not_find("endpoint", self.core.arn("endpoint", name))
            return self.endpoints[name]

    def create_endpoint(self, request: dict[str, Any], _caller: str) -> dict[str, Any]:
        name = request["EndpointName"]
        arn = self.core.arn("endpoint", name)
        config = self._config(request["EndpointConfigName"])
        moment = model.now()
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

    def _start(self, name: str, config: dict[str, Any]) -> dict[str, Fleet]:
        """Model servers for every variant of a config; all or none."""
        fleets: dict[str, Fleet] = {}
        try:
            for variant in config["ProductionVariants"]:
                # The config keeps names only: the model may be gone by now, as on AWS.
                used = self._model(variant["ModelName"])
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
            {"SpecifiedImage": image, "ResolvedImage": image, "ResolutionTime": model.now()}
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
            record.update({"EndpointStatus": status, "LastModifiedTime": model.now(), **fields})
        self._emit(record)

    def _emit(self, record: dict[str, Any]) -> None:
        with self.core.lock:
            detail = model.wire(model.fit("DescribeEndpoint", record), "ms")
        words = {
            "InService": "IN_SERVICE",
            "OutOfService": "OUT_OF_SERVICE",
            "RollingBack": "ROLLING_BACK",
            "SystemUpdating": "SYSTEM_UPDATING",
        }
        detail["EndpointStatus"] = words.get(detail["EndpointStatus"], detail["EndpointStatus"].upper())
        detail["Tags"] = dict(self.core.tags.get(record["EndpointArn"], {}))
        self.core.host.put_event("SageMaker Endpoint State Change", detail, [record["EndpointArn"]])

    def _busy(self, record: dict[str, Any]) -> None:
        if record["EndpointStatus"] not in ("InService", "OutOfService"):
            raise ApiError(
                "ValidationException",
                f'Cannot update in-progress endpoint "{record["EndpointArn"]}". Its status is {record["EndpointStatus"]}.',
            )

    def update_endpoint(self, request: dict[str, Any], _caller: str) -> dict[str, Any]:
        record = self._endpoint(request["EndpointName"])
        config = self._config(request["EndpointConfigName"])
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
                LastModifiedTime=model.now(),
                PendingDeploymentSummary={
                    "EndpointConfigName": config["EndpointConfigName"],
                    "ProductionVariants": pending,
                    "StartTime": model.now(),
                },
            )
            record.pop("FailureReason", None)
            if request.get("DeploymentConfig"):
                record["LastDeploymentConfig"] = request["DeploymentConfig"]
                self.core.host.note(
                    "not-rehearsed",
                    f"endpoint {record['EndpointName']}: traffic shifting and alarms of its DeploymentConfig; the update switches at once",
                )
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
        """The new fleet beside the old one, then the switch. A fleet that does not come up leaves the old config in service.

        As on AWS the endpoint is then InService again and says nothing in FailureReason: who updates must compare the config.
        """
        name, begun = record["EndpointName"], time.monotonic()
        fault = self.core.take_fault("endpoint-rollback", endpoint=name)
        self.core.host.note(
            "endpoint",
            f"endpoint {name} is being updated to {config['EndpointConfigName']}",
            name=name,
            status="Updating",
        )
        try:
            if fault:
                raise LoadFailure("a rollback that the rehearsal plays on purpose")
            fleets = self._start(name, config)
        except Exception as error:
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
            f"endpoint {name} InService with {config['EndpointConfigName']} after {time.monotonic() - begun:.1f} s",
            name=name,
            status="InService",
        )

    def update_weights(self, request: dict[str, Any], _caller: str) -> dict[str, Any]:
        record = self._endpoint(request["EndpointName"])
        with self.core.lock:
            self._busy(record)
            summaries = {summary["VariantName"]: summary for summary in record["ProductionVariants"]}
            for wanted in request["DesiredWeightsAndCapacities"]:
                if wanted["VariantName"] not in summaries:
                    raise ApiError(
                        "ValidationException",
                        f"Variant {wanted['VariantName']} does not exist in endpoint {record['EndpointName']}.",
                    )
            for wanted in request["DesiredWeightsAndCapacities"]:
                summary = summaries[wanted["VariantName"]]
                if "DesiredWeight" in wanted:
                    summary["DesiredWeight"] = wanted["DesiredWeight"]
                if "DesiredInstanceCount" in wanted:
                    summary["DesiredInstanceCount"] = wanted["DesiredInstanceCount"]
            record.update(EndpointStatus="Updating", LastModifiedTime=model.now())
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
            if record["EndpointStatus"] in ("Creating", "Updating", "RollingBack"):
                raise ApiError(
                    "ValidationException",
                    f'Cannot delete in-progress endpoint "{record["EndpointArn"]}". Its status is {record["EndpointStatus"]}.',
                )
            del self.endpoints[request["EndpointName"]]
            fleets = self.fleets.pop(request["EndpointName"], {})
            record.update(EndpointStatus="Deleting", LastModifiedTime=model.now())
        self._emit(record)
        self.core.tags.pop(record["EndpointArn"], None)
        for fleet in fleets.values():
            self.core.spawn(f"end-{request['EndpointName']}", fleet.end)
        return {}

    # runtime

    def invoke(self, name: str, headers: Mapping[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        """`InvokeEndpoint`: status, headers and body as the runtime service answers. Errors come as `ApiError`."""
        given = {key.lower(): value for key, value in headers.items()}
        with self.core.lock:
            record = self.endpoints.get(name)
            fleets = dict(self.fleets.get(name, {}))
            summaries = [dict(summary) for summary in (record or {}).get("ProductionVariants") or ()]
        if record is None:
            raise ApiError(
                "ValidationError", f"Endpoint {name} of account {self.core.host.account} not found.", 400
            )
        if not fleets:
            raise ApiError(
                "ValidationError",
                f"Endpoint {name} of account {self.core.host.account} has status {record['EndpointStatus']} and cannot be invoked.",
                400,
            )
        if len(body) > MAX_BODY:
            raise ApiError(
                "ValidationError", f"The body of {len(body)} bytes is larger than {MAX_BODY} bytes.", 400
            )
        variant = self._choose(summaries, given.get("x-amzn-sagemaker-target-variant"), name)
        passed = {"Content-Type": given.get("content-type", "application/octet-stream")}
        if given.get("accept"):
            passed["Accept"] = given["accept"]
        for header in ("X-Amzn-SageMaker-Custom-Attributes", "X-Amzn-SageMaker-Inference-Id"):
            if given.get(header.lower()):
                passed[header] = given[header.lower()]
        begun = time.monotonic()
        try:
            out, kind = fleets[variant].invoke(
                body, passed, given.get("x-amzn-sagemaker-target-container-hostname")
            )
        except ModelFailure as error:
            raise self._model_error(name, error) from error
        answer = {
            "Content-Type": kind,
            "x-Amzn-Invoked-Production-Variant": variant,
            "x-amzn-RequestId": str(uuid.uuid4()),
            "x-rehearsal-model-latency-ms": f"{(time.monotonic() - begun) * 1000:.1f}",
        }
        return 200, answer, out

    def _choose(self, summaries: list[dict[str, Any]], target: str | None, name: str) -> str:
        if target is not None:
            if target not in [summary["VariantName"] for summary in summaries]:
                raise ApiError("ValidationError", f"Variant {target} does not exist in endpoint {name}.", 400)
            return target
        weights = [summary["CurrentWeight"] for summary in summaries]
        if sum(weights) <= 0:
            raise ApiError("ValidationError", f"All variants of endpoint {name} have weight 0.", 400)
        with self.core.lock:
            return str(self._random.choices(summaries, weights)[0]["VariantName"])

    def _model_error(self, name: str, error: ModelFailure) -> ApiError:
        region = self.core.host.region
        url = f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}#logEventViewer:group=/aws/sagemaker/Endpoints/{name}"
        status = error.status or 0
        return ModelError(
            f'Received {"client" if 400 <= status < 500 else "server"} error ({status}) from {error.container} with message "{error.message}". '
            f"See {url} in account {self.core.host.account} for more information.",
            status,
            error.message,
            self.core.host,
        )


class ModelError(ApiError):
    """`ModelError` of the runtime: the container answered with an error."""

    def __init__(self, message: str, original_status: int, original_message: str, host: Any) -> None:
        super().__init__("ModelError", message, 424)
        self.original_status, self.original_message = original_status, original_message
        self.log_stream_arn = f"arn:aws:logs:{host.region}:{host.account}:log-group:/aws/sagemaker/Endpoints"

    def body(self) -> dict[str, Any]:
        """The members of the error beside the message."""
        return {
            "Message": self.message,
            "OriginalStatusCode": self.original_status,
            "OriginalMessage": self.original_message,
            "LogStreamArn": self.log_stream_arn,
        }


__all__ = ["AccessDenied", "Endpoints", "ModelError"]
