"""The founding program in Keras: SimpleRNN(128, relu) over the rows of MNIST's images, Dense(10, softmax).

python keras_mnist.py DATA.npz OUT.keras    # x, y to train on; x_test to answer; writes OUT.npz with the answers
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
import keras
import numpy as np


def main(data: Path, out: Path) -> None:
    """Train for an epoch, save, and answer the test images."""
    keras.utils.set_random_seed(0)
    with np.load(data) as stored:
        x, y, x_test = stored["x"], stored["y"], stored["x_test"]
    model = keras.Sequential(
        [
            keras.Input((28, 28)),
            keras.layers.SimpleRNN(128, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, batch_size=32, epochs=1, verbose=2)
    model.save(out)
    np.savez(out.with_suffix(".npz"), answers=model.predict(x_test, batch_size=500, verbose=0))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
