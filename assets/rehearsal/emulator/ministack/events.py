"""EventBridge delivers only what it is permitted to: by the target's role, or by the target's own policy.

What cannot be delivered goes to the dead-letter queue of the target; an event may be delivered more than once
(EventBridge user guide: "Using identity-based policies (IAM policies) for Amazon EventBridge", "Using dead-letter
queues to process undelivered events in EventBridge").
"""

from __future__ import annotations

import contextvars
import json
import threading
from typing import Any

from ministack.core.arn import parse_arn
from ministack.services import eventbridge, sqs

from emulator.host import AccessDenied, ApiError
from emulator.ministack import delivery
from emulator.ministack.emulator import Emulator

__all__ = ["install"]

SERVICE = "events.amazonaws.com"
_BY_ROLE = {
    "states": "states:StartExecution",
    "events": "events:PutEvents",
    "sagemaker": "sagemaker:StartPipelineExecution",
}
"""Targets for which EventBridge assumes the role that the target names."""


def install(emulator: Emulator) -> None:
    """Checks every delivery before it is made; what is refused goes to the target's dead-letter queue, as on AWS."""
    invoke = eventbridge._invoke_target

    def invoked(
        target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], view: Any = None
    ) -> None:
        arn = str(target.get("Arn", ""))
        name = str(rule.get("Name", ""))
        if not _may_deliver(emulator, arn, target, rule):
            _to_dead_letters(emulator, target, event, rule, view)
            return
        detail = f"{event.get('Source')} {event.get('DetailType')!r}: rule {name} to {arn.rsplit(':', 1)[-1]}"
        emulator.journal.note("event", detail, rule=name, target=arn, detailType=event.get("DetailType"))
        twice = emulator.faults.take("duplicate-event", rule=name, detailType=str(event.get("DetailType")))
        for _ in range(2 if twice else 1):
            if arn.split(":")[2:3] == ["sagemaker"]:
                context = contextvars.copy_context()
                arguments = (_start_pipeline, emulator, target, arn)
                threading.Thread(target=context.run, args=arguments, daemon=True).start()
            else:
                invoke(target, event, rule, view)
        if twice:
            emulator.journal.note("fault", f"rule {name} delivered the same event twice, as asked")

    eventbridge._invoke_target = invoked


def _may_deliver(emulator: Emulator, arn: str, target: dict[str, Any], rule: dict[str, Any]) -> bool:
    service = (arn.split(":") + [""] * 3)[2]
    role = target.get("RoleArn") or (rule.get("RoleArn") if service in _BY_ROLE else None)
    action = _BY_ROLE.get(service) or delivery.ACTIONS.get(service)
    if action is None:
        return True
    if role:
        try:
            emulator.host.authorize(str(role), action, arn)
        except AccessDenied:
            return False
        return True
    if service in _BY_ROLE:
        # A bus of the same account needs no role; the others cannot have been declared without one.
        return service == "events"
    return delivery.may_deliver(emulator, SERVICE, arn, str(rule.get("Arn", "")))


def _to_dead_letters(
    emulator: Emulator, target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], view: Any
) -> None:
    queue_arn = str((target.get("DeadLetterConfig") or {}).get("Arn", ""))
    queue = sqs._queue_by_arn(queue_arn) if queue_arn else None
    if queue is None or not delivery.may_deliver(emulator, SERVICE, queue_arn, str(rule.get("Arn", ""))):
        return
    view = view or eventbridge._pattern_event_view(event)
    eventbridge._dispatch_to_sqs(parse_arn(queue_arn), json.dumps(view.event_with_detail()), {})
    reasons = {
        "RULE_ARN": str(rule.get("Arn", "")),
        "TARGET_ARN": str(target.get("Arn", "")),
        "ERROR_CODE": "NO_PERMISSIONS",
        "ERROR_MESSAGE": f"the rule may not use the target {target.get('Arn', '')}",
    }
    attributes = {name: {"DataType": "String", "StringValue": value} for name, value in reasons.items()}
    queue["messages"][-1]["message_attributes"] = attributes
    name = queue_arn.rsplit(":", 1)[-1]
    emulator.journal.note(
        "deadLetter", f"rule {rule.get('Name', '')}: the undelivered event is in the queue {name}"
    )


def _start_pipeline(emulator: Emulator, target: dict[str, Any], arn: str) -> None:
    """A pipeline as target; its parameters are those of the target, not the event."""
    parameters = (target.get("SageMakerPipelineParameters") or {}).get("PipelineParameterList") or []
    request = {"PipelineName": arn.rsplit("/", 1)[-1], "PipelineParameters": parameters}
    try:
        emulator.sagemaker.handle("StartPipelineExecution", request, str(target.get("RoleArn", "")))
    except ApiError as error:
        emulator.journal.note("error", f"a rule could not start the pipeline {arn}: {error.message}")
