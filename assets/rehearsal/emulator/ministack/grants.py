"""Evaluates what roles may do, counts which statement allowed a call, and reports the statements that nothing used.

For calls that are not HTTP requests to MiniStack. A role may do what a policy allows and none denies (IAM user guide:
"Policy evaluation logic"; the words of a refusal: "Troubleshoot access denied error messages").
"""

from __future__ import annotations

import fnmatch
import threading
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ministack.core import iam_evaluator, responses
from ministack.services import iam as iam_service

from emulator.host import AccessDenied
from emulator.journal import Journal
from emulator.ministack import not_rehearsed

__all__ = ["ONLY_BOUNDARY", "ONLY_RESOURCE_POLICY", "Grants", "account_and_role", "denial_message"]

ONLY_RESOURCE_POLICY = "the identity may, but the policy of the resource does not allow it"
"""Reason of a result in which the policy of the resource is what is missing."""
ONLY_BOUNDARY = "the policies of the identity allow it, but its permissions boundary does not"
"""Reason of a result in which the permissions boundary is what refuses."""


@dataclass
class Statement:
    """One statement of one policy of a role, with the number of calls that each of its actions allowed."""

    account: str
    role: str
    policy: str
    index: int
    effect: str
    actions: list[str]
    resources: list[str]
    uses: dict[str, int] = field(default_factory=dict)


