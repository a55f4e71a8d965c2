"""The LSTM layer."""

from __future__ import annotations

from typing import Any

import torch

from ..ops.backend import choose_backend, native_problem
from ..ops.direction import DirectionCall, DirectionResult, RecurrentOptions, RecurrentWeights, StepCall
from ..ops.lstm import coupled, coupled_peephole, lstm, lstm_reference, lstm_step
from ..types import Backend, State
from ._checks import Lengths
from ._options import suffix_of
from ._recurrent import RecurrentLayer
from ._stack import run_stack
from .argument_names import INSTEAD, RENAMED, explains_arguments
from .initialisation import Init

Tensor = torch.Tensor
_NO_CELLS = "PyTorch's layers do not return every cell state"


class LSTM(RecurrentLayer, torch.nn.LSTM):
    """Long short-term memory, stacked and in one or both directions; equations in :mod:`rnnkit.ops.lstm`.

    A ``torch.nn.LSTM`` in every respect (arguments, parameter names, gate order, outputs; state dicts load both ways),
    with a native kernel on CPUs and the options below. :meth:`cell_states` returns every c. :meth:`stream` runs single
    steps fast. Second derivatives, ``torch.func`` and forward-mode differentiation are computed through the slower
    reference. Under autocast the layer computes in its weights' dtype.

    Legend: B batch, T time, I input, H hidden, P projected (H without), L layers, D directions.

    Args:
        input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size: as in torch's.
        init: ``"torch"`` or ``"keras"``, see :mod:`rnnkit.layers.initialisation`.
        backend: ``"auto"``, ``"native"``, ``"torch"`` or ``"reference"``.
        recurrent_dropout: probability of dropping a unit of the state in the recurrent product while training; the same
            units at all steps of a call (variational dropout, Gal & Ghahramani 2016).
        weight_dropout: probability of dropping a recurrent weight for a call while training (AWD-LSTM).
        zoneout: probability that a unit keeps its old state for a step while training; its expectation in evaluation
            (Krueger et al. 2017). One number for h and c, or a pair.
        layer_norm: normalise both products (Ba et al. 2016), see :mod:`rnnkit.ops.normalisation`.
        learn_initial_state: the state before the first step is a parameter, initially zeros.
        recompute: K, to store the intermediate values of K steps at a time while training; the rest is computed again
            in the backward pass, see :mod:`rnnkit.ops.recompute`.
        peepholes: i and f also read c_{t-1}, o reads c_t, each unit its own (Gers & Schmidhuber 2000).
        coupled_gates: f = 1 − i (CIFG, Greff et al. 2017); weights have the rows of i, g, o only.

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

    state_names = ("h", "c")
    kernel = "lstm"
    gates = 4

    @explains_arguments(RENAMED, INSTEAD)
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
        """Run whole sequences as :meth:`forward` and also return every cell state c, differentiable like the output.

        Args:
            input: [T, B, I], or [B, T, I] with ``batch_first``; not packed and not unbatched.
            hx, lengths, resets: as for :meth:`forward`.

        Returns:
            output, cells [L, T, B, D·H] ([L, B, T, D·H] with ``batch_first``; 0 past a row's length), and the state.

        Raises:
            ShapeError, BackendError: as :meth:`forward`. PyTorch's own layers do not return c.

        Example:
            >>> import torch, rnnkit
            >>> layer = rnnkit.LSTM(3, 5, num_layers=2)
            >>> output, cells, (h, c) = layer.cell_states(torch.randn(7, 4, 3))
            >>> tuple(cells.shape), torch.equal(cells[:, -1], c)
            ((2, 7, 4, 5), True)
        """
        x, hx, rows, reset_mask, backend = self._checked(input, hx, lengths, resets)
        if backend == "torch":
            backend = choose_backend("LSTM.cell_states", self.backend, native_problem(x.device, x.dtype), _NO_CELLS)
        output, state, cells = run_stack(self, x, hx, rows, reset_mask, backend, return_cells=True)
        directions = [cells[direction :: self.num_directions] for direction in range(self.num_directions)]
        return output, torch.stack([torch.cat(pair, -1) for pair in zip(*directions, strict=True)]), state

    def _run_direction(self, call: DirectionCall, backend: Backend) -> DirectionResult:
        return lstm(call) if backend == "native" else lstm_reference(call)

    def _run_step(self, call: StepCall) -> tuple[Tensor, State]:
        h, c = lstm_step(*call[:4], gates=call.gates)
        return h, (h, c)

    def _direction_weights(self, layer: int, reverse: bool = False) -> RecurrentWeights:
        """Those of :class:`RecurrentLayer`, with the rows of f where gates are coupled, and the projection."""
        weights = super()._direction_weights(layer, reverse)
        if self.options.coupled_gates:
            norm = self.options.layer_norm
            weights = RecurrentWeights(
                coupled(weights.w_ih, normalised=norm),
                coupled(weights.w_hh, normalised=norm),
                None if weights.b_ih is None else coupled(weights.b_ih),
                None if weights.b_hh is None else coupled(weights.b_hh),
            )
        if self.proj_size:
            weights = weights._replace(w_hr=getattr(self, "weight_hr" + suffix_of(layer, reverse)))
        return weights

    def _option_tensors(self, x: Tensor, batch: int, time: int, suffix: str) -> RecurrentOptions:
        """Those of :class:`RecurrentLayer` and the peephole, with the rows of f where gates are coupled."""
        options = super()._option_tensors(x, batch, time, suffix)
        if self.options.peepholes:
            peephole = getattr(self, "peephole" + suffix)
            options = options._replace(peephole=coupled_peephole(peephole) if self.options.coupled_gates else peephole)
        if self.options.coupled_gates and options.norm is not None:
            norm = options.norm
            options = options._replace(norm=norm._replace(gain_ih=coupled(norm.gain_ih), gain_hh=coupled(norm.gain_hh)))
        return options

    def _own_arguments(self) -> dict[str, Any]:
        return {"proj_size": self.proj_size}
