"""Batch transform: how files are split, filtered, joined and assembled, and which roles need what."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from emulator.sagemaker import SageMaker, required_permissions
from emulator.sagemaker.fake_host import FakeHost
from emulator.sagemaker.test_endpoints import model, spec
from emulator.sagemaker.test_scenario import CALLER, MODEL_ROLE, archive
from emulator.sagemaker.test_service import refused
from emulator.sagemaker.transform_records import BadRecord, JsonPath

COUNTS = """
import os
def model_fn(model_dir):
    return open(model_dir + '/word').read()
def input_fn(body, content_type):
    return body
def predict_fn(body, model):
    lines = body.splitlines()
    if 'bad' in str(body):
        raise ValueError('a bad record')
    return '\\n'.join(f'{model}{len(lines)}' for _ in lines) + '\\n'
def output_fn(prediction, accept):
    return prediction, accept
"""
ANSWERS_JSON = COUNTS.replace(
    "return '\\n'.join(f'{model}{len(lines)}' for _ in lines) + '\\n'",
    "import json; return json.dumps({'seen': json.loads(body)})",
)


@pytest.fixture
def serving(sm: SageMaker, host: FakeHost) -> SageMaker:
    """The model `m`, which answers each line with its word and the number of lines of the request."""
    for name, code in (("m", COUNTS), ("j", ANSWERS_JSON)):
        container = spec(host, name)
        host.objects["b", f"{name}.tar.gz"] = archive(word=name, code__inference_py=code)
        model(sm, name, container)
    host.objects["b", "in/a.csv"] = b"1,x\n2,y\n3,z\n"
    host.objects["b", "in/deep/b.csv"] = b"4,w\n"
    return sm


def request(**changes: Any) -> dict[str, Any]:
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/in/"}}
    base: dict[str, Any] = {
        "TransformJobName": "t",
        "ModelName": "m",
        "TransformInput": {"DataSource": source, "ContentType": "text/csv", "SplitType": "Line"},
        "TransformOutput": {"S3OutputPath": "s3://b/out/", "Accept": "text/csv", "AssembleWith": "Line"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    }
    for member in ("TransformInput", "TransformOutput", "TransformResources"):
        base[member] = {**base[member], **changes.pop(member, {})}
        base[member] = {key: value for key, value in base[member].items() if value is not None}
    return {**base, **changes}


def run(sm: SageMaker, **changes: Any) -> dict[str, Any]:
    given = request(**changes)
    sm.handle("CreateTransformJob", given, CALLER)
    assert sm.jobs.find("Transform", given["TransformJobName"]).done.wait(60)
    return sm.handle("DescribeTransformJob", {"TransformJobName": given["TransformJobName"]}, CALLER)


def output(host: FakeHost, name: str = "a.csv") -> str:
    return host.objects["b", f"out/{name}.out"].decode()


def test_each_file_becomes_one_output_with_its_path(serving: SageMaker, host: FakeHost) -> None:
    described = run(serving)
    assert described["TransformJobStatus"] == "Completed", described
    assert (output(host), output(host, "deep/b.csv")) == ("m3\nm3\nm3\n", "m1\n")
    listed = serving.handle("ListTransformJobs", {"StatusEquals": "Completed"}, CALLER)
    assert [row["TransformJobName"] for row in listed["TransformJobSummaries"]] == ["t"]
    assert [event["detail-type"] for event in host.events][-1] == "SageMaker Transform Job State Change"


def test_records_one_by_one_and_in_parallel_keep_their_order(serving: SageMaker, host: FakeHost) -> None:
    run(serving, BatchStrategy="SingleRecord", MaxConcurrentTransforms=3)
    assert output(host) == "m1\nm1\nm1\n"


def test_a_whole_file_and_answers_joined_without_anything(serving: SageMaker, host: FakeHost) -> None:
    run(serving, TransformInput={"SplitType": None}, TransformOutput={"AssembleWith": None})
    assert output(host) == "m3\nm3\nm3\n"


def test_as_many_records_as_fit_a_request(serving: SageMaker, host: FakeHost) -> None:
    host.objects.clear()
    host.objects["b", "m.tar.gz"] = archive(word="m", code__inference_py=COUNTS)
    host.objects["b", "in/big.csv"] = (b"x" * 400_000 + b"\n") * 5
    run(serving, MaxPayloadInMB=1)
    assert output(host, "big.csv") == "m2\nm2\nm2\nm2\nm1\n"
    host.objects["b", "in/big.csv"] = b"x" * 2_000_000
    assert (
        "larger than MaxPayloadInMB" in run(serving, MaxPayloadInMB=1, TransformJobName="t2")["FailureReason"]
    )


def test_a_compressed_file(serving: SageMaker, host: FakeHost) -> None:
    for key in ("in/a.csv", "in/deep/b.csv"):
        host.objects["b", key] = gzip.compress(host.objects["b", key])
    run(serving, TransformInput={"CompressionType": "Gzip"})
    assert output(host) == "m3\nm3\nm3\n"


@pytest.mark.parametrize(
    ("processing", "expected"),
    [
        ({"JoinSource": "Input"}, "1,x,m3\n2,y,m3\n3,z,m3\n"),
        ({"InputFilter": "$[1:]", "JoinSource": "Input", "OutputFilter": "$[0,-1]"}, "1,m3\n2,m3\n3,m3\n"),
        ({"OutputFilter": "$[0]"}, "m3\nm3\nm3\n"),
    ],
)
def test_columns_are_filtered_and_joined(
    serving: SageMaker, host: FakeHost, processing: dict[str, str], expected: str
) -> None:
    described = run(serving, DataProcessing=processing)
    assert described["TransformJobStatus"] == "Completed", described
    assert output(host) == expected


def test_attributes_are_filtered_and_joined(serving: SageMaker, host: FakeHost) -> None:
    del host.objects["b", "in/deep/b.csv"]
    host.objects["b", "in/a.csv"] = b'{"id": 1, "features": [1, 2]}\n{"id": 2, "features": [3]}\n'
    described = run(
        serving,
        ModelName="j",
        BatchStrategy="SingleRecord",
        TransformInput={"ContentType": "application/jsonlines"},
        TransformOutput={"Accept": "application/jsonlines"},
        DataProcessing={
            "InputFilter": "$.features",
            "JoinSource": "Input",
            "OutputFilter": "$['id','SageMakerOutput']",
        },
    )
    assert described["TransformJobStatus"] == "Completed", described
    rows = [json.loads(line) for line in output(host).splitlines()]
    assert rows == [
        {"id": 1, "SageMakerOutput": {"seen": [1, 2]}},
        {"id": 2, "SageMakerOutput": {"seen": [3]}},
    ]


@pytest.mark.parametrize(
    ("path", "value", "selected"),
    [
        ("$", [1, 2], [1, 2]),
        ("$[1:4]", [0, 1, 2, 3, 4, 5], [1, 2, 3, 4]),
        ("$[:1]", [0, 1, 2], [0, 1]),
        ("$[1,3]", [0, 1, 2, 3], [1, 3]),
        ("$[-1]", [0, 1], 1),
        ("$.a.*", {"a": {"b": 1, "c": 2}}, [1, 2]),
        ("$.a['b','c']", {"a": {"b": 1, "c": 2, "d": 3}}, {"b": 1, "c": 2}),
    ],
)
def test_the_supported_paths(path: str, value: Any, selected: Any) -> None:
    assert JsonPath(path).select(value) == selected


def test_paths_that_are_not_supported_or_do_not_fit() -> None:
    for wrong in ("a", "$..b", "$[?(@.x)]"):
        with pytest.raises(ValueError, match=r"\$|\["):
            JsonPath(wrong)
    with pytest.raises(BadRecord, match=r"the filter \$\[7\] does not fit the record"):
        JsonPath("$[7]").select(["a"])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"TransformInput": {"SplitType": "RecordIO"}}, "SplitType RecordIO is not played"),
        ({"TransformInput": {"SplitType": None}, "BatchStrategy": "MultiRecord"}, "needs SplitType Line"),
        ({"MaxPayloadInMB": 60, "MaxConcurrentTransforms": 2}, "must not be more than 100"),
        ({"DataProcessing": {"InputFilter": "features"}}, "InputFilter: 'features' must begin with $"),
        (
            {"DataProcessing": {"JoinSource": "Input"}, "TransformOutput": {"Accept": "application/json"}},
            "needs ContentType and Accept to be the same",
        ),
        (
            {"DataProcessing": {"JoinSource": "Input"}, "TransformOutput": {"AssembleWith": "None"}},
            "needs SplitType Line and AssembleWith Line",
        ),
        ({"ModelName": "none"}, "Could not find model"),
    ],
)
def test_requests_that_are_refused(serving: SageMaker, changes: dict[str, Any], said: str) -> None:
    assert said in refused(serving, "CreateTransformJob", request(**changes))


def test_a_bad_record_loses_its_file_and_no_other(serving: SageMaker, host: FakeHost) -> None:
    host.objects["b", "in/a.csv"] = b"1\nbad\n"
    described = run(serving)
    assert described["TransformJobStatus"] == "Failed"
    assert (
        "1 of 2 files failed. s3://b/in/a.csv: container primary answered 500" in described["FailureReason"]
    )
    assert output(host, "deep/b.csv") == "m1\n" and ("b", "out/a.csv.out") not in host.objects


def test_several_containers_take_single_records_only(serving: SageMaker, host: FakeHost) -> None:
    first, second = spec(host, "first"), spec(host, "second")
    for name in ("first", "second"):
        host.objects["b", f"{name}.tar.gz"] = archive(word=name, code__inference_py=COUNTS)
    model(serving, "chain", first, second)
    reason = run(serving, ModelName="chain")["FailureReason"]
    assert "several containers" in reason and "SingleRecord" in reason
    described = run(serving, ModelName="chain", BatchStrategy="SingleRecord", TransformJobName="t2")
    assert described["TransformJobStatus"] == "Completed", described
    assert output(host) == "second1\nsecond1\nsecond1\n"


def test_nothing_to_transform(serving: SageMaker, host: FakeHost) -> None:
    del host.objects["b", "in/a.csv"], host.objects["b", "in/deep/b.csv"]
    assert 'No S3 objects found under S3 URL "s3://b/in/"' in run(serving)["FailureReason"]


@pytest.mark.parametrize("action", ["s3:ListBucket", "s3:GetObject", "s3:PutObject", "ecr:BatchGetImage"])
def test_the_role_of_the_model_reads_pulls_and_writes(
    serving: SageMaker, host: FakeHost, action: str
) -> None:
    host.denied.append((MODEL_ROLE, action, "*"))
    described = run(serving)
    assert described["TransformJobStatus"] == "Failed"
    assert (
        f"assumed-role/model/SageMaker is not authorized to perform: {action}" in described["FailureReason"]
    )


def test_keys_of_volumes_and_outputs(serving: SageMaker, host: FakeHost) -> None:
    key = "arn:aws:kms:us-east-1:000000000000:key/k"
    host.denied.append(("*", "kms:*", "*"))
    volume = request(TransformResources={"VolumeKmsKeyId": key})
    assert "kms:CreateGrant" in refused(serving, "CreateTransformJob", volume, "AccessDeniedException")
    assert "kms:GenerateDataKey" in run(serving, TransformOutput={"KmsKeyId": key})["FailureReason"]


def test_what_the_caller_needs() -> None:
    given = request(Tags=[{"Key": "a", "Value": "b"}])
    arn = "arn:aws:sagemaker:us-east-1:000000000000:transform-job/t"
    assert [
        (found.action, found.resource) for found in required_permissions("CreateTransformJob", given)
    ] == [
        ("sagemaker:CreateTransformJob", arn),
        ("sagemaker:AddTags", arn),
    ]
