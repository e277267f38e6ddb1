"""Finds in the source of this folder what it uses of MiniStack, and checks that a version of MiniStack still has it so.

python -m emulator.ministack.contract            one line for each thing that changed; exit code 1 if any
python -m emulator.ministack.contract --record   records the forms of the installed version
"""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import importlib.util
import inspect
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["check", "used"]

FOLDER = Path(__file__).resolve().parent
RECORD = FOLDER / "contract.json"


def used() -> dict[str, str]:
    """`module.name` of everything that the files here take from MiniStack, with the file that does."""
    found: dict[str, str] = {}
    for path in sorted(FOLDER.glob("*.py")):
        if path.name.startswith("test_"):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for name in _names(tree):
            found.setdefault(name, path.name)
    return found


def _names(tree: ast.Module) -> Iterator[str]:
    modules: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "ministack":
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                if _is_module(full):
                    modules[alias.asname or alias.name] = full
                else:
                    yield full
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            full = f"{modules[node.value.id]}.{node.attr}"
            if not _is_module(full):
                yield full


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _form(name: str) -> str:
    """The form of a name: the signature of a function, the kind of anything else."""
    module, _, attribute = name.rpartition(".")
    try:
        value: Any = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError):
        return "gone"
    if inspect.isclass(value):
        parameters = _signature(value)
        return f"class {parameters}" if parameters else "class"
    if callable(value):
        return _signature(value) or "callable"
    return type(value).__name__


def _signature(value: Any) -> str:
    """Names, kinds and defaults; not annotations, which each version of Python writes in its own way."""
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return ""
    bare = [
        parameter.replace(annotation=inspect.Parameter.empty) for parameter in signature.parameters.values()
    ]
    text = str(signature.replace(parameters=bare, return_annotation=inspect.Signature.empty))
    # Addresses of objects differ from run to run.
    return re.sub(r" at 0x[0-9a-f]+", "", text)


def check() -> list[str]:
    """One line for each name whose form is not the recorded one; no lines: the installed MiniStack fits."""
    recorded: dict[str, str] = json.loads(RECORD.read_text(encoding="utf-8"))["uses"]
    lines = []
    for name, path in used().items():
        now = _form(name)
        then = recorded.get(name)
        if now == "gone":
            lines.append(f"{name} no longer exists (used in {path})")
        elif then is None:
            lines.append(f"{name} is used in {path} but not recorded: run this module with --record")
        elif then != now:
            lines.append(f"{name} was {then} and is {now} (used in {path})")
    return lines


def record() -> None:
    """Writes the forms of the installed version."""
    uses = {name: _form(name) for name in sorted(used())}
    content = {"ministack": importlib.metadata.version("ministack"), "uses": uses}
    RECORD.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if "--record" in sys.argv[1:]:
        record()
    problems = check()
    for line in problems:
        sys.stdout.write(line + "\n")
    sys.exit(1 if problems else 0)
