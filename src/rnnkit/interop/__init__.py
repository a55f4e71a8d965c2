"""Networks of other programs: read as models of rnnkit's layers, and written for other programs."""

from .._lazy import lazy_names

_NAMES = {
    "read_awd_lstm": "fastai",
    "read_charrnn": "charrnn",
    "read_g2p": "g2p",
    "read_torch_layers": "torch_files",
}

__getattr__, __dir__ = lazy_names(__name__, _NAMES, ("formats", "onnx"))
__all__ = [*_NAMES]
"""Models that come from other libraries, and models that go to them. Names are resolved when they are first used.

`rnnkit.interop.onnx` writes models as ONNX graphs, checks, quantises and reads them. `formats` is the table of what
``rnnkit export`` writes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy_names

if TYPE_CHECKING:
    from . import formats, onnx

__all__ = ["formats", "onnx"]

__getattr__, __dir__ = lazy_names(__name__, {}, ("formats", "onnx"))
