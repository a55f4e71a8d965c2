"""The simple recurrent layer."""

from __future__ import annotations

from typing import Any

import torch

from ..errors import check_choice
from ..ops.direction import DirectionCall, DirectionResult, StepCall
from ..ops.simple_rnn import NONLINEARITIES, Nonlinearity, simple_rnn, simple_rnn_reference, simple_rnn_step
from ..types import Backend, State
from ._recurrent import RecurrentLayer
from .argument_names import INSTEAD, RENAMED, explains_arguments
from .initialisation import Init

Tensor = torch.Tensor


class SimpleRNN(RecurrentLayer, torch.nn.RNN):
    r"""h_t = σ(W x_t + b_ih + U h_{t-1} + b_hh), stacked and in one or both directions.

    A ``torch.nn.RNN`` in every respect (arguments, parameter names, outputs; state dicts load both ways), which also
    takes ``lengths`` and ``resets``, σ = sigmoid, three initialisations and the options below. On a CPU it runs on the
    native core in float32 and float64; on other devices and in other dtypes PyTorch's layer computes it. Second
    derivatives, ``torch.func`` and forward-mode differentiation are computed through the slower reference. Under
    autocast the layer computes in its weights' dtype.

    Legend: B batch, T time, I input, H hidden, L layers, D directions (1 or 2).

    Args:
        input_size: I.
        hidden_size: H.
        num_layers: L; layer l > 0 reads the outputs of layer l - 1.
        nonlinearity: ``"tanh"``, ``"relu"`` or ``"sigmoid"``.
        bias: with b_ih and b_hh.
        batch_first: input and output are [B, T, ...] instead of [T, B, ...]; the state is [L·D, B, H] either way.
        dropout: probability with which outputs between layers are dropped while training.
        bidirectional: a second direction from the last valid step to the first; outputs are concatenated.
        init: ``"torch"``, ``"keras"`` or ``"identity"``, see :mod:`rnnkit.layers.initialisation`.
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

    Shapes:
        input [T, B, I] → output [T, B, D·H], state [L·D, B, H].

    Raises:
        ConfigError: an argument is unknown or out of its range.
        ShapeError: an input does not fit (in a call).
        BackendError: the named backend cannot serve (in a call).

    Variant: Elman (1990), as in PyTorch.

    Example:
        >>> import torch, rnnkit
        >>> layer = rnnkit.SimpleRNN(28, 128, nonlinearity="relu", batch_first=True)
        >>> output, state = layer(torch.zeros(32, 20, 28), lengths=[20] * 31 + [7])
        >>> tuple(output.shape), tuple(state.shape)
        ((32, 20, 128), (1, 32, 128))
    """

    kernel = "simple_rnn"
    gates = 1

    @explains_arguments({**RENAMED, "activation": "nonlinearity"}, INSTEAD)
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: Nonlinearity = "tanh",
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
    ) -> None:
        check_choice(nonlinearity, "nonlinearity", NONLINEARITIES)
        self._configure(
            "RNN", init, backend,
            recurrent_dropout=recurrent_dropout, weight_dropout=weight_dropout, zoneout=zoneout, layer_norm=layer_norm,
            learn_initial_state=learn_initial_state, recompute=recompute,
        )  # fmt: skip
        # PyTorch's constructor has no sigmoid. Its forward is never called for one.
        known = "tanh" if nonlinearity == "sigmoid" else nonlinearity
        torch.nn.RNN.__init__(
            self,
            input_size,
            hidden_size,
            num_layers,
            known,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device=device,
            dtype=dtype,
        )
        self.nonlinearity = nonlinearity
        self._complete()

    @property
    def kernel_variant(self) -> str:
        """The name of the native kernel's variant: the nonlinearity."""
        return str(self.nonlinearity)

    def _run_direction(self, call: DirectionCall, backend: Backend) -> DirectionResult:
        run = simple_rnn if backend == "native" else simple_rnn_reference
        return run(call, nonlinearity=self.nonlinearity)

    def _run_step(self, call: StepCall) -> tuple[Tensor, State]:
        h = simple_rnn_step(*call[:4], nonlinearity=self.nonlinearity)
        return h, h

    def _torch_problem(self) -> str | None:
        return "torch.nn.RNN has no sigmoid" if self.nonlinearity == "sigmoid" else super()._torch_problem()

    def _own_arguments(self) -> dict[str, Any]:
        return {"nonlinearity": self.nonlinearity}
