"""Alarms through the API: dimensions, periods, metric math, actions under the target's policy, events, templates."""

from __future__ import annotations

import json
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from emulator.ministack.testing import ACCOUNT, Running


@pytest.fixture(scope="module")
def emulator() -> Iterator[Running]:
    with Running(REHEARSAL_SECONDS_PER_MINUTE="2") as running:
        yield running


def put(emulator: Running, name: str, **changes: Any) -> None:
    """An alarm on the sum of App/Errors of production being above 2."""
    of_one = {
        "Namespace": "App",
        "MetricName": "Errors",
        "Dimensions": [{"Name": "Stage", "Value": "prod"}],
        "Statistic": "Sum",
        "Period": 60,
    }
    request = {
        "AlarmName": name,
        **({} if "Metrics" in changes else of_one),
        "EvaluationPeriods": 1,
        "Threshold": 2,
        "ComparisonOperator": "GreaterThanThreshold",
        **changes,
    }
    emulator.client("cloudwatch").put_metric_alarm(**{key: v for key, v in request.items() if v is not None})


def measure(emulator: Running, value: float, minutes_ago: float = 0, **changes: Any) -> None:
    moment = datetime.now(timezone.utc) - timedelta(minutes=minutes_ago)
    datum = {
        "MetricName": "Errors",
        "Dimensions": [{"Name": "Stage", "Value": "prod"}],
        "Value": value,
        "Timestamp": moment,
        **changes,
    }
    emulator.client("cloudwatch").put_metric_data(Namespace="App", MetricData=[datum])


def described(emulator: Running, name: str) -> dict[str, Any]:
    answer = emulator.client("cloudwatch").describe_alarms(
        AlarmNames=[name], AlarmTypes=["MetricAlarm", "CompositeAlarm"]
    )
    found = answer["MetricAlarms"] + answer["CompositeAlarms"]
    return dict(found[0])


def wait_for(emulator: Running, name: str, state: str, seconds: float = 12) -> dict[str, Any]:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        alarm = described(emulator, name)
        if alarm["StateValue"] == state:
            return alarm
        time.sleep(0.1)
    raise AssertionError(f"{name} is {alarm['StateValue']} and not {state}: {alarm['StateReason']}")


def queue(emulator: Running, name: str, policy: dict[str, Any] | None = None) -> str:
    attributes = {"Policy": json.dumps(policy)} if policy else {}
    url = emulator.client("sqs").create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    return str(url)


def allow(service: str, action: str, resource: str) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": action, "Resource": resource}
    return {"Version": "2012-10-17", "Statement": [statement]}


def received(emulator: Running, url: str, seconds: float = 10) -> dict[str, Any]:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = emulator.client("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages", [])
        if found:
            emulator.client("sqs").delete_message(QueueUrl=url, ReceiptHandle=found[0]["ReceiptHandle"])
            return dict(json.loads(found[0]["Body"]))
    raise AssertionError(f"no message in {url}")


def test_initial_state_then_alarm_and_back(emulator: Running) -> None:
    put(emulator, "simple", DatapointsToAlarm=1)
    alarm = described(emulator, "simple")
    assert (alarm["StateValue"], alarm["StateReason"]) == (
        "INSUFFICIENT_DATA",
        "Unchecked: Initial alarm creation",
    )
    measure(emulator, 9, Dimensions=[{"Name": "Stage", "Value": "test"}])
    measure(emulator, 3)
    alarm = wait_for(emulator, "simple", "ALARM")
    assert "1 out of the last 1 datapoints [3.0 (" in alarm["StateReason"]
    assert json.loads(alarm["StateReasonData"])["recentDatapoints"] == [3.0]
    # No more data: the evaluation range runs empty.
    wait_for(emulator, "simple", "INSUFFICIENT_DATA")
    history = emulator.client("cloudwatch").describe_alarm_history(
        AlarmName="simple", HistoryItemType="StateUpdate"
    )["AlarmHistoryItems"]
    states = {json.loads(entry["HistoryData"])["newState"]["stateValue"] for entry in history}
    assert states == {"ALARM", "INSUFFICIENT_DATA"}


def test_other_dimensions_do_not_count(emulator: Running) -> None:
    put(emulator, "apart", Dimensions=[{"Name": "Stage", "Value": "none"}], TreatMissingData="notBreaching")
    measure(emulator, 99)
    wait_for(emulator, "apart", "OK")
    measure(emulator, 99)
    time.sleep(4.5)  # two played minutes
    assert described(emulator, "apart")["StateValue"] == "OK"


