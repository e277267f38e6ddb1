"""The modules of the emulator import each other one way: a circle hides which of two parts is the lower one."""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
STAND_IN = ROOT / "emulator" / "glue" / "awsglue_standin"

Graph = dict[Path, set[Path]]


def imports(file: Path, roots: list[Path]) -> Iterator[Path]:
    """The files below `roots` that the file imports, wherever in it: in a function or for type checking too."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
            places = roots
        elif isinstance(node, ast.ImportFrom):
            base = node.module.split(".") if node.module else []
            # `from a import b` is the module b of the package a, or what a itself holds.
            names = [[*base, alias.name] for alias in node.names] + ([base] if base else [])
            places = [file.parents[node.level - 1]] if node.level else roots
        else:
            continue
        for name in names:
            found = [path for place in places for path in candidates(place.joinpath(*name)) if path.is_file()]
            yield from found[:1]


def candidates(path: Path) -> tuple[Path, Path]:
    return path.with_suffix(".py"), path / "__init__.py"


def graph(root: Path, *others: Path) -> Graph:
    """Every module below `root` with those that it imports. Scripts that run by path find their neighbours too."""
    return {
        file: {path for path in imports(file, [root, *others, file.parent]) if path != file}
        for file in root.rglob("*.py")
    }


def circle(of: Graph) -> list[Path]:
    """One circle of imports, its first module at both ends; empty when there is none."""
    try:
        graphlib.TopologicalSorter(of).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def test_no_circle() -> None:
    emulator = graph(ROOT, STAND_IN)
    found = " <- ".join(str(path.relative_to(ROOT)) for path in circle(emulator))
    assert not found, f"modules import each other in a circle: {found}"


def test_sees_every_way_to_import() -> None:
    emulator = graph(ROOT, STAND_IN)
    glue, sagemaker = ROOT / "emulator" / "glue", ROOT / "emulator" / "sagemaker"
    assert sagemaker / "service_shapes.py" in emulator[sagemaker / "api.py"]
    assert ROOT / "emulator" / "host.py" in emulator[sagemaker / "api.py"]
    assert ROOT / "emulator" / "ministack" / "server.py" in emulator[ROOT / "emulator" / "__main__.py"]
    assert glue / "spark_parent.py" in emulator[glue / "spark_worker.py"]
    assert STAND_IN / "awsglue" / "dynamicframe.py" in emulator[STAND_IN / "awsglue" / "context.py"]


@pytest.mark.parametrize(
    "text",
    [
        "from p import a",
        "from . import a",
        "from .a import x",
        "import p.a",
        "def f():\n    from p.a import x",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from p.a import x",
    ],
)
def test_fails_when_there_is_a_circle(text: str, tmp_path: Path) -> None:
    package = tmp_path / "p"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "a.py").write_text("from p import b\n")
    (package / "b.py").write_text("x = 1\n")
    assert circle(graph(tmp_path)) == []
    (package / "b.py").write_text(text)
    assert {path.name for path in circle(graph(tmp_path))} == {"a.py", "b.py"}
