"""What SageMaker's images hold, compared with what plays them on this machine.

The lists are those of the images' own sources: `docker/sklearn`, `docker/xgboost` (pyproject.toml, requirements.txt, uv.lock) of the
public repository aws/deep-learning-containers at e0ecede (2026-08-21), and for 1.2-1 and 1.7-1 the requirements.txt of
aws/sagemaker-scikit-learn-container and aws/sagemaker-xgboost-container. Named are the libraries that a model can depend on, the one
that gives the image its name first.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any

PYTHON = "Python"
_DISTRIBUTIONS = {"xgboost": ("xgboost-cpu", "xgboost")}
"""Where a library is in several packages; XGBoost without code for GPUs computes the same on CPUs."""

_CONTENTS: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "sagemaker-scikit-learn": {
        "1.9-0": {
            "scikit-learn": "1.9.0",
            PYTHON: "3.12",
            "numpy": "2.5.1",
            "scipy": "1.18.0",
            "pandas": "2.2.3",
            "pyarrow": "25.0.0",
            "joblib": "1.5.3",
        },
        "1.4-2-py312": {
            "scikit-learn": "1.4.2",
            PYTHON: "3.12",
            "numpy": "2.1.0",
            "pandas": "2.3.2",
            "pyarrow": "17.0.0",
        },
        "1.2-1": {"scikit-learn": "1.2.1", PYTHON: "3.9", "numpy": "1.24.1", "pandas": "1.1.3"},
    },
    "sagemaker-xgboost": {
        "3.2-0": {
            "xgboost": "3.2.0",
            PYTHON: "3.12",
            "numpy": "2.1.0",
            "scipy": "1.15.0",
            "pandas": "2.2.3",
            "scikit-learn": "1.8.0",
            "pyarrow": "22.0.0",
            "joblib": "1.5.3",
        },
        "3.0-5": {
            "xgboost": "3.0.5",
            PYTHON: "3.10",
            "numpy": "2.1.0",
            "scipy": "1.15.0",
            "pandas": "2.2.3",
            "scikit-learn": "1.5.2",
            "pyarrow": "22.0.0",
        },
        "1.7-1": {"xgboost": "1.7.4", PYTHON: "3.9", "scikit-learn": "0.24.1", "pandas": "1.2.4"},
    },
}


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


def compare(uri: str, tag: str | None, stand_in: str, *, own: bool = False) -> Fidelity:
    """Compares an image with its stand-in; `own`: which one plays it was said by the user."""
    known = {} if own else _CONTENTS[stand_in].get((tag or "").removesuffix("-cpu-py3"), {})
    names = known or dict.fromkeys(next(iter(_CONTENTS[stand_in].values())))
    libraries = tuple((name, known.get(name), installed(name)) for name in names)
    main, there, here = libraries[0]
    plays = f"played by {main} {here}"
    if not known:
        by = f"as the stand-in {stand_in}, which was chosen for it: " if own else ""
        return Fidelity(uri, stand_in, "other", f"{by}{plays}; what the image holds is not known", libraries)
    if there != here:
        return Fidelity(uri, stand_in, "other", f"{plays} instead of {there}", libraries)
    differing = [
        f"{name} {here or 'missing'} instead of {there}" for name, there, here in libraries if there != here
    ]
    if differing:
        return Fidelity(
            uri, stand_in, "near", f"{plays}, as in the image, with {', '.join(differing)}", libraries
        )
    return Fidelity(uri, stand_in, "exact", "", libraries)


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
