"""Lists what deploys here without its effect: whole resource types, and properties that MiniStack drops silently.

What an app uses of it is listed in the report as *not rehearsed*; nothing is dropped in silence.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from typing import Any

from emulator.cloudwatch.alarm import DefinitionError, not_evaluated, watched_metrics

__all__ = ["lost_properties", "reason_for_action", "reason_for_type", "reason_for_whole"]

_NETWORK = "one machine has no network to filter: traffic is not restricted here"
_BILLING = "nothing is billed here"
_AUDIT = "calls are not recorded for audit here"
_CATALOG = "recorded only: this catalog feature has no effect here"

TYPES: dict[str, str] = {
    "AWS::CloudWatch::AnomalyDetector": "anomaly models are not trained here",
    "AWS::CloudWatch::InsightRule": "contributor insights are not evaluated here",
    "AWS::CloudWatch::MetricStream": "metrics are not streamed here",
    "AWS::EC2::EIP": _NETWORK,
    "AWS::EC2::EIPAssociation": _NETWORK,
    "AWS::EC2::FlowLog": "there is no traffic to log on one machine",
    "AWS::EC2::NatGateway": _NETWORK,
    "AWS::EC2::NetworkAcl": _NETWORK,
    "AWS::EC2::NetworkAclEntry": _NETWORK,
    "AWS::EC2::PrefixList": _NETWORK,
    "AWS::EC2::SecurityGroupEgress": _NETWORK,
    "AWS::EC2::SecurityGroupIngress": _NETWORK,
    "AWS::EC2::SubnetNetworkAclAssociation": _NETWORK,
    "AWS::EC2::VPCEndpointService": _NETWORK,
    "AWS::EC2::VPCPeeringConnection": _NETWORK,
    "AWS::Events::Archive": "events are not archived here",
    "AWS::Events::ApiDestination": "events do not leave this machine",
    "AWS::Events::Connection": "events do not leave this machine",
    "AWS::Events::EventBusPolicy": "there is one account only",
    "AWS::Glue::Classifier": _CATALOG,
    "AWS::Glue::DataCatalogEncryptionSettings": "nothing is encrypted here",
    "AWS::Glue::DataQualityRuleset": _CATALOG,
    "AWS::Glue::SecurityConfiguration": "nothing is encrypted here",
    "AWS::Glue::Workflow": _CATALOG,
    "AWS::IAM::OIDCProvider": "sign-in with another identity provider is not played here",
    "AWS::IAM::SAMLProvider": "sign-in with another identity provider is not played here",
    "AWS::IAM::ServiceLinkedRole": "service-linked roles have no meaning here",
    "AWS::Logs::AccountPolicy": "log policies are not applied here",
    "AWS::Logs::Delivery": "logs are not delivered elsewhere here",
    "AWS::Logs::DeliveryDestination": "logs are not delivered elsewhere here",
    "AWS::Logs::DeliverySource": "logs are not delivered elsewhere here",
    "AWS::Logs::QueryDefinition": "saved queries have no effect here",
    "AWS::S3::StorageLens": "storage is not analysed here",
    "AWS::SNS::TopicInlinePolicy": "topic policies of this type are not evaluated here",
    "AWS::SQS::QueueInlinePolicy": "queue policies of this type are not evaluated here",
    "AWS::SecretsManager::ResourcePolicy": "secret policies of this type are not evaluated here",
    "AWS::SecretsManager::RotationSchedule": "secrets are not rotated here",
    "AWS::Athena::NamedQuery": "saved queries have no effect here",
    "AWS::Backup::BackupSelection": "nothing is backed up here",
    "AWS::Cognito::LogDeliveryConfiguration": "user pool logs are not delivered here",
    "AWS::Cognito::ManagedLoginBranding": "the hosted sign-in pages are not played here",
    "AWS::Cognito::UserPoolRiskConfigurationAttachment": "risk of sign-ins is not judged here",
    "AWS::Cognito::UserPoolUICustomizationAttachment": "the hosted sign-in pages are not played here",
    "AWS::ECR::RepositoryCreationTemplate": "images are not stored here",
    "AWS::KMS::ReplicaKey": "there is one region only",
    "AWS::ApiGateway::VpcLink": _NETWORK,
    "AWS::ApiGatewayV2::VpcLink": _NETWORK,
    "AWS::Lambda::CodeSigningConfig": "signatures of code are not checked here",
    "AWS::SSM::Document": "no machines are managed here",
    "AWS::SSM::Association": "no machines are managed here",
}
"""Types that are recorded and reported, each with the reason."""

PREFIXES: dict[str, str] = {
    "AWS::AccessAnalyzer::": "access is analysed by AWS only",
    "AWS::Budgets::": _BILLING,
    "AWS::CE::": _BILLING,
    "AWS::CUR::": _BILLING,
    "AWS::BCMDataExports::": _BILLING,
    "AWS::Chatbot::": "chat channels are not called from here",
    "AWS::CloudTrail::": _AUDIT,
    "AWS::CodeArtifact::": "delivery is not played here",
    "AWS::CodeCommit::": "delivery is not played here",
    "AWS::CodeConnections::": "delivery is not played here",
    "AWS::CodeDeploy::": "delivery is not played here",
    "AWS::CodePipeline::": "delivery is not played here",
    "AWS::CodeStarConnections::": "delivery is not played here",
    "AWS::CodeStarNotifications::": "delivery is not played here",
    "AWS::Config::": _AUDIT,
    "AWS::Detective::": _AUDIT,
    "AWS::DataBrew::": "data is not prepared by this service here",
    "AWS::GuardDuty::": _AUDIT,
    "AWS::InspectorV2::": _AUDIT,
    "AWS::LakeFormation::": "lake permissions are not evaluated here",
    "AWS::Macie::": _AUDIT,
    "AWS::QuickSight::": "dashboards of this service are not played here",
    "AWS::RAM::": "there is one account only",
    "AWS::ResourceGroups::": "groups of resources have no effect here",
    "AWS::RUM::": "visits are not measured here",
    "AWS::SageMaker::": "this part of SageMaker is not played",
    "AWS::SecurityHub::": _AUDIT,
    "AWS::ServiceCatalog": "the service catalog has no effect here",
    "AWS::Synthetics::": "canaries are not run here",
    "AWS::WAFv2::": "requests are not filtered here",
    "AWS::XRay::": "calls are not traced here",
}

WHOLE: dict[str, str] = {
    "AWS::CloudWatch::Dashboard": "dashboards are stored, not drawn",
    "AWS::EC2::SecurityGroup": _NETWORK,
    "AWS::EC2::VPC": _NETWORK,
    "AWS::EC2::VPCEndpoint": _NETWORK,
    "AWS::Logs::MetricFilter": "metrics are not extracted from logs here",
    "AWS::WAFv2::WebACL": "requests are not filtered here",
}
"""Types that MiniStack creates, but whose effect cannot be seen on one machine."""

_TRACING = "calls are not traced here"
_UNENCRYPTED = "data is not encrypted here"

PROPERTIES: dict[str, dict[str, str]] = {
    "AWS::ApiGatewayV2::Stage": {"DefaultRouteSettings": "requests are not throttled here"},
    "AWS::CloudFront::Distribution": {
        "DistributionConfig.WebACLId": "requests are not filtered here",
        "DistributionConfig.Logging": "requests are not logged here",
    },
    "AWS::CloudWatch::CompositeAlarm": {
        "ActionsSuppressor": "actions of composite alarms are not suppressed here"
    },
    "AWS::Cognito::UserPool": {"UserPoolAddOns": "risk of sign-ins is not judged here"},
    "AWS::DynamoDB::Table": {
        "PointInTimeRecoverySpecification": "tables are not backed up here",
        "ContributorInsightsSpecification": "contributor insights are not evaluated here",
    },
    "AWS::Events::Rule": {
        "Targets.*.DeadLetterConfig": "only refused deliveries reach the queue here",
        "Targets.*.RetryPolicy": "events are delivered once here",
    },
    "AWS::Glue::Job": {"SecurityConfiguration": _UNENCRYPTED},
    "AWS::Lambda::Function": {
        "DeadLetterConfig": "the function's own dead-letter queue gets nothing here",
        "KmsKeyArn": _UNENCRYPTED,
        "TracingConfig": _TRACING,
        "VpcConfig": _NETWORK,
    },
    "AWS::Lambda::EventInvokeConfig": {
        "DestinationConfig.OnSuccess": "successful calls are not forwarded here"
    },
    "AWS::Logs::LogGroup": {"KmsKeyId": _UNENCRYPTED},
    "AWS::S3::Bucket": {
        "AccelerateConfiguration": "transfers are local here",
        "IntelligentTieringConfigurations": "objects do not age here",
        "InventoryConfigurations": "inventories are not written here",
        "LifecycleConfiguration": "objects do not age here",
        "LoggingConfiguration": "access is not logged here",
        "MetricsConfigurations": "request metrics are not published here",
        "ObjectLockConfiguration": "objects are not locked here",
        "OwnershipControls": "there is one account only",
        "ReplicationConfiguration": "objects are not replicated here",
    },
    "AWS::SecretsManager::Secret": {"KmsKeyId": _UNENCRYPTED},
    "AWS::StepFunctions::StateMachine": {
        "EncryptionConfiguration": _UNENCRYPTED,
        "LoggingConfiguration": "executions are not logged to CloudWatch here",
        "TracingConfiguration": _TRACING,
    },
}
"""Properties without effect, by type; `Targets.*.DeadLetterConfig` is that property of any entry of a list."""

ACTIONS: dict[str, str] = {
    "xray:*": _TRACING,
    "logs:*LogDeliver*": "executions are not logged to CloudWatch here",
    "logs:PutResourcePolicy": "executions are not logged to CloudWatch here",
    "logs:DescribeResourcePolicies": "executions are not logged to CloudWatch here",
    "kms:DescribeKey": "services look up their keys without this call here",
    "kms:ReEncrypt*": _UNENCRYPTED,
    "ec2:*NetworkInterface*": _NETWORK,
}
"""Actions that nothing calls here, with the reason: their grants cannot be exercised."""

_PUBLISHED = {
    "AWS/Lambda": ("Invocations", "Errors", "Throttles", "Duration"),
    "AWS/SageMaker": (
        "Invocations",
        "InvocationsPerInstance",
        "Invocation4XXErrors",
        "Invocation5XXErrors",
        "InvocationModelErrors",
        "ModelLatency",
    ),
    "AWS/States": (
        "ExecutionsStarted",
        "ExecutionsSucceeded",
        "ExecutionsFailed",
        "ExecutionsAborted",
        "ExecutionsTimedOut",
        "ExecutionTime",
    ),
}
"""The metrics of services that are published here."""


def reason_for_type(resource_type: str) -> str | None:
    """Why a type that is not implemented may be deployed as a record all the same; None: it may not."""
    found = TYPES.get(resource_type)
    if found:
        return found
    return next((why for prefix, why in PREFIXES.items() if resource_type.startswith(prefix)), None)


def reason_for_action(action: str) -> str | None:
    """Why no call here can use a grant of this action; None when one can."""
    return next((why for pattern, why in ACTIONS.items() if fnmatch.fnmatchcase(action, pattern)), None)


def reason_for_whole(resource_type: str) -> str | None:
    """Why a type that MiniStack creates has no effect here; None when it has one."""
    return WHOLE.get(resource_type)


def lost_properties(resource_type: str, properties: Mapping[str, Any]) -> list[str]:
    """`Property: reason` for each property of this resource that has no effect here."""
    found = []
    for path, why in PROPERTIES.get(resource_type, {}).items():
        if _has(properties, path.split(".")):
            found.append(f"{path.replace('.*', '')}: {why}")
    if resource_type == "AWS::CloudWatch::Alarm":
        found += _of_alarm(properties)
    return found


def _of_alarm(properties: Mapping[str, Any]) -> list[str]:
    try:
        reason = not_evaluated(properties)
    except DefinitionError:  # refused when it is created
        return []
    if reason:
        return [reason]
    return [
        f"the metric {metric.namespace} {metric.name} is not published here: the alarm has no data"
        for metric in watched_metrics(properties)
        if metric.namespace.startswith("AWS/") and metric.name not in _PUBLISHED.get(metric.namespace, ())
    ]


def _has(value: Any, path: list[str]) -> bool:
    if not path:
        return value not in (None, {}, [])
    if path[0] == "*":
        return isinstance(value, list) and any(_has(entry, path[1:]) for entry in value)
    return isinstance(value, Mapping) and path[0] in value and _has(value[path[0]], path[1:])
