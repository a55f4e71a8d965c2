"""The loss of a recurrent neural network transducer: −ln P(y | x), summed over all alignments.

An alignment goes through a lattice of frames t and labels u from (0, 0) to the end. At the node (t, u) it either takes
the blank ∅, which leads to (t + 1, u), or the next label y_{u+1}, which leads to (t, u + 1). The last blank leads out
of (T − 1, U). With z the logits of a node:

    b(t, u) = ln softmax(z_tu)_∅                    l(t, u) = ln softmax(z_tu)_{y_{u+1}}
    α(0, 0) = 0
    α(t, u) = ln(e^{α(t−1, u) + b(t−1, u)} + e^{α(t, u−1) + l(t, u−1)})
    L = −ln P(y | x) = −(α(T − 1, U) + b(T − 1, U))

The gradient is that of the forward and the backward variables. With β(t, u) the logarithm of the probability of what
follows a node, β(T, U) = 0 and β = −∞ elsewhere outside of the lattice:

    β(t, u) = ln(e^{b(t, u) + β(t+1, u)} + e^{l(t, u) + β(t, u+1)})
    s_∅ = e^{α(t, u) + b(t, u) + β(t+1, u) + L}     s_y = e^{α(t, u) + l(t, u) + β(t, u+1) + L}
    ∂L/∂z_tuk = (s_∅ + s_y) softmax(z_tu)_k − [k = ∅] s_∅ − [k = y_{u+1}] s_y

Variant: Graves 2012 ("Sequence transduction with recurrent neural networks"), with the softmax within the loss and its
gradient written straight to the logits (Bagby et al. 2018, "Efficient implementation of recurrent neural network
transducer in TensorFlow").

Legend: B batch, T frames, U labels, V vocabulary with the blank.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch.nn import functional as F

from ..errors import ConfigError, DataError, ShapeError, check_choice, check_whole
from .backend import native_core, native_problem, tracing
from .padding import valid_steps

Tensor = torch.Tensor
Lengths = Tensor | Sequence[int]
Reduction = Literal["mean", "sum", "none"]
REDUCTIONS: tuple[Reduction, ...] = ("mean", "sum", "none")
# In place of −∞, whose gradient is NaN. Sums of 10⁸ of them stay within float32.
_NEVER, _IMPOSSIBLE = -1e30, 1e29
_HALF = (torch.float16, torch.bfloat16)


def transducer_loss(
    logits: Tensor,
    targets: Tensor,
    logit_lengths: Lengths | None = None,
    target_lengths: Lengths | None = None,
    *,
    blank: int = 0,
    reduction: Reduction = "mean",
) -> Tensor:
    """Return −ln P(labels | frames) of a transducer, summed over all alignments.

    The equations are those of :mod:`rnnkit.ops.transducer`. float32 on the CPU is computed by the native core: the
    softmax is part of the loss, the sums over alignments are in double precision, and rows are computed in parallel.
    Everything else is computed by :func:`transducer_reference`; half precision in float32.

    Memory on the native core: the forward pass keeps the logits and nothing else. The backward pass writes the
    gradient once into a tensor of the logits' size, which also holds its intermediate results. So both passes take
    twice the logits in all, with V of at least 6; with fewer, 24 bytes a node of one row and thread more.

    Legend: B batch, T frames, U labels, V vocabulary with the blank.

    Args:
        logits: what the joiner gives [B, T, U + 1, V], without a softmax: for each frame, after each number of labels.
        targets: integer labels [B, U], without the blank.
        logit_lengths: valid frames of each row [B], at least 1; None: all T.
        target_lengths: labels of each row [B], 0 or more; None: all U. Padding may hold anything, NaN too, and its
            gradient is 0.
        blank: the number of the blank in the vocabulary.
        reduction: "mean" over the rows, "sum" of the rows, or "none": the losses [B].

    Returns:
        the loss in nats. A row that has no possible alignment, by logits of −∞, has the loss ∞ and the gradient 0.

    Raises:
        ShapeError: shapes or types that do not fit each other, or lengths out of range.
        DataError: a label out of range, or the blank among the labels.
        ConfigError: a blank outside of the vocabulary, or an unknown reduction.

    Example:
        >>> import torch
        >>> logits = torch.zeros(1, 2, 2, 3, requires_grad=True)  # two frames, one label, three tokens
        >>> loss = transducer_loss(logits, torch.tensor([[1]]))  # 2 alignments of 3 steps, each of probability 3⁻³
        >>> round(loss.item(), 4)  # −ln(2 / 27)
        2.6027
        >>> loss.backward()
        >>> tuple(logits.grad.shape)
        (1, 2, 2, 3)
    """
    check_choice(reduction, "reduction", REDUCTIONS)
    alignment = _checked(logits, targets, logit_lengths, target_lengths, blank)
    if logits.dtype in _HALF:
        logits = logits.float()
    if logits.dtype != torch.float32 or tracing() or native_problem(logits.device, logits.dtype) is not None:
        losses = _reference(logits, alignment)
    else:
        losses = _NativeLoss.apply(logits.contiguous(), alignment)  # type: ignore[no-untyped-call]
    if reduction == "none":
        return losses
    return losses.mean() if reduction == "mean" else losses.sum()


def transducer_reference(
    logits: Tensor,
    targets: Tensor,
    logit_lengths: Lengths | None = None,
    target_lengths: Lengths | None = None,
    *,
    blank: int = 0,
) -> Tensor:
    """Compute the losses [B] by PyTorch's operations, one diagonal of the lattice after the other.

    It is computed in the type and on the device of the logits, and can be differentiated any number of times. The
    graph keeps all α beside the logits, their softmax and its gradient.

    Args:
        logits, targets, logit_lengths, target_lengths, blank: as for :func:`transducer_loss`.

    Raises:
        ShapeError, DataError, ConfigError: as :func:`transducer_loss` does.

    Example:
        >>> import torch
        >>> logits = torch.zeros(1, 2, 2, 3, dtype=torch.float64)
        >>> transducer_reference(logits, torch.tensor([[1]])).exp()  # 27 / 2
        tensor([13.5000], dtype=torch.float64)
    """
    return _reference(logits, _checked(logits, targets, logit_lengths, target_lengths, blank))


class _Alignment(NamedTuple):
    """What is to be aligned, checked and copied: the user may change it before the backward pass.

    Attributes:
        targets: int64 [B, U] on the CPU.
        frames, labels: int64 [B] on the CPU, T_b and U_b of each row.
        blank: its number.
    """

    targets: Tensor
    frames: Tensor
    labels: Tensor
    blank: int


def _reference(logits: Tensor, alignment: _Alignment) -> Tensor:
    device, (batch, time, nodes, _) = logits.device, logits.shape
    frames, labels = alignment.frames.to(device), alignment.labels.to(device)
    inside = valid_steps(frames, time, device)[:, :, None] & valid_steps(labels + 1, nodes, device)[:, None]
    # Before all sums, so that NaN in padding reaches no gradient.
    log_p = logits.masked_fill(~inside[..., None], 0.0).log_softmax(-1).clamp_min(_NEVER)
    targets = alignment.targets.to(device).masked_fill(~valid_steps(labels, nodes - 1, device), 0)
    chosen = targets[:, None, :, None].expand(-1, time, -1, -1)
    b = _by_diagonals(log_p[..., alignment.blank])
    l = _by_diagonals(F.pad(log_p[:, :, :-1].gather(3, chosen)[..., 0], (0, 1), value=_NEVER))  # noqa: E741
    alpha = torch.full_like(b[0], _NEVER)  # of the nodes (d − u, u), by u
    alpha[:, 0] = 0.0
    by_blank = []
    for b_d, l_d in zip(b, l, strict=True):
        by_blank.append(alpha + b_d)
        by_label = F.pad((alpha + l_d)[:, :-1], (1, 0), value=_NEVER)
        # Unlike logaddexp it has a second derivative where one of the two is "never".
        alpha = torch.logsumexp(torch.stack((by_blank[-1], by_label)), 0)
    row = torch.arange(batch, device=device)
    losses = -torch.stack(by_blank, 1)[row, frames - 1 + labels, labels]
    return torch.where(losses > _IMPOSSIBLE, torch.inf, losses)


def _by_diagonals(x: Tensor) -> tuple[Tensor, ...]:
    """x [B, T, U + 1] by d = t + u: T + U tensors [B, U + 1], "never" outside of the lattice."""
    batch, time, nodes = x.shape
    u = torch.arange(nodes, device=x.device)
    t = torch.arange(time + nodes - 1, device=x.device)[:, None] - u
    found = x.gather(1, t.clamp(0, time - 1).expand(batch, -1, -1))
    return found.masked_fill((t < 0) | (t >= time), _NEVER).unbind(1)


class _NativeLoss(torch.autograd.Function):
    """``apply(logits, alignment)`` → losses [B], of float32 on the CPU."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, alignment: _Alignment) -> Tensor:
        losses = logits.new_empty(len(logits))
        _native(logits, alignment).forward(logits.data_ptr(), losses.data_ptr(), torch.get_num_threads())
        ctx.save_for_backward(logits)
        ctx.alignment = alignment
        return losses

    @staticmethod
    def backward(ctx: Any, dlosses: Tensor) -> tuple[Tensor, None]:
        (logits,) = ctx.saved_tensors
        if torch.is_grad_enabled():  # second derivatives
            losses = _reference(logits, ctx.alignment)
            return torch.autograd.grad(losses, logits, dlosses, create_graph=True)[0], None
        dlosses, dlogits = dlosses.contiguous(), torch.empty_like(logits)
        call = _native(logits, ctx.alignment).backward
        call(logits.data_ptr(), dlosses.data_ptr(), dlogits.data_ptr(), torch.get_num_threads())
        return dlogits, None


