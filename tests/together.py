"""Trainings that one process and several processes do alike, in processes that are forked from one that has torch."""

from __future__ import annotations

import multiprocessing
import os
import socket
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch._dynamo  # an optimizer imports it, which takes seconds: once, before the forks
import torchmetrics  # noqa: F401 (so do metrics)
from torch import nn

import rnnkit
from rnnkit.training.learner import Learner

# Processes are forked from one that has torch already, which is quick. On Linux it is the one that tests, and they have
# all that it has imported; elsewhere, where libraries do not survive that, it is a server that a process starts once.
CONTEXT: Any = multiprocessing.get_context("fork" if sys.platform == "linux" else "forkserver")
if sys.platform != "linux":
    CONTEXT.set_forkserver_preload(["together", "killed"])


class Gradients(rnnkit.Callback):
    """Keeps the gradients of the first step."""

    def __init__(self) -> None:
        self.first: dict[str, torch.Tensor] = {}

    def on_backward_end(self, learner, step):
        if step == 0:
            named = learner.model.named_parameters()
            self.first = {name: one.grad.clone() for name, one in named if one.grad is not None}


class Reductions:
    """Counts the messages that add something up."""

    def __init__(self) -> None:
        self.count = 0
        whole = torch.distributed.all_reduce

        def counted(*arguments, **named):
            self.count += 1
            return whole(*arguments, **named)

        torch.distributed.all_reduce = counted


