"""rnnkit, as its users get it: its layers and models in the plain loop, and an epoch of `Learner.fit`."""

import functools

import torch
from torch import nn

import rnnkit
from benchmarks.workers.protocol import Step, serve
from benchmarks.workers.torch_worker import preparer
from benchmarks.workloads import WORKLOADS, Workload, workload
from rnnkit.errors import BackendError

EPOCH_IMAGES = 60_000


def rnnkit_body(load: Workload, *, backend: str = "auto") -> nn.RNNBase:
    options = {"num_layers": load.layers, "batch_first": True, "backend": backend}
    if load.cell == "simple_rnn":
        return rnnkit.SimpleRNN(load.inputs, load.hidden, nonlinearity=load.nonlinearity, **options)
    return {"lstm": rnnkit.LSTM, "gru": rnnkit.GRU}[load.cell](load.inputs, load.hidden, **options)


def rnnkit_model(load: Workload) -> nn.Module:
    if load.outputs == 1:
        return rnnkit.SequenceRegressor(rnnkit_body(load))
    return rnnkit.SequenceClassifier(rnnkit_body(load), classes=load.outputs)


@functools.cache
def epoch(name: str) -> Step:
    """One epoch over as many made images as MNIST has, with everything that `fit` does."""
    load = workload(name)
    images = torch.rand(EPOCH_IMAGES, load.time, load.inputs)
    labels = torch.randint(load.outputs, (EPOCH_IMAGES,))
    learner = rnnkit.Learner(rnnkit_model(load), device="cpu")

    def step() -> None:
        learner.fit((images, labels), epochs=1, batch_size=load.batch)

    return step


def note(load: Workload) -> str:
    """What serves this workload where the native core does not."""
    texts = {"native": "", "torch": "served by PyTorch's own layer; the native core has no kernel for it yet"}
    for backend, text in texts.items():
        try:
            rnnkit_body(load, backend=backend)(torch.zeros(1, 1, load.inputs))
        except BackendError:
            continue
        return text
    return "served by the slow reference"


def main() -> None:
    build = preparer(rnnkit_body, rnnkit_model)

    def prepare(what: str, on: str, tuning: str) -> Step:
        return epoch(on) if what == "epoch" else build(what, on)

    notes = {load.name: text for load in WORKLOADS if (text := note(load))}
    versions = {"rnnkit": rnnkit.__version__, "torch": torch.__version__}
    serve(prepare, tunings=lambda load: ["default"], versions=versions, notes=notes)


if __name__ == "__main__":
    main()
