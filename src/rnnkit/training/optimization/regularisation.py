"""Penalties added to the loss: on recurrent weights, and on the activations of the last recurrent layer."""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from ...errors import ConfigError
from ...layers.rnn import RNN
from ...ops.padding import valid_steps

LAYERS = (torch.nn.RNNBase, RNN)


class Regularisation:
    """c Σ ‖W_hh‖² + α mean(h_t²) + β mean((h_t − h_{t−1})²)

    c is `recurrent_l2`, W_hh the recurrent weights; α is `ar`, β is `tar` and h the outputs, all directions, of the
    last recurrent layer that ran in the model's call: a PyTorch LSTM, GRU or RNN, or one of rnnkit's. The means are
    over features, rows and valid steps.

    Activation regularisation (AR) and temporal activation regularisation (TAR) are Merity, McCann & Socher 2017's
    ("Revisiting activation regularization for language RNNs"). Variant: both penalties use the layer's outputs.
    Merity's AR uses them after the dropout p that follows, whose mean square is 1 / (1 − p) times as large on average:
    divide α by 1 − p for the same penalty.

    Enter it as a context while training: it then records the layers' outputs. A call returns the penalty of the model's
    last call.

    The means are those of one call. With `accumulate` or `bptt` an update joins several calls, and each call's penalty
    is weighted by its share of the targets. With one target per sequence and rows of unequal length this is not its
    share of the steps, so the sum differs from the penalty of the joined batch, in which every step counts the same.

    Args:
        model: the model to train.
        recurrent_l2, ar, tar: the coefficients; 0: no such penalty.

    Raises:
        ConfigError: the model has no such weights, or no such layer.

    Example:
        >>> import rnnkit, torch
        >>> model = rnnkit.SequenceRegressor(rnnkit.GRU(2, 8))
        >>> with Regularisation(model, recurrent_l2=0.0, ar=2.0, tar=1.0) as penalty:
        ...     _ = model(torch.randn(4, 5, 2))
        ...     bool(penalty() > 0)
        True
    """

    def __init__(self, model: torch.nn.Module, *, recurrent_l2: float, ar: float, tar: float) -> None:
        self.model, self.recurrent_l2, self.ar, self.tar = model, recurrent_l2, ar, tar
        self.recurrent = [weight for name, weight in model.named_parameters() if "weight_hh" in name]
        if recurrent_l2 and not self.recurrent:
            raise ConfigError(f"recurrent_l2={recurrent_l2} arrived but no parameter of the model is named weight_hh")
        self.layers = [module for module in model.modules() if isinstance(module, LAYERS)]
        if (ar or tar) and not self.layers:
            raise ConfigError(
                f"ar={ar}, tar={tar} arrived but {type(model).__name__} has no recurrent layer; they are for models "
                "with an rnnkit layer, or with torch's LSTM, GRU or RNN"
            )
        self._hooks: list[Any] = []
        self._called: tuple[int | None, Any] = (None, None)  # steps and lengths of the model's call
        self._output: tuple[Tensor, Any] | None = None  # of the layer [B, T, D·H], and its lengths

    def __enter__(self) -> Self:
        if self.ar or self.tar:
            self._hooks = [layer.register_forward_hook(self._see, with_kwargs=True) for layer in self.layers]
            if self.model not in self.layers:
                self._hooks.append(self.model.register_forward_pre_hook(self._see_call, with_kwargs=True))
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks, self._output, self._called = [], None, (None, None)

    def __call__(self) -> Tensor:
        penalty = torch.zeros(())
        if self.recurrent_l2:
            penalty = self.recurrent_l2 * torch.stack([weight.square().sum() for weight in self.recurrent]).sum()
        if self._output is not None:
            penalty = penalty + activation_penalty(*self._output, ar=self.ar, tar=self.tar)
            self._output = None  # the graph is not kept any longer than the step
        self._called = None, None  # chunks run past the model's call, and are not of its lengths
        return penalty

    def _see_call(self, model: torch.nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        if not torch.is_grad_enabled():  # evaluating
            return
        x = arguments[0] if arguments else None
        steps = x.shape[1] if isinstance(x, Tensor) and x.dim() >= 2 else None
        self._called = steps, keywords.get("lengths")

    def _see(self, layer: Any, arguments: tuple[Any, ...], keywords: dict[str, Any], result: Any) -> None:
        if not torch.is_grad_enabled():  # evaluating
            return
        output, lengths = result[0], keywords.get("lengths")
        if isinstance(output, PackedSequence):
            self._output = pad_packed_sequence(output, batch_first=True)
            return
        if output.dim() == 2:  # [T, D·H], without a batch
            output = output[None]
        elif not layer.batch_first:
            output = output.transpose(0, 1)
        if lengths is None and self._called[0] == output.shape[1]:  # torch's layers do not get the lengths
            lengths = self._called[1]
        self._output = output, lengths


def activation_penalty(output: Tensor, lengths: Any, *, ar: float, tar: float) -> Tensor:
    """α mean(h_t²) + β mean((h_t − h_{t−1})²) over the valid steps of h [B, T, H]; lengths [B] or None for all.

    Example:
        >>> h = torch.tensor([[[1.0], [3.0], [9.0]]])
        >>> activation_penalty(h, torch.tensor([2]), ar=1.0, tar=0.0), activation_penalty(h, None, ar=0.0, tar=1.0)
        (tensor(5.), tensor(20.))
    """
    h = output.float() if output.dtype in (torch.float16, torch.bfloat16) else output  # squares overflow float16
    changes = h[:, 1:] - h[:, :-1]
    if lengths is not None:
        valid = valid_steps(torch.as_tensor(lengths), h.shape[1], h.device)
        h, changes = h[valid], changes[valid[:, 1:]]
    penalty = ar * h.square().mean() if ar else h.new_zeros(())
    if tar and changes.numel():
        penalty = penalty + tar * changes.square().mean()
    return penalty
