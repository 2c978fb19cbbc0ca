"""An explicit Arrow schema for the records, derived from their models, so that Parquet never depends on inference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from pixel_synth.errors import RecordError
from pixel_synth.records import Record

if TYPE_CHECKING:
    import pyarrow as pa

M = TypeVar("M", bound=BaseModel)
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


def table_of(lines: Sequence[str], schema: pa.Schema) -> pa.Table:
    """Return records, given as the lines that `pixel_synth.records.Record.line` makes, as a table; Arrow reads them without Python rows."""
    import pyarrow as pa
    from pyarrow import json

    data = "\n".join(lines).encode()
    reading = json.ReadOptions(use_threads=False, block_size=len(data) + 1)  # a record may not lie across two blocks
    parsing = json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error")
    return json.read_json(pa.BufferReader(data), reading, parsing)


class ParquetFile:
    """Writes records to Parquet in bounded memory; the file appears when it is complete: on `close`, or when its context ends well."""

    def __init__(self, path: Path, model: type[BaseModel]) -> None:
        import pyarrow.parquet as pq

        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._partial = path, path.with_name(f".{path.name}.part")
        self._schema = arrow_schema(model)
        self._writer = pq.ParquetWriter(self._partial, self._schema, compression="zstd")
        self._lines: list[str] = []

    def add(self, record: Record) -> None:
        """Add one record."""
        self.add_line(record.line())

    def add_line(self, line: str) -> None:
        """Add one record, given as its line."""
        self._lines.append(line)
        if len(self._lines) == ROWS_PER_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._lines:
            self._writer.write_table(table_of(self._lines, self._schema))
            self._lines = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None:
            self.close()
        else:
            self._writer.close()
            self._partial.unlink(missing_ok=True)

    def close(self) -> None:
        """Finish the file and put it in place."""
        self._flush()
        self._writer.close()
        self._partial.replace(self._path)


class ArrowFile:
    """Writes records to an Arrow stream in bounded memory, as a context."""

    def __init__(self, path: Path, model: type[BaseModel]) -> None:
        import pyarrow as pa

        self._schema = arrow_schema(model)
        self._writer = pa.ipc.new_stream(str(path), self._schema)
        self._lines: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None:
            self._flush()
        self._writer.close()

    def add_line(self, line: str) -> None:
        """Add one record, given as its line."""
        self._lines.append(line)
        if len(self._lines) == ROWS_PER_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._lines:
            self._writer.write_table(table_of(self._lines, self._schema))
            self._lines = []


def read_parquet(path: Path, model: type[M]) -> Iterator[M]:
    """Yield the records of a Parquet file, validated.

    Raises:
        RecordError: When it is no Parquet file, or holds other rows.
    """
    import pyarrow.parquet as pq

    row = 0
    try:
        for batch in pq.ParquetFile(path).iter_batches(ROWS_PER_GROUP):
            for item in batch.to_pylist():
                row += 1
                yield model.model_validate(item)
    except ValidationError as error:
        raise RecordError(f"{path}: row {row}: {error.errors()[0]['msg']}", hint="export it again") from error
    except ValueError as error:  # Arrow's own errors are ValueErrors
        raise RecordError(f"{path} is no Parquet file: {error}", hint="export it again") from error
