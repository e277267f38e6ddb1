"""Customer keys: who uses what they protect needs permission on the key, from the caller's policies and the key's own."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator.ministack.test_core import Stack, acting_as, ask
from emulator.ministack.testing import ACCOUNT, Running

ROOT = f"arn:aws:iam::{ACCOUNT}:root"
Clients = Callable[[str], Any]


@pytest.fixture(scope="module")
def emulator() -> Iterator[Running]:
    with Running() as running:
        yield running


def key_policy(*principals: str, action: str | list[str] = "kms:*", **more: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Principal": {"AWS": list(principals)}, "Action": action, "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [{**statement, **more}]}


def new_key(emulator: Running, policy: dict[str, Any]) -> str:
    made = emulator.client("kms").create_key(Policy=json.dumps(policy))
    return str(made["KeyMetadata"]["Arn"])


@pytest.fixture(scope="module")
def key(emulator: Running) -> str:
    """A key as the CDK makes it: its policy leaves the decision to the account's IAM policies."""
    return new_key(emulator, key_policy(ROOT))


@pytest.fixture(scope="module")
def bucket(emulator: Running, key: str) -> str:
    """A bucket whose default encryption is with that key; it holds `in`."""
    return new_bucket(emulator, key)


def new_bucket(emulator: Running, key: str, **rule: Any) -> str:
    name = f"b-{uuid.uuid4().hex[:12]}"
    s3 = emulator.client("s3")
    s3.create_bucket(Bucket=name)
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    rules = [{"ApplyServerSideEncryptionByDefault": default, **rule}]
    s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": rules})
    s3.put_object(Bucket=name, Key="in", Body=b"1")
    return name


def role_with(emulator: Running, *grants: tuple[list[str], str]) -> Clients:
    name = f"r-{uuid.uuid4().hex[:12]}"
    emulator.role(name, "lambda", *grants)
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": ROOT}, "Action": "sts:AssumeRole"}],
    }
    emulator.client("iam").update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(trust))
    return acting_as(emulator, name)


