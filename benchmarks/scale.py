"""What a step costs in P processes: a model of it, held against one and two processes here, then carried further.

    python -m benchmarks.scale             # measures one and two processes here in turn, and predicts the second
    python -m benchmarks.scale --project   # 1,000 GPUs and a trillion tokens, without measuring

Legend: N parameters, B rows a process, T steps of a window, P processes, C seconds of computing a step, L seconds of
latency a message, W bytes a second between neighbours, S bytes of gradients (4 N, or 2 N as fp16).

    step(P) = C · c(P) + 2 (P − 1) / P · S / W + m(P) · L

Each step waits for the slower process. Where other work on the host slows now one processor, now another, that costs
more than the exchange. The figure of undisturbed steps leaves it out: of the step that a tenth of all steps undercut.

c(P) is how much slower processes compute beside each other (they share caches and memory), m(P) the messages that
follow one another: 1 where two processes swap, 2 log2 P where many use a tree. Nothing overlaps: gradients of a
recurrent layer are known at the end of its backward pass, all at once.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from operator import truediv
from pathlib import Path
from statistics import mean, median
from time import perf_counter, process_time
from typing import Any

STEPS, SKIPPED = 24, 6
UNDISTURBED = 10  # one step of so many is taken for undisturbed
SIZES = (1, 1 << 20)  # numbers of the messages that latency and bandwidth are measured by
LOADS = ("language", "digits")


# --- the model


def step_seconds(compute: float, size: float, processes: int, latency: float, bandwidth: float, beside: float = 1.0):
    """Return step(P); see the top of the file."""
    if processes == 1:
        return compute
    messages = 1 if processes == 2 else 2 * math.log2(processes)
    return compute * beside + 2 * (processes - 1) / processes * size / bandwidth + messages * latency


@dataclass(frozen=True)
class Cluster:
    """GPUs and what joins them; every number can be given on the command line.

    Attributes:
        gpus: P.
        flops: of one, in the precision of the products.
        used: the share of them that a recurrent network reaches: its steps follow one another, and each is small.
        bandwidth: bytes a second and GPU between hosts.
        latency: seconds a message.
        disk: bytes a second that a checkpoint is written with.
        hours_to_failure: of one GPU with its part of the host, on average.
        restart: seconds from a failure to the next step.
    """

    gpus: int = 1000
    flops: float = 4e14
    used: float = 0.15
    bandwidth: float = 2.5e10
    latency: float = 2e-5
    disk: float = 1e9
    hours_to_failure: float = 50_000
    restart: float = 120


@dataclass(frozen=True)
class Network:
    """A language model: layers of an LSTM, and a tied embedding.

    Attributes:
        layers, hidden: of the LSTM.
        vocabulary: tokens that are told apart.
        rows, window: B and T of a process.
        bytes_a_token: in the shards.
    """

    layers: int = 4
    hidden: int = 4096
    vocabulary: int = 32_000
    rows: int = 64
    window: int = 256
    bytes_a_token: float = 1.3

    @property
    def parameters(self) -> int:
        """N."""
        return self.layers * 8 * self.hidden**2 + self.vocabulary * self.hidden


def project(cluster: Cluster, network: Network, tokens: float = 1e12) -> dict[str, Any]:
    """Return what training on so many tokens takes."""
    count = network.parameters
    each = network.rows * network.window
    compute = 6 * count * each / (cluster.flops * cluster.used)
    found: dict[str, Any] = {"parameters": count, "tokens a step": each * cluster.gpus, "compute seconds": compute}
    for name, size in (("float32", 4.0 * count), ("fp16", 2.0 * count)):
        step = step_seconds(compute, size, cluster.gpus, cluster.latency, cluster.bandwidth)
        found[f"step seconds, gradients as {name}"] = step
        found[f"efficiency, gradients as {name}"] = compute / step
    step = found["step seconds, gradients as fp16"]
    checkpoint = 12 * count
    failures = cluster.gpus / cluster.hours_to_failure  # an hour
    write = checkpoint / cluster.disk
    copied = checkpoint / 2e10
    # Young 1974: the time between checkpoints that loses least, where a step waits for the copy alone.
    every = max(math.sqrt(2 * copied * 3600 / failures), write)
    lost = failures / 3600 * (every / 2 + cluster.restart) + copied / every
    days = tokens / (each * cluster.gpus) * step / (1 - lost) / 86_400
    return found | {
        "checkpoint bytes": checkpoint,
        "seconds to write a checkpoint": write,
        "seconds between checkpoints": every,
        "failures a day": 24 * failures,
        "share of time lost to failures and checkpoints": lost,
        "steps": tokens / (each * cluster.gpus),
        "days": days,
        "bytes of shards": tokens * network.bytes_a_token,
        "bytes of shards a second, a GPU": each / step * network.bytes_a_token,
        "tokens a second, a GPU": each / step,
    }


# --- what is measured here


def train(load: str, out: str) -> None:
    """Train in this process, alone or with others, and write the seconds of a step and the bytes of gradients."""
    import numpy as np
    import torch

    import rnnkit
    from rnnkit.data.tokens import TokenArray

    torch.set_num_threads(1)
    torch.manual_seed(0)

    class Clock(rnnkit.Callback):
        def __init__(self) -> None:
            self.times: list[tuple[float, float]] = []

        def on_step_end(self, learner: Any, step: int) -> None:
            self.times.append((perf_counter(), process_time()))

    clock, settings = Clock(), {"epochs": 1, "seed": 0, "progress": False}
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if load == "language":
        model: Any = rnnkit.LanguageModel(64, "lstm", 128, 512, 1, tied=False)
        tokens = TokenArray(np.random.default_rng(0).integers(0, 64, 32 * 64 * STEPS * world + 1))
        data: Any = tokens.batches(32, 64)
        settings["stateful"] = True
    else:
        model = rnnkit.SequenceClassifier(rnnkit.GRU(28, 128, batch_first=True), 10)
        rows = 256 * 4 * STEPS
        data = (torch.randn(rows * world, 28, 28), torch.randint(10, (rows * world,)))
        settings["batch_size"] = 256
    learner = rnnkit.Learner(model, lr=1e-3, clip_norm=1.0, metrics=[], device="cpu")
    learner.fit(data, callbacks=[clock], **settings)
    both = zip(clock.times[SKIPPED:], clock.times[SKIPPED + 1 :], strict=False)
    gaps = [(end[0] - begin[0], end[1] - begin[1]) for begin, end in both]
    found = {
        "seconds": median(wall for wall, _ in gaps),
        "steps": [wall for wall, _ in gaps],
        "processor": median(cpu for _, cpu in gaps),
        "bytes": 4 * sum(one.numel() for one in model.parameters()),
    }
    Path(f"{out}-{os.environ.get('RANK', '0')}-{load}.json").write_text(json.dumps(found))


def talk(out: str) -> None:
    """Write what a message of a few sizes takes between the processes."""
    import torch

    found = {}
    for size in SIZES:
        message, times = torch.zeros(size), []
        for _ in range(30):
            began = perf_counter()
            torch.distributed.all_reduce(message)
            times.append(perf_counter() - began)
        found[str(4 * size)] = median(times[5:])
    Path(f"{out}-{os.environ['RANK']}-messages.json").write_text(json.dumps(found))


def run(folder: Path, name: str, processes: int, *, together: bool) -> None:
    """Run the loads in processes that train together, or each for itself."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    started = []
    for rank in range(processes):
        own = {"OMP_NUM_THREADS": "1", "RANK": str(rank)}
        if together:
            own |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(processes)}
        command = [sys.executable, "-m", "benchmarks.scale", "--worker", str(folder / name)]
        started.append(subprocess.Popen(command, env={**os.environ, **own}))
    codes = [one.wait() for one in started]
    if any(codes):
        raise SystemExit("a process failed")


