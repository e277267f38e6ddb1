"""Plays Glue crawlers: CSV with a header row and JSON lines in S3 become tables of the catalog.

A crawler reads S3 and writes the catalog with its role, and sends `Glue Crawler State Change` (AWS Glue developer
guide: "Using crawlers to populate the Data Catalog", "Automating AWS Glue with EventBridge").
"""

from __future__ import annotations

import contextvars
import threading
import time
import uuid
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from ministack.core.responses import error_response_json, json_response
from ministack.services import glue as service

from emulator.glue.table_inference import SAMPLE_BYTES, identifier, infer_table
from emulator.host import Host

__all__ = ["install"]

INPUT = "org.apache.hadoop.mapred.TextInputFormat"
OUTPUT = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"
CSV_SERDE = "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"
JSON_SERDE = "org.openx.data.jsonserde.JsonSerDe"


def install(host: Host) -> None:
    """Replaces StartCrawler; a crawler may give only the name of its role, as on AWS."""
    service._start_crawler = _Crawls(host).start
    create = service._create_crawler

    def create_crawler(data: dict[str, Any]) -> Any:
        role = str(data.get("Role", ""))
        full = role if not role or role.startswith("arn:") else f"arn:aws:iam::{host.account}:role/{role}"
        return create({**data, "Role": full})

    service._create_crawler = create_crawler


class _Crawls:
    def __init__(self, host: Host) -> None:
        self._host = host

    def start(self, data: dict[str, Any]) -> Any:
        name = data.get("Name", "")
        crawler = service._crawlers.get(name)
        if crawler is None:
            return error_response_json("EntityNotFoundException", f"Crawler {name} not found", 400)
        if crawler["State"] != "READY":
            return error_response_json(
                "CrawlerRunningException", f"Crawler with name {name} has already started", 400
            )
        crawler["State"] = "RUNNING"
        context = contextvars.copy_context()
        threading.Thread(
            target=context.run, args=(self._run, crawler), daemon=True, name=f"crawl-{name}"
        ).start()
        return json_response({})

    def _run(self, crawler: dict[str, Any]) -> None:
        started = time.time()
        name = crawler["Name"]
        self._host.put_event(
            "Glue Crawler State Change", _detail(crawler, "Started", "INFO", ""), source="aws.glue"
        )
        error = ""
        try:
            tables = self._crawl(crawler)
            message = f"Glue crawler {name} found {', '.join(tables) or 'nothing'}"
        except (ClientError, BotoCoreError, ValueError) as problem:
            error = str(problem)
            message = f"Glue crawler {name} failed: {error}"
        state = "FAILED" if error else "SUCCEEDED"
        crawler["LastCrawl"] = {
            "Status": state,
            "ErrorMessage": error,
            "LogGroup": "/aws-glue/crawlers",
            "LogStream": name,
            "MessagePrefix": uuid.uuid4().hex,
            "StartTime": started,
        }
        crawler["CrawlElapsedTime"] = int((time.time() - started) * 1000)
        crawler["State"] = "READY"
        self._host.note("job", message, service="glue", crawler=name, state=state)
        outcome = _detail(crawler, state.capitalize(), "ERROR" if error else "INFO", error)
        self._host.put_event("Glue Crawler State Change", outcome, source="aws.glue")

    def _crawl(self, crawler: Mapping[str, Any]) -> list[str]:
        targets = crawler.get("Targets") or {}
        others = [kind for kind, entries in targets.items() if kind != "S3Targets" and entries]
        if others:
            raise ValueError(f"{', '.join(others)} are not played: a crawler of S3Targets is")
        return [
            self._table(crawler, str(crawler["Role"]), target["Path"])
            for target in targets.get("S3Targets", [])
        ]

    def _table(self, crawler: Mapping[str, Any], role: str, path: str) -> str:
        bucket, _, prefix = path.split("://", 1)[-1].partition("/")
        s3 = self._host.client("s3", role)
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", ()) if _is_data(entry)]
        if not keys:
            raise ValueError(f"nothing to crawl at {path}")
        sample = s3.get_object(Bucket=bucket, Key=keys[0], Range=f"bytes=0-{SAMPLE_BYTES - 1}")["Body"].read()
        kind, columns = infer_table(keys[0], sample)
        partitions = _partition_names(keys[0][len(prefix) :])
        table = {
            "Name": crawler.get("TablePrefix", "")
            + identifier((prefix.rstrip("/") or bucket).rsplit("/", 1)[-1]),
            "TableType": "EXTERNAL_TABLE",
            "Parameters": {"classification": kind, "UPDATED_BY_CRAWLER": crawler["Name"], **_header(kind)},
            "PartitionKeys": [{"Name": name, "Type": "string"} for name in partitions],
            "StorageDescriptor": {
                "Columns": columns,
                "Location": f"s3://{bucket}/{prefix}",
                "InputFormat": INPUT,
                "OutputFormat": OUTPUT,
                "SerdeInfo": {
                    "SerializationLibrary": CSV_SERDE if kind == "csv" else JSON_SERDE,
                    "Parameters": {"field.delim": ","},
                },
            },
        }
        glue = self._host.client("glue", role)
        try:
            glue.create_table(DatabaseName=crawler["DatabaseName"], TableInput=table)
        except ClientError as problem:
            if problem.response["Error"]["Code"] != "AlreadyExistsException":
                raise
            glue.update_table(DatabaseName=crawler["DatabaseName"], TableInput=table)
        return str(table["Name"])


def _partition_names(rest: str) -> list[str]:
    return [identifier(part.split("=", 1)[0]) for part in rest.split("/")[:-1] if "=" in part]


def _header(kind: str) -> dict[str, str]:
    return (
        {"skip.header.line.count": "1", "delimiter": ",", "columnsOrdered": "true"} if kind == "csv" else {}
    )


def _is_data(entry: Mapping[str, Any]) -> bool:
    name = entry["Key"].rsplit("/", 1)[-1]
    return bool(entry["Size"]) and bool(name) and not name.startswith(("_", "."))


def _detail(crawler: Mapping[str, Any], state: str, severity: str, error: str) -> dict[str, str]:
    detail = {
        "crawlerName": crawler["Name"],
        "state": state,
        "severity": severity,
        "message": error or f"Crawler {state}",
    }
    return {**detail, "errorMessage": error} if error else detail
