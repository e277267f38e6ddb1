"""Lists what remains in the stores of the services, without what `cdk bootstrap` made.

What remains on purpose has a `why`: the removal policy retains it, or AWS would leave it behind as well.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable
from typing import Any

from ministack.core.responses import request_scope

from emulator.ministack.cloudformation import bootstrap_stacks, environments
from emulator.ministack.emulator import Emulator

__all__ = ["STORES", "find"]

STORES: tuple[tuple[str, str, str, str], ...] = (
    ("s3", "bucket", "s3", "_buckets"),
    ("dynamodb", "table", "dynamodb", "_tables"),
    ("lambda", "function", "lambda_svc", "_functions"),
    ("logs", "log group", "cloudwatch_logs", "_log_groups"),
    ("iam", "role", "iam", "_roles"),
    ("iam", "policy", "iam", "_policies"),
    ("iam", "user", "iam", "_users"),
    ("sns", "topic", "sns", "_topics"),
    ("sqs", "queue", "sqs", "_queues"),
    ("states", "state machine", "stepfunctions", "_state_machines"),
    ("states", "activity", "stepfunctions", "_activities"),
    ("events", "rule", "eventbridge", "_rules"),
    ("events", "event bus", "eventbridge", "_event_buses"),
    ("scheduler", "schedule", "scheduler", "_schedules"),
    ("apigateway", "HTTP API", "apigateway", "_apis"),
    ("apigateway", "REST API", "apigateway_v1", "_rest_apis"),
    ("cognito-idp", "user pool", "cognito", "_user_pools"),
    ("cloudfront", "distribution", "cloudfront", "_distributions"),
    ("cloudwatch", "alarm", "cloudwatch", "_alarms"),
    ("cloudwatch", "composite alarm", "cloudwatch", "_composite_alarms"),
    ("cloudwatch", "dashboard", "cloudwatch", "_dashboards"),
    ("glue", "database", "glue", "_databases"),
    ("glue", "job", "glue", "_jobs"),
    ("glue", "crawler", "glue", "_crawlers"),
    ("kms", "key", "kms", "_keys"),
    ("secretsmanager", "secret", "secretsmanager", "_secrets"),
    ("ssm", "parameter", "ssm", "_parameters"),
    ("ecr", "repository", "ecr", "_repositories"),
    ("codebuild", "project", "codebuild", "_projects"),
    ("athena", "work group", "athena", "_workgroups"),
)
"""Service, kind, module of MiniStack and its store."""

_OF_ALL_JOBS = re.compile(
    r"/aws/sagemaker/\w+Jobs$|/aws-glue/(jobs|python-jobs|crawlers)(/output|/error|/logs-v2)?$"
)
_OF_PROVIDERS = re.compile(
    r"^/aws/lambda/[^/]*-(Custom[A-Z]\w*(Custom|Provider|Deploy)|AWS679f53fac002430cb0da5b79|LogRetention[0-9a-f]{8}"
    r"|BucketNotificationsHandler[0-9a-f]{8})"
)
_ALWAYS_THERE = {("events", "event bus", "default"), ("athena", "work group", "primary")}
_NOT_OURS: dict[tuple[str, str], Callable[[Any], bool]] = {
    # Keys and policies that AWS manages are created when they are first used.
    ("kms", "key"): lambda record: (
        record.get("KeyManager") == "AWS" or record.get("KeyState") == "PendingDeletion"
    ),
    ("iam", "policy"): lambda record: str(record.get("Arn", "")).startswith("arn:aws:iam::aws:"),
    ("secretsmanager", "secret"): lambda record: bool(record.get("DeletedDate")),
}


def find(emulator: Emulator) -> list[dict[str, str]]:
    """`{"service", "kind", "id"}` of everything left, of each account and region stacks first."""
    home = (emulator.settings.account, emulator.settings.region)
    found: dict[tuple[str, str, str, str], dict[str, str]] = {}
    for account, region in sorted({home, *environments()}, key=lambda place: (place != home, place)):
        with request_scope(account, region):
            for entry in _find_here(emulator):
                if any((account, part) in emulator.outside for part in _names_in(entry["id"])):
                    continue
                found.setdefault((account, entry["service"], entry["kind"], entry["id"]), entry)
    return list(found.values())


def _names_in(identity: str) -> tuple[str, ...]:
    """The id, and the name at its end: of a queue that of its URL, of a topic or policy that of its ARN."""
    return identity, identity.rsplit("/", 1)[-1], identity.rsplit(":", 1)[-1]


def _find_here(emulator: Emulator) -> list[dict[str, str]]:
    kept = _made_by_bootstrap()
    found: list[dict[str, str]] = []
    bootstrap = bootstrap_stacks()
    for name, status in _stacks():
        if name not in bootstrap and status != "DELETE_COMPLETE":
            found.append({"service": "cloudformation", "kind": "stack", "id": f"{name} ({status})"})
    for service, kind, module, store in STORES:
        table = getattr(importlib.import_module(f"ministack.services.{module}"), store, None)
        if table is None:
            continue
        for identity, record in list(table.items()):
            name = str(identity)
            if (service, kind, name) in _ALWAYS_THERE or name in kept or name.rsplit("/", 1)[-1] in kept:
                continue
            ignored = _NOT_OURS.get((service, kind))
            if ignored and isinstance(record, dict) and ignored(record):
                continue
            found.append({"service": service, "kind": kind, "id": name})
    found.extend(_of_players(emulator))
    kept_on_purpose = _retained()
    for entry in found:
        why = _why_kept(entry, kept_on_purpose)
        if why:
            entry["why"] = why
    return found


def _retained() -> set[str]:
    """Names of what the deletion of a stack retained, as the template asks; of an ARN its last part too."""
    from ministack.services import cloudformation

    events = [event for history in cloudformation._stack_events.values() for event in history]
    ids = {str(e.get("PhysicalResourceId")) for e in events if e.get("ResourceStatus") == "DELETE_SKIPPED"}
    return ids | {identity.rsplit("/", 1)[-1] for identity in ids if identity.startswith("arn:")}


def _why_kept(entry: dict[str, str], retained: set[str]) -> str | None:
    if entry["id"] in retained or entry["id"].rsplit("/", 1)[-1] in retained:
        return "its removal policy retains it"
    if entry["kind"] == "model-package" and entry["id"].split("/")[-2] in retained:
        return "it is in a group that its removal policy retains"
    if entry["kind"] == "log group" and _OF_PROVIDERS.search(entry["id"]):
        return "written by a function of CDK; on AWS it remains too"
    if entry["kind"] == "log group" and _OF_ALL_JOBS.match(entry["id"]):
        return "written by jobs, and shared by all of the account; on AWS it remains too"
    return None


def _stacks() -> Iterable[tuple[str, str]]:
    from ministack.services import cloudformation

    return [(str(name), str(stack.get("StackStatus"))) for name, stack in cloudformation._stacks.items()]


def _made_by_bootstrap() -> set[str]:
    from ministack.services import cloudformation

    kept: set[str] = set()
    for name in bootstrap_stacks():
        for resource in (cloudformation._stacks[name].get("_resources") or {}).values():
            kept.add(str(resource.get("PhysicalResourceId")))
    return kept


def _of_players(emulator: Emulator) -> list[dict[str, str]]:
    """What SageMaker and Application Auto Scaling have."""
    from emulator.ministack import autoscaling

    found = []
    for target in autoscaling.targets(emulator):
        found.append({"service": "application-autoscaling", "kind": "scalable target", "id": target})
    return found + list(emulator.sagemaker.leftovers())
