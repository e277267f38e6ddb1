"""The data contract (`schema.json`) and the manifest, as the jobs see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Column:
    """One column of the contract; limits in the unit that the data store."""

    name: str
    kind: str
    role: str
    required: bool
    max_missing: float
    minimum: float | None = None
    maximum: float | None = None
    values: tuple[str, ...] | None = None

    @property
    def is_number(self) -> bool:
        return self.kind in ("numeric", "integer")

    @staticmethod
    def of(document: Json) -> Column:
        values = document.get("values")
        return Column(
            name=document["name"],
            kind=document["kind"],
            role=document["role"],
            required=document["required"],
            max_missing=document["maxMissing"],
            minimum=document.get("min"),
            maximum=document.get("max"),
            values=None if values is None else tuple(values),
        )


@dataclass(frozen=True)
class Schema:
    """Ordered columns, exactly one of them the target."""

    name: str
    columns: tuple[Column, ...]

    @staticmethod
    def of(document: Json) -> Schema:
        if document.get("version") != 1:
            raise ValueError(f"schema version {document.get('version')} is unknown; this job reads version 1")
        return Schema(document["name"], tuple(Column.of(column) for column in document["columns"]))

    @property
    def target(self) -> Column:
        return next(column for column in self.columns if column.role == "target")

    @property
    def used(self) -> tuple[Column, ...]:
        """What is checked and compared: all but the ignored columns."""
        return tuple(column for column in self.columns if column.kind != "ignored")

    @property
    def modelled(self) -> tuple[Column, ...]:
        """What training sees: features and target, in schema order."""
        return tuple(column for column in self.columns if column.role != "none")


@dataclass(frozen=True)
class DataFile:
    """One version of one object."""

    bucket: str
    key: str
    etag: str
    size: int
    version_id: str | None = None

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True)
class Manifest:
    """Which object versions a data set is made of."""

    id: str
    files: tuple[DataFile, ...]

    @staticmethod
    def of(document: Json) -> Manifest:
        return Manifest(
            document["id"],
            tuple(
                DataFile(file["bucket"], file["key"], file["etag"], int(file["size"]), file.get("versionId"))
                for file in document["files"]
            ),
        )
