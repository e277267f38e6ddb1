"""Lets PySpark read and write `s3://` without Hadoop's S3 jars: objects are copied to and from a local folder with boto3.

On Glue, Spark reads S3 itself (EMRFS or S3A). Loaded into the process of a Spark job only. The calls carry the job's
credentials, so they are evaluated against its role. Covered: the path arguments of `spark.read.*`, `df.write.*`,
`sc.textFile`, `sc.wholeTextFiles` and `rdd.saveAsTextFile`. Not covered: `s3://` inside SQL text, streaming, tables
with a location.
"""

from __future__ import annotations

import fnmatch
import functools
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_PRIVATE = 0xE000
_ESCAPED = re.compile(r"\\([\x20-\x7e])")
_HIDDEN = re.compile("[\ue020-\ue07e]")
SCHEMES = ("s3://", "s3a://", "s3n://")
GLOB = set("*?[{\\")


class StagingFolder:
    """A folder that mirrors the objects which the job has touched: `<root>/<bucket>/<key>`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._client: Any = None

    @property
    def client(self) -> Any:
        """S3 with the job's own credentials."""
        if self._client is None:
            import boto3

            self._client = boto3.client("s3")
        return self._client

    def fetch(self, uri: str) -> str:
        """Downloads the object, the prefix or the pattern; returns the local path of the same form."""
        bucket, key = _split(uri)
        fixed = key[: min((i for i, letter in enumerate(key) if letter in GLOB), default=len(key))]
        for name in self._keys(bucket, fixed):
            if _inside(name, key):
                target = self.root / bucket / name
                target.parent.mkdir(parents=True, exist_ok=True)
                self.client.download_file(bucket, name, str(target))
        return str(self.root / bucket / key)

    def publish(self, local: Path, uri: str, replace: bool) -> None:
        """Uploads what Spark wrote below `local`."""
        bucket, key = _split(uri)
        prefix = key.rstrip("/") + "/"
        if replace:
            for name in list(self._keys(bucket, prefix)):
                self.client.delete_object(Bucket=bucket, Key=name)
        for path in sorted(local.rglob("*")):
            if path.is_file() and not path.name.endswith(".crc"):
                self.client.upload_file(str(path), bucket, prefix + path.relative_to(local).as_posix())

    def holds(self, uri: str) -> bool:
        """Whether anything lies below the prefix."""
        bucket, key = _split(uri)
        return next(self._keys(bucket, key.rstrip("/") + "/"), None) is not None

    def _keys(self, bucket: str, prefix: str) -> Iterator[str]:
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for entry in page.get("Contents", ()):
                if not entry["Key"].endswith("/"):
                    yield entry["Key"]


def install(root: Path) -> StagingFolder:
    """Replaces the path arguments of Spark's readers and writers in this process."""
    from pyspark import RDD, SparkContext
    from pyspark.sql import DataFrameReader, DataFrameWriter

    staging = StagingFolder(root)
    for name in ("csv", "json", "parquet", "orc", "text", "load"):
        setattr(DataFrameReader, name, _reading(getattr(DataFrameReader, name), staging))
    for name in ("textFile", "wholeTextFiles"):
        setattr(SparkContext, name, _reading(getattr(SparkContext, name), staging))
    for name in ("csv", "json", "parquet", "orc", "text", "save"):
        setattr(DataFrameWriter, name, _writing(getattr(DataFrameWriter, name), staging))
    setattr(RDD, "saveAsTextFile", _writing(RDD.saveAsTextFile, staging))  # noqa: B010
    setattr(DataFrameWriter, "mode", _remember_mode(DataFrameWriter.mode))  # noqa: B010
    return staging


def _reading(original: Callable[..., Any], staging: StagingFolder) -> Callable[..., Any]:
    def local(value: Any) -> Any:
        if isinstance(value, str) and value.startswith(SCHEMES):
            return staging.fetch(value)
        if isinstance(value, (list, tuple)):
            return type(value)(local(item) for item in value)
        return value

    @functools.wraps(original)
    def read(self: Any, *args: Any, **named: Any) -> Any:
        if "path" in named:
            named["path"] = local(named["path"])
        if "paths" in named:
            named["paths"] = local(named["paths"])
        return original(self, *(local(arg) for arg in args), **named)

    return read


def _remember_mode(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def mode(self: Any, saveMode: str | None) -> Any:
        if saveMode:
            self._staged_mode = saveMode
        return original(self, saveMode)

    return mode


def _writing(original: Callable[..., Any], staging: StagingFolder) -> Callable[..., Any]:
    @functools.wraps(original)
    def write(self: Any, path: Any = None, *args: Any, **named: Any) -> Any:
        if not (isinstance(path, str) and path.startswith(SCHEMES)):
            return original(self, path, *args, **named)
        mode = (named.get("mode") or getattr(self, "_staged_mode", None) or "error").lower()
        taken = mode in ("error", "errorifexists", "ignore") and staging.holds(path)
        if taken and mode == "ignore":
            return None
        bucket, key = _split(path)
        folder = Path(tempfile.mkdtemp(dir=staging.root)) / bucket / key.strip("/")
        folder.parent.mkdir(parents=True, exist_ok=True)
        if taken:
            # Spark itself then reports that the path exists already.
            folder.mkdir()
        try:
            result = original(self, str(folder), *args, **named)
            staging.publish(folder, path, replace=mode == "overwrite")
            return result
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    return write


def _split(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.split("://", 1)[1].partition("/")
    return bucket, key


def _inside(name: str, pattern: str) -> bool:
    """Whether the path names the object: exactly, as a folder above it, or as a pattern."""
    folder = pattern.rstrip("/")
    if not GLOB & set(pattern):
        return name == pattern or folder == "" or name.startswith(folder + "/")
    options = [_literal(option) for option in _braces(_ESCAPED.sub(_hide, folder))]
    return any(fnmatch.fnmatchcase(name, one) or fnmatch.fnmatchcase(name, one + "/*") for one in options)


def _hide(escaped: re.Match[str]) -> str:
    """A letter of the private use area instead of `\\*` and the like, which mean the letter itself."""
    return chr(_PRIVATE + ord(escaped[1]))


def _literal(pattern: str) -> str:
    """The hidden letters as what stands for themselves in Python's patterns."""
    return _HIDDEN.sub(lambda hidden: f"[{chr(ord(hidden[0]) - _PRIVATE)}]", pattern)


def _braces(pattern: str) -> Iterator[str]:
    """Expands `{a,b}`, which Hadoop's patterns have and Python's do not."""
    start, end = pattern.find("{"), pattern.find("}")
    if start < 0 or end < start:
        yield pattern
        return
    for choice in pattern[start + 1 : end].split(","):
        yield from _braces(pattern[:start] + choice + pattern[end + 1 :])
