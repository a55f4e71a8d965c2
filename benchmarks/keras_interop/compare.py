"""What rnnkit does: read Keras's files and compare, write them back, and write models of its own for Keras to read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

import rnnkit
from rnnkit.interop.keras import from_keras, to_keras

FORMS = (".keras", ".h5", ".weights.h5")


def outputs_and_gradients(model: Any, inputs: list[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return outputs and gradients on the inputs, as ``keras_side.py`` does."""
    tensors = [torch.tensor(x, requires_grad=x.dtype == np.float32) for x in inputs]
    reset = getattr(model, "reset_states", None)
    if reset is not None:
        reset()
    found = model(tensors if len(tensors) > 1 else tensors[0])
    results = list(found) if isinstance(found, tuple) else [found]
    total = sum(
        (one * torch.cos(torch.arange(one.numel(), dtype=one.dtype)).reshape(one.shape)).sum() for one in results
    )
    wanted = [x for x in tensors if x.requires_grad]
    gradients = torch.autograd.grad(total, wanted, allow_unused=True) if wanted else ()
    return [one.detach().numpy() for one in results], [
        torch.zeros_like(x).numpy() if one is None else one.numpy() for x, one in zip(wanted, gradients, strict=True)
    ]


def difference(a: np.ndarray, b: np.ndarray) -> float:
    """The largest absolute difference; infinite for other shapes."""
    return float(np.abs(a - b).max(initial=0.0)) if a.shape == b.shape else float("inf")


def compare(folder: Path, form: str) -> dict[str, Any]:
    """Read every file of a form and compare its outputs and gradients with Keras's."""
    found: dict[str, Any] = {}
    for file in sorted(folder.glob("*.npz")):
        name, stored = file.stem, np.load(file)
        try:
            configuration = folder / f"{name}.json" if form == ".weights.h5" else None
            model = from_keras(folder / f"{name}{form}", configuration=configuration)
            inputs = [stored[key] for key in sorted(stored) if key.startswith("input_")]
            outputs, gradients = outputs_and_gradients(model, inputs)
            wanted = [stored[key] for key in sorted(stored) if key.startswith("output_")]
            kept = [stored[key] for key in sorted(stored) if key.startswith("gradient_")]
            if len(outputs) != len(wanted):
                raise ValueError(f"{len(outputs)} outputs; Keras has {len(wanted)}")
            found[name] = {
                "outputs": max(map(difference, outputs, wanted)),
                "gradients": max(map(difference, gradients, kept), default=0.0),
            }
        except Exception as error:  # whatever it is, the other models are compared
            found[name] = {"error": f"{type(error).__name__}: {error}"[:600]}
    return found


def own_models() -> dict[str, tuple[torch.nn.Module, dict[str, Any], list[np.ndarray]]]:
    """Models of rnnkit's with the arguments of `to_keras`, and their inputs."""
    torch.manual_seed(3)
    draw = np.random.default_rng(3)
    x = draw.standard_normal((4, 7, 3)).astype("float32")
    ids = draw.integers(0, 11, (4, 7)).astype("int32")
    found: dict[str, Any] = {}
    for name, kind in (("rnn", rnnkit.SimpleRNN), ("lstm", rnnkit.LSTM), ("gru", rnnkit.GRU)):
        deep = kind(3, 5, num_layers=2, bidirectional=True, dropout=0.2)
        found[f"own_classifier_{name}"] = rnnkit.SequenceClassifier(deep, classes=4), {}, [x]
        found[f"own_regressor_{name}"] = rnnkit.SequenceRegressor(kind(3, 5), outputs=2, pooling="mean"), {}, [x]
    for pooling in ("max", "concat"):
        model = rnnkit.SequenceClassifier(rnnkit.LSTM(3, 5, bidirectional=True), 3, pooling=pooling, dropout=0.1)
        found[f"own_{pooling}"] = model, {}, [x]
    front = rnnkit.Chain(torch.nn.Embedding(11, 4), torch.nn.Conv1d(4, 6, 3, padding="same"), torch.nn.ReLU())
    found["own_convolution"] = rnnkit.SequenceClassifier(rnnkit.GRU(6, 5), 3, front=front), {}, [ids]
    found["own_reset_before"] = rnnkit.SequenceRegressor(rnnkit.GRU(3, 5, reset_after=False)), {}, [x]
    found["own_tagger"] = rnnkit.SequenceTagger(rnnkit.LSTM(3, 5, bidirectional=True), 4), {}, [x]
    found["own_language_model"] = rnnkit.LanguageModel(11, "lstm", 6, 7, 2), {}, [ids]
    return found


def write(folder: Path) -> int:
    """Write every model that Keras saved, and some of rnnkit's own, with what they return here."""
    back = folder / "back"
    back.mkdir(exist_ok=True)
    count = 0
    for file in sorted(folder.glob("*.npz")):
        stored = np.load(file)
        inputs = [stored[key] for key in sorted(stored) if key.startswith("input_")]
        _written(back / f"{file.stem}.keras", from_keras(folder / f"{file.stem}.keras"), {}, inputs)
        count += 1
    for name, (model, options, inputs) in own_models().items():
        _written(back / f"{name}.keras", model.eval(), options, inputs)
        count += 1
    return count


def _written(file: Path, model: torch.nn.Module, options: dict[str, Any], inputs: list[np.ndarray]) -> None:
    to_keras(model, file, **options)
    shown: Any = model
    if not isinstance(model, rnnkit.GraphModel) and model.default_loss == "cross_entropy":
        shown = torch.nn.Sequential(model, torch.nn.Softmax(-1))  # as the file has it
    outputs, gradients = outputs_and_gradients(shown, inputs)
    arrays = {f"input_{number}": one for number, one in enumerate(inputs)}
    arrays |= {f"output_{number}": one for number, one in enumerate(outputs)}
    arrays |= {f"gradient_{number}": one for number, one in enumerate(gradients)}
    np.savez(file.with_suffix(".npz"), **arrays)
