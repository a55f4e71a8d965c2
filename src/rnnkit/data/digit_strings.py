"""Pictures of strings of digits, made of pictures of single digits that overlap.

A string of n digits is made of n pictures of 28 × 28 pixels of MNIST's form, ink 1 on paper 0. With d_i drawn from the
single pictures, and all other numbers drawn alike from whole numbers within a range:

    x_0 ∈ margin,   x_i = x_{i−1} + step_i,   y_i ∈ [0, 2 · jitter]
    picture[y, x] = max_i d_i[y − y_i, x − x_i],   28 + 2 · jitter pixels high, a margin behind the last digit

The frames of neighbours overlap by 28 − step pixels. MNIST's ink is 15 columns wide in the mean. With steps of 12 to 18
pixels, 48% of neighbours share columns, and the ink of 30% crosses.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..errors import DataError, check_whole

if TYPE_CHECKING:
    import numpy as np
    import torch

FRAME = 28  # pixels of a digit's picture
_AT_ONCE = 1024  # digits that are changed together; more take more memory, and no less time


class DigitStrings:
    """Strings of digits, made again by `redraw`; see the module for how.

    Args:
        images: of single digits, [N, 28, 28] in [0, 1], ink 1.
        labels: the digits [N], 0 to 9.
        count: strings of an epoch.
        lengths: the least and the most digits of a string; each number is as frequent.
        step: the least and the most pixels from one digit's frame to the next one's.
        jitter: pixels that a digit is moved up or down, at most.
        margin: the least and the most pixels before the first frame, and behind the last one.
        growing: so many epochs begin with strings of two digits at most: a network that is trained by CTC learns
            short strings sooner.
        change: a function of pictures of digits [n, 1, 28, 28], such as :class:`rnnkit.PictureWarp`, which changes each
            digit of a string at random, after the epochs of `growing`; None: they stay.
        seed: of the first epoch.

    Attributes:
        texts: the digits of each string.
        widths: of each picture in pixels [count].

    Raises:
        DataError: no images, another shape, or not as many labels. ConfigError: a number outside its range.

    Example:
        >>> import torch
        >>> strings = DigitStrings(torch.rand(20, 28, 28), torch.arange(20) % 10, count=3, lengths=(2, 4))
        >>> strings.texts, strings.widths.tolist()
        (['5601', '036', '280'], [85, 64, 66])
        >>> tuple(strings.picture(0).shape)
        (32, 85)
    """

    def __init__(
        self,
        images: torch.Tensor,
        labels: torch.Tensor,
        count: int,
        *,
        lengths: tuple[int, int] = (1, 5),
        step: tuple[int, int] = (12, 18),
        jitter: int = 2,
        margin: tuple[int, int] = (0, 6),
        growing: int = 0,
        change: Callable[[torch.Tensor], torch.Tensor] | None = None,
        seed: int = 0,
    ) -> None:
        import torch

        check_whole(count, "count")
        check_whole(jitter, "jitter", 0)
        check_whole(growing, "growing", 0)
        for name, (low, high), least in (("lengths", lengths, 1), ("step", step, 1), ("margin", margin, 0)):
            check_whole(low, f"{name}[0]", least)
            check_whole(high, f"{name}[1]", low)
        if (
            images.dim() != 3
            or tuple(images.shape[1:]) != (FRAME, FRAME)
            or len(images) != len(labels)
            or not len(labels)
        ):
            raise DataError(
                f"images of shape {list(images.shape)} and {len(labels)} labels arrived; expected "
                f"[N, {FRAME}, {FRAME}] and N labels, at least one"
            )
        self.images = images.to(torch.float32)
        self.labels: list[int] = labels.tolist()
        self.count, self.lengths, self.step, self.jitter, self.margin = count, lengths, step, jitter, margin
        self.growing, self.change, self._seed = growing, change, seed
        self.redraw(seed, 0)

    @property
    def height(self) -> int:
        """Pixels of each picture from top to bottom."""
        return FRAME + 2 * self.jitter

    def __len__(self) -> int:
        return self.count

    def redraw(self, seed: int, epoch: int) -> None:
        """Make other strings.

        Args:
            seed: of all that is drawn.
            epoch: counted from 0.
        """
        import numpy as np

        random = np.random.default_rng(seed)
        least, most = self.lengths
        if epoch < self.growing:
            most = max(least, min(most, 2))
        counts = random.integers(least, most + 1, self.count)
        ends = np.cumsum(counts)
        total = int(ends[-1])
        digits = random.integers(len(self.labels), size=total)
        steps = random.integers(self.step[0], self.step[1] + 1, total)
        rows = random.integers(0, 2 * self.jitter + 1, total)
        margins = random.integers(self.margin[0], self.margin[1] + 1, (self.count, 2))
        self._parts: list[tuple[list[int], list[int], list[int]]] = []
        widths = []
        for begin, end, (before, behind) in zip(ends - counts, ends, margins, strict=True):
            columns = before + np.cumsum(steps[begin:end]) - steps[begin]
            widths.append(int(columns[-1]) + FRAME + int(behind))
            self._parts.append((digits[begin:end].tolist(), columns.tolist(), rows[begin:end].tolist()))
        self.texts: Sequence[str] = ["".join(str(self.labels[one]) for one in part[0]) for part in self._parts]
        self.widths: np.ndarray = np.array(widths)
        self._begins: list[int] = (ends - counts).tolist()
        self._changed = None if epoch < self.growing else self._change(digits, seed)

    def _change(self, digits: np.ndarray, seed: int) -> torch.Tensor | None:
        """Return the digits of all strings one after the other, each changed [n, 28, 28]; None where they stay."""
        if self.change is None:
            return None
        import torch

        with torch.random.fork_rng(devices=()), torch.inference_mode():
            torch.manual_seed(seed)
            parts = torch.from_numpy(digits).split(_AT_ONCE)
            return torch.cat([self.change(self.images[part, None])[:, 0] for part in parts])

    def picture(self, index: int) -> torch.Tensor:
        """Return a picture [height, width] in [0, 1], ink 1."""
        import torch

        picture = torch.zeros(self.height, int(self.widths[index]))
        for number, (digit, column, row) in enumerate(zip(*self._parts[index], strict=True), self._begins[index]):
            frame = picture[row : row + FRAME, column : column + FRAME]
            torch.maximum(frame, self.images[digit] if self._changed is None else self._changed[number], out=frame)
        return picture

    def fingerprint(self) -> str:
        """Return a digest of the digits and of how they are joined."""
        how = (self.labels, self.count, self.lengths, self.step, self.jitter, self.margin, self.growing, self._seed)
        found = hashlib.sha256(repr(how).encode())
        found.update(self.images.contiguous().numpy().tobytes())
        return found.hexdigest()
