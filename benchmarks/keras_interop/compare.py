"""What rnnkit does: read Keras's files and compare, write them back, and write models of its own for Keras to read.

    python -m benchmarks.keras_interop.compare FOLDER
"""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rnnkit.interop.keras import from_keras

FORMS = (".keras", ".h5", ".weights.h5")


def outputs_and_gradients(model: Any, inputs: list[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return outputs and gradients on the inputs, as ``keras_side.py`` does."""
    tensors = [torch.tensor(x, requires_grad=x.dtype == np.float32) for x in inputs]
    reset = getattr(model, "reset_states", None)
    if reset is not None:
        reset()
    found = model(tensors if len(tensors) > 1 else tensors[0])
    results = list(found) if isinstance(found, tuple) else [found]
    total = sum((one * torch.cos(torch.arange(one.numel(), dtype=one.dtype)).reshape(one.shape)).sum() for one in results)
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
        except Exception as error:  # noqa: BLE001 (the report names it)
            if "-v" in sys.argv:
                traceback.print_exc()
            found[name] = {"error": f"{type(error).__name__}: {error}"[:600]}
    return found


def main(folder: Path) -> None:
    """Compare, and print the models that are off."""
    for form in FORMS:
        found = compare(folder, form)
        (folder / f"read{form}.json").write_text(json.dumps(found, indent=1))
        off = {
            name: one
            for name, one in found.items()
            if "error" in one or not (one["outputs"] <= 1e-5 and one["gradients"] <= 1e-4)
        }
        worst = max((one.get("outputs", float("nan")) for one in found.values()), default=float("nan"))
        print(form, len(found), "models,", len(off), "off; largest difference of outputs", worst)
        for name, one in off.items():
            print("   ", name, one)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
