"""The interface that every layer of a model has: it maps a batch of sequences to a batch of sequences.

    y, lengths, state = module(x, lengths)

A :class:`SequenceModule` has this call itself. :func:`rnnkit.layers.sequence_adapters.as_sequence_module` gives it to
rnnkit's recurrent layers and to PyTorch's modules, whose own calls stay as they are. Models take their front, body and
head from either.

Legend: B batch, T time, T' time of the output (T, or less where steps are joined), I input, F features of the output.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch.nn.utils import parametrize

from ..errors import BackendError, ShapeError, TensorCode
from ..ops.padding import valid_steps
from ..types import State
from ._checks import Lengths

Tensor = torch.Tensor

_ONE_FEATURE = TensorCode("x[..., None]", "np.asarray(x)[..., None]")
_NUMBERS = TensorCode("x[..., None].float()", "np.asarray(x)[..., None]")
_LAST_AXES = TensorCode("x.transpose(1, 2)", "np.swapaxes(x, 1, 2)")


class SequenceModule(torch.nn.Module):
    """Base class of a module that maps sequences to sequences, as a layer of a model.

    A subclass writes ``forward``. One that can continue from a state also writes ``forward_chunk`` and
    ``initial_state`` and sets ``stateful``. A subclass that is to be saved and loaded by name writes ``config()`` and
    is given to :func:`rnnkit.models.register`.

    Legend: B batch, T time, I input, F features of the output.

    Attributes:
        input_size: I; None where any number of features fits.
        output_size: F; None where as many features come out as go in.
        stateful: whether ``forward`` returns a state.
        state_batch_axis: where the batch lies in the tensors of a state.

    Shapes:
        x [B, T, I] (and ``lengths`` [B]) → y [B, T', F], the lengths of y (None without lengths), the last state (None
        without a state). Nothing behind a row's length is read; y is 0 there.

    Example:
        >>> import torch, rnnkit
        >>> class Differences(rnnkit.SequenceModule):
        ...     def forward(self, x, lengths=None):
        ...         y = torch.nn.functional.pad(x[:, 1:] - x[:, :-1], (0, 0, 1, 0))
        ...         return self.masked(y, lengths), lengths, None
        >>> model = rnnkit.SequenceClassifier(rnnkit.GRU(3, 8), classes=2, front=Differences())
        >>> tuple(model(torch.zeros(4, 10, 3)).shape)
        (4, 2)
    """

    input_size: int | None = None
    output_size: int | None = None
    stateful: bool = False
    state_batch_axis: int = 0
    whole_sequences: ClassVar[str] = "needs whole sequences: apply it to the data beforehand"

    def forward(self, x: Tensor, lengths: Lengths | None = None) -> tuple[Tensor, Lengths | None, State | None]:
        """Map sequences x [B, T, I], with valid steps ``lengths`` [B], to (y, lengths of y, last state)."""
        raise NotImplementedError

    def forward_chunk(
        self,
        x: Tensor,
        state: State | None = None,
        *,
        lengths: Lengths | None = None,
        resets: Tensor | None = None,
    ) -> tuple[Tensor, State | None]:
        """Continue from a state, for sequences that come in chunks.

        Args:
            x: [B, T, I], the next steps.
            state: what this method returned for the chunk before; None at the beginning.
            lengths: valid steps of each row [B].
            resets: bool [B, T]; true puts the row's state back to the initial one before that step.

        Returns:
            y [B, T, F] and the state after these steps.
        """
        raise BackendError(f"{type(self).__name__} {self.whole_sequences}")

    def step(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State | None]:
        """Map one step x [B, I] and a state to y [B, F] and the next state."""
        y, state = self.forward_chunk(x[:, None], state)
        return y[:, 0], state

    def initial_state(
        self, batch: int, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> State | None:
        """The state before the first step of ``batch`` rows; None for a module without a state."""
        return None

    @property
    def carry_problem(self) -> str | None:
        """Why :meth:`forward_chunk` cannot serve, as the end of a sentence; None where it can."""
        if type(self).forward_chunk is SequenceModule.forward_chunk:
            return f"its {type(self).__name__} {self.whole_sequences}"
        return None

    @staticmethod
    def masked(x: Tensor, lengths: Lengths | None) -> Tensor:
        """x [B, T, ...] with 0 behind each row's length; x itself without lengths."""
        return masked(x, lengths)

    def last_output(self, y: Tensor, lengths: Lengths | None, state: State | None) -> Tensor:
        """The output at each row's last valid step [B, F], of what ``forward`` returned."""
        return last_valid(y, lengths)


def last_valid(y: Tensor, lengths: Lengths | None) -> Tensor:
    """y [B, T, ...] at each row's last valid step, [B, ...]."""
    if lengths is None:
        return y[:, -1]
    last = torch.as_tensor(lengths).to(y.device) - 1
    return y[torch.arange(len(y), device=y.device), last]


def masked(x: Tensor, lengths: Lengths | None) -> Tensor:
    """x [B, T, ...] with 0 behind each row's length; x itself without lengths.

    Example:
        >>> masked(torch.ones(2, 3), [3, 1]).tolist()
        [[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]]
    """
    if lengths is None:
        return x
    valid = valid_steps(torch.as_tensor(lengths), x.shape[1], x.device)
    return torch.where(
        valid.view(*valid.shape, *[1] * (x.dim() - 2)), x, torch.zeros((), dtype=x.dtype, device=x.device)
    )


def check_features(x: Any, features: int | None, module: torch.nn.Module) -> None:
    """Raise ShapeError where x is no [B, T, I] with I ``features`` (any number where None).

    Args:
        x: what arrived.
        features: I.
        module: what x was given to, for the message.
    """
    if isinstance(x, Tensor) and x.dim() == 3 and x.shape[1] > 0 and features in (None, x.shape[2]):
        return  # before any message is made: this is called in every step
    name = parametrize.type_before_parametrizations(module).__name__
    if not isinstance(x, Tensor):
        raise ShapeError(f"x is a {type(x).__name__}; expected a tensor: torch.as_tensor(x)")
    shown, expected = list(x.shape), f"[batch, time, {'features' if features is None else features}]"
    if x.dim() == 2 and not x.is_floating_point():
        raise ShapeError.of(
            "x",
            shown,
            f" and is {x.dtype}; {name} expects numbers {expected}. For token ids give the model "
            f"front=torch.nn.Embedding(vocabulary, {features or 'features'}), for single numbers type ",
            _NUMBERS,
        )
    if x.dim() == 2:
        hints: list[tuple[str | TensorCode, ...]] = []
        if features in (1, None):
            hints.append(("for series of one number a step type ", _ONE_FEATURE))
        if features in (x.shape[1], None):
            hints.append(("for a single sequence type x[None]",))
        parts = [part for mark, hint in zip((": ", ", "), hints, strict=False) for part in (mark, *hint)]
        raise ShapeError.of("x", shown, f", read as [batch, time]; {name} expects {expected}", *parts)
    if x.dim() == 3 and features in (None, x.shape[2]):
        raise ShapeError.of("x", shown, ": it has no time step")
    if x.dim() == 3 and x.shape[1] == features:
        hint = ": for [batch, features, time] type "
        raise ShapeError.of("x", shown, f"; {name} expects {expected}{hint}", _LAST_AXES)
    hint = f": build it with {x.shape[2]} input features, or check the order of the axes" if x.dim() == 3 else ""
    raise ShapeError.of("x", shown, f"; {name} expects {expected}{hint}")
