"""Making of shards: any source, the same shards from any number of processes."""

import gzip
import io
import json
import multiprocessing
import pickle
import queue
import tarfile
from pathlib import Path

import numpy as np
import pytest
from shard_folders import WORDS, all_tokens, digests, lines, whole_texts, write_lines
from sounds import tone

from rnnkit.data import TokenArray, read_series, read_texts, shards, tokenize, train_tokenizer
from rnnkit.data.audio import write_wav
from rnnkit.data.shards import processes
from rnnkit.errors import ConfigError, DataError


def write_tar(path, samples):
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as opened:
        for key, members in samples:
            for suffix, content in members.items():
                info = tarfile.TarInfo(f"{key}.{suffix}")
                info.size = len(content)
                opened.addfile(info, io.BytesIO(content))


def write_parquet(path, found):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"id": list(range(len(found))), "text": found}), path, row_group_size=5)


SOURCES = {
    "lines.txt": lambda path, found: path.write_text("\n".join(found)),
    "a.jsonl": lambda path, found: path.write_text("".join(json.dumps({"text": one}) + "\n" for one in found)),
    "a.jsonl.gz": lambda path, found: path.write_bytes(
        gzip.compress("".join(json.dumps({"text": one}) + "\n" for one in found).encode())
    ),
    "a.json": lambda path, found: path.write_text(json.dumps(found)),
    "a.csv": lambda path, found: path.write_text("n,text\n" + "".join(f'1,"{one}"\n' for one in found)),
    "a.tsv": lambda path, found: path.write_text("text\tn\n" + "".join(f"{one}\t1\n" for one in found)),
    "a.parquet": write_parquet,
    "a.tar": lambda path, found: write_tar(path, [(f"x/{n}", {"txt": one.encode()}) for n, one in enumerate(found)]),
    "a.tar.gz": lambda path, found: write_tar(
        path, [(f"{n}", {"json": json.dumps({"text": one}).encode(), "cls": b"1"}) for n, one in enumerate(found)]
    ),
}


