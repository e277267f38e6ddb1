"""CDK's BucketDeployment writes under the role of its function, as on AWS."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Iterator

import pytest

from emulator.ministack.testing import Running


@pytest.fixture(scope="module")
def emulator() -> Iterator[Running]:
    with Running() as running:
        s3 = running.client("s3")
        for bucket in ("assets", "site"):
            s3.create_bucket(Bucket=bucket)
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("index.html", "hello")
        s3.put_object(Bucket="assets", Key="site.zip", Body=packed.getvalue())
        yield running


@pytest.mark.parametrize("missing", ["", "s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket"])
def test_each_permission_of_the_role(emulator: Running, missing: str) -> None:
    name = f"deploy-{missing[3:].lower() or 'all'}"
    actions = {"s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket"} - {missing}
    role = emulator.role(name, "lambda", (sorted(actions), "*"))
    function = emulator.function(name, role, "def handler(event, context): pass\n")
    emulator.client("s3").put_object(Bucket="site", Key="old.html", Body=b"old")
    properties = {
        "ServiceToken": function,
        "SourceBucketNames": ["assets"],
        "SourceObjectKeys": ["site.zip"],
        "DestinationBucketName": "site",
        "Prune": "true",
    }
    body = {"Resources": {"Site": {"Type": "Custom::CDKBucketDeployment", "Properties": properties}}}
    stacks = emulator.client("cloudformation")
    stacks.create_stack(StackName=name, TemplateBody=json.dumps(body))
    until = time.monotonic() + 20
    while (status := stacks.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]).endswith("PROGRESS"):
        assert time.monotonic() < until
        time.sleep(0.1)
    keys = [entry["Key"] for entry in emulator.client("s3").list_objects_v2(Bucket="site")["Contents"]]
    if missing:
        assert status == "ROLLBACK_COMPLETE" and "old.html" in keys
        assert missing in {entry["action"] for entry in emulator.report()["denials"]}
    else:
        assert status == "CREATE_COMPLETE" and keys == ["index.html"]
