"""Two hosts on one machine: network namespaces, each with an end of a cable; for root on Linux with iproute2."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FIRST = "10.213.77.1"


def why_not() -> str | None:
    """Return why there can be no hosts here, None where there can."""
    if shutil.which("ip") is None:
        return "there is no program ip (iproute2)"
    name = f"rnnkit-probe-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    if made.returncode:
        return f"network namespaces need rights that are missing here: {made.stderr.strip()}"
    link = ["ip", "-n", name, "link", "add", "cable-a", "type", "veth", "peer", "name", "cable-b"]
    cable = subprocess.run(link, capture_output=True, text=True)
    subprocess.run(["ip", "netns", "del", name], check=False)
    return None if not cable.returncode else f"no veth cable can be made here: {cable.stderr.strip()}"


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


@contextmanager
def two_hosts() -> Iterator[list[str]]:
    """Make two hosts, joined by a cable, for the length of a block; yield their names."""
    names = [f"rnnkit-{os.getpid()}-{end}" for end in "ab"]
    try:
        for name in names:
            _ip("netns", "add", name)
            _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", names[0], "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", names[1])
        for number, name in enumerate(names, 1):
            _ip("-n", name, "addr", "add", f"10.213.77.{number}/24", "dev", "cable")
            _ip("-n", name, "link", "set", "cable", "up")
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False)


def cut(name: str) -> None:
    """Pull the cable out of a host."""
    _ip("-n", name, "link", "set", "cable", "down")


def plug(name: str) -> None:
    """Put it back."""
    _ip("-n", name, "link", "set", "cable", "up")


def torchrun(host: str, number: int, words: list[str], out: Path, *, restarts: int = 3, **environment: str):
    """Start torchrun on a host, one process there, joined by rendezvous at the first host."""
    command = [
        "ip", "netns", "exec", host, sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1",
        "--rdzv-backend=c10d", f"--rdzv-endpoint={FIRST}:29517", "--rdzv-id=hosts", f"--max-restarts={restarts}",
        f"--rdzv-conf=is_host={1 - number},join_timeout=60,keep_alive_interval=1,keep_alive_max_attempt=20",
        f"--local-addr=10.213.77.{number + 1}", "--monitor-interval=0.2", "-m", *words,
    ]  # fmt: skip
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "cable", "OMP_NUM_THREADS": "1", **environment}
    return subprocess.Popen(command, stdout=out.open("w"), stderr=subprocess.STDOUT, env=environment)


def cut_and_come_back(folder: Path, seconds: float = 15.0, waiting: float = 6.0) -> tuple[list[int], str]:
    """Train over two hosts, and pull the cable for some seconds in mid-run.

    Args:
        folder: for the run and what the hosts print.
        seconds: without the cable; longer than processes wait for each other.
        waiting: what these wait.

    Returns:
        How torchrun ended on each host, and what the first one printed.
    """
    words = ["rnnkit", "train", "adding", "--out", str(folder / "run"), "--epochs", "8", "--device", "cpu"]
    for one in ("data.steps=30", "data.rows=1500", "model.hidden_size=8", "fit.batch_size=16"):
        words += ["--set", one]
    path = os.pathsep.join([str(Path(__file__).parents[1] / "src"), *sys.path])
    with two_hosts() as names:
        started = [
            torchrun(name, number, words, folder / f"{number}.txt", RNNKIT_TIMEOUT=str(waiting), PYTHONPATH=path)
            for number, name in enumerate(names)
        ]
        try:
            while "epoch 2/" not in (folder / "0.txt").read_text() and started[0].poll() is None:
                time.sleep(0.2)
            cut(names[1])
            time.sleep(seconds)
            plug(names[1])
            codes = [one.wait(600) for one in started]
        finally:
            for one in started:
                one.kill()
    return codes, (folder / "0.txt").read_text()


if __name__ == "__main__":
    reason = why_not()
    if reason is not None:
        sys.exit(f"cannot run: {reason}")
    with tempfile.TemporaryDirectory() as place:
        ended, text = cut_and_come_back(Path(place))
    print(text)
    sys.exit(0 if ended == [0, 0] and "Going on" in text else 1)
