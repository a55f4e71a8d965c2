"""Builds the source archive and the wheel, looks into both, and installs each in an empty environment: `make package`.

The wheel is built from the unpacked source archive, so what the build needs is in there. Run:
python tests/distribution/build_and_try.py FOLDER
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[2]
SMOKE = Path(__file__).with_name("smoke.py")
# What somebody needs to build, to test and to read, from the archive alone.
SOURCES = {
    "CMakeLists.txt", "LICENSE", "Makefile", "PKG-INFO", "README.md", "constraints.txt", "docs/guides/training.md",
    "native/CMakeLists.txt", "native/bindings.cpp", "native/common/cpu.cpp", "native/kernels/dispatch.cpp",
    "pyproject.toml", "src/rnnkit/__init__.py", "src/rnnkit/py.typed", "tests/tolerances.py",
}  # fmt: skip
UNWANTED = {"build", "dist", "tests", "benchmarks", "examples", "docs", "native", "__pycache__"}


def check_wheel(wheel: Path, *, core: bool) -> None:
    """Raise AssertionError where a wheel has another name or other files than it should.

    Args:
        wheel: the file.
        core: whether it was built with the native core.
    """
    python, abi, platform = wheel.stem.split("-")[2:]
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        head = archive.read(metadata).decode()
        (tags,) = (name for name in names if name.endswith(".dist-info/WHEEL"))
        described = archive.read(tags).decode()
    parts = {PurePosixPath(name).parts[0] for name in names}
    information = str(PurePosixPath(metadata).parent)
    assert parts == {"rnnkit", information}, f"beside the package lie {sorted(parts - {'rnnkit', information})}"
    inside = {part for name in names for part in PurePosixPath(name).parts[:-1]} & UNWANTED
    assert not inside, f"the wheel holds folders that belong to the source: {sorted(inside)}"
    libraries = [name for name in names if PurePosixPath(name).suffix in (".so", ".pyd", ".dylib")]
    others = {PurePosixPath(name).suffix for name in names if name.startswith("rnnkit/")} - {".py", ".typed"}
    assert others <= {".so", ".pyd"}, f"the package holds files of other kinds: {sorted(others)}"
    assert {"rnnkit/__init__.py", "rnnkit/py.typed", f"{information}/licenses/LICENSE"} <= set(names)
    assert f"{information}/entry_points.txt" in names
    assert "\nRequires-Python: >=3.11\n" in head
    assert "\nDescription-Content-Type: text/markdown\n" in head
    pure = "Root-Is-Purelib: true" in described
    if not core:
        assert (python, abi, platform, libraries, pure) == ("py3", "none", "any", [], True), wheel.name
        return
    stable = sys.version_info >= (3, 12)  # nanobind's stable interface begins there
    own = f"cp3{sys.version_info.minor}"
    assert (python, abi) == (("cp312", "abi3") if stable else (own, own)), wheel.name
    assert platform != "any", wheel.name
    assert not pure, wheel.name
    assert len(libraries) == 1, libraries
    assert libraries[0].startswith("rnnkit/_native."), libraries


def check_source(archive: Path) -> None:
    """Raise AssertionError where a source archive lacks what it needs or holds what was built."""
    with tarfile.open(archive) as opened:
        names = [PurePosixPath(name) for name in opened.getnames()]
    assert {name.parts[0] for name in names} == {archive.name.removesuffix(".tar.gz")}
    within = {"/".join(name.parts[1:]) for name in names}
    assert within >= SOURCES, f"the source archive lacks {sorted(SOURCES - within)}"
    built = [
        name for name in within if name.endswith((".so", ".pyc", ".o")) or name.startswith(("build/", ".venv", "runs/"))
    ]
    assert not built, f"the source archive holds what was built: {built[:5]}"


def run(*command: object, **environment: str) -> None:
    """Run a command in an empty folder, where no source lies beside the installed package."""
    print("$", *command, flush=True)
    paths = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    inherited = {name: value for name, value in os.environ.items() if name not in paths}
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([str(part) for part in command], check=True, cwd=folder, env=inherited | environment)


def main(out: Path) -> None:
    """Build into a folder, check the files, install and try them."""
    out.mkdir(parents=True, exist_ok=True)
    for old in (*out.glob("rnnkit-*.whl"), *out.glob("rnnkit-*.tar.gz")):
        old.unlink()
    run(sys.executable, "-m", "build", "--outdir", out, ROOT)
    (source,), (wheel,) = out.glob("rnnkit-*.tar.gz"), out.glob("rnnkit-*.whl")
    check_source(source)
    check_wheel(wheel, core=os.environ.get("RNNKIT_NATIVE") != "0")
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        binaries = Path(folder) / ("Scripts" if os.name == "nt" else "bin")
        pip = (binaries / "python", "-m", "pip", "--disable-pip-version-check", "install", "-q")
        run(*pip, "-c", ROOT / "constraints.txt", wheel)
        run(binaries / "python", SMOKE, "native" if os.environ.get("RNNKIT_NATIVE") != "0" else "torch")
        # The source archive installs by itself too; its core was compiled above, for the wheel.
        run(*pip, "--force-reinstall", "--no-deps", source, RNNKIT_NATIVE="0")
        run(binaries / "python", SMOKE, "torch")
    print(f"{source.name} and {wheel.name} install and work; they are in {out}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "build/dist").resolve())
