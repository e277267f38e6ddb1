"""What plays the images of a team, as it says in CDK_MLOPS_STAND_INS: one of the known stand-ins, or programs of its own.

A program of a team is run as SageMaker runs its container: with the argument `train` or `serve`, its files below the folder that
the environment variable SAGEMAKER_BASE_DIR names in place of `/opt/ml`, its server on the port of SAGEMAKER_BIND_TO_PORT or on
8080 (SageMaker AI developer guide: "Use Your Own Training Algorithms", "Use Your Own Inference Code", "Run Real-time Predictions
with an Inference Pipeline").
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .image_contents import KNOWN, StandIn

STAND_INS_VARIABLE = "CDK_MLOPS_STAND_INS"
"""Environment variable with own stand-ins, as JSON: `{"<repository>": "<known stand-in>"}`, or in place of the name an object with the
programs for `train`, `serve` and `process`."""
FOLDER_VARIABLE = "CDK_MLOPS_STAND_INS_FOLDER"
"""Folder to which the paths of these programs are relative: the one of the app."""
USES = ("train", "serve", "process")


def own_stand_ins(environment: Mapping[str, str] = os.environ) -> dict[str, StandIn]:
    """What the user named, by repository; raises ValueError where it cannot be used."""
    text = environment.get(STAND_INS_VARIABLE)
    if not text:
        return {}
    folder = Path(environment.get(FOLDER_VARIABLE) or ".").resolve()
    try:
        given = dict(json.loads(text).items())
    except (ValueError, AttributeError) as error:
        raise ValueError(
            f"{STAND_INS_VARIABLE} must be a JSON object of repository names, got {text!r}"
        ) from error
    return {str(repository): _stand_in(str(repository), value, folder) for repository, value in given.items()}


def _stand_in(repository: str, value: Any, folder: Path) -> StandIn:
    if isinstance(value, str):
        if value not in KNOWN:
            raise ValueError(
                f"{STAND_INS_VARIABLE} names the unknown stand-in {value} for {repository}; there are"
                f" {', '.join(KNOWN)}, or an object with the programs for {', '.join(USES)}"
            )
        return KNOWN[value]
    if not isinstance(value, dict) or not value or not set(value) <= set(USES):
        raise ValueError(
            f"{STAND_INS_VARIABLE}: {repository} must be a known stand-in ({', '.join(KNOWN)}) or an object with programs for some of"
            f" {', '.join(USES)}, got {json.dumps(value)}"
        )
    programs: dict[str, Path] = {}
    for use, path in value.items():
        programs[use] = folder / str(path)
        if not programs[use].is_file():
            raise ValueError(
                f"{STAND_INS_VARIABLE}: the program {path} for {use!r} of {repository} is not in {folder}"
            )
    return StandIn(
        repository, programs.get("train"), programs.get("serve"), programs.get("process"), own=True
    )


def missing_program(stand_in: StandIn, use: str) -> str:
    """Why the image cannot be used so."""
    if not stand_in.own:
        return f"the stand-in {stand_in.name} cannot {use}"
    return (
        f"the stand-in of the repository {stand_in.name} names no program for {use!r}: add it to its entry in"
        f" {STAND_INS_VARIABLE}"
    )
