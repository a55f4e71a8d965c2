"""Which rows an epoch visits, and in which order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ...errors import ConfigError


@dataclass
class Order:
    """The rows that an epoch visits, in a new order each time where there is a generator.

    Args:
        rows: indices of the rows.
        generator: draws the order; None: the rows as they are.
        rank, world: of several processes each visits every `world`-th row.
        even: repeat rows until all processes have equally many, for what cuts batches by itself and must yield as many
            in each process.
        old, drawn: beside `rows`, an epoch visits `drawn` of the `old` rows, others each time.
    """

    rows: Tensor
    generator: torch.Generator | None = None
    rank: int = 0
    world: int = 1
    even: bool = False
    old: Tensor | None = None
    drawn: int = 0

    def draw(self) -> Tensor:
        rows = self.rows
        if self.old is not None:
            rows = torch.cat([rows, self._old()])
        count = len(rows)
        if self.generator is not None:
            rows = rows[torch.randperm(count, generator=self.generator)]
        if self.even and count % self.world:
            rows = torch.cat([rows, rows.repeat(self.world)[: -count % self.world]])
        return rows[self.rank :: self.world]

    def _old(self) -> Tensor:
        """As many old rows as an epoch sees; all of them before any comes again."""
        assert self.old is not None
        found: list[Tensor] = []
        for start in range(0, self.drawn, len(self.old)):
            picked = self.old
            if self.generator is not None:
                picked = picked[torch.randperm(len(picked), generator=self.generator)]
            found.append(picked[: self.drawn - start])
        return torch.cat(found)

    def __iter__(self) -> Iterator[int]:  # a DataLoader takes an Order as its sampler
        return iter(self.draw().tolist())

    def __len__(self) -> int:
        count = len(self.rows) + self.drawn
        extra = -count % self.world if self.even else 0
        return len(range(self.rank, count + extra, self.world))

    @property
    def most(self) -> int:
        """The rows of the process that has the most, which is the first."""
        return -(-(len(self.rows) + self.drawn) // self.world)


@dataclass
class ReplayData:
    """New rows that every epoch visits, and old rows of which it draws some.

    Args:
        data: `(X, y)` or a `Batch`: the new rows, then the old rows.
        new: the number of new rows.
        drawn: how many old rows an epoch visits.
    """

    data: Any
    new: int
    drawn: int

    def order(self, order: Order) -> Order:
        """Return the order of all rows as one of the new rows, with the old rows to draw from."""
        return replace(order, rows=order.rows[: self.new], old=order.rows[self.new :], drawn=self.drawn)


def share_of(rows: Tensor, share: float, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """The rows that stay and the share to validate on, each in their order: a random one, without a generator the end.

    Raises:
        ConfigError: no rows would be left on one side.
    """
    count = len(rows)
    size = max(1, round(count * share))
    if not 0 < share < 1 or size >= count:
        raise ConfigError(
            f"validation={share} of {count} rows arrived; expected a share that leaves rows on both sides"
        )
    if generator is not None:
        rows = rows[torch.randperm(count, generator=generator)]
    return rows[:-size].sort().values, rows[-size:].sort().values