def test_the_age_of_data_is_kept(emulator: Running) -> None:
    own = [{"Name": "Stage", "Value": "aged"}]
    for minutes in (3.2, 2.2, 1.2):
        measure(emulator, 5, minutes, Dimensions=own)
    put(emulator, "aged", Dimensions=own, EvaluationPeriods=3, DatapointsToAlarm=3)
    wait_for(emulator, "aged", "ALARM")


def test_metric_math(emulator: Running) -> None:
    def stat(name: str) -> dict[str, Any]:
        return {"Metric": {"Namespace": "App", "MetricName": name}, "Period": 60, "Stat": "Sum"}

    metrics = [
        {"Id": "rate", "Expression": "100 * errors / FILL(calls, 1)", "Label": "Rate"},
        {"Id": "errors", "MetricStat": stat("Failures"), "ReturnData": False},
        {"Id": "calls", "MetricStat": stat("Calls"), "ReturnData": False},
    ]
    put(emulator, "math", Metrics=metrics, Threshold=50)
    measure(emulator, 6, MetricName="Failures", Dimensions=[])
    measure(emulator, 10, MetricName="Calls", Dimensions=[])
    alarm = wait_for(emulator, "math", "ALARM")
    assert "60.0 (" in alarm["StateReason"]
    assert alarm["Metrics"][0] == {**metrics[0], "ReturnData": True}
    assert "MetricName" not in alarm and "Period" not in alarm


def test_what_is_not_evaluated_is_said(emulator: Running) -> None:
    metrics = [
        {"Id": "band", "Expression": "ANOMALY_DETECTION_BAND(m1)"},
        {
            "Id": "m1",
            "MetricStat": {"Metric": {"Namespace": "App", "MetricName": "E"}, "Period": 60, "Stat": "Sum"},
        },
    ]
    put(
        emulator,
        "band",
        Metrics=metrics,
        ThresholdMetricId="band",
        Threshold=None,
        ComparisonOperator="GreaterThanUpperThreshold",
    )
    assert any("alarm band: anomaly" in note["message"] for note in emulator.notes("not-rehearsed"))
    assert described(emulator, "band")["StateValue"] == "INSUFFICIENT_DATA"


@pytest.mark.parametrize("changes", [{"DatapointsToAlarm": 2}, {"Period": 61}, {"Statistic": None}])
def test_fails_when_the_definition_is_wrong(emulator: Running, changes: dict[str, Any]) -> None:
    with pytest.raises(ClientError) as caught:
        put(emulator, "wrong", **changes)
    assert caught.value.response["Error"]["Code"] == "ValidationError"
    assert not emulator.client("cloudwatch").describe_alarms(AlarmNames=["wrong"])["MetricAlarms"]


def test_topics_get_a_message_when_their_policy_permits_it(emulator: Running) -> None:
    sns = emulator.client("sns")
    topic = sns.create_topic(Name="told")["TopicArn"]
    closed = sns.create_topic(Name="closed")["TopicArn"]
    policy = allow("events.amazonaws.com", "sns:Publish", closed)
    sns.set_topic_attributes(TopicArn=closed, AttributeName="Policy", AttributeValue=json.dumps(policy))
    place = f"arn:aws:sqs:us-east-1:{ACCOUNT}:told"
    url = queue(emulator, "told", allow("sns.amazonaws.com", "sqs:SendMessage", place))
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=place)
    own = [{"Name": "Stage", "Value": "tells"}]
    put(
        emulator,
        "tells",
        Dimensions=own,
        AlarmActions=[closed, topic],
        OKActions=[topic],
        TreatMissingData="ignore",
    )
    alarms = emulator.client("cloudwatch")
    alarms.set_alarm_state(AlarmName="tells", StateValue="ALARM", StateReason="a test")
    message = json.loads(received(emulator, url)["Message"])
    assert (message["NewStateValue"], message["OldStateValue"], message["NewStateReason"]) == (
        "ALARM",
        "INSUFFICIENT_DATA",
        "a test",
    )
    assert message["Trigger"]["Dimensions"] == [{"name": "Stage", "value": "tells"}]
    assert message["Trigger"]["Statistic"] == "SUM"
    denied = [entry for entry in emulator.report()["denials"] if entry["resource"] == closed]
    assert [entry["principal"] for entry in denied] == ["cloudwatch.amazonaws.com (for tells)"]


