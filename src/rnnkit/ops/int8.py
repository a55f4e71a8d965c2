"""Products of whole numbers in 8 bits.

    y = x Wᵀ ≈ s_r t_c Σ_k q_rk w_ck

    w_ck = round(W_ck / t_c),   t_c = max_k |W_ck| / 127        once, a scale for each row of W: an output
    q_rk = round(x_rk / s_r),   s_r = max_k |x_rk| / 127        as x comes, a scale for each row of x

Whole numbers lie between −127 and 127; halves are rounded to the even one. The sum over k is exact, in 32 bits, so it
is the same on every processor. x_rk / s_r is computed as x_rk · (127 / max_k |x_rk|), in float32 or float64. A row of x
whose largest entry is below 2⁻¹⁰⁰ counts as zeros; one that holds NaN or an infinity makes all its products NaN.

A square weight that began as the identity has a diagonal d that dwarfs what is beside it: with one scale for both, the
others would lose most of their digits. Such a diagonal is kept as it is: w is 0 there, and y has + d ⊙ x.

Variant: symmetric quantisation with a scale for each output, and of the inputs dynamically with a scale for each row,
as in ONNX Runtime's and PyTorch's dynamic quantisation, but with the zero point 0.
Legend: R rows, K depth, N outputs.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from ..errors import ShapeError

Tensor = torch.Tensor
MOST = 127
"""The largest whole number."""
LEAST = 2.0**-100
"""A row whose entries are all smaller counts as zeros."""
DWARFS = 4
"""Times the largest entry beside it that an entry of a diagonal has, to be kept in float32. What began as the identity
has about 15, other matrices about 1."""
DEPTH = 65_536
"""K at most, so that sums fit into 32 bits."""


class Int8Weight(NamedTuple):
    """A weight W [N, K] in 8 bits, in the place of a tensor in :class:`rnnkit.ops.direction.RecurrentWeights`.

    Attributes:
        values: w, int8 [N, K].
        scales: t, float32 [N].
        diagonal: d, float32 [N], of a square W that began as the identity; None: it has no such diagonal.
    """

    values: Tensor
    scales: Tensor
    diagonal: Tensor | None = None

    @property
    def shape(self) -> torch.Size:
        """[N, K]."""
        return self.values.shape

    def chunk(self, chunks: int) -> tuple[Int8Weight, ...]:
        """Return the parts of the rows, as many as there are gates; there is no diagonal."""
        pairs = zip(self.values.chunk(chunks), self.scales.chunk(chunks), strict=True)
        return tuple(Int8Weight(*pair) for pair in pairs)

    def dequantised(self) -> Tensor:
        """Return t w, [N, K], which is W but for rounding."""
        found = self.values.to(self.scales.dtype) * self.scales[:, None]
        return found if self.diagonal is None else found + self.diagonal.diag()

    def product(self, x: Tensor) -> Tensor:
        """Compute y = x Wᵀ as the module says, the reference of the native product.

        Args:
            x: [..., K].

        Returns:
            [..., N].
        """
        q, scales = quantise_rows(x)
        sums = (q.double() @ self.values.double().T).to(scales.dtype)  # exact: whole numbers below 2³¹
        product = sums * (scales * self.scales)
        return (product if self.diagonal is None else product + self.diagonal * x).to(x.dtype)


def quantise_weight(weight: Tensor) -> Int8Weight:
    """Return W [N, K] in 8 bits, with a scale for each of its rows; a row of zeros gets the scale 0.

    Raises:
        ShapeError: W has other axes, or rows that are longer than 65,536.

    Example:
        >>> weight = quantise_weight(torch.tensor([[1.0, -0.3], [0.0, 0.0]]))
        >>> weight.values.tolist(), [round(scale, 4) for scale in weight.scales.tolist()]
        ([[127, -38], [0, 0]], [0.0079, 0.0])
    """
    if weight.dim() != 2 or weight.shape[1] > DEPTH:
        raise ShapeError(f"weight has shape {tuple(weight.shape)}; expected two axes, the second up to {DEPTH:,}")
    values, scales = quantise_rows(weight.detach())
    return Int8Weight(values, scales[:, 0].contiguous())


def dwarfing_diagonal(weight: Tensor) -> Tensor | None:
    """Return the diagonals [..., N] of square weights [..., N, N] where they dwarf what is beside them, else None.

    On 10,000 held-out training images of MNIST a SimpleRNN(128) that began as the identity lost 0.25 points of accuracy
    with all of it in 8 bits, and 0.03 with the diagonal in float32 (docs/decisions/0030-interchange.md).

    Example:
        >>> dwarfing_diagonal(torch.eye(3) + 0.01), dwarfing_diagonal(torch.ones(3, 3))
        (tensor([1.0100, 1.0100, 1.0100]), None)
    """
    if weight.dim() < 2 or weight.shape[-2] != weight.shape[-1] or weight.shape[-1] < 2:
        return None
    diagonal = weight.detach().diagonal(dim1=-2, dim2=-1).clone()
    beside = (weight.detach() - diagonal.diag_embed()).abs().amax(-1)
    return diagonal if bool(diagonal.abs().median() > DWARFS * beside.median()) else None


def quantise_rows(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return x [..., K] in 8 bits, int8 [..., K], and the scale of each row [..., 1], float32 at least.

    Example:
        >>> q, scales = quantise_rows(torch.tensor([[0.5, -1.0, 0.0]]))
        >>> q.tolist(), [round(scale, 4) for scale in scales[0].tolist()]
        ([[64, -127, 0]], [0.0079])
    """
    if x.dtype in (torch.float16, torch.bfloat16):
        x = x.float()  # 127 / max |x| would overflow, or round to a number whose products exceed 127
    if x.shape[-1] == 0:
        return x.to(torch.int8), x.new_zeros(*x.shape[:-1], 1)
    largest = x.abs().amax(-1, keepdim=True)
    finite, none = largest.isfinite(), largest < LEAST
    inverse = torch.where(finite & ~none, MOST / largest, 0.0)
    scaled = torch.where(finite, x, 0.0) * inverse
    return scaled.round().to(torch.int8), torch.where(none, 0.0, largest / MOST)
