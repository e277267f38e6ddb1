"""Plays `awsglue.dynamicframe` of Glue's image: DynamicFrames around Spark's data frames (source: awslabs/aws-glue-libs)."""

from __future__ import annotations

from typing import Any


class DynamicFrame:
    """A Spark data frame under Glue's interface."""

    def __init__(self, frame: Any, glue_ctx: Any, name: str = "") -> None:
        self._frame = frame
        self.glue_ctx = glue_ctx
        self.name = name

    @classmethod
    def fromDF(cls, dataframe: Any, glue_ctx: Any, name: str) -> DynamicFrame:
        """Wraps a data frame."""
        return cls(dataframe, glue_ctx, name)

    def toDF(self, options: Any = None) -> Any:
        """The data frame."""
        return self._frame

    def count(self) -> int:
        """Number of rows."""
        return int(self._frame.count())

    def schema(self) -> Any:
        """Spark's schema, where Glue gives a class of its own."""
        return self._frame.schema

    def printSchema(self) -> None:
        """Prints the schema."""
        self._frame.printSchema()

    def show(self, num_rows: int = 20) -> None:
        """Prints the first rows."""
        self._frame.show(num_rows)

    def select_fields(self, paths: list[str], *args: Any, **named: Any) -> DynamicFrame:
        """Only these columns."""
        return self._with(self._frame.select(*paths))

    def drop_fields(self, paths: list[str], *args: Any, **named: Any) -> DynamicFrame:
        """All but these columns."""
        return self._with(self._frame.drop(*paths))

    def rename_field(self, oldName: str, newName: str, *args: Any, **named: Any) -> DynamicFrame:
        """Another name for a column."""
        return self._with(self._frame.withColumnRenamed(oldName, newName))

    def repartition(self, num_partitions: int, *args: Any, **named: Any) -> DynamicFrame:
        """Another number of partitions."""
        return self._with(self._frame.repartition(num_partitions))

    def _with(self, frame: Any) -> DynamicFrame:
        return DynamicFrame(frame, self.glue_ctx, self.name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise NotImplementedError(
            f"DynamicFrame.{name} is not played in a rehearsal: use toDF() and Spark's own operation"
        )