def measure(turns: int) -> dict[str, Any]:
    """Measure one process, two that do not know of each other, and two that train together, in turn.

    Args:
        turns: of all three; a figure is the median over them.
    """
    with tempfile.TemporaryDirectory() as place:
        folders = [Path(place) / str(turn) for turn in range(turns)]
        for folder in folders:
            folder.mkdir()
            for name, processes, together in (("one", 1, False), ("beside", 2, False), ("together", 2, True)):
                run(folder, name, processes, together=together)

        def read(name: str, what: str, key: str) -> list[float]:
            """Return a figure of each turn, the mean over its processes."""
            files = [sorted(folder.glob(f"{name}-?-{what}.json")) for folder in folders]
            return [mean(json.loads(file.read_text())[key] for file in turn) for turn in files]

        def undisturbed(name: str, what: str) -> float:
            """Return the seconds of a step that only a tenth of the steps of all turns undercut."""
            files = [file for folder in folders for file in folder.glob(f"{name}-?-{what}.json")]
            steps = sorted(one for file in files for one in json.loads(file.read_text())["steps"])
            return steps[len(steps) // UNDISTURBED]

        small, large = (median(read("together", "messages", str(4 * size))) for size in SIZES)
        bandwidth = 4 * (SIZES[1] - SIZES[0]) / max(large - small, 1e-9)
        found: dict[str, Any] = {"latency": small, "bandwidth": bandwidth}
        for load in LOADS:
            steps = {name: read(name, load, "seconds") for name in ("one", "beside", "together")}
            processor = [read(name, load, "processor") for name in ("one", "together")]
            one, beside, together = map(median, steps.values())
            [size] = set(read("one", load, "bytes"))
            predicted = step_seconds(one, size, 2, small, bandwidth, beside / one)
            of_one = sorted(map(truediv, steps["one"], steps["together"]))
            found[load] = {
                "one": one, "beside": beside, "together": together, "predicted": predicted, "bytes": size,
                "predicted / measured": predicted / together, "of twice one": median(of_one),
                "of twice one, lowest and highest": [of_one[0], of_one[-1]],
                "of two side by side": median(map(truediv, steps["beside"], steps["together"])),
                "of twice one, undisturbed steps": undisturbed("one", load) / undisturbed("together", load),
                "of twice one, processor time": median(map(truediv, *processor)),
            }  # fmt: skip
        return found


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--project", action="store_true", help="only the projection")
    parser.add_argument("--tokens", type=float, default=1e12)
    for kind in (Cluster, Network):
        for name, default in vars(kind()).items():
            parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    parser.add_argument("--turns", type=int, default=5, help="measurements of each kind, in turn (%(default)s)")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    chosen = vars(parser.parse_args())
    if chosen["worker"]:
        for load in LOADS:
            train(load, chosen["worker"])
        if "WORLD_SIZE" in os.environ:
            talk(chosen["worker"])
        return
    cluster, network = (kind(**{name: chosen[name] for name in vars(kind())}) for kind in (Cluster, Network))
    found = {} if chosen["project"] else {"measured": measure(chosen["turns"])}
    found["projected"] = project(cluster, network, chosen["tokens"])
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
