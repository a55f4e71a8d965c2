"""The user's folder of token files: its limit, what is removed from it, and what stays."""

import math
import os

import pytest
from commands import call

from rnnkit.data import tokenize, train_tokenizer
from rnnkit.data.text.token_cache import token_cache_limit, token_files, token_folder
from rnnkit.errors import ConfigError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RNNKIT_CACHE", str(tmp_path))
    monkeypatch.delenv("RNNKIT_TOKEN_CACHE", raising=False)


def made(tokenizer, letters, age=None):
    """The file of a text of so many tokens and its end; ``age`` is how many seconds ago it was used."""
    file = tokenize(["a" * letters], tokenizer).source
    if age is not None:
        then = os.stat(file).st_mtime - age
        os.utime(file, (then, then))
    return file


def test_the_oldest_use_is_removed_first(monkeypatch):
    tokenizer = train_tokenizer("char", ["ab"])
    old, newer, newest = made(tokenizer, 1000, 300), made(tokenizer, 1001, 200), made(tokenizer, 1002, 100)
    assert [str(file) for file, _, _ in token_files(token_folder())] == [old, newer, newest]
    assert made(tokenizer, 1000) == old  # used again
    monkeypatch.setenv("RNNKIT_TOKEN_CACHE", "8.5KB")  # room for four of about 2.1 KB less some bytes
    added = made(tokenizer, 1003)
    assert {str(file) for file, _, _ in token_files(token_folder())} == {old, newest, added}


def test_what_was_added_stays_and_what_is_mapped_is_still_read(monkeypatch):
    tokenizer = train_tokenizer("char", ["ab"])
    before = tokenize(["abba"], tokenizer)
    monkeypatch.setenv("RNNKIT_TOKEN_CACHE", "0")
    after = tokenize(["baab"], tokenizer)
    assert [str(file) for file, _, _ in token_files(token_folder())] == [after.source]
    assert tokenizer.decode(before[:4]) == "abba"
    assert tokenizer.decode(after[:4]) == "baab"


def test_a_folder_of_the_users_is_left_alone(tmp_path, monkeypatch):
    tokenizer = train_tokenizer("char", ["ab"])
    monkeypatch.setenv("RNNKIT_TOKEN_CACHE", "0")
    for text in ("a", "b"):
        tokenize([text], tokenizer, cache=tmp_path / "own")
    assert len(token_files(tmp_path / "own")) == 2


@pytest.mark.parametrize(
    ("given", "limit"),
    [("", 20e9), ("none", math.inf), ("5 gb", 5e9), ("500MB", 5e8), ("1.5T", 1.5e12), ("12", 12), ("2GiB", 2e9)],
)
def test_sizes(monkeypatch, given, limit):
    monkeypatch.setenv("RNNKIT_TOKEN_CACHE", given)
    assert token_cache_limit() == limit


@pytest.mark.parametrize("given", ["much", "-1GB", "5 XB", "GB"])
def test_what_is_no_size_is_refused_before_anything_is_written(monkeypatch, given):
    monkeypatch.setenv("RNNKIT_TOKEN_CACHE", given)
    with pytest.raises(ConfigError, match=f"RNNKIT_TOKEN_CACHE={given} arrived; expected a size such as 50GB"):
        tokenize(["ab"], train_tokenizer("char", ["ab"]))
    assert not token_folder().exists()


def test_doctor_tells_the_size(monkeypatch):
    tokenizer = train_tokenizer("char", ["ab"])
    tokenize(["a" * 500_000], tokenizer)
    assert (
        "token files  1 of 0.001 GB together; at most 20 GB, the oldest use is removed first" in call("doctor").stdout
    )
    monkeypatch.setenv("RNNKIT_TOKEN_CACHE", "much")
    result = call("doctor")
    assert result.exit_code == 0
    assert "RNNKIT_TOKEN_CACHE=much arrived; expected a size" in result.stdout
