"""The peers' environments at the root of the checkout, made on first use: .venv-bench and .venv-neuralforecast."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ROOT / "benchmarks" / "requirements.txt"
NEURALFORECAST = ROOT / "benchmarks" / "requirements-neuralforecast.txt"


def peers_python(say: Callable[[str], None]) -> Path:
    """The interpreter that has Keras, TensorFlow, JAX and ONNX Runtime.

    RNNKIT_BENCH_PYTHON names one that is there already; else .venv-bench is made, or made anew when the
    requirements have changed since.
    """
    if given := os.environ.get("RNNKIT_BENCH_PYTHON"):
        return Path(given)
    home = ROOT / ".venv-bench"
    python = home / "bin" / "python"
    installed = home / "requirements.txt"  # written last, so an interrupted installation is repeated
    if not _has(installed, REQUIREMENTS):
        say(f"installing Keras, TensorFlow, JAX and ONNX Runtime into {home.name} (about 1.6 GB, once)")
        subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True)
        pip = [str(python), "-m", "pip", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "-q", "-r", str(REQUIREMENTS)], check=True)
        installed.write_text(REQUIREMENTS.read_text())
    return python


def neuralforecast_folder(say: Callable[[str], None]) -> Path:
    """The folder that has neuralforecast, for the end of `sys.path`.

    Raises:
        subprocess.CalledProcessError: pip could not install it.
    """
    home = ROOT / ".venv-neuralforecast"
    installed = home / "requirements.txt"  # written last, so an interrupted installation is repeated
    if not _has(installed, NEURALFORECAST):
        say(f"installing neuralforecast into {home.name} (about 250 MB, once)")
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-q", "--no-deps", "--upgrade"]
        subprocess.run([*pip, "--target", str(home), "-r", str(NEURALFORECAST)], check=True)
        installed.write_text(NEURALFORECAST.read_text())
    return home


def _has(installed: Path, wanted: Path) -> bool:
    """Whether the packages of a file were installed; comments do not count."""
    found, asked = (
        [line for line in file.read_text().splitlines() if not line.startswith("#")] if file.exists() else None
        for file in (installed, wanted)
    )
    return found == asked
