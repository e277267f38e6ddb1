"""Plays `InvokeEndpoint`: chooses a variant by weight, sends the request to its containers, and gives their answer.

Limits and errors: botocore model `sagemaker-runtime` (a container's error becomes `ModelError`, status 424).
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from typing import Any

from ..host import ApiError
from .models import Models
from .serving import ModelFailure

MAX_BODY = 25 * 1024 * 1024
"""Of a real-time endpoint (SageMaker AI developer guide: "Inference options in Amazon SageMaker AI")."""


class ModelError(ApiError):
    """`ModelError` of the runtime: the container answered with an error."""

    def __init__(self, message: str, original_status: int, original_message: str, host: Any) -> None:
        super().__init__("ModelError", message, 424)
        self.original_status, self.original_message = original_status, original_message
        self.log_stream_arn = f"arn:aws:logs:{host.region}:{host.account}:log-group:/aws/sagemaker/Endpoints"

    def body(self) -> dict[str, Any]:
        """The members of the error beside the message."""
        return {
            "Message": self.message,
            "OriginalStatusCode": self.original_status,
            "OriginalMessage": self.original_message,
            "LogStreamArn": self.log_stream_arn,
        }


class Runtime(Models):
    """Sends requests to the model servers of an endpoint."""

    def invoke(self, name: str, headers: Mapping[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        """`InvokeEndpoint`: status, headers and body as the runtime service answers. Errors come as
        `ApiError`.
        """
        given = {key.lower(): value for key, value in headers.items()}
        with self.core.lock:
            record = self.endpoints.get(name)
            fleets = dict(self.fleets.get(name, {}))
            summaries = [dict(summary) for summary in (record or {}).get("ProductionVariants") or ()]
            rollout = self.rollouts.get(name)
            if rollout is not None and self._random.random() < rollout.share:
                fleets, summaries = dict(rollout.fleets), rollout.summaries
        if record is None:
            raise ApiError(
                "ValidationError", f"Endpoint {name} of account {self.core.host.account} not found.", 400
            )
        if not fleets:
            raise ApiError(
                "ValidationError",
                f"Endpoint {name} of account {self.core.host.account} has status {record['EndpointStatus']}"
                " and cannot be invoked.",
                400,
            )
        if len(body) > MAX_BODY:
            raise ApiError(
                "ValidationError", f"The body of {len(body)} bytes is larger than {MAX_BODY} bytes.", 400
            )
        variant = self._choose(summaries, given.get("x-amzn-sagemaker-target-variant"), name)
        passed = {"Content-Type": given.get("content-type", "application/octet-stream")}
        if given.get("accept"):
            passed["Accept"] = given["accept"]
        for header in ("X-Amzn-SageMaker-Custom-Attributes", "X-Amzn-SageMaker-Inference-Id"):
            if given.get(header.lower()):
                passed[header] = given[header.lower()]
        begun = time.monotonic()
        try:
            out, kind = fleets[variant].invoke(
                body, passed, given.get("x-amzn-sagemaker-target-container-hostname")
            )
        except ModelFailure as error:
            self._measure(name, variant, summaries, begun, error.status or 500)
            raise self._model_error(name, error) from error
        self._measure(name, variant, summaries, begun, 200)
        answer = {
            "Content-Type": kind,
            "x-Amzn-Invoked-Production-Variant": variant,
            "x-amzn-RequestId": str(uuid.uuid4()),
            "x-rehearsal-model-latency-ms": f"{(time.monotonic() - begun) * 1000:.1f}",
        }
        return 200, answer, out

    def _measure(
        self, name: str, variant: str, summaries: list[dict[str, Any]], begun: float, status: int
    ) -> None:
        """Publishes the metrics of one invocation (SageMaker AI developer guide: "Invocation metrics")."""
        counts = {entry["VariantName"]: entry.get("CurrentInstanceCount") or 1 for entry in summaries}
        metrics = {
            "Invocations": (1.0, "None"),
            "InvocationsPerInstance": (1.0 / counts[variant], "None"),
            "Invocation4XXErrors": (float(400 <= status < 500), "None"),
            "Invocation5XXErrors": (float(status >= 500), "None"),
            "InvocationModelErrors": (float(status != 200), "None"),
            "ModelLatency": ((time.monotonic() - begun) * 1e6, "Microseconds"),
        }
        dimensions = {"EndpointName": name, "VariantName": variant}
        for metric, (value, unit) in metrics.items():
            self.core.host.put_metric("AWS/SageMaker", metric, value, unit, dimensions)

    def _choose(self, summaries: list[dict[str, Any]], target: str | None, name: str) -> str:
        if target is not None:
            if target not in [summary["VariantName"] for summary in summaries]:
                raise ApiError("ValidationError", f"Variant {target} does not exist in endpoint {name}.", 400)
            return target
        weights = [summary["CurrentWeight"] for summary in summaries]
        if sum(weights) <= 0:
            raise ApiError("ValidationError", f"All variants of endpoint {name} have weight 0.", 400)
        with self.core.lock:
            return str(self._random.choices(summaries, weights)[0]["VariantName"])

    def _model_error(self, name: str, error: ModelFailure) -> ApiError:
        region = self.core.host.region
        url = f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}#logEventViewer:group=/aws/sagemaker/Endpoints/{name}"
        status = error.status or 0
        return ModelError(
            f"Received {'client' if 400 <= status < 500 else 'server'} error ({status}) from"
            f' {error.container} with message "{error.message}". See {url} in account'
            f" {self.core.host.account} for more information.",
            status,
            error.message,
            self.core.host,
        )
