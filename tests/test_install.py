"""Installing without the native core, and working without it."""

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from distribution.build_and_try import check_wheel

import rnnkit
from rnnkit.errors import BackendError
from rnnkit.ops import backend

ROOT = Path(__file__).parent.parent


def test_a_wheel_without_the_core(tmp_path):
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", tmp_path, ROOT]
    subprocess.run(command, env=os.environ | {"RNNKIT_NATIVE": "0"}, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    check_wheel(wheel, core=False)


def test_layers_work_without_the_core(monkeypatch):
    monkeypatch.setattr(backend, "native_core", lambda: None)
    layer = rnnkit.SimpleRNN(3, 4, nonlinearity="relu")
    assert layer.backend_for("cpu") == "torch"
    output, _ = layer(torch.randn(5, 2, 3), lengths=[5, 3])
    assert not output[3:, 1].any()
    with pytest.raises(BackendError, match="installed without its native core"):
        rnnkit.SimpleRNN(3, 4, backend="native")(torch.randn(5, 2, 3))


def test_the_version_is_that_of_the_package():
    assert rnnkit.__version__ == version("rnnkit")
    assert "__version__" in dir(rnnkit)
