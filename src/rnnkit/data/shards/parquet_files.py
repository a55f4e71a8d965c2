"""Parquet files, read a row group at a time: tokens as one array, rows as dictionaries of arrays and values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import ConfigError, DataError, MissingExtraError, Place, Remedy, suggest
from ...types import Field
from .token_pages import DTYPES, decode_pages, is_known

if TYPE_CHECKING:
    import numpy.typing as npt

    from .addresses import Storage

TOKEN_COLUMNS = ("tokens", "input_ids", "ids")
TEXT_COLUMNS = ("text", "content", "sentence")


def need_pyarrow() -> tuple[Any, Any]:
    """Return the modules pyarrow and pyarrow.parquet.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        advice = "type pip install 'rnnkit[shards]'"
        raise MissingExtraError("shards are read with pyarrow, which is not installed", None, advice) from None
    return pyarrow, pyarrow.parquet


@contextmanager
def damage_named(where: str) -> Iterator[None]:
    """Raise what pyarrow says of a damaged file as DataError, with the file's address."""
    pa, _ = need_pyarrow()
    try:
        yield
    except DataError:
        raise
    except (pa.ArrowException, OSError, ValueError, EOFError) as error:
        said = " ".join(str(error).split()) or type(error).__name__
        remedy = ("copy or make it again", Remedy("damaged", "skip", "to go on without it"))
        raise DataError(f"is damaged ({said})", Place(where), remedy) from None


class ShardFile:
    """One Parquet file.

    Args:
        storage: the folder.
        name: of the file in it.
        size: its bytes, where they are known.
        column: the column of the tokens, where tokens are read; None: rows are read.

    Attributes:
        before: the units (tokens or rows) before each row group, and behind the last [groups + 1].

    Raises:
        DataError: the file is missing or damaged.
    """

    def __init__(self, storage: Storage, name: str, size: int | None, column: str | None) -> None:
        pa, pq = need_pyarrow()
        self.where, self._column = storage.where(name), column
        with damage_named(self.where):
            # Arrow's own files are faster than files of Python.
            source = self.where if storage.local else storage.open(name, size)
            self._file = pq.ParquetFile(source, page_checksum_verification=True)
            self.before = self.units(column)
            self._bytes: Any = None  # of the file, where its pages may be of the form that rnnkit writes
            if column is not None and (dtype := self._token_type(column)) in DTYPES:
                self._bytes = open(source, "rb") if storage.local else source  # noqa: SIM115 (until `close`)
                self._dtype, self._codec = dtype, pa.Codec("zstd")
                self._leaf = self._leaves().index(column)

    @property
    def schema(self) -> Any:
        """The schema, of pyarrow."""
        return self._file.schema_arrow

    @property
    def rows(self) -> int:
        """The number of rows."""
        return int(self._file.metadata.num_rows)

    def read(self, group: int, columns: Sequence[str] | None = None) -> Any:
        """Return a row group as a table of pyarrow.

        Args:
            group: its number.
            columns: those to read; None: all.

        Raises:
            DataError: it is damaged.
        """
        with damage_named(self.where):
            return self._file.read_row_group(group, columns=columns, use_threads=False)

    def tokens(self, group: int) -> npt.NDArray[Any]:
        """Return the tokens of a row group, one after the other.

        Raises:
            DataError: it is damaged, or a token is missing.
        """
        assert self._column is not None
        expected = int(self.before[group + 1] - self.before[group])
        if (known := self._known_tokens(group, expected)) is not None:
            return known
        table = self.read(group, [self._column])
        with damage_named(self.where):
            parts = [chunk.flatten() for chunk in table.column(0).chunks]
            if any(part.null_count for part in parts):
                raise DataError(f"column {self._column} holds missing tokens", Place(self.where))
            arrays = [part.to_numpy() for part in parts]
            found = arrays[0] if len(arrays) == 1 else np.concatenate([*arrays, np.zeros(0, np.uint16)])
        if len(found) != expected:
            raise DataError(f"row group {group} holds {len(found):,} tokens; expected {expected:,}", Place(self.where))
        return found

    def _known_tokens(self, group: int, expected: int) -> npt.NDArray[Any] | None:
        """Return the tokens of a row group that rnnkit wrote; None where its pages are of another form, or damaged."""
        if self._bytes is None:
            return None
        pages = self._file.metadata.row_group(group).column(self._leaf)
        if not is_known(pages):
            return None
        with damage_named(self.where):
            self._bytes.seek(pages.data_page_offset)
            raw = self._bytes.read(pages.total_compressed_size)
        return decode_pages(raw, expected, self._dtype, self._codec)

    def _token_type(self, column: str) -> str:
        """Return the type of the tokens of a column: the innermost one of its lists."""
        kind = self.schema.field(column).type
        return str(getattr(kind, "value_type", kind))

    def _leaves(self) -> list[str]:
        """Return the columns in the order of the file, those of structures several times."""
        columns = self._file.metadata.schema
        return [columns.column(index).path.split(".")[0] for index in range(self._file.metadata.num_columns)]

    def close(self) -> None:
        """Close the file."""
        self._file.close(force=True)
        if self._bytes is not None:
            self._bytes.close()

    def units(self, column: str | None) -> npt.NDArray[np.int64]:
        """Return the rows, or the tokens of a column, before each row group, and behind the last [groups + 1]."""
        metadata, names = self._file.metadata, self.schema.names
        groups = range(metadata.num_row_groups)
        if column is None:
            counts = [metadata.row_group(group).num_rows for group in groups]
            return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
        leaves = self._leaves()
        if column not in leaves:
            raise ConfigError.of("column", column, f"{self.where} has no such column{suggest(column, names)}")
        counts = []
        for group in groups:
            chunk = metadata.row_group(group).column(leaves.index(column))
            told = chunk.statistics
            if told is not None and told.has_null_count:
                counts.append(chunk.num_values - told.null_count)  # an empty list counts as a value that is missing
            else:
                read = self._file.read_row_group(group, columns=[column]).column(0)
                counts.append(sum(len(one.flatten()) for one in read.chunks))
        return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])