class Grants:
    """Evaluates calls of roles, and counts which statements allowed them."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._lock = threading.Lock()
        self._statements: dict[tuple[str, str, str, int], Statement] = {}
        self._owners: dict[tuple[str, str], tuple[str, str]] = {}
        self._ignored: set[tuple[str, str]] = set()

    # --- roles -------------------------------------------------

    def belongs_to(self, role: str, stack: str, logical_id: str, *, counted: bool = True) -> None:
        """Records which stack created a role. Roles that are not `counted` (CDK's own providers) are not in the report."""
        with self._lock:
            key = (responses.get_account_id(), role)
            self._owners[key] = (stack, logical_id)
            if not counted:
                self._ignored.add(key)

    def limit(self, role: str, boundary: str | None) -> str | None:
        """Sets the permissions boundary of a role, which MiniStack's CloudFormation leaves out.

        Gives the reason when the policy is not known here, so that nothing can be refused because of it.
        """
        account = responses.get_account_id()
        record = iam_service._roles.get_scoped(account, None, role)
        if record is None:
            return None
        known = boundary and iam_evaluator._resolve_managed_policy_document(boundary, account)
        record["PermissionsBoundary"] = boundary if known else None
        if boundary and not known:
            return f"its permissions boundary {boundary} is not part of the app, so what it would refuse is allowed here"
        return None

    def remember(self, role: str) -> None:
        """Reads the role's policies as they are now, so that the report knows them after the role is deleted."""
        self.policies_of(role)

    def policies_of(self, role: str, account: str | None = None) -> list[list[Any]]:
        """The role's parsed policies; every statement has its origin, so that a match can be counted."""
        account = account or responses.get_account_id()
        record = iam_service._roles.get_scoped(account, None, role)
        if record is None:
            return []
        documents = [(name, doc) for name, doc in (record.get("InlinePolicies") or {}).items()]
        for arn in record.get("AttachedPolicies", []):
            documents.append(
                (arn.rsplit("/", 1)[-1], iam_evaluator._resolve_managed_policy_document(arn, account))
            )
        policies = []
        for name, document in documents:
            statements = iam_evaluator.parse_policy_document(document) if document else []
            for index, parsed in enumerate(statements):
                parsed.origin = self._known(account, role, name, index, parsed)
            if statements:
                policies.append(statements)
        return policies

    def _known(self, account: str, role: str, policy: str, index: int, parsed: Any) -> Statement:
        with self._lock:
            statement = self._statements.get((account, role, policy, index))
            if statement is None or (statement.actions, statement.resources) != (
                parsed.actions,
                parsed.resources,
            ):
                statement = Statement(
                    account, role, policy, index, parsed.effect, parsed.actions, parsed.resources
                )
                self._statements[(account, role, policy, index)] = statement
            return statement

    # --- evaluation -----------------------------------------------------------

    def authorize(
        self,
        role_arn: str,
        action: str,
        resource: str,
        context: Mapping[str, str] | None = None,
        session: str = "",
    ) -> None:
        """Raises `AccessDenied` unless the role is permitted to; see `emulator.host.Host.authorize`."""
        account, role = account_and_role(role_arn, responses.get_account_id())
        if iam_service._roles.get_scoped(account, None, role) is None:
            principal = _session_arn(account, role, session)
            what = f"User: {principal} is not authorized to perform: {action} on resource: {resource}"
            self._refuse(principal, action, resource, f"{what} because the role {role} does not exist")
        principal, result = self._evaluate(role_arn, action, resource, context, session)
        if result.decision != "Allow":
            self._refuse(principal, action, resource, denial_message(result, principal, action, resource))

    def permits(
        self, role_arn: str, action: str, resource: str, context: Mapping[str, str] | None = None
    ) -> bool:
        """Whether the role may; a refusal is not recorded, a grant counts as exercised."""
        return bool(self._evaluate(role_arn, action, resource, context)[1].decision == "Allow")

    def _evaluate(
        self,
        role_arn: str,
        action: str,
        resource: str,
        context: Mapping[str, str] | None = None,
        session: str = "",
    ) -> tuple[str, Any]:
        """The session that acts, and the result for it."""
        account, role = account_and_role(role_arn, responses.get_account_id())
        principal = _session_arn(account, role, session)
        service = action.split(":", 1)[0]
        keys = {name.lower(): value for name, value in (context or {}).items()}
        keys.setdefault("aws:tagkeys", None)  # type: ignore[arg-type]
        evaluation = iam_evaluator.EvalContext(
            principal_arn=principal,
            principal_type="AssumedRole",
            principal_account=account,
            action=action,
            resource_arn=resource,
            region=responses.get_region(),
            source_ip="127.0.0.1",
            secure_transport=True,
            service_context=keys,
        )
        limits = iam_evaluator._permissions_boundary(iam_service._roles, role, account)
        result = iam_evaluator.evaluate(evaluation, self.policies_of(role, account), *limits)
        found = iam_evaluator._resource_policy(service, resource)
        if found is not None:
            required = service in iam_evaluator._POLICY_REQUIRED
            result = iam_evaluator.combine_resource_policy(
                result, evaluation, *found, required=required, limits=tuple(limits)
            )
        return principal, result

    def _refuse(self, principal: str, action: str, resource: str, message: str) -> None:
        self._journal.denied(principal, action, resource, message)
        raise AccessDenied(message, principal=principal, action=action, resource=resource)

    def count(self, action: str, statements: Iterable[Any]) -> None:
        """Counts a call for every action pattern of the statements that matched it."""
        with self._lock:
            for parsed in statements:
                origin: Statement | None = getattr(parsed, "origin", None)
                if origin is None:
                    continue
                for pattern in origin.actions:
                    if fnmatch.fnmatchcase(action.lower(), pattern.lower()):
                        origin.uses[pattern] = origin.uses.get(pattern, 0) + 1

    # --- report ---------------------------------------------------------------

    def report(self, without: Collection[str] = ()) -> dict[str, list[dict[str, Any]]]:
        """Every action of every Allow statement of the app's roles: used (with the number of calls) or not.

        `without` names stacks whose roles are not the app's. An unused one that nothing here could use has a `why`.
        """
        exercised: list[dict[str, Any]] = []
        unexercised: list[dict[str, Any]] = []
        with self._lock:
            statements = [
                s
                for s in self._statements.values()
                if (s.account, s.role) in self._owners and s.effect == "Allow"
            ]
            for statement in statements:
                key = (statement.account, statement.role)
                stack, logical_id = self._owners[key]
                if key in self._ignored or stack in without:
                    continue
                for action in statement.actions:
                    entry: dict[str, Any] = {"role": statement.role, "stack": stack, "logicalId": logical_id}
                    entry.update(policy=statement.policy, statement=statement.index, action=action)
                    entry.update(resources=statement.resources, count=statement.uses.get(action, 0))
                    why = not_rehearsed.reason_for_action(action)
                    if why and not entry["count"]:
                        entry["why"] = why
                    (exercised if entry["count"] else unexercised).append(entry)
        return {"exercised": exercised, "unexercised": unexercised}


def _role_name(role_arn: str) -> str:
    resource = role_arn.split(":", 5)[-1]
    if resource.startswith("assumed-role/"):
        return resource.split("/")[1]
    return resource.rsplit("/", 1)[-1]


def denial_message(result: Any, principal: str, action: str, resource: str) -> str:
    """AWS's sentence for a refusal: who, which action, on what, and which kind of policy is missing or denies."""
    if result.reason == ONLY_BOUNDARY:
        explicit = result.decision == "Deny"
        reason = (
            "with an explicit deny in a permissions boundary"
            if explicit
            else f"because no permissions boundary allows the {action} action"
        )
    elif result.decision == "Deny":
        kind = "a resource-based" if result.resource_policy_arn else "an identity-based"
        reason = f"with an explicit deny in {kind} policy"
    else:
        kind = "resource-based" if result.reason == ONLY_RESOURCE_POLICY else "identity-based"
        reason = f"because no {kind} policy allows the {action} action"
    return f"User: {principal} is not authorized to perform: {action} on resource: {resource} {reason}"


def _session_arn(account: str, role: str, session: str) -> str:
    return f"arn:aws:sts::{account}:assumed-role/{role}/{session or 'rehearsal'}"


def account_and_role(role_arn: str, default_account: str) -> tuple[str, str]:
    """The account of a role, and its name without its path; of an assumed-role ARN the role, not the session."""
    parts = role_arn.split(":")
    account = parts[4] if len(parts) > 5 and parts[4] else default_account
    return account, _role_name(role_arn)