def test_disabled_actions_are_not_performed(emulator: Running) -> None:
    topic = emulator.client("sns").create_topic(Name="quiet")["TopicArn"]
    own = [{"Name": "Stage", "Value": "quiet"}]
    put(
        emulator,
        "quiet",
        Dimensions=own,
        AlarmActions=[topic],
        ActionsEnabled=False,
        TreatMissingData="ignore",
    )
    alarms = emulator.client("cloudwatch")
    alarms.set_alarm_state(AlarmName="quiet", StateValue="ALARM", StateReason="a test")
    assert not [note for note in emulator.notes("alarm") if note.get("target") == topic]
    alarms.enable_alarm_actions(AlarmNames=["quiet"])
    alarms.set_alarm_state(AlarmName="quiet", StateValue="OK", StateReason="a test")
    alarms.set_alarm_state(AlarmName="quiet", StateValue="ALARM", StateReason="a test")
    assert [note for note in emulator.notes("alarm") if note.get("target") == topic]


def test_functions_are_invoked_when_they_permit_it(emulator: Running) -> None:
    role = emulator.role(
        "alarmed",
        "lambda",
        (["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"], "*"),
        (["sqs:SendMessage"], "*"),
    )
    url = queue(emulator, "alarmed")
    code = (
        "import boto3, json, os\n"
        "def handler(event, context):\n"
        f"    boto3.client('sqs').send_message(QueueUrl='{url}', MessageBody=json.dumps(event))\n"
    )
    function = emulator.function("alarmed", role, code)
    own = [{"Name": "Stage", "Value": "invokes"}]
    put(emulator, "invokes", Dimensions=own, AlarmActions=[function], TreatMissingData="ignore")
    alarms = emulator.client("cloudwatch")
    alarms.set_alarm_state(AlarmName="invokes", StateValue="ALARM", StateReason="refused")
    denied = [entry for entry in emulator.report()["denials"] if entry["resource"] == function]
    assert [entry["action"] for entry in denied] == ["lambda:InvokeFunction"]
    emulator.client("lambda").add_permission(
        FunctionName="alarmed",
        StatementId="alarms",
        Action="lambda:InvokeFunction",
        Principal="lambda.alarms.cloudwatch.amazonaws.com",
    )
    alarms.set_alarm_state(AlarmName="invokes", StateValue="OK", StateReason="between")
    alarms.set_alarm_state(AlarmName="invokes", StateValue="ALARM", StateReason="permitted")
    event = received(emulator, url, 30)
    assert event["alarmData"]["state"]["reason"] == "permitted"
    assert event["alarmData"]["previousState"]["value"] == "OK"


def test_events(emulator: Running) -> None:
    place = f"arn:aws:sqs:us-east-1:{ACCOUNT}:changes"
    url = queue(emulator, "changes", allow("events.amazonaws.com", "sqs:SendMessage", place))
    pattern = {
        "source": ["aws.cloudwatch"],
        "detail": {"alarmName": ["event"], "state": {"value": ["ALARM"]}},
    }
    events = emulator.client("events")
    events.put_rule(Name="changes", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="changes", Targets=[{"Id": "1", "Arn": place}])
    own = [{"Name": "Stage", "Value": "event"}]
    put(emulator, "event", Dimensions=own)
    measure(emulator, 3, Dimensions=own)
    event = received(emulator, url)
    assert event["detail-type"] == "CloudWatch Alarm State Change"
    assert event["resources"] == [f"arn:aws:cloudwatch:us-east-1:{ACCOUNT}:alarm:event"]
    assert event["detail"]["previousState"]["value"] == "INSUFFICIENT_DATA"
    metric = event["detail"]["configuration"]["metrics"][0]["metricStat"]
    assert metric == {
        "metric": {"namespace": "App", "name": "Errors", "dimensions": {"Stage": "event"}},
        "period": 60,
        "stat": "Sum",
    }


def test_composite_alarms(emulator: Running) -> None:
    alarms = emulator.client("cloudwatch")
    for name in ("one", "other"):
        put(emulator, name, Dimensions=[{"Name": "Stage", "Value": name}], TreatMissingData="ignore")
        alarms.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="a test")
    alarms.put_composite_alarm(AlarmName="both", AlarmRule="ALARM(one) AND ALARM(other)")
    assert described(emulator, "both")["StateValue"] == "OK"
    measure(emulator, 9, Dimensions=[{"Name": "Stage", "Value": "one"}])
    wait_for(emulator, "one", "ALARM")
    assert described(emulator, "both")["StateValue"] == "OK"
    measure(emulator, 9, Dimensions=[{"Name": "Stage", "Value": "other"}])
    wait_for(emulator, "both", "ALARM")


