"""Making of shards that is interrupted, killed, disturbed or begun again: what stays, and what is refused."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from shard_folders import digests, lines, whole_texts, write_lines

from rnnkit.data import read_texts, shards, tokenize
from rnnkit.data.shards import making, processes, unfinished
from rnnkit.errors import DataError


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
def test_interrupted_making_goes_on_where_it_was(tmp_path, monkeypatch, name):
    """A file that is divided, and one that is read as a whole and gives several shards."""
    if name == "a.csv":
        (tmp_path / name).write_text("text\n" + "\n".join(lines(400)))
    else:
        write_lines(tmp_path / name, 400)
    monkeypatch.setattr("rnnkit.data.shards.writing._AT_ONCE", 512)
    options = {"tokens": "char", "shard_bytes": 2048}
    shards.make_shards(tmp_path / name, tmp_path / "whole", **options)
    replace, writes = os.replace, []

    def stop(source, target):
        if str(target).endswith(".parquet"):
            writes.append(target)
            if len(writes) in (3, 5):
                raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr("os.replace", stop)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            shards.make_shards(tmp_path / name, tmp_path / "out", **options)
        with pytest.raises(DataError, match="the making of these shards was interrupted"):
            shards.ShardSet.open(tmp_path / "out")
    monkeypatch.setattr("os.replace", replace)
    monkeypatch.setattr("rnnkit.data.shards.making.train_tokenizer", None, raising=False)
    shards.make_shards(tmp_path / name, tmp_path / "out", **options)
    assert digests(tmp_path / "out") == digests(tmp_path / "whole")
    assert len(writes) == 5  # 2 that stayed, 3 and 5 that did not, and one between


PROGRAM = """
import sys
from rnnkit.data import shards
if __name__ == "__main__":
    shards.make_shards(sys.argv[1], sys.argv[2], tokens="char", shard_bytes=2048, processes=2)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL here")
def test_a_killed_making_leaves_no_half_shard_and_goes_on(tmp_path):
    write_lines(tmp_path / "a.jsonl", 3000)
    (tmp_path / "make.py").write_text(PROGRAM)
    out = tmp_path / "out"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, tmp_path / "make.py", tmp_path / "a.jsonl", out], env=environment, stderr=subprocess.DEVNULL
    )
    while len(list(out.glob("shard-*.parquet"))) < 5 and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (out / "manifest.json").exists()
    found = shards.make_shards(tmp_path / "a.jsonl", out, tokens="char", shard_bytes=2048)
    assert not shards.verify_shards(out)
    tokenizer = shards.ShardSet.open(out).tokenizer()
    assert found.tokens == len(tokenize(read_texts(tmp_path / "a.jsonl"), tokenizer, cache=tmp_path))
    # Its processes end by themselves, the hidden folders of what they were writing with them.
    assert shards.make_shards(tmp_path / "a.jsonl", out, tokens="char", shard_bytes=2048) == found


def test_one_process_makes_shards_in_a_folder_and_waits_for_what_another_one_ends(tmp_path):
    file = write_lines(tmp_path / "a.jsonl", 50)
    with unfinished.alone_in(tmp_path / "out"), pytest.raises(DataError, match="out: another process makes shards"):
        shards.make_shards(file, tmp_path / "out")
    shards.make_shards(file, tmp_path / "out")
    journal = tmp_path / "out" / "00000.jsonl"

    def add():
        with unfinished.open_journal(journal) as opened:
            unfinished.note(opened, {"second": 2})

    with unfinished.open_journal(journal) as opened:
        waiting = threading.Thread(target=add)
        waiting.start()
        unfinished.note(opened, {"first": 1})
        assert waiting.is_alive()
    waiting.join(10)
    assert journal.read_text() == '{"first": 1}\n{"second": 2}\n'


@pytest.mark.parametrize("change", [lambda file: file.write_text("x"), lambda file: file.unlink()])
def test_a_source_that_changes_while_shards_are_made_is_named(tmp_path, monkeypatch, change):
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text("to be or not to be")
    made = processes.make_portion

    def changing(job, portion, tokenizer):
        made(job, portion, tokenizer)
        change(tmp_path / "a.txt")

    monkeypatch.setattr(processes, "make_portion", changing)
    with pytest.raises(DataError, match=r"a.txt: has changed while shards were made of it; type overwrite=True once"):
        shards.make_shards(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out" / "manifest.json").exists()
    monkeypatch.undo()
    assert shards.make_shards(tmp_path, tmp_path / "out", overwrite=True).rows == len(list(tmp_path.glob("*.txt")))


def test_what_is_made_already_is_not_made_again(tmp_path, monkeypatch):
    file = write_lines(tmp_path / "a.jsonl", 50)
    first = shards.make_shards(file, tmp_path / "out")
    monkeypatch.setattr(processes, "run", None)
    assert shards.make_shards(file, tmp_path / "out").shards == first.shards
    with pytest.raises(DataError, match="other settings; take another folder, or type overwrite=True"):
        shards.make_shards(file, tmp_path / "out", level=3)
    monkeypatch.undo()
    (tmp_path / "out" / "notes.md").write_text("mine")
    again = shards.make_shards(file, tmp_path / "out", level=3, tokens="char", overwrite=True)
    assert again.kind == "tokens"
    assert (tmp_path / "out" / "notes.md").exists()


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    file = write_lines(tmp_path / "a.jsonl", 5)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("x")
    for overwrite in (False, True):
        with pytest.raises(DataError, match="is not empty, and holds no shards"):
            shards.make_shards(file, tmp_path / "out", overwrite=overwrite)
    assert (tmp_path / "out" / "mine.txt").read_text() == "x"


def test_the_folder_of_the_shards_may_lie_in_that_of_the_source(tmp_path):
    (tmp_path / "a.txt").write_text("abc")
    made = shards.make_shards(tmp_path, tmp_path / "out")
    assert shards.make_shards(tmp_path, tmp_path / "out") == made


def test_a_full_disk_leaves_what_was_made(tmp_path, monkeypatch):
    file = write_lines(tmp_path / "a.jsonl", 300)
    digest = making.hashlib.file_digest
    count = []

    def full(*arguments):
        count.append(1)
        if len(count) == 3:
            raise OSError(28, "No space left on device")
        return digest(*arguments)

    monkeypatch.setattr("hashlib.file_digest", full)
    with pytest.raises(OSError, match="No space"):
        shards.make_shards(file, tmp_path / "out", shard_bytes=2048)
    assert len(list((tmp_path / "out").glob("shard-*.parquet"))) == 2
    shards.make_shards(file, tmp_path / "out", shard_bytes=2048)
    assert whole_texts(tmp_path / "out") == lines(300)
