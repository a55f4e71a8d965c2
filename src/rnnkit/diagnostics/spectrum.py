"""Spectra of the recurrent weights, which each step applies to the state."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ..layers._recurrent import RecurrentLayer
from ..layers.quantized import refuse_quantized
from ._calls import unwrapped
from ._trace import recurrent_layers

Tensor = torch.Tensor
_GATES = {1: ("h",), 3: ("r", "z", "n"), 4: ("i", "f", "g", "o")}
_COUPLED = ("i", "g", "o")


@dataclass(frozen=True)
class Spectrum:
    """Eigenvalues and singular values of one gate's recurrent weights U.

    Attributes:
        layer: the module's name and PyTorch's suffix: ``body.l0``, ``body.l0_reverse``.
        gate: ``"h"`` of a simple recurrence, ``"i"``, ``"f"``, ``"g"``, ``"o"`` of an LSTM, ``"r"``, ``"z"``, ``"n"``
            of a GRU.
        eigenvalues: complex [H], the largest first.
        singular_values: [H], the largest first.
    """

    layer: str
    gate: str
    eigenvalues: Tensor
    singular_values: Tensor

    def __repr__(self) -> str:
        size = len(self.singular_values)
        return f"Spectrum({self.layer} {self.gate}, {size} units, radius {self.radius:.3g}, norm {self.norm:.3g})"

    @property
    def radius(self) -> float:
        """The spectral radius max |λ|: the rate at which U^k grows or shrinks in the long run. NaN for NaN weights."""
        return float(self.eigenvalues.abs().max())

    @property
    def norm(self) -> float:
        """The largest singular value: the most that one product can stretch a state; never below the radius."""
        return float(self.singular_values.max())


def spectra(model: torch.nn.Module) -> tuple[Spectrum, ...]:
    """Measure the recurrent weights of every layer, direction and gate.

    In h_t = σ(W x_t + U h_{t-1}) a gradient passes σ' and Uᵀ at each step. Where |σ'| ≤ γ (1 for tanh and relu, 1/4 for
    the sigmoid) a largest singular value below 1/γ makes it vanish for certain, and to explode it needs one above
    (Pascanu, Mikolov & Bengio, arXiv:1211.5063). Gated layers carry their state past U, so there the numbers
    only say how the gates see it. Computed in float64 on the CPU.

    Variant: with an LSTM's projection P the product U P is taken, which maps the state before the projection on
    itself; gains of a layer normalisation are not included.

    Args:
        model: any module with recurrent layers.

    Returns:
        one entry a gate, direction and layer, from input to output; none for a cell of your own, whose weights are
        not known to be recurrent.

    Raises:
        ConfigError: the model has no recurrent layer, or weights in 8 bits.

    Example:
        >>> import torch, rnnkit
        >>> layer = rnnkit.SimpleRNN(1, 16, nonlinearity="relu", init="identity")
        >>> [(one.layer, one.gate, one.radius, one.norm) for one in spectra(layer)]
        [('l0', 'h', 1.0, 1.0)]
    """
    refuse_quantized(model, "be inspected")
    found = []
    for name, module in recurrent_layers(unwrapped(model)).items():
        coupled = isinstance(module, RecurrentLayer) and module.options.coupled_gates
        for place, part in module.named_modules():
            for suffix in _suffixes(part):
                weight = getattr(part, "weight_hh" + suffix).detach().double().cpu()
                projection = getattr(part, "weight_hr" + suffix, None)
                if projection is not None:
                    weight = weight @ projection.detach().double().cpu()
                layer = ".".join(each for each in (name, place, suffix.removeprefix("_")) if each)
                gates = _COUPLED if coupled else _GATES[weight.shape[0] // weight.shape[1]]
                for gate, block in zip(gates, weight.chunk(len(gates)), strict=True):
                    found.append(_spectrum(layer or "cell", gate, block))
    return tuple(found)


def _suffixes(module: torch.nn.Module) -> list[str]:
    """The suffixes of a module's recurrent weights, from input to output; parametrised weights count too."""
    if isinstance(module, torch.nn.RNNCellBase):
        return [""]
    if not isinstance(module, torch.nn.RNNBase):
        return []
    directions = ("", "_reverse") if module.bidirectional else ("",)
    return [f"_l{layer}{direction}" for layer in range(module.num_layers) for direction in directions]


def _spectrum(layer: str, gate: str, weight: Tensor) -> Spectrum:
    if not weight.isfinite().all():  # LAPACK would raise, or never end
        missing = torch.full((len(weight),), float("nan"), dtype=torch.float64)
        return Spectrum(layer, gate, missing.to(torch.complex128), missing)
    eigenvalues = torch.linalg.eigvals(weight)
    order = eigenvalues.abs().argsort(descending=True, stable=True)
    return Spectrum(layer, gate, eigenvalues[order], torch.linalg.svdvals(weight))
