"""Token files: made once for the same content, whole or not at all, in constant memory."""

import os
import time
import tracemalloc

import numpy as np
import pytest

from rnnkit.data import TokenBatches, late_progress, read_texts, tokenize, train_tokenizer
from rnnkit.data.text import decoding, token_files
from rnnkit.errors import ConfigError, DataError

KINDS = ("byte", "char", "word", "bpe", "unigram")


@pytest.mark.parametrize("kind", KINDS)
def test_pieces_have_the_tokens_of_the_whole(tmp_path, monkeypatch, kind):
    if kind in ("bpe", "unigram"):
        pytest.importorskip("tokenizers")
    text = "The dog, well-known, barks.\n\nDer Hund bellt – größer.\n  a\n我有一本书。\n" * 30
    (tmp_path / "a.txt").write_text(text, "utf-8")
    tokenizer = train_tokenizer(kind, None if kind == "byte" else [text])
    monkeypatch.setattr(decoding, "PIECE", 100)
    monkeypatch.setattr(token_files, "_AT_ONCE", 250)
    tokens = tokenize(tmp_path / "a.txt", tokenizer, cache=tmp_path / "cache")
    assert tokens[:].tolist() == [*tokenizer.encode(text), tokenizer.end]
    assert tokens.tokens.dtype == np.uint16
    assert len(list(TokenBatches(tokens, 2, 50))) > 1


def test_texts_are_separated(tmp_path):
    tokenizer = train_tokenizer("char", ["ab"])
    a, b, end = 4, 5, tokenizer.end
    assert tokenize(["ab", "", "b"], tokenizer, cache=tmp_path)[:].tolist() == [a, b, end, end, b, end]
    assert tokenize(["ab", "b"], tokenizer, cache=tmp_path, separators=False)[:].tolist() == [a, b, b]
    (tmp_path / "lines.txt").write_text("a\n\nb\n")
    lines = read_texts(tmp_path / "lines.txt", unit="line")
    assert tokenize(lines, tokenizer, cache=tmp_path)[:].tolist() == [a, end, b, end]


def test_the_same_texts_and_tokenizer_are_written_once(tmp_path, monkeypatch):
    file, cache = tmp_path / "a.txt", tmp_path / "cache"
    file.write_text("ab" * 50)
    tokenizer = train_tokenizer("char", ["ab"])
    first = tokenize(file, tokenizer, cache=cache)
    written = []
    write = token_files._write
    monkeypatch.setattr(token_files, "_write", lambda *a, **k: written.append(1) or write(*a, **k))
    assert tokenize(file, tokenizer, cache=cache).source == first.source
    file.rename(tmp_path / "b.txt")
    assert tokenize(tmp_path / "b.txt", tokenizer, cache=cache).source == first.source
    assert written == []
    (tmp_path / "b.txt").write_text("ab" * 49 + "ba")
    other = tokenize(tmp_path / "b.txt", tokenizer, cache=cache)
    tokenize(tmp_path / "b.txt", train_tokenizer("char", ["abc"]), cache=cache)
    tokenize(tmp_path / "b.txt", tokenizer, cache=cache, separators=False)
    assert other.source != first.source
    assert len(written) == 3
    assert len(list(cache.iterdir())) == 4


def test_texts_that_pass_once_have_a_name_by_their_ids(tmp_path):
    tokenizer = train_tokenizer("char", ["ab"])
    first = tokenize((text for text in ["ab", "b"]), tokenizer, cache=tmp_path)
    second = tokenize(iter(["ab", "b"]), tokenizer, cache=tmp_path)
    assert first.source == second.source
    assert first[:].tolist() == [4, 5, 3, 5, 3]
    assert [item.name for item in tmp_path.iterdir()] == [os.path.basename(first.source)]


