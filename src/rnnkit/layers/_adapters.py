"""One adapter for each kind of module that models take; see :mod:`rnnkit.layers.sequence_adapters`."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
from torch import nn
from torch.nn.modules import activation
from torch.nn.utils import parametrize
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from ..errors import BackendError, DataError, ShapeError, TensorCode
from ..ops.backend import tracing
from ..types import State
from ._checks import Lengths, check_lengths
from ._recurrent import RecurrentLayer
from .rnn import RNN
from .sequence_module import SequenceModule, check_features, last_valid, masked

Tensor = torch.Tensor
Result = tuple[Tensor, "Lengths | None", "State | None"]
Chunk = tuple[Tensor, "State | None"]

_IDS = TensorCode("x.long()", "np.asarray(x).astype(int)")


class Layer:
    """A layer of a model that is no module itself; each part means what it means in :class:`SequenceModule`."""

    stateful = False
    state_batch_axis = 0

    @property
    def input_size(self) -> int | None:
        return None

    @property
    def output_size(self) -> int | None:
        return None

    @property
    def carry_problem(self) -> str | None:
        return None

    def __call__(self, x: Tensor, lengths: Lengths | None = None) -> Result:
        y, state = self.run(x, None, lengths, None)
        return y, lengths, state

    def forward_chunk(
        self,
        x: Tensor,
        state: State | None = None,
        *,
        lengths: Lengths | None = None,
        resets: Tensor | None = None,
    ) -> Chunk:
        return self.run(x, state, lengths, resets)

    def run(self, x: Tensor, state: State | None, lengths: Lengths | None, resets: Tensor | None) -> Chunk:
        raise NotImplementedError

    def initial_state(
        self, batch: int, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> State | None:
        return None

    def last_output(self, y: Tensor, lengths: Lengths | None, state: State | None) -> Tensor:
        return last_valid(y, lengths)


class Adapter(Layer):
    """Holds a reference to a module and nothing else: sizes and settings are the module's at any time."""

    def __init__(self, module: Any) -> None:
        self.module = module

    @property
    def input_size(self) -> int | None:
        return getattr(self.module, "input_size", None)

    @property
    def output_size(self) -> int | None:
        return getattr(self.module, "output_size", None)


