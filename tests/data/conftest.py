"""A mirror on loopback whose files behave well or badly, and an environment without the user's settings."""

from __future__ import annotations

import gzip
import os
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

Answer = Callable[[BaseHTTPRequestHandler], None]


class Mirror(ThreadingHTTPServer):
    """Serves `answers`, by path: a body, or a function that takes over the request."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/"
        self.answers: dict[str, bytes | Answer] = {}
        self.asked: list[str] = []
        self.closing = threading.Event()

    def hang(self, _request: BaseHTTPRequestHandler) -> None:
        """An answer that never begins."""
        self.closing.wait()

    def stall(self, request: BaseHTTPRequestHandler) -> None:
        """An answer that stops in the middle."""
        send(request, gzip.compress(bytes(100))[:15], length=1000)
        self.closing.wait()


def send(request: BaseHTTPRequestHandler, body: bytes, length: int) -> None:
    request.send_response(200)
    request.send_header("Content-Length", str(length))
    request.end_headers()
    request.wfile.write(body)
    request.wfile.flush()


class _Handler(BaseHTTPRequestHandler):
    server: Mirror

    def do_GET(self) -> None:
        name = self.path.lstrip("/")
        self.server.asked.append(name)
        answer = self.server.answers.get(name)
        if answer is None:
            self.send_error(404)
        elif callable(answer):
            answer(self)
        else:
            send(self, answer, len(answer))

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def new_mirror() -> Iterator[Callable[[dict[str, bytes]], Mirror]]:
    """A function that starts a mirror serving the given files gzipped."""
    mirrors = []

    def start(files: dict[str, bytes]) -> Mirror:
        mirror = Mirror()
        mirror.answers.update({f"{name}.gz": gzip.compress(data) for name, data in files.items()})
        threading.Thread(target=mirror.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        mirrors.append(mirror)
        return mirror

    yield start
    for mirror in mirrors:
        mirror.closing.set()
        mirror.shutdown()
        mirror.server_close()


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy between us and loopback, no package index for pip."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.delenv("PIP_CONSTRAINT", raising=False)


@pytest.fixture
def offer_wheel(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A function that lets pip find the wheel ``digits-hub==1.0`` with the given members."""

    def offer(members: dict[str, bytes]) -> None:
        folder = tmp_path_factory.mktemp("wheels")
        info = "digits_hub-1.0.dist-info"
        with zipfile.ZipFile(folder / "digits_hub-1.0-py3-none-any.whl", "w") as wheel:
            for name, data in members.items():
                wheel.writestr(name, data)
            wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: digits-hub\nVersion: 1.0\n")
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")
        monkeypatch.setenv("PIP_FIND_LINKS", str(folder))

    return offer
