"""Makes MiniStack's evaluation of policies count what it allows, record what it refuses, and name resources as AWS does.

Which resource an action is evaluated on: Service Authorization Reference, "Actions, resources, and condition keys".
"""

from __future__ import annotations

import contextvars
from typing import Any

from ministack.core import iam_actions, iam_evaluator

from emulator.ministack.emulator import Emulator
from emulator.ministack.grants import ONLY_BOUNDARY, ONLY_RESOURCE_POLICY, denial_message

__all__ = ["install"]


_refused: contextvars.ContextVar[tuple[str, str, str] | None] = contextvars.ContextVar(
    "rehearsal_refused", default=None
)
"""Action, resource and sentence of the last refusal in a request."""


def install(emulator: Emulator) -> None:
    """Makes MiniStack's own evaluation count grants and record refusals, and treats local requests as TLS."""
    grants, journal = emulator.grants, emulator.journal
    evaluate, enforce = iam_evaluator.evaluate, iam_evaluator.enforce

    def counted(ctx: Any, policies: list[list[Any]], *limits: list[list[Any]]) -> Any:
        result = evaluate(ctx, policies, *limits)
        if result.decision == "Allow":
            grants.count(ctx.action, _matching(ctx, policies))
        elif limits and evaluate(ctx, policies).decision == "Allow":
            result.reason = ONLY_BOUNDARY
        return result

    def recorded(
        access_key_id: str,
        iam_action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: dict[str, Any] | None = None,
    ) -> Any:
        result = enforce(access_key_id, iam_action, service, region, resource_arn, service_context)
        if isinstance(result, iam_evaluator.EvalResult):
            message = denial_message(result, result.principal_arn, iam_action, resource_arn)
            _refused.set((iam_action, resource_arn, message))
            journal.denied(result.principal_arn, iam_action, resource_arn, message)
        return result

    _name_resources()
    _name_missing_policy()
    _correct_actions()
    _correct_resources()
    iam_evaluator.evaluate = counted
    iam_evaluator.enforce = recorded
    iam_evaluator._gather_role_policies = lambda role, account: grants.policies_of(role, account)
    _count_as_tls()


def _name_resources() -> None:
    """A refusal names the resource and the kind of policy, as with most services of AWS: it shows which grant is missing."""
    respond = iam_actions.access_denied_response

    def responded(service: str, action: str, principal_arn: str, request_id: str, **named: Any) -> Any:
        if not named.get("message") and not named.get("error_code") and not named.get("resource_policy_arn"):
            resource, explicit = named.get("resource_arn", "*"), bool(named.get("explicit_deny"))
            refused = _refused.get()
            if refused is not None and refused[:2] == (action, resource):
                named["message"] = refused[2]
            else:
                named["message"] = iam_actions.identity_denial_message(
                    action, principal_arn, resource, explicit
                )
        return respond(service, action, principal_arn, request_id, **named)

    iam_actions.access_denied_response = responded


def _name_missing_policy() -> None:
    """A refusal tells whether it is the policy of the resource that does not allow the call, such as that of a key."""
    combine = iam_evaluator.combine_resource_policy

    def combined(identity: Any, *arguments: Any, **named: Any) -> Any:
        result = combine(identity, *arguments, **named)
        if identity.decision == "Allow" and result.decision == "ImplicitDeny":
            result.reason = ONLY_RESOURCE_POLICY
        return result

    iam_evaluator.combine_resource_policy = combined


_BATCHES = {
    "sqs:SendMessageBatch": "sqs:SendMessage",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
    "sns:PublishBatch": "sns:Publish",
}
"""Calls that have no action of their own."""


def _correct_actions() -> None:
    extract = iam_actions.extract_iam_action

    def extracted(*arguments: Any, **named: Any) -> Any:
        action = extract(*arguments, **named)
        return _BATCHES.get(action, action)

    iam_actions.extract_iam_action = extracted


def _correct_resources() -> None:
    """Corrects the resource of some calls, where MiniStack names another one.

    A call that names a log stream is evaluated on the stream: `log-group:<name>:*` allows it, `log-group:<name>` does
    not. The `Name` of a Glue call about crawlers is that of a crawler.
    """
    extract = iam_actions.extract_resource_arn

    def extracted(
        service: str, method: str, path: str, headers: Any, body: bytes, *more: Any, **named: Any
    ) -> str:
        resource = str(extract(service, method, path, headers, body, *more, **named))
        if service == "logs" and resource != "*":
            stream = iam_actions._safe_json_field(body, "logStreamName")
            return f"{resource}:log-stream:{stream}" if stream else resource
        if service == "glue" and str(headers.get("x-amz-target", "")).endswith("Crawler"):
            return resource.replace(":table/", ":crawler/", 1)
        return resource

    iam_actions.extract_resource_arn = extracted


def _matching(ctx: Any, policies: list[list[Any]]) -> list[Any]:
    statements = [statement for policy in policies for statement in policy]
    return [statement for statement in statements if iam_evaluator._first_match(ctx, [statement], "Allow")]


def _count_as_tls() -> None:
    """Policies that refuse plain HTTP (`aws:SecureTransport`) are meant for AWS's endpoints, not for this machine."""
    from ministack import app

    pin = iam_evaluator.pin_request_origin

    def pinned(source_ip: str, secure_transport: bool) -> None:
        pin(source_ip, True)

    app.pin_request_origin = pinned