class _Recurrent(Adapter):
    """rnnkit's recurrent layers, batch first, also where their layout is time first."""

    stateful = True

    def __init__(self, module: Any) -> None:
        super().__init__(module)
        self.state_batch_axis = getattr(module, "state_batch_axis", 1)  # as PyTorch's own layers

    @property
    def carry_problem(self) -> str | None:
        if self.module.bidirectional:
            name = parametrize.type_before_parametrizations(self.module).__name__
            return f"its {name} is bidirectional, and reads each sequence from its end too: build it with one direction"
        return None

    def run(self, x: Tensor, state: State | None, lengths: Lengths | None, resets: Tensor | None) -> Chunk:
        self.check(x)
        if self.module.batch_first:
            return self.module(x, state, lengths=lengths, resets=resets)  # type: ignore[no-any-return]
        output, state = self.module(x.transpose(0, 1), state, lengths=lengths, resets=resets)
        return output.transpose(0, 1), state

    def check(self, x: Tensor) -> None:
        check_features(x, self.module.input_size, self.module)

    def initial_state(
        self, batch: int, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> State | None:
        return self.module.initial_state(batch, device, dtype)

    def last_output(self, y: Tensor, lengths: Lengths | None, state: State | None) -> Tensor:
        return self.module.final_output(state)  # type: ignore[no-any-return]


class _OwnCell(_Recurrent):
    """:class:`rnnkit.RNN` with a cell: its output is no part of its state."""

    def check(self, x: Tensor) -> None:
        if self.input_size is not None:
            check_features(x, self.input_size, self.module)

    def run(self, x: Tensor, state: State | None, lengths: Lengths | None, resets: Tensor | None) -> Chunk:
        adapted = any("parametrizations" in part._modules for part in self.module.modules())
        # Weights that a parametrisation computes (an adapter's) are computed once a call instead of once a step. Not
        # with recompute: the second run of a stretch has to make the same tensors in the same order as the first.
        with parametrize.cached() if adapted and self.module.recompute is None else nullcontext():
            return super().run(x, state, lengths, resets)

    def last_output(self, y: Tensor, lengths: Lengths | None, state: State | None) -> Tensor:
        last = last_valid(y, lengths)
        if not self.module.bidirectional:
            return last
        width = cell_output_size(self.module.cell)  # known: a model asks for it when it is built
        return torch.cat((last[:, :width], y[:, 0, width:]), -1)


class _TorchRecurrent(_Recurrent):
    """PyTorch's LSTM, GRU and RNN: rows of unequal length go through a ``PackedSequence``."""

    @property
    def output_size(self) -> int:
        layer = self.module
        return (2 if layer.bidirectional else 1) * (layer.proj_size or layer.hidden_size)  # type: ignore[no-any-return]

    def run(self, x: Tensor, state: State | None, lengths: Lengths | None, resets: Tensor | None) -> Chunk:
        self.check(x)
        layer = self.module
        if resets is not None:
            raise BackendError(
                f"torch.nn.{type(layer).__name__} cannot clear the state of a row between two steps (resets); make it "
                "an rnnkit layer with the same weights: rnnkit.accelerate(model)"
            )
        batch, time = x.shape[:2]
        x = x if layer.batch_first else x.transpose(0, 1)
        if lengths is None:
            output, state = layer(x, state)
        else:
            rows = check_lengths(lengths, batch, time)
            packed, state = layer(pack_padded_sequence(x, rows, layer.batch_first, enforce_sorted=False), state)
            output = pad_packed_sequence(packed, layer.batch_first, total_length=time)[0]
        return output if layer.batch_first else output.transpose(0, 1), state

    def initial_state(
        self, batch: int, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> State | None:
        layer, weight = self.module, self.module.weight_ih_l0
        rows = layer.num_layers * (2 if layer.bidirectional else 1)
        widths = [layer.proj_size or layer.hidden_size, layer.hidden_size][: 2 if isinstance(layer, nn.LSTM) else 1]
        device, dtype = device or weight.device, dtype or weight.dtype
        leaves = [torch.zeros(rows, batch, width, device=device, dtype=dtype) for width in widths]
        return leaves[0] if len(leaves) == 1 else tuple(leaves)

    def last_output(self, y: Tensor, lengths: Lengths | None, state: State | None) -> Tensor:
        h = state[0] if isinstance(state, tuple) else state
        assert isinstance(h, Tensor)
        return torch.cat((h[-2], h[-1]), -1) if self.module.bidirectional else h[-1]


class _PerStep(Adapter):
    """Modules that treat each step by itself. Padding is cleared before and behind them."""

    @property
    def input_size(self) -> int | None:
        return getattr(self.module, "in_features", None)

    @property
    def output_size(self) -> int | None:
        return getattr(self.module, "out_features", None)

    def run(self, x: Tensor, state: State | None, lengths: Lengths | None, resets: Tensor | None) -> Chunk:
        check_features(x, self.input_size, self.module)
        if lengths is not None:
            lengths = check_lengths(lengths, *x.shape[:2])
        return masked(self.module(masked(x, lengths)), lengths), None


class OwnFront(Adapter):
    """A front or an augmentation of the user's: ``module(x, lengths)`` returns y, or (y, lengths)."""

    @property
    def carry_problem(self) -> str:
        return "it has a front or an augmentation, which needs whole sequences: apply it to the data beforehand"

    def __call__(self, x: Tensor, lengths: Lengths | None = None) -> Result:
        result = self.module(x, lengths)
        return (result, lengths, None) if isinstance(result, Tensor) else (result[0], result[1], None)


class _Embedding(Adapter):
    """Token ids [B, T] to vectors [B, T, F]."""

    @property
    def output_size(self) -> int:
        return self.module.embedding_dim  # type: ignore[no-any-return]

    def run(self, x: Tensor, state: State | None, lengths: Lengths | None, resets: Tensor | None) -> Chunk:
        if not isinstance(x, Tensor) or x.dtype not in (torch.int64, torch.int32) or x.dim() != 2:
            expected = "; torch.nn.Embedding expects integer ids [batch, time]"
            if not isinstance(x, Tensor):
                raise ShapeError(f"x has type {type(x).__name__}{expected}")
            hint = (": type ", _IDS) if x.dim() == 2 else ()
            raise ShapeError.of("x", list(x.shape), f" and is {x.dtype}{expected}", *hint)
        if lengths is not None:
            lengths = check_lengths(lengths, *x.shape[:2])
            x = masked(x, lengths)  # whatever stands in the padding, -1 too
        try:
            return masked(self.module(x), lengths), None
        except IndexError:
            if tracing():
                raise
            low, high, rows = int(x.min()), int(x.max()), self.module.num_embeddings
            raise DataError(
                f"ids from {low} to {high} arrived; torch.nn.Embedding({rows}, ...) knows 0 to {rows - 1}: build it "
                f"with at least {high + 1} rows, and give unknown tokens an id of their own"
            ) from None


class _Convolution(Adapter):
    """``torch.nn.Conv1d`` over time; x and y are [B, T, channels]."""

    @property
    def input_size(self) -> int:
        return self.module.in_channels  # type: ignore[no-any-return]

    @property
    def output_size(self) -> int:
        return self.module.out_channels  # type: ignore[no-any-return]

    @property
    def carry_problem(self) -> str:
        return f"its {type(self.module).__name__} {SequenceModule.whole_sequences}"

    def __call__(self, x: Tensor, lengths: Lengths | None = None) -> Result:
        check_features(x, self.input_size, self.module)
        conv, rows = self.module, None
        if lengths is not None:
            rows = self._shortened(check_lengths(lengths, *x.shape[:2]))
            if not tracing() and int(rows.min()) < 1:
                raise ShapeError(
                    f"lengths from {int(torch.as_tensor(lengths).min())} arrived; {conv} leaves no step of so short a "
                    "row: leave such rows out, or pad them: padding='same'"
                )
        y = conv(masked(x, lengths).transpose(1, 2)).transpose(1, 2)
        return masked(y, rows), rows, None

    def run(self, x: Tensor, state: State | None, lengths: Lengths | None, resets: Tensor | None) -> Chunk:
        raise BackendError(f"torch.nn.Conv1d {SequenceModule.whole_sequences}")

    def _shortened(self, lengths: Tensor) -> Tensor:
        conv = self.module
        if conv.padding == "same":
            return lengths
        padding = 0 if conv.padding == "valid" else conv.padding[0]
        reach = conv.dilation[0] * (conv.kernel_size[0] - 1)
        return torch.div(lengths + 2 * padding - reach - 1, conv.stride[0], rounding_mode="floor") + 1


def cell_output_size(cell: Any) -> int | None:
    """Features of a cell's output, as its ``output_size`` or ``hidden_size`` says; None where it has neither."""
    size = getattr(cell, "output_size", None)
    return getattr(cell, "hidden_size", None) if size is None else size


# Modules of torch.nn that treat each step of [B, T, F] by itself.
_PER_STEP: tuple[type, ...] = (
    nn.Linear,
    nn.LayerNorm,
    nn.RMSNorm,
    nn.Identity,
    nn.Dropout,
    nn.AlphaDropout,
    *(
        one
        for name, one in vars(activation).items()
        if isinstance(one, type) and issubclass(one, nn.Module) and name in activation.__all__
        if one not in (nn.MultiheadAttention, nn.GLU, nn.PReLU, nn.Softmax2d, nn.Softmax, nn.Softmin, nn.LogSoftmax)
    ),
)  # fmt: skip
# The first fitting class decides.
ADAPTERS: tuple[tuple[type | tuple[type, ...], type[Adapter]], ...] = (
    (RecurrentLayer, _Recurrent),
    (RNN, _OwnCell),
    ((nn.LSTM, nn.GRU, nn.RNN), _TorchRecurrent),
    (nn.Embedding, _Embedding),
    (nn.Conv1d, _Convolution),
    (_PER_STEP, _PerStep),
)