@pytest.mark.parametrize("name", SOURCES)
def test_each_source_of_texts(tmp_path, name):
    found = [*lines(20), "Grüße, 你好", "a\tb" if "tsv" not in name else "a b"]
    SOURCES[name](tmp_path / name, found)
    unit = "line" if name == "lines.txt" else None
    manifest = shards.make_shards(tmp_path / name, tmp_path / "out", unit=unit)
    assert whole_texts(tmp_path / "out") == found
    assert manifest.rows == len(found)
    assert manifest.text_bytes == sum(len(one.encode()) for one in found)
    assert not shards.verify_shards(tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["manifest.json", "shard-00000.parquet"]


def test_a_folder_of_files_keeps_their_natural_order(tmp_path):
    for number in (10, 9, 1):
        (tmp_path / f"{number}.txt").write_text(f"file {number}")
    manifest = shards.make_shards(tmp_path, tmp_path.with_name("folder-out"))
    assert whole_texts(tmp_path.with_name("folder-out")) == ["file 1", "file 9", "file 10"]
    assert len(manifest.shards) == 1


@pytest.mark.parametrize("name", ["one.txt", "lines.txt", "a.jsonl", "a.parquet"])
def test_large_files_are_divided_and_nothing_is_lost(tmp_path, name):
    found = lines(300)
    if name == "one.txt":
        (tmp_path / name).write_text("\n".join(found))
    else:
        SOURCES[name](tmp_path / name, found)
    unit = "line" if name == "lines.txt" else None
    manifest = shards.make_shards(tmp_path / name, tmp_path / "out", unit=unit, shard_bytes=1024)
    assert len(manifest.shards) > 3
    assert whole_texts(tmp_path / "out") == (["\n".join(found)] if name == "one.txt" else found)


@pytest.mark.parametrize("kind", ["char", "byte", "bpe", "word"])
def test_tokens_are_those_of_tokenize(tmp_path, kind):
    file = write_lines(tmp_path / "a.jsonl", 200)
    manifest = shards.make_shards(file, tmp_path / "out", tokens=kind, vocabulary_size=280 if kind == "bpe" else None,
                                  shard_bytes=4096)  # fmt: skip
    found = shards.ShardSet.open(tmp_path / "out")
    tokenizer = train_tokenizer(kind, read_texts(file), size=280 if kind == "bpe" else None)
    assert found.tokenizer() == tokenizer
    expected = tokenize(read_texts(file), tokenizer, cache=tmp_path)
    assert np.array_equal(all_tokens(found), expected[:])
    assert manifest.tokens == len(expected)
    assert manifest.schema[0].dtype == "uint16"


def test_long_texts_have_several_rows_and_row_groups(tmp_path):
    text = " ".join(WORDS * 4000)
    (tmp_path / "a.txt").write_text(text)
    shards.make_shards(tmp_path / "a.txt", tmp_path / "tokens", tokens="char")
    found = shards.ShardSet.open(tmp_path / "tokens")
    assert found.tokenizer().decode(all_tokens(found)) == text
    assert max(len(row["tokens"]) for row in found) == 1 << 14
    shards.make_shards(tmp_path / "a.txt", tmp_path / "text")
    assert whole_texts(tmp_path / "text") == [text]
    assert len(shards.ShardSet.open(tmp_path / "text")) > 2


def test_the_shards_do_not_depend_on_the_number_of_processes(tmp_path):
    write_lines(tmp_path / "a.jsonl", 300)
    one = shards.make_shards(tmp_path / "a.jsonl", tmp_path / "one", tokens="char", shard_bytes=2048)
    two = shards.make_shards(tmp_path / "a.jsonl", tmp_path / "two", tokens="char", shard_bytes=2048, processes=2)
    assert len(one.shards) > 4
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    assert one.shards == two.shards


def test_an_error_in_a_process_is_that_of_the_source(tmp_path, monkeypatch):
    """The work of a process, in this one."""
    file = write_lines(tmp_path / "a.jsonl", 30)
    jobs = []
    monkeypatch.setattr(processes, "run", lambda job, count: jobs.append(job))
    with pytest.raises(DataError, match="holds no rows"):
        shards.make_shards(file, tmp_path / "out")
    file.write_text(file.read_text() + '{"text": 5}\n')
    monkeypatch.setattr("signal.signal", lambda *arguments: None)
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "true")
    context = multiprocessing.get_context("spawn")
    reports = queue.SimpleQueue()
    (tmp_path / "out" / ".making").mkdir(parents=True)
    processes._work(jobs[0], [0], context.Value("q", 0), context.Event(), reports)
    number, error = reports.get()
    assert number == -1
    copied = pickle.loads(pickle.dumps(error))
    assert isinstance(copied, DataError)
    assert copied.place.line == 31
    assert str(copied) == str(error)


def test_series_with_labels_targets_or_nothing(tmp_path):
    rows = ["id,time,x,z,label"] + [f"{n},{t},{n + t},{t % 2},{'ab'[n % 2]}" for n in range(6) for t in range(3 + n)]
    (tmp_path / "a.csv").write_text("\n".join(rows) + "\n")
    manifest = shards.make_shards(tmp_path / "a.csv", tmp_path / "out", kind="series")
    assert (manifest.rows, manifest.labels, manifest.details) == (6, {"a": 3, "b": 3}, {"channels": ["x", "z"]})
    found = list(shards.ShardSet.open(tmp_path / "out"))
    assert found[2]["values"].tolist() == [[2 + t, t % 2] for t in range(5)]
    assert [row["label"] for row in found] == list("ababab")
    (tmp_path / "n.csv").write_text("id,time,x,target\n1,0,1,0.5\n1,1,2,0.5\n2,0,3,1.5\n")
    shards.make_shards(tmp_path / "n.csv", tmp_path / "n", kind="series", reading={"targets": "numbers"})
    assert [row["target"] for row in shards.ShardSet.open(tmp_path / "n")] == [0.5, 1.5]
    bare = shards.make_shards(tmp_path / "n.csv", tmp_path / "u", kind="series", reading={"targets": None})
    assert [one.name for one in bare.schema] == ["values", "id"]
    # Series are read from shards as from the file that these were made of.
    series, wanted = read_series(tmp_path / "out"), read_series(tmp_path / "a.csv")
    assert (series.ids, series.channels, series.targets.tolist()) == (wanted.ids, wanted.channels, list("ababab"))
    assert all(np.array_equal(one, other) for one, other in zip(series.values, wanted.values, strict=True))
    assert read_series(tmp_path / "n", targets="numbers").targets.tolist() == [0.5, 1.5]
    assert read_series(tmp_path / "out", targets=None).targets is None
    with pytest.raises(DataError, match="its series have a label; expected a number for each; make .* --numbers"):
        read_series(tmp_path / "out", targets="numbers")
    with pytest.raises(ConfigError, match="id_column='id' arrived; leave it out: shards say themselves"):
        read_series(tmp_path / "out", id_column="id")
    shards.make_shards(write_lines(tmp_path / "t.jsonl", 3), tmp_path / "t")
    with pytest.raises(DataError, match="holds shards of text; expected series; make them with --kind series"):
        read_series(tmp_path / "t")


