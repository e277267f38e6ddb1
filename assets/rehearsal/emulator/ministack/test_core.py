"""The core of the emulator, over HTTP, as the command line, an app's functions and CloudFormation see it."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from emulator.ministack import contract
from emulator.ministack.testing import ACCOUNT, PACKAGE, Running

ARN = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}"
PERSON = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}


@pytest.fixture(scope="module")
def emulator() -> Iterator[Running]:
    with Running() as running:
        yield running


def ask(emulator: Running, route: str, body: Any = None) -> Any:
    return emulator.ask(route, body)


def role_resource(*statements: Mapping[str, Any], service: str = "lambda.amazonaws.com") -> dict[str, Any]:
    trust = [{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}, PERSON]
    policy = {"PolicyName": "own", "PolicyDocument": {"Version": "2012-10-17", "Statement": list(statements)}}
    properties: dict[str, Any] = {"AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": trust}}
    if statements:
        properties["Policies"] = [policy]
    return {"Type": "AWS::IAM::Role", "Properties": properties}


def allow(*actions: str, resource: Any = "*") -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource}


class Stack:
    """A stack of one template, as CloudFormation makes it."""

    def __init__(self, emulator: Running, name: str) -> None:
        self.name = name
        self.cloudformation = emulator.client("cloudformation")

    def deploy(
        self, resources: Mapping[str, Any], outputs: Mapping[str, Any] | None = None
    ) -> dict[str, str]:
        template: dict[str, Any] = {"Resources": resources}
        if outputs:
            template["Outputs"] = {name: {"Value": value} for name, value in outputs.items()}
        request = {
            "StackName": self.name,
            "TemplateBody": json.dumps(template),
            "Capabilities": ["CAPABILITY_NAMED_IAM"],
        }
        exists = self.status() != "gone"
        (self.cloudformation.update_stack if exists else self.cloudformation.create_stack)(**request)
        status = self.settled()
        assert status in ("CREATE_COMPLETE", "UPDATE_COMPLETE"), f"{status}: {self.reasons()}"
        (described,) = self.cloudformation.describe_stacks(StackName=self.name)["Stacks"]
        return {entry["OutputKey"]: entry["OutputValue"] for entry in described.get("Outputs", [])}

    def status(self) -> str:
        try:
            (described,) = self.cloudformation.describe_stacks(StackName=self.name)["Stacks"]
        except ClientError:
            return "gone"
        return str(described["StackStatus"])

    def settled(self) -> str:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            status = self.status()
            if "IN_PROGRESS" not in status:
                return status
            time.sleep(0.05)
        raise AssertionError(f"{self.name} does not settle: {self.status()}")

    def reasons(self) -> str:
        events = self.cloudformation.describe_stack_events(StackName=self.name)["StackEvents"]
        return " | ".join(
            e["ResourceStatusReason"]
            for e in events
            if "FAILED" in e["ResourceStatus"] and e.get("ResourceStatusReason")
        )

    def physical(self, logical_id: str) -> str:
        detail = self.cloudformation.describe_stack_resource(
            StackName=self.name, LogicalResourceId=logical_id
        )
        return str(detail["StackResourceDetail"]["PhysicalResourceId"])

    def destroy(self) -> str:
        self.cloudformation.delete_stack(StackName=self.name)
        return self.settled()


@pytest.fixture
def stack(emulator: Running, request: pytest.FixtureRequest) -> Iterator[Stack]:
    made = Stack(emulator, request.node.name.replace("_", "-")[:60])
    yield made
    if made.status() != "gone":
        made.destroy()


def acting_as(emulator: Running, role: str) -> Callable[[str], Any]:
    """Clients with the credentials of a session of the role."""
    arn = role if role.startswith("arn:") else f"arn:aws:iam::{ACCOUNT}:role/{role}"
    keys = emulator.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]

    def client(service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=emulator.endpoint,
            region_name="us-east-1",
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["SessionToken"],
        )

    return client


def refused(call: Callable[[], Any]) -> dict[str, Any]:
    with pytest.raises(ClientError) as caught:
        call()
    return dict(caught.value.response["Error"])


# --- permissions ------------------------------------------------------------------------------------------------------


def test_grants_are_counted_and_refusals_name_who_what_and_where(emulator: Running, stack: Stack) -> None:
    bucket = emulator.client("s3")
    bucket.create_bucket(Bucket="counted")
    stack.deploy(
        {"Reader": role_resource(allow("s3:GetObject*", "s3:PutObject", resource="arn:aws:s3:::counted/*"))}
    )
    role = stack.physical("Reader")
    client = acting_as(emulator, role)("s3")
    bucket.put_object(Bucket="counted", Key="a", Body=b"1")
    assert client.get_object(Bucket="counted", Key="a")["Body"].read() == b"1"
    error = refused(lambda: client.delete_object(Bucket="counted", Key="a"))
    assert error["Code"] == "AccessDenied"
    assert (
        role in error["Message"] and "s3:DeleteObject on resource: arn:aws:s3:::counted/a" in error["Message"]
    )

    report = ask(emulator, "report")
    mine = [entry for entry in report["grants"]["exercised"] if entry["role"] == role]
    assert [(entry["action"], entry["stack"], entry["logicalId"]) for entry in mine] == [
        ("s3:GetObject*", stack.name, "Reader")
    ]
    unused = [entry["action"] for entry in report["grants"]["unexercised"] if entry["role"] == role]
    assert unused == ["s3:PutObject"]
    (denial,) = [entry for entry in report["denials"] if role in entry["principal"]]
    assert (denial["action"], denial["resource"]) == ("s3:DeleteObject", "arn:aws:s3:::counted/a")
    (note,) = [
        n for n in ask(emulator, "notes?since=0")["notes"] if n["kind"] == "denied" and n["role"] == role
    ]
    assert note["action"] == "s3:DeleteObject"

    assert stack.destroy() in ("gone", "DELETE_COMPLETE")
    after = [entry for entry in ask(emulator, "report")["grants"]["exercised"] if entry["role"] == role]
    assert [entry["count"] for entry in after] == [entry["count"] for entry in mine], (
        "the report outlives the role"
    )


# --- SageMaker and Application Auto Scaling over HTTP --------------------------------------------------------------------


def test_sagemaker_is_answered_for_those_who_may(emulator: Running, stack: Stack) -> None:
    group = f"{ARN}:model-package-group/Http"
    stack.deploy(
        {
            "Keeper": role_resource(
                allow(
                    "sagemaker:CreateModelPackageGroup", "sagemaker:DescribeModelPackageGroup", resource=group
                )
            )
        }
    )
    client = acting_as(emulator, stack.physical("Keeper"))("sagemaker")
    assert client.create_model_package_group(ModelPackageGroupName="Http")["ModelPackageGroupArn"] == group
    assert client.describe_model_package_group(ModelPackageGroupName="Http")["CreationTime"].year >= 2025
    error = refused(lambda: client.delete_model_package_group(ModelPackageGroupName="Http"))
    assert error["Code"] == "AccessDeniedException"
    assert f"sagemaker:DeleteModelPackageGroup on resource: {group}" in error["Message"]
    emulator.client("sagemaker").delete_model_package_group(ModelPackageGroupName="Http")
    error = refused(
        lambda: emulator.client("sagemaker").describe_model_package_group(ModelPackageGroupName="Http")
    )
    assert error["Code"] in ("ResourceNotFound", "ValidationException")


def test_the_runtime_needs_an_endpoint_and_a_permission(emulator: Running, stack: Stack) -> None:
    stack.deploy({"Nobody": role_resource()})
    client = acting_as(emulator, stack.physical("Nobody"))("sagemaker-runtime")
    error = refused(lambda: client.invoke_endpoint(EndpointName="none", Body=b"1,2"))
    assert error["Code"] == "AccessDeniedException" and f"{ARN}:endpoint/none" in error["Message"]
    error = refused(
        lambda: emulator.client("sagemaker-runtime").invoke_endpoint(EndpointName="none", Body=b"1,2")
    )
    assert error["Code"] == "ValidationError" and "none" in error["Message"]


def test_scaling_needs_the_variant(emulator: Running, stack: Stack) -> None:
    place = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": "endpoint/none/variant/a",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    client = emulator.client("application-autoscaling")
    error = refused(lambda: client.register_scalable_target(**place, MinCapacity=1, MaxCapacity=2))
    assert error["Code"] == "ValidationException" and "none" in error["Message"]
    error = refused(lambda: client.deregister_scalable_target(**place))
    assert error["Code"] == "ObjectNotFoundException"
    table = {
        "ServiceNamespace": "dynamodb",
        "ResourceId": "table/t",
        "ScalableDimension": "dynamodb:table:ReadCapacityUnits",
    }
    error = refused(lambda: client.register_scalable_target(**table, MinCapacity=3, MaxCapacity=2))
    assert "less than minimum" in error["Message"]
    client.register_scalable_target(**table, MinCapacity=1, MaxCapacity=2)
    tracking = {
        "TargetValue": 70.0,
        "PredefinedMetricSpecification": {"PredefinedMetricType": "DynamoDBReadCapacityUtilization"},
    }
    policy = {"PolicyType": "TargetTrackingScaling", "TargetTrackingScalingPolicyConfiguration": tracking}
    put = client.put_scaling_policy(**table, PolicyName="p", **policy)
    arn, alarm = put["PolicyARN"], put["Alarms"][0]
    assert alarm["AlarmName"].startswith("TargetTracking-table/t-AlarmHigh-")
    on_target = [
        allow("application-autoscaling:*"),
        allow("cloudwatch:DescribeAlarms"),
    ]
    stack.deploy({"Poor": role_resource(*on_target)})
    poor = acting_as(emulator, stack.physical("Poor"))("application-autoscaling")
    error = refused(lambda: poor.put_scaling_policy(**table, PolicyName="p", **policy))
    assert "cloudwatch:PutMetricAlarm" in error["Message"]
    for delete in (
        lambda: poor.delete_scaling_policy(**table, PolicyName="p"),
        lambda: poor.deregister_scalable_target(**table),
    ):
        error = refused(delete)
        assert f"cloudwatch:DeleteAlarms on resource: {alarm['AlarmARN']}" in error["Message"]
    assert [
        p["PolicyARN"]
        for p in client.describe_scaling_policies(ServiceNamespace="dynamodb")["ScalingPolicies"]
    ] == [arn]
    (target,) = client.describe_scalable_targets(ServiceNamespace="dynamodb")["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 2)
    left = ask(emulator, "leftovers")["leftovers"]
    assert {"service": "application-autoscaling", "kind": "scalable target", "id": "table/t"} in left
    client.deregister_scalable_target(**table)
    assert client.describe_scaling_policies(ServiceNamespace="dynamodb")["ScalingPolicies"] == []

    stack.deploy({"Scaler": role_resource(allow("application-autoscaling:RegisterScalableTarget"))})
    mine = acting_as(emulator, stack.physical("Scaler"))("application-autoscaling")
    error = refused(lambda: mine.register_scalable_target(**place, MinCapacity=1, MaxCapacity=2))
    assert "iam:CreateServiceLinkedRole" in error["Message"], "the first target makes the role"
    rights = (allow("application-autoscaling:RegisterScalableTarget"), allow("iam:CreateServiceLinkedRole"))
    stack.deploy({"Linked": role_resource(*rights)})
    mine = acting_as(emulator, stack.physical("Linked"))("application-autoscaling")
    error = refused(lambda: mine.register_scalable_target(**place, MinCapacity=1, MaxCapacity=2))
    assert "sagemaker:DescribeEndpoint" in error["Message"], (
        "the service reads the endpoint in the caller's name"
    )


# --- CloudFormation -----------------------------------------------------------------------------------------------------


def test_a_type_that_nobody_knows_fails_with_its_logical_id(emulator: Running, stack: Stack) -> None:
    error = refused(lambda: stack.deploy({"Odd": {"Type": "AWS::Strange::Thing"}}))
    assert "AWS::Strange::Thing (Odd)" in error["Message"]
    assert stack.status() == "gone"


def test_what_has_no_effect_is_reported(emulator: Running, stack: Stack) -> None:
    lifecycle = {"Rules": [{"Status": "Enabled", "ExpirationInDays": 1}]}
    outputs = stack.deploy(
        {
            "Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"LifecycleConfiguration": lifecycle}},
            "Trail": {
                "Type": "AWS::CloudTrail::Trail",
                "Properties": {"IsLogging": True, "S3BucketName": {"Ref": "Bucket"}},
            },
            "Budget": {"Type": "AWS::Budgets::Budget", "Properties": {}},
            "Domain": {"Type": "AWS::SageMaker::Domain", "Properties": {}},
        },
        {
            "Arn": {"Fn::GetAtt": ["Trail", "Arn"]},
            "Other": {"Fn::GetAtt": ["Domain", "SingleSignOnManagedApplicationInstanceId"]},
        },
    )
    assert outputs["Arn"].startswith("arn:aws:cloudtrail:") and outputs["Other"]
    told = {
        (e["type"], e["logicalId"]): e["why"]
        for e in ask(emulator, "report")["notRehearsed"]
        if e["stack"] == stack.name
    }
    assert set(told) == {
        ("AWS::S3::Bucket", "Bucket"),
        ("AWS::CloudTrail::Trail", "Trail"),
        ("AWS::Budgets::Budget", "Budget"),
        ("AWS::SageMaker::Domain", "Domain"),
    }
    assert told[("AWS::S3::Bucket", "Bucket")].startswith("LifecycleConfiguration: ")


def test_references_are_as_on_aws(emulator: Running, stack: Stack) -> None:
    outputs = stack.deploy(
        {
            "Secret": {"Type": "AWS::SecretsManager::Secret", "Properties": {"SecretString": "s"}},
            "Net": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.9.0.0/16"}},
            "Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"Tags": [{"Key": "k", "Value": "v"}]}},
        },
        {
            "Secret": {"Ref": "Secret"},
            "Cidr": {"Fn::GetAtt": ["Net", "CidrBlock"]},
            "Bucket": {"Ref": "Bucket"},
        },
    )
    assert (
        emulator.client("secretsmanager").get_secret_value(SecretId=outputs["Secret"])["ARN"]
        == outputs["Secret"]
    )
    assert outputs["Cidr"] == "10.9.0.0/16"
    tags = emulator.client("s3").get_bucket_tagging(Bucket=outputs["Bucket"])["TagSet"]
    assert {"Key": "k", "Value": "v"} in tags
    assert stack.destroy() in ("gone", "DELETE_COMPLETE")
    left = [entry["id"] for entry in ask(emulator, "leftovers")["leftovers"]]
    assert outputs["Bucket"] not in left and not [name for name in left if "Secret" in name]


def test_a_bucket_with_objects_is_not_deleted(emulator: Running, stack: Stack) -> None:
    stack.deploy(
        {
            "Bucket": {
                "Type": "AWS::S3::Bucket",
                "Properties": {"VersioningConfiguration": {"Status": "Enabled"}},
            }
        }
    )
    bucket, s3 = stack.physical("Bucket"), emulator.client("s3")
    version = s3.put_object(Bucket=bucket, Key="a", Body=b"1")["VersionId"]
    s3.delete_object(Bucket=bucket, Key="a")
    assert stack.destroy() == "DELETE_FAILED"
    assert "not empty" in stack.reasons()
    for found in s3.list_object_versions(Bucket=bucket).get("DeleteMarkers", []):
        s3.delete_object(Bucket=bucket, Key="a", VersionId=found["VersionId"])
    s3.delete_object(Bucket=bucket, Key="a", VersionId=version)
    assert stack.destroy() in ("gone", "DELETE_COMPLETE")


def test_a_copy_is_made_once_and_has_a_checksum_of_its_bytes(emulator: Running) -> None:
    s3 = emulator.client("s3")
    s3.create_bucket(Bucket="copies")
    s3.put_object(Bucket="copies", Key="job/model", Body=b"first", ChecksumAlgorithm="CRC32")
    copy = {
        "Bucket": "copies",
        "Key": "kept/model",
        "CopySource": "copies/job/model",
        "ChecksumAlgorithm": "SHA256",
        "IfNoneMatch": "*",
    }
    s3.copy_object(**copy)
    s3.put_object(Bucket="copies", Key="job/model", Body=b"second")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.copy_object(**copy)
    head = s3.head_object(Bucket="copies", Key="kept/model", ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"] == base64.b64encode(hashlib.sha256(b"first").digest()).decode()
    # Who replaces it and lets S3 compute no SHA-256 leaves none.
    s3.put_object(Bucket="copies", Key="kept/model", Body=b"first", ChecksumAlgorithm="CRC32")
    assert "ChecksumSHA256" not in s3.head_object(Bucket="copies", Key="kept/model", ChecksumMode="ENABLED")
    for key in ("job/model", "kept/model"):
        s3.delete_object(Bucket="copies", Key=key)
    s3.delete_bucket(Bucket="copies")


def test_buckets_empty_themselves_when_their_tag_says_so(emulator: Running, stack: Stack) -> None:
    tag = {"Key": "aws-cdk:auto-delete-objects", "Value": "true"}
    custom = {"ServiceToken": "arn:aws:lambda:us-east-1:0:function:cdk", "BucketName": {"Ref": "Bucket"}}
    stack.deploy(
        {
            "Bucket": {
                "Type": "AWS::S3::Bucket",
                "Properties": {"Tags": [tag], "VersioningConfiguration": {"Status": "Enabled"}},
            },
            "Empty": {"Type": "Custom::S3AutoDeleteObjects", "Properties": custom},
        }
    )
    bucket, s3 = stack.physical("Bucket"), emulator.client("s3")
    for index in range(3):
        s3.put_object(Bucket=bucket, Key=f"a/{index}", Body=b"1")
        s3.delete_object(Bucket=bucket, Key=f"a/{index}")
    assert stack.destroy() in ("gone", "DELETE_COMPLETE")


def test_a_provider_of_the_app_runs_and_its_failure_is_told_at_once(emulator: Running, stack: Stack) -> None:
    code = """
