"""Images as sequences of single pixels: what stands in front of a recurrent body that reads one pixel a step.

    x_t = (p_{π(t)} − mean) / std        t = 1 … height · width

π is the order of reading, row by row from the top, or one fixed permutation. Sequential and permuted MNIST (Le, Jaitly
& Hinton 2015, arXiv:1504.00941) are 28 × 28 images read so: 784 steps, between whose first and last pixel a network has
to remember. A permutation also takes the short-range structure away, so that everything depends on long memory.
"""

from __future__ import annotations

from typing import Any

import torch

from ..errors import ConfigError, ShapeError
from ..types import State
from ._checks import Lengths
from .sequence_module import SequenceModule

Tensor = torch.Tensor


class PixelFront(SequenceModule):
    """Reads grey images one pixel a step, in front of a recurrent body of ``input_size=1``; see the module.

    Args:
        height, width: of the images.
        permutation: None for row by row, or the seed of the fixed permutation.
        mean, std: of the pixels, taken away and divided by.
        shift: while training each image is moved by at most so many pixels each way, before it is permuted; what comes
            in is the image's own background, 0.

    Shapes:
        x [B, height, width] → [B, height · width, 1], None for lengths and None for a state.

    Raises:
        ConfigError: a size below 1, a shift below 0 or no spread. ShapeError: images of another size, or lengths.

    Example:
        >>> import torch, rnnkit
        >>> front = rnnkit.PixelFront(2, 2)
        >>> front(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]))[0].flatten().tolist()
        [1.0, 2.0, 3.0, 4.0]
    """

    output_size = 1

    def __init__(
        self,
        height: int,
        width: int,
        permutation: int | None = None,
        mean: float = 0.0,
        std: float = 1.0,
        shift: int = 0,
    ) -> None:
        super().__init__()
        if min(height, width) < 1 or shift < 0 or not std > 0:
            raise ConfigError(
                f"height={height}, width={width}, shift={shift} and std={std} arrived; expected sizes of at least 1, "
                "a shift of at least 0 and a std above 0"
            )
        self.height, self.width, self.permutation = height, width, permutation
        self.mean, self.std, self.shift = mean, std, shift
        order = torch.arange(height * width)
        if permutation is not None:
            order = torch.randperm(height * width, generator=torch.Generator().manual_seed(permutation))
        self.register_buffer("order", order)  # saved: no seed has to mean the same forever

    order: Tensor

    def config(self) -> dict[str, Any]:
        """Builder and arguments that make this module again, for ``rnnkit.load``."""
        names = ("height", "width", "permutation", "mean", "std", "shift")
        return {"builder": type(self).__name__, "arguments": {name: getattr(self, name) for name in names}}

    def forward(self, x: Tensor, lengths: Lengths | None = None) -> tuple[Tensor, Lengths | None, State | None]:
        """Map x [B, height, width] to ([B, height · width, 1], None, None)."""
        if lengths is not None or x.shape[1:] != (self.height, self.width):
            what = f"images {list(x.shape)}" + (" with lengths" if lengths is not None else "")
            raise ShapeError(f"{what} arrived; expected [B, {self.height}, {self.width}] without lengths")
        if self.training and self.shift:
            x = self._shifted(x)
        return ((x.flatten(1)[:, self.order] - self.mean) / self.std)[:, :, None], None, None

    def extra_repr(self) -> str:
        names = ("height", "width", "permutation", "mean", "std", "shift")
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in names)

    def _shifted(self, x: Tensor) -> Tensor:
        padded = torch.nn.functional.pad(x, (self.shift,) * 4)
        down, right = torch.randint(2 * self.shift + 1, (2, len(x), 1), device=x.device)
        rows = (torch.arange(self.height, device=x.device) + down)[:, :, None]
        columns = (torch.arange(self.width, device=x.device) + right)[:, None, :]
        return padded[torch.arange(len(x), device=x.device)[:, None, None], rows, columns]
