"""One Spark for all tests, and an S3 that lives in memory: Spark reaches it as in a rehearsal, staged by the emulator."""

from __future__ import annotations

import hashlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(1, str(Path(__file__).parents[1] / "rehearsal"))

from emulator.glue import spark_s3
from tabular import storage
from tabular.session import spark_session


def etag(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


class MemoryS3:
    """The calls that the jobs make, over a dictionary."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], bytes] = {}

    def put_object(self, *, Bucket: str, Key: str, Body: bytes, **_: Any) -> None:
        self.objects[Bucket, Key] = Body

    def get_object(self, *, Bucket: str, Key: str, Range: str | None = None, **_: Any) -> dict[str, Any]:
        body = self.objects[Bucket, Key]
        if Range:
            first, last = Range.removeprefix("bytes=").split("-")
            body = body[int(first) : int(last) + 1]
        return {"Body": io.BytesIO(body)}

    def delete_object(self, *, Bucket: str, Key: str) -> None:
        self.objects.pop((Bucket, Key), None)

    def head_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        return {"ETag": f'"{etag(self.objects[Bucket, Key])}"'}

    def download_file(self, bucket: str, key: str, path: str) -> None:
        Path(path).write_bytes(self.objects[bucket, key])

    def upload_file(self, path: str, bucket: str, key: str) -> None:
        self.objects[bucket, key] = Path(path).read_bytes()

    def get_paginator(self, _: str) -> MemoryS3:
        return self

    def paginate(self, *, Bucket: str, Prefix: str) -> list[dict[str, Any]]:
        keys = [key for bucket, key in self.objects if bucket == Bucket and key.startswith(Prefix)]
        return [{"Contents": [{"Key": key} for key in keys]}] if keys else [{}]

    def folder(self, bucket: str, prefix: str) -> dict[str, str]:
        """What lies below a prefix: the rest of the key to its text."""
        return {
            key.removeprefix(prefix): body.decode()
            for (owner, key), body in self.objects.items()
            if owner == bucket and key.startswith(prefix)
        }


@pytest.fixture(scope="session")
def staging(tmp_path_factory: pytest.TempPathFactory) -> spark_s3.StagingFolder:
    return spark_s3.install(tmp_path_factory.mktemp("s3"))


@pytest.fixture(scope="session")
def spark(
    tmp_path_factory: pytest.TempPathFactory, staging: spark_s3.StagingFolder
) -> Iterator[SparkSession]:
    scratch = tmp_path_factory.mktemp("spark")
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.default.parallelism": "2",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.local.dir": scratch,
        "spark.sql.warehouse.dir": scratch / "warehouse",
    }
    java = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto"
    arguments = [f"--conf {name}={value}" for name, value in settings.items()]
    with pytest.MonkeyPatch.context() as environment:
        # The cluster is configured outside of the script, here as on Glue.
        environment.setenv(
            "PYSPARK_SUBMIT_ARGS",
            f"--master local[2] --driver-memory 1g {' '.join(arguments)} --driver-java-options '{java}' pyspark-shell",
        )
        session = spark_session("tests")
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch, staging: spark_s3.StagingFolder) -> MemoryS3:
    client = MemoryS3()
    monkeypatch.setattr(storage.boto3, "client", lambda _: client)
    monkeypatch.setattr(staging, "_client", client)
    return client
