"""Customer keys of jobs, their outputs and endpoints: which role SageMaker asks for which permission."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.sagemaker import SageMaker
from emulator.sagemaker.fake_host import FakeHost
from emulator.sagemaker.test_endpoints import config, model, spec, variant
from emulator.sagemaker.test_scenario import CALLER, JOB_ROLE
from emulator.sagemaker.test_service import job, refused, run_job

KEY = "arn:aws:kms:us-east-1:000000000000:key/k"
WRITES = (
    "import os,pathlib; pathlib.Path(os.environ['SAGEMAKER_BASE_DIR'],'processing/output/x').write_text('1')"
)


def with_volume_key() -> dict[str, Any]:
    request = job(WRITES)
    request["ProcessingResources"]["ClusterConfig"]["VolumeKmsKeyId"] = KEY
    return request


def with_output_key(key: str = KEY) -> dict[str, Any]:
    request = job(WRITES)
    request["ProcessingOutputConfig"]["KmsKeyId"] = key
    return request


@pytest.mark.parametrize("without", [CALLER, JOB_ROLE])
def test_a_volume_key_needs_a_grant_by_the_role_or_by_the_caller(
    sm: SageMaker, host: FakeHost, without: str
) -> None:
    host.denied.append((without, "kms:*", "*"))
    assert run_job(sm, with_volume_key())["ProcessingJobStatus"] == "Completed"


@pytest.mark.parametrize("kind", ["ml.g4dn.xlarge", "ml.g5.xlarge"])
def test_a_volume_key_for_instances_that_encrypt_their_own_disks(sm: SageMaker, kind: str) -> None:
    request = {"ProcessingJobName": "j1", **with_volume_key()}
    request["ProcessingResources"]["ClusterConfig"]["InstanceType"] = kind
    message = refused(sm, "CreateProcessingJob", request, "ValidationException")
    assert message.startswith(f"VolumeKmsKeyId cannot be given for {kind}")


def test_a_volume_key_that_nobody_may_use(sm: SageMaker, host: FakeHost) -> None:
    host.denied.append(("*", "kms:CreateGrant", KEY))
    request = {"ProcessingJobName": "j1", **with_volume_key()}
    message = refused(sm, "CreateProcessingJob", request, "AccessDeniedException")
    assert (
        f"assumed-role/tester/SageMaker is not authorized to perform: kms:CreateGrant on resource: {KEY}"
        in message
    )
    asked = next(context for _, action, _, context in host.asked if action == "kms:CreateGrant")
    assert asked["kms:GrantIsForAWSResource"] == "true"


def test_an_output_key_is_used_by_the_role_of_the_job(sm: SageMaker, host: FakeHost) -> None:
    host.denied.append((JOB_ROLE, "kms:Encrypt", "*"))
    assert run_job(sm, with_output_key())["ProcessingJobStatus"] == "Completed"
    by_id = run_job(sm, with_output_key("k"), "j2")["FailureReason"]
    assert f"perform: kms:Encrypt on resource: {KEY}" in by_id
    host.denied.append((JOB_ROLE, "kms:GenerateDataKey", "*"))
    reason = run_job(sm, with_output_key(), "j3")["FailureReason"]
    assert (
        f"assumed-role/job/SageMaker is not authorized to perform: kms:GenerateDataKey on resource: {KEY}"
        in reason
    )


def test_the_key_of_an_endpoint_needs_a_grant_by_who_makes_it(sm: SageMaker, host: FakeHost) -> None:
    model(sm, "m", spec(host, "one"))
    config(sm, "plain", variant("A", "m"))
    variants = [variant("A", "m")]
    locked = {"EndpointConfigName": "locked", "ProductionVariants": variants, "KmsKeyId": KEY}
    sm.handle("CreateEndpointConfig", locked, CALLER)
    host.denied.append((CALLER, "kms:CreateGrant", KEY))
    request = {"EndpointName": "e", "EndpointConfigName": "locked"}
    assert "kms:CreateGrant" in refused(sm, "CreateEndpoint", request, "AccessDeniedException")
    sm.handle("CreateEndpoint", {**request, "EndpointConfigName": "plain"}, CALLER)
    assert "kms:CreateGrant" in refused(sm, "UpdateEndpoint", request, "AccessDeniedException")
