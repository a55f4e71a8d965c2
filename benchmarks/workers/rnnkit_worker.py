"""rnnkit, as its users get it: a step and an epoch of `Learner.fit`, and its layers and models in the plain loop."""

import functools
from typing import Any

import torch
from torch import Tensor, nn

import rnnkit
from benchmarks.workers.protocol import Step, serve
from benchmarks.workers.rounding import errors
from benchmarks.workers.torch_steps import Library, batch, initialise, layer_step, loaded
from benchmarks.workers.torch_worker import torch_body
from benchmarks.workloads import ALL, OPTIONS, STREAM_STEPS, Workload, workload
from rnnkit.errors import BackendError
from rnnkit.training.loop import learn
from rnnkit.types import Batch

RESETS = 0.05  # of all steps, where resets are timed


def rnnkit_body(load: Workload, **options: Any) -> nn.RNNBase:
    options = {"num_layers": load.layers, "batch_first": True, "bidirectional": load.bidirectional, **options}
    if load.cell == "simple_rnn":
        return rnnkit.SimpleRNN(load.inputs, load.hidden, nonlinearity=load.nonlinearity, **options)
    return {"lstm": rnnkit.LSTM, "gru": rnnkit.GRU}[load.cell](load.inputs, load.hidden, **options)


def rnnkit_model(load: Workload) -> nn.Module:
    if load.outputs == 1:
        return rnnkit.SequenceRegressor(rnnkit_body(load))
    return rnnkit.SequenceClassifier(rnnkit_body(load), classes=load.outputs)


def run(body: nn.Module, x: Tensor, lengths: Tensor | None) -> tuple[Any, Any]:
    return body(x, lengths=lengths)


LIBRARY = Library(rnnkit_body, rnnkit_model, run)


@functools.cache
def learner_step(name: str) -> Step:
    """One update as `Learner.fit` calls, without `fit` around it, on a batch that is there already."""
    load = workload(name)
    model = rnnkit_model(load)
    initialise(model)
    x, lengths = batch(load)
    y = torch.from_numpy(load.made_batch()[1])
    learner, seen = rnnkit.Learner(model, metrics=[], device="cpu"), Begun()
    rows = (x, y) if lengths is None else ([row[:length] for row, length in zip(x, lengths, strict=True)], y)
    learner.fit(rows, epochs=1, batch_size=load.batch, callbacks=[seen], progress=False)
    run, given = seen.run, Batch(x, y, input_lengths=lengths)
    return lambda: learn(run, (given,))


class Begun(rnnkit.Callback):
    """Keeps the run of a learner's `fit`."""

    run: Any

    def on_fit_begin(self, learner: Any, run: Any) -> None:
        self.run = run


@functools.cache
def epoch(name: str, steps: int) -> Step:
    """One epoch of so many steps over made rows, with everything that `fit` does."""
    load = workload(name)
    rows = steps * load.batch
    x = torch.rand(rows, load.time, load.inputs)
    y = torch.rand(rows, 1) if load.outputs == 1 else torch.randint(load.outputs, (rows,))
    learner = rnnkit.Learner(rnnkit_model(load), device="cpu")
    initialise(learner.model)

    def step() -> None:
        learner.fit((x, y), epochs=1, batch_size=load.batch)

    return step


@functools.cache
def optional(name: str, option: str) -> Step:
    """The layers alone with one of the OPTIONS, forward and backward, while training."""
    load = workload(name)
    torch.manual_seed(0)
    body = rnnkit_body(load, **OPTIONS[option])
    every = torch.full((load.batch,), load.time)
    starts = torch.rand(load.batch, load.time) < RESETS
    given: dict[str, Any] = {"lengths": {"lengths": every}, "resets": {"resets": starts}}.get(option, {})
    return layer_step(body, load, lambda layers, x, _: layers(x, **given))


@functools.cache
def stream(name: str) -> tuple[Any, Tensor]:
    load = workload(name)
    return loaded(rnnkit_body(load), load).stream(1, reuse_output=True), torch.rand(1, load.inputs)


def streamed(name: str) -> Step:
    """`STREAM_STEPS` single steps at batch 1, each from the state of the one before."""
    call, x = stream(name)

    def step() -> None:
        for _ in range(STREAM_STEPS):
            call(x)

    return step


def seconds_per_step(name: str) -> list[float]:
    """The bare native call, timed inside the core."""
    call, x = stream(name)
    return [call.seconds_per_step(x, STREAM_STEPS)]


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
    def prepare(what: str, on: str, tuning: str) -> Step:
        if what == "step":
            return learner_step(on)
        if what == "loop":
            return LIBRARY.build("step", on)
        if what == "epoch":
            return epoch(on, int(tuning))
        if what == "option":
            return optional(on, tuning)
        return streamed(on) if what == "streamed" else LIBRARY.build(what, on)

    serve(
        prepare,
        tunings=lambda load: ["default"],
        versions={"rnnkit": rnnkit.__version__, "torch": torch.__version__},
        notes={load.name: text for load in ALL.values() if (text := note(load))},
        values={
            "outputs": LIBRARY.outputs,
            "errors": lambda name: errors(rnnkit_body, torch_body, workload(name)),
            "seconds per step": seconds_per_step,
        },
    )


if __name__ == "__main__":
    main()
