"""Several accounts and regions in one emulator: what is of one is not of the other, and between accounts both sides must permit."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from emulator.ministack.testing import Running

ONE, TWO = "111111111111", "222222222222"


@pytest.fixture(scope="module")
def emulator() -> Iterator[Running]:
    with Running(ONE, TWO) as running:
        yield running


def trusted_by(account: str) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
        "Action": "sts:AssumeRole",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def allowing(action: str, resource: str) -> str:
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def assumed(emulator: Running, role: str, account: str) -> Any:
    """Clients with a session of the role, which the root user of that account assumes."""
    keys = emulator.client("sts", account).assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    config = Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1})

    def client(service: str) -> Any:
        return boto3.client(  # type: ignore[call-overload]
            service,
            endpoint_url=emulator.endpoint,
            region_name="us-east-1",
            config=config,
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["SessionToken"],
        )

    return client


def test_each_account_has_an_administrator_of_its_own(emulator: Running) -> None:
    for account in (ONE, TWO):
        caller = emulator.client("sts", account).get_caller_identity()
        assert (caller["Account"], caller["Arn"]) == (account, f"arn:aws:iam::{account}:root")
    assert emulator.credentials[ONE] != emulator.credentials[TWO]


def test_roles_of_the_same_name_are_other_roles(emulator: Running) -> None:
    emulator.client("iam", ONE).create_role(RoleName="same", AssumeRolePolicyDocument=trusted_by(ONE))
    with pytest.raises(ClientError, match="NoSuchEntity"):
        emulator.client("iam", TWO).get_role(RoleName="same")
    made = emulator.client("iam", TWO).create_role(RoleName="same", AssumeRolePolicyDocument=trusted_by(TWO))
    assert made["Role"]["Arn"] == f"arn:aws:iam::{TWO}:role/same"
    emulator.client("iam", ONE).put_role_policy(
        RoleName="same", PolicyName="own", PolicyDocument=allowing("sqs:CreateQueue", "*")
    )
    assumed(emulator, f"arn:aws:iam::{ONE}:role/same", ONE)("sqs").create_queue(QueueName="one")
    with pytest.raises(ClientError, match="AccessDenied"):
        assumed(emulator, f"arn:aws:iam::{TWO}:role/same", TWO)("sqs").create_queue(QueueName="two")


def test_sagemaker_is_one_of_each_account_and_region(emulator: Running) -> None:
    places = [(ONE, "us-east-1"), (TWO, "us-east-1"), (ONE, "eu-west-1")]
    for account, region in places:
        made = emulator.client("sagemaker", account, region).create_model_package_group(
            ModelPackageGroupName="group"
        )
        assert (
            made["ModelPackageGroupArn"] == f"arn:aws:sagemaker:{region}:{account}:model-package-group/group"
        )
    emulator.client("sagemaker", TWO).delete_model_package_group(ModelPackageGroupName="group")
    left = emulator.client("sagemaker", ONE).list_model_package_groups()["ModelPackageGroupSummaryList"]
    assert len(left) == 1


def test_another_account_needs_both_policies(emulator: Running) -> None:
    bucket, iam = "shared-between-accounts", emulator.client("iam", TWO)
    emulator.client("s3", ONE).create_bucket(Bucket=bucket)
    emulator.client("s3", ONE).put_object(Bucket=bucket, Key="model", Body=b"1")
    role = iam.create_role(RoleName="reader", AssumeRolePolicyDocument=trusted_by(TWO))["Role"]["Arn"]

    def read() -> bytes:
        body: bytes = assumed(emulator, role, TWO)("s3").get_object(Bucket=bucket, Key="model")["Body"].read()
        return body

    iam.put_role_policy(
        RoleName="reader",
        PolicyName="own",
        PolicyDocument=allowing("s3:GetObject", f"arn:aws:s3:::{bucket}/*"),
    )
    with pytest.raises(ClientError, match="AccessDenied"):
        read()
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": role},
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{bucket}/*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    emulator.client("s3", ONE).put_bucket_policy(Bucket=bucket, Policy=policy)
    assert read() == b"1"
    iam.delete_role_policy(RoleName="reader", PolicyName="own")
    with pytest.raises(ClientError, match="AccessDenied"):
        read()


def test_the_key_of_another_account_must_permit_too(emulator: Running) -> None:
    iam = emulator.client("iam", TWO)
    role = iam.create_role(RoleName="decrypter", AssumeRolePolicyDocument=trusted_by(TWO))["Role"]["Arn"]
    key = emulator.client("kms", ONE).create_key()["KeyMetadata"]
    iam.put_role_policy(
        RoleName="decrypter", PolicyName="own", PolicyDocument=allowing("kms:Encrypt", key["Arn"])
    )

    def encrypt() -> Any:
        return assumed(emulator, role, TWO)("kms").encrypt(KeyId=key["Arn"], Plaintext=b"1")

    with pytest.raises(ClientError, match="AccessDenied"):
        encrypt()
    statements = [
        {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{ONE}:root"},
            "Action": "kms:*",
            "Resource": "*",
        },
        {"Effect": "Allow", "Principal": {"AWS": role}, "Action": "kms:Encrypt", "Resource": "*"},
    ]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    emulator.client("kms", ONE).put_key_policy(KeyId=key["KeyId"], PolicyName="default", Policy=policy)
    assert encrypt()["KeyId"] == key["Arn"]


def test_what_is_left_is_told_of_every_account_and_region(emulator: Running) -> None:
    template = json.dumps(
        {
            "Resources": {
                "Topic": {
                    "Type": "AWS::SNS::Topic",
                    "DeletionPolicy": "Retain",
                    "Properties": {"TopicName": "kept"},
                }
            }
        }
    )
    for account, region in [(ONE, "us-east-1"), (TWO, "eu-west-1")]:
        client = emulator.client("cloudformation", account, region)
        client.create_stack(StackName="left", TemplateBody=template)
        client.get_waiter("stack_create_complete").wait(StackName="left", WaiterConfig={"Delay": 1})
        client.delete_stack(StackName="left")
        client.get_waiter("stack_delete_complete").wait(StackName="left", WaiterConfig={"Delay": 1})
    kept = [entry["id"] for entry in emulator.ask("leftovers")["leftovers"] if entry["kind"] == "topic"]
    assert kept == [f"arn:aws:sns:us-east-1:{ONE}:kept", f"arn:aws:sns:eu-west-1:{TWO}:kept"]


def test_an_api_is_found_by_whoever_does_not_sign(emulator: Running) -> None:
    apis = emulator.client("apigatewayv2", TWO)
    api = apis.create_api(Name="open", ProtocolType="HTTP")["ApiId"]
    apis.create_stage(ApiId=api, StageName="$default", AutoDeploy=True)
    with pytest.raises(urllib.error.HTTPError) as answer:
        urllib.request.urlopen(f"{emulator.endpoint}/_aws/execute-api/{api}/x")
    missing = answer.value.read()
    with pytest.raises(urllib.error.HTTPError) as answer:
        urllib.request.urlopen(f"{emulator.endpoint}/_aws/execute-api/none/x")
    # API Gateway itself answers for a route that the API lacks; the words differ where there is no API.
    assert (missing, answer.value.read()) == (b'{"message":"Not Found"}', b'{"message": "Not Found"}')


def test_what_exists_outside_of_the_app_is_made_once_and_is_not_left_over(emulator: Running) -> None:
    things: list[dict[str, Any]] = [
        {"kind": "bucket", "id": "team-raw-data"},
        {"kind": "role", "id": "team-role", "path": "/team/", "trusted": [ONE]},
        {"kind": "policy", "id": "team-boundary", "document": json.loads(allowing("s3:*", "*"))},
        {"kind": "key", "id": "1234abcd-12ab-34cd-56ef-1234567890ab"},
        {"kind": "topic", "id": "team-topic"},
        {"kind": "queue", "id": "team-queue.fifo"},
        {"kind": "repository", "id": "team/image"},
        {"kind": "parameter", "id": "/team/parameter", "value": "7"},
        {
            "kind": "vpc",
            "id": "vpc-0team",
            "cidr": "10.1.0.0/16",
            "subnets": [{"id": "subnet-0team", "cidr": "10.1.1.0/24", "zone": "eu-west-1a"}],
        },
        {"kind": "hosted zone", "id": "Z0TEAM", "name": "example.org"},
    ]
    request = {"account": TWO, "region": "eu-west-1", "things": things}
    assert emulator.ask("outside", request)["made"] == things
    assert emulator.ask("outside", request)["made"] == []

    def client(service: str) -> Any:
        return emulator.client(service, TWO, "eu-west-1")

    arn = f"arn:aws:kms:eu-west-1:{TWO}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    assert client("kms").encrypt(KeyId=arn, Plaintext=b"1")["KeyId"] == arn
    assert client("s3").get_bucket_location(Bucket="team-raw-data")["LocationConstraint"] == "eu-west-1"
    assert (
        client("iam").get_role(RoleName="team-role")["Role"]["Arn"]
        == f"arn:aws:iam::{TWO}:role/team/team-role"
    )
    assert client("ssm").get_parameter(Name="/team/parameter")["Parameter"]["Value"] == "7"
    (subnet,) = client("ec2").describe_subnets(SubnetIds=["subnet-0team"])["Subnets"]
    assert (subnet["VpcId"], subnet["AvailabilityZone"]) == ("vpc-0team", "eu-west-1a")
    client("ec2").create_security_group(GroupName="any", Description="any", VpcId="vpc-0team")
    assert client("route53").get_hosted_zone(Id="Z0TEAM")["HostedZone"]["Name"] == "example.org."
    left = [entry["id"] for entry in emulator.ask("leftovers")["leftovers"] if "team" in entry["id"]]
    assert left == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"things": [{"kind": "castle", "id": "x"}]}, "kinds are bucket.*not castle"),
        ({"account": "999999999999"}, "999999999999 is not an account of this run"),
        ({"things": [{"kind": "parameter", "id": "/x"}]}, "KeyError: 'value'"),
    ],
)
def test_a_wrong_request_says_what_is_right(emulator: Running, change: dict[str, Any], message: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as answer:
        emulator.ask("outside", {"account": ONE, "region": "us-east-1", "things": [], **change})
    assert answer.value.code == 400
    assert re.search(message, answer.value.read().decode())
