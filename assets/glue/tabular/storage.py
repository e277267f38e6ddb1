"""Where the jobs find and leave files.

Spark reads and writes `s3://` itself, in parallel; small JSON documents and first lines go through boto3. Everything happens with the
credentials of the job's role.
"""

from __future__ import annotations

import json
import re
from typing import Any

import boto3

from tabular.contract import DataFile, Json

FIRST_BYTES = 1 << 20


def split_uri(uri: str) -> tuple[str, str]:
    match = re.fullmatch(r"s3://([^/]+)/(.+)", uri)
    if not match:
        raise ValueError(f"{uri!r} is not an S3 URI such as s3://bucket/key")
    return match.group(1), match.group(2)


def version_of(file: DataFile) -> dict[str, str]:
    return {"VersionId": file.version_id} if file.version_id else {"IfMatch": file.etag}


def why_unreadable(key: str) -> str | None:
    """Why Spark cannot read an object of this key, if it cannot.

    S3 allows any key, Hadoop's paths do not: some names count as hidden, and a file is then left out without a word; others mean
    another path than they say.
    """
    *folders, name = key.split("/")
    if name.startswith(("_", ".")):
        return f"Spark takes names that begin with {name[0]!r} for hidden"
    if name.endswith("._COPYING_"):
        return "Spark takes names that end in '._COPYING_' for files that are still being written"
    if ":" in key:
        return "a path of Spark cannot hold ':'"
    if any(folder in ("", ".", "..") for folder in folders):
        return "a path of Spark cannot hold an empty folder name, '.' or '..'"
    return None


class Storage:
    """The bucket, as the jobs use it."""

    def __init__(self, client: Any = None) -> None:
        self.client = client or boto3.client("s3")

    def read_json(self, uri: str) -> Json:
        bucket, key = split_uri(uri)
        document: Json = json.loads(self.client.get_object(Bucket=bucket, Key=key)["Body"].read())
        return document

    def write_json(self, uri: str, document: Json) -> None:
        bucket, key = split_uri(uri)
        body = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False).encode()
        self.client.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json")

    def head(self, file: DataFile) -> bytes:
        """The first bytes of a file, enough for its first line."""
        if file.size == 0:
            return b""
        last = min(file.size, FIRST_BYTES) - 1
        response = self.client.get_object(
            Bucket=file.bucket, Key=file.key, Range=f"bytes=0-{last}", **version_of(file)
        )
        content: bytes = response["Body"].read()
        return content

    def spark_path(self, file: DataFile) -> str:
        """A path from which Spark reads exactly this version."""
        reason = why_unreadable(file.key)
        if reason:
            raise ValueError(f"{file.uri} cannot be read: {reason}")
        # Spark reads the newest version only. It is the right one as long as its ETag is the manifest's.
        newest = self.client.head_object(Bucket=file.bucket, Key=file.key)["ETag"].strip('"')
        if newest != file.etag:
            raise RuntimeError(
                f"{file.uri} was replaced after its event: its ETag is {newest}, the manifest says {file.etag}. "
                "The newer version has an event, and a run, of its own"
            )
        return re.sub(r"([\\{}\[\]*?])", r"\\\1", file.uri)
