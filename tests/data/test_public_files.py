"""Files of public data sets: where they are looked for, and what is said where they are not."""

import hashlib

import pytest

from rnnkit.data import find_corpus
from rnnkit.data.download import File
from rnnkit.data.public_files import PublicFiles, find_files
from rnnkit.data.text import corpora
from rnnkit.errors import DataError, DownloadError

BODY = b"ds,y\n2024-01-01,1\n"
FILE = File("load.csv", len(BODY), hashlib.sha256(BODY).hexdigest())


@pytest.fixture
def source(new_mirror, monkeypatch, tmp_path):
    """A data set on a mirror that has the file under another name, without a copy on disk."""
    monkeypatch.setenv("RNNKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("RNNKIT_DATA", raising=False)
    mirror = new_mirror({})
    mirror.answers["data/raw.csv"] = BODY
    return mirror, PublicFiles("energy", mirror.url, (FILE,), {"load.csv": "data/raw.csv"}, "hourly load")


def test_a_file_is_downloaded_once(source, tmp_path):
    mirror, files = source
    expected = tmp_path / "cache" / "energy" / "load.csv"
    assert find_files("load", files) == find_files("load", files) == [expected]
    assert expected.read_bytes() == BODY
    assert mirror.asked == ["data/raw.csv"]
    expected.write_bytes(b"altered")
    assert find_files("load", files) == [expected]
    assert expected.read_bytes() == BODY


def test_the_users_folder_comes_first_and_is_checked(source, monkeypatch, tmp_path):
    mirror, files = source
    own = tmp_path / "own" / "energy"
    own.mkdir(parents=True)
    (own / "load.csv").write_bytes(BODY)
    monkeypatch.setenv("RNNKIT_DATA", str(tmp_path / "own"))
    assert find_files("load", files) == [own / "load.csv"]
    (own / "load.csv").write_bytes(BODY + b"x")
    with pytest.raises(DataError, match=f"load.csv is altered: its SHA-256 is not {FILE.sha256}"):
        find_files("load", files)
    assert mirror.asked == []


def test_what_cannot_be_had_is_said_with_the_folders(source, tmp_path):
    mirror, files = source
    mirror.answers["data/raw.csv"] = BODY[:-1] + b"x"
    with pytest.raises(DownloadError) as error:
        find_files("load", files)
    first, attempt, last = str(error.value).splitlines()
    assert first == "load (hourly load) could not be fetched:"
    assert attempt.startswith(f"{mirror.url}data/raw.csv: altered: SHA-256")
    assert last == f"Put load.csv into {tmp_path / 'cache' / 'energy'}, or into the folder energy of RNNKIT_DATA"


def test_a_corpus_is_found_the_same_way(source, monkeypatch, tmp_path):
    monkeypatch.setitem(corpora.CORPORA, "tang", source[1])
    assert find_corpus("tang") == [tmp_path / "cache" / "energy" / "load.csv"]