class Rows:
    """The rows of a table: lists of numbers as arrays [T] or [T, C], all else as Python values.

    Args:
        table: of pyarrow.
    """

    def __init__(self, table: Any) -> None:
        self._count = table.num_rows
        self._columns = {name: _Column(table.column(name)) for name in table.column_names}

    def __len__(self) -> int:
        return int(self._count)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {name: column[index] for name, column in self._columns.items()}


class _Column:
    """A column, by row."""

    def __init__(self, column: Any) -> None:
        pa, _ = need_pyarrow()
        whole = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
        if isinstance(whole, pa.ChunkedArray):
            whole = pa.concat_arrays(whole.chunks) if whole.num_chunks else pa.array([], column.type)
        self._values: Any = None
        kind = whole.type
        if (pa.types.is_list(kind) or pa.types.is_large_list(kind)) and not whole.null_count:
            width, inner = None, whole.flatten()
            if pa.types.is_fixed_size_list(inner.type):
                width, inner = inner.type.list_size, inner.flatten()
            if (pa.types.is_integer(inner.type) or pa.types.is_floating(inner.type)) and not inner.null_count:
                values = inner.to_numpy()
                self._values = values if width is None else values.reshape(-1, width)
                offsets = whole.offsets.to_numpy()
                self._offsets = offsets - offsets[0]
        self._whole = whole

    def __getitem__(self, index: int) -> Any:
        if self._values is None:
            return self._whole[index].as_py()
        return self._values[self._offsets[index] : self._offsets[index + 1]]


def find_column(schema: Any, where: str, column: str | None) -> tuple[str, str]:
    """Return what files of others hold, "tokens", "text" or "rows", and the column of it.

    Raises:
        ConfigError: there is no such column, or it holds neither text nor lists of whole numbers.
    """
    if column is not None and column not in schema.names:
        raise ConfigError.of("column", column, f"{where} has no such column{suggest(column, schema.names)}")
    wanted = [column] if column is not None else [*TOKEN_COLUMNS, *TEXT_COLUMNS]
    for name in wanted:
        if name not in schema.names:
            continue
        kind = _kind_of(schema.field(name).type)
        if kind is not None:
            return kind, name
    if column is not None:
        kinds = f"{column} is {schema.field(column).type}"
        raise ConfigError.of("column", column, f"expected text, or lists of whole numbers; {kinds}")
    return "rows", ""


def _kind_of(type: Any) -> str | None:
    pa, _ = need_pyarrow()
    if pa.types.is_string(type) or pa.types.is_large_string(type):
        return "text"
    is_list = pa.types.is_list(type) or pa.types.is_large_list(type) or pa.types.is_fixed_size_list(type)
    return "tokens" if is_list and pa.types.is_integer(type.value_type) else None


def fields_of(schema: Any, inputs: Sequence[str]) -> tuple[Field, ...]:
    """Return a schema of pyarrow as the entries of a row; the columns that are no input are targets."""
    pa, _ = need_pyarrow()
    found = []
    for entry in schema:
        kind, shape = entry.type, []
        while pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
            shape.append(kind.list_size if pa.types.is_fixed_size_list(kind) else None)
            kind = kind.value_type
        dtype = {"float": "float32", "double": "float64"}.get(str(kind), str(kind))
        found.append(Field(entry.name, dtype, tuple(shape), "input" if entry.name in inputs else "target"))
    return tuple(found)
