"""Shards that tests read: of tokens that are their own numbers, and of text files."""

import json
from pathlib import Path

import numpy as np

from rnnkit.data import shards, train_tokenizer

WORDS = [
    "the",
    "quick",
    "brown",
    "fox",
    "jumps",
    "over",
    "the",
    "lazy",
    "dog",
    "while",
    "seven",
    "green",
    "birds",
    "sing",
]


def lines(count, seed=0):
    """Texts of several words."""
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(WORDS, int(random.integers(3, 12)))) for _ in range(count)]


def write_lines(path, count, seed=0):
    """Write texts as JSON lines."""
    path = Path(path)
    path.write_text("".join(json.dumps({"text": line}) + "\n" for line in lines(count, seed)), encoding="utf-8")
    return path


def token_shards(folder, texts=400, shard_bytes=2048, seed=0, **options):
    """Make shards of characters, several of them."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    file = write_lines(folder / "texts.jsonl", texts, seed)
    tokenizer = train_tokenizer("char", [" ".join(WORDS)])
    shards.make_shards(file, folder / "shards", tokenizer=tokenizer, shard_bytes=shard_bytes, **options)
    return shards.ShardSet.open(folder / "shards")


def whole_texts(folder):
    """The texts of shards, whole ones."""
    return [text for text, _ in shards.ShardTexts(shards.ShardSet.open(folder))]


def digests(folder):
    """The hashes of shards by their names."""
    return {one.name: one.sha256 for one in shards.Manifest.read(shards.ShardSet.open(folder).storage).shards}


def all_tokens(found):
    """The tokens of shards, one after the other."""
    return np.concatenate([row["tokens"] for row in found])


def counted_shards(folder, count, shards_of=7):
    """Write shards of others, whose tokens are their own numbers, and open them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for number, ids in enumerate(np.array_split(np.arange(count, dtype=np.int32), shards_of)):
        offsets = np.append(np.arange(0, len(ids), 100, dtype=np.int32), np.int32(len(ids)))
        rows = pa.ListArray.from_arrays(pa.array(offsets), pa.array(ids))
        pq.write_table(pa.table({"input_ids": rows}), folder / f"part-{number}.parquet", row_group_size=3)
    return shards.ShardSet.open(folder)
