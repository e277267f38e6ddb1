"""For the tests of this folder: an emulator as a process of its own, and helpers for what they make in it."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

PACKAGE = Path(__file__).resolve().parent.parent.parent
ACCOUNT = "000000000000"
Grant = tuple[Sequence[str], Sequence[str] | str]


class Running:
    """An emulator that listens on a port of its own. Use as a context manager."""

    def __init__(self, *accounts: str, **environment: str) -> None:
        self.account = accounts[0] if accounts else ACCOUNT
        named = [part for account in accounts for part in ("--account", account)]
        self.folder = Path(tempfile.mkdtemp(prefix="emulator-test-"))
        self.work = self.folder / "work"
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "emulator", "--work", str(self.work)),
                *("--parent-pid", str(os.getpid()), *named),
            ],
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(PACKAGE), os.environ.get("PYTHONPATH", "")]),
                "PYTHONDONTWRITEBYTECODE": "1",
                **environment,
            },
            cwd=self.folder,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the emulator did not start"
        ready = json.loads(line)
        self.endpoint: str = ready["endpoint"]
        self.credentials: dict[str, dict[str, str]] = ready["credentials"]
        self.token: str = ready["token"]

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)

    def client(self, service: str, account: str | None = None, region: str = "us-east-1") -> Any:
        """A client of the root user of an account."""
        config = Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1})
        keys = {
            "aws_access_key_id": self.credentials[account or self.account]["accessKeyId"],
            "aws_secret_access_key": self.credentials[account or self.account]["secretAccessKey"],
        }
        return boto3.client(service, endpoint_url=self.endpoint, region_name=region, config=config, **keys)  # type: ignore[call-overload]

    def notes(self, kind: str | None = None) -> list[dict[str, Any]]:
        """The notes of the emulator so far."""
        notes = self.ask("notes?since=0")["notes"]
        return [note for note in notes if kind is None or note["kind"] == kind]

    def report(self) -> dict[str, Any]:
        """Grants and denials."""
        return dict(self.ask("report"))

    def ask(self, route: str, body: Any = None) -> Any:
        """The answer of a control route."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token}"}
        request = urllib.request.Request(f"{self.endpoint}/_rehearsal/{route}", data=data, headers=headers)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def role(self, name: str, service: str, *grants: Grant) -> str:
        """A role that `service` assumes and that may do exactly this."""
        trust = {
            "Effect": "Allow",
            "Principal": {"Service": f"{service}.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        arn = self.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
        if grants:
            statements = [{"Effect": "Allow", "Action": list(a), "Resource": r} for a, r in grants]
            policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
            self.client("iam").put_role_policy(RoleName=name, PolicyName="policy", PolicyDocument=policy)
        return str(arn)

    def machine(self, name: str, role: str, definition: Mapping[str, Any]) -> str:
        """A state machine; gives its ARN."""
        made = self.client("stepfunctions").create_state_machine(
            name=name, roleArn=role, definition=json.dumps(definition)
        )
        return str(made["stateMachineArn"])

    def execute(self, machine: str, data: Any = None, seconds: float = 90) -> dict[str, Any]:
        """Runs a state machine to its end; gives DescribeExecution's answer with `output` parsed."""
        states = self.client("stepfunctions")
        execution = states.start_execution(stateMachineArn=machine, input=json.dumps(data or {}))[
            "executionArn"
        ]
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            described = dict(states.describe_execution(executionArn=execution))
            if described["status"] != "RUNNING":
                described["output"] = json.loads(described.get("output") or "null")
                return described
            time.sleep(0.05)
        raise AssertionError(f"{machine} still runs after {seconds} s")

    def function(self, name: str, role: str, code: str, runtime: str = "python3.12", **settings: Any) -> str:
        """A Lambda function of one file; gives its ARN."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("index.py" if runtime.startswith("python") else "index.js", code)
        made = self.client("lambda").create_function(
            FunctionName=name,
            Role=role,
            Runtime=runtime,
            Handler="index.handler",
            Code={"ZipFile": packed.getvalue()},
            **settings,
        )
        return str(made["FunctionArn"])


def task(resource: str, parameters: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """A state machine of one task."""
    state = {
        "Type": "Task",
        "Resource": f"arn:aws:states:::{resource}",
        "Parameters": parameters,
        "End": True,
        **more,
    }
    return {"StartAt": "Only", "States": {"Only": state}}
