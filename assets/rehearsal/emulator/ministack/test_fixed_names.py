"""What a stack retained keeps its name: the next stack that wants the name fails, as on AWS."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from emulator.ministack.testing import Running


@pytest.fixture(scope="module")
def emulator() -> Iterator[Running]:
    with Running() as running:
        yield running


TABLE = {
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [{"AttributeName": "a", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "a", "KeyType": "HASH"}],
}


def create(emulator: Running, stack: str, resource: dict[str, Any]) -> tuple[str, str]:
    """Status and reasons of a stack of one resource."""
    stacks = emulator.client("cloudformation")
    body = json.dumps({"Resources": {"Kept": resource}})
    stacks.create_stack(StackName=stack, TemplateBody=body, Capabilities=["CAPABILITY_NAMED_IAM"])
    until = time.monotonic() + 20
    while True:
        status = stacks.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
        if not status.endswith("IN_PROGRESS"):
            break
        assert time.monotonic() < until, status
        time.sleep(0.1)
    events = stacks.describe_stack_events(StackName=stack)["StackEvents"]
    return status, " ".join(str(event.get("ResourceStatusReason")) for event in events)


@pytest.mark.parametrize(
    "kind,member,more",
    [
        ("AWS::DynamoDB::Table", "TableName", TABLE),
        ("AWS::Logs::LogGroup", "LogGroupName", {}),
        ("AWS::SQS::Queue", "QueueName", {}),
        ("AWS::SNS::Topic", "TopicName", {}),
        ("AWS::SageMaker::ModelPackageGroup", "ModelPackageGroupName", {}),
    ],
)
def test_fails_when_the_name_is_taken(
    emulator: Running, kind: str, member: str, more: dict[str, Any]
) -> None:
    name = kind.rsplit("::", 1)[-1]
    resource = {"Type": kind, "Properties": {member: name, **more}, "DeletionPolicy": "Retain"}
    assert create(emulator, f"first-{name}", resource)[0] == "CREATE_COMPLETE"
    stacks = emulator.client("cloudformation")
    stacks.delete_stack(StackName=f"first-{name}")
    stacks.get_waiter("stack_delete_complete").wait(StackName=f"first-{name}", WaiterConfig={"Delay": 1})
    status, reasons = create(emulator, f"second-{name}", resource)
    assert status == "ROLLBACK_COMPLETE" and "already exists" in reasons and name in reasons
    # Of another name, it is created: the check is for the whole name.
    resource["Properties"][member] = name[1:]
    assert create(emulator, f"third-{name}", resource)[0] == "CREATE_COMPLETE"
