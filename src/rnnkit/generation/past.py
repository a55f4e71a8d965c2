"""The tokens of the past as a tensor, for the filters that need them."""

from __future__ import annotations

from collections.abc import Sequence

import torch

Tensor = torch.Tensor


class Past:
    """The ids of the past of each row as a tensor [B, W], −1 on the left where a row has fewer.

    Example:
        >>> past = Past([[1, 2], [3]], "cpu")
        >>> past.append(torch.tensor([5, 6]))
        >>> past.ids.tolist()
        [[1, 2, 5], [-1, 3, 6]]
    """

    def __init__(self, history: Sequence[Sequence[int]], device: torch.device | str) -> None:
        self._size = max(map(len, history))
        self._all = torch.full((len(history), 2 * self._size + 64), -1, dtype=torch.long, device=device)
        for row, ids in enumerate(history):
            self._all[row, self._size - len(ids) : self._size] = torch.tensor(ids, device=device)

    @property
    def ids(self) -> Tensor:
        """All of them, [B, W]."""
        return self._all[:, : self._size]

    def append(self, ids: Tensor) -> None:
        """Add one token a row [B]."""
        if self._size == self._all.shape[1]:
            self._all = torch.cat((self._all, torch.full_like(self._all, -1)), 1)
        self._all[:, self._size] = ids
        self._size += 1

    def reorder(self, index: Tensor) -> None:
        """Let the past of row ``index[i]`` be that of row i."""
        self._all = self._all.index_select(0, index)
