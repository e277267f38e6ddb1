"""Models and endpoints: life cycle, failures, variants, invocation."""

from __future__ import annotations

import concurrent.futures
import time
from collections import Counter
from typing import Any

import pytest

from emulator.sagemaker import ApiError, SageMaker
from emulator.sagemaker.cfn import RESOURCES
from emulator.sagemaker.fake_host import FakeHost
from emulator.sagemaker.test_scenario import CALLER, MODEL_ROLE, SKLEARN, archive, settled
from emulator.sagemaker.test_service import gone, refused

ECHO = """
def model_fn(model_dir):
    return open(model_dir + '/word').read()
def input_fn(body, content_type):
    return (body, content_type)
def predict_fn(data, model):
    if data[0] == 'boom':
        raise ValueError('the model cannot do that')
    return model + ':' + data[0] + ':' + data[1]
def output_fn(prediction, accept):
    return prediction + ':' + accept, accept
"""


def put(host: FakeHost, word: str, code: str = ECHO) -> str:
    host.objects["b", f"{word}.tar.gz"] = archive(word=word, code__inference_py=code)
    return f"s3://b/{word}.tar.gz"


def spec(host: FakeHost, word: str, **extra: Any) -> dict[str, Any]:
    environment = {
        "SAGEMAKER_PROGRAM": "inference.py",
        "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
        **extra,
    }
    return {"Image": SKLEARN, "ModelDataUrl": put(host, word), "Environment": environment}


def model(sm: SageMaker, name: str, *containers: dict[str, Any]) -> None:
    given = {"PrimaryContainer": containers[0]} if len(containers) == 1 else {"Containers": list(containers)}
    sm.handle("CreateModel", {"ModelName": name, "ExecutionRoleArn": MODEL_ROLE, **given}, CALLER)


def variant(name: str, used: str, weight: float = 1.0, count: int = 1) -> dict[str, Any]:
    return {
        "VariantName": name,
        "ModelName": used,
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": count,
        "InitialVariantWeight": weight,
    }


def config(sm: SageMaker, name: str, *variants: dict[str, Any]) -> None:
    sm.handle(
        "CreateEndpointConfig", {"EndpointConfigName": name, "ProductionVariants": list(variants)}, CALLER
    )


@pytest.fixture
def serving(sm: SageMaker, host: FakeHost) -> SageMaker:
    """Endpoint `e` with config `c1` and the model `one`; `two` and `c2` are ready for an update."""
    for word, name in (("one", "c1"), ("two", "c2")):
        model(sm, word, spec(host, word))
        config(sm, name, variant("A", word))
    sm.handle("CreateEndpoint", {"EndpointName": "e", "EndpointConfigName": "c1"}, CALLER)
    assert settled(sm, "e")["EndpointStatus"] == "InService"
    return sm


def ask(sm: SageMaker, body: bytes = b"hi", headers: dict[str, str] | None = None) -> str:
    return sm.invoke("e", {"Content-Type": "text/csv", "Accept": "text/csv", **(headers or {})}, body)[
        2
    ].decode()


def until_gone(sm: SageMaker, name: str) -> None:
    until = time.monotonic() + 10
    while name in sm.endpoints.endpoints:
        assert time.monotonic() < until, f"{name} is not deleted"
        time.sleep(0.05)


def test_life_cycle(serving: SageMaker, host: FakeHost) -> None:
    assert ask(serving) == "one:hi:text/csv:text/csv"
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: ask(serving), range(40))) == {"one:hi:text/csv:text/csv"}
    assert "already existing" in refused(
        serving, "CreateEndpoint", {"EndpointName": "E", "EndpointConfigName": "c1"}
    )
    serving.handle("UpdateEndpoint", {"EndpointName": "e", "EndpointConfigName": "c2"}, CALLER)
    during = serving.handle("DescribeEndpoint", {"EndpointName": "e"}, CALLER)
    assert during["EndpointStatus"] == "Updating" and during["EndpointConfigName"] == "c1"
    assert during["PendingDeploymentSummary"]["EndpointConfigName"] == "c2"
    assert ask(serving).startswith("one:"), "the old fleet serves until the new one is ready"
    assert "in-progress" in refused(
        serving, "UpdateEndpoint", {"EndpointName": "e", "EndpointConfigName": "c1"}
    )
    assert "in-progress" in refused(serving, "DeleteEndpoint", {"EndpointName": "e"})
    after = settled(serving, "e")
    assert (
        after["EndpointConfigName"] == "c2"
        and "PendingDeploymentSummary" not in after
        and ask(serving).startswith("two:")
    )
    words = [
        event["detail"]["EndpointStatus"]
        for event in host.events
        if event["detail-type"] == "SageMaker Endpoint State Change"
    ]
    assert words == ["CREATING", "IN_SERVICE", "UPDATING", "IN_SERVICE"]
    processes = list(serving.core._processes)
    serving.handle("DeleteEndpoint", {"EndpointName": "e"}, CALLER)
    assert serving.handle("DescribeEndpoint", {"EndpointName": "e"}, CALLER)["EndpointStatus"] == "Deleting"
    assert "already existing" in refused(
        serving, "CreateEndpoint", {"EndpointName": "e", "EndpointConfigName": "c1"}
    )
    assert "Its status is Deleting" in refused(serving, "DeleteEndpoint", {"EndpointName": "e"})
    with pytest.raises(ApiError, match="has status Deleting and cannot be invoked"):
        ask(serving)
    until_gone(serving, "e")
    assert 'Could not find endpoint "arn:aws:sagemaker:' in refused(
        serving, "DescribeEndpoint", {"EndpointName": "e"}
    )
    assert all(gone(process.pid) for process in processes)
    with pytest.raises(ApiError, match="Endpoint e of account 000000000000 not found"):
        ask(serving)
    for name in ("c1", "c2"):
        serving.handle("DeleteEndpointConfig", {"EndpointConfigName": name}, CALLER)
    for name in ("one", "two"):
        serving.handle("DeleteModel", {"ModelName": name}, CALLER)
    assert serving.leftovers() == []


