"""Lightning Fabric: other precisions, and several processes."""

from __future__ import annotations

import json
import math
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from rnnkit.training.execution import Execution, share_of_total
from rnnkit.training.learner import Learner

HEAD = """
import json, os, sys, torch
import rnnkit
from torch import nn
from rnnkit.training.learner import Learner

torch.set_num_threads(1)
size = 1 if "RANK" in os.environ else 2  # one process has twice the batch
"""

FLAT = """
torch.manual_seed(0)
x = torch.randn(60, 3)
y = (x[:, 0] > 0).long()
model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2))
learner = Learner(model, loss="cross_entropy", metrics="accuracy", optimizer="sgd", lr=0.1, device="cpu")
history = learner.fit((x, y), epochs=2, batch_size=20 * size, validation=(x[:31], y[:31]), shuffle=False)
row = {name: value for name, value in history.rows[-1].items() if name not in ("seconds", "samples_per_second")}
names = ["accuracy", "f1", "auc", "auc_macro", "precision_macro"]
watching = Learner(model, loss="cross_entropy", metrics=names, device="cpu")
row |= {f"few {name}": value for name, value in watching.evaluate(x[:1], y[:1]).items()}
row |= {f"some {name}": value for name, value in watching.evaluate(x[:5], y[:5], batch_size=2).items()}
own = Learner(model, loss="cross_entropy", metrics=lambda output, target: len(target), device="cpu")
counted = own.evaluate(x[:1], y[:1])
with open(f"{sys.argv[1]}-flat-{learner.rank}.json", "w") as file:
    parameters = [p.flatten().tolist() for p in model.parameters()]
    json.dump([{k: -1 if v != v else v for k, v in row.items()}, parameters, counted], file)
"""

# Labels for each step of rows of 1 to 9 steps: the processes' batches have different numbers of targets.
RAGGED = """
torch.manual_seed(0)
lengths = [1, 9, 2, 8, 9, 1, 3, 9, 1, 1, 9, 9, 2, 2, 9, 9, 4, 1, 1, 9]
x = [torch.randn(length, 3) for length in lengths]
y = [(row[:, 0] > 0).long() for row in x]
model = rnnkit.SequenceTagger(rnnkit.GRU(3, 4), 2)
learner = Learner(model, metrics="accuracy", optimizer="sgd", lr=0.5, device="cpu")
settings = {"batch_size": 2 * size, "shuffle": False, "accumulate": ACCUMULATE}
history = learner.fit((x, y), epochs=2, validation=(x[:7], y[:7]), **settings)
row = {name: value for name, value in history.rows[-1].items() if name not in ("seconds", "samples_per_second")}
with open(f"{sys.argv[1]}-NAME-{learner.rank}.json", "w") as file:
    json.dump([row, [p.flatten().tolist() for p in model.parameters()]], file)
"""

END = """
sys.stdout.flush()
os._exit(0)  # what gloo's threads do at an ordinary exit, torch leaves to chance: pytorch/pytorch issue 190489
"""

# Imports once what all processes need, which takes longer than their training, and forks one for each environment.
FORK = """
import json, os, signal, sys, traceback
import torch
from rnnkit.training.learner import Learner

program, out, *environments = sys.argv[1:]
Learner(torch.nn.Linear(2, 2), loss="mse")
with open(f"{out}-modules.txt", "w") as file:
    file.write(" ".join(sys.modules))
import lightning_fabric, torchmetrics
children = []
for number, environment in enumerate(map(json.loads, environments)):
    child = os.fork()
    if child:
        children.append(child)
        continue
    signal.alarm(600)  # one that waits for another process for so long ends
    try:
        os.environ |= environment
        sys.argv = ["-c", f"{out}-{'two' if environment else 'one'}"]
        sys.stdout = open(f"{out}-{number}.txt", "w")
        exec(program, {"__name__": "__main__"})
    except BaseException:
        traceback.print_exc()
    os._exit(1)
sys.exit(any([os.waitpid(child, 0)[1] for child in children]))
"""

