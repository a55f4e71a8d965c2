"""What Keras does: save models with what they return, and load what rnnkit wrote.

python keras_side.py make FOLDER      # FOLDER/NAME.keras, .h5, .weights.h5, .npz
python keras_side.py check FOLDER     # FOLDER/back/NAME.keras against FOLDER/back/NAME.npz; writes FOLDER/back.json
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
import keras
import numpy as np
import torch
from keras_models import build_models, example_inputs


def outputs_and_gradients(model: Any, inputs: list[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return a model's outputs in evaluation, and the gradients of Σ cos(place) · output on inputs of numbers."""
    tensors = [torch.tensor(x, requires_grad=x.dtype == np.float32) for x in inputs]
    for layer in model.layers:
        if getattr(layer, "stateful", False):
            layer.reset_state()
    found = model(tensors if len(tensors) > 1 else tensors[0], training=False)
    results = list(keras.tree.flatten(found))
    total = sum(
        (one * torch.cos(torch.arange(one.numel(), dtype=one.dtype)).reshape(one.shape)).sum() for one in results
    )
    wanted = [x for x in tensors if x.requires_grad]
    try:
        gradients = torch.autograd.grad(total, wanted, allow_unused=True) if wanted else []
    except RuntimeError:  # Keras writes the states of stateful layers in place, which PyTorch refuses to differentiate
        return [one.detach().numpy() for one in results], []
    empty = [np.zeros(tuple(x.shape), "float32") for x in wanted]
    return [one.detach().numpy() for one in results], [
        none if one is None else one.numpy() for one, none in zip(gradients, empty, strict=True)
    ]


def make(folder: Path) -> None:
    """Save the models, and what they return."""
    folder.mkdir(parents=True, exist_ok=True)
    for place, (name, model) in enumerate(build_models(keras).items()):
        inputs = example_inputs(name, model, place)
        outputs, gradients = outputs_and_gradients(model, inputs)
        arrays = {f"input_{number}": one for number, one in enumerate(inputs)}
        arrays |= {f"output_{number}": one for number, one in enumerate(outputs)}
        arrays |= {f"gradient_{number}": one for number, one in enumerate(gradients)}
        np.savez(folder / f"{name}.npz", **arrays)
        model.save(folder / f"{name}.keras")
        model.save(folder / f"{name}.h5")
        model.save_weights(folder / f"{name}.weights.h5")
        (folder / f"{name}.json").write_text(model.to_json())


def check(folder: Path) -> None:
    """Compare what rnnkit wrote with what it returned; write the largest difference of each model."""
    found: dict[str, Any] = {}
    for file in sorted((folder / "back").glob("*.keras")):
        try:
            model = keras.saving.load_model(file, safe_mode=True)
            stored = np.load(file.with_suffix(".npz"))
            inputs = [stored[key] for key in sorted(stored) if key.startswith("input_")]
            outputs, gradients = outputs_and_gradients(model, inputs)
            found[file.stem] = {
                "outputs": max(
                    float(np.abs(one - stored[f"output_{number}"]).max()) for number, one in enumerate(outputs)
                ),
                "gradients": max(
                    (float(np.abs(one - stored[f"gradient_{number}"]).max()) for number, one in enumerate(gradients)),
                    default=0.0,
                ),
            }
        except Exception as error:  # whatever it is, the other models are compared
            found[file.stem] = {"error": f"{type(error).__name__}: {error}"[:600]}
    (folder / "back.json").write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    {"make": make, "check": check}[sys.argv[1]](Path(sys.argv[2]))