def test_a_killed_model_server_is_started_again(serving: SageMaker, host: FakeHost) -> None:
    (fleet,) = serving.endpoints.fleets["e"].values()
    killed = fleet.servers[0].process
    assert killed is not None
    killed.kill()
    with pytest.raises(ApiError, match="has ended") as caught:
        ask(serving)
    assert caught.value.code == "ModelError"
    until = time.monotonic() + 15
    while True:
        try:
            answer = ask(serving)
            break
        except ApiError as error:
            assert error.code == "ModelError" and time.monotonic() < until, error
            time.sleep(0.1)
    assert answer == "one:hi:text/csv:text/csv"
    restarts = [message for _, message, _ in host.notes if "is started again" in message]
    assert len(restarts) == 1, "calls that fail meanwhile do not start it again"
    serving.handle("DeleteEndpoint", {"EndpointName": "e"}, CALLER)
    until_gone(serving, "e")
    again = fleet.servers[0].process
    assert again is not None and again is not killed and gone(again.pid)


def test_an_update_can_roll_back_silently(serving: SageMaker) -> None:
    serving.inject({"kind": "endpoint-rollback", "endpoint": "e"})
    serving.handle("UpdateEndpoint", {"EndpointName": "e", "EndpointConfigName": "c2"}, CALLER)
    after = settled(serving, "e")
    assert (
        after["EndpointStatus"] == "InService"
        and after["EndpointConfigName"] == "c1"
        and "FailureReason" not in after
    )
    assert ask(serving).startswith("one:")
    serving.handle("UpdateEndpoint", {"EndpointName": "e", "EndpointConfigName": "c2"}, CALLER)
    assert settled(serving, "e")["EndpointConfigName"] == "c2", "the fault happens once"


def test_an_update_to_a_model_that_does_not_load_keeps_the_old_one(
    serving: SageMaker, host: FakeHost
) -> None:
    bad = spec(host, "bad")
    put(host, "bad", "def model_fn(model_dir):\n    raise RuntimeError('the pickle is of another version')\n")
    model(serving, "bad", bad)
    config(serving, "c3", variant("A", "bad"))
    serving.handle("UpdateEndpoint", {"EndpointName": "e", "EndpointConfigName": "c3"}, CALLER)
    assert settled(serving, "e")["EndpointConfigName"] == "c1" and ask(serving).startswith("one:")
    assert any(
        "rolled back to c1" in message and "another version" in message
        for kind, message, _ in host.notes
        if kind == "endpoint"
    )
    serving.handle("CreateEndpoint", {"EndpointName": "f", "EndpointConfigName": "c3"}, CALLER)
    failed = settled(serving, "f")
    assert failed["EndpointStatus"] == "Failed"
    assert (
        "did not pass the ping health check" in failed["FailureReason"]
        and "the pickle is of another version" in failed["FailureReason"]
    )
    with pytest.raises(ApiError, match="has status Failed"):
        serving.invoke("f", {}, b"x")
    serving.handle("DeleteEndpoint", {"EndpointName": "f"}, CALLER)


