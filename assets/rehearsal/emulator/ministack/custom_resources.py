"""Plays the providers of custom resources: CDK's own in this process, those of the app through their function.

CloudFormation sends the provider a request and waits for the answer at a response URL (CloudFormation user guide:
"CloudFormation custom resource request and response reference"). CDK's providers import the AWS SDK from the Lambda
runtime, which a local function does not have; what they do is small and documented, so it is done here, and each use
is noted.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

from ministack.services import ec2, lambda_svc
from ministack.services.cloudformation import custom_resource

from emulator.ministack import aws_custom_resource, bucket_deployment
from emulator.ministack.emulator import Emulator
from emulator.ministack.provider_request import Answer, Request

__all__ = ["install"]

_ANSWER_AFTER_ERROR_SECONDS = 2.0
"""A function that failed may have sent its answer first; after this time none is expected."""
_DEFAULT_TIMEOUT_SECONDS = 3600


def install(emulator: Emulator) -> None:
    """Replaces the one function through which MiniStack invokes providers."""

    def invoked(
        request_type: str,
        logical_id: str,
        props: dict[str, Any],
        stack_name: str,
        stack_id: str,
        resource_type: str,
        physical_id: str | None = None,
        old_props: dict[str, Any] | None = None,
    ) -> Answer:
        request = Request(
            request_type, logical_id, props, stack_name, stack_id, resource_type, physical_id, old_props or {}
        )
        provider = PROVIDERS.get(resource_type)
        verb = request_type.lower()
        if provider is None:
            function = _function_name(request)
            emulator.journal.note(
                "customResource", f"{logical_id}: {verb} by function {function}", stack=stack_name
            )
            return _by_function(emulator, request)
        text = f"{resource_type} {logical_id}: {verb} in the emulator itself, not by CDK's function"
        emulator.journal.note("customResource", text, stack=stack_name)
        return provider(emulator, request)

    custom_resource.invoke_custom_resource = invoked


# --- the app's own providers ----------------------------------------------------


def _function_name(request: Request) -> str:
    return str(request.properties.get("ServiceToken", "")).rsplit(":", 1)[-1]


def _by_function(emulator: Emulator, request: Request) -> Answer:
    """Invokes the function and waits for what it sends to the response URL.

    Unlike on AWS, one that ends with an error before it answered fails the resource at once, with its error.
    """
    token_arn = str(request.properties.get("ServiceToken", ""))
    record, config, name = lambda_svc._get_func_record_for_ref(token_arn)
    if record is None or config is None:
        raise ValueError(
            f"the function {token_arn} of the custom resource {request.logical_id} does not exist"
        )
    token = str(uuid.uuid4())
    answered = custom_resource.register_token(token)
    url = f"{emulator.settings.endpoint}/_ministack/cfn-response/{token}"
    execution = lambda_svc._execution_record_for_config(record, config)
    try:
        result = lambda_svc._execute_function_with_config_scope(execution, _event(request, url))
        failed = isinstance(result, dict) and bool(result.get("error"))
        if not answered.wait(_ANSWER_AFTER_ERROR_SECONDS if failed else _timeout(request)):
            if failed:
                raise RuntimeError(f"the function {name} failed before it answered: {_message(result)}")
            raise TimeoutError(
                f"the function {name} sent no answer to the response URL within {_timeout(request)} s"
            )
    finally:
        with custom_resource._lock:
            entry = custom_resource._pending.pop(token, None)
    answer = (entry or {}).get("result") or {}
    if answer.get("Status") != "SUCCESS":
        raise RuntimeError(answer.get("Reason") or f"the function {name} reported FAILED without a reason")
    physical_id = answer.get("PhysicalResourceId") or request.physical_id or token
    return str(physical_id), answer.get("Data") or {}


def _event(request: Request, url: str) -> dict[str, Any]:
    normal = custom_resource._normalise_resource_properties
    event: dict[str, Any] = {
        "RequestType": request.kind,
        "RequestId": str(uuid.uuid4()),
        "ServiceToken": request.properties.get("ServiceToken"),
        "StackId": request.stack_id,
        "ResponseURL": url,
        "ResourceType": request.resource_type,
        "LogicalResourceId": request.logical_id,
        "ResourceProperties": normal(request.properties),
    }
    if request.physical_id is not None:
        event["PhysicalResourceId"] = request.physical_id
    if request.kind == "Update":
        event["OldResourceProperties"] = normal(request.old_properties)
    return event


def _timeout(request: Request) -> int:
    try:
        return int(request.properties.get("ServiceTimeout", _DEFAULT_TIMEOUT_SECONDS))
    except (TypeError, ValueError):
        return _DEFAULT_TIMEOUT_SECONDS


def _message(result: dict[str, Any]) -> str:
    body = result.get("body")
    if isinstance(body, (str, bytes)):
        try:
            body = json.loads(body)
        except ValueError:
            return str(body)
    if isinstance(body, dict):
        return f"{body.get('errorType', 'Error')}: {body.get('errorMessage', 'no message')}"
    return str(body)


# --- CDK's own providers --------------------------------------------------------


def _auto_delete_objects(emulator: Emulator, request: Request) -> Answer:
    """Empties the bucket when it is deleted, if it still has the tag for that, as the provider does."""
    bucket = str(request.properties["BucketName"])
    if request.kind != "Delete":
        return bucket, {}
    bucket = request.physical_id or bucket
    client = emulator.host.client("s3")
    try:
        tags = client.get_bucket_tagging(Bucket=bucket)["TagSet"]
    except client.exceptions.ClientError:
        return bucket, {}
    if any(tag == {"Key": "aws-cdk:auto-delete-objects", "Value": "true"} for tag in tags):
        empty_bucket(client, bucket)
    return bucket, {}


def empty_bucket(client: Any, bucket: str) -> None:
    """Deletes every object, version and delete marker."""
    for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket):
        found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        doomed = [{"Key": entry["Key"], "VersionId": entry["VersionId"]} for entry in found]
        if doomed:
            client.delete_objects(Bucket=bucket, Delete={"Objects": doomed, "Quiet": True})


def _restrict_default_security_group(emulator: Emulator, request: Request) -> Answer:
    """Removes the rules of the VPC's default security group; deleting restores them."""
    group_id = str(request.properties["DefaultSecurityGroupId"])
    group = ec2._security_groups.get(group_id)
    if group is not None:
        everywhere = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
        group["IpPermissions"] = []
        group["IpPermissionsEgress"] = everywhere if request.kind == "Delete" else []
    return request.physical_id or "default-sg-restricted", {}


def _log_retention(emulator: Emulator, request: Request) -> Answer:
    """Makes the log group and sets its retention; deletes it where that is the removal policy."""
    name = str(request.properties["LogGroupName"])
    client = emulator.host.client("logs")
    if request.kind == "Delete":
        if request.properties.get("RemovalPolicy") == "destroy":
            try:
                client.delete_log_group(logGroupName=name)
            except client.exceptions.ResourceNotFoundException:
                pass
        return name, {}
    try:
        client.create_log_group(logGroupName=name)
    except client.exceptions.ResourceAlreadyExistsException:
        pass
    days = int(request.properties.get("RetentionInDays") or 0)
    if days:
        client.put_retention_policy(logGroupName=name, retentionInDays=days)
    return name, {"LogGroupName": name}


Provider = Callable[[Emulator, Request], Answer]

PROVIDERS: dict[str, Provider] = {
    "Custom::S3AutoDeleteObjects": _auto_delete_objects,
    "Custom::CDKBucketDeployment": bucket_deployment.provide,
    "Custom::VpcRestrictDefaultSG": _restrict_default_security_group,
    "Custom::LogRetention": _log_retention,
    "Custom::AWS": aws_custom_resource.provide,
}
"""Providers that run in this process, by resource type."""
