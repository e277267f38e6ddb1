"""A resource of a template with a name of its own is not created when there is one of that name already.

CloudFormation creates only what does not exist: a name that an earlier stack left behind, because its removal policy
retains it, fails the next deployment (CloudFormation user guide: "Troubleshooting CloudFormation", "Resource already
exists"). MiniStack takes over what it finds.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from emulator.host import ApiError

__all__ = ["NAMED", "check"]

NAMED: dict[str, tuple[str, str, str]] = {
    "AWS::CloudWatch::Alarm": ("AlarmName", "cloudwatch", "_alarms"),
    "AWS::CloudWatch::CompositeAlarm": ("AlarmName", "cloudwatch", "_composite_alarms"),
    "AWS::CloudWatch::Dashboard": ("DashboardName", "cloudwatch", "_dashboards"),
    "AWS::DynamoDB::Table": ("TableName", "dynamodb", "_tables"),
    "AWS::ECR::Repository": ("RepositoryName", "ecr", "_repositories"),
    "AWS::Glue::Crawler": ("Name", "glue", "_crawlers"),
    "AWS::Glue::Job": ("Name", "glue", "_jobs"),
    "AWS::IAM::Role": ("RoleName", "iam", "_roles"),
    "AWS::Lambda::Function": ("FunctionName", "lambda_svc", "_functions"),
    "AWS::Logs::LogGroup": ("LogGroupName", "cloudwatch_logs", "_log_groups"),
    "AWS::S3::Bucket": ("BucketName", "s3", "_buckets"),
    "AWS::SNS::Topic": ("TopicName", "sns", "_topics"),
    "AWS::SQS::Queue": ("QueueName", "sqs", "_queues"),
    "AWS::SSM::Parameter": ("Name", "ssm", "_parameters"),
    "AWS::SecretsManager::Secret": ("Name", "secretsmanager", "_secrets"),
    "AWS::StepFunctions::StateMachine": ("StateMachineName", "stepfunctions", "_state_machines"),
}
"""Type to the property with the name, and the module and store of MiniStack; SageMaker's own check their names."""


def check(resource_type: str, properties: Mapping[str, Any]) -> None:
    """Raises what CloudFormation reports when the name of the resource is taken."""
    if resource_type not in NAMED:
        return
    member, module, store = NAMED[resource_type]
    name = properties.get(member)
    if not isinstance(name, str) or not name:
        return
    kept = getattr(importlib.import_module(f"ministack.services.{module}"), store)
    # Some stores have ARNs or addresses as keys.
    if any(key == name or (str(key).endswith((f":{name}", f"/{name}")) and _is_address(key)) for key in kept):
        raise ApiError(
            "AlreadyExists",
            f"Resource of type '{resource_type}' with identifier '{name}' already exists.",
        )


def _is_address(key: object) -> bool:
    return str(key).startswith(("arn:", "http:", "https:"))