@pytest.mark.parametrize("action", ["s3:GetObject", "ecr:BatchGetImage", "logs:CreateLogStream"])
def test_each_missing_grant_of_the_model_role(sm: SageMaker, host: FakeHost, action: str) -> None:
    given = spec(host, "one")
    if action == "s3:GetObject":
        host.denied.append((MODEL_ROLE, action, "*"))
        message = refused(
            sm, "CreateModel", {"ModelName": "one", "ExecutionRoleArn": MODEL_ROLE, "PrimaryContainer": given}
        )
        assert (
            "Could not access model data at s3://b/one.tar.gz" in message
            and f'the role "{MODEL_ROLE}"' in message
        )
        host.denied.clear()
    model(sm, "one", given)
    config(sm, "c", variant("A", "one"))
    host.denied.append((MODEL_ROLE, action, "*"))
    sm.handle("CreateEndpoint", {"EndpointName": "e", "EndpointConfigName": "c"}, CALLER)
    failed = settled(sm, "e")
    assert (
        failed["EndpointStatus"] == "Failed"
        and f"is not authorized to perform: {action}" in failed["FailureReason"]
    )


def test_a_chain_passes_the_default_type_between_its_containers(sm: SageMaker, host: FakeHost) -> None:
    model(
        sm,
        "chain",
        spec(host, "one", SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT="application/x-thing"),
        spec(host, "two"),
    )
    config(sm, "c", variant("A", "chain"))
    sm.handle("CreateEndpoint", {"EndpointName": "e", "EndpointConfigName": "c"}, CALLER)
    settled(sm, "e")
    # Only the exact types text/csv and application/json reach input_fn as text, as in the image; the second model fails on bytes.
    with pytest.raises(ApiError) as caught:
        ask(sm)
    assert caught.value.code == "ModelError" and "container-2" in caught.value.message
    plain = "application/json"
    model(sm, "text", spec(host, "one", SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT=plain), spec(host, "two"))
    config(sm, "d", variant("A", "text"))
    sm.handle("UpdateEndpoint", {"EndpointName": "e", "EndpointConfigName": "d"}, CALLER)
    settled(sm, "e")
    status, headers, body = sm.invoke("e", {"Content-Type": "text/csv", "Accept": "text/csv"}, b"hi")
    assert (status, headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
    assert body == b"two:one:hi:text/csv:application/json:application/json:text/csv"


def test_errors_of_the_model(serving: SageMaker, host: FakeHost) -> None:
    with pytest.raises(ApiError) as caught:
        ask(serving, b"boom")
    assert caught.value.code == "ModelError" and caught.value.status == 424
    assert 'Received server error (500) from primary with message "<!doctype html>' in caught.value.message
    assert host.logged("ValueError: the model cannot do that")
    assert caught.value.body()["OriginalStatusCode"] == 500  # type: ignore[attr-defined]
    with pytest.raises(ApiError, match="is larger than"):
        ask(serving, b"x" * (25 * 1024 * 1024 + 1))
    serving.endpoints.fleets["e"]["A"].servers[0].process.kill()  # type: ignore[union-attr]
    serving.endpoints.fleets["e"]["A"].servers[0].process.wait()  # type: ignore[union-attr]
    with pytest.raises(ApiError, match="has ended"):
        ask(serving)


def test_weights_between_variants(sm: SageMaker, host: FakeHost) -> None:
    for word in ("one", "two"):
        model(sm, word, spec(host, word))
    config(sm, "c", variant("A", "one", 3, 2), variant("B", "two", 1))
    sm.handle("CreateEndpoint", {"EndpointName": "e", "EndpointConfigName": "c"}, CALLER)
    settled(sm, "e")
    counts = Counter(ask(sm).partition(":")[0] for _ in range(80))
    assert 40 < counts["one"] < 75
    assert ask(sm, headers={"X-Amzn-SageMaker-Target-Variant": "B"}).startswith("two:")
    with pytest.raises(ApiError, match="Variant Z does not exist"):
        ask(sm, headers={"X-Amzn-SageMaker-Target-Variant": "Z"})
    wanted = [
        {"VariantName": "A", "DesiredWeight": 0.0, "DesiredInstanceCount": 4},
        {"VariantName": "B", "DesiredWeight": 1.0},
    ]
    sm.handle(
        "UpdateEndpointWeightsAndCapacities",
        {"EndpointName": "e", "DesiredWeightsAndCapacities": wanted},
        CALLER,
    )
    summary = settled(sm, "e")["ProductionVariants"][0]
    assert summary["CurrentWeight"] == 0.0 and summary["CurrentInstanceCount"] == 4
    assert {ask(sm).partition(":")[0] for _ in range(10)} == {"two"}
    config(sm, "d", variant("A", "two", 1, 1), variant("B", "two", 1))
    sm.handle(
        "UpdateEndpoint",
        {"EndpointName": "e", "EndpointConfigName": "d", "RetainAllVariantProperties": True},
        CALLER,
    )
    kept = settled(sm, "e")["ProductionVariants"][0]
    assert kept["CurrentInstanceCount"] == 4 and kept["CurrentWeight"] == 0.0
    assert "Variant Z" in refused(
        sm,
        "UpdateEndpointWeightsAndCapacities",
        {"EndpointName": "e", "DesiredWeightsAndCapacities": [{"VariantName": "Z"}]},
    )


def test_what_cannot_be_made(sm: SageMaker, host: FakeHost) -> None:
    assert "Could not find model" in refused(
        sm, "CreateEndpointConfig", {"EndpointConfigName": "c", "ProductionVariants": [variant("A", "none")]}
    )
    assert "Could not find endpoint configuration" in refused(
        sm, "CreateEndpoint", {"EndpointName": "e", "EndpointConfigName": "none"}
    )
    base = {"ModelName": "m", "ExecutionRoleArn": MODEL_ROLE}
    assert "Exactly one" in refused(sm, "CreateModel", base)
    assert "no stand-in" in refused(sm, "CreateModel", {**base, "PrimaryContainer": {"Image": "mine:1"}})
    assert "Could not access model data" in refused(
        sm,
        "CreateModel",
        {**base, "PrimaryContainer": {"Image": SKLEARN, "ModelDataUrl": "s3://b/none.tar.gz"}},
    )
    model(sm, "chain", spec(host, "one"), spec(host, "two"))
    serverless = {
        "VariantName": "A",
        "ModelName": "chain",
        "ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 5},
    }
    assert "does not support inference pipelines" in refused(
        sm, "CreateEndpointConfig", {"EndpointConfigName": "c", "ProductionVariants": [serverless]}
    )


def test_only_an_approved_package_becomes_a_model(sm: SageMaker, host: FakeHost) -> None:
    sm.handle("CreateModelPackageGroup", {"ModelPackageGroupName": "G"}, CALLER)
    inference = {
        "Containers": [spec(host, "one")],
        "SupportedContentTypes": ["text/csv"],
        "SupportedResponseMIMETypes": ["text/csv"],
    }
    arn = sm.handle(
        "CreateModelPackage", {"ModelPackageGroupName": "G", "InferenceSpecification": inference}, CALLER
    )["ModelPackageArn"]
    request = {"ModelName": "m", "ExecutionRoleArn": MODEL_ROLE, "Containers": [{"ModelPackageName": arn}]}
    assert "is not approved: its status is PendingManualApproval" in refused(sm, "CreateModel", request)
    sm.handle("UpdateModelPackage", {"ModelPackageArn": arn, "ModelApprovalStatus": "Approved"}, CALLER)
    sm.handle("CreateModel", request, CALLER)
    assert (
        sm.handle("DescribeModel", {"ModelName": "m"}, CALLER)["PrimaryContainer"]["ModelDataUrl"]
        == "s3://b/one.tar.gz"
    )


def test_cloudformation(sm: SageMaker, host: FakeHost) -> None:
    made = RESOURCES["AWS::SageMaker::Model"].create(
        sm, "M", {"ExecutionRoleArn": MODEL_ROLE, "PrimaryContainer": spec(host, "one")}, "Stack"
    )
    variants = [
        {**variant("A", made[1]["ModelName"]), "InitialInstanceCount": "1", "InitialVariantWeight": "1.0"}
    ]
    configured = RESOURCES["AWS::SageMaker::EndpointConfig"].create(
        sm, "C", {"ProductionVariants": variants}, "Stack"
    )
    resource = RESOURCES["AWS::SageMaker::Endpoint"]
    properties = {"EndpointName": "e", "EndpointConfigName": configured[1]["EndpointConfigName"]}
    arn, attributes = resource.create(sm, "E", properties, "Stack")
    assert attributes == {"EndpointName": "e"} and ask(sm).startswith("one:")
    other = RESOURCES["AWS::SageMaker::EndpointConfig"].create(
        sm, "C", {"ProductionVariants": variants}, "Stack"
    )
    sm.inject({"kind": "endpoint-rollback"})
    with pytest.raises(ApiError, match="was rolled back"):
        resource.update(
            sm, arn, properties, {**properties, "EndpointConfigName": other[1]["EndpointConfigName"]}
        )
    resource.update(
        sm,
        arn,
        properties,
        {
            **properties,
            "EndpointConfigName": other[1]["EndpointConfigName"],
            "RetainAllVariantProperties": "true",
        },
    )
    resource.delete(sm, arn)
    for physical in (configured[0], other[0]):
        RESOURCES["AWS::SageMaker::EndpointConfig"].delete(sm, physical)
    RESOURCES["AWS::SageMaker::Model"].delete(sm, made[0])
    assert sm.leftovers() == []
