"""Shards on other machines: fsspec's memory, and a web server that fails, stalls and sends too little."""

import threading
import time
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from shard_folders import token_shards

from rnnkit.data import shards
from rnnkit.data.shards.addresses import Storage
from rnnkit.errors import ConfigError, DataError, DataWarning

QUICK = shards.Retry(attempts=4, wait=0.01, timeout=1.0)


class Faulty(SimpleHTTPRequestHandler):
    """Serves a folder with ranges; what `faults` lists happens to the next answers, one each."""

    faults: list
    asked: list
    ranges = True

    def log_message(self, *arguments):
        pass

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, body):
        self.asked.append(self.path)
        fault = self.faults.pop(0) if self.faults and body else None
        if fault == "refuse":
            self.send_error(503)
            return
        if fault == "stall":
            time.sleep(2.0)
            return
        try:
            content = Path(self.translate_path(self.path)).read_bytes()
        except OSError:
            self.send_error(404)
            return
        wanted = self.headers.get("Range")
        if wanted and self.ranges:
            begin, end = wanted.removeprefix("bytes=").split("-")
            part = content[int(begin) : int(end) + 1 if end else None]
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {begin}-{int(begin) + len(part) - 1}/{len(content)}")
        else:
            part = content
            self.send_response(200)
        sent = part[: len(part) // 2] if fault in ("cut", "short") else part
        self.send_header("Content-Length", str(len(sent if fault == "short" else part)))
        self.end_headers()
        if body:
            self.wfile.write(sent)
        if fault == "cut":
            self.close_connection = True


@contextmanager
def served(folder, *faults, ranges=True):
    handler = type("Handler", (Faulty,), {"faults": list(faults), "asked": [], "ranges": ranges})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", handler
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    pytest.importorskip("aiohttp")
    return token_shards(tmp_path_factory.mktemp("remote"), texts=200)


def inputs(found):
    return [batch.inputs for batch in found.batches(4, window=50, shuffle=True)]


@pytest.mark.parametrize(
    "faults",
    [(), ("refuse", "refuse"), ("stall",), ("cut",), ("short",), (None, "short", None, "cut", "refuse", None, "cut")],
)
def test_a_server_that_fails_for_a_while_changes_nothing(local, faults):
    with served(local.storage.address, *faults) as (address, handler):
        found = shards.ShardSet.open(address, retry=QUICK)
        assert found.tokenizer() == local.tokenizer()
        assert all(map(torch.equal, inputs(found), inputs(local)))
        assert not handler.faults


def test_a_server_without_ranges_serves_too(local):
    with served(local.storage.address, ranges=False) as (address, _):
        assert all(map(torch.equal, inputs(shards.ShardSet.open(address, retry=QUICK)), inputs(local)))


@pytest.mark.parametrize(
    ("fault", "said"), [("refuse", "503"), ("stall", "no answer within 0.3 s"), ("short", "bytes arrived; expected")]
)
def test_a_server_that_fails_for_good_is_a_clear_error(local, fault, said):
    retry = shards.Retry(attempts=2, wait=0.01, timeout=0.3 if fault == "stall" else 5.0)
    with served(local.storage.address) as (address, handler):
        found = shards.ShardSet.open(address, retry=retry)
        handler.faults[:] = [fault] * 50
        with pytest.raises(
            DataError, match=rf"shard-0000\d.parquet: could not be read in 2 attempts; .*{said}"
        ) as error:
            list(found.batches(4, window=50))
        assert error.value.place.source.startswith(address)


def test_a_shard_that_is_gone_is_refused_at_once_or_skipped(local, tmp_path):
    import shutil

    shutil.copytree(local.storage.address, tmp_path / "copy")
    name = local.manifest.shards[1].name
    (tmp_path / "copy" / name).unlink()
    with served(tmp_path / "copy") as (address, handler):
        with pytest.raises(DataError, match=f"{name}: there is no such file"):
            list(shards.ShardSet.open(address, retry=QUICK).batches(4, window=50))
        assert handler.asked.count(f"/{name}") == 1
        found = shards.ShardSet.open(address, retry=QUICK, damaged="skip")
        with pytest.warns(DataWarning, match=f"{name}: is skipped: it is missing"):
            list(found.batches(4, window=50))
        assert [one.name for one in shards.verify_shards(address, retry=QUICK)] == [name]


def test_an_address_without_a_manifest_needs_one_file(local):
    with served(local.storage.address) as (address, _):
        with pytest.raises(DataError, match=r"has no manifest.json, and a web server lists no files"):
            shards.ShardSet.open(f"{address}/nowhere", retry=QUICK)
        one = shards.ShardSet.open(f"{address}/{local.manifest.shards[0].name}", retry=QUICK)
        assert len(one) == local.manifest.shards[0].tokens
        with pytest.raises(DataError, match=r"nowhere.parquet: there is no such file"):
            shards.ShardSet.open(f"{address}/nowhere.parquet", retry=QUICK)


@pytest.mark.parametrize("name", ["", "/a.parquet"])
def test_nobody_answers(name):
    with pytest.raises(DataError, match="could not be read in 2 attempts"):
        shards.ShardSet.open(f"http://127.0.0.1:9{name}", retry=shards.Retry(attempts=2, wait=0.01))


def test_memory_is_a_place_like_any_other(local):
    import fsspec

    system = fsspec.filesystem("memory")
    for one in [*(shard.name for shard in local.manifest.shards), "manifest.json", "tokenizer.json"]:
        system.pipe(f"/set/{one}", local.storage.read(one))
    found = shards.ShardSet.open("memory://set")
    assert all(map(torch.equal, inputs(found), inputs(local)))
    assert shards.verify_shards("memory://set") == []
    system.pipe("/set/shard-00001.parquet", b"PAR1")
    assert [one.name for one in shards.verify_shards("memory://set")] == ["shard-00001.parquet"]
    system.rm("/set/manifest.json")
    system.pipe("/set/shard-00001.parquet", local.storage.read("shard-00001.parquet"))
    others = shards.ShardSet.open("memory://set")
    assert len(others) == len(local)
    with pytest.raises(DataError, match="there is no such folder"):
        shards.ShardSet.open("memory://nothing")
    system.rm("/set", recursive=True)


def test_addresses_that_nothing_opens(tmp_path):
    with pytest.raises(DataError, match="no file system opens it"):
        shards.ShardSet.open("nosuch://a/b")
    with pytest.raises(ConfigError, match="attempts=0"):
        shards.Retry(attempts=0)
    with pytest.raises(DataError, match="shards are made of files of this machine"):
        shards.make_shards("http://127.0.0.1/a.txt", tmp_path / "out")
    with pytest.raises(ConfigError, match="expected a folder of this machine"):
        shards.make_shards(tmp_path, "memory://out")


def test_pauses_double_up_to_the_longest(monkeypatch):
    pauses = []
    monkeypatch.setattr("time.sleep", pauses.append)

    def fail():
        raise OSError("no")

    with pytest.raises(DataError, match="in 5 attempts"):
        shards.Retry(attempts=5, wait=1.0, longest=3.0).call(fail, "x")
    assert [int(min(pause, 3)) for pause in pauses] == [1, 2, 3, 3] or len(pauses) == 4
    assert all(low <= pause <= 1.5 * low for low, pause in zip([1, 2, 3, 3], pauses, strict=True))
    assert Storage("memory://x").local is False
