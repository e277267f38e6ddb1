"""Finds what plays a container image on a machine without Docker, and checks that a role may pull it.

SageMaker pulls the image from Amazon ECR with the role of the job or model (SageMaker AI developer guide: "How to use
SageMaker AI execution roles").
"""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass
from typing import Any

from ..host import ApiError, Host
from .image_contents import KNOWN, StandIn
from .image_fidelity import Fidelity, compare, of_programs
from .stand_ins import STAND_INS_VARIABLE, missing_program, own_stand_ins

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


class Images:
    """Looks up stand-ins by the repository name of an image."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._own = own_stand_ins()
        self._played: dict[str, Fidelity] = {}
        self._foreign: set[str] = set()
        self._lock = threading.Lock()

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
        found = self._own.get(image.repository)
        if found is None:
            found = KNOWN.get(image.repository)
            if found is not None and not re.match(r"\d+\.\d+", image.tag or ""):
                raise ApiError(
                    "ValidationException",
                    f"Requested image {uri} not found: its tags begin with a version, e.g. {found.example}.",
                )
        if found is None:
            similar = json.dumps({image.repository: "sagemaker-scikit-learn"})
            programs = json.dumps({image.repository: {"train": "train.py", "serve": "serve.py"}})
            raise ApiError(
                "ValidationException",
                f"the rehearsal has no stand-in for the image {uri}: it plays {' and '.join(KNOWN)}. Name in the"
                f" environment variable {STAND_INS_VARIABLE} a similar one, e.g. {STAND_INS_VARIABLE}='{similar}', or"
                f" programs of your own: {STAND_INS_VARIABLE}='{programs}'.",
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
            if stand_in.own:
                programs = [each.name for each in (stand_in.train, stand_in.serve, stand_in.process) if each]
                found = of_programs(image.uri, image.repository, list(dict.fromkeys(programs)))
            else:
                chosen = image.repository in self._own
                found = compare(image.uri, image.tag, stand_in, own=chosen)
            self._played[image.uri] = found
        if found.summary:
            kind = "warning" if found.level == "other" else "image"
            self.host.note(kind, f"image {image.uri}: {found.summary}", image=image.uri)

    def serving(self, uri: str) -> StandIn:
        """The stand-in of an image that serves."""
        found = self.stand_in(uri)
        if found.serve is None:
            raise ApiError("ValidationException", f"{missing_program(found, 'serve')} (image {uri})")
        return found

    def authorize_pull(self, role_arn: str, uri: str) -> None:
        """Checks that the role may pull the image, as SageMaker does when it starts a container."""
        image = self.parse(uri)
        if image.repository_arn is None:
            return
        if image.account == self.host.account:
            self._must_exist(image)
        elif image.repository not in KNOWN:
            self._tell_foreign(image)
        self.host.authorize(role_arn, "ecr:GetAuthorizationToken", "*")
        for action in ("ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"):
            self.host.authorize(role_arn, action, image.repository_arn)

    def _must_exist(self, image: Image) -> None:
        try:
            self.host.client("ecr").describe_repositories(repositoryNames=[image.repository])
        except Exception as error:  # the class of botocore's errors is made at run time
            answer: dict[str, Any] = getattr(error, "response", None) or {}
            if answer.get("Error", {}).get("Code") != "RepositoryNotFoundException":
                raise
            raise ApiError(
                "ValidationException",
                f"Requested image {image.uri} not found: the repository {image.repository} does not exist in the registry"
                f" of the account {image.account}.",
            ) from error

    def _tell_foreign(self, image: Image) -> None:
        with self._lock:
            if image.repository_arn is None or image.repository_arn in self._foreign:
                return
            self._foreign.add(image.repository_arn)
        self.host.note(
            "not-rehearsed",
            f"the repository {image.repository_arn} belongs to another account: whether its policy lets"
            f" {self.host.account} pull cannot be seen",
        )
