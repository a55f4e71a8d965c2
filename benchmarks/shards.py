"""Shards: size, speed of reading, cost of a training step, memory: `python -m benchmarks.shards [--large]`.

Times are processor time of the process, its reading thread included, with one thread of PyTorch: other programs on the
machine change little. The texts are those of ``lm_en`` in ``RNNKIT_DATA``, else the help topics of Python, one after
the other until there are 50 MB. Row groups are compressed by themselves, so that the repetition makes no shard smaller.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

import rnnkit
from rnnkit.data import TokenArray, TokenBatches, read_texts, shards, tokenize, train_tokenizer
from rnnkit.data.data_folder import find_data
from rnnkit.data.shards.addresses import Storage
from rnnkit.data.text.corpora import python_topics
from rnnkit.data.text.decoding import decode_file
from rnnkit.errors import DataError

SIZE = 14_000_000  # bytes of text
SMALL, LARGE = 50_000_000, 3_000_000_000  # bytes of text whose reading takes no more memory
STREAMS, WINDOW = 32, 100
SHAPES = ((STREAMS, WINDOW), (8, 1000))
PIECE = 1 << 19  # tokens
HEAD = 300_000  # characters of text that are tokenised by pieces of words
TARGETS = {
    "tokens a second": 20e6,
    "tokenised on the fly, two processes": 1e6,
    "step on shards ÷ from memory": 1.03,
    "growth of memory, MB": 100.0,
    "size ÷ UTF-8 text": 0.5,
    "ids of shards ÷ of raw text, speed": 1.0,
    "batches of shards ÷ of raw text, speed": 1.0,
}


def corpus(folder: Path) -> Path:
    """Write 14 MB of text, documents of 2,000 characters, as JSON lines and as plain text."""
    try:
        files = sorted(find_data("lm_en").glob("*.txt"))
        text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    except DataError:
        text = "\n".join(one for one, _ in python_topics())
    paragraphs = documents(text)
    lines = [json.dumps({"text": one}, ensure_ascii=False) + "\n" for one in paragraphs]
    one = "".join(lines)
    path = folder / "corpus.jsonl"
    with path.open("w", encoding="utf-8") as out:
        for _ in range(-(-SIZE // len(text.encode()))):
            out.write(one)
    plain = folder / "corpus.txt"
    with plain.open("w", encoding="utf-8") as out:
        for _ in range(-(-SIZE // len(text.encode()))):
            out.write(text)
    (folder / "head.txt").write_text(text[:HEAD], encoding="utf-8")
    return path


def documents(text: str) -> list[str]:
    """Cut text at the ends of lines."""
    found, held = [], ""
    for line in text.splitlines(keepends=True):
        held += line
        if len(held) >= 2000:
            found.append(held)
            held = ""
    return [*found, held] if held.strip() else found


def in_turns(works: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Return the median processor time of each of some works, which take turns."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            begin = time.process_time()
            work()
            times[name].append(time.process_time() - begin)
    return {name: statistics.median(found) for name, found in times.items()}


def count(batches: Any) -> int:
    return sum(batch.targets.numel() for batch in batches)


def read_in_pieces(found: shards.ShardSet) -> None:
    """Read all tokens of shards, one after the other, and keep none."""
    reader = found.reader(tokens=True)
    ids = np.empty(PIECE, reader.dtype)
    for begin in range(0, len(found), PIECE):
        end = min(begin + PIECE, len(found))
        reader.tokens(begin, end, ids[: end - begin])


def reading(folder: Path, figures: dict[str, Any], rounds: int) -> None:
    """Size and speed, by characters and by pieces of words, beside the same made of raw text, in turns.

    Raw text has to be ids before it can be batches. Each way begins with files and ends with the same: ids that nobody
    keeps, or batches.
    """
    for kind in ("char", "bpe"):
        found = shards.ShardSet.open(folder / kind)
        manifest = found.manifest
        assert manifest.bytes is not None
        assert manifest.text_bytes is not None
        plain = folder / ("corpus.txt" if kind == "char" else "head.txt")  # pieces of words take long
        seconds = in_turns(ways_of_reading(found, plain), rounds)
        for name, took in seconds.items():
            size = manifest.text_bytes if name.endswith("of shards") else plain.stat().st_size
            figures[f"{kind}: {name}, MB of text a second"] = size / took / 1e6
        for name in (name for name in seconds if name.endswith("of shards")):
            both = (
                figures[f"{kind}: {one}, MB of text a second"] for one in (name, name.replace("shards", "raw text"))
            )
            figures[f"{kind}: {name} ÷ of raw text, speed"] = next(both) / next(both)
            figures[f"{kind}: {name}, tokens a second"] = len(found) / seconds[name]
        figures[f"{kind}: size ÷ UTF-8 text"] = manifest.bytes / manifest.text_bytes


def ways_of_reading(found: shards.ShardSet, plain: Path) -> dict[str, Callable[[], Any]]:
    """Return what reads shards, or text of the same tokenizer, by its name."""
    tokenizer = found.tokenizer()

    def batches_of_text(streams: int, window: int) -> int:
        ids = np.concatenate(list(tokenizer.encode_many(decode_file(plain))))
        return count(TokenBatches(TokenArray(ids), streams, window))

    def batches_of_shards(streams: int, window: int) -> int:
        return count(found.batches(streams, window=window))

    ways: dict[str, Callable[[], Any]] = {
        "strings of raw text": lambda: sum(map(len, decode_file(plain))),
        "ids of raw text": lambda: sum(map(len, tokenizer.encode_many(decode_file(plain)))),
        "ids of shards": lambda: read_in_pieces(found),
    }
    for shape in SHAPES:
        name = f"batches of {shape[0]} × {shape[1]} of"
        ways[f"{name} raw text"] = partial(batches_of_text, *shape)
        ways[f"{name} shards"] = partial(batches_of_shards, *shape)
    return ways


def fly(folder: str, rank: int, reports: Any) -> None:
    """Tokenise text on the fly in one of two processes."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    torch.set_num_threads(1)
    found = shards.ShardSet.open(Path(folder) / "raw")
    tokenizer = shards.ShardSet.open(Path(folder) / "bpe").tokenizer()
    batches = found.batches(32, tokenizer=tokenizer, shuffle=1000).shard(rank, 2)
    begin, tokens = time.process_time(), 0
    for batch in batches:
        tokens += int(batch.target_lengths.sum()) if batch.target_lengths is not None else batch.targets.numel()
    reports.put((tokens, time.process_time() - begin))


