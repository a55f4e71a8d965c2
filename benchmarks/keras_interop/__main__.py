"""Keras's models here and back, compared with Keras itself.

    python -m benchmarks.keras_interop .venv-interop/bin/python build/interop

``make interop`` makes the environment and calls this. It ends with 1 where a figure is missed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rnnkit.data import mnist
from rnnkit.errors import RnnkitError
from rnnkit.interop.keras import from_keras

from .compare import FORMS, compare, write

OUTPUTS, GRADIENTS = 1e-5, 1e-4  # the largest differences from float32 Keras
IMAGES = 20_000  # of MNIST, on which Keras trains the founding model for an epoch
HERE = Path(__file__).parent


def main(python: str, folder: Path) -> int:
    """Run everything; print a line for each comparison; return the exit code."""
    folder.mkdir(parents=True, exist_ok=True)
    _keras(python, "keras_side.py", "make", folder)
    missed = 0
    for form in FORMS:
        missed += _report(f"Keras's {form} files, read here", compare(folder, form), folder / f"read{form}.json")
    count = write(folder)
    _keras(python, "keras_side.py", "check", folder)
    found = json.loads((folder / "back.json").read_text())
    missed += _report("rnnkit's .keras files, read by Keras with safe_mode", found, folder / "back.json")
    missed += count != len(found)
    missed += _founding(python, folder)
    return int(missed > 0)


def _report(title: str, found: dict[str, Any], file: Path) -> int:
    """Print the largest differences and what is off; return how many models are off."""
    file.write_text(json.dumps(found, indent=1))
    off = {
        name: one
        for name, one in found.items()
        if "error" in one or not (one["outputs"] <= OUTPUTS and one["gradients"] <= GRADIENTS)
    }
    largest = {
        part: max((one[part] for one in found.values() if part in one), default=0.0)
        for part in ("outputs", "gradients")
    }
    print(
        f"{title}: {len(found)} models, {len(off)} off; largest difference of outputs {largest['outputs']:.1e}, of "
        f"gradients on inputs {largest['gradients']:.1e}"
    )
    for name, one in off.items():
        print(f"    {name}: {one}")
    return len(off)


def _founding(python: str, folder: Path) -> int:
    """Let Keras train the founding model, and compare its answers on the test images with those here."""
    try:
        train, test = mnist.load()
    except (RnnkitError, OSError) as error:
        print(f"MNIST: not compared ({error})")
        return 0
    data, file = folder / "mnist.npz", folder / "founding.keras"
    images = train.images[:IMAGES].numpy()
    np.savez(data, x=images, y=train.labels[:IMAGES].numpy(), x_test=test.images.numpy())
    _keras(python, "keras_mnist.py", data, file)
    theirs = np.load(file.with_suffix(".npz"))["answers"]
    model = from_keras(file)
    with torch.inference_mode():
        ours = torch.cat([model(part) for part in test.images.split(500)]).numpy()
    labels = test.labels.numpy()
    scores = [float((answers.argmax(1) == labels).mean()) for answers in (theirs, ours)]
    others = int((theirs.argmax(1) != ours.argmax(1)).sum())
    largest = float(np.abs(theirs - ours).max())
    print(
        f"Founding MNIST model, trained by Keras: {scores[0]:.2%} there, {scores[1]:.2%} here; {others} of "
        f"{len(labels):,} images answered otherwise; largest difference of a probability {largest:.1e}"
    )
    return int(others > 0 or largest > OUTPUTS)


def _keras(python: str, *arguments: Any) -> None:
    """Run a program of this folder in Keras's environment."""
    name, *rest = map(str, arguments)
    environment = {**os.environ, "KERAS_BACKEND": "torch", "PYTHONWARNINGS": "ignore", "ABSL_MIN_LOG_LEVEL": "3"}
    subprocess.run([python, str(HERE / name), *rest], check=True, env=environment)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
