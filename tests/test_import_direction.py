"""Imports go downward only, and siblings do not import each other."""

import subprocess
import sys
from pathlib import Path

from imports import imports_of

SOURCE = Path(__file__).parent.parent / "src" / "rnnkit"
# Each package may import those on levels below its own.
LEVELS = [
    {"cli"},
    {"recipes"},
    {"runs", "serve", "estimators"},
    {"tasks"},
    {"generation", "interop"},
    {"models", "data", "training", "diagnostics"},
    {"finetuning"},
    {"layers"},
    {"ops"},
    {"_native"},
]
LEVEL = {package: level for level, packages in enumerate(LEVELS) for package in packages}
# Imported by all, importing only one another.
SHARED = {"_lazy", "errors", "messages", "ordering", "types", "serialization", "plotting", "spelling"}
FRONT = {"__init__", "__main__"}  # the public names, and the command line of ``python -m rnnkit``


def imports(path: Path) -> set[str]:
    """Return the packages of rnnkit that a file imports."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    found = set()
    for one in imports_of(path):
        module = one.module.split(".") if one.module else []
        if one.level:
            full = [*parts[: len(parts) - one.level], *module]
        elif module[:1] == ["rnnkit"]:
            full = module[1:]
        else:
            continue
        if one.names:
            found |= {full[0]} if full else set(one.names)
        else:
            found.add(full[0] if full else "__init__")
    return found


def violations(path: Path) -> list[str]:
    package = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    wrong = []
    for target in imports(path) - {package}:
        if package in FRONT or target in SHARED or target == "__init__":
            continue
        if package in SHARED or target not in LEVEL or LEVEL[target] <= LEVEL[package]:
            wrong.append(f"{path.relative_to(SOURCE)} imports {target}")
    return wrong


def test_imports_go_downward():
    files = sorted(SOURCE.rglob("*.py"))
    assert len(files) > 20
    assert [line for path in files for line in violations(path)] == []


def test_every_package_has_a_level():
    packages = {path.name.removesuffix(".py") for path in SOURCE.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert packages - {"__pycache__"} <= set(LEVEL) | SHARED | FRONT


def test_the_test_itself_sees_an_upward_import(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "SOURCE", tmp_path)
    (tmp_path / "ops").mkdir()
    for text in ("from ..layers import gru", "from rnnkit.models.loading import load", "from .. import training"):
        (tmp_path / "ops" / "bad.py").write_text(text)
        assert violations(tmp_path / "ops" / "bad.py"), text
    (tmp_path / "ops" / "good.py").write_text("from .state import detach\nfrom ..errors import DataError\nimport torch")
    assert violations(tmp_path / "ops" / "good.py") == []


def test_libraries_are_imported_when_they_are_needed():
    program = """
import sys

def loaded(*names):
    print(*(name for name in names if name in sys.modules), sep=",")

import rnnkit, rnnkit.diagnostics.pictures
loaded("torch", "matplotlib")
rnnkit.SimpleRNN
from rnnkit.training.watching.metrics import Metrics
Metrics(())
loaded("torch", "matplotlib", "torchmetrics")
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == ["", "torch"]


def test_contributing_shows_the_levels():
    text = (SOURCE.parent.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    chain = text[text.index("    cli → ") :].partition("\n\n")[0].replace("rnnkit._native", "_native")
    shown = [{name.strip() for name in level.split(",")} for level in chain.split("→")]
    there = {path.stem for path in SOURCE.iterdir()} | {"_native"}
    assert shown == [level & there for level in LEVELS]
