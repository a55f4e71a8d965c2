"""The loss of a transducer: the reference against all alignments one by one, the native core against the reference."""

import itertools
import math

import pytest
import torch
from tolerances import assert_close

from rnnkit.errors import ConfigError, DataError, ShapeError
from rnnkit.ops.transducer import transducer_loss, transducer_reference

# Frames, labels, vocabulary; with V below 6 the core keeps its records beside the gradient.
SIZES = [(1, 0, 1), (1, 3, 4), (5, 0, 3), (2, 2, 2), (7, 3, 5), (6, 9, 6), (13, 5, 33), (30, 21, 29)]


def made(frames, labels, vocabulary, *, rows=3, blank=0, dtype=torch.float32, seed=0):
    """Logits, labels and lengths; NaN in the padding of the logits, labels that do not exist in that of the labels."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(rows, frames, labels + 1, vocabulary, generator=generator, dtype=dtype)
    targets = torch.randint(max(vocabulary - 1, 1), (rows, labels), generator=generator)
    targets += targets >= blank
    logit_lengths = torch.randint(1, frames + 1, (rows,), generator=generator)
    target_lengths = torch.randint(0, labels + 1, (rows,), generator=generator)
    logit_lengths[0], target_lengths[0] = frames, labels
    inside = lattice(logit_lengths, target_lengths, frames, labels)
    logits[~inside] = math.nan
    targets[torch.arange(labels) >= target_lengths[:, None]] = 1000
    return logits, targets, logit_lengths, target_lengths, inside


def lattice(logit_lengths, target_lengths, frames, labels):
    in_time = torch.arange(frames) < logit_lengths[:, None]
    return in_time[:, :, None] & (torch.arange(labels + 1) <= target_lengths[:, None])[:, None]


def one_by_one(logits, targets, blank):
    """−ln of the sum over all alignments of one row [T, U + 1, V]: at which frame each label stands."""
    log_p, total = logits.log_softmax(-1), []
    for frames in itertools.combinations_with_replacement(range(len(logits)), len(targets)):
        score, u = torch.zeros((), dtype=logits.dtype), 0
        for t in range(len(logits)):
            while u < len(targets) and frames[u] == t:
                score = score + log_p[t, u, targets[u]]
                u += 1
            score = score + log_p[t, u, blank]
        total.append(score)
    return -torch.stack(total).logsumexp(0)


@pytest.mark.parametrize(("frames", "labels"), [(1, 0), (1, 3), (4, 0), (4, 3)])
@pytest.mark.parametrize("blank", [0, 2])
def test_the_reference_is_the_sum_over_all_alignments(frames, labels, blank):
    logits, targets, *lengths, _ = made(frames, labels, 5, blank=blank, dtype=torch.float64)
    found = transducer_reference(logits, targets, *lengths, blank=blank)
    expected = [
        one_by_one(row[:t, : u + 1], label[:u].tolist(), blank)
        for row, label, t, u in zip(logits, targets, *(one.tolist() for one in lengths), strict=True)
    ]
    assert_close(found, torch.stack(expected))


def test_the_example_of_warp_transducer():
    """Its published loss and gradient (Mingkun Huang, warp-transducer), which torchaudio's tests have, too."""
    rows = [
        [[0.1, 0.6, 0.1, 0.1, 0.1], [0.1, 0.1, 0.6, 0.1, 0.1], [0.1, 0.1, 0.2, 0.8, 0.1]],
        [[0.1, 0.6, 0.1, 0.1, 0.1], [0.1, 0.1, 0.2, 0.1, 0.1], [0.7, 0.1, 0.2, 0.1, 0.1]],
    ]
    gradient = [
        [
            [-0.13116688, -0.3999269, 0.17703125, 0.17703125, 0.17703125],
            [-0.18572757, 0.12247056, -0.18168412, 0.12247056, 0.12247056],
            [-0.32091254, 0.06269141, 0.06928472, 0.12624499, 0.06269141],
        ],
        [
            [0.05456069, -0.21824276, 0.05456069, 0.05456069, 0.05456069],
            [0.12073959, 0.12073959, -0.48295835, 0.12073959, 0.12073959],
            [-0.6925882, 0.16871116, 0.18645467, 0.16871116, 0.16871116],
        ],
    ]
    for dtype in (torch.float32, torch.float64):
        logits = torch.tensor([rows], dtype=dtype, requires_grad=True)
        loss = transducer_loss(logits, torch.tensor([[1, 2]]))
        loss.backward()
        torch.testing.assert_close(loss.detach(), torch.tensor(4.495666, dtype=dtype), rtol=0, atol=2e-6)
        torch.testing.assert_close(logits.grad, torch.tensor([gradient], dtype=dtype), rtol=0, atol=1e-6)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("blank", ["first", "last"])
