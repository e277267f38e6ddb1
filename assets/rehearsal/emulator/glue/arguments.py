"""Divides a job's arguments into those of the script and those of Glue itself.

Glue adds the run's arguments to the job's defaults and gives the script all that are not its own (AWS Glue developer
guide: "Using job parameters in AWS Glue jobs").
"""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["JobArguments", "read_arguments"]

FOR_GLUE = {
    "--additional-python-modules",
    "--class",
    "--conf",
    "--continuous-log-conversionPattern",
    "--continuous-log-logGroup",
    "--continuous-log-logStreamPrefix",
    "--custom-logGroup-prefix",
    "--custom-logStream-prefix",
    "--customer-driver-env-vars",
    "--customer-executor-env-vars",
    "--datalake-formats",
    "--enable-auto-scaling",
    "--enable-continuous-cloudwatch-log",
    "--enable-continuous-log-filter",
    "--enable-glue-datacatalog",
    "--enable-job-insights",
    "--enable-metrics",
    "--enable-observability-metrics",
    "--enable-rename-algorithm-v2",
    "--enable-s3-parquet-optimized-committer",
    "--enable-spark-ui",
    "--executor-cores",
    "--extra-files",
    "--extra-jars",
    "--extra-py-files",
    "--job-insights-byo-rules",
    "--job-language",
    "--python-modules-installer-option",
    "--scriptLocation",
    "--spark-event-logs-path",
    "--user-jars-first",
    "library-set",
}
"""Arguments that Glue takes for itself: the script does not get them."""


@dataclass(frozen=True)
class JobArguments:
    """A run's arguments, sorted."""

    script: tuple[str, ...]
    """What the script finds in `sys.argv` after its own name."""
    python_files: tuple[str, ...] = ()
    """S3 addresses of `--extra-py-files`."""
    files: tuple[str, ...] = ()
    """S3 addresses of `--extra-files`."""
    properties: Mapping[str, str] = field(default_factory=dict)
    """Spark properties of `--conf`."""
    environment: Mapping[str, str] = field(default_factory=dict)
    log_group: str = ""
    """Log group of continuous logging, when the job names one."""
    log_group_prefix: str = ""
    """The prefix of `/output` and `/error`, when the job names one."""
    log_stream_prefix: str = ""
    """The prefix of `-driver`, when the job names one."""
    remarks: tuple[str, ...] = ()
    """What is not available here, one sentence each."""


def read_arguments(
    defaults: Mapping[str, str], given: Mapping[str, str], fixed: Mapping[str, str]
) -> JobArguments:
    """Sorts the arguments; those of the run win over the job's defaults, those that must not be overridden over both."""
    merged = {**defaults, **given, **fixed}
    script: list[str] = []
    for name, value in merged.items():
        if name not in FOR_GLUE:
            script += [name if name.startswith("--") else f"--{name}", str(value)]
    remarks = list(_module_remarks(merged.get("--additional-python-modules", "")))
    if merged.get("--extra-jars"):
        remarks.append("--extra-jars is not played: classes of these jars are not found")
    if merged.get("--job-bookmark-option") == "job-bookmark-enable":
        remarks.append("job bookmarks are not played: every run reads everything")
    return JobArguments(
        script=tuple(script),
        python_files=_list(merged.get("--extra-py-files", "")),
        files=_list(merged.get("--extra-files", "")),
        properties=_properties(merged.get("--conf", "")),
        environment=_pairs(merged.get("--customer-driver-env-vars", "")),
        log_group=merged.get("--continuous-log-logGroup", ""),
        log_group_prefix=merged.get("--custom-logGroup-prefix", ""),
        log_stream_prefix=merged.get("--custom-logStream-prefix", ""),
        remarks=tuple(remarks),
    )


def _list(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _properties(value: str) -> dict[str, str]:
    """`a=1 --conf b=2`: several properties in Glue's single argument."""
    found = {}
    for part in re.split(r"\s+--conf\s+", value.strip()):
        name, equals, setting = part.partition("=")
        if equals:
            found[name.strip()] = setting.strip()
    return found


def _pairs(value: str) -> dict[str, str]:
    """`A=1,B="x,y"`: pairs separated by commas, quotes keep a comma."""
    found = {}
    for match in re.finditer(r'\s*([^=,\s]+)=("[^"]*"|[^,]*)', value):
        found[match.group(1)] = match.group(2).strip('"')
    return found


def _module_remarks(value: str) -> list[str]:
    remarks = []
    for wanted in _list(value):
        match = re.match(r"([A-Za-z0-9_.-]+)\s*(?:==\s*([^\s;]+))?", wanted)
        if wanted.startswith("s3://") or match is None:
            remarks.append(
                f"--additional-python-modules {wanted} is not installed here: nothing is installed per job"
            )
            continue
        name, version = match.groups()
        try:
            installed = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            remarks.append(
                f"--additional-python-modules {wanted} is not installed here: add it to the rehearsal's Python environment"
            )
            continue
        if version and installed != version:
            remarks.append(f"--additional-python-modules {wanted}: {name} {installed} is installed here")
    return remarks
