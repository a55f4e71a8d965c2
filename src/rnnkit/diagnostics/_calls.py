"""How a measurement calls a model: in evaluation mode, with gradients, and leaving no trace behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from ..errors import ConfigError, DataError, ShapeError
from ..layers.modes import mode
from ..layers.rnn import RNN
from ..ops.losses import LossFunction, resolve_loss
from ..ops.padding import valid_steps
from ..types import Sequences

Tensor = torch.Tensor
Inputs = Tensor | Sequences | PackedSequence


def unwrapped(model: torch.nn.Module) -> torch.nn.Module:
    """The module that ``torch.compile`` wrapped: compiled code would not see what a measurement changes in it."""
    inner = getattr(model, "_orig_mod", model)
    return inner if isinstance(inner, torch.nn.Module) else model


@contextmanager
def measuring(model: torch.nn.Module) -> Iterator[None]:
    """Evaluation mode, gradients on, autocast and cuDNN off; modes, hidden numbers and generators come back.

    cuDNN has no backward pass in evaluation mode. Gradients of parameters are not touched, since measurements ask
    ``torch.autograd.grad`` for those they want.
    """
    device = _device(model)
    with (
        mode(model, training=False),
        torch.random.fork_rng([device] if device.type == "cuda" else []),
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.autocast(device.type, enabled=False),
        torch.backends.cudnn.flags(enabled=False),
    ):
        yield


def taken(model: torch.nn.Module, inputs: Any) -> Inputs:
    """Inputs as the model takes them: a tensor, ``Sequences`` or a ``PackedSequence`` on its device, in its dtype.

    Args:
        inputs: any of these, an array, or a list of arrays [T_b, I].

    Raises:
        DataError: no rows, or NaN or infinite numbers in valid steps.
    """
    device, dtype = _device(model), _dtype(model)
    if isinstance(inputs, PackedSequence):
        packed: Any = inputs.to(device)  # type: ignore[arg-type]  # its annotations know no devices
        moved: PackedSequence = packed.to(dtype) if packed.data.is_floating_point() else packed
        return moved
    if isinstance(inputs, list | tuple):
        inputs = Sequences.from_list(list(inputs))
    found = inputs.values if isinstance(inputs, Sequences) else torch.as_tensor(inputs)
    if found.dim() == 0 or found.numel() == 0:
        raise DataError(f"inputs of shape {tuple(found.shape)} arrived; expected at least one sequence, [B, T, ...]")
    found = _usable(found.to(device, dtype) if found.is_floating_point() else found.to(device))
    if found.is_floating_point():
        finite = found.isfinite()
        if isinstance(inputs, Sequences):
            finite |= ~_broad(valid_steps(inputs.lengths, found.shape[1], device), found)
        if not finite.all():
            place = (~finite).nonzero()[0].tolist()
            raise DataError(
                f"inputs hold {found[tuple(place)].item()} at {place}; fill or drop missing values before measuring"
            )
    return Sequences(found, inputs.lengths) if isinstance(inputs, Sequences) else found


def output_of(model: torch.nn.Module, inputs: Inputs) -> Tensor:
    """The model's output, batch first where the model is; of several things it returns, the first."""
    if isinstance(inputs, Sequences):
        values = inputs.values.transpose(0, 1) if batch_axis(model) == 1 else inputs.values
        output = model(values, lengths=inputs.lengths)
    else:
        output = model(inputs)
    while isinstance(output, tuple | list) and not isinstance(output, PackedSequence):
        output = output[0]
    if isinstance(output, PackedSequence):
        output = pad_packed_sequence(output, batch_first=batch_axis(model) == 0)[0]
    if not isinstance(output, Tensor):
        raise ConfigError(f"the model returned a {type(output).__name__}; expected a tensor, or a tuple that begins so")
    return output


def batch_axis(model: torch.nn.Module) -> int:
    """0, or 1 where the model is itself a layer that takes time first."""
    bare = isinstance(model, torch.nn.RNNBase | RNN)
    return 1 if bare and not getattr(model, "batch_first", True) else 0


def rows_of(model: torch.nn.Module, tensor: Tensor) -> Tensor:
    """Time-first inputs or outputs of a bare layer with the batch in front; all others as they are."""
    return tensor.transpose(0, 1) if batch_axis(model) == 1 and tensor.dim() > 2 else tensor


def loss_of(
    model: torch.nn.Module, loss: str | LossFunction | None, output: Tensor, targets: Any, inputs: Inputs
) -> Tensor:
    """The loss of an output, a mean over targets; of outputs per step over the valid steps alone.

    Args:
        loss: a callable ``(output, targets) -> loss``, a name, or None for the model's ``default_loss``.

    Raises:
        ConfigError: no loss is known, or the model lacks classes of the targets. ShapeError: targets do not fit.
        DataError: the loss is NaN or infinite.
    """
    chosen = resolve_loss(loss, model)
    if isinstance(targets, Sequences):
        targets = targets.values
    targets = _usable(torch.as_tensor(targets).to(output.device))
    if output.dim() >= 3 and targets.shape[:2] == output.shape[:2]:
        if isinstance(inputs, Sequences):
            valid = valid_steps(inputs.lengths, output.shape[1], output.device)
            output, targets = output[valid], targets[valid]
        else:
            output, targets = output.flatten(0, 1), targets.flatten(0, 1)
    if chosen.targets == "numbers":
        if targets.numel() != output.numel():
            raise ShapeError(
                f"targets of shape {tuple(targets.shape)} arrived for outputs of shape {tuple(output.shape)}; "
                "expected a number for each"
            )
        targets = targets.reshape(output.shape).to(output.dtype)
    elif chosen.targets == "labels":
        _check_labels(output, targets)
    value = chosen.function(output, targets)
    if value.dim() != 0:
        raise ShapeError(f"the loss has shape {tuple(value.shape)}; expected one number: take its mean")
    if not value.isfinite():
        raise DataError(f"the loss is {value.item()}, so its gradient says nothing; look at the last finite weights")
    return value


def _check_labels(output: Tensor, targets: Tensor) -> None:
    """Refuse labels with other axes than the output has, and classes that it does not have."""
    if targets.is_floating_point() and targets.shape == output.shape:
        return  # probabilities
    if targets.dim() != output.dim() - 1:
        raise ShapeError(
            f"labels with {targets.dim()} axes, {tuple(targets.shape)}, arrived for outputs of shape "
            f"{tuple(output.shape)}; expected {output.dim() - 1} axes: a label for each answer"
        )
    if output.dim() == 2 and len(targets):
        low, high = int(targets.min()), int(targets.max())
        if not 0 <= low <= high < output.shape[1]:
            raise ConfigError(f"labels run from {low} to {high}; expected the model's, 0 to {output.shape[1] - 1}")


def _usable(tensor: Tensor) -> Tensor:
    """A copy of what was made in inference mode, which no graph may hold."""
    return tensor.clone() if tensor.is_inference() else tensor


def _broad(mask: Tensor, like: Tensor) -> Tensor:
    return mask.view(*mask.shape, *[1] * (like.dim() - mask.dim()))


def _device(model: torch.nn.Module) -> torch.device:
    return next((weight.device for weight in model.parameters()), torch.device("cpu"))


def _dtype(model: torch.nn.Module) -> torch.dtype:
    return next((weight.dtype for weight in model.parameters() if weight.is_floating_point()), torch.float32)
