"""Character models of ml5 (``ml5.charRNN``), as its training program in TensorFlow 1 exports them.

    x_t = E[c_t];  two or more BasicLSTMCells, one above the other;  p(c_{t+1}) = softmax(h_t W + b)

A BasicLSTMCell multiplies [x; h] by one kernel whose columns are the gates i, j, f, o (j is the candidate g), and adds
1 to the forget gate: c' = c σ(f + 1) + σ(i) tanh(j), h' = tanh(c') σ(o).
Source: TensorFlow 1, ``tf.nn.rnn_cell.BasicLSTMCell``; ml5-data-and-models, ``models/charRNN``.
"""

from __future__ import annotations

import math
import os
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from ..data.text.tokenizer import Tokenizer
from ..errors import DataError, DataWarning, Place, check_path
from ..models.language_model import LanguageModel
from ..serialization import read_json
from .finite import check_finite
from .weight_files import take

Tensor = torch.Tensor
_FORGET = 1.0  # what the cell adds to its forget gate
_NEVER = -100.0  # the bias of a token that the network does not know
_LOST = {"  ": "u", "": "U"}  # in the vocabulary of ml5's shakespeare, as its frequencies show
_GATES = (0, 2, 1, 3)  # i, j, f, o in the order i, f, g, o


class CharModel(NamedTuple):
    """A language model of characters.

    Attributes:
        model: the network.
        tokenizer: of its characters.
    """

    model: LanguageModel
    tokenizer: Tokenizer


def read_charrnn(path: str | os.PathLike[str]) -> CharModel:
    """Return the character model of an ml5 folder: ``manifest.json``, ``vocab.json`` and a file for each tensor.

    rnnkit's tokenizers have four tokens that are no characters (padding, unknown, beginning, end). The network gives
    them a probability of e^−100, so that those of the characters are the original's.

    Args:
        path: the folder.

    Raises:
        DataError: a file is missing or damaged, has another size than its shape, lies outside the folder, or holds
            what is no finite number.

    Example:
        >>> found = read_charrnn("models/shakespeare")                        # doctest: +SKIP
        >>> from rnnkit.generation import generate                            # doctest: +SKIP
        >>> coding = {"encode": found.tokenizer.encode, "decode": found.tokenizer.decode}    # doctest: +SKIP
        >>> generate(found.model, "KING", max_tokens=40, **coding).texts      # doctest: +SKIP
    """
    check_path(path)
    folder = Path(path)
    weights = _read_tensors(folder)
    characters = _read_characters(folder / "vocab.json")
    tokenizer = Tokenizer.from_dict({"kind": "char", "normalization": None, "lowercase": False, "tokens": characters})
    cells = _cells(weights)
    place = folder / "manifest.json"
    if not cells:
        raise DataError("lists no basic_lstm_cell; expected a network of ml5's charRNN", Place(str(place)))
    known = len(characters)
    special = len(tokenizer) - known
    embedding = take(weights, "embedding", (known, None), place)
    size = take(weights, cells[0][0], (None, None), place).shape[1] // 4
    model = LanguageModel(len(tokenizer), "lstm", embedding.shape[1], size, len(cells), tied=False)
    layers: Any = list(model.body.children())
    with torch.no_grad():
        model.front.weight[:special] = 0.0
        model.front.weight[special:] = embedding
        before = embedding.shape[1]
        for layer, (kernel, bias) in zip(layers, cells, strict=True):
            _fill(
                layer, take(weights, kernel, (before + size, 4 * size), place), take(weights, bias, (4 * size,), place)
            )
            before = size
        model.head.weight[:special] = 0.0
        model.head.weight[special:] = take(weights, "rnnlm/softmax_w", (size, known), place).T
        model.head.bias[:special] = _NEVER
        model.head.bias[special:] = take(weights, "rnnlm/softmax_b", (known,), place)
    return CharModel(model.eval(), tokenizer)


def _fill(layer: Any, kernel: Tensor, bias: Tensor) -> None:
    """Write a BasicLSTMCell's weights into a layer."""
    inputs = layer.input_size
    gates = [kernel.chunk(4, 1)[gate] for gate in _GATES]
    rows = torch.cat(gates, 1).T
    layer.weight_ih_l0.copy_(rows[:, :inputs])
    layer.weight_hh_l0.copy_(rows[:, inputs:])
    biases = [bias.chunk(4)[gate].clone() for gate in _GATES]
    biases[1] += _FORGET
    layer.bias_ih_l0.copy_(torch.cat(biases))
    layer.bias_hh_l0.zero_()


def _cells(weights: dict[str, Tensor]) -> list[tuple[str, str]]:
    """Return the names of kernel and bias of each cell, from the lowest on. Older files have plurals."""
    found: list[tuple[str, str]] = []
    while True:
        base = f"rnnlm/multi_rnn_cell/cell_{len(found)}/basic_lstm_cell"
        names = next(
            ((f"{base}/{kernel}", f"{base}/{bias}") for kernel, bias in (("kernel", "bias"), ("weights", "biases"))
             if f"{base}/{kernel}" in weights),
            None,
        )  # fmt: skip
        if names is None:
            return found
        found.append(names)


def _read_tensors(folder: Path) -> dict[str, Tensor]:
    """Read the tensors that a manifest lists, each a file of float32 in the order of the rows."""
    manifest = folder / "manifest.json"
    place = Place(str(manifest))
    listed = _read_object(manifest)
    found = {}
    for name, entry in listed.items():
        shape, file = (entry.get(key) if isinstance(entry, dict) else None for key in ("shape", "filename"))
        whole = isinstance(shape, list) and all(type(size) is int and size > 0 for size in shape)
        if not isinstance(shape, list) or not whole or not isinstance(file, str):
            raise DataError(f"the entry {name!r} has no filename and shape", place)
        target = folder / file
        if target.resolve().parent != folder.resolve():
            raise DataError(f"the entry {name!r} names {file!r}, which lies outside the folder", place)
        if not target.is_file():
            raise DataError(f"names {file!r}, which is not there", place)
        wanted = 4 * math.prod(shape)
        if target.stat().st_size != wanted:
            raise DataError(
                f"has {target.stat().st_size:,} bytes; expected {wanted:,} of float32 {shape}", Place(str(target))
            )
        found[str(name)] = torch.from_numpy(np.fromfile(target, "<f4").reshape(shape))
    check_finite(found, str(manifest))
    return found


def _read_characters(file: Path) -> list[str]:
    """Return the characters by their ids, which have to be 0 … V − 1."""
    place = Place(str(file))
    ids = _read_object(file)
    if set(_LOST) <= set(ids) and not set(_LOST.values()) & set(ids):
        warnings.warn(
            DataWarning("has '  ' and '' where the letters u and U were lost; they were put back", place), stacklevel=3
        )
        ids = {_LOST.get(one, one): id for one, id in ids.items()}
    order = sorted(ids, key=lambda one: ids[one] if type(ids[one]) is int else -1)
    if [ids[one] for one in order] != list(range(len(ids))) or any(len(one) != 1 for one in order):
        raise DataError("expected single characters with the ids 0, 1, 2 …", place)
    return order


def _read_object(file: Path) -> dict[str, Any]:
    place = Place(str(file))
    if not file.is_file():
        raise DataError("there is no such file; expected a folder of ml5's charRNN", place)
    try:
        return read_json(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"is damaged ({error})", place) from None
