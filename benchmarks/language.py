"""Language models beside the same models on `torch.nn`: `python -m benchmarks.language`.

Both train with weight-drop, variational dropout, Adam and clipping on the same windows; both generate with the same
sampling code. The systems take turns, and each figure is the median of the turns.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

import rnnkit
from benchmarks import machine
from benchmarks.turns import take_turns
from rnnkit.generation import StepFunction, generate


@dataclass(frozen=True)
class Load:
    """A model and its windows.

    Attributes:
        name: for the table.
        vocabulary, embedding, hidden, layers, tied: the model's sizes.
        rows, window: of a batch.
        at_least: how many times as many tokens a second rnnkit must train.
    """

    name: str
    vocabulary: int
    embedding: int
    hidden: int
    layers: int
    tied: bool
    rows: int
    window: int
    at_least: float


LOADS = (
    Load("characters, 2 × LSTM(256)", 69, 128, 256, 2, False, 32, 100, 2.0),
    Load("characters, 1 × LSTM(128)", 69, 64, 128, 1, False, 32, 100, 2.0),
    Load("words, AWD-LSTM 400-1150-1150-400", 10_000, 400, 1150, 3, True, 20, 70, 1.1),
)
GENERATES = LOADS[0]
GENERATION_AT_LEAST = 5.0
DROPOUTS = {"embedding": 0.1, "input": 0.3, "hidden": 0.2, "output": 0.4, "weight": 0.5}


class TorchModel(nn.Module):
    """The same model on `torch.nn`, as the AWD-LSTM is usually written."""

    def __init__(self, load: Load) -> None:
        super().__init__()
        sizes = [load.embedding, *[load.hidden] * load.layers]
        if load.tied:
            sizes[-1] = load.embedding
        self.embedding = nn.Embedding(load.vocabulary, load.embedding)
        self.layers = nn.ModuleList(nn.LSTM(before, after, batch_first=True) for before, after in pairwise(sizes))
        self.raw = nn.ParameterList()
        for layer in self.layers:
            weight = layer._parameters.pop("weight_hh_l0")
            self.raw.append(weight)
            layer.weight_hh_l0 = weight.data
        self.head = nn.Linear(sizes[-1], load.vocabulary)
        if load.tied:
            self.head.weight = self.embedding.weight

    def forward(self, ids: Tensor, states: list[Any] | None) -> tuple[Tensor, list[Any]]:
        x = self._locked(self._embedded(ids), DROPOUTS["input"])
        after = []
        for number, (layer, raw) in enumerate(zip(self.layers, self.raw, strict=True)):
            layer.weight_hh_l0 = nn.functional.dropout(raw, DROPOUTS["weight"], self.training)
            layer._flat_weights = [getattr(layer, name) for name in layer._flat_weights_names]
            x, state = layer(x, None if states is None else states[number])
            after.append(state)
            last = number == len(self.layers) - 1
            x = self._locked(x, DROPOUTS["output" if last else "hidden"])
        return self.head(x), after

    def _embedded(self, ids: Tensor) -> Tensor:
        if not self.training:
            return self.embedding(ids)
        keep = 1 - DROPOUTS["embedding"]
        mask = torch.empty(self.embedding.num_embeddings, 1).bernoulli_(keep).div_(keep)
        return self.embedding(ids) * mask[ids]

    def _locked(self, x: Tensor, p: float) -> Tensor:
        if not self.training:
            return x
        return x * x.new_empty(x.shape[0], 1, x.shape[2]).bernoulli_(1 - p).div_(1 - p)


def our_model(load: Load) -> rnnkit.LanguageModel:
    """Return rnnkit's model."""
    dropouts = {f"{name}_dropout": p for name, p in DROPOUTS.items()}
    return rnnkit.LanguageModel(
        load.vocabulary, "lstm", load.embedding, load.hidden, load.layers, load.tied, **dropouts
    )


def stepper(call: Callable[[Tensor, Any], tuple[Tensor, Any]], model: nn.Module, load: Load) -> Callable[[], None]:
    """Return a training step on the next window, with the state carried along."""
    generator = torch.Generator().manual_seed(0)
    windows = torch.randint(load.vocabulary, (4, load.rows, load.window + 1), generator=generator)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    held: dict[str, Any] = {"state": None, "step": 0}

    def detached(state: Any) -> Any:
        return state.detach() if isinstance(state, Tensor) else type(state)(detached(one) for one in state)

    def step() -> None:
        window = windows[held["step"] % len(windows)]
        logits, state = call(window[:, :-1], held["state"])
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), window[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        optimizer.step()
        held["state"], held["step"] = detached(state), held["step"] + 1

    return step


def train(load: Load, rounds: int) -> dict[str, float]:
    """Return the tokens a second that each system trains."""
    ours, theirs = our_model(load).train(), TorchModel(load).train()
    repeats = 3 if load.hidden <= 256 else 1
    found = take_turns(
        {
            "rnnkit": stepper(lambda ids, state: ours.forward_chunk(ids, state), ours, load),
            "torch.nn": stepper(theirs, theirs, load),
        },
        rounds,
        repeats,
    )
    return {name: load.rows * load.window / seconds for name, seconds in found.items()}


def generate_tokens(load: Load, rounds: int, tokens: int = 500) -> dict[str, float]:
    """Return the tokens a second that each system generates at batch 1."""
    ours, theirs = our_model(load).eval(), TorchModel(load).eval()
    for layer, raw in zip(theirs.layers, theirs.raw, strict=True):
        layer.weight_hh_l0 = raw.data
        layer._flat_weights = [getattr(layer, name) for name in layer._flat_weights_names]

    def torch_step(ids: Tensor, state: Any) -> tuple[Tensor, Any]:
        x, after = theirs.embedding(ids)[:, None], []
        for number, layer in enumerate(theirs.layers):
            x, one = layer(x, state[number])
            after.append(one)
        return theirs.head(x[:, 0]), tuple(after)

    def start(batch: int) -> Any:
        return tuple((torch.zeros(1, batch, layer.hidden_size),) * 2 for layer in theirs.layers)

    other = StepFunction(torch_step, start)

    def run(model: Any) -> Callable[[], Any]:
        return lambda: generate(model, [1], max_tokens=tokens, temperature=0.8, top_p=0.95, seed=0)

    with torch.inference_mode():
        found = take_turns({"rnnkit": run(ours), "torch.nn": run(other)}, rounds, 1)
    return {name: tokens / seconds for name, seconds in found.items()}


def main() -> int:
    """Measure and print; 1 where a figure is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.language", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    wanted = parser.parse_args()
    print(f"{machine.describe()['Processor']}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    missed = False
    for load in LOADS:
        found = train(load, wanted.rounds)
        missed |= show(f"train {load.name}", found, load.at_least)
    missed |= show(
        f"generate {GENERATES.name}, batch 1", generate_tokens(GENERATES, wanted.rounds), GENERATION_AT_LEAST
    )
    return int(missed)


def show(what: str, found: dict[str, float], at_least: float) -> bool:
    """Print a line; True where the figure is missed."""
    ratio = found["rnnkit"] / found["torch.nn"]
    print(
        f"{what}: rnnkit {found['rnnkit']:,.0f} tokens/s, torch.nn {found['torch.nn']:,.0f} tokens/s, "
        f"{ratio:.2f} × (at least {at_least:g})",
        flush=True,
    )
    return ratio < at_least


if __name__ == "__main__":
    raise SystemExit(main())
