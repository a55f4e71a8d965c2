"""What an installed rnnkit must do with nothing but its dependencies beside it. Run: python smoke.py native|torch."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path


def main(backend: str) -> None:
    """Train, save and load a small model; run commands.

    Args:
        backend: the one that layers must choose by themselves, "native" or "torch".
    """
    import numpy as np
    import torch

    import rnnkit

    assert "site-packages" in rnnkit.__file__, rnnkit.__file__
    assert rnnkit.__version__ == version("rnnkit")
    x = torch.randn(64, 12, 3, generator=torch.Generator().manual_seed(0))
    y = (x.sum((1, 2)) > 0).long()
    torch.manual_seed(0)
    layer = rnnkit.LSTM(3, 8, batch_first=True)
    assert layer.backend_for("cpu") == backend, layer.backend_for("cpu")
    learner = rnnkit.Learner(rnnkit.SequenceClassifier(layer, 2), lr=0.02, device="cpu")
    history = learner.fit(x, y, epochs=8, batch_size=16, seed=0, progress=False)
    assert history["loss"][-1] < 0.8 * history["loss"][0], history["loss"]
    learner.save("model.safetensors")
    torch.testing.assert_close(rnnkit.load("model.safetensors")(x), learner.model(x))

    np.savez("series.npz", X=x.numpy(), y=y.numpy())
    program = str(Path(sys.executable).with_name("rnnkit"))
    for line in ("--version", "doctor", "recipes list", "train classify series.npz --epochs 1 --out run"):
        done = subprocess.run([program, *line.split()], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"rnnkit {line}: {done.stdout}{done.stderr}"
    assert Path("run/model.safetensors").is_file()
    print(f"rnnkit {rnnkit.__version__} works, through {backend}")


if __name__ == "__main__":
    main(sys.argv[1])
