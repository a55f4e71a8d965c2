"""Initial weights of recurrent layers.

- ``"torch"``: every entry uniform in ±1/√H, PyTorch's own.
- ``"keras"``: input weights Glorot uniform, recurrent weights orthogonal (each gate by itself), biases 0, and 1 for an
  LSTM's forget gate (Keras's defaults: ``glorot_uniform``, ``orthogonal``, ``unit_forget_bias``); peepholes 0.
- ``"identity"``: recurrent weights the identity, input weights normal with standard deviation 0.001, biases 0, for
  ReLU networks over long sequences (Le, Jaitly & Hinton, "A Simple Way to Initialize Recurrent Networks of Rectified
  Linear Units", arXiv:1504.00941). Simple recurrent layers only.

Gains of layer normalisation start at 1, shifts and learned initial states at 0. Coupled gates have no forget gate of
their own: with ``"keras"`` their biases start at 0 (i = f = 1/2).
"""

from __future__ import annotations

import math
from typing import Literal

import torch

from ..errors import ConfigError, suggest

Init = Literal["torch", "keras", "identity"]
INITS: tuple[Init, ...] = ("torch", "keras", "identity")


def check_init(init: str, mode: str) -> None:
    """Raises ConfigError where ``init`` is unknown or does not suit ``mode`` (PyTorch's name of the recurrence)."""
    if init not in INITS:
        raise ConfigError(f"init={init!r} is unknown{suggest(init, INITS)}")
    if init == "identity" and mode in ("LSTM", "GRU"):
        raise ConfigError(f'init="identity" is for simple recurrent layers; for {mode} use "torch" or "keras"')


@torch.no_grad()
def initialise(layer: torch.nn.RNNBase, init: Init, names: set[str] | None = None) -> None:
    """Draws the weights of a recurrent layer anew, in the order of its parameters: all, or those named."""
    for name, weight in layer.named_parameters():
        if names is not None and name not in names:
            continue
        gates = weight.shape[0] // layer.hidden_size
        if name.startswith("gain"):
            weight.fill_(1.0)
        elif name.startswith(("shift", "initial")) or (name.startswith("peephole") and init == "keras"):
            weight.zero_()
        elif init == "torch":
            bound = 1 / math.sqrt(layer.hidden_size)
            weight.uniform_(-bound, bound)
        elif name.startswith("bias"):
            weight.zero_()
            if init == "keras" and layer.mode == "LSTM" and name.startswith("bias_ih") and gates == 4:
                weight[layer.hidden_size : 2 * layer.hidden_size] = 1.0
        elif name.startswith("weight_hh"):
            if init == "identity":
                torch.nn.init.eye_(weight)
            else:
                for gate in weight.chunk(gates):
                    torch.nn.init.orthogonal_(gate)
        elif init == "identity" and name.startswith("weight_ih"):
            weight.normal_(0.0, 0.001)
        else:
            # Keras counts all gates into the fan-out of one kernel [I, gates · H].
            fan_out, fan_in = weight.shape
            bound = math.sqrt(6 / (fan_in + fan_out))
            weight.uniform_(-bound, bound)
