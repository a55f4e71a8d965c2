"""Lines of text in pictures: brought to one height, ink 1 on paper 0, and changed at random while training.

Legend: H rows, W columns, B batch.
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import DataError, check_number, check_whole

if TYPE_CHECKING:
    import numpy.typing as npt
    import torch

_CONTRAST = 0.02  # of the full range: less than that between ink and paper is an empty picture
_DARKEST = 0.995  # the quantile of the ink that counts as 1; single pixels may be darker


class Line(NamedTuple):
    """A picture of a line of text as a network reads it.

    Attributes:
        ink: [H, W] float32 in [0, 1], ink 1 on paper 0.
        scale: columns of the picture's file for one of `ink`.
    """

    ink: torch.Tensor
    scale: float


def prepare_line(grey: npt.ArrayLike, height: int) -> Line:
    """Bring a grey picture of a line to a height, with ink 1 on paper 0.

    Paper is what the picture's border mostly shows, dark or light. The width follows the height.

    Args:
        grey: [rows, columns] in [0, 1].
        height: H.

    Raises:
        DataError: another shape, or numbers that are none.

    Example:
        >>> import numpy as np
        >>> page = np.ones((64, 200)); page[20:40, 50:60] = 0.3  # dark ink on white paper
        >>> line = prepare_line(page, 32)
        >>> tuple(line.ink.shape), line.scale, round(float(line.ink[15, 27]), 2), float(line.ink[0, 0])
        ((32, 100), 2.0, 1.0, 0.0)
    """
    import numpy as np
    import torch
    from PIL import Image

    check_whole(height, "height")
    values = np.asarray(grey, np.float32)
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        raise DataError(f"a picture of shape {list(values.shape)} arrived; expected grey values [rows, columns]")
    border = np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])
    difference = np.float32(np.median(border)) - values
    if -float(difference.min()) > float(difference.max()):  # light ink on dark paper
        difference = -difference
    difference = difference.clip(0, None)
    strokes = difference[difference > _CONTRAST]
    if not strokes.size:
        difference[:] = 0
    else:
        difference = (difference / np.quantile(strokes, _DARKEST)).clip(0, 1)
    width = max(1, round(values.shape[1] * height / values.shape[0]))
    if difference.shape != (height, width):
        resized = Image.fromarray(difference).resize((width, height), Image.Resampling.BILINEAR)
        difference = np.asarray(resized, np.float32).clip(0, 1)
    return Line(torch.from_numpy(np.array(difference, np.float32)), values.shape[1] / width)


def read_line(path: str | os.PathLike[str], height: int) -> Line:
    """Read a picture of a line of text from a file, as `prepare_line` makes it.

    Args:
        path: a file in any format that Pillow reads.
        height: H.

    Raises:
        DataError: there is no such file, or it is no picture.

    Example:
        >>> read_line("line.png", 32).ink.shape                               # doctest: +SKIP
        torch.Size([32, 411])
    """
    from .images import read_grey

    return prepare_line(read_grey(path), height)


class LineAugment:
    """Change pictures of lines at random, each row of a batch in its own way.

    With u drawn alike from a range: columns are scaled by 1 + u(−scale, scale), rows alike and apart from them; each
    row is moved sideways by its height above the middle times u(−slant, slant); the whole by u(−shift, shift) rows; ink
    is multiplied by 1 + u(−contrast, contrast), and noise of a spread of u(0, noise) is added.

    Args:
        shift: rows.
        scale: a share, below 1.
        slant: columns a row.
        contrast: a share, below 1.
        noise: the largest spread, of ink 1.

    Raises:
        ConfigError: a number outside its range.

    Example:
        >>> import torch
        >>> augment, generator = LineAugment(), torch.Generator().manual_seed(0)
        >>> lines, widths = augment(torch.rand(2, 32, 90), torch.tensor([90, 50]), generator)
        >>> tuple(lines.shape), widths.tolist(), float(lines[1, :, int(widths[1]) :].sum())
        ((2, 32, 90), [90, 53], 0.0)
    """

    def __init__(
        self,
        *,
        shift: float = 1.5,
        scale: float = 0.1,
        slant: float = 0.2,
        contrast: float = 0.2,
        noise: float = 0.05,
    ) -> None:
        check_number(shift, "shift")
        check_number(scale, "scale", below=1)
        check_number(slant, "slant")
        check_number(contrast, "contrast", below=1)
        check_number(noise, "noise")
        self.shift, self.scale, self.slant, self.contrast, self.noise = shift, scale, slant, contrast, noise

    def __call__(
        self, lines: torch.Tensor, widths: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return changed pictures [B, H, W'], 0 behind their widths, and the widths [B].

        Args:
            lines: [B, H, W], 0 behind each row's width.
            widths: columns of each [B].
            generator: of all that is drawn.
        """
        import torch

        batch, height, wide = lines.shape

        def around(most: float) -> torch.Tensor:
            return (2 * torch.rand(batch, 1, 1, generator=generator) - 1) * most

        across, down = 1 + around(self.scale), 1 + around(self.scale)
        slant, shift, contrast = around(self.slant), around(self.shift), 1 + around(self.contrast)
        changed = (widths * across[:, 0, 0]).round().long().clamp(min=1)
        width = int(changed.max())
        middle = (height - 1) / 2
        rows = (torch.arange(height, dtype=torch.float32)[None, :, None] - middle - shift) / down
        columns = torch.arange(width, dtype=torch.float32)[None, None] / across + slant * rows
        at = torch.stack(
            [(2 * columns + 1) / wide - 1, ((2 * (rows + middle) + 1) / height - 1).expand_as(columns)], -1
        )
        found = torch.nn.functional.grid_sample(lines[:, None], at, align_corners=False)[:, 0] * contrast
        if self.noise:
            spread = torch.rand(batch, 1, 1, generator=generator) * self.noise
            found = found + spread * torch.randn(found.shape, generator=generator)
        valid = torch.arange(width) < changed[:, None]
        return found.clamp_(0, 1) * valid[:, None], changed

    def __repr__(self) -> str:
        names = ("shift", "scale", "slant", "contrast", "noise")
        return f"LineAugment({', '.join(f'{name}={getattr(self, name):g}' for name in names)})"


def columns_of(pictures: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return pictures [H, W_i] side by side as one tensor [B, H, W], 0 behind each width, and the widths [B].

    Example:
        >>> import torch
        >>> lines, widths = columns_of([torch.ones(32, 5), torch.ones(32, 9)])
        >>> tuple(lines.shape), widths.tolist()
        ((2, 32, 9), [5, 9])
    """
    import torch

    widths = torch.tensor([one.shape[1] for one in pictures])
    lines = torch.zeros(len(pictures), pictures[0].shape[0], int(widths.max()))
    for row, one in enumerate(pictures):
        lines[row, :, : one.shape[1]] = one
    return lines, widths


def steps_of(width: Any, stride: int) -> Any:
    """Return the steps that a network makes of a width.

    Example:
        >>> steps_of(90, 4)
        23
    """
    return math.ceil(width / stride)