def test_recordings_of_folders_and_of_webdataset(tmp_path):
    for word, index in (("low", 0), ("high", 1)):
        (tmp_path / "clips" / word).mkdir(parents=True)
        write_wav(tmp_path / "clips" / word / f"{index}.wav", tone(word, seed=index), 8000)
    manifest = shards.make_shards(tmp_path / "clips", tmp_path / "out")
    assert (manifest.kind, manifest.labels) == ("audio", {"high": 1, "low": 1})
    rows = {row["label"]: row for row in shards.ShardSet.open(tmp_path / "out")}
    assert rows["low"]["rate"] == 8000
    assert np.allclose(rows["low"]["samples"] / 32768, tone("low", seed=0), atol=1e-4)
    sound = (tmp_path / "clips" / "low" / "0.wav").read_bytes()
    write_tar(tmp_path / "a.tar", [("s0", {"wav": sound, "cls": b"3", "txt": b"low tone"})])
    shards.make_shards(tmp_path / "a.tar", tmp_path / "tar", kind="audio")
    (row,) = shards.ShardSet.open(tmp_path / "tar")
    assert (row["label"], row["text"], row["id"]) == ("3", "low tone", "s0.wav")
    assert np.array_equal(row["samples"], rows["low"]["samples"])


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"tokens": "letters"}, "tokens='letters'"),
        ({"tokens": "char", "tokenizer": "t.json"}, "tokens='char' arrived; leave it out: a tokenizer is given"),
        ({"lowercase": True, "tokenizer": "t.json"}, "lowercase=True arrived; leave it out: a tokenizer is given"),
        ({"vocabulary_size": 10}, 'vocabulary_size=10 .*type tokens="bpe"'),
        ({"separators": False}, "separators=False arrived; leave it out: texts are written as they are"),
        ({"unit": "line"}, "unit='line' arrived; leave it out: JSON lines has no use for it"),
        ({"level": 23}, "from 1 to 22"),
        ({"processes": 0}, "processes=0"),
        ({"shard_bytes": 3}, "shard_bytes=3"),
        ({"kind": "audio"}, "the source holds files of text"),
        ({"kind": "video"}, "kind='video'"),
        ({"tokenizer": "missing.json"}, "there is no such file"),
        ({"field": "body"}, "body"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_written(tmp_path, options, problem):
    file = write_lines(tmp_path / "a.jsonl", 5)
    with pytest.raises((ConfigError, DataError), match=problem):
        shards.make_shards(file, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", [None, "series"])
def test_no_source_is_refused(tmp_path, kind):
    with pytest.raises(DataError, match="no source arrived"):
        shards.make_shards([], tmp_path / "out", kind=kind)


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({}, "holds no files"),
        ({"a.pdf": b"%PDF"}, r"formats that are not read arrived \(.pdf\)"),
        ({"a.txt": b"x", "b.wav": b"RIFF"}, "files of several kinds arrived: 1 of audio, 1 of text"),
        ({"a.txt": b""}, "is empty"),
        ({"a.txt": b"", "b.txt": b"x"}, "the file is empty.*empty=.skip. to leave such files out"),
        ({"a.txt": b"\xff\xfe\xff"}, "UTF-16"),
        ({"a.txt": b"abc\xe9"}, "byte 0xe9 is not UTF-8"),
        ({"a.tar": b"no tar at all" * 100}, "is damaged, or no tar file"),
        ({"a.parquet": b"PAR1"}, "is damaged"),
        ({"a.jsonl": b'{"text": "a"}\n{"text": \n'}, "a.jsonl:2"),
    ],
)
def test_a_bad_source_is_named(tmp_path, files, problem):
    (tmp_path / "in").mkdir()
    for name, content in files.items():
        (tmp_path / "in" / name).write_bytes(content)
    with pytest.raises(DataError, match=problem):
        shards.make_shards(tmp_path / "in", tmp_path / "out")


