"""Whether a service may deliver to a queue, a topic or a function: the target's own policy decides, as on AWS.

EventBridge and SNS need a resource-based policy on the target (EventBridge user guide: "Using resource-based policies
for Amazon EventBridge"; SNS developer guide: "Subscribing an Amazon SQS queue to an Amazon SNS topic"), and for a target with a
customer key the policy of the key (SQS developer guide: "Key management").
"""

from __future__ import annotations

from typing import Any

from ministack.core import iam_evaluator
from ministack.services import sns

from emulator.ministack import encryption
from emulator.ministack.emulator import Emulator
from emulator.ministack.keys import READ, WRITE, refused_to_service

__all__ = ["ACTIONS", "install", "may_deliver"]

ACTIONS = {"lambda": "lambda:InvokeFunction", "sns": "sns:Publish", "sqs": "sqs:SendMessage"}
"""What a service needs on a target that is protected by a policy of its own."""


def install(emulator: Emulator) -> None:
    """Topics deliver only to queues and functions that permit it."""
    to_queue, to_function = sns._deliver_to_sqs, sns._deliver_to_lambda

    def queue(endpoint: str, *arguments: Any, **named: Any) -> None:
        if may_deliver(emulator, "sns.amazonaws.com", endpoint, str(named.get("topic_arn", ""))):
            to_queue(endpoint, *arguments, **named)

    def function(endpoint: str, envelope: str, topic_arn: str, *arguments: Any) -> None:
        if may_deliver(emulator, "sns.amazonaws.com", endpoint, topic_arn):
            to_function(endpoint, envelope, topic_arn, *arguments)

    sns._deliver_to_sqs = queue
    sns._deliver_to_lambda = function


def may_deliver(emulator: Emulator, service: str, target_arn: str, source_arn: str) -> bool:
    """Whether the target's policy allows the service, for this source; a refusal is noted.

    A target that does not exist is not refused here: the delivery itself fails.
    """
    kind = (target_arn.split(":") + [""] * 3)[2]
    action = ACTIONS.get(kind)
    found = iam_evaluator._resource_policy(kind, target_arn) if action else None
    if action is None or found is None:
        return True
    account = (source_arn.split(":") + [""] * 5)[4] or emulator.host.account
    keys = {"aws:sourcearn": source_arn, "aws:sourceaccount": account, "aws:tagkeys": None}
    if service == "cloudwatch.amazonaws.com":
        # CloudWatch names the owner too, which the policy that every new topic has asks for.
        keys["aws:sourceowner"] = account
    context = iam_evaluator.EvalContext(
        principal_arn=service,
        principal_type="Service",
        principal_account=account,
        action=action,
        resource_arn=target_arn,
        region=emulator.host.region,
        secure_transport=True,
        service_context=keys,
    )
    refused = (action, target_arn)
    if iam_evaluator.evaluate_resource_policy(found[0], context, service=service).decision == "Allow":
        # EventBridge gives KMS no source (EventBridge user guide: "Amazon SQS permissions", encrypted queues).
        source = {} if service == "events.amazonaws.com" else keys
        use = refused_to_service(service, encryption.key_of(target_arn), (*WRITE, *READ), source)
        if use is None:
            return True
        refused = (use.action, use.resource)
    principal = f"{service} (for {source_arn.rsplit(':', 1)[-1]})"
    what = f"{principal} is not authorized to perform: {refused[0]} on resource: {refused[1]}"
    reason = "because no resource-based policy allows it"
    emulator.journal.denied(principal, *refused, f"{what} {reason}")
    return False
