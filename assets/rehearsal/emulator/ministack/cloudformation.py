"""Deploys what MiniStack's CloudFormation does not know, corrects what it gets wrong, records what it drops.

An error of a service becomes a stack event in CloudFormation's words; an update that needs another physical resource
creates it first and deletes the old one at the end (CloudFormation user guide: "Understand update behaviors of stack
resources").
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from ministack.core.responses import request_scope
from ministack.services.cloudformation import (
    changesets,
    engine,
    handlers,
    provisioners,
    stacks,
)

from emulator.host import ApiError
from emulator.ministack import fixed_names, not_rehearsed
from emulator.ministack.emulator import Emulator

__all__ = ["all_bootstrap_stacks", "bootstrap_stacks", "environments", "install"]

_OWN_THREAD = ("AWS::SageMaker::", "AWS::ApplicationAutoScaling::")
"""Types whose handlers may call back over HTTP, so they must not run on the event loop."""

_PROVIDER_ROLES = re.compile(
    r"^(Custom[A-Z]\w+(CustomResourceProviderRole|ServiceRole)"
    r"|AWS679f53fac002430cb0da5b7982bd2287ServiceRole|LogRetention[0-9a-f]{32}ServiceRole"
    r"|BucketNotificationsHandler[0-9a-f]{32}Role)"
)
"""Logical ids of the roles of CDK's own custom resource providers: not the app's grants, so not counted."""


class AnyAttributes(dict[str, Any]):
    """Attributes of a resource that is only recorded: every name has a value, so templates resolve."""

    def __init__(self, physical_id: str, arn: str) -> None:
        super().__init__(Id=physical_id, Arn=arn)
        self._physical_id = physical_id

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> str:
        return self["Arn"] if name.endswith("Arn") else self._physical_id


def install(emulator: Emulator) -> None:
    """Registers the types, and wraps the few functions through which every resource goes."""
    _wrap_provisioning(emulator)
    _wrap_template_check(emulator)
    runs_apart = stacks._runs_on_worker_thread
    stacks._runs_on_worker_thread = lambda kind: kind.startswith(_OWN_THREAD) or runs_apart(kind)


def _wrap_provisioning(emulator: Emulator) -> None:
    provision, update, delete = (
        provisioners._provision_resource,
        provisioners._update_resource,
        provisioners._delete_resource,
    )

    def provisioned(resource_type: str, logical_id: str, props: dict[str, Any], stack_name: str) -> Any:
        _as_failure(lambda: fixed_names.check(resource_type, props))
        result = _as_failure(lambda: provision(resource_type, logical_id, props, stack_name))
        _record_resource(emulator, resource_type, logical_id, stack_name, props, result[0])
        return result

    def updated(
        resource_type: str,
        physical_id: str,
        old_props: dict[str, Any],
        new_props: dict[str, Any],
        stack_name: str,
        logical_id: str | None = None,
        old_attrs: dict[str, Any] | None = None,
    ) -> Any:
        arguments = (resource_type, physical_id, old_props, new_props, stack_name, logical_id, old_attrs)
        result = _as_failure(lambda: update(*arguments))
        _record_resource(emulator, resource_type, logical_id or physical_id, stack_name, new_props, result[0])
        return result

    def deleted(
        resource_type: str,
        physical_id: str,
        props: dict[str, Any],
        stack_name: str | None = None,
        logical_id: str | None = None,
    ) -> None:
        for role in _roles_of(resource_type, physical_id, props):
            emulator.grants.remember(role)
        _as_failure(lambda: delete(resource_type, physical_id, props, stack_name, logical_id))

    for module in (provisioners, stacks):
        module._provision_resource = provisioned
        module._update_resource = updated
        module._delete_resource = deleted


def _as_failure(action: Callable[[], Any]) -> Any:
    """A stack event names an error as AWS does: message, service, code."""
    try:
        return action()
    except ApiError as error:
        raise ValueError(f"{error.message} (Error Code: {error.code})") from error


def _record_resource(
    emulator: Emulator, kind: str, logical_id: str, stack: str, props: Any, physical_id: str
) -> None:
    properties: Mapping[str, Any] = props if isinstance(props, Mapping) else {}
    if kind == "AWS::IAM::Role":
        emulator.grants.belongs_to(
            physical_id, stack, logical_id, counted=not _PROVIDER_ROLES.match(logical_id)
        )
        unknown = emulator.grants.limit(physical_id, properties.get("PermissionsBoundary"))
        if unknown:
            emulator.journal.not_rehearsed(kind, logical_id, stack, unknown)
    for role in _roles_of(kind, physical_id, dict(properties)):
        emulator.grants.remember(role)
    whole = not_rehearsed.reason_for_whole(kind)
    if whole:
        emulator.journal.not_rehearsed(kind, logical_id, stack, whole)
    for lost in not_rehearsed.lost_properties(kind, properties):
        emulator.journal.not_rehearsed(kind, logical_id, stack, lost)


def _roles_of(kind: str, physical_id: str, props: Mapping[str, Any]) -> list[str]:
    if kind == "AWS::IAM::Role":
        return [physical_id]
    if kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
        return [str(name) for name in props.get("Roles") or []]
    return []


def bootstrap_stacks() -> set[str]:
    """Names of the stacks that `cdk bootstrap` made in this account and region."""
    from ministack.services import cloudformation

    return {name for name in cloudformation._stacks if _is_bootstrap(name)}


def all_bootstrap_stacks() -> set[str]:
    """The same of all accounts and regions."""
    found: set[str] = set()
    for account, region in environments():
        with request_scope(account, region):
            found |= bootstrap_stacks()
    return found


def environments() -> set[tuple[str, str]]:
    """Account and region of every stack that there was."""
    from ministack.services import cloudformation

    return {(account, region) for account, region, _name in cloudformation._stacks.to_dict()}


def _is_bootstrap(stack_name: str) -> bool:
    from ministack.services import cloudformation

    template = (cloudformation._stacks.get(stack_name) or {}).get("_template") or {}
    return "BootstrapVersion" in (template.get("Outputs") or {})


# --- types that are not implemented -----------------------------------------------


def _wrap_template_check(emulator: Emulator) -> None:
    check = engine.validate_template_support

    def checked(template: dict[str, Any], conditions: dict[str, Any], params: Any = None) -> None:
        unknown = []
        resources = template.get("Resources") if isinstance(template, dict) else None
        for logical_id, resource in (resources or {}).items():
            kind = resource.get("Type", "") if isinstance(resource, dict) else ""
            if kind in provisioners._RESOURCE_HANDLERS or kind.startswith("Custom::"):
                continue
            if conditions.get(resource.get("Condition"), True) is False:
                continue
            why = not_rehearsed.reason_for_type(kind)
            if why is None:
                unknown.append(f"{kind} ({logical_id})")
            else:
                _record_only(emulator, kind, why)
        if unknown:
            raise ValueError(
                "Template format error: Unrecognized resource types: ["
                + ", ".join(sorted(unknown))
                + "]. The rehearsal neither plays them nor knows that they can be left out"
            )
        check(template, conditions, params)

    for module in (engine, handlers, changesets):
        module.validate_template_support = checked


def _record_only(emulator: Emulator, kind: str, why: str) -> None:
    def arn_of(physical_id: str) -> str:
        service = kind.split("::")[1].lower()
        return f"arn:aws:{service}:{emulator.host.region}:{emulator.host.account}:{physical_id}"

    def create(logical_id: str, props: dict[str, Any], stack_name: str) -> tuple[str, dict[str, Any]]:
        physical_id = f"{stack_name}-{logical_id}-{uuid.uuid4().hex[:12]}"[-128:]
        emulator.journal.not_rehearsed(kind, logical_id, stack_name, why)
        return physical_id, AnyAttributes(physical_id, arn_of(physical_id))

    def update(physical_id: str, old: Any, new: Any, stack_name: str) -> tuple[str, dict[str, Any]]:
        return physical_id, AnyAttributes(physical_id, arn_of(physical_id))

    provisioners._RESOURCE_HANDLERS[kind] = {"create": create, "update": update, "delete": lambda *_: None}


def register(
    kind: str,
    create: Callable[[str, dict[str, Any], str], tuple[str, dict[str, Any]]],
    update: Callable[[str, dict[str, Any], dict[str, Any]], tuple[str, dict[str, Any]] | None],
    delete: Callable[[str, dict[str, Any]], None],
) -> None:
    """Adds a type: `create(logical id, properties, stack)`, `update(id, old, new)`, `delete(id, properties)`.

    An update that returns None creates a new resource; the old one is deleted when the whole update of the stack has succeeded.
    """

    def updated(physical_id: str, old: Any, new: Any, stack_name: str, logical_id: str | None = None) -> Any:
        return update(physical_id, old, new) or create(logical_id or physical_id, new, stack_name)

    provisioners._RESOURCE_HANDLERS[kind] = {
        "create": create,
        "update": updated,
        "update_with_logical_id": True,
        "delete": delete,
    }