def seeded_rows(count: int, steps: int = 6, inputs: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    x = torch.randn(count, steps, inputs)
    return x, (x.sum((1, 2)) > 0).long()


def ragged_rows(count: int = 21) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    torch.manual_seed(0)
    x = [torch.randn(1 + (7 * row) % 9, 3) for row in range(count)]
    return x, [(row[:, 0] > 0).long() for row in x]


def sequence(size: int, precision: str) -> tuple[Learner, Any, dict[str, Any]]:
    """A native step; of 61 rows the last batch has 1, for one of two processes."""
    torch.manual_seed(1)
    learner = Learner(
        rnnkit.SequenceClassifier(rnnkit.GRU(3, 8, batch_first=True), 2),
        lr=0.01,
        clip_norm=0.05,
        metrics=["accuracy", "auc"],
        device="cpu",
        precision=precision,
    )
    x, y = seeded_rows(61)
    return learner, (x, y), {"batch_size": 10 * size, "validation": (x[:7], y[:7]), "schedule": "warmup_cosine"}


def step(size: int, precision: str) -> tuple[Learner, Any, dict[str, Any]]:
    """Targets for each step of ragged rows, joined of three batches; the updates have different numbers of targets.

    Some rows have weight 0; of the last update all rows of the second of two processes.
    """
    torch.manual_seed(1)
    model = rnnkit.SequenceTagger(rnnkit.LSTM(3, 5, batch_first=True), 2)
    learner = Learner(model, optimizer="sgd", lr=0.5, clip_norm=0.3, device="cpu", precision=precision)
    x, y = ragged_rows()
    settings = {"batch_size": 2 * size, "accumulate": 3, "validation": (x[:5], y[:5]), "average": "ema"}
    weights = torch.tensor([[0, 1, 2.0, 0.5][row % 4] for row in range(21)])
    return learner, (x, y), {**settings, "sample_weight": weights}


def truncated(size: int, precision: str) -> tuple[Learner, Any, dict[str, Any]]:
    """Truncated backpropagation: pieces of a batch, of which one process has more than the other."""
    torch.manual_seed(1)
    learner = Learner(
        rnnkit.SequenceTagger(rnnkit.SimpleRNN(3, 5, batch_first=True), 2),
        optimizer="sgd",
        lr=0.3,
        device="cpu",
        precision=precision,
    )
    return learner, ragged_rows(), {"batch_size": 3 * size, "bptt": 2}


def ctc(size: int, precision: str) -> tuple[Learner, Any, dict[str, Any]]:
    """Sequences of labels for ragged inputs, in batches of rows that are about as long."""
    from rnnkit.data.bucketing import LengthBatches, RaggedRows

    torch.manual_seed(1)
    model = rnnkit.SequenceTagger(rnnkit.GRU(4, 6, batch_first=True), 4, front=nn.Embedding(9, 4))
    learner = Learner(model, objective="ctc", lr=0.02, device="cpu", precision=precision)
    random = np.random.default_rng(0)
    rows = RaggedRows(
        [random.integers(0, 9, 6 + row % 5) for row in range(25)],
        [random.integers(1, 4, 1 + row % 3) for row in range(25)],
    )
    return learner, LengthBatches(rows, 4 if PROCESSES > 1 else 4 * size), {}


def language(size: int, precision: str) -> tuple[Learner, Any, dict[str, Any]]:
    """A language model, whose state is carried from window to window."""
    from rnnkit.data.tokens import TokenArray

    torch.manual_seed(1)
    model = rnnkit.LanguageModel(11, "lstm", 5, 7, 1)
    learner = Learner(model, lr=0.02, clip_norm=0.1, device="cpu", precision=precision)
    tokens = TokenArray(np.random.default_rng(0).integers(0, 11, 241))
    held = TokenArray(np.random.default_rng(1).integers(0, 11, 41)).batches(1, 7)
    batches = tokens.batches(3 if PROCESSES > 1 else 3 * size, 8, random_windows=True)
    return learner, batches, {"stateful": True, "validation": held, "early_stopping": 1}


def tuned(size: int, precision: str) -> tuple[Learner, Any, dict[str, Any]]:
    """Fine-tuning: a new head, old rows among the new ones, and a penalty that is measured on the old ones."""
    torch.manual_seed(1)
    model = rnnkit.SequenceClassifier(rnnkit.GRU(3, 8, batch_first=True), 2)
    learner = Learner(model, lr=0.01, metrics=["accuracy"], device="cpu", precision=precision)
    x, y = seeded_rows(61)
    settings = {"classes": 3, "replay": 0.4, "protect": "ewc", "old_data": (x[40:], y[40:]), "gradual_unfreezing": True}
    return learner, (x[:33], y[:33] + 1), {"fine_tune": True, "batch_size": 6 * size, **settings}


def adapted(size: int, precision: str) -> tuple[Learner, Any, dict[str, Any]]:
    """Fine-tuning of adapters alone."""
    torch.manual_seed(1)
    model = rnnkit.SequenceClassifier(rnnkit.LSTM(3, 8, batch_first=True), 2)
    learner = Learner(model, lr=0.01, device="cpu", precision=precision)
    return learner, seeded_rows(25), {"fine_tune": True, "batch_size": 4 * size, "adapters": rnnkit.LoRA(2)}


PROCESSES = 1
DOUBLE = "double"  # the model in float64, without Lightning Fabric
PRECISIONS = ("32-true", DOUBLE, "64-true")  # the last by Fabric and its wrapper, which computes losses in float32
CASES: dict[str, Callable[[int, str], tuple[Learner, Any, dict[str, Any]]]] = {
    one.__name__: one for one in (sequence, step, truncated, ctc, language, tuned, adapted)
}
# The wrapper is called in three ways: as a model, piece by piece, and by `forward_chunk`.
WRAPPED = ("sequence", "step", "language", "tuned")
RUNS = [(name, one) for name in CASES for one in PRECISIONS if one != "64-true" or name in WRAPPED]
KEPT = ("epoch", "loss", "accuracy", "auc", "val_loss", "val_accuracy", "val_auc", "lr")


def run_case(name: str, precision: str, counting: Reductions | None) -> dict[str, Any]:
    """Train, and return the first step's gradients, the weights at the end and the history."""
    torch.set_default_dtype(torch.float64 if precision == DOUBLE else torch.float32)
    learner, data, settings = CASES[name](2 // PROCESSES, "32-true" if precision == DOUBLE else precision)
    gradients = Gradients()
    before = 0 if counting is None else counting.count
    run = learner.fine_tune if settings.pop("fine_tune", False) else learner.fit
    history = run(data, epochs=2, seed=3, shuffle=True, progress=False, callbacks=[gradients], **settings)
    return {
        "gradients": gradients.first,
        "weights": {key: one.clone() for key, one in learner.model.state_dict().items()},
        "rows": [{key: row[key] for key in KEPT if key in row} for row in history.rows],
        "reductions": 0 if counting is None else counting.count - before,
    }


EXCHANGES = ("", "fp16", "bf16", "powersgd,rank=2,start=2", "local_steps=3")


def run_exchange(how: str, precision: str = "32-true") -> dict[str, Any]:
    """Train with other exchanges than gradients as they are."""
    torch.manual_seed(1)
    x, y = seeded_rows(240)
    model = rnnkit.SequenceClassifier(rnnkit.GRU(3, 16, batch_first=True), 2)
    exchange = rnnkit.training.Exchange.parse(how)
    learner = Learner(model, lr=0.02, device="cpu", precision=precision, exchange=exchange)
    history = learner.fit((x, y), epochs=3, batch_size=8, seed=3, progress=False)
    made = learner._session.execution.exchange
    return {
        "weights": {key: one.clone() for key, one in model.state_dict().items()},
        "losses": history["loss"],
        "bytes": 0 if made is None else made.bytes_sent,
    }


def figures_of_few_rows() -> dict[str, float]:
    """Return figures of fewer rows than there are processes, and of some: by names, and by a function."""
    torch.manual_seed(0)
    model, (x, y) = nn.Sequential(nn.Flatten(), nn.Linear(18, 2)), seeded_rows(5)
    names = ["accuracy", "f1", "auc", "auc_macro", "precision_macro"]
    watching = Learner(model, loss="cross_entropy", metrics=names, device="cpu")
    own = Learner(model, loss="cross_entropy", metrics=lambda output, target: len(target), device="cpu")
    found = {f"few {name}": value for name, value in watching.evaluate(x[:1], y[:1]).items()}
    found |= {f"some {name}": value for name, value in watching.evaluate(x, y, batch_size=2).items()}
    found |= {"one": own.evaluate(x[:1], y[:1])["<lambda>"], "all": own.evaluate(x, y)["<lambda>"]}
    return {name: -1.0 if value != value else value for name, value in found.items()}


def run_cases(out: str) -> None:
    """Run all cases, and write what they gave."""
    counting = Reductions() if PROCESSES > 1 else None
    began = time.process_time()
    for one in [name for name in sys.modules if name.partition(".")[0] == "lightning_fabric"]:
        del sys.modules[one]  # which an earlier test of the process that forked this one imported
    found: dict[Any, Any] = {"figures": figures_of_few_rows()}
    for precision in PRECISIONS:
        for name in CASES:
            if (name, precision) in RUNS:
                found[name, precision] = run_case(name, precision, counting)
        torch.set_default_dtype(torch.float32)
        found["fabric", precision] = "lightning_fabric" in sys.modules
    if PROCESSES > 1:
        found["exchanges"] = {how: run_exchange(how) for how in EXCHANGES}
        found["wrapped"] = {how: run_exchange(how, "64-true") for how in ("", "fp16")}
    found["seconds"] = time.process_time() - began
    torch.save(found, out)


def start(function: Callable[..., None], *arguments: Any, world: int = 1, **environment: str) -> list[Any]:
    """Start processes that call a function as torchrun would start them; return them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(world), "LOCAL_WORLD_SIZE": str(world)}
    started = []
    for rank in range(world):
        own = {} if world == 1 else {**shared, "RANK": str(rank), "LOCAL_RANK": str(rank), "GROUP_RANK": "0"}
        process = CONTEXT.Process(target=_call, args=(own | environment, function, *arguments))
        process.start()
        started.append(process)
    return started


def finish(processes: list[Any], seconds: float = 600.0) -> list[int | None]:
    """Wait for processes, and return how they ended; None: one had to be ended."""
    found = []
    for one in processes:
        one.join(seconds)
        found.append(one.exitcode)
        if one.exitcode is None:
            one.kill()
            one.join()
    return found


def _call(environment: dict[str, str], function: Callable[..., None], *arguments: Any) -> None:
    global PROCESSES
    torch.set_num_threads(1)
    os.environ.update(environment)
    PROCESSES = int(os.environ.get("WORLD_SIZE", "1"))
    function(*arguments)


@contextmanager
def search_path():
    """Let the server, a new Python, find what it imports."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