def _native(logits: Tensor, alignment: _Alignment) -> Any:
    """The problem as the core has it; it holds addresses of the alignment's tensors."""
    core = native_core()
    assert core is not None
    batch, time, nodes, vocabulary = logits.shape
    targets, frames, labels, blank = alignment
    addresses = (frames.data_ptr(), labels.data_ptr(), targets.data_ptr())
    return core.TransducerF32(batch, time, nodes - 1, vocabulary, blank, *addresses)


# --- checks ----------------------------------------------------------------------------------------------------------


def _checked(
    logits: Tensor, targets: Tensor, logit_lengths: Lengths | None, target_lengths: Lengths | None, blank: int
) -> _Alignment:
    check_whole(blank, "blank", least=0)
    _check_shapes(logits, targets)
    batch, time, _, vocabulary = logits.shape
    if blank >= vocabulary:
        raise ConfigError.of("blank", blank, f"expected 0 to {vocabulary - 1}: the logits have {vocabulary} tokens")
    frames = _lengths("logit_lengths", logit_lengths, batch, time, 1)
    labels = _lengths("target_lengths", target_lengths, batch, targets.shape[1], 0)
    targets = targets.detach().to("cpu", torch.int64, copy=True).contiguous()
    _check_labels(targets, labels, blank, vocabulary)
    return _Alignment(targets, frames, labels, int(blank))


