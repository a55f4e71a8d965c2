"""`rnnkit shards make | inspect | verify`."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import call
from shard_folders import counted_shards, write_lines

from rnnkit.data.shards import ShardSet, making, processes


def write_column(path, texts):
    pq.write_table(pa.table({"text": pa.array(texts, pa.string())}), path)


def test_make_inspect_verify(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_lines("a.jsonl", 50)
    made = call("shards", "make", "a.jsonl", "--out", "out", "--tokens", "char", "--processes", 1)
    assert made.exit_code == 0, made.output
    assert "tokens" in made.stdout
    assert made.stdout.endswith("Wrote out\n")
    seen = call("shards", "inspect", "out", "--rows", 1)
    assert "row 1: " in seen.stdout
    assert json.loads(call("shards", "inspect", "out", "--json").stdout)["totals"]["rows"] == 50
    assert call("shards", "verify", "out").stdout == "The shard is whole.\n"
    shard = tmp_path / "out" / "shard-00000.parquet"
    raw = bytearray(shard.read_bytes())
    raw[100] ^= 1
    shard.write_bytes(raw)
    damaged = call("shards", "verify", "out")
    assert damaged.exit_code == 1
    assert "shard-00000.parquet: has the SHA-256" in damaged.stderr
    assert "1 of 1 shards are damaged" in damaged.stderr
    raw[100] ^= 1
    shard.write_bytes(raw)
    (tmp_path / "out" / "tokenizer.json").unlink()
    without = call("shards", "verify", "out")
    assert without.exit_code == 1
    assert "tokenizer.json: there is no such file" in without.stderr
    assert "The shards are whole, their tokenizer is not; copy" in without.stderr


@pytest.mark.parametrize("whole", [0, 1])
def test_verify_without_a_manifest_names_all_damaged_files(tmp_path, monkeypatch, whole):
    monkeypatch.chdir(tmp_path)
    counted_shards("others", 60, shards_of=3)
    for number in range(whole, 3):
        file = tmp_path / "others" / f"part-{number}.parquet"
        file.write_bytes(file.read_bytes()[:-9])
    damaged = call("shards", "verify", "others")
    assert damaged.exit_code == 1
    assert [f"part-{number}.parquet: " in damaged.stderr for number in range(3)] == [whole == 0, True, True]
    assert f"{3 - whole} of 3 shards are damaged" in damaged.stderr


def test_an_interrupted_making_tells_the_whole_command_that_goes_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_lines("a b.jsonl", 200)
    line = ["shards", "make", "a b.jsonl", "--out", "out", "--tokens", "char", "--shard-size", "1KB", "--processes", 1]
    made = making.make_portion

    def stop(job, portion, tokenizer):
        if portion.number == 2:
            raise KeyboardInterrupt
        made(job, portion, tokenizer)

    with monkeypatch.context() as patch:
        patch.setattr(processes, "make_portion", stop)
        stopped = call(*line, "--overwrite")
    assert stopped.exit_code == 130
    typed = " ".join(map(str, line)).replace("a b.jsonl", "'a b.jsonl'")
    assert f"what was made stays in out. To go on: rnnkit {typed}\n" in stopped.stderr
    first = (tmp_path / "out" / "shard-00000.parquet").stat().st_mtime_ns
    assert call(*line).exit_code == 0
    assert (tmp_path / "out" / "shard-00000.parquet").stat().st_mtime_ns == first


def test_a_vocabulary_of_frequent_words_in_small_letters(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("The fox\nthe Dog\nFOX\n")
    words = ["--unit", "line", "--tokens", "word", "--lowercase", "--minimum-count", 2]
    assert call("shards", "make", "a.txt", "--out", "out", "--processes", 1, *words).exit_code == 0
    found = ShardSet.open("out")
    assert sorted(found.tokenizer().tokens[4:]) == ["fox", "the"]
    assert found.tokenizer().decode(next(iter(found))["tokens"]) == "the fox"
    assert found.manifest.made["settings"]["minimum_count"] == 2


def test_the_same_folder_takes_what_an_error_told_to_type(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_bytes("déjà vu".encode("latin-1"))
    line = ["shards", "make", "a.txt", "--out", "out", "--processes", 1]
    assert "type --encoding" in call(*line).stderr
    assert call(*line, "--encoding", "latin-1").exit_code == 0
    assert call("shards", "verify", "out/shard-00000.parquet").stdout == "The shard is whole.\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["make", "nowhere.txt", "--out", "out"], "nowhere.txt: there is no such file"),
        (["make", "a.jsonl", "--out", "out", "--shard-size", "big"], "--shard-size big arrived; expected a size"),
        (["make", "a.jsonl", "--out", "out", "--tokens", "letters"], "--tokens letters arrived; expected one of"),
        (["make", "a.jsonl", "--out", "out", "--size", "9"], "--size 9 arrived; it is of a tokenizer that is made"),
        (["make", "a.jsonl", "--out", "out", "--lowercase"], "--lowercase arrived; it is of a tokenizer that is made"),
        (["make", "a.jsonl", "--out", "out", "--minimum-count", "2"], "; type --tokens word"),
        (["make", "a.jsonl", "--out", "o", "--tokens", "word", "--minimum-count", "99"], "type --minimum-count 1"),
        (["make", "a.jsonl", "--out", "full"], "is not empty"),
        (["make", "a.jsonl", "--out", "out", "--processes", "0"], "--processes 0 arrived; expected a whole number"),
        (["make", "a.csv", "--out", "out", "--field", "²"], "'²'"),
        (["make", "a.parquet", "--out", "out", "--field", "x"], "--field x arrived; a.parquet has no such column"),
        (["make", "none.parquet", "--out", "out"], "none.parquet: the source holds no rows"),
        (["make", "a.jsonl", "--out", "out", "--label", "x"], "add --kind series"),
        (["make", "a.csv", "--out", "out", "--kind", "series", "--processes", "1"], "or --unlabelled if there is none"),
        (["make", "a.jsonl", "--out", "made", "--level", "3"], "or type --overwrite to remove them"),
        (["inspect", "full"], "holds no .parquet files; make shards: rnnkit shards make"),
        (["make", "a.jsonl", "--out", "s3://bucket/out"], "expected a folder of this machine"),
        (["make", "a.odd", "--out", "out"], "type --format txt"),
        (["inspect", "a.jsonl"], "is a file; expected a folder of shards, or a .parquet file"),
        (["inspect", "made", "--column", "x"], "--column x arrived"),
        (["inspect", "nowhere"], "nowhere: there is no such folder"),
        (["inspect", "made", "--rows", "-1"], "--rows -1 arrived"),
        (["verify", "made", "--threads", "0"], "--threads 0 arrived"),
    ],
)
def test_mistakes_are_answered_with_what_to_type(tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    write_lines("a.jsonl", 3)
    (tmp_path / "a.odd").write_text("x")
    (tmp_path / "a.csv").write_text("id,time,x\na,0,1\na,1,2\n")
    write_column("a.parquet", ["x"])
    write_column("none.parquet", [])
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "note.md").write_text("x")
    assert call("shards", "make", "a.jsonl", "--out", "made", "--processes", 1).exit_code == 0
    result = call("shards", *words)
    assert result.exit_code == 2
    assert said in result.stderr
