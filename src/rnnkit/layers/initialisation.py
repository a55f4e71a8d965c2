"""Initial weights of recurrent layers.

- ``"torch"``: every entry uniform in ±1/√H, as PyTorch draws them.
- ``"keras"``: input weights Glorot uniform, recurrent weights orthogonal (each gate by itself), biases 0, and 1 for an
  LSTM's forget gate (Keras's defaults: ``glorot_uniform``, ``orthogonal``, ``unit_forget_bias``); peepholes 0.
- ``"identity"``: recurrent weights the identity, input weights normal with standard deviation 0.001, biases 0, for
  ReLU networks over long sequences (Le, Jaitly & Hinton, "A Simple Way to Initialize Recurrent Networks of Rectified
  Linear Units", arXiv:1504.00941). Simple recurrent layers only.

Gains of layer normalisation start at 1, shifts and learned initial states at 0. Coupled gates have no rows for the
forget gate: with ``"keras"`` their biases start at 0 (i = f = 1/2).
"""

from __future__ import annotations

import math
from typing import Literal

import torch

from ..errors import ConfigError, check_choice

Init = Literal["torch", "keras", "identity"]
INITS: tuple[Init, ...] = ("torch", "keras", "identity")


def check_init(init: str, mode: str) -> None:
    """Raise ConfigError where ``init`` is unknown or unfit for ``mode`` (PyTorch's name of the recurrence)."""
    check_choice(init, "init", INITS)
    if init == "identity" and mode in ("LSTM", "GRU"):
        raise ConfigError(f'init="identity" is for simple recurrent layers; for {mode} use "torch" or "keras"')


@torch.no_grad()
def initialise(layer: torch.nn.RNNBase, init: Init, names: set[str] | None = None) -> None:
    """Draw the weights of a recurrent layer again, in the order of its parameters: all, or those in ``names``."""
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
            # Keras's fan-out counts all gates, because its kernel is [I, gates · H].
            fan_out, fan_in = weight.shape
            bound = math.sqrt(6 / (fan_in + fan_out))
            weight.uniform_(-bound, bound)


@torch.no_grad()
def chrono_(layer: torch.nn.RNNBase, longest: int) -> None:
    """Draw the biases of an LSTM's or GRU's gates so that its units forget over 2 to ``longest`` steps.

        LSTM   b_f = log u,  b_i = −b_f        GRU   b_z = log u        u uniform in [1, longest − 1]

    A gate at σ(b) keeps the state for about 1 + e^b steps. So from the first training step some units carry
    information, and its gradient, over ``longest`` steps. Tallec & Ollivier 2018, "Can recurrent neural networks warp
    time?" (arXiv:1804.11188). The second biases of those gates become 0. All other weights stay the same.

    Args:
        layer: ``rnnkit.LSTM`` or ``GRU``, or PyTorch's, with biases.
        longest: the largest number of steps that the layer should remember over, at least 3.

    Raises:
        ConfigError: a layer without gates or biases, or ``longest`` below 3.

    Example:
        >>> import rnnkit
        >>> layer = rnnkit.GRU(1, 64)
        >>> rnnkit.chrono_(layer, 784)
        >>> bool((layer.bias_ih_l0[64:128] >= 0).all())
        True
    """
    recurrence = getattr(layer, "mode", type(layer).__name__)
    if recurrence not in ("LSTM", "GRU") or not layer.bias:
        raise ConfigError(f"chrono_ sets the biases of an LSTM's or GRU's gates; a {recurrence} without them arrived")
    if longest < 3:
        raise ConfigError(f"longest={longest} arrived; expected a number of steps of at least 3")
    for name, bias in layer.named_parameters():
        if not name.startswith("bias"):
            continue
        gates = bias.view(-1, layer.hidden_size)  # r, z, n; i, f, g, o; i, g, o where f is 1 − i
        coupled = recurrence == "LSTM" and len(gates) == 3
        keep = None if coupled else gates[1]
        let_in = gates[0] if recurrence == "LSTM" else None
        drawn = bias.new_empty(layer.hidden_size).uniform_(1, longest - 1).log_()
        drawn *= name.startswith("bias_ih")  # the two biases of a gate are added
        if keep is not None:
            keep.copy_(drawn)
        if let_in is not None:
            let_in.copy_(-drawn)
