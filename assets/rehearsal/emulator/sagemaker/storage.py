"""Moves data between S3 and the folders of a container, as the role of the job.

A prefix means every key that begins with it (botocore model `sagemaker`, `S3DataSource`).
"""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

from ..host import Host


class StorageError(Exception):
    """Data that could not be read or written; the message of a denial names role, action and
    resource.
    """


def split(uri: str) -> tuple[str, str]:
    """Bucket and key of an `s3://` URI."""
    if not uri.startswith("s3://") or not uri[5:].partition("/")[0]:
        raise StorageError(f"{uri!r} is not an S3 URI; it must look like s3://bucket/key")
    bucket, _, key = uri[5:].partition("/")
    return bucket, key


class Storage:
    """S3 with the permissions of one role."""

    def __init__(self, host: Host, role_arn: str) -> None:
        self.host = host
        self.role_arn = role_arn
        self.s3 = host.client("s3", role_arn)

    def call(self, operation: str, action: str, resource: str, **arguments: Any) -> Any:
        """One S3 call; a denial becomes AWS's message with role, action and resource."""
        try:
            return getattr(self.s3, operation)(**arguments)
        except Exception as error:
            raise StorageError(self._explain(error, action, resource)) from error

    def _explain(self, error: Exception, action: str, resource: str) -> str:
        answer: dict[str, Any] = getattr(error, "response", None) or {}
        code = str(answer.get("Error", {}).get("Code", ""))
        said = str(answer.get("Error", {}).get("Message", ""))
        if "is not authorized to perform" in said:
            # What is missing may be a permission on the key of the bucket.
            return said
        if code in ("AccessDenied", "403", "Forbidden", "AccessDeniedException"):
            return (
                f"User: {self.role_arn} is not authorized to perform: {action} on resource: {resource} "
                f"because no identity-based policy allows the {action} action"
            )
        if code in ("NoSuchKey", "404", "NoSuchBucket", "NotFound"):
            return f"{resource} does not exist ({code})"
        return str(error)

    def list(self, bucket: str, prefix: str) -> list[str]:
        """All keys below a prefix, in order."""
        keys: list[str] = []
        token: dict[str, str] = {}
        while True:
            answer = self.call(
                "list_objects_v2",
                "s3:ListBucket",
                f"arn:aws:s3:::{bucket}",
                Bucket=bucket,
                Prefix=prefix,
                **token,
            )
            keys += [entry["Key"] for entry in answer.get("Contents", ())]
            if not answer.get("IsTruncated"):
                return sorted(keys)
            token = {"ContinuationToken": answer["NextContinuationToken"]}

    def read(self, uri: str) -> bytes:
        """The bytes of one object."""
        bucket, key = split(uri)
        answer = self.call(
            "get_object", "s3:GetObject", f"arn:aws:s3:::{bucket}/{key}", Bucket=bucket, Key=key
        )
        data: bytes = answer["Body"].read()
        return data

    def download(self, uri: str, folder: Path) -> int:
        """Copies what a URI names: one object lands as that file, a prefix with its paths below it. Returns
        the number of files.
        """
        bucket, key = split(uri)
        keys = self.list(bucket, key)
        if key in keys and not key.endswith("/"):
            # S3Prefix means every key that begins with it, unless there is an object of exactly this name.
            keys = [key] if all(other == key or not other.startswith(key + "/") for other in keys) else keys
        root = folder.resolve()
        count = 0
        for found in keys:
            if found.endswith("/"):
                continue
            target = (folder / relative(found, key)).resolve()
            if root not in target.parents:
                raise StorageError(f"s3://{bucket}/{found} would land outside of its folder")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(self.read(f"s3://{bucket}/{found}"))
            count += 1
        return count

    def put(self, uri: str, body: bytes, encryption_key: str | None = None) -> None:
        """Writes one object, encrypted with the key of this ARN; without one as the bucket says."""
        bucket, key = split(uri)
        encryption = (
            {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": encryption_key} if encryption_key else {}
        )
        self.call(
            "put_object",
            "s3:PutObject",
            f"arn:aws:s3:::{bucket}/{key}",
            Bucket=bucket,
            Key=key,
            Body=body,
            **encryption,
        )

    def upload(self, folder: Path, uri: str, encryption_key: str | None = None) -> int:
        """Copies every file below a folder under the URI; returns the number of files."""
        count = 0
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                target = f"{uri.rstrip('/')}/{path.relative_to(folder).as_posix()}"
                self.put(target, path.read_bytes(), encryption_key)
                count += 1
        return count


def relative(key: str, prefix: str) -> str:
    """The path of an object below the folder of its input."""
    if key == prefix:
        return key.rsplit("/", 1)[-1]
    rest = key[len(prefix) :]
    if prefix.endswith("/") or not prefix:
        return rest
    if rest.startswith("/"):
        return rest[1:]
    # The prefix ends within a name: the whole name is kept.
    return key[prefix.rfind("/") + 1 :]


def pack(folder: Path, archive: Path) -> None:
    """Writes `folder` as a `.tar.gz` whose members begin at the folder's own content."""
    with tarfile.open(archive, "w:gz", compresslevel=6) as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, arcname=path.name)


def unpack(data: Path, folder: Path) -> None:
    """Unpacks a `.tar.gz`; members that would land outside of the folder are refused."""
    try:
        with tarfile.open(data, "r:*") as tar:
            if hasattr(tarfile, "data_filter"):
                tar.extractall(folder, filter="data")
            else:
                root = folder.resolve()
                for member in tar.getmembers():
                    target = (folder / member.name).resolve()
                    if not (member.isfile() or member.isdir()) or (
                        root != target and root not in target.parents
                    ):
                        raise StorageError(
                            f"{data.name} holds {member.name!r}, which would land outside of its folder"
                        )
                tar.extractall(folder)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise StorageError(f"{data.name} is not a tar.gz archive: {error}") from error
