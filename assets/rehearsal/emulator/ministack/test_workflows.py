"""State machines and functions against a running emulator."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from emulator.ministack.testing import ACCOUNT, Running, task

PYTHON = """
class OutOfStock(Exception):
    pass
def handler(event, context):
    if event.get("raise"):
        raise OutOfStock("none left of " + event["raise"])
    if event.get("exit"):
        import os
        os._exit(3)
    if event.get("sleep"):
        import time
        time.sleep(event["sleep"])
    handler.calls = getattr(handler, "calls", 0) + 1
    return {"calls": handler.calls}
"""
NODE = """
class NotReady extends Error { constructor(m) { super(m); this.name = 'NotReady'; } }
let calls = 0;
exports.handler = async (event) => {
  calls += 1;
  if (event.fail > calls) throw new NotReady('call ' + calls);
  if (event.text) throw 'only text';
  return { calls };
};
"""


@pytest.fixture(scope="module")
def emulator() -> Iterator[Running]:
    with Running() as running:
        role = running.role("Functions", "lambda")
        running.function("python-one", role, PYTHON, Timeout=2)
        running.function("node-one", role, NODE, runtime="nodejs22.x")
        running.function("node-two", role, NODE, runtime="nodejs22.x")
        running.function("broken", role, "import pandas\ndef handler(e, c): pass")
        invoke = (["lambda:InvokeFunction"], f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:*")
        running.role("Invoker", "states", invoke)
        running.role("Nobody", "states")
        yield running


def role(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"


def function(name: str) -> str:
    return f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}"


class TestFunctions:
    def invoke(
        self, emulator: Running, name: str, event: Any, who: str = "Invoker", **more: Any
    ) -> dict[str, Any]:
        definition = task("lambda:invoke", {"FunctionName": function(name), "Payload": event}, **more)
        return emulator.execute(emulator.machine(f"m{len(emulator.notes())}", role(who), definition))

    def test_python_error_keeps_its_name_and_the_process_survives(self, emulator: Running) -> None:
        before = self.invoke(emulator, "python-one", {})["output"]["Payload"]["calls"]
        failed = self.invoke(emulator, "python-one", {"raise": "shells"})
        assert (failed["status"], failed["error"]) == ("FAILED", "OutOfStock")
        assert json.loads(failed["cause"])["errorMessage"] == "none left of shells"
        assert self.invoke(emulator, "python-one", {})["output"]["Payload"]["calls"] == before + 1

    def test_retry_on_a_named_node_error_matches(self, emulator: Running) -> None:
        retry = [{"ErrorEquals": ["NotReady"], "IntervalSeconds": 30, "MaxAttempts": 5}]
        done = self.invoke(emulator, "node-one", {"fail": 3}, Retry=retry)
        assert done["output"]["Payload"]["calls"] == 3
        assert emulator.notes("wait"), "a shortened pause is told"

    def test_text_thrown_in_node_is_a_string(self, emulator: Running) -> None:
        assert self.invoke(emulator, "node-two", {"text": True})["error"] == "string"

    def test_catch_by_name(self, emulator: Running) -> None:
        definition = task(
            "lambda:invoke", {"FunctionName": function("python-one"), "Payload": {"raise": "x"}}
        )
        definition["States"]["Only"]["Catch"] = [
            {"ErrorEquals": ["OutOfStock"], "Next": "Caught", "ResultPath": "$.error"}
        ]
        definition["States"]["Caught"] = {"Type": "Succeed"}
        assert (
            emulator.execute(emulator.machine("catch", role("Invoker"), definition))["output"]["error"][
                "Error"
            ]
            == "OutOfStock"
        )

    def test_timeout(self, emulator: Running) -> None:
        failed = self.invoke(emulator, "python-one", {"sleep": 5})
        assert failed["error"] == "Sandbox.Timedout" and "2.00 seconds" in failed["cause"]

    def test_process_that_exits(self, emulator: Running) -> None:
        assert self.invoke(emulator, "python-one", {"exit": True})["error"] == "Runtime.ExitError"

    def test_library_that_was_not_bundled(self, emulator: Running) -> None:
        failed = self.invoke(emulator, "broken", {})
        assert failed["error"] == "Runtime.ImportModuleError" and "pandas" in failed["cause"]

    def test_fails_when_the_role_may_not_invoke(self, emulator: Running) -> None:
        failed = self.invoke(emulator, "python-one", {}, who="Nobody")
        assert failed["error"] == "Lambda.AWSLambdaException"
        assert "assumed-role/Nobody/" in failed["cause"] and "lambda:InvokeFunction" in failed["cause"]
        assert function("python-one") in failed["cause"]
        assert any(d["action"] == "lambda:InvokeFunction" for d in emulator.report()["denials"])

    def test_fails_when_the_function_of_a_token_task_may_not_be_invoked(self, emulator: Running) -> None:
        parameters = {"FunctionName": function("python-one"), "Payload": {"token.$": "$$.Task.Token"}}
        definition = task("lambda:invoke.waitForTaskToken", parameters)
        failed = emulator.execute(emulator.machine("token", role("Nobody"), definition), seconds=20)
        assert failed["error"] == "Lambda.AWSLambdaException"

    def test_async_failure_through_the_api_tells_the_name(self, emulator: Running) -> None:
        answer = emulator.client("lambda").invoke(
            FunctionName="python-one", Payload=json.dumps({"raise": "y"})
        )
        assert answer["FunctionError"] == "Unhandled"
        assert json.loads(answer["Payload"].read())["errorType"] == "OutOfStock"


@pytest.fixture(scope="module")
def things(emulator: Running) -> None:
    emulator.client("s3").create_bucket(Bucket="shelf")
    emulator.client("s3").put_object(Bucket="shelf", Key="a", Body=b"hello")
    emulator.client("dynamodb").create_table(
        TableName="stock",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    emulator.client("sns").create_topic(Name="news")
    emulator.client("sqs").create_queue(QueueName="letters")
    emulator.role(
        "Reader",
        "states",
        (["s3:GetObject", "s3:ListBucket", "s3:PutObject"], ["arn:aws:s3:::shelf", "arn:aws:s3:::shelf/*"]),
        (["dynamodb:PutItem", "dynamodb:GetItem"], f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/stock"),
        (["sns:Publish"], f"arn:aws:sns:us-east-1:{ACCOUNT}:news"),
        (["sqs:SendMessage"], f"arn:aws:sqs:us-east-1:{ACCOUNT}:letters"),
        (["events:PutEvents"], f"arn:aws:events:us-east-1:{ACCOUNT}:event-bus/default"),
        (["sagemaker:DescribeEndpoint"], f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:endpoint/*"),
    )


@pytest.mark.usefixtures("things")
class TestSdkTasks:
    def call(self, emulator: Running, resource: str, parameters: Any, who: str = "Reader") -> dict[str, Any]:
        name = f"c{len(emulator.notes())}"
        return emulator.execute(emulator.machine(name, role(who), task(resource, parameters)))

    def test_s3_object(self, emulator: Running) -> None:
        found = self.call(emulator, "aws-sdk:s3:getObject", {"Bucket": "shelf", "Key": "a"})
        assert found["output"]["Body"] == "hello" and found["output"]["ContentLength"] == 5

    def test_s3_put_object_writes_json(self, emulator: Running) -> None:
        self.call(emulator, "aws-sdk:s3:putObject", {"Bucket": "shelf", "Key": "b", "Body": {"x": 1}})
        body = emulator.client("s3").get_object(Bucket="shelf", Key="b")["Body"].read()
        assert json.loads(body) == {"x": 1}

    def test_missing_key_is_named_as_the_java_sdk_names_it(self, emulator: Running) -> None:
        failed = self.call(emulator, "aws-sdk:s3:getObject", {"Bucket": "shelf", "Key": "none"})
        assert (
            failed["error"] == "S3.NoSuchKeyException" and "(Service: S3, Status Code: 404" in failed["cause"]
        )

    def test_missing_endpoint_is_the_base_exception(self, emulator: Running) -> None:
        failed = self.call(emulator, "aws-sdk:sagemaker:describeEndpoint", {"EndpointName": "none"})
        assert (
            failed["error"] == "SageMaker.SageMakerException" and "Could not find endpoint" in failed["cause"]
        )

    def test_fails_when_the_role_may_not(self, emulator: Running) -> None:
        failed = self.call(emulator, "aws-sdk:sagemaker:deleteEndpoint", {"EndpointName": "none"})
        assert failed["error"] == "SageMaker.SageMakerException"
        assert "sagemaker:DeleteEndpoint" in failed["cause"] and "assumed-role/Reader/" in failed["cause"]

    def test_dynamodb_round_trip_and_condition(self, emulator: Running) -> None:
        item = {"id": {"S": "1"}, "n": {"N": "2"}}
        assert (
            self.call(emulator, "dynamodb:putItem", {"TableName": "stock", "Item": item})["status"]
            == "SUCCEEDED"
        )
        got = self.call(emulator, "dynamodb:getItem", {"TableName": "stock", "Key": {"id": {"S": "1"}}})
        assert got["output"]["Item"] == item
        once = {"TableName": "stock", "Item": item, "ConditionExpression": "attribute_not_exists(id)"}
        assert (
            self.call(emulator, "dynamodb:putItem", once)["error"]
            == "DynamoDB.ConditionalCheckFailedException"
        )
        assert (
            self.call(emulator, "aws-sdk:dynamodb:putItem", once)["error"]
            == "DynamoDb.ConditionalCheckFailedException"
        )

    def test_fails_when_dynamodb_is_not_granted(self, emulator: Running) -> None:
        failed = self.call(
            emulator, "dynamodb:putItem", {"TableName": "stock", "Item": {"id": {"S": "2"}}}, who="Nobody"
        )
        assert failed["error"] == "DynamoDB.AmazonDynamoDBException" and "dynamodb:PutItem" in failed["cause"]

    def test_message_objects_become_json(self, emulator: Running) -> None:
        topic = f"arn:aws:sns:us-east-1:{ACCOUNT}:news"
        assert self.call(emulator, "sns:publish", {"TopicArn": topic, "Message": {"a": 1}})["output"][
            "MessageId"
        ]
        queue = emulator.client("sqs").get_queue_url(QueueName="letters")["QueueUrl"]
        self.call(emulator, "sqs:sendMessage", {"QueueUrl": queue, "MessageBody": {"a": 1}})
        assert json.loads(emulator.client("sqs").receive_message(QueueUrl=queue)["Messages"][0]["Body"]) == {
            "a": 1
        }

    def test_events(self, emulator: Running) -> None:
        entry = {"Source": "shop", "DetailType": "sold", "Detail": {"a": 1}}
        assert (
            self.call(emulator, "events:putEvents", {"Entries": [entry]})["output"]["FailedEntryCount"] == 0
        )
        assert (
            "events:PutEvents"
            in self.call(emulator, "events:putEvents", {"Entries": [entry]}, who="Nobody")["cause"]
        )

    def test_names_are_checked(self, emulator: Running) -> None:
        failed = self.call(emulator, "aws-sdk:s3:getObjekt", {"Bucket": "shelf"})
        assert "did you mean getObject" in failed["cause"]
        failed = self.call(emulator, "aws-sdk:s3:getObject", {"Buckett": "shelf", "Key": "a"})
        assert '"Buckett"' in failed["cause"] and "did you mean Bucket" in failed["cause"]
        failed = self.call(emulator, "aws-sdk:sagemakr:describeEndpoint", {})
        assert "did you mean sagemaker" in failed["cause"]
        failed = self.call(emulator, "aws-sdk:s3:getObject", {"Bucket": "shelf"})
        assert (
            failed["error"] == "States.Runtime" and "could not be used to start the Task" in failed["cause"]
        )


class TestLanguage:
    def test_nested_execution_needs_its_grants(self, emulator: Running) -> None:
        child = emulator.machine(
            "child",
            role("Nobody"),
            {"StartAt": "P", "States": {"P": {"Type": "Pass", "Result": {"a": 1}, "End": True}}},
        )
        events = (
            f"arn:aws:events:us-east-1:{ACCOUNT}:rule/StepFunctionsGetEventsForStepFunctionsExecutionRule"
        )
        start = (["states:StartExecution"], child)
        watch = (
            ["states:DescribeExecution", "states:StopExecution"],
            child.replace("stateMachine", "execution") + ":*",
        )
        rule = (["events:PutTargets", "events:PutRule", "events:DescribeRule"], events)
        emulator.role("Parent", "states", start, watch, rule)
        emulator.role("HalfParent", "states", start)
        definition = task("states:startExecution.sync:2", {"StateMachineArn": child, "Input": {}})
        assert emulator.execute(emulator.machine("p1", role("Parent"), definition))["output"]["Output"] == {
            "a": 1
        }
        assert (
            "states:DescribeExecution"
            in emulator.execute(emulator.machine("p2", role("HalfParent"), definition))["cause"]
        )
        assert (
            "states:StartExecution"
            in emulator.execute(emulator.machine("p3", role("Nobody"), definition))["cause"]
        )

    def test_roles_hold_in_map_parallel_and_with_timeouts(self, emulator: Running) -> None:
        call = task("lambda:invoke", {"FunctionName": function("python-one"), "Payload": {}})
        for name, state in {
            "map": {"Type": "Map", "ItemsPath": "$.items", "ItemProcessor": call, "End": True},
            "parallel": {"Type": "Parallel", "Branches": [call, call], "End": True},
            "timed": {**call["States"]["Only"], "TimeoutSeconds": 20},
        }.items():
            definition = {"StartAt": "S", "States": {"S": state}}
            assert (
                emulator.execute(
                    emulator.machine(f"{name}-yes", role("Invoker"), definition), {"items": [1, 2]}
                )["status"]
                == "SUCCEEDED"
            )
            denied = emulator.execute(
                emulator.machine(f"{name}-no", role("Nobody"), definition), {"items": [1, 2]}
            )
            assert denied["error"] == "Lambda.AWSLambdaException", name

    def test_roles_hold_in_a_distributed_map(self, emulator: Running) -> None:
        call = task("lambda:invoke", {"FunctionName": function("python-one"), "Payload": {}})
        processor = {**call, "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}}
        state = {"Type": "Map", "ItemsPath": "$.items", "ItemProcessor": processor, "End": True}
        definition = {"StartAt": "S", "States": {"S": state}}
        assert (
            emulator.execute(emulator.machine("dist-yes", role("Invoker"), definition), {"items": [1, 2]})[
                "status"
            ]
            == "SUCCEEDED"
        )
        assert (
            emulator.execute(emulator.machine("dist-no", role("Nobody"), definition), {"items": [1]})[
                "status"
            ]
            == "FAILED"
        )

    def test_jsonata_and_intrinsics(self, emulator: Running) -> None:
        state = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": True}
        state["Arguments"] = {
            "FunctionName": function("python-one"),
            "Payload": "{% {'raise': $states.input.what} %}",
        }
        state["Catch"] = [
            {
                "ErrorEquals": ["OutOfStock"],
                "Next": "C",
                "Output": {"was": "{% $parse($states.errorOutput.Cause).errorType %}"},
            }
        ]
        definition = {
            "QueryLanguage": "JSONata",
            "StartAt": "S",
            "States": {"S": state, "C": {"Type": "Succeed"}},
        }
        assert emulator.execute(emulator.machine("jsonata", role("Invoker"), definition), {"what": "x"})[
            "output"
        ] == {"was": "OutOfStock"}
        parameters = {
            "id.$": "States.Format('{}-{}', $.a, States.ArrayGetItem(States.StringSplit($.b, '/'), 1))",
            "n.$": "States.MathAdd($.n, 1)",
        }
        steps = {"P": {"Type": "Pass", "Parameters": parameters, "End": True}}
        made = emulator.execute(
            emulator.machine("intrinsic", role("Nobody"), {"StartAt": "P", "States": steps}),
            {"a": "x", "b": "p/q", "n": 1},
        )
        assert made["output"] == {"id": "x-q", "n": 2}

    def test_result_selector_and_path(self, emulator: Running) -> None:
        more = {"ResultSelector": {"n.$": "$.Payload.calls"}, "ResultPath": "$.function"}
        definition = task("lambda:invoke", {"FunctionName": function("node-two"), "Payload": {}}, **more)
        made = emulator.execute(emulator.machine("select", role("Invoker"), definition), {"keep": True})
        assert made["output"]["keep"] is True and made["output"]["function"]["n"] >= 1

    def test_a_long_wait_is_short_and_told(self, emulator: Running) -> None:
        definition = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 600, "End": True}}}
        assert (
            emulator.execute(emulator.machine("wait", role("Nobody"), definition), seconds=5)["status"]
            == "SUCCEEDED"
        )
        assert any(note["seconds"] == 600 for note in emulator.notes("wait"))

    def test_history_and_notes_name_the_failed_state(self, emulator: Running) -> None:
        definition = task(
            "lambda:invoke", {"FunctionName": function("python-one"), "Payload": {"raise": "z"}}
        )
        failed = emulator.execute(emulator.machine("history", role("Invoker"), definition))
        events = emulator.client("stepfunctions").get_execution_history(
            executionArn=failed["executionArn"], reverseOrder=True
        )["events"]
        assert events[0]["executionFailedEventDetails"]["error"] == "OutOfStock"
        assert any(event.get("stateEnteredEventDetails", {}).get("name") == "Only" for event in events)
        told = [
            note for note in emulator.notes("execution-failed") if note["execution"] == failed["executionArn"]
        ]
        assert told[0]["state"] == "Only" and told[0]["error"] == "OutOfStock"