import json, urllib.request
def handler(event, context):
    properties = event["ResourceProperties"]
    if properties["how"] == "raise":
        raise KeyError("broken provider")
    answer = {"Status": "FAILED" if properties["how"] == "fail" else "SUCCESS", "Reason": "as asked",
              "PhysicalResourceId": properties.get("id", "one"), "StackId": event["StackId"], "RequestId": event["RequestId"],
              "LogicalResourceId": event["LogicalResourceId"], "Data": {"said": event["RequestType"] + properties["flag"]}}
    request = urllib.request.Request(event["ResponseURL"], data=json.dumps(answer).encode(), method="PUT")
    urllib.request.urlopen(request)
"""

    def template(how: str) -> dict[str, Any]:
        function = {
            "Handler": "index.handler",
            "Runtime": "python3.12",
            "Code": {"ZipFile": code},
            "Role": {"Fn::GetAtt": ["Role", "Arn"]},
        }
        properties = {"ServiceToken": {"Fn::GetAtt": ["Own", "Arn"]}, "how": how, "flag": True}
        return {
            "Role": role_resource(allow("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents")),
            "Own": {"Type": "AWS::Lambda::Function", "Properties": function},
            "Mine": {"Type": "Custom::Mine", "Properties": properties},
        }

    outputs = stack.deploy(template("well"), {"Said": {"Fn::GetAtt": ["Mine", "said"]}})
    assert outputs["Said"] == "Createtrue"
    for how, reason in (("fail", "as asked"), ("raise", "KeyError")):
        started = time.monotonic()
        with pytest.raises(AssertionError, match=f"UPDATE_ROLLBACK_COMPLETE.*{reason}"):
            stack.deploy(template(how))
        assert time.monotonic() - started < 30


# --- events -------------------------------------------------------------------------------------------------------------


def test_objects_tell_their_version_and_rules_deliver_what_they_may(emulator: Running, stack: Stack) -> None:
    pattern = {
        "source": ["aws.s3"],
        "detail": {"bucket": {"name": [{"Ref": "Bucket"}]}, "object": {"key": [{"prefix": "raw/"}]}},
    }
    allowed = {
        "Queues": [{"Ref": "Open"}, {"Ref": "Dead"}],
        "PolicyDocument": {
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "events.amazonaws.com"},
                    "Action": "sqs:SendMessage",
                    "Resource": "*",
                }
            ]
        },
    }
    targets: list[dict[str, Any]] = [
        {"Id": name, "Arn": {"Fn::GetAtt": [name, "Arn"]}} for name in ("Open", "Closed")
    ]
    targets[1]["DeadLetterConfig"] = {"Arn": {"Fn::GetAtt": ["Dead", "Arn"]}}
    stack.deploy(
        {
            "Bucket": {
                "Type": "AWS::S3::Bucket",
                "Properties": {
                    "VersioningConfiguration": {"Status": "Enabled"},
                    "NotificationConfiguration": {"EventBridgeConfiguration": {"EventBridgeEnabled": True}},
                },
            },
            "Open": {"Type": "AWS::SQS::Queue"},
            "Closed": {"Type": "AWS::SQS::Queue"},
            "Dead": {"Type": "AWS::SQS::Queue"},
            "May": {"Type": "AWS::SQS::QueuePolicy", "Properties": allowed},
            "Rule": {
                "Type": "AWS::Events::Rule",
                "Properties": {"EventPattern": pattern, "Targets": targets},
            },
        }
    )
    s3, sqs = emulator.client("s3"), emulator.client("sqs")
    ask(emulator, "faults", {"kind": "duplicate-event", "rule": stack.physical("Rule").split("|")[-1]})
    bucket = stack.physical("Bucket")
    s3.put_object(Bucket=bucket, Key="other/x", Body=b"1")
    version = s3.put_object(Bucket=bucket, Key="raw/x", Body=b"22")["VersionId"]
    found: list[dict[str, Any]] = []
    until = time.monotonic() + 10
    while len(found) < 2 and time.monotonic() < until:
        found += sqs.receive_message(QueueUrl=stack.physical("Open"), MaxNumberOfMessages=10).get(
            "Messages", []
        )
    objects = [json.loads(message["Body"])["detail"]["object"] for message in found]
    assert [(o["key"], o["version-id"], o["size"]) for o in objects] == [("raw/x", version, 2)] * 2, (
        "delivered twice, as asked"
    )
    assert objects[0]["etag"] and objects[0]["sequencer"]
    assert not sqs.receive_message(QueueUrl=stack.physical("Closed")).get("Messages")
    assert [
        d
        for d in ask(emulator, "report")["denials"]
        if d["action"] == "sqs:SendMessage" and "Closed" in d["resource"]
    ]
    (dead,) = sqs.receive_message(QueueUrl=stack.physical("Dead"), MessageAttributeNames=["All"])["Messages"]
    assert json.loads(dead["Body"])["detail"]["object"]["key"] == "raw/x"
    assert dead["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_PERMISSIONS"


def test_topics_deliver_only_to_queues_that_let_them(emulator: Running, stack: Stack) -> None:
    statement: dict[str, Any] = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"}
    statement["Principal"] = {"Service": "sns.amazonaws.com"}
    statement["Condition"] = {"ArnEquals": {"aws:SourceArn": {"Ref": "Topic"}}}
    may = {"Queues": [{"Ref": "Open"}], "PolicyDocument": {"Statement": [statement]}}
    resources: dict[str, Any] = {"Topic": {"Type": "AWS::SNS::Topic"}}
    resources["May"] = {"Type": "AWS::SQS::QueuePolicy", "Properties": may}
    for name in ("Open", "Closed"):
        resources[name] = {"Type": "AWS::SQS::Queue"}
        wanted = {"TopicArn": {"Ref": "Topic"}, "Protocol": "sqs", "Endpoint": {"Fn::GetAtt": [name, "Arn"]}}
        resources[f"To{name}"] = {"Type": "AWS::SNS::Subscription", "Properties": wanted}
    stack.deploy(resources)
    emulator.client("sns").publish(TopicArn=stack.physical("Topic"), Message="hello")
    sqs = emulator.client("sqs")
    (message,) = sqs.receive_message(QueueUrl=stack.physical("Open"))["Messages"]
    assert json.loads(message["Body"])["Message"] == "hello"
    assert not sqs.receive_message(QueueUrl=stack.physical("Closed")).get("Messages")


def test_grants_may_depend_on_what_is_sent(emulator: Running, stack: Stack) -> None:
    def only(action: str, key: str, value: str) -> dict[str, Any]:
        return {**allow(action), "Condition": {"StringEquals": {key: value}}}

    stack.deploy(
        {
            "Sender": role_resource(
                only("events:PutEvents", "events:source", "mine"),
                only("cloudwatch:PutMetricData", "cloudwatch:namespace", "Mine"),
            )
        }
    )
    client = acting_as(emulator, stack.physical("Sender"))
    entry = {"DetailType": "d", "Detail": "{}"}
    assert client("events").put_events(Entries=[{**entry, "Source": "mine"}])["FailedEntryCount"] == 0
    refused(lambda: client("events").put_events(Entries=[{**entry, "Source": "other"}]))
    both = [{**entry, "Source": "mine"}, {**entry, "Source": "other"}]
    refused(lambda: client("events").put_events(Entries=both))
    data = [{"MetricName": "m", "Value": 1.0}]
    client("cloudwatch").put_metric_data(Namespace="Mine", MetricData=data)
    refused(lambda: client("cloudwatch").put_metric_data(Namespace="Other", MetricData=data))


def test_grants_on_a_table_may_be_for_some_partitions(emulator: Running, stack: Stack) -> None:
    actions = [
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:UpdateItem",
        "dynamodb:DeleteItem",
        "dynamodb:Query",
    ]
    ours = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["ours"]}}
    stack.deploy(
        {
            "Table": {
                "Type": "AWS::DynamoDB::Table",
                "Properties": {
                    "AttributeDefinitions": [
                        {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")
                    ],
                    "KeySchema": [
                        {"AttributeName": "pk", "KeyType": "HASH"},
                        {"AttributeName": "sk", "KeyType": "RANGE"},
                    ],
                    "BillingMode": "PAY_PER_REQUEST",
                },
            },
            "Reader": role_resource(
                {
                    "Effect": "Allow",
                    "Action": actions,
                    "Resource": {"Fn::GetAtt": ["Table", "Arn"]},
                    "Condition": ours,
                }
            ),
        }
    )
    client = acting_as(emulator, stack.physical("Reader"))("dynamodb")
    table = stack.physical("Table")

    def each(partition: str) -> list[Callable[[], Any]]:
        key = {"pk": {"S": partition}, "sk": {"S": "a"}}
        query = {
            "ExpressionAttributeNames": {"#p": "pk"},
            "ExpressionAttributeValues": {":v": {"S": partition}},
        }
        return [
            lambda: client.put_item(TableName=table, Item={**key, "x": {"N": "1"}}),
            lambda: client.update_item(TableName=table, Key=key, UpdateExpression="REMOVE x"),
            lambda: client.get_item(TableName=table, Key=key),
            lambda: client.query(TableName=table, KeyConditionExpression="#p = :v", **query),
            lambda: client.delete_item(TableName=table, Key=key),
        ]

    for call in each("ours"):
        call()
    for call in each("theirs"):
        refused(call)


# --- HTTP APIs ----------------------------------------------------------------------------------------------------------


def test_an_api_answers_preflight_and_writes_access_logs(emulator: Running, stack: Stack) -> None:
    cors = {
        "AllowOrigins": ["https://app.example"],
        "AllowMethods": ["GET"],
        "AllowHeaders": ["authorization"],
        "MaxAge": 300,
    }
    log = {
        "DestinationArn": {"Fn::GetAtt": ["Log", "Arn"]},
        "Format": '{"status":"$context.status","route":"$context.routeKey"}',
    }
    outputs = stack.deploy(
        {
            "Log": {"Type": "AWS::Logs::LogGroup"},
            "Api": {
                "Type": "AWS::ApiGatewayV2::Api",
                "Properties": {"Name": "a", "ProtocolType": "HTTP", "CorsConfiguration": cors},
            },
            "Stage": {
                "Type": "AWS::ApiGatewayV2::Stage",
                "Properties": {
                    "ApiId": {"Ref": "Api"},
                    "StageName": "$default",
                    "AutoDeploy": True,
                    "AccessLogSettings": log,
                },
            },
        },
        {"Url": {"Fn::GetAtt": ["Api", "ApiEndpoint"]}},
    )
    headers = {"Origin": "https://app.example", "Access-Control-Request-Method": "GET"}
    request = urllib.request.Request(f"{outputs['Url']}/any", method="OPTIONS", headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 204 and answer.headers["Access-Control-Allow-Origin"] == "https://app.example"
        assert answer.headers["Access-Control-Max-Age"] == "300"
    with pytest.raises(urllib.error.HTTPError) as missing:
        urllib.request.urlopen(f"{outputs['Url']}/any", timeout=10)
    assert missing.value.code == 404
    logs, group = emulator.client("logs"), stack.physical("Log")
    messages = [event["message"] for event in logs.filter_log_events(logGroupName=group)["events"]]
    assert [json.loads(message)["status"] for message in messages] == ["204", "404"]


def test_a_permissions_boundary_limits_what_a_role_may(emulator: Running, stack: Stack) -> None:
    boundary = {
        "Type": "AWS::IAM::ManagedPolicy",
        "Properties": {
            "PolicyDocument": {"Version": "2012-10-17", "Statement": [allow("s3:List*", "sqs:ListQueues")]}
        },
    }
    limited = role_resource(allow("s3:ListAllMyBuckets", "sns:ListTopics"))
    limited["Properties"]["PermissionsBoundary"] = {"Ref": "Boundary"}
    elsewhere = role_resource(allow("sns:ListTopics"))
    elsewhere["Properties"]["PermissionsBoundary"] = f"arn:aws:iam::{ACCOUNT}:policy/OfTheTeam"
    stack.deploy({"Boundary": boundary, "Limited": limited, "Elsewhere": elsewhere})
    acting = acting_as(emulator, stack.physical("Limited"))
    acting("s3").list_buckets()
    with pytest.raises(ClientError, match="not authorized"):
        acting("sns").list_topics()
    with pytest.raises(ClientError, match="not authorized"):
        acting("sqs").list_queues()
    denied = [
        d["message"] for d in emulator.report()["denials"] if stack.physical("Limited") in d["principal"]
    ]
    assert any("no permissions boundary allows the sns:ListTopics action" in message for message in denied)
    assert any("no identity-based policy allows the sqs:ListQueues action" in message for message in denied)
    acting_as(emulator, stack.physical("Elsewhere"))("sns").list_topics()
    reasons = [e["why"] for e in emulator.report()["notRehearsed"] if e["logicalId"] == "Elsewhere"]
    assert len(reasons) == 1 and "OfTheTeam is not part of the app" in reasons[0]
    without = {**limited, "Properties": {**limited["Properties"]}}
    del without["Properties"]["PermissionsBoundary"]
    stack.deploy({"Boundary": boundary, "Limited": without})
    acting_as(emulator, stack.physical("Limited"))("sns").list_topics()


# --- control and process ------------------------------------------------------------------------------------------------


def test_control_routes_refuse_what_they_do_not_know(emulator: Running) -> None:
    assert ask(emulator, "health") == {"status": "ok", "account": ACCOUNT, "region": "us-east-1"}
    last = ask(emulator, "notes?since=0")["notes"][-1]["seq"]
    assert ask(emulator, f"notes?since={last}") == {"notes": []}
    for route, body, status in (
        ("nothing", None, 404),
        ("notes?since=x", None, 400),
        ("faults", {"kind": "fire"}, 400),
        ("faults", {"kind": "duplicate-event", "colour": "red"}, 400),
        ("health", {}, 405),
    ):
        with pytest.raises(urllib.error.HTTPError) as caught:
            ask(emulator, route, body)
        assert caught.value.code == status, route


def launch(work: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "emulator", "--work", str(work), *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(PACKAGE), os.environ.get("PYTHONPATH", "")])},
        cwd=work.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_taken_port_is_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = launch(tmp_path / "w", "--port", str(port))
        out, error = process.communicate(timeout=60)
    assert process.returncode == 3 and out == ""
    assert error.strip() == f"port {port} is taken by another program: pass --port with a free one"
    assert not (tmp_path / "w").exists()


def test_it_ends_with_its_parent_and_leaves_nothing(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    process = launch(
        tmp_path / "w", "--parent-pid", str(parent.pid), "--region", "eu-west-1", "--account", "123456789012"
    )
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())
    assert (ready["region"], ready["account"]) == ("eu-west-1", "123456789012")
    keys = ready["credentials"]["123456789012"]
    identity = boto3.client(
        "sts",
        endpoint_url=ready["endpoint"],
        region_name="eu-west-1",
        aws_access_key_id=keys["accessKeyId"],
        aws_secret_access_key=keys["secretAccessKey"],
    ).get_caller_identity()
    assert identity["Account"] == "123456789012"
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert process.wait(30) == 0
    assert list(tmp_path.iterdir()) == []


def test_what_a_function_started_ends_with_the_emulator(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    code = f"""
import pathlib, subprocess, time
def handler(event, context):
    pathlib.Path({str(told)!r}).write_text(str(subprocess.Popen(["sleep", "600"]).pid))
    time.sleep(60)
"""
    with Running() as running:
        role = json.dumps({"Statement": [PERSON]})
        arn = running.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=role)["Role"]["Arn"]
        running.function("slow", arn, code, Timeout=90)
        running.client("lambda").invoke(FunctionName="slow", InvocationType="Event")
        until = time.monotonic() + 30
        while not (told.exists() and told.read_text()) and time.monotonic() < until:
            time.sleep(0.05)
        started = time.monotonic()
        running.process.terminate()
        assert running.process.wait(20) == 0
        assert time.monotonic() - started < 7, "the command line waits 8 s"
    with pytest.raises(ProcessLookupError):
        os.kill(int(told.read_text()), 0)


def test_ministack_is_as_it_was_when_this_was_written() -> None:
    assert contract.check() == []