def on_the_fly(folder: Path, figures: dict[str, Any]) -> None:
    context = multiprocessing.get_context("spawn")
    reports = context.Queue()
    workers = [context.Process(target=fly, args=(str(folder), rank, reports)) for rank in range(2)]
    for worker in workers:
        worker.start()
    found = [reports.get() for _ in workers]
    for worker in workers:
        worker.join()
    figures["bpe: tokenised on the fly, two processes"] = sum(tokens / seconds for tokens, seconds in found)


def step(folder: Path, figures: dict[str, Any], rounds: int, steps: int) -> None:
    """Processor time of training steps on shards and from memory, in turns."""
    found = shards.ShardSet.open(folder / "char")
    array = tokenize(shards.ShardTexts(shards.ShardSet.open(folder / "raw")), found.tokenizer(), cache=folder)
    tokens = TokenArray(array.tokens[:])
    part = found.part(0, steps * STREAMS * WINDOW + 1)
    memory = TokenArray(tokens.tokens[: steps * STREAMS * WINDOW + 1].copy())

    def seconds(data: Any) -> float:
        torch.manual_seed(0)
        model = rnnkit.LanguageModel(len(found.tokenizer()), "lstm", 128, 256, 2)
        learner = rnnkit.Learner(model, lr=3e-3, clip_norm=1.0)
        begin = time.process_time()
        learner.fit(data, epochs=1, stateful=True, progress=False)
        return time.process_time() - begin

    ratios = []
    seconds(memory.batches(STREAMS, WINDOW))
    for number in range(rounds):
        sources = [lambda: memory.batches(STREAMS, WINDOW), lambda: part.batches(STREAMS, window=WINDOW)]
        order = (0, 1) if number % 2 == 0 else (1, 0)
        times = {one: seconds(sources[one]()) for one in order}
        ratios.append(times[1] / times[0])
        figures.setdefault("step from memory, ms", times[0] / steps * 1e3)
    figures["step on shards ÷ from memory"] = statistics.median(ratios)
    figures["step ratios"] = [round(one, 4) for one in ratios]
    assert count(part.batches(STREAMS, window=WINDOW)) == count(TokenBatches(memory, STREAMS, WINDOW))


