"""One Spark for all tests, and an S3 that lives in memory."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

sys.path.insert(0, str(Path(__file__).parent))

from tabular import storage
from tabular.session import spark_session


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
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    session = spark_session("tests", local=True, scratch=tmp_path_factory.mktemp("spark"))
    yield session
    session.stop()


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> MemoryS3:
    client = MemoryS3()
    monkeypatch.setenv(storage.LOCAL_FOLDER, str(tmp_path))
    monkeypatch.setattr(storage.boto3, "client", lambda _: client)
    return client
