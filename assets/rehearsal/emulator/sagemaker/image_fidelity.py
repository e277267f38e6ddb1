"""Compares what an image of SageMaker holds with what plays it on this machine."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from .image_contents import PYTHON, StandIn

_DISTRIBUTIONS = {"xgboost": ("xgboost-cpu", "xgboost")}
"""Where a library is in several packages; XGBoost without code for GPUs computes the same on CPUs."""


@dataclass(frozen=True)
class Fidelity:
    """How near the stand-in comes to an image."""

    image: str
    """URI of the image."""
    stand_in: str
    """Repository of the image that it is played as."""
    level: str
    """`exact`: every version is that of the image. `near`: the library that the image is named after is. `other`: that one is not, or
    nothing is known of the image.
    """
    summary: str
    """One sentence on what differs; empty where nothing does."""
    libraries: tuple[tuple[str, str | None, str | None], ...]
    """Name, version in the image (None: not known), version here (None: not installed)."""

    def document(self) -> dict[str, Any]:
        """For the report."""
        libraries = [{"name": name, "image": there, "here": here} for name, there, here in self.libraries]
        return {
            "image": self.image,
            "standIn": self.stand_in,
            "level": self.level,
            "summary": self.summary,
            "libraries": libraries,
        }


def compare(uri: str, tag: str | None, stand_in: StandIn, *, own: bool = False) -> Fidelity:
    """Compares an image with its stand-in; `own`: which one plays it was said by the user."""
    name, contents = stand_in.name, stand_in.libraries
    known = {} if own else contents.get((tag or "").removesuffix("-cpu-py3"), {})
    names = known or dict.fromkeys(next(iter(contents.values())))
    libraries = tuple((library, known.get(library), installed(library)) for library in names)
    main, there, here = libraries[0]
    plays = f"played by {main} {here}"
    if not known:
        by = f"as the stand-in {name}, which was chosen for it: " if own else ""
        return Fidelity(uri, name, "other", f"{by}{plays}; what the image holds is not known", libraries)
    if there != here:
        return Fidelity(uri, name, "other", f"{plays} instead of {there}", libraries)
    differing = [
        f"{library} {here or 'missing'} instead of {there}"
        for library, there, here in libraries
        if there != here
    ]
    if differing:
        return Fidelity(
            uri, name, "near", f"{plays}, as in the image, with {', '.join(differing)}", libraries
        )
    return Fidelity(uri, name, "exact", "", libraries)


def of_programs(uri: str, repository: str, programs: list[str]) -> Fidelity:
    """For an image that programs of the team play."""
    summary = (
        f"played by the team's own {', '.join(programs)} with the libraries of the rehearsal's Python; what the image"
        " holds is not known"
    )
    return Fidelity(uri, repository, "other", summary, ())


def installed(name: str) -> str | None:
    if name == PYTHON:
        return f"{sys.version_info.major}.{sys.version_info.minor}"
    for distribution in _DISTRIBUTIONS.get(name, (name,)):
        try:
            return metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return None
