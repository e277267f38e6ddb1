"""Where the emulator listens and works, and the environment that MiniStack reads when it is imported.

Imports nothing of MiniStack: `Settings.apply` comes before the first import of it.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["ACCOUNT", "AccessKey", "Settings"]

ACCOUNT = "000000000000"


@dataclass(frozen=True)
class AccessKey:
    """An access key, in the form that AWS gives it (IAM user guide: "Unique identifiers", prefix AKIA)."""

    access_key_id: str = field(
        default_factory=lambda: "AKIA" + "".join(secrets.choice(_BASE_32) for _ in range(16))
    )
    secret_access_key: str = field(default_factory=lambda: secrets.token_urlsafe(30))


_BASE_32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


@dataclass(frozen=True)
class Settings:
    """Where this run listens and works, and what it plays."""

    port: int
    work: Path
    region: str
    account: str = ACCOUNT
    """Account and `region` are those of whoever names none."""
    administrator: AccessKey = field(default_factory=AccessKey)
    """Key of the person who deploys: MiniStack's root user, whose calls are not evaluated. Another one in each run."""
    others: Mapping[str, AccessKey] = field(default_factory=dict)
    """The same of the other accounts that are played."""
    token: str = field(default_factory=lambda: secrets.token_urlsafe(30))
    """What the command line shows to be let through to the control routes."""
    seed: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    """Of the secrets that this run derives."""

    @property
    def administrators(self) -> dict[str, AccessKey]:
        """The administrators' keys, by account."""
        return {self.account: self.administrator, **self.others}

    def secret(self, *names: str) -> str:
        """A secret for what is named so: the same within a run, not to be calculated outside of it."""
        return hmac.new(self.seed, "\0".join(names).encode(), hashlib.sha256).hexdigest()

    @property
    def endpoint(self) -> str:
        """URL of every service. An IP address, because host-style names do not resolve everywhere."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def folders(self) -> dict[str, Path]:
        """Folders below `work` that the emulator fills and removes."""
        return {name: self.work / name for name in ("tmp", "s3", "state")}

    def apply(self) -> None:
        """Sets the environment that MiniStack reads on import, and removes the machine's own settings for AWS."""
        for folder in self.folders.values():
            folder.mkdir(parents=True, exist_ok=True)
        for name in list(os.environ):
            if name.startswith(("AWS_", "MINISTACK_", "LOCALSTACK_")):
                del os.environ[name]
        tempfile.tempdir = str(self.folders["tmp"])
        os.environ.update(
            {
                "GATEWAY_PORT": str(self.port),
                "BIND_HOST": "127.0.0.1",
                "AUTH": "true",
                "TMPDIR": str(self.folders["tmp"]),
                "S3_DATA_DIR": str(self.folders["s3"]),
                "STATE_DIR": str(self.folders["state"]),
                "PERSIST_STATE": "0",
                "S3_PERSIST": "0",
                "IOT_MTLS_ENABLED": "0",
                "SFTP_ENABLED": "0",
                "MINISTACK_REGION": self.region,
                "MINISTACK_ACCOUNT_ID": self.account,
                "AWS_ACCESS_KEY_ID": self.administrator.access_key_id,
                "AWS_SECRET_ACCESS_KEY": self.administrator.secret_access_key,
                "AWS_DEFAULT_REGION": self.region,
                "AWS_REGION": self.region,
                "AWS_EC2_METADATA_DISABLED": "true",
                "AWS_CONFIG_FILE": os.devnull,
                "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
                # Docker is not used, even where the machine has it.
                "DOCKER_HOST": "unix:///nonexistent/docker.sock",
                "LAMBDA_EXECUTOR": "local",
                "no_proxy": "127.0.0.1,localhost",
                "NO_PROXY": "127.0.0.1,localhost",
            }
        )