def _check_shapes(logits: Tensor, targets: Tensor) -> None:
    if not isinstance(logits, Tensor) or not isinstance(targets, Tensor):
        kinds = f"{type(logits).__name__} and {type(targets).__name__}"
        raise ShapeError(f"logits and targets are {kinds}; expected tensors: torch.as_tensor(...)")
    if not logits.is_floating_point():
        raise ShapeError(f"logits is {logits.dtype}; expected floating-point numbers: logits.float()")
    if logits.dim() != 4:
        hint = ": joiner(encoded[:, :, None] + predicted[:, None]) makes them" if logits.dim() == 3 else ""
        raise ShapeError.of("logits", tuple(logits.shape), f"; expected [batch, frames, labels + 1, vocabulary]{hint}")
    if 0 in logits.shape:
        raise ShapeError.of("logits", tuple(logits.shape), "; expected at least one row, frame, node and token")
    if targets.is_floating_point() or targets.dtype == torch.bool:
        raise ShapeError(f"targets is {targets.dtype}; expected integer labels: targets.long()")
    batch, _, nodes, _ = logits.shape
    if targets.dim() == 2 and targets.shape == (batch, nodes):
        raise ShapeError.of(
            "targets",
            tuple(targets.shape),
            f" and logits has shape {tuple(logits.shape)}; expected logits for {nodes + 1} numbers of labels, 0 to "
            f"{nodes}: let the predictor read a start symbol before the labels",
        )
    if targets.shape != (batch, nodes - 1):
        hint = ": pad the rows with torch.nn.utils.rnn.pad_sequence" if targets.dim() == 1 else ""
        raise ShapeError.of(
            "targets",
            tuple(targets.shape),
            f" and logits has shape {tuple(logits.shape)}; expected targets [{batch}, {nodes - 1}], labels of each "
            f"row{hint}",
        )


def _lengths(name: str, given: Lengths | None, batch: int, most: int, least: int) -> Tensor:
    """Return lengths as int64 [B] on the CPU, each from `least` to `most`."""
    if given is None:
        return torch.full((batch,), most)
    try:
        found = torch.as_tensor(given)
    except (TypeError, ValueError):
        raise ShapeError(f"{name} is {given!r}; expected {batch} integers, one a row") from None
    if found.shape != (batch,) or found.is_floating_point() or found.dtype == torch.bool:
        raise ShapeError(
            f"{name} has shape {tuple(found.shape)} and {found.dtype}; expected ({batch},) integers, one a row"
        )
    found = found.detach().to("cpu", torch.int64, copy=True)
    low, high = (int(end) for end in torch.aminmax(found))
    if low < least or high > most:
        row = int(found.argmin() if low < least else found.argmax())
        what = "frames of the logits" if name == "logit_lengths" else "labels of the targets"
        raise ShapeError(
            f"{name}[{row}] is {int(found[row])}; expected {least} to {most}, the {what}"
            + (". Leave out rows that have no frame" if name == "logit_lengths" and low < 1 else "")
        )
    return found


def _check_labels(targets: Tensor, lengths: Tensor, blank: int, vocabulary: int) -> None:
    valid = valid_steps(lengths, targets.shape[1], targets.device)
    wrong = (((targets < 0) | (targets >= vocabulary) | (targets == blank)) & valid).nonzero()
    if not len(wrong):
        return
    row, step = wrong[0].tolist()
    label = int(targets[row, step])
    expected = f"expected labels 0 to {vocabulary - 1} without the blank, {blank}"
    if label == blank:
        remedy = f"pass blank= with the number that no label has, or leave the label out: row {row} has it at {step}"
        raise DataError(f"the label {label} arrived, which is the blank; {expected}", remedy=remedy)
    remedy = f"give the joiner {label + 1} outputs" if label > 0 else "pass target_lengths, if it stands for padding"
    raise DataError(f"the label {label} arrived, in row {row} at {step}; {expected}", remedy=remedy)
