"""The LSTM layer."""

from __future__ import annotations

from typing import Any

import torch

from ..ops.backend import choose_backend, native_problem
from ..ops.lstm import coupled, coupled_peephole, lstm, lstm_reference, lstm_step
from ..types import Backend, State
from ._checks import Lengths
from ._options import suffix_of
from ._recurrent import RecurrentLayer
from .initialisation import Init

Tensor = torch.Tensor
_NO_CELLS = "PyTorch's layers do not tell every cell state"


class LSTM(RecurrentLayer, torch.nn.LSTM):
    """Long short-term memory, stacked and in one or both directions; equations in :mod:`rnnkit.ops.lstm`.

    A ``torch.nn.LSTM`` in every respect (arguments, parameter names, gate order, outputs; state dicts load both ways),
    with a native kernel on CPUs and the options below. :meth:`cell_states` tells every c, :meth:`stream` takes single
    steps fast. Second derivatives go through the reference; ``torch.func`` and forward-mode differentiation need
    ``backend="reference"`` or ``"torch"``. Under autocast the layer computes in its weights' dtype.

    Legend: B batch, T time, I input, H hidden, P projected (H without), L layers, D directions.

    Args:
        input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size: as in torch's.
        init: ``"torch"`` or ``"keras"``, see :mod:`rnnkit.layers.initialisation`.
        backend: ``"auto"``, ``"native"``, ``"torch"`` or ``"reference"``.
        recurrent_dropout: probability with which, while training, a unit of the state is hidden from the recurrent
            product, the same units at all steps of a call (variational dropout, Gal & Ghahramani 2016).
        weight_dropout: probability with which, while training, a recurrent weight is dropped for a call (AWD-LSTM).
        zoneout: probability with which a unit keeps its old state for a step; its expectation in evaluation (Krueger et
            al. 2017); one number for h and c, or a pair.
        layer_norm: normalise both products (Ba et al. 2016), see :mod:`rnnkit.ops.normalisation`.
        learn_initial_state: the state before the first step is a parameter, zeros at first.
        recompute: K, to keep memory for K steps at a time in training, see :mod:`rnnkit.ops.recompute`.
        peepholes: i and f also see c_{t-1}, o sees c_t, unit by unit (Gers & Schmidhuber 2000).
        coupled_gates: f = 1 − i (CIFG, Greff et al. 2017); weights have the rows of i, g, o alone.

    Shapes:
        input [T, B, I] → output [T, B, D·P], state (h [L·D, B, P], c [L·D, B, H]).

    Raises:
        ConfigError, ShapeError, BackendError: as in :class:`rnnkit.SimpleRNN`.

    Example:
        >>> import torch, rnnkit
        >>> output, (h, c) = rnnkit.LSTM(3, 5, num_layers=2)(torch.zeros(7, 4, 3))
        >>> tuple(output.shape), tuple(h.shape), tuple(c.shape)
        ((7, 4, 5), (2, 4, 5), (2, 4, 5))
    """

    kernel = "lstm"
    gates = 4

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        init: Init = "torch",
        backend: Backend = "auto",
        recurrent_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        zoneout: float | tuple[float, float] = 0.0,
        layer_norm: bool = False,
        learn_initial_state: bool = False,
        recompute: int | None = None,
        peepholes: bool = False,
        coupled_gates: bool = False,
    ) -> None:
        self._configure(
            "LSTM", init, backend,
            recurrent_dropout=recurrent_dropout, weight_dropout=weight_dropout, zoneout=zoneout, layer_norm=layer_norm,
            learn_initial_state=learn_initial_state, recompute=recompute, peepholes=peepholes,
            coupled_gates=coupled_gates,
        )  # fmt: skip
        torch.nn.LSTM.__init__(
            self, input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size,
            device=device, dtype=dtype,
        )  # fmt: skip
        self._complete()

    def cell_states(
        self, input: Tensor, hx: State | None = None, *, lengths: Lengths | None = None, resets: Tensor | None = None
    ) -> tuple[Tensor, Tensor, State]:
        """As :meth:`forward` on padded tensors, and every cell state c, differentiable as the output is.

        Returns:
            output, cells [L, T, B, D·H] ([L, B, T, D·H] with ``batch_first``; 0 behind a row's length), and the state.

        Raises:
            ShapeError, BackendError: as :meth:`forward`. PyTorch's own layers do not tell c.

        Example:
            >>> import torch, rnnkit
            >>> layer = rnnkit.LSTM(3, 5, num_layers=2)
            >>> output, cells, (h, c) = layer.cell_states(torch.randn(7, 4, 3))
            >>> tuple(cells.shape), torch.equal(cells[:, -1], c)
            ((2, 7, 4, 5), True)
        """
        x, hx, valid, mask, backend = self._enter(input, hx, lengths, resets)
        if backend == "torch":
            backend = choose_backend("LSTM.cell_states", self.backend, native_problem(x.device, x.dtype), _NO_CELLS)
        every: list[Tensor] = []
        output, state = self._through_layers(x, hx, valid, mask, backend, cells=every)
        directions = [every[place :: self.num_directions] for place in range(self.num_directions)]
        return output, torch.stack([torch.cat(pair, -1) for pair in zip(*directions, strict=True)]), state

    def _direction(
        self, x: Tensor, state: State | None, weights: list[Any], reverse: bool, backend: Backend, **call: Any
    ) -> tuple[Tensor, State]:
        every: list[Tensor] | None = call.pop("cells", None)
        call |= {"reverse": reverse, "batch_first": self.batch_first}
        if backend == "native":
            output, cells, after = lstm(x, state, *weights, cells=every is not None, **call)
        else:
            output, cells, after = lstm_reference(x, state, *weights, **call)
        if every is not None and cells is not None:
            every.append(cells)
        return output, after

    def _cell(self, x: Tensor, state: State, weights: list[Any], **call: Any) -> tuple[Tensor, State]:
        h, c = lstm_step(x, state, *weights, **call)
        return h, (h, c)

    def _weights(self, layer: int, reverse: bool = False) -> list[Any]:
        """Those of :class:`RecurrentLayer`, with f's rows where gates are coupled, and the projection."""
        found = super()._weights(layer, reverse)
        if self.options.coupled_gates:
            normed = self.options.layer_norm
            found[:2] = [coupled(weight, normalised=normed) for weight in found[:2]]
            found[2:] = [None if bias is None else coupled(bias) for bias in found[2:]]
        return [*found, getattr(self, "weight_hr" + suffix_of(layer, reverse)) if self.proj_size else None]

    def _chosen(self, x: Tensor, batch: int, time: int, layer: int, reverse: bool) -> dict[str, Any]:
        found = super()._chosen(x, batch, time, layer, reverse)
        if self.options.peepholes:
            peephole = getattr(self, "peephole" + suffix_of(layer, reverse))
            found["peephole"] = coupled_peephole(peephole) if self.options.coupled_gates else peephole
        if self.options.coupled_gates and "norm" in found:
            gain_ih, gain_hh, *others = found["norm"]
            found["norm"] = (coupled(gain_ih), coupled(gain_hh), *others)
        return found

    def _own_arguments(self) -> dict[str, Any]:
        return {"proj_size": self.proj_size}