def test_templates(emulator: Running) -> None:
    stat = {"Metric": {"Namespace": "App", "MetricName": "T"}, "Period": "60", "Stat": "Maximum"}
    rule = {"Fn::Join": ["", ["ALARM(", {"Ref": "Math"}, ")"]]}
    resources = {
        "Math": {
            "Type": "AWS::CloudWatch::Alarm",
            "Properties": {
                "Metrics": [
                    {"Id": "double", "Expression": "m1 * 2"},
                    {"Id": "m1", "MetricStat": stat, "ReturnData": False},
                ],
                "EvaluationPeriods": 1,
                "Threshold": 2,
                "ComparisonOperator": "GreaterThanThreshold",
                "TreatMissingData": "notBreaching",
            },
        },
        "Both": {
            "Type": "AWS::CloudWatch::CompositeAlarm",
            "Properties": {"AlarmName": "from-template", "AlarmRule": rule},
        },
    }
    stacks = emulator.client("cloudformation")
    stacks.create_stack(StackName="alarms", TemplateBody=json.dumps({"Resources": resources}))
    stacks.get_waiter("stack_create_complete").wait(StackName="alarms", WaiterConfig={"Delay": 1})
    measure(emulator, 2, MetricName="T", Dimensions=[])
    wait_for(emulator, "from-template", "ALARM")
    assert not [entry for entry in emulator.report()["notRehearsed"] if entry["stack"] == "alarms"]
    stacks.delete_stack(StackName="alarms")
    stacks.get_waiter("stack_delete_complete").wait(StackName="alarms", WaiterConfig={"Delay": 1})
    left = emulator.client("cloudwatch").describe_alarms(AlarmTypes=["CompositeAlarm", "MetricAlarm"])
    names = [alarm["AlarmName"] for alarm in left["CompositeAlarms"] + left["MetricAlarms"]]
    assert not [name for name in names if name.startswith("alarms-") or name == "from-template"]


def test_fails_when_a_template_has_a_wrong_alarm(emulator: Running) -> None:
    properties = {
        "Namespace": "App",
        "MetricName": "Errors",
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "DatapointsToAlarm": 3,
        "Threshold": 1,
        "ComparisonOperator": "GreaterThanThreshold",
    }
    body = {"Resources": {"Wrong": {"Type": "AWS::CloudWatch::Alarm", "Properties": properties}}}
    stacks = emulator.client("cloudformation")
    stacks.create_stack(StackName="wrong", TemplateBody=json.dumps(body))
    until = time.monotonic() + 20
    while stacks.describe_stacks(StackName="wrong")["Stacks"][0]["StackStatus"].endswith("_IN_PROGRESS"):
        assert time.monotonic() < until
        time.sleep(0.2)
    events = stacks.describe_stack_events(StackName="wrong")["StackEvents"]
    assert any("DatapointsToAlarm" in event.get("ResourceStatusReason", "") for event in events)


def test_query_protocol(emulator: Running) -> None:
    """Older SDKs send forms and read XML."""

    def call(action: str, **members: str) -> str:
        body = urllib.parse.urlencode({"Action": action, "Version": "2010-08-01", **members})
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        signed = AWSRequest("POST", emulator.endpoint + "/", data=body, headers=headers)
        keys = Credentials(*emulator.credentials[ACCOUNT].values())
        SigV4Auth(keys, "monitoring", "us-east-1").add_auth(signed)
        request = urllib.request.Request(signed.url, body.encode(), dict(signed.headers.items()))
        with urllib.request.urlopen(request, timeout=10) as answer:
            return str(answer.read().decode())

    stat = "Metrics.member.2.MetricStat."
    call(
        "PutMetricAlarm",
        **{
            "AlarmName": "form",
            "EvaluationPeriods": "1",
            "Threshold": "2",
            "ComparisonOperator": "GreaterThanThreshold",
            "Metrics.member.1.Id": "e1",
            "Metrics.member.1.Expression": "m1 + 1",
            "Metrics.member.2.Id": "m1",
            "Metrics.member.2.ReturnData": "false",
            f"{stat}Metric.Namespace": "App",
            f"{stat}Metric.MetricName": "F",
            f"{stat}Metric.Dimensions.member.1.Name": "Stage",
            f"{stat}Metric.Dimensions.member.1.Value": "form",
            f"{stat}Period": "60",
            f"{stat}Stat": "Sum",
        },
    )
    measure(emulator, 2, MetricName="F", Dimensions=[{"Name": "Stage", "Value": "form"}])
    wait_for(emulator, "form", "ALARM")
    answer = call("DescribeAlarms", **{"AlarmNames.member.1": "form"})
    assert "<Expression>m1 + 1</Expression>" in answer and "<Value>form</Value>" in answer
