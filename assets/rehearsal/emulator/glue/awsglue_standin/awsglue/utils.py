"""Plays `awsglue.utils` of Glue's image: reads the arguments of a job.

An argument that the script names must be given; a hyphen in a name becomes an underscore (AWS Glue developer guide:
"Accessing parameters using getResolvedOptions"; source: awslabs/aws-glue-libs).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NoReturn


class GlueArgumentError(Exception):
    """A required argument is missing, or one is malformed."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise GlueArgumentError(message)


RESERVED = ("JOB_NAME", "JOB_ID", "JOB_RUN_ID", "SECURITY_CONFIGURATION", "TempDir", "job-bookmark-option")


def getResolvedOptions(args: Sequence[str], options: Sequence[str]) -> dict[str, str]:
    """The values of `options` (and of Glue's own arguments, where given) in `args`; all of `options` are required."""
    parser = _Parser(allow_abbrev=False, add_help=False)
    for name in options:
        parser.add_argument(f"--{name}", dest=name, required=True)
    for name in RESERVED:
        if name not in options:
            parser.add_argument(f"--{name}", dest=name)
    found, _ = parser.parse_known_args(list(args[1:]))
    return {name.replace("-", "_"): value for name, value in vars(found).items() if value is not None}
