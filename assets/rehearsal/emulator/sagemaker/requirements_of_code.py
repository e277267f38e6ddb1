"""Compares the requirements.txt beside a script with the Python environment of the rehearsal.

On AWS the container installs it with pip when the job or the model server starts (source: aws/sagemaker-training-toolkit,
`modules.py`). Here nothing is installed: what is missing is an error, another version is told.
"""

from __future__ import annotations

import re
from pathlib import Path

from ..host import Host
from .image_fidelity import installed

_REQUIREMENT = re.compile(r"([A-Za-z0-9][\w.-]*)\s*(?:\[[^\]]*\])?\s*([^;#]*)")


class MissingPackages(Exception):
    """Packages that the rehearsal's environment lacks."""


def check_requirements(host: Host, folder: Path, what: str) -> None:
    """Raises `MissingPackages` where the environment lacks a package of `requirements.txt` in the folder; tells of others' versions."""
    file = folder / "requirements.txt"
    if not file.is_file():
        return
    missing: list[str] = []
    differing: list[str] = []
    for raw in file.read_text(encoding="utf-8", errors="replace").splitlines():
        line = raw.split(" #")[0].strip()
        if not line or line.startswith("#"):
            continue
        match = _REQUIREMENT.fullmatch(line.partition(";")[0].strip())
        if match is None:
            differing.append(f"{line} cannot be compared")
            continue
        name, wanted = match.group(1), match.group(2).strip()
        here = installed(name)
        if here is None:
            missing.append(line)
        elif wanted and wanted.replace(" ", "") != f"=={here}":
            differing.append(f"{name} {here} plays {line}")
    if missing:
        raise MissingPackages(
            f"requirements.txt of {what} needs {', '.join(missing)}, which the rehearsal's Python environment does not have. On AWS"
            " the container installs it with pip; here nothing is installed. Bundle pure Python packages with the code."
        )
    if differing:
        host.note("warning", f"requirements.txt of {what} is not installed here: {'; '.join(differing)}")
