"""Which scripts play a container image, on a machine without Docker.

SageMaker pulls the image from Amazon ECR with the role of the job or model (SageMaker AI developer guide: "How to use
SageMaker AI execution roles").
"""

from __future__ import annotations

import json
import os
import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..host import ApiError, Host
from .image_contents import Fidelity, compare

CONTAINERS = Path(__file__).parent / "containers"
STAND_INS_VARIABLE = "CDK_MLOPS_STAND_INS"
"""Environment variable with own stand-ins: `{"<repository>": "<known stand-in>"}` as JSON."""

_URI = re.compile(
    r"(?:(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.(?P<domain>[a-z0-9.-]+)/)?"
    r"(?P<repository>[a-z0-9][a-z0-9._/-]*)(?::(?P<tag>[\w][\w.-]*))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


@dataclass(frozen=True)
class Image:
    """A parsed image URI."""

    uri: str
    account: str | None
    region: str | None
    repository: str
    tag: str | None

    @property
    def repository_arn(self) -> str | None:
        """ARN of the ECR repository; None for an image that is not in ECR."""
        if self.account is None:
            return None
        partition = "aws-cn" if (self.region or "").startswith("cn-") else "aws"
        return f"arn:{partition}:ecr:{self.region}:{self.account}:repository/{self.repository}"


@dataclass(frozen=True)
class StandIn:
    """How an image is played: scripts of `containers/` for training and serving, None where the image has
    none.
    """

    name: str
    train: str | None
    """Played when no entry point is given; `script` runs the user's program (script mode)."""
    serve: str | None
    example: str
    """A tag that exists."""


_KNOWN = {
    "sagemaker-scikit-learn": StandIn(
        "sagemaker-scikit-learn", train=None, serve="sklearn_serve.py", example="1.9-0-cpu-py3"
    ),
    "sagemaker-xgboost": StandIn(
        "sagemaker-xgboost", train="xgboost_train.py", serve="xgboost_serve.py", example="3.2-0"
    ),
}


class Images:
    """Looks up stand-ins by the repository name of an image."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._own: dict[str, str] = {}
        self._played: dict[str, Fidelity] = {}
        self._lock = threading.Lock()
        text = os.environ.get(STAND_INS_VARIABLE)
        if text:
            try:
                self._own = {str(key): str(value) for key, value in json.loads(text).items()}
            except (ValueError, AttributeError) as error:
                raise ValueError(
                    f"{STAND_INS_VARIABLE} must be a JSON object of repository names, got {text!r}"
                ) from error
            wrong = sorted({value for value in self._own.values() if value not in _KNOWN})
            if wrong:
                raise ValueError(
                    f"{STAND_INS_VARIABLE} names unknown stand-ins {', '.join(wrong)}; there are"
                    f" {', '.join(_KNOWN)}"
                )

    def parse(self, uri: str) -> Image:
        """Splits an image URI into its parts."""
        match = _URI.fullmatch(uri)
        if match is None:
            raise ApiError(
                "ValidationException",
                f"Invalid image URI {uri}. The image must look like"
                " <account>.dkr.ecr.<region>.amazonaws.com/<repository>:<tag>.",
            )
        parts = match.groupdict()
        return Image(uri, parts["account"], parts["region"], parts["repository"], parts["tag"])

    def stand_in(self, uri: str) -> StandIn:
        """The stand-in of an image, or an error that explains how to name one."""
        image = self.parse(uri)
        name = self._own.get(image.repository, image.repository)
        found = _KNOWN.get(name)
        if found is not None and name == image.repository and not re.match(r"\d+\.\d+", image.tag or ""):
            raise ApiError(
                "ValidationException",
                f"Requested image {uri} not found: its tags begin with a version, e.g. {found.example}.",
            )
        if found is None:
            example = json.dumps({image.repository: "sagemaker-scikit-learn"})
            raise ApiError(
                "ValidationException",
                f"the rehearsal has no stand-in for the image {uri}: it plays {' and '.join(_KNOWN)}. Name"
                f" a similar one in the environment variable {STAND_INS_VARIABLE}, e.g."
                f" {STAND_INS_VARIABLE}='{example}'.",
            )
        self._remember(image, found)
        return found

    def fidelity(self) -> list[dict[str, Any]]:
        """The images that were asked for, and how near their stand-ins come to them."""
        with self._lock:
            return [self._played[uri].document() for uri in sorted(self._played)]

    def _remember(self, image: Image, stand_in: StandIn) -> None:
        with self._lock:
            if image.uri in self._played:
                return
            own = image.repository in self._own
            found = compare(image.uri, image.tag, stand_in.name, own=own)
            self._played[image.uri] = found
        if found.summary:
            kind = "warning" if found.level == "other" else "image"
            self.host.note(kind, f"image {image.uri}: {found.summary}", image=image.uri)

    def serving(self, uri: str) -> Path:
        """The script that plays the image's model server."""
        found = self.stand_in(uri)
        if found.serve is None:
            raise ApiError(
                "ValidationException", f"the stand-in {found.name} of the image {uri} cannot serve models."
            )
        return CONTAINERS / found.serve

    def authorize_pull(self, role_arn: str, uri: str) -> None:
        """Checks that the role may pull the image, as SageMaker does when it starts a container."""
        image = self.parse(uri)
        if image.repository_arn is None:
            return
        self.host.authorize(role_arn, "ecr:GetAuthorizationToken", "*")
        for action in ("ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"):
            self.host.authorize(role_arn, action, image.repository_arn)
