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
