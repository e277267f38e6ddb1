"""Plays the model registry: model package groups and versioned model packages.

A change of the approval is sent as `SageMaker Model Package State Change` (SageMaker AI developer guide: "Model
Registration Deployment with Model Registry", "Events that Amazon SageMaker AI sends to Amazon EventBridge").
"""

from __future__ import annotations

import json
import re
from typing import Any

from ..host import ApiError
from . import service_shapes as shapes
from .core import Core, Operation, listing, not_found, page
from .images import Images

_EVENT_MEMBERS = (
    "ModelPackageName",
    "ModelPackageGroupName",
    "ModelPackageVersion",
    "ModelPackageArn",
    "ModelPackageDescription",
    "CreationTime",
    "InferenceSpecification",
    "SourceAlgorithmSpecification",
    "ValidationSpecification",
    "ModelPackageStatus",
    "ModelPackageStatusDetails",
    "CertifyForMarketplace",
    "ModelApprovalStatus",
    "MetadataProperties",
    "ModelMetrics",
    "LastModifiedTime",
    "Domain",
    "Task",
    "SamplePayloadUrl",
    "CustomerMetadataProperties",
    "DriftCheckBaselines",
    "ApprovalDescription",
    "ModelLifeCycle",
    "SourceUri",
)


class Registry:
    """The model registry of the account."""

    def __init__(self, core: Core, images: Images) -> None:
        self.core = core
        self.images = images
        self.groups: dict[str, dict[str, Any]] = {}
        self.packages: dict[str, dict[str, Any]] = {}
        self.policies: dict[str, str] = {}

    def operations(self) -> dict[str, Operation]:
        """Operation name to function."""
        return {
            "CreateModelPackageGroup": self.create_group,
            "DescribeModelPackageGroup": self.describe_group,
            "ListModelPackageGroups": self.list_groups,
            "DeleteModelPackageGroup": self.delete_group,
            "PutModelPackageGroupPolicy": self.put_policy,
            "GetModelPackageGroupPolicy": self.get_policy,
            "DeleteModelPackageGroupPolicy": self.delete_policy,
            "CreateModelPackage": self.create_package,
            "DescribeModelPackage": self.describe_package,
            "UpdateModelPackage": self.update_package,
            "ListModelPackages": self.list_packages,
            "DeleteModelPackage": self.delete_package,
            "BatchDescribeModelPackage": self.batch_describe,
        }

    # groups

    def create_group(self, request: dict[str, Any], caller: str) -> dict[str, Any]:
        name = request["ModelPackageGroupName"]
        arn = self.core.arn("model-package-group", name)
        with self.core.lock:
            if name in self.groups:
                raise ApiError("ValidationException", f"Model Package Group already exists: {arn}")
            self.core.set_tags(arn, request.get("Tags"))
            self.groups[name] = {
                "ModelPackageGroupName": name,
                "ModelPackageGroupArn": arn,
                "ModelPackageGroupDescription": request.get("ModelPackageGroupDescription"),
                "CreationTime": shapes.now(),
                "CreatedBy": _user(caller),
                "ModelPackageGroupStatus": "Completed",
                "next_version": 1,
            }
        return {"ModelPackageGroupArn": arn}

    def group(self, name_or_arn: str) -> dict[str, Any]:
        """The group's record by name or ARN."""
        name = name_or_arn.rsplit("/", 1)[-1]
        with self.core.lock:
            found = self.groups.get(name)
        if found is None:
            raise ApiError(
                "ValidationException",
                f"ModelPackageGroup {self.core.arn('model-package-group', name)} does not exist.",
            )
        return found

    def describe_group(self, request: dict[str, Any], _caller: str) -> dict[str, Any]:
        return shapes.fit("DescribeModelPackageGroup", self.group(request["ModelPackageGroupName"]))

    def list_groups(self, request: dict[str, Any], _caller: str) -> dict[str, Any]:
        with self.core.lock:
            rows = list(self.groups.values())
        rows, token = page(
            request, rows, sort={"Name": "ModelPackageGroupName"}, name_key="ModelPackageGroupName"
        )
        return listing("ListModelPackageGroups", "ModelPackageGroupSummaryList", rows, token)

    def delete_group(self, request: dict[str, Any], _caller: str) -> dict[str, Any]:
        with self.core.lock:
            group = self.group(request["ModelPackageGroupName"])
            if any(
                package.get("ModelPackageGroupName") == group["ModelPackageGroupName"]
                for package in self.packages.values()
            ):
                raise ApiError(
                    "ConflictException",
                    f"Model Package Group {group['ModelPackageGroupArn']} contains Model Packages and cannot"
                    " be deleted.",
                    400,
                )
            del self.groups[group["ModelPackageGroupName"]]
            self.policies.pop(group["ModelPackageGroupName"], None)
            self.core.tags.pop(group["ModelPackageGroupArn"], None)
        return {}

    def put_policy(self, request: dict[str, Any], _caller: str) -> dict[str, Any]:
        group = self.group(request["ModelPackageGroupName"])
        try:
            json.loads(request["ResourcePolicy"])
        except ValueError as error:
            raise ApiError("ValidationException", f"ResourcePolicy is not valid JSON: {error}") from error
        with self.core.lock:
            self.policies[group["ModelPackageGroupName"]] = request["ResourcePolicy"]
        self.core.host.note(
            "not-rehearsed",
            f"the resource policy of model package group {group['ModelPackageGroupName']} is kept but not"
            " evaluated",
        )
        return {"ModelPackageGroupArn": group["ModelPackageGroupArn"]}

    def get_policy(self, request: dict[str, Any], _caller: str) -> dict[str, Any]:
        group = self.group(request["ModelPackageGroupName"])
        policy = self.policies.get(group["ModelPackageGroupName"])
        if policy is None:
            raise ApiError(
                "ValidationException", f"Cannot find resource policy for: {group['ModelPackageGroupArn']}"
            )
        return {"ResourcePolicy": policy}

    def delete_policy(self, request: dict[str, Any], _caller: str) -> dict[str, Any]:
        group = self.group(request["ModelPackageGroupName"])
        with self.core.lock:
            self.policies.pop(group["ModelPackageGroupName"], None)
        return {}

    # packages

    def create_package(self, request: dict[str, Any], caller: str) -> dict[str, Any]:
        group_name, name = request.get("ModelPackageGroupName"), request.get("ModelPackageName")
        if bool(group_name) == bool(name):
            raise ApiError(
                "ValidationException",
                "Exactly one of ModelPackageName and ModelPackageGroupName must be given.",
            )
        if group_name and request.get("Tags"):
            raise ApiError(
                "ValidationException", "Tags cannot be given for a versioned model package; tag its group."
            )
        containers = (request.get("InferenceSpecification") or {}).get("Containers") or []
        if (
            not containers
            and not request.get("SourceAlgorithmSpecification")
            and not request.get("SourceUri")
        ):
            raise ApiError(
                "ValidationException",
                "One of InferenceSpecification, SourceAlgorithmSpecification or SourceUri must be given.",
            )
        for container in containers:
            self._check_container(container)
        record = {
            key: value
            for key, value in request.items()
            if key not in ("ClientToken", "Tags", "ModelPackageGroupName", "ModelPackageName")
        }
        with self.core.lock:
            if group_name:
                group = self.group(group_name)
                version = group["next_version"]
                group["next_version"] += 1
                name = group["ModelPackageGroupName"]
                record.update(
                    ModelPackageGroupName=name,
                    ModelPackageVersion=version,
                    ModelPackageArn=self.core.arn("model-package", f"{name}/{version}"),
                    ModelApprovalStatus=request.get("ModelApprovalStatus", "PendingManualApproval"),
                )
            else:
                record.update(
                    ModelPackageName=name, ModelPackageArn=self.core.arn("model-package", str(name))
                )
                if record["ModelPackageArn"] in self.packages:
                    raise ApiError(
                        "ValidationException", f"Model Package already exists: {record['ModelPackageArn']}"
                    )
            moment = shapes.now()
            record.update(
                CreationTime=moment,
                LastModifiedTime=moment,
                CreatedBy=_user(caller),
                LastModifiedBy=_user(caller),
                ModelPackageStatus="Completed",
                ModelPackageStatusDetails={"ValidationStatuses": [], "ImageScanStatuses": []},
                CertifyForMarketplace=request.get("CertifyForMarketplace", False),
            )
            self.packages[record["ModelPackageArn"]] = record
            self.core.set_tags(record["ModelPackageArn"], request.get("Tags"))
        self.core.host.note(
            "registry",
            f"model package {_short(record)} registered, {record.get('ModelApprovalStatus', 'unversioned')}",
        )
        self._emit(record)
        return {"ModelPackageArn": record["ModelPackageArn"]}

    def _check_container(self, container: dict[str, Any]) -> None:
        """What AWS checks of a container: its image, and its model data, whose ETag it keeps."""
        image = container.get("Image")
        if image:
            self.images.serving(image)
        uri = container.get("ModelDataUrl")
        if uri and uri.startswith("s3://"):
            bucket, _, key = uri[5:].partition("/")
            try:
                head = self.core.host.client("s3").head_object(Bucket=bucket, Key=key)
                container["ModelDataETag"] = head["ETag"].strip('"')
            except Exception as error:
                raise ApiError(
                    "ValidationException",
                    f"Could not access model data at {uri}. Please ensure that the object exists and is"
                    f" located in {self.core.host.region}. ({error})",
                ) from error

    def package(self, name_or_arn: str) -> dict[str, Any]:
        """A package's record by ARN or name."""
        arn = name_or_arn if name_or_arn.startswith("arn:") else self.core.arn("model-package", name_or_arn)
        with self.core.lock:
            found = self.packages.get(arn)
        if found is None:
            raise ApiError("ValidationException", f"ModelPackage {arn} does not exist.")
        return found

    def describe_package(self, request: dict[str, Any], _caller: str) -> dict[str, Any]:
        return shapes.fit("DescribeModelPackage", self.package(request["ModelPackageName"]))

    def batch_describe(self, request: dict[str, Any], _caller: str) -> dict[str, Any]:
        found, errors = {}, {}
        for arn in request["ModelPackageArnList"]:
            try:
                record = self.package(arn)
                found[arn] = {key: record[key] for key in _BATCH if record.get(key) is not None}
            except ApiError as error:
                errors[arn] = {"ErrorCode": error.code, "ErrorResponse": error.message}
        return {
            "ModelPackageSummaries": found,
            **({"BatchDescribeModelPackageErrorMap": errors} if errors else {}),
        }

    def update_package(self, request: dict[str, Any], caller: str) -> dict[str, Any]:
        with self.core.lock:
            record = self.package(request["ModelPackageArn"])
            if request.get("ModelApprovalStatus") and "ModelPackageVersion" not in record:
                raise ApiError(
                    "ValidationException", "ModelApprovalStatus can only be set on a versioned model package."
                )
            before = record.get("ModelApprovalStatus")
            for member in (
                "ModelApprovalStatus",
                "ApprovalDescription",
                "InferenceSpecification",
                "SourceUri",
                "ModelCard",
                "ModelLifeCycle",
            ):
                if member in request:
                    record[member] = request[member]
            properties = dict(record.get("CustomerMetadataProperties") or {})
            properties.update(request.get("CustomerMetadataProperties") or {})
            for key in request.get("CustomerMetadataPropertiesToRemove") or ():
                properties.pop(key, None)
            if properties or "CustomerMetadataProperties" in record:
                record["CustomerMetadataProperties"] = properties
            record.update(LastModifiedTime=shapes.now(), LastModifiedBy=_user(caller))
            after = record.get("ModelApprovalStatus")
        if after != before:
            self.core.host.note("registry", f"model package {_short(record)}: {before} -> {after}")
        self._emit(record)
        return {"ModelPackageArn": record["ModelPackageArn"]}

    def list_packages(self, request: dict[str, Any], _caller: str) -> dict[str, Any]:
        with self.core.lock:
            rows = [dict(row) for row in self.packages.values()]
        group = request.get("ModelPackageGroupName")
        kind = request.get("ModelPackageType") or ("Versioned" if group else "Unversioned")
        if group:
            name = self.group(group)["ModelPackageGroupName"]
            rows = [row for row in rows if row.get("ModelPackageGroupName") == name]
        if kind != "Both":
            rows = [row for row in rows if ("ModelPackageVersion" in row) == (kind == "Versioned")]
        if request.get("ModelApprovalStatus"):
            rows = [row for row in rows if row.get("ModelApprovalStatus") == request["ModelApprovalStatus"]]
        rows, token = page(request, rows, sort={"Name": "ModelPackageArn"}, name_key="ModelPackageArn")
        return listing("ListModelPackages", "ModelPackageSummaryList", rows, token)

    def delete_package(self, request: dict[str, Any], _caller: str) -> dict[str, Any]:
        with self.core.lock:
            record = self.package(request["ModelPackageName"])
            del self.packages[record["ModelPackageArn"]]
            self.core.tags.pop(record["ModelPackageArn"], None)
        return {}

    def _emit(self, record: dict[str, Any]) -> None:
        detail = shapes.wire(
            {key: record[key] for key in _EVENT_MEMBERS if record.get(key) is not None}, "iso"
        )
        self.core.emit("SageMaker Model Package State Change", detail, [record["ModelPackageArn"]])


_BATCH = (
    "ModelPackageGroupName",
    "ModelPackageVersion",
    "ModelPackageArn",
    "ModelPackageDescription",
    "CreationTime",
    "InferenceSpecification",
    "ModelPackageStatus",
    "ModelApprovalStatus",
)


def _user(caller: str) -> dict[str, Any]:
    return {"IamIdentity": {"Arn": caller, "PrincipalId": re.sub(r".*/", "", caller)}}


def _short(record: dict[str, Any]) -> str:
    return str(record["ModelPackageArn"]).split(":model-package/", 1)[-1]


__all__ = ["Registry", "not_found"]