def test_the_core_is_the_reference(sizes, blank):
    blank = 0 if blank == "first" else sizes[2] - 1
    logits, targets, *lengths, inside = made(*sizes, blank=blank)
    weights = torch.rand(3, generator=torch.Generator().manual_seed(1))
    ours, theirs = logits.clone().requires_grad_(), logits.double().requires_grad_()
    found = transducer_loss(ours, targets, *lengths, blank=blank, reduction="none")
    expected = transducer_reference(theirs, targets, *lengths, blank=blank)
    (found * weights).sum().backward()
    (expected * weights).sum().backward()
    assert found.grad_fn.name().startswith("_NativeLoss")
    torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(ours.grad.double(), theirs.grad, rtol=0, atol=1e-6)
    assert not ours.grad[~inside].any()
    assert not theirs.grad[~inside].any()


def test_the_gradients_are_those_of_the_loss():
    logits, targets, *lengths, _ = made(3, 2, 3, rows=2, dtype=torch.float64)
    logits = logits.nan_to_num().requires_grad_()
    assert torch.autograd.gradcheck(lambda z: transducer_loss(z, targets, *lengths, reduction="none"), logits)
    one = logits.detach()[:1, :2, :2].clone().requires_grad_()
    assert torch.autograd.gradgradcheck(lambda z: transducer_loss(z, targets[:1, :1]), one)


def test_second_derivatives_go_through_the_reference():
    logits, targets, *lengths, _ = made(3, 2, 7)
    found = []
    for loss in (
        lambda z: transducer_loss(z, targets, *lengths),
        lambda z: transducer_reference(z, targets, *lengths).mean(),
    ):
        z = logits.nan_to_num().clone().requires_grad_()
        (gradient,) = torch.autograd.grad(loss(z), z, create_graph=True)
        gradient.square().sum().backward()
        found.append((gradient.detach(), z.grad))
    assert_close(*found)


def test_reductions_and_lengths_by_default():
    logits, targets, *_ = made(5, 2, 9, rows=2)
    logits, targets = logits.nan_to_num(), targets.clamp(max=8)
    each = transducer_loss(logits, targets, reduction="none")
    assert each.shape == (2,)
    assert_close(transducer_loss(logits, targets), each.mean())
    assert_close(transducer_loss(logits, targets, reduction="sum"), each.sum())
    assert_close(transducer_loss(logits, targets, [5, 5], (2, 2), reduction="none"), each)


def test_layouts_and_types_of_the_arguments():
    logits, targets, *lengths, _ = made(6, 3, 8)
    expected = transducer_loss(logits, targets, *lengths)
    turned = logits.transpose(1, 2).contiguous().transpose(1, 2).requires_grad_()
    found = transducer_loss(turned, targets.int().T.contiguous().T, *(one.int() for one in lengths))
    found.backward()
    assert_close(found.detach(), expected)
    assert turned.grad.shape == logits.shape
    half = transducer_loss(logits.bfloat16(), targets, *lengths)
    assert half.dtype == torch.float32
    assert_close(half, transducer_loss(logits.bfloat16().float(), targets, *lengths))


def test_what_the_caller_changes_later_changes_nothing():
    logits, targets, *lengths, _ = made(6, 3, 8)
    gradients = []
    for change in (False, True):
        z, y, copies = logits.clone().requires_grad_(), targets.clone(), [one.clone() for one in lengths]
        loss = transducer_loss(z, y, *copies)
        if change:
            y.fill_(-5)
            copies[0].fill_(1)
            copies[1].fill_(0)
        loss.backward()
        gradients.append(z.grad)
    assert torch.equal(*gradients)


def test_rows_have_the_same_bits_whatever_the_threads():
    logits, targets, *lengths, _ = made(40, 12, 40, rows=9)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 4):
            torch.set_num_threads(threads)
            z = logits.clone().requires_grad_()
            losses = transducer_loss(z, targets, *lengths, reduction="none")
            losses.sum().backward()
            found.append((losses.detach(), z.grad))
    finally:
        torch.set_num_threads(before)
    for losses, gradient in found[1:]:
        assert torch.equal(losses, found[0][0])
        assert torch.equal(gradient, found[0][1])


