"""A host for tests: S3, logs, Lambda and SQS in memory, IAM as a set of denials, events in a list."""

from __future__ import annotations

import fnmatch
import hashlib
import io
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from emulator.host import AccessDenied


class FakeError(Exception):
    """Looks like botocore's ClientError."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(f"{code}: {message}")
        self.response = {"Error": {"Code": code, "Message": message}}


class FakeS3:
    def __init__(self, host: FakeHost, role: str | None) -> None:
        self.host, self.role = host, role

    def _check(self, action: str, resource: str) -> None:
        if self.role is None:
            return
        try:
            self.host.authorize(self.role, action, resource)
        except AccessDenied as error:
            raise FakeError("AccessDenied", error.message) from error

    def list_objects_v2(self, Bucket: str, Prefix: str = "", ContinuationToken: str = "") -> dict[str, Any]:
        self._check("s3:ListBucket", f"arn:aws:s3:::{Bucket}")
        keys = sorted(
            key
            for bucket, key in self.host.objects
            if bucket == Bucket and key.startswith(Prefix) and key > ContinuationToken
        )
        first, rest = keys[:2], keys[2:]  # small pages, so that paging is always tested
        answer: dict[str, Any] = {"Contents": [{"Key": key} for key in first], "IsTruncated": bool(rest)}
        return {**answer, "NextContinuationToken": first[-1]} if rest else answer

    def get_object(self, Bucket: str, Key: str, VersionId: str = "") -> dict[str, Any]:
        self._check("s3:GetObject", f"arn:aws:s3:::{Bucket}/{Key}")
        if (Bucket, Key) not in self.host.objects:
            raise FakeError("NoSuchKey")
        return {"Body": io.BytesIO(self.host.objects[Bucket, Key])}

    def head_object(self, Bucket: str, Key: str) -> dict[str, Any]:
        self._check("s3:GetObject", f"arn:aws:s3:::{Bucket}/{Key}")
        if (Bucket, Key) not in self.host.objects:
            raise FakeError("404")
        body = self.host.objects[Bucket, Key]
        return {"ContentLength": len(body), "ETag": f'"{hashlib.md5(body).hexdigest()}"'}

    def put_object(
        self, Bucket: str, Key: str, Body: bytes, ServerSideEncryption: str = "", SSEKMSKeyId: str = ""
    ) -> None:
        self._check("s3:PutObject", f"arn:aws:s3:::{Bucket}/{Key}")
        if ServerSideEncryption == "aws:kms":
            self._check("kms:GenerateDataKey", SSEKMSKeyId)
        self.host.objects[Bucket, Key] = bytes(Body)


class FakeLogs:
    def __init__(self, host: FakeHost) -> None:
        self.host = host

    def create_log_group(self, logGroupName: str) -> None:
        self.host.log_groups.add(logGroupName)

    def create_log_stream(self, logGroupName: str, logStreamName: str) -> None:
        if logGroupName not in self.host.log_groups:
            raise FakeError("ResourceNotFoundException")
        self.host.logs[logGroupName, logStreamName] = []

    def put_log_events(self, logGroupName: str, logStreamName: str, logEvents: list[dict[str, Any]]) -> None:
        self.host.logs[logGroupName, logStreamName] += [event["message"] for event in logEvents]


class FakeLambda:
    def __init__(self, host: FakeHost) -> None:
        self.host = host

    def invoke(self, FunctionName: str, Payload: bytes) -> dict[str, Any]:
        return {"Payload": io.BytesIO(self.host.functions[FunctionName](Payload))}


class FakeEcr:
    def __init__(self, host: FakeHost) -> None:
        self.host = host

    def describe_repositories(self, repositoryNames: list[str]) -> None:
        if not set(repositoryNames) <= self.host.repositories:
            raise FakeError("RepositoryNotFoundException")


class FakeSqs:
    def __init__(self, host: FakeHost, role: str | None) -> None:
        self.host, self.role = host, role

    def send_message(self, QueueUrl: str, MessageBody: str) -> None:
        if self.role is not None:
            *_, account, queue = QueueUrl.split("/")
            try:
                self.host.authorize(
                    self.role, "sqs:SendMessage", f"arn:aws:sqs:{self.host.region}:{account}:{queue}"
                )
            except AccessDenied as error:
                raise FakeError("AccessDenied", error.message) from error
        self.host.messages.append((QueueUrl, MessageBody))


class FakeHost:
    region = "us-east-1"
    account = "000000000000"
    endpoint = "http://127.0.0.1:1"

    def __init__(self, work: Path) -> None:
        self.work = work
        self.objects: dict[tuple[str, str], bytes] = {}
        self.log_groups: set[str] = set()
        self.logs: dict[tuple[str, str], list[str]] = {}
        self.functions: dict[str, Callable[[bytes], bytes]] = {}
        self.repositories: set[str] = set()
        self.messages: list[tuple[str, str]] = []
        self.denied: list[tuple[str, str, str]] = []
        """(role pattern, action pattern, resource pattern) that are refused."""
        self.asked: list[tuple[str, str, str, dict[str, str]]] = []
        self.events: list[dict[str, Any]] = []
        self.notes: list[tuple[str, str, dict[str, object]]] = []
        self.metrics: list[tuple[str, str, float, str, dict[str, str]]] = []
        self.alarms: dict[str, str] = {}
        """State by name."""
        self._lock = threading.Lock()

    def authorize(
        self, role_arn: str, action: str, resource: str, context: Mapping[str, str] | None = None
    ) -> None:
        with self._lock:
            self.asked.append((role_arn, action, resource, dict(context or {})))
        for role, denied, target in self.denied:
            if (
                fnmatch.fnmatch(role_arn, role)
                and fnmatch.fnmatch(action, denied)
                and fnmatch.fnmatch(resource, target)
            ):
                name = role_arn.rsplit("/", 1)[-1]
                raise AccessDenied(
                    f"User: arn:aws:sts::{self.account}:assumed-role/{name}/SageMaker is not authorized to"
                    f" perform: {action} on resource: {resource} because no identity-based policy allows the"
                    f" {action} action",
                    principal=role_arn,
                    action=action,
                    resource=resource,
                )

    def permits(
        self, role_arn: str, action: str, resource: str, context: Mapping[str, str] | None = None
    ) -> bool:
        try:
            self.authorize(role_arn, action, resource, context)
        except AccessDenied:
            return False
        return True

    def key_arn(self, key: str) -> str | None:
        return key if key.startswith("arn:") else f"arn:aws:kms:{self.region}:{self.account}:key/{key}"

    def client(self, service: str, role_arn: str | None = None) -> Any:
        made: dict[str, Callable[[], Any]] = {
            "s3": lambda: FakeS3(self, role_arn),
            "logs": lambda: FakeLogs(self),
            "lambda": lambda: FakeLambda(self),
            "ecr": lambda: FakeEcr(self),
            "sqs": lambda: FakeSqs(self, role_arn),
        }
        return made[service]()

    def environment(self, role_arn: str) -> dict[str, str]:
        return {"AWS_REGION": self.region, "AWS_ACCESS_KEY_ID": "test"}

    def put_event(
        self,
        detail_type: str,
        detail: Mapping[str, object],
        resources: Sequence[str] = (),
        source: str = "aws.sagemaker",
    ) -> None:
        with self._lock:
            self.events.append(
                {
                    "detail-type": detail_type,
                    "detail": dict(detail),
                    "resources": list(resources),
                    "source": source,
                }
            )

    def put_metric(
        self, namespace: str, name: str, value: float, unit: str, dimensions: Mapping[str, str]
    ) -> None:
        with self._lock:
            self.metrics.append((namespace, name, value, unit, dict(dimensions)))

    def alarm_state(self, name: str) -> str | None:
        return self.alarms.get(name)

    def note(self, kind: str, message: str, **fields: object) -> None:
        with self._lock:
            self.notes.append((kind, message, fields))

    def logged(self, text: str) -> bool:
        """Whether a model server writes this; its log is read in a thread of its own."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if any(kind == "log" and text in line for kind, line, _ in list(self.notes)):
                return True
            time.sleep(0.02)
        return False