PEAK = """
import sys, torch
from rnnkit.data import shards
torch.set_num_threads(1)
found = shards.ShardSet.open(sys.argv[1])
left = int(sys.argv[2])
for batch in found.batches(32, window=100, shuffle=True):
    left -= batch.targets.numel()
    if left < 0:
        break
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
"""


def memory_growth(folder: Path, figures: dict[str, Any]) -> None:
    """The peak of the resident set of a process that reads 50 MB, and of one that reads 3 GB."""
    peaks = {}
    for name, size in (("50 MB", SMALL), ("3 GB", LARGE)):
        path = copies(folder / "char", folder / "copies", size)
        command = [sys.executable, "-c", PEAK, str(path), str(150_000_000)]
        found = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks[name] = figures[f"peak of memory reading {name}, MB"] = int(found.stdout) / 1e3
        shutil.rmtree(path)
    figures["growth of memory, MB"] = peaks["3 GB"] - peaks["50 MB"]


def copies(source: Path, target: Path, size: int) -> Path:
    """Write shards of so many bytes of text: the same ones again and again, under other names."""
    small = shards.ShardSet.open(source)
    target.mkdir()
    found: list[shards.Shard] = []
    while sum(one.text_bytes or 0 for one in found) < size:
        for one in small.manifest.shards:
            name = f"copy-{len(found):05d}.parquet"
            shutil.copyfile(source / one.name, target / name)
            found.append(replace(one, name=name))
    shutil.copyfile(source / "tokenizer.json", target / "tokenizer.json")
    replace(small.manifest, shards=tuple(found)).write(Storage(str(target)))
    return target


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--large", action="store_true", help="measure the memory with 3 GB, too (2 GB of disk)")
    arguments.add_argument("--rounds", type=int, default=5, help="of reading, and of training, in turns")
    arguments.add_argument("--steps", type=int, default=30, help="of a training")
    arguments.add_argument("--parts", default="reading,fly,step", help="of reading, fly, step")
    chosen = arguments.parse_args()
    torch.set_num_threads(1)
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="rnnkit-shards-") as name:
        folder = Path(name)
        file = corpus(folder)
        first = islice((text for text, _ in read_texts(file, field="text")), 2_000)
        tokenizer = train_tokenizer("bpe", first, size=8000)
        begin = time.process_time()
        shards.make_shards(file, folder / "char", tokens="char", shard_bytes=2 << 20)
        figures["char: made, MB of text a second"] = file.stat().st_size / (time.process_time() - begin) / 1e6
        begin = time.process_time()
        shards.make_shards(file, folder / "bpe", tokenizer=tokenizer, shard_bytes=2 << 20)
        figures["bpe: made, MB of text a second"] = file.stat().st_size / (time.process_time() - begin) / 1e6
        shards.make_shards(file, folder / "raw", shard_bytes=2 << 20)
        for part, measure in (
            ("reading", partial(reading, rounds=chosen.rounds)),
            ("fly", on_the_fly),
            ("memory", memory_growth if chosen.large else None),
            ("step", partial(step, rounds=chosen.rounds, steps=chosen.steps)),
        ):
            if measure is not None and (part in chosen.parts or part == "memory"):
                measure(folder, figures)
            for label in list(figures):
                value = figures.pop(label)
                print(f"{label}: {value:,.3f}" if isinstance(value, float) else f"{label}: {value}", flush=True)
    print("targets:", ", ".join(f"{label} {value:g}" for label, value in TARGETS.items()))


if __name__ == "__main__":
    main()
