"""Tokens of pages that are decoded without their lists: those that pyarrow reads, or none where anything differs."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rnnkit.data.shards import parquet_files, token_pages
from rnnkit.data.shards.addresses import Storage
from rnnkit.data.shards.parquet_files import ShardFile
from rnnkit.data.shards.writing import Layout
from rnnkit.errors import DataError

CODEC = pa.Codec("zstd")


def write(folder, ids, dtype="uint16", **options):
    """Write two row groups of tokens as shards have them, and return the file."""
    layout, path = Layout("tokens", dtype=dtype), folder / "a.parquet"
    settings = {"compression": "zstd", "column_encoding": {"tokens.list.element": "BYTE_STREAM_SPLIT"}}
    settings |= {"use_dictionary": False, "write_page_checksum": True, **options}
    with pq.ParquetWriter(path, layout.schema(), **settings) as writer:
        for part in np.array_split(ids, 2):
            rows = [{"tokens": row} for row in np.array_split(part.astype(dtype), 3)]
            writer.write_table(layout.table(rows))
    return path


def chunk(path, group=0):
    """The bytes of the pages of a row group, and the number of its tokens."""
    column = pq.ParquetFile(path).metadata.row_group(group).column(0)
    begin = column.data_page_offset
    return path.read_bytes()[begin : begin + column.total_compressed_size], column.num_values


@pytest.mark.parametrize(
    ("dtype", "high"), [("uint16", 100), ("uint16", 1 << 16), ("uint32", 1 << 16), ("uint32", 1 << 32)]
)
@pytest.mark.parametrize("page", [1 << 20, 512])
def test_tokens_are_those_of_pyarrow(tmp_path, dtype, high, page):
    ids = np.random.default_rng(0).integers(0, high, 3001)
    path = write(tmp_path, ids, dtype, data_page_size=page, write_batch_size=64)
    raw, count = chunk(path)
    found = token_pages.decode_pages(raw, count, dtype, CODEC)
    assert found.dtype == dtype
    assert np.array_equal(found, ids[:count])
    file = ShardFile(Storage(str(tmp_path)), path.name, None, "tokens")
    assert np.array_equal(np.concatenate([file.tokens(0), file.tokens(1)]), ids)
    file.close()


def test_pages_that_differ_in_any_byte_give_the_same_tokens_or_none(tmp_path):
    ids = np.random.default_rng(0).integers(0, 5000, 400)
    raw, count = chunk(write(tmp_path, ids))
    for at in range(len(raw)):
        for bit in (1, 128):
            changed = bytearray(raw)
            changed[at] ^= bit
            found = token_pages.decode_pages(bytes(changed), count, "uint16", CODEC)
            assert found is None or np.array_equal(found, ids[:count])
    for size in range(len(raw)):
        assert token_pages.decode_pages(raw[:size], count, "uint16", CODEC) is None
    for other in (count - 1, count + 1):
        assert token_pages.decode_pages(raw, other, "uint16", CODEC) is None
    wide, count = chunk(write(tmp_path, ids + (1 << 16), "uint32"))
    assert token_pages.decode_pages(wide, count, "uint16", CODEC) is None


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "snappy"},
        {"column_encoding": None},
        {"column_encoding": None, "use_dictionary": True},
        {"write_page_checksum": False},
        {"data_page_version": "2.0"},
    ],
)
def test_other_forms_are_left_to_pyarrow(tmp_path, options, monkeypatch):
    ids = np.random.default_rng(0).integers(0, 5000, 400)
    path = write(tmp_path, ids, **options)
    made = []
    monkeypatch.setattr(parquet_files, "decode_pages", lambda *given: made.append(token_pages.decode_pages(*given)))
    file = ShardFile(Storage(str(tmp_path)), path.name, None, "tokens")
    assert np.array_equal(np.concatenate([file.tokens(0), file.tokens(1)]), ids)
    assert all(one is None for one in made)


def test_damage_is_that_which_pyarrow_finds(tmp_path):
    path = write(tmp_path, np.arange(400))
    content = bytearray(path.read_bytes())
    content[200] ^= 1
    path.write_bytes(content)
    file = ShardFile(Storage(str(tmp_path)), path.name, None, "tokens")
    with pytest.raises(DataError, match=r"a.parquet: is damaged"):
        file.tokens(0)
    assert len(file.tokens(1)) == 200
