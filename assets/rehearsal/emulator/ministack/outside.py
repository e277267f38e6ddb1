"""Makes what an app refers to and does not make: buckets, roles, keys, topics, queues, parameters, policies, networks.

A team's account has them; the emulator begins empty. They are made as an account would have them by default, by the
name or id that the app refers to, and are not counted as left over.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from ministack.core import responses
from ministack.services import ec2, kms, route53

from emulator.host import ApiError
from emulator.ministack.emulator import Emulator

__all__ = ["KINDS", "make"]

Thing = Mapping[str, Any]
SERVICES = (
    "cloudformation",
    "sagemaker",
    "lambda",
    "glue",
    "states",
    "events",
    "ec2",
    "scheduler",
    "codebuild",
)
"""Services that may assume a role from outside: whose it was meant to be cannot be seen."""


def make(emulator: Emulator, account: str, region: str, things: list[Thing]) -> list[Thing]:
    """Makes what is not there yet, and gives it back. Not to be called from the thread of the event loop."""
    unknown = sorted({str(thing.get("kind")) for thing in things} - set(KINDS))
    if unknown:
        raise ApiError("ValidationException", f"kinds are {', '.join(KINDS)}, not {', '.join(unknown)}")
    if account not in emulator.settings.administrators:
        raise ApiError("ValidationException", f"{account} is not an account of this run")
    host = emulator.host.at(account, region)
    host.enter()
    made = [thing for thing in things if KINDS[thing["kind"]](host.client, thing)]
    emulator.outside.update((account, str(thing["id"])) for thing in made)
    return made


def _bucket(client: Callable[[str], Any], thing: Thing) -> bool:
    s3 = client("s3")
    try:
        s3.head_bucket(Bucket=thing["id"])
        return False
    except s3.exceptions.ClientError as error:
        if error.response["Error"]["Code"] not in ("404", "NoSuchBucket"):
            return False  # it belongs to another account of the app
    place = {"LocationConstraint": responses.get_region()}
    s3.create_bucket(
        Bucket=thing["id"],
        **({} if responses.get_region() == "us-east-1" else {"CreateBucketConfiguration": place}),
    )
    return True


def _role(client: Callable[[str], Any], thing: Thing) -> bool:
    """`trusted`: accounts that may assume it. `administrator`: it may do everything, as the roles of a bootstrap."""
    iam = client("iam")
    name, path = thing["id"], thing.get("path") or "/"
    principals = {
        "AWS": [f"arn:aws:iam::{account}:root" for account in thing.get("trusted", [])],
        "Service": [f"{service}.amazonaws.com" for service in SERVICES],
    }
    trust = {
        "Effect": "Allow",
        "Principal": {kind: who for kind, who in principals.items() if who},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
    }
    try:
        iam.create_role(
            RoleName=name,
            Path=path,
            AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
        )
    except iam.exceptions.EntityAlreadyExistsException:
        return False
    if thing.get("administrator"):
        iam.attach_role_policy(RoleName=name, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    return True


def _policy(client: Callable[[str], Any], thing: Thing) -> bool:
    iam = client("iam")
    try:
        iam.create_policy(
            PolicyName=thing["id"],
            Path=thing.get("path") or "/",
            PolicyDocument=json.dumps(thing["document"]),
        )
    except iam.exceptions.EntityAlreadyExistsException:
        return False
    return True


def _key(client: Callable[[str], Any], thing: Thing) -> bool:
    """With the policy that KMS gives by default: the account decides."""
    if kms._keys.get(thing["id"]):
        return False
    made = client("kms").create_key()["KeyMetadata"]
    record = kms._keys.pop(made["KeyId"])
    record["Arn"] = record["Arn"].replace(made["KeyId"], thing["id"])
    record["KeyId"] = thing["id"]
    kms._keys[thing["id"]] = record
    return True


def _topic(client: Callable[[str], Any], thing: Thing) -> bool:
    sns = client("sns")
    arns = {topic["TopicArn"] for topic in sns.list_topics()["Topics"]}
    if any(arn.endswith(f":{thing['id']}") for arn in arns):
        return False
    sns.create_topic(Name=thing["id"], **_fifo(thing, "FifoTopic"))
    return True


def _queue(client: Callable[[str], Any], thing: Thing) -> bool:
    sqs = client("sqs")
    try:
        sqs.get_queue_url(QueueName=thing["id"])
        return False
    except sqs.exceptions.ClientError:
        sqs.create_queue(QueueName=thing["id"], **_fifo(thing, "FifoQueue"))
        return True


def _fifo(thing: Thing, attribute: str) -> dict[str, Any]:
    return {"Attributes": {attribute: "true"}} if str(thing["id"]).endswith(".fifo") else {}


def _repository(client: Callable[[str], Any], thing: Thing) -> bool:
    ecr = client("ecr")
    try:
        ecr.create_repository(repositoryName=thing["id"])
    except ecr.exceptions.RepositoryAlreadyExistsException:
        return False
    return True


def _parameter(client: Callable[[str], Any], thing: Thing) -> bool:
    ssm = client("ssm")
    try:
        ssm.get_parameter(Name=thing["id"])
        return False
    except ssm.exceptions.ParameterNotFound:
        ssm.put_parameter(Name=thing["id"], Value=str(thing["value"]), Type="String")
        return True


def _vpc(client: Callable[[str], Any], thing: Thing) -> bool:
    """`subnets`: id, block and zone of each."""
    if thing["id"] in ec2._vpcs:
        return False
    made = client("ec2").create_vpc(CidrBlock=thing["cidr"])["Vpc"]["VpcId"]
    for store in (ec2._vpcs, ec2._route_tables, ec2._network_acls, ec2._security_groups):
        for record in store.values():
            if record.get("VpcId") == made:
                record["VpcId"] = thing["id"]
    ec2._vpcs[thing["id"]] = ec2._vpcs.pop(made)
    for subnet in thing["subnets"]:
        place = {"CidrBlock": subnet["cidr"], "AvailabilityZone": subnet["zone"]}
        temporary = client("ec2").create_subnet(VpcId=thing["id"], **place)["Subnet"]["SubnetId"]
        record = ec2._subnets.pop(temporary)
        record["SubnetId"] = subnet["id"]
        ec2._subnets[subnet["id"]] = record
    return True


def _hosted_zone(client: Callable[[str], Any], thing: Thing) -> bool:
    if thing["id"] in route53._zones:
        return False
    zones = client("route53")
    made = zones.create_hosted_zone(Name=thing["name"], CallerReference=thing["id"])["HostedZone"]["Id"]
    temporary = made.rsplit("/", 1)[-1]
    record = route53._zones.pop(temporary)
    record["id"] = thing["id"]
    route53._zones[thing["id"]] = record
    route53._records[thing["id"]] = route53._records.pop(temporary)
    route53._caller_refs[thing["id"]] = thing["id"]
    return True


KINDS: Mapping[str, Callable[[Callable[[str], Any], Thing], bool]] = {
    "bucket": _bucket,
    "role": _role,
    "policy": _policy,
    "key": _key,
    "topic": _topic,
    "queue": _queue,
    "repository": _repository,
    "parameter": _parameter,
    "vpc": _vpc,
    "hosted zone": _hosted_zone,
}
"""How each kind is made; False where it is there already."""
