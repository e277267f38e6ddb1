"""Which permissions on customer keys SageMaker asks for: for the volumes of its instances, for what it writes to S3.

Volumes: `kms:CreateGrant` of who calls, unless the role of the job has it; of who creates or updates an endpoint (SageMaker
developer guide: "Amazon SageMaker API permissions: actions, permissions, and resources reference"). Outputs: S3 asks the
role for `kms:GenerateDataKey`; `kms:Encrypt` too where the key is given by id or alias (botocore model `sagemaker`,
`OutputDataConfig.KmsKeyId`; "How to use SageMaker AI execution roles").
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..host import ApiError, Host

_LOCAL_STORAGE = re.compile(r"ml\.([a-z]+\d+[a-z]*d[a-z]*|(g[5-9]|p[5-9]|trn|dl)[\w-]*)\.")
"""Instance types with disks of their own (EC2 user guide: "Instance store volumes"), among those of SageMaker."""


def authorize_instances(host: Host, instances: Mapping[str, Any], caller: str, role: str) -> None:
    """Checks the key for the volumes of the instances of a job (botocore model `sagemaker`, `ResourceConfig.VolumeKmsKeyId`)."""
    key, kind = instances.get("VolumeKmsKeyId"), str(instances.get("InstanceType", ""))
    if key and _LOCAL_STORAGE.match(kind):
        raise ApiError(
            "ValidationException",
            f"VolumeKmsKeyId cannot be given for {kind}: its local storage is encrypted by the instance itself",
        )
    authorize_volume(host, key, caller, role)


def authorize_volume(host: Host, key: str | None, caller: str, role: str | None = None) -> None:
    """Raises `AccessDenied` where neither the role nor the caller may let SageMaker use the key of the volumes."""
    arn = host.key_arn(key) if key else None
    if arn is None:
        return
    context = {
        "kms:GrantIsForAWSResource": "true",
        "kms:ViaService": f"sagemaker.{host.region}.amazonaws.com",
    }
    if role is not None and host.permits(role, "kms:CreateGrant", arn, context):
        return
    if not caller.endswith(":root"):
        host.authorize(caller, "kms:CreateGrant", arn, context)


def output_key(host: Host, key: str | None, role: str) -> str | None:
    """The ARN of the key with which outputs are written; raises `AccessDenied` where the role may not."""
    arn = host.key_arn(key) if key else None
    if arn is not None and key is not None and ":key/" not in key:
        host.authorize(role, "kms:Encrypt", arn)
    return arn
