"""Networks of other programs: read as models of rnnkit's layers, and written for other programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy_names

if TYPE_CHECKING:
    from .charrnn import read_charrnn
    from .fastai import read_awd_lstm
    from .g2p import read_g2p
    from .torch_files import read_torch_layers

_NAMES = {
    "read_awd_lstm": "fastai",
    "read_charrnn": "charrnn",
    "read_g2p": "g2p",
    "read_torch_layers": "torch_files",
}

__all__ = ["read_awd_lstm", "read_charrnn", "read_g2p", "read_torch_layers"]

__getattr__, __dir__ = lazy_names(__name__, _NAMES, ("formats", "onnx"))