def test_a_failed_or_damaged_file_is_not_taken_for_whole(tmp_path):
    file, cache = tmp_path / "a.txt", tmp_path / "cache"
    tokenizer = train_tokenizer("char", ["ab"])
    file.write_bytes(b"ab" * 500_000 + b"\xff")
    with pytest.raises(DataError, match="a.txt:1: byte 0xff is not UTF-8"):
        tokenize(file, tokenizer, cache=cache)
    assert list(cache.iterdir()) == []
    file.write_text("ab" * 500)
    tokens = tokenize(file, tokenizer, cache=cache)
    whole = tokens[:].tolist()
    path = cache / os.path.basename(tokens.source)
    path.write_bytes(path.read_bytes()[:300])
    assert tokenize(file, tokenizer, cache=cache)[:].tolist() == whole


def test_what_a_killed_process_left_is_removed(tmp_path):
    old, new = tmp_path / ".abc.npy.12345678", tmp_path / ".abd.npy.12345678"
    for folder in (old, new):
        folder.mkdir()
        (folder / "abc.npy").write_bytes(b"part")
    past = time.time() - 10_000
    for path in (old / "abc.npy", old):
        os.utime(path, (past, past))
    tokenize(["ab"], train_tokenizer("char", ["ab"]), cache=tmp_path)
    assert not old.exists()
    assert new.exists()


def test_odd_inputs(tmp_path):
    tokenizer = train_tokenizer("char", ["ab"])
    with pytest.raises(DataError, match="the texts hold no token; expected at least one"):
        tokenize([], tokenizer, cache=tmp_path)
    with pytest.raises(DataError, match="the texts hold no token"):
        tokenize(["", ""], tokenizer, cache=tmp_path, separators=False)
    with pytest.raises(DataError, match="text 2: a float arrived; expected a text"):
        tokenize(["a", 0.5], tokenizer, cache=tmp_path)
    with pytest.raises(ConfigError, match="tokenizer is a str; expected a tokenizer: train_tokenizer"):
        tokenize(["a"], "char", cache=tmp_path)
    assert list(tmp_path.iterdir()) == []
    tokenizer.end = None
    with pytest.raises(ConfigError, match="has no token that ends a text; type separators=False"):
        tokenize(["a"], tokenizer, cache=tmp_path)


def test_the_default_folder_is_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RNNKIT_CACHE", str(tmp_path))
    tokens = tokenize(["ab"], train_tokenizer("byte"))
    assert tokens.source.startswith(str(tmp_path / "tokens"))


def test_progress_is_told_once_it_takes_long(tmp_path, monkeypatch, capsys):
    tokenizer = train_tokenizer("char", ["ab"])
    tokenize(["ab"], tokenizer, cache=tmp_path)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(late_progress, "_SECONDS", -1)
    tokenize(["ba"], tokenizer, cache=tmp_path)
    assert capsys.readouterr().err == "tokenizing the texts\n"


@pytest.mark.parametrize("kind", KINDS)
def test_memory_does_not_grow_with_the_texts(tmp_path, monkeypatch, kind):
    if kind in ("bpe", "unigram"):
        pytest.importorskip("tokenizers")
    line = "some words of a line, größer 中文\n"
    tokenizer = train_tokenizer(kind, None if kind == "byte" else [line * 5], size=None if kind != "bpe" else 300)
    peaks = []
    monkeypatch.setattr(decoding, "CHUNK", 1 << 14)
    monkeypatch.setattr(decoding, "PIECE", 1 << 12)
    monkeypatch.setattr(token_files, "_AT_ONCE", 1 << 14)
    small = (5_000, 20_000) if kind in ("word", "bpe", "unigram") else (30_000, 150_000)
    for times in small:
        (tmp_path / "a.txt").write_text(line * times, "utf-8")
        tracemalloc.start()
        try:
            tokens = tokenize(tmp_path / "a.txt", tokenizer, cache=tmp_path / "cache")
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
        assert len(tokens) == times * len(tokenizer.encode(line)) + 1
    assert peaks[1] < 1.2 * peaks[0] + 200_000
