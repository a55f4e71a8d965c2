"""Archives of public data sets, whose files are checked whatever the packing is."""

import gzip
import hashlib
import io
import subprocess
import tarfile

import pytest

from rnnkit.data.public_archives import PublicArchive, digest_of_files, find_members, holds
from rnnkit.errors import DataError, DownloadError

FILES = {"0_ann_0.wav": b"sound of zero", "0_ann_10.wav": b"ten", "7_bob_1.wav": b"seven" * 100}


def packed(files, root="digits-26eb/", *, order=sorted, level=9, time=0):
    """An archive as a host makes it: a folder around all, other files beside."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, content in [*((f"recordings/{name}", files[name]) for name in order(files)), ("README.md", b"read")]:
            member = tarfile.TarInfo(root + name)
            member.size, member.mtime = len(content), time
            archive.addfile(member, io.BytesIO(content))
    return gzip.compress(made.getvalue(), level, mtime=time)


def digest(files):
    return digest_of_files({name: hashlib.sha256(content).hexdigest() for name, content in files.items()})


@pytest.fixture
def source(new_mirror, monkeypatch, tmp_path):
    monkeypatch.setenv("RNNKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("RNNKIT_DATA", raising=False)
    mirror = new_mirror({})
    mirror.answers["a.tar.gz"] = packed(FILES)
    size = sum(map(len, FILES.values()))
    address = f"{mirror.url}a.tar.gz"
    return mirror, PublicArchive("toy", "toy.tar.gz", address, "recordings", ".wav", 3, size, digest(FILES), "CC0")


def test_files_are_downloaded_once_and_mended(source, tmp_path):
    mirror, files = source
    folder = find_members("digits", files)
    assert folder.parent == tmp_path / "cache" / "toy"
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == FILES
    assert find_members("digits", files) == folder
    assert mirror.asked == ["a.tar.gz"]
    (folder / "7_bob_1.wav").write_bytes(b"SEVEN" * 100)
    assert find_members("digits", files) == folder
    assert holds(folder, files)
    assert len(mirror.asked) == 2
    assert [one.name for one in folder.parent.iterdir()] == [folder.name]


def test_the_packing_does_not_matter(source, tmp_path):
    mirror, files = source
    mirror.answers["a.tar.gz"] = packed(
        FILES, "other/", order=lambda names: sorted(names, reverse=True), level=1, time=9
    )
    assert holds(find_members("digits", files), files)


def test_the_digest_is_that_of_sha256sum(tmp_path):
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    command = "sha256sum * | sha256sum"
    told = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, env={"LC_ALL": "C"}, text=True)
    if told.returncode or not told.stdout:
        pytest.skip("sha256sum is not there")
    assert told.stdout.split()[0] == digest(FILES)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (packed({**FILES, "0_ann_0.wav": b"SOUND OF ZERO"}), "3 files arrived whose digest is"),
        (packed({name: FILES[name] for name in list(FILES)[:2]}), "2 files arrived whose digest is"),
        (packed({**FILES, "9_eve_0.wav": b"more"}), "more or other files arrived; expected 3 .wav files, 516 bytes"),
        (packed({**FILES, "9_eve_0.wav": b""}), "4 files arrived whose digest is"),
        (packed(FILES)[:120], "not the whole archive"),
        (b"<html>no</html>", "not the whole archive"),
    ],
)
def test_what_is_not_these_files_is_refused_and_leaves_nothing(source, tmp_path, body, said):
    mirror, files = source
    mirror.answers["a.tar.gz"] = body
    with pytest.raises(DownloadError) as error:
        find_members("digits", files)
    first, attempt, last = str(error.value).splitlines()
    assert first == "digits (CC0) could not be fetched:"
    assert said in attempt
    assert last == ("Put the archive as toy.tar.gz, or its folder recordings, into the folder toy of RNNKIT_DATA")
    assert list((tmp_path / "cache" / "toy").iterdir()) == []


def test_names_that_lead_out_of_the_folder_stay_in_it(source, tmp_path):
    mirror, files = source
    mirror.answers["a.tar.gz"] = packed(FILES, "../../")
    folder = find_members("digits", files)
    assert {file.name for file in folder.iterdir()} == set(FILES)
    assert [one.name for one in tmp_path.iterdir()] == ["cache"]


def test_the_users_folder_comes_first_and_is_checked(source, monkeypatch, tmp_path):
    mirror, files = source
    own = tmp_path / "own" / "toy"
    own.mkdir(parents=True)
    monkeypatch.setenv("RNNKIT_DATA", str(tmp_path / "own"))
    (own / "toy.tar.gz").write_bytes(packed(FILES, "", level=1))
    assert find_members("digits", files).parent == tmp_path / "cache" / "toy"
    (own / "recordings").mkdir()
    with pytest.raises(DataError, match="recordings is altered: expected 3 .wav files, 516 bytes"):
        find_members("digits", files)
    for name, content in FILES.items():
        (own / "recordings" / name).write_bytes(content)
    assert find_members("digits", files) == own / "recordings"
    assert mirror.asked == []


def test_a_damaged_archive_of_the_user_is_named(source, monkeypatch, tmp_path):
    _, files = source
    (tmp_path / "own" / "toy").mkdir(parents=True)
    monkeypatch.setenv("RNNKIT_DATA", str(tmp_path / "own"))
    for body, said in ((packed({"0_ann_0.wav": b"x"}), "is altered: 1 files"), (packed(FILES)[:99], "copy it again")):
        (tmp_path / "own" / "toy" / "toy.tar.gz").write_bytes(body)
        with pytest.raises(DataError, match=said):
            find_members("digits", files)


def test_a_server_without_the_archive_is_named(source):
    mirror, files = source
    del mirror.answers["a.tar.gz"]
    with pytest.raises(DownloadError, match="the server answered 404 Not Found"):
        find_members("digits", files)
