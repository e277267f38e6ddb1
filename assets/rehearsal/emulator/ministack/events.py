"""EventBridge delivers only what it may: workflows by the target's role, the rest by the target's own policy."""

from __future__ import annotations

from typing import Any

from ministack.core import iam_evaluator
from ministack.services import eventbridge

from emulator.host import AccessDenied
from emulator.ministack.emulator import Emulator

__all__ = ["install"]

_BY_ROLE = {
    "states": "states:StartExecution",
    "events": "events:PutEvents",
    "sagemaker": "sagemaker:StartPipelineExecution",
}
"""Targets for which EventBridge assumes the role that the target names."""
_BY_POLICY = {"lambda": "lambda:InvokeFunction", "sns": "sns:Publish", "sqs": "sqs:SendMessage"}
"""Targets that must allow `events.amazonaws.com` themselves, unless a role is named."""


def install(emulator: Emulator) -> None:
    """Checks every delivery before it is made; a refused one is noted and not delivered, as on AWS."""
    invoke = eventbridge._invoke_target

    def invoked(
        target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], view: Any = None
    ) -> None:
        arn = str(target.get("Arn", ""))
        service = (arn.split(":") + [""] * 3)[2]
        name = str(rule.get("Name", ""))
        if not _may_deliver(emulator, service, arn, target, rule):
            return
        detail = f"{event.get('Source')} {event.get('DetailType')!r}: rule {name} to {arn.rsplit(':', 1)[-1]}"
        emulator.journal.note("event", detail, rule=name, target=arn, detailType=event.get("DetailType"))
        twice = emulator.faults.take("duplicate-event", rule=name, detailType=str(event.get("DetailType")))
        for _ in range(2 if twice else 1):
            if service == "sagemaker":
                _start_pipeline(emulator, target, arn)
            else:
                invoke(target, event, rule, view)
        if twice:
            emulator.journal.note("fault", f"rule {name} delivered the same event twice, as asked")

    eventbridge._invoke_target = invoked


def _may_deliver(
    emulator: Emulator, service: str, arn: str, target: dict[str, Any], rule: dict[str, Any]
) -> bool:
    role = target.get("RoleArn") or (rule.get("RoleArn") if service in _BY_ROLE else None)
    if service in _BY_ROLE or (role and service in _BY_POLICY):
        action = _BY_ROLE.get(service) or _BY_POLICY[service]
        try:
            if not role:
                # A bus of the same account needs none; everything else cannot have been declared without one.
                return service == "events"
            emulator.host.authorize(str(role), action, arn)
        except AccessDenied:
            return False
        return True
    if service in _BY_POLICY:
        return _allowed_by_policy(emulator, service, arn, str(rule.get("Arn", "")))
    return True


def _allowed_by_policy(emulator: Emulator, service: str, arn: str, rule_arn: str) -> bool:
    found = iam_evaluator._resource_policy(service, arn)
    if found is None:
        return True  # the target does not exist: MiniStack says so in its log
    action = _BY_POLICY[service]
    settings = emulator.settings
    context = iam_evaluator.EvalContext(
        principal_arn="events.amazonaws.com",
        principal_type="Service",
        principal_account=settings.account,
        action=action,
        resource_arn=arn,
        region=settings.region,
        secure_transport=True,
        service_context={
            "aws:sourcearn": rule_arn,
            "aws:sourceaccount": settings.account,
            "aws:tagkeys": None,
        },
    )
    result = iam_evaluator.evaluate_resource_policy(found[0], context, service="events.amazonaws.com")
    if result.decision == "Allow":
        return True
    principal = f"events.amazonaws.com (rule {rule_arn.rsplit('/', 1)[-1]})"
    what = f"{principal} is not authorized to perform: {action} on resource: {arn}"
    message = f"{what} because no resource-based policy allows it"
    emulator.journal.denied(principal, action, arn, message)
    return False


def _start_pipeline(emulator: Emulator, target: dict[str, Any], arn: str) -> None:
    """A pipeline as target; its parameters are those of the target, not the event."""
    parameters = (target.get("SageMakerPipelineParameters") or {}).get("PipelineParameterList") or []
    request = {"PipelineName": arn.rsplit("/", 1)[-1], "PipelineParameters": parameters}
    emulator.sagemaker.handle("StartPipelineExecution", request, str(target.get("RoleArn", "")))
