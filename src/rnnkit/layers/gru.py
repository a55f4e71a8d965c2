"""The GRU layer."""

from __future__ import annotations

import torch

from ..ops.direction import DirectionCall, DirectionResult, StepCall
from ..ops.gru import gru, gru_reference, gru_step
from ..types import Backend, State
from ._recurrent import RecurrentLayer
from .argument_names import INSTEAD, RENAMED, explains_arguments
from .initialisation import Init

Tensor = torch.Tensor


class GRU(RecurrentLayer, torch.nn.GRU):
    """Gated recurrent units, stacked and in one or both directions; equations in :mod:`rnnkit.ops.gru`.

    A ``torch.nn.GRU`` in every respect (arguments, parameter names, gate order, outputs; state dicts load both ways),
    with a native kernel on CPUs and the options below. :meth:`stream` runs single steps fast. Second derivatives,
    ``torch.func`` and forward-mode differentiation are computed through the slower reference. Under autocast the layer
    computes in its weights' dtype.

    Legend: B batch, T time, I input, H hidden, L layers, D directions.

    Args:
        input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional: as in ``torch.nn.GRU``.
        init: ``"torch"`` or ``"keras"``, see :mod:`rnnkit.layers.initialisation`.
        backend: ``"auto"``, ``"native"``, ``"torch"`` or ``"reference"``.
        recurrent_dropout: probability of dropping a unit of the state in the recurrent product while training; the same
            units at all steps of a call (variational dropout, Gal & Ghahramani 2016).
        weight_dropout: probability of dropping a recurrent weight for a call while training (AWD-LSTM).
        zoneout: probability that a unit keeps its old state for a step while training; its expectation in evaluation
            (Krueger et al. 2017).
        layer_norm: normalise both products (Ba et al. 2016), see :mod:`rnnkit.ops.normalisation`.
        learn_initial_state: the state before the first step is a parameter, initially zeros.
        recompute: K, to store the intermediate values of K steps at a time while training; the rest is computed again
            in the backward pass, see :mod:`rnnkit.ops.recompute`.
        reset_after: False applies the reset gate before the recurrent product (the published form of Cho et al. 2014,
            Keras's option of that name).

    Shapes:
        input [T, B, I] → output [T, B, D·H], state [L·D, B, H].

    Raises:
        ConfigError, ShapeError, BackendError: as in :class:`rnnkit.SimpleRNN`.

    Example:
        >>> import torch, rnnkit
        >>> output, state = rnnkit.GRU(3, 5, bidirectional=True)(torch.zeros(7, 4, 3))
        >>> tuple(output.shape), tuple(state.shape)
        ((7, 4, 10), (2, 4, 5))
    """

    kernel = "gru"
    gates = 3

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
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        init: Init = "torch",
        backend: Backend = "auto",
        recurrent_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        zoneout: float = 0.0,
        layer_norm: bool = False,
        learn_initial_state: bool = False,
        recompute: int | None = None,
        reset_after: bool = True,
    ) -> None:
        self._configure(
            "GRU", init, backend,
            recurrent_dropout=recurrent_dropout, weight_dropout=weight_dropout, zoneout=zoneout, layer_norm=layer_norm,
            learn_initial_state=learn_initial_state, recompute=recompute, reset_after=reset_after,
        )  # fmt: skip
        torch.nn.GRU.__init__(
            self,
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device=device,
            dtype=dtype,
        )
        self._complete()

    @property
    def kernel_variant(self) -> str:
        """The name of the native kernel's variant."""
        return "reset_after" if self.options.reset_after else "reset_before"

    def _run_direction(self, call: DirectionCall, backend: Backend) -> DirectionResult:
        run = gru if backend == "native" else gru_reference
        return run(call, reset_after=self.options.reset_after)

    def _run_step(self, call: StepCall) -> tuple[Tensor, State]:
        h = gru_step(*call[:4], reset_after=self.options.reset_after, gates=call.gates)
        return h, h
