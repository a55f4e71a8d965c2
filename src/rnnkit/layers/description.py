"""What makes a module again: its builder's name and plain arguments, as a model file holds them."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.nn.utils import parametrize

# PyTorch's modules that a file may name: their constructors' arguments, by the names of their attributes.
_RECURRENT = ("input_size", "hidden_size", "num_layers", "batch_first", "dropout", "bidirectional")
TORCH_ARGUMENTS: dict[type[nn.Module], tuple[str, ...]] = {
    nn.Embedding: ("num_embeddings", "embedding_dim", "padding_idx", "max_norm", "scale_grad_by_freq", "sparse"),
    nn.Linear: ("in_features", "out_features"),
    nn.Conv1d: (
        "in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "padding_mode",
    ),
    nn.RNN: (*_RECURRENT, "bias", "nonlinearity"),
    nn.LSTM: (*_RECURRENT, "bias", "proj_size"),
    nn.GRU: (*_RECURRENT, "bias"),
    nn.RNNCell: ("input_size", "hidden_size", "bias", "nonlinearity"),
    nn.LSTMCell: ("input_size", "hidden_size", "bias"),
    nn.GRUCell: ("input_size", "hidden_size", "bias"),
    nn.LayerNorm: ("normalized_shape", "eps", "elementwise_affine"),
    nn.Dropout: ("p",),
    nn.Identity: (),
    nn.ReLU: (),
    nn.GELU: ("approximate",),
    nn.SiLU: (),
    nn.Tanh: (),
    nn.Sigmoid: (),
    nn.LeakyReLU: ("negative_slope",),
    nn.ELU: ("alpha",),
    nn.PReLU: ("num_parameters",),
    nn.SELU: (),
    nn.CELU: ("alpha",),
    nn.Mish: (),
    nn.ReLU6: (),
    nn.Softplus: ("beta", "threshold"),
    nn.Softsign: (),
    nn.LogSigmoid: (),
    nn.Hardtanh: ("min_val", "max_val"),
    nn.Hardswish: (),
    nn.Hardsigmoid: (),
    nn.Softmax: ("dim",),
    nn.LogSoftmax: ("dim",),
    nn.GLU: ("dim",),
    nn.Flatten: ("start_dim", "end_dim"),
    nn.AlphaDropout: ("p",),
    nn.BatchNorm1d: ("num_features", "eps", "momentum", "affine", "track_running_stats"),
    nn.InstanceNorm1d: ("num_features", "eps", "momentum", "affine", "track_running_stats"),
    nn.GroupNorm: ("num_groups", "num_channels", "eps", "affine"),
    nn.RMSNorm: ("normalized_shape", "eps", "elementwise_affine"),
}  # fmt: skip


def describe(module: Any) -> dict[str, Any] | None:
    """``{"builder": name, "arguments": {...}}`` of a module; None where it has none.

    A custom module declares its own by a method ``config()``.

    Example:
        >>> describe(nn.Linear(3, 2))
        {'builder': 'torch.nn.Linear', 'arguments': {'in_features': 3, 'out_features': 2, 'bias': True}}
    """
    config = getattr(module, "config", None)
    if callable(config):
        found: dict[str, Any] | None = config()
        return found
    return describe_as(module, parametrize.type_before_parametrizations(module))


def describe_as(module: Any, kind: Any) -> dict[str, Any] | None:
    """The description of a module of PyTorch's class ``kind``; None where a file cannot name it.

    Example:
        >>> describe_as(nn.Identity(), nn.Identity)
        {'builder': 'torch.nn.Identity', 'arguments': {}}
    """
    if kind is nn.Sequential:
        parts = [describe(part) for part in module.children()]
        numbered = list(module._modules) == [str(index) for index in range(len(parts))]  # else the weights have names
        return (
            None
            if None in parts or not numbered
            else {"builder": "torch.nn.Sequential", "arguments": {"modules": parts}}
        )
    if kind not in TORCH_ARGUMENTS:
        return None
    arguments = {name: getattr(module, name) for name in TORCH_ARGUMENTS[kind]}
    if "bias" not in arguments and kind in (nn.Linear, nn.Conv1d, nn.LayerNorm):
        arguments["bias"] = module.bias is not None
    return {"builder": f"torch.nn.{kind.__name__}", "arguments": arguments}


def short_repr(module: Any) -> str:
    """A module on one line, as its constructor is called; parts of a large one are left out.

    Example:
        >>> short_repr(nn.Sequential(nn.Linear(3, 2), nn.ReLU()))
        'Sequential(Linear(in_features=3, out_features=2, bias=True), ReLU())'
    """
    kind = parametrize.type_before_parametrizations(module)
    text = repr(module)
    if "\n" not in text and kind is type(module):
        return text
    children = [short_repr(child) for name, child in module.named_children() if name != "parametrizations"]
    inner = ", ".join(part for part in (*children, module.extra_repr()) if part)
    return f"{kind.__name__}({inner if len(inner) <= 100 else '...'})"
