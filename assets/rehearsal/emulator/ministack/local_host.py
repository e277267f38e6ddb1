"""The `Host` of the played services: identities, clients and events of this MiniStack.

A service of AWS acts as a role with temporary credentials, whose ARN is `assumed-role/<role>/<session>` (IAM user
guide: "IAM identifiers").
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from ministack.core import responses
from ministack.services import cloudwatch
from ministack.services import sts as sts_service

from emulator.journal import Journal
from emulator.ministack import keys
from emulator.ministack.grants import Grants, account_and_role
from emulator.ministack.settings import Settings

__all__ = ["LocalHost"]


class LocalHost:
    """Implements `emulator.host.Host` for one account and region, or for those of the request that is answered.

    Not to be called from the thread of the event loop.
    """

    def __init__(self, settings: Settings, journal: Journal, grants: Grants) -> None:
        self._place: tuple[str, str] | None = None
        self.endpoint = settings.endpoint
        self.work: Path = settings.work
        self._settings = settings
        self._journal = journal
        self._grants = grants
        # One for all roles: each session would read the service models anew. `Any`, because the stubs type known names only.
        self._session: Any = boto3.session.Session()
        self._clients: dict[tuple[str, str, str, str | None], Any] = {}
        self._lock = threading.Lock()

    def at(self, account: str, region: str) -> LocalHost:
        """The host of one account and region, whoever asks."""
        host = copy.copy(self)
        host._place = (account, region)
        return host

    @property
    def account(self) -> str:
        """See `emulator.host.Host`."""
        return self._place[0] if self._place else responses.get_account_id()

    @property
    def region(self) -> str:
        """See `emulator.host.Host`."""
        return self._place[1] if self._place else responses.get_region()

    def enter(self) -> None:
        """Makes this account and region those of the calling thread; MiniStack keeps both per request."""
        account, region = self.account, self.region
        responses.set_request_account_id(account)
        responses.set_request_region(region)

    def authorize(
        self, role_arn: str, action: str, resource: str, context: Mapping[str, str] | None = None
    ) -> None:
        """See `emulator.host.Host`."""
        self._grants.authorize(role_arn, action, resource, context)

    def permits(
        self, role_arn: str, action: str, resource: str, context: Mapping[str, str] | None = None
    ) -> bool:
        """See `emulator.host.Host`."""
        return self._grants.permits(role_arn, action, resource, context)

    def key_arn(self, key: str) -> str | None:
        """See `emulator.host.Host`."""
        self.enter()
        return keys.key_arn(key)

    def credentials(self, role_arn: str, session: str = "rehearsal") -> dict[str, str]:
        """Credentials of a session of the role; the same for the same role and session name; they do not expire."""
        session = re.sub(r"[^\w+=,.@-]", "-", session)[:64]
        account, role = account_and_role(role_arn, self.account)
        digest = hashlib.sha256(f"{role_arn}\0{session}".encode()).hexdigest()
        key = f"ASIA{digest[:16].upper()}"
        record = {
            "Arn": f"arn:aws:sts::{account}:assumed-role/{role}/{session}",
            "UserId": f"{role}:{session}",
            "AccountId": account,
            "SecretAccessKey": self._settings.secret("session", key),
            "SessionToken": self._settings.secret("session-token", key),
            "PrincipalType": "AssumedRole",
        }
        if key not in sts_service._sessions:
            sts_service.register_session(key, record)
        return {
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": record["SecretAccessKey"],
            "AWS_SESSION_TOKEN": record["SessionToken"],
        }

    def client(self, service: str, role_arn: str | None = None) -> Any:
        """See `emulator.host.Host`. Clients are kept: creating one takes tens of milliseconds."""
        with self._lock:
            key = (self.account, self.region, service, role_arn)
            made = self._clients.get(key)
            if made is None:
                made = self._clients[key] = self._new_client(service, role_arn)
            return made

    def _new_client(self, service: str, role_arn: str | None) -> Any:
        administrator = self._settings.administrators[self.account]
        keys = {
            "AWS_ACCESS_KEY_ID": administrator.access_key_id,
            "AWS_SECRET_ACCESS_KEY": administrator.secret_access_key,
        }
        if role_arn is not None:
            keys = self.credentials(role_arn)
        config = Config(
            retries={"max_attempts": 2, "mode": "standard"},
            s3={"addressing_style": "path"},
            max_pool_connections=32,
            proxies={},
            inject_host_prefix=False,
        )
        return self._session.client(
            service,
            region_name=self.region,
            endpoint_url=self.endpoint,
            config=config,
            aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=keys.get("AWS_SESSION_TOKEN"),
        )

    def environment(self, role_arn: str) -> dict[str, str]:
        """See `emulator.host.Host`."""
        return {
            **self.credentials(role_arn),
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
        }

    def put_event(
        self,
        detail_type: str,
        detail: Mapping[str, object],
        resources: Sequence[str] = (),
        source: str = "aws.sagemaker",
    ) -> None:
        """See `emulator.host.Host`."""
        from ministack.services import eventbridge

        self.enter()
        entry = {"Source": source, "DetailType": detail_type, "Resources": list(resources)}
        entry["Detail"] = json.dumps(detail, default=str)
        eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)

    def put_metric(
        self, namespace: str, name: str, value: float, unit: str, dimensions: Mapping[str, str]
    ) -> None:
        """See `emulator.host.Host`."""
        self.enter()
        cloudwatch.record_metric(namespace, name, value, unit, dict(dimensions))

    def alarm_state(self, name: str) -> str | None:
        """See `emulator.host.Host`."""
        self.enter()
        found = cloudwatch._alarms.get(name) or cloudwatch._composite_alarms.get(name)
        return str(found["StateValue"]) if found else None

    def note(self, kind: str, message: str, **fields: object) -> None:
        """See `emulator.host.Host`."""
        self._journal.note(kind, message, **fields)
