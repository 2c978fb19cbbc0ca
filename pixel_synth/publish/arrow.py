"""An explicit Arrow schema for the records, derived from their models, so that Parquet never depends on inference."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_PER_GROUP = 500
_PLAIN = {str: "string", int: "int64", float: "float64", bool: "bool_"}


def arrow_type(annotation: Any) -> pa.DataType:
    """Return the Arrow type of a model annotation.

    Raises:
        TypeError: For annotations that records do not use.
    """
    import pyarrow as pa

    origin = get_origin(annotation)
    if origin is Annotated:
        return arrow_type(get_args(annotation)[0])
    if origin is Literal:
        return pa.string()
    if origin in (Union, UnionType):
        inner = [a for a in get_args(annotation) if a is not NoneType]
        if len(inner) == 1:
            return arrow_type(inner[0])
    if origin is tuple:
        return pa.list_(arrow_type(get_args(annotation)[0]))
    if annotation in _PLAIN:
        return getattr(pa, _PLAIN[annotation])()
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return pa.struct([(name, arrow_type(field.annotation)) for name, field in annotation.model_fields.items()])
    raise TypeError(f"no Arrow type for {annotation!r}")


def arrow_schema(model: type[BaseModel]) -> pa.Schema:
    """Return the Arrow schema of a record model."""
    import pyarrow as pa

    return pa.schema([(name, arrow_type(field.annotation)) for name, field in model.model_fields.items()])


class ParquetFile:
    """Writes records to Parquet in bounded memory; the file appears when it is complete."""

    def __init__(self, path: Path, model: type[BaseModel]) -> None:
        import pyarrow.parquet as pq

        self._path, self._partial = path, path.with_name(f".{path.name}.part")
        self._schema = arrow_schema(model)
        self._writer = pq.ParquetWriter(self._partial, self._schema, compression="zstd")
        self._rows: list[dict[str, Any]] = []

    def add(self, record: BaseModel) -> None:
        """Add one record."""
        self._rows.append(record.model_dump())
        if len(self._rows) == ROWS_PER_GROUP:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
            self._rows = []

    def close(self) -> None:
        """Finish the file and put it in place."""
        self._flush()
        self._writer.close()
        self._partial.replace(self._path)


def read_parquet(path: Path, model: type[BaseModel]) -> Iterable[BaseModel]:
    """Yield the records of a Parquet file, validated."""
    import pyarrow.parquet as pq

    for batch in pq.ParquetFile(path).iter_batches(ROWS_PER_GROUP):
        for row in batch.to_pylist():
            yield model.model_validate(row)