PROGRAMS = {
    "flat": FLAT,
    "ragged": RAGGED.replace("ACCUMULATE", "1").replace("NAME", "ragged"),
    "joined": RAGGED.replace("ACCUMULATE", "2").replace("NAME", "joined"),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Path, list[str]]:
    """Where two processes and one wrote what they found, and what each printed."""
    folder = tmp_path_factory.mktemp("processes")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "GROUP_RANK": "0",
        "TORCHELASTIC_RUN_ID": "test", "TORCHELASTIC_ERROR_FILE": "",
    }  # fmt: skip
    program = "".join([HEAD, *PROGRAMS.values(), END])
    environments = [{**shared, "RANK": rank, "LOCAL_RANK": rank} for rank in ("0", "1")] + [{}]
    command = [sys.executable, "-c", FORK, program, str(folder / "out"), *map(json.dumps, environments)]
    source = Path(__file__).parents[2] / "src"
    path = os.pathsep.join([str(source), os.environ.get("PYTHONPATH", "")])
    subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, check=True)
    return folder / "out", [(folder / f"out-{number}.txt").read_text() for number in range(len(environments))]


@pytest.mark.parametrize("program", PROGRAMS)
def test_two_processes_train_as_one_with_their_batches_joined(program, trained):
    """What torchrun sets up for two processes: the same gradients as one process with twice the batch."""
    out, outputs = trained
    first, second, alone = (
        json.loads(Path(f"{out}-{run}.json").read_text())
        for run in (f"two-{program}-0", f"two-{program}-1", f"one-{program}-0")
    )
    assert first[:2] == second[:2]
    assert first[0] == pytest.approx(alone[0], rel=1e-4)
    if program == "flat":  # one row for two processes: the second has none
        assert [run[2]["<lambda>"] for run in (first, alone)] == [1, 1]
        assert math.isnan(second[2]["<lambda>"])
    for ours, expected in zip(first[1], alone[1], strict=True):
        assert ours == pytest.approx(expected, rel=1e-3, abs=1e-5)
    assert outputs[0].count("epoch 2/2") == len(PROGRAMS)
    assert "epoch" not in outputs[1]


@pytest.mark.parametrize(
    ("precision", "dtype"), [("64-true", torch.float64), ("bf16-mixed", torch.float32), ("bf16-true", torch.bfloat16)]
)
def test_other_precisions(classifier, blobs, precision, dtype):
    model = classifier()
    learner = Learner(model, lr=0.03, clip_norm=1.0, device="cpu", precision=precision)
    history = learner.fit(blobs, epochs=4, validation=blobs, seed=0, progress=False, schedule="cosine")
    assert history.rows[-1]["val_loss"] < history.rows[0]["val_loss"]
    assert history.rows[-1]["val_accuracy"] > 0.8
    assert model.head.weight.dtype == dtype
    assert learner.predict(blobs[0]).shape == (96, 2)
    assert learner.fine_tune(blobs, epochs=1, freeze_body_epochs=1, progress=False).stopped == "finished"


def test_one_process_in_float32_needs_no_fabric(trained):
    modules = Path(f"{trained[0]}-modules.txt").read_text().split()
    assert "torch" in modules
    assert "lightning_fabric" not in modules


def test_a_total_on_an_accelerator_is_used_unread(monkeypatch, classifier, blobs):
    """A share of a total on the meta device, which has no numbers to read, can be compared and multiplied."""
    share = share_of_total(3, torch.full((), 4, device="meta"))
    assert share != 1.0
    assert (torch.ones((), device="meta") * share).dtype == torch.float32
    settings = {"epochs": 2, "batch_size": 7, "accumulate": 3, "seed": 0, "progress": False}
    expected, found = classifier(), classifier()
    found.load_state_dict(expected.state_dict())
    Learner(expected, lr=0.03, device="cpu").fit(blobs, **settings)
    monkeypatch.setattr(Execution, "sum_over_processes", lambda self, number: torch.tensor(number))
    Learner(found, lr=0.03, device="cpu").fit(blobs, **settings)
    for one, other in zip(found.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(one, other)