def test_tokens_of_probability_zero():
    logits, targets, *_ = made(3, 2, 7, rows=2)
    logits, targets = logits.nan_to_num(), torch.tensor([[1, 2], [3, 4]])
    logits[0, 0, 0, 1] = -math.inf  # the first label at the first frame
    logits[1, :, 1, 4] = -math.inf  # the second label, ever
    logits[:, :, :, 6] = -math.inf  # a token that nothing needs
    found = []
    for dtype in (torch.float32, torch.float64):
        z = logits.to(dtype, copy=True).requires_grad_()
        losses = transducer_loss(z, targets, reduction="none")
        losses.sum().backward()
        assert losses[1] == math.inf
        assert not z.grad[1].any()
        found.append((losses[:1].detach().double(), z.grad[:1].double()))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_numbers_that_are_none_reach_their_row_alone(wrong, dtype):
    logits, targets, *_ = made(3, 2, 9, rows=2, dtype=dtype)
    logits, targets = logits.nan_to_num(), targets.clamp(max=8)
    logits[1, 1, 1, 0] = wrong
    losses = transducer_loss(logits, targets, reduction="none")
    assert losses.isnan().tolist() == [False, True]


LOGITS, LABELS = torch.zeros(2, 5, 4, 6), torch.ones(2, 3, dtype=torch.long)


@pytest.mark.parametrize(
    ("error", "message", "arguments"),
    [
        (
            ShapeError,
            r"logits has shape \(2, 5, 6\); expected \[batch, frames, labels \+ 1, voc",
            (LOGITS[:, :, 0], LABELS),
        ),
        (ShapeError, r"logits has shape \(2, 0, 4, 6\); expected at least one", (LOGITS[:, :0], LABELS)),
        (ShapeError, r"logits is torch.int64; .*logits.float\(\)", (LOGITS.long(), LABELS)),
        (ShapeError, "targets is torch.float32; .*targets.long", (LOGITS, LABELS.float())),
        (ShapeError, "logits and targets are Tensor and list", (LOGITS, [[1, 1, 1]])),
        (ShapeError, "read a start symbol before the labels", (LOGITS, torch.ones(2, 4, dtype=torch.long))),
        (ShapeError, r"expected targets \[2, 3\]", (LOGITS, LABELS[:, :2])),
        (ShapeError, "pad the rows with", (LOGITS, LABELS.flatten())),
        (ShapeError, r"logit_lengths\[1\] is 6; expected 1 to 5", (LOGITS, LABELS, [5, 6])),
        (ShapeError, r"logit_lengths\[0\] is 0; .* Leave out rows", (LOGITS, LABELS, [0, 5])),
        (ShapeError, r"target_lengths\[0\] is 4; expected 0 to 3", (LOGITS, LABELS, None, [4, 1])),
        (ShapeError, r"target_lengths\[1\] is -1; expected 0 to 3", (LOGITS, LABELS, None, [1, -1])),
        (ShapeError, r"logit_lengths has shape \(1,\)", (LOGITS, LABELS, [5])),
        (ShapeError, "float32; expected .2,. integers", (LOGITS, LABELS, torch.tensor([5.0, 5.0]))),
        (ShapeError, "logit_lengths is 'all'; expected 2 integers", (LOGITS, LABELS, "all")),
        (DataError, "the label 6 arrived, in row 0 at 0; .*give the joiner 7 outputs", (LOGITS, LABELS + 5)),
        (DataError, "the label -1 arrived, .*pass target_lengths", (LOGITS, LABELS - 2)),
        (DataError, "the label 0 arrived, which is the blank", (LOGITS, LABELS - 1)),
    ],
)
def test_arguments_that_do_not_fit_are_told(error, message, arguments):
    with pytest.raises(error, match=message):
        transducer_loss(*arguments)
    with pytest.raises(error, match=message):
        transducer_reference(*arguments)


def test_settings_that_do_not_fit_are_told():
    with pytest.raises(ConfigError, match="blank=6 arrived; expected 0 to 5"):
        transducer_loss(LOGITS, LABELS, blank=6)
    with pytest.raises(ConfigError, match="blank=-1 arrived"):
        transducer_loss(LOGITS, LABELS, blank=-1)
    with pytest.raises(ConfigError, match="did you mean 'mean'"):
        transducer_loss(LOGITS, LABELS, reduction="means")
    with pytest.raises(DataError, match="the label 1 arrived, which is the blank; .*pass blank="):
        transducer_loss(LOGITS, LABELS, blank=1)
    assert transducer_loss(LOGITS, LABELS * 0, blank=1).isfinite()