def refused(action: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        action()
    error = caught.value.response["Error"]
    return str(error["Code"]), str(error["Message"])


EVERYTHING_IN_S3 = (["s3:*"], "*")


class TestObjects:
    def test_reading_needs_decrypt(self, emulator: Running, bucket: str, key: str) -> None:
        s3 = role_with(emulator, EVERYTHING_IN_S3, (["kms:GenerateDataKey*"], key))("s3")
        code, message = refused(lambda: s3.get_object(Bucket=bucket, Key="in"))
        assert code == "AccessDenied"
        assert message.startswith(f"User: arn:aws:sts::{ACCOUNT}:assumed-role/r-")
        assert message.endswith(
            f"is not authorized to perform: kms:Decrypt on resource: {key} because no identity-based policy"
            " allows the kms:Decrypt action"
        )
        allowed = role_with(emulator, EVERYTHING_IN_S3, (["kms:Decrypt"], key))("s3")
        assert allowed.get_object(Bucket=bucket, Key="in")["Body"].read() == b"1"
        assert s3.head_object(Bucket=bucket, Key="in")["ContentLength"] == 1
        assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] >= 1

    def test_writing_needs_a_data_key_and_an_upload_in_parts_decrypt_too(
        self, emulator: Running, bucket: str, key: str
    ) -> None:
        reads = role_with(emulator, EVERYTHING_IN_S3, (["kms:Decrypt"], key))("s3")
        assert (
            "kms:GenerateDataKey on"
            in refused(lambda: reads.put_object(Bucket=bucket, Key="x", Body=b"1"))[1]
        )
        writes = role_with(emulator, EVERYTHING_IN_S3, (["kms:GenerateDataKey*"], key))("s3")
        writes.put_object(Bucket=bucket, Key="x", Body=b"1")
        assert (
            "kms:Decrypt on" in refused(lambda: writes.create_multipart_upload(Bucket=bucket, Key="parts"))[1]
        )
        upload = reads.create_multipart_upload
        assert "kms:GenerateDataKey on" in refused(lambda: upload(Bucket=bucket, Key="parts"))[1]
        started = emulator.client("s3").create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
        part = {"Bucket": bucket, "Key": "parts", "UploadId": started, "PartNumber": 1, "Body": b"1"}
        assert "kms:Decrypt on" in refused(lambda: writes.upload_part(**part))[1]

    def test_a_copy_needs_both_sides(self, emulator: Running, bucket: str, key: str) -> None:
        other_key = new_key(emulator, key_policy(ROOT))
        other = new_bucket(emulator, other_key)
        grants = {"kms:Decrypt": key, "kms:GenerateDataKey": other_key}
        source = {"Bucket": bucket, "Key": "in"}
        for missing in grants:
            given = [([action], resource) for action, resource in grants.items() if action != missing]
            s3 = role_with(emulator, EVERYTHING_IN_S3, *given)("s3")
            message = refused(lambda s3=s3: s3.copy_object(Bucket=other, Key="c", CopySource=source))[1]
            assert f"{missing} on resource: {grants[missing]}" in message
        both = role_with(emulator, EVERYTHING_IN_S3, *[([a], r) for a, r in grants.items()])("s3")
        both.copy_object(Bucket=other, Key="c", CopySource=source)

    def test_the_key_of_the_request_counts_before_that_of_the_bucket(
        self, emulator: Running, bucket: str, key: str
    ) -> None:
        own = new_key(emulator, key_policy(ROOT))
        s3 = role_with(emulator, EVERYTHING_IN_S3, (["kms:*"], key))("s3")
        named = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": own}
        assert own in refused(lambda: s3.put_object(Bucket=bucket, Key="own", Body=b"1", **named))[1]
        no_key = role_with(emulator, EVERYTHING_IN_S3)("s3")
        for without in ({"ServerSideEncryption": "AES256"}, {"ServerSideEncryption": "aws:kms"}):
            no_key.put_object(Bucket=bucket, Key="plain", Body=b"1", **without)
            assert no_key.get_object(Bucket=bucket, Key="plain")["Body"].read() == b"1"

    def test_a_version_is_read_with_the_key_that_it_was_written_with(
        self, emulator: Running, bucket: str, key: str
    ) -> None:
        admin = emulator.client("s3")
        versioned = new_bucket(emulator, key)
        admin.put_bucket_versioning(Bucket=versioned, VersioningConfiguration={"Status": "Enabled"})
        old = admin.put_object(Bucket=versioned, Key="v", Body=b"1")["VersionId"]
        admin.put_object(Bucket=versioned, Key="v", Body=b"2", ServerSideEncryption="AES256")
        s3 = role_with(emulator, EVERYTHING_IN_S3)("s3")
        assert s3.get_object(Bucket=versioned, Key="v")["Body"].read() == b"2"
        assert "kms:Decrypt" in refused(lambda: s3.get_object(Bucket=versioned, Key="v", VersionId=old))[1]

    def test_a_presigned_request_is_that_of_its_signer(self, emulator: Running, bucket: str) -> None:
        import urllib.error
        import urllib.request

        s3 = role_with(emulator, EVERYTHING_IN_S3)("s3")
        url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "in"})
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(url)
        assert caught.value.code == 403 and b"kms:Decrypt" in caught.value.read()

    def test_grants_count_as_exercised_and_refusals_are_recorded(self, emulator: Running, key: str) -> None:
        denials = ask(emulator, "report")["denials"]
        assert {"kms:Decrypt", "kms:GenerateDataKey"} <= {entry["action"] for entry in denials}
        assert key in {entry["resource"] for entry in denials}

    def test_conditions_of_the_service_and_the_encryption_context(self, emulator: Running, key: str) -> None:
        one_key = new_bucket(emulator, key, BucketKeyEnabled=True)
        by_object = new_bucket(emulator, key)

        def reads(bucket: str, **conditions: dict[str, str]) -> str:
            clients = role_with(emulator, EVERYTHING_IN_S3)
            name = clients("sts").get_caller_identity()["Arn"].split("/")[1]
            statement = {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": key, "Condition": conditions}
            emulator.client("iam").put_role_policy(
                RoleName=name,
                PolicyName="key",
                PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
            )
            try:
                clients("s3").get_object(Bucket=bucket, Key="in")
            except ClientError:
                return "refused"
            return "read"

        assert reads(one_key, StringEquals={"kms:ViaService": "s3.us-east-1.amazonaws.com"}) == "read"
        assert reads(one_key, StringEquals={"kms:ViaService": "sqs.us-east-1.amazonaws.com"}) == "refused"
        context = "kms:EncryptionContext:aws:s3:arn"
        assert reads(one_key, StringEquals={context: f"arn:aws:s3:::{one_key}"}) == "read"
        assert reads(by_object, StringEquals={context: f"arn:aws:s3:::{by_object}/in"}) == "read"
        assert reads(by_object, StringEquals={context: f"arn:aws:s3:::{by_object}"}) == "refused"


class TestKeyPolicy:
    def test_a_policy_that_does_not_name_the_account_decides_alone(self, emulator: Running) -> None:
        clients = role_with(emulator, EVERYTHING_IN_S3, (["kms:*"], "*"))
        name = clients("sts").get_caller_identity()["Arn"].split("/")[1]
        named = f"arn:aws:iam::{ACCOUNT}:role/{name}"
        closed = new_key(emulator, key_policy(f"arn:aws:iam::{ACCOUNT}:role/someone"))
        message = refused(lambda: clients("s3").get_object(Bucket=new_bucket(emulator, closed), Key="in"))[1]
        assert message.endswith("because no resource-based policy allows the kms:Decrypt action")
        without = role_with(emulator, EVERYTHING_IN_S3)
        name = without("sts").get_caller_identity()["Arn"].split("/")[1]
        named = f"arn:aws:iam::{ACCOUNT}:role/{name}"
        opened = new_key(emulator, key_policy(named, action="kms:Decrypt"))
        bucket = new_bucket(emulator, opened)
        assert without("s3").get_object(Bucket=bucket, Key="in")["Body"].read() == b"1"
        assert (
            "kms:GenerateDataKey"
            in refused(lambda: without("s3").put_object(Bucket=bucket, Key="x", Body=b"1"))[1]
        )

    def test_a_denial_of_the_key_policy_wins(self, emulator: Running) -> None:
        policy = key_policy(ROOT)
        policy["Statement"] += key_policy("*", action="kms:Decrypt", Effect="Deny")["Statement"]
        bucket = new_bucket(emulator, new_key(emulator, policy))
        s3 = role_with(emulator, EVERYTHING_IN_S3, (["kms:*"], "*"))("s3")
        message = refused(lambda: s3.get_object(Bucket=bucket, Key="in"))[1]
        assert "kms:Decrypt" in message and "explicit deny in a resource-based policy" in message

    def test_an_alias_names_its_key(self, emulator: Running, key: str) -> None:
        emulator.client("kms").create_alias(AliasName="alias/mine", TargetKeyId=key)
        bucket = new_bucket(emulator, "alias/mine")
        s3 = role_with(emulator, EVERYTHING_IN_S3)("s3")
        assert f"kms:Decrypt on resource: {key}" in refused(lambda: s3.get_object(Bucket=bucket, Key="in"))[1]

    def test_of_a_key_of_somebody_else_only_the_callers_policies_are_seen(self, emulator: Running) -> None:
        theirs = "arn:aws:kms:us-east-1:111122223333:key/0d1d2d3d-0000-4000-8000-000000000000"
        bucket = new_bucket(emulator, theirs)
        s3 = role_with(emulator, EVERYTHING_IN_S3)("s3")
        assert theirs in refused(lambda: s3.get_object(Bucket=bucket, Key="in"))[1]
        allowed = role_with(emulator, EVERYTHING_IN_S3, (["kms:Decrypt"], theirs))("s3")
        allowed.get_object(Bucket=bucket, Key="in")
        (told,) = [entry for entry in ask(emulator, "report")["notRehearsed"] if entry["logicalId"] == theirs]
        assert "policy cannot be seen" in told["why"]


class TestQueuesTopicsAndTables:
    def test_a_queue(self, emulator: Running, key: str) -> None:
        url = emulator.client("sqs").create_queue(QueueName="locked", Attributes={"KmsMasterKeyId": key})[
            "QueueUrl"
        ]
        everything = (["sqs:*"], "*")
        entries = [{"Id": "1", "MessageBody": "m"}]
        for missing, given in (
            ("kms:GenerateDataKey", "kms:Decrypt"),
            ("kms:Decrypt", "kms:GenerateDataKey"),
        ):
            sqs = role_with(emulator, everything, ([given], key))("sqs")
            code, message = refused(lambda sqs=sqs: sqs.send_message(QueueUrl=url, MessageBody="m"))
            assert missing in message and key in message and code.lower() == "kmsaccessdenied"
            assert (
                missing in refused(lambda sqs=sqs: sqs.send_message_batch(QueueUrl=url, Entries=entries))[1]
            )
        sends = role_with(emulator, everything, (["kms:GenerateDataKey*", "kms:Decrypt"], key))("sqs")
        sends.send_message(QueueUrl=url, MessageBody="m")
        none = role_with(emulator, everything)("sqs")
        assert "kms:Decrypt" in refused(lambda: none.receive_message(QueueUrl=url))[1]
        receives = role_with(emulator, everything, (["kms:Decrypt"], key))("sqs")
        (message,) = receives.receive_message(QueueUrl=url)["Messages"]
        none.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    def test_a_topic(self, emulator: Running, key: str) -> None:
        arn = emulator.client("sns").create_topic(Name="locked", Attributes={"KmsMasterKeyId": key})[
            "TopicArn"
        ]
        sns = role_with(emulator, (["sns:*"], "*"))("sns")
        code, message = refused(lambda: sns.publish(TopicArn=arn, Message="m"))
        assert code == "KMSAccessDenied" and f"kms:GenerateDataKey on resource: {key}" in message
        entries = [{"Id": "1", "Message": "m"}]
        batch = refused(lambda: sns.publish_batch(TopicArn=arn, PublishBatchRequestEntries=entries))
        assert "kms:GenerateDataKey" in batch[1]
        both = (["kms:GenerateDataKey", "kms:Decrypt"], key)
        role_with(emulator, (["sns:*"], "*"), both)("sns").publish(TopicArn=arn, Message="m")

    def test_a_service_needs_the_key_policy(self, emulator: Running) -> None:
        topic = emulator.client("sns").create_topic(Name="source")["TopicArn"]
        sqs = emulator.client("sqs")
        service = {"Service": "sns.amazonaws.com"}
        may = {"Effect": "Allow", "Principal": service, "Action": "sqs:SendMessage", "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [may]})
        received: dict[str, int] = {}
        for name, principal in (("closed", {"AWS": ROOT}), ("open", service)):
            statement = {"Effect": "Allow", "Principal": principal, "Action": "kms:*", "Resource": "*"}
            key = new_key(emulator, {"Version": "2012-10-17", "Statement": [statement]})
            attributes = {"KmsMasterKeyId": key, "Policy": policy}
            url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
            arn = f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}"
            emulator.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
            received[name] = 0
        emulator.client("sns").publish(TopicArn=topic, Message="m")
        for name in received:
            url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
            received[name] = len(sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages", []))
        assert received == {"closed": 0, "open": 1}
        denials = [entry["message"] for entry in ask(emulator, "report")["denials"]]
        assert any(
            "sns.amazonaws.com (for source)" in text and "kms:GenerateDataKey" in text for text in denials
        )

    def test_a_table(self, emulator: Running, key: str) -> None:
        emulator.client("dynamodb").create_table(
            TableName="locked",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key},
        )
        item = {"id": {"S": "1"}}
        table = role_with(emulator, (["dynamodb:*"], "*"))("dynamodb")
        put = {"Put": {"TableName": "locked", "Item": item}}
        for call in (
            lambda: table.get_item(TableName="locked", Key=item),
            lambda: table.put_item(TableName="locked", Item=item),
            lambda: table.query(
                TableName="locked",
                KeyConditionExpression="id = :id",
                ExpressionAttributeValues={":id": {"S": "1"}},
            ),
            lambda: table.batch_get_item(RequestItems={"locked": {"Keys": [item]}}),
            lambda: table.transact_write_items(TransactItems=[put]),
        ):
            code, message = refused(call)
            assert code == "AccessDeniedException" and f"kms:Decrypt on resource: {key}" in message
        assert table.describe_table(TableName="locked")["Table"]["TableName"] == "locked"
        allowed = role_with(emulator, (["dynamodb:*"], "*"), (["kms:Decrypt"], key))("dynamodb")
        allowed.put_item(TableName="locked", Item=item)


def test_templates_name_the_keys(emulator: Running) -> None:
    stack = Stack(emulator, "encrypted")
    key = {"Fn::GetAtt": ["Key", "Arn"]}
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    table = {
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
    }
    replica = {"Region": "us-east-1", "SSESpecification": {"KMSMasterKeyId": key}}
    resources: dict[str, Any] = {
        "Key": {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": key_policy(ROOT)}},
        "Bucket": {
            "Type": "AWS::S3::Bucket",
            "Properties": {
                "BucketEncryption": {
                    "ServerSideEncryptionConfiguration": [{"ServerSideEncryptionByDefault": default}]
                }
            },
        },
        "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"KmsMasterKeyId": key}},
        "Topic": {"Type": "AWS::SNS::Topic", "Properties": {"KmsMasterKeyId": key}},
        "Table": {
            "Type": "AWS::DynamoDB::Table",
            "Properties": {
                **table,
                "SSESpecification": {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": key},
            },
        },
        "Global": {
            "Type": "AWS::DynamoDB::GlobalTable",
            "Properties": {
                **table,
                "SSESpecification": {"SSEEnabled": True, "SSEType": "KMS"},
                "Replicas": [replica],
            },
        },
    }
    stack.deploy(resources)
    names = {name: stack.physical(name) for name in resources}
    everything = (["s3:*", "sqs:*", "sns:*", "dynamodb:*"], "*")
    clients = role_with(emulator, everything)
    item = {"id": {"S": "1"}}
    calls: dict[str, Callable[[], Any]] = {
        "Bucket": lambda: clients("s3").put_object(Bucket=names["Bucket"], Key="x", Body=b"1"),
        "Queue": lambda: clients("sqs").send_message(QueueUrl=names["Queue"], MessageBody="m"),
        "Topic": lambda: clients("sns").publish(TopicArn=names["Topic"], Message="m"),
        "Table": lambda: clients("dynamodb").put_item(TableName=names["Table"], Item=item),
        "Global": lambda: clients("dynamodb").put_item(TableName=names["Global"], Item=item),
    }
    for call in calls.values():
        assert f":key/{names['Key']} because no identity-based policy allows" in refused(call)[1]
    del resources["Bucket"]["Properties"]["BucketEncryption"]
    del resources["Topic"]["Properties"]["KmsMasterKeyId"]
    stack.deploy(resources)
    calls["Bucket"]()
    calls["Topic"]()
    told = [
        entry["type"] for entry in ask(emulator, "report")["notRehearsed"] if entry["stack"] == "encrypted"
    ]
    assert told == []
    clients("s3").delete_object(Bucket=names["Bucket"], Key="x")
    assert stack.destroy() in ("DELETE_COMPLETE", "gone")