def test_tokens_and_folders_of_arrow_are_told_from_text(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"input_ids": [[1, 2], [3]], "label": [0, 1]}), tmp_path / "tokens.parquet")
    with pytest.raises(
        DataError, match=r"holds tokens already, in the column input_ids; .* --set data.shards="
    ) as caught:
        shards.make_shards(tmp_path / "tokens.parquet", tmp_path / "out")
    assert "--set data.field=input_ids" in str(caught.value)
    saved = tmp_path / "saved"
    saved.mkdir()
    for name in ("dataset_info.json", "data-00000-of-00001.arrow", "state.json"):
        (saved / name).write_text("{}")
    for read in (lambda: shards.make_shards(saved, tmp_path / "out"), lambda: read_texts(saved)):
        with pytest.raises(DataError, match="is what save_to_disk of Hugging Face's datasets wrote"):
            read()


def test_a_tokenizer_without_an_end_needs_no_separators(tmp_path):
    file = write_lines(tmp_path / "a.jsonl", 5)
    tokenizer = train_tokenizer("char", lines(5))
    tokenizer.end = None
    with pytest.raises(ConfigError, match="type separators=False"):
        shards.make_shards(file, tmp_path / "out", tokenizer=tokenizer)
    manifest = shards.make_shards(file, tmp_path / "out", tokenizer=tokenizer, separators=False, overwrite=True)
    assert manifest.tokens == sum(map(len, lines(5)))


def test_manifests_from_elsewhere_are_not_trusted(tmp_path):
    file = write_lines(tmp_path / "a.jsonl", 5)
    shards.make_shards(file, tmp_path / "out", tokens="char")
    manifest = tmp_path / "out" / "manifest.json"
    good = json.loads(manifest.read_text())
    for change, problem in (
        ({"version": 9}, "is of version 9"),
        ({"shards": [{**good["shards"][0], "name": "../x.parquet"}]}, "a shard is called"),
        ({"shards": [{**good["shards"][0], "rows": "5"}]}, "no whole numbers"),
        ({"shards": [{**good["shards"][0], "bytes": "5"}]}, "no whole numbers"),
        ({"shards": [{**good["shards"][0], "tokens": -5}]}, "no whole numbers"),
        ({"shards": [{**good["shards"][0], "labels": ["a"]}]}, "no whole numbers"),
        ({"shards": [{**good["shards"][0], "sha256": 5}]}, "is no text"),
        ({"shards": good["shards"] * 2}, "a shard is named twice"),
        ({"shards": None}, "is damaged"),
        ({"column": "text"}, "the column 'text' is none of the schema"),
        ({"made": {"source": 5}}, "the source or the settings"),
        ({"made": {"settings": [1]}}, "the source or the settings"),
        ({"tokenizer": 5}, "the tokenizer is 5"),
    ):
        manifest.write_text(json.dumps({**good, **change}))
        with pytest.raises(DataError, match=problem):
            shards.ShardSet.open(tmp_path / "out")
    manifest.write_text("{")
    with pytest.raises(DataError, match=r"holds no JSON object.*copy it again, or make the shards again"):
        shards.ShardSet.open(tmp_path / "out")
    manifest.write_text(json.dumps({**good, "tokenizer": "other"}))
    with pytest.raises(DataError, match="is not the tokenizer that the shards were made by"):
        shards.ShardSet.open(tmp_path / "out").tokenizer()
    manifest.write_text(json.dumps(good))
    (tmp_path / "out" / "tokenizer.json").write_text("{}")
    with pytest.raises(DataError, match=r"tokenizer.json: the tokenizer's values lack 'kind'; copy the whole folder"):
        shards.ShardSet.open(tmp_path / "out").tokenizer()


def test_token_arrays_of_memory_are_small_beside_shards(tmp_path):
    file = write_lines(tmp_path / "a.jsonl", 3000)
    manifest = shards.make_shards(file, tmp_path / "out", tokens="char")
    assert manifest.bytes < 0.5 * manifest.text_bytes
    assert isinstance(TokenArray(all_tokens(shards.ShardSet.open(tmp_path / "out"))), TokenArray)
    assert Path(tmp_path / "out" / "tokenizer.json").is_file()
