"""Where Spark finds and leaves files.

On Glue, Spark reads and writes `s3://` itself, in parallel. A plain Spark on one machine has no S3 file system: where
the environment names a folder in `GLUE_LOCAL_S3`, objects are copied there and results are uploaded from there, with
the credentials of the job's role as always. Small JSON documents go through boto3 everywhere.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any, Protocol

import boto3

from tabular.contract import DataFile, Json

LOCAL_FOLDER = "GLUE_LOCAL_S3"
FIRST_BYTES = 1 << 20


class Storage(Protocol):
    """What the jobs need of a store."""

    is_local: bool

    def read_json(self, uri: str) -> Json: ...
    def write_json(self, uri: str, document: Json) -> None: ...
    def head(self, file: DataFile) -> bytes:
        """The first bytes of a file, enough for its first line."""
        ...

    def spark_path(self, file: DataFile) -> str:
        """A path from which Spark reads exactly this version."""
        ...

    def output_path(self, uri: str) -> str:
        """A path to which Spark may write the folder `uri`."""
        ...

    def publish(self, uri: str) -> None:
        """Makes what was written for `uri` the content of `uri`."""
        ...


def open_storage() -> Storage:
    folder = os.environ.get(LOCAL_FOLDER)
    client = boto3.client("s3")
    return LocalStorage(client, Path(folder)) if folder else S3Storage(client)


def split_uri(uri: str) -> tuple[str, str]:
    match = re.fullmatch(r"s3://([^/]+)/(.+)", uri)
    if not match:
        raise ValueError(f"{uri!r} is not an S3 URI such as s3://bucket/key")
    return match.group(1), match.group(2)


def version_of(file: DataFile) -> dict[str, str]:
    return {"VersionId": file.version_id} if file.version_id else {"IfMatch": file.etag}


class _Documents:
    """Documents and first bytes, the same in both stores."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def read_json(self, uri: str) -> Json:
        bucket, key = split_uri(uri)
        document: Json = json.loads(self.client.get_object(Bucket=bucket, Key=key)["Body"].read())
        return document

    def write_json(self, uri: str, document: Json) -> None:
        bucket, key = split_uri(uri)
        body = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False).encode()
        self.client.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json")

    def head(self, file: DataFile) -> bytes:
        if file.size == 0:
            return b""
        last = min(file.size, FIRST_BYTES) - 1
        response = self.client.get_object(
            Bucket=file.bucket, Key=file.key, Range=f"bytes=0-{last}", **version_of(file)
        )
        content: bytes = response["Body"].read()
        return content


class S3Storage(_Documents):
    """Spark with an S3 file system of its own, as on Glue."""

    is_local = False

    def spark_path(self, file: DataFile) -> str:
        # Spark reads the newest version only. It is the right one as long as its ETag is the manifest's.
        newest = self.client.head_object(Bucket=file.bucket, Key=file.key)["ETag"].strip('"')
        if newest != file.etag:
            raise RuntimeError(
                f"{file.uri} was replaced after its event: its ETag is {newest}, the manifest says {file.etag}. "
                "The newer version has an event, and a run, of its own"
            )
        return re.sub(r"([\\{}\[\]*?])", r"\\\1", file.uri)

    def output_path(self, uri: str) -> str:
        return uri

    def publish(self, uri: str) -> None:
        """Nothing to do: Spark wrote to the place itself."""


class LocalStorage(_Documents):
    """Copies between S3 and a folder of this machine, for a Spark without an S3 file system."""

    is_local = True

    def __init__(self, client: Any, folder: Path) -> None:
        super().__init__(client)
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(dir=folder))

    def spark_path(self, file: DataFile) -> str:
        path = Path(tempfile.mkdtemp(dir=self.folder)) / "data.csv"
        response = self.client.get_object(Bucket=file.bucket, Key=file.key, **version_of(file))
        with path.open("wb") as target:
            shutil.copyfileobj(response["Body"], target)
        return path.as_uri()

    def output_path(self, uri: str) -> str:
        return self._mirror(uri).as_uri()

    def publish(self, uri: str) -> None:
        bucket, prefix = split_uri(uri)
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/"):
            for item in page.get("Contents", []):
                self.client.delete_object(Bucket=bucket, Key=item["Key"])
        folder = self._mirror(uri)
        for path in sorted(folder.rglob("part-*")):
            self.client.upload_file(str(path), bucket, f"{prefix}/{path.relative_to(folder).as_posix()}")

    def _mirror(self, uri: str) -> Path:
        bucket, key = split_uri(uri)
        return self.folder / "out" / bucket / key
