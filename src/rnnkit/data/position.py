"""The position in an epoch, the generator from whose state its order was drawn, and the share of a process."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from ..errors import ConfigError, check_seed
from ..types import Batch
from .sharding import check_shard

if TYPE_CHECKING:
    import torch


class EpochPosition:
    """The position in an epoch and the generator of its order.

    All that is random in an epoch is drawn when it begins. So the generator's state from before, and the number of
    batches since, are enough to resume with exactly the same batches.

    Args:
        seed: of the generator.

    Attributes:
        generator: a `torch.Generator`.
        batch: the number of batches that were yielded in this epoch.

    Example:
        >>> position = EpochPosition(seed=0)
        >>> position.begin(), position.advance(), position.batch
        (0, None, 1)
        >>> other = EpochPosition(seed=5)
        >>> other.load_state_dict(position.state_dict())
        >>> other.begin()
        1
    """

    def __init__(self, seed: int) -> None:
        import torch

        check_seed(seed)
        self.generator = torch.Generator().manual_seed(seed)
        self.batch = self._first = 0
        self._before = self.generator.get_state()

    def begin(self) -> int:
        """Begin an epoch, and return the number of its batches that were yielded before `load_state_dict`."""
        self._before = self.generator.get_state()
        self.batch, self._first = self._first, 0
        return self.batch

    def advance(self) -> None:
        """Count a batch; it is called before the batch is yielded."""
        self.batch += 1

    def end(self) -> None:
        """End an epoch whose batches were all yielded."""
        self.batch, self._before = 0, self.generator.get_state()

    def state_dict(self) -> dict[str, Any]:
        """Return the position and the generator's state from before the epoch."""
        return {"position": self.batch, "generator": self._before.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Let the next epoch resume behind that position."""
        self.batch = self._first = int(state["position"])
        self._before = state["generator"].clone()
        self.generator.set_state(self._before)


class ResumableBatches:
    """Base of batches whose iteration can resume in the middle of an epoch.

    Args:
        seed: of what is drawn for each epoch.
        rows: what the batches are made of; where it is one process's share of the data, the batches are.

    Attributes:
        position: the position in the epoch, and the generator of what is drawn for it.
        share: the number of the process and of all processes that have a part of each batch.
        is_share: whether other processes have the rest of the batches, or of their rows.
        in_step: whether each process has as many batches as the others.
    """

    share: tuple[int, int] = (0, 1)
    is_share = in_step = False

    def __init__(self, seed: int, rows: Any = None) -> None:
        self.seed = seed
        self.position = EpochPosition(seed)
        self.is_share = bool(getattr(rows, "is_share", False))

    def divided(self, rank: int, world: int, *, widen: bool = True) -> Self:
        """Return the batches of one of several processes, which train together as one.

        All processes draw the same order. Of each batch, process `rank` has every `world`-th row from row `rank` on.
        Where a batch has no row for it, a batch of another row stands in (`rnnkit.types.Batch.stands_in`). So the rows
        of a step are those of one process, and the position in the epoch is the same in all processes.

        Args:
            rank: the process's number, from 0.
            world: the number of processes.
            widen: whether batches have `world` times as many rows in all, so that each process has `batch_size` rows.

        Returns:
            The batches; what is a share already stays as it is.

        Raises:
            ConfigError: rank or world out of range.
        """
        check_shard(rank, world)
        if self.is_share or world == 1:
            return self
        part = copy.copy(self)
        part.in_step = widen
        part.share, part.is_share, part.position = (rank, world), True, EpochPosition(self.seed)
        part._divide(world if widen else 1)
        return part

    def _divide(self, times: int) -> None:
        """Make batches of `times` as many rows; a subclass that counts with them as it is made overrides this."""
        vars(self)["batch_size"] = vars(self)["batch_size"] * times

    def own(self, rows: Any) -> Any:
        """Return those rows of a batch that are this process's, or one that stands in for them."""
        rank, world = self.share
        picked = rows[rank::world]
        return picked if len(picked) else rows[:1]

    def marked(self, batch: Any, rows: Any) -> Any:
        """Return a batch made of `own(rows)`, marked where it stands in.

        Raises:
            ConfigError: it is no `rnnkit.types.Batch`, which could be marked.
        """
        if len(rows) > self.share[0]:
            return batch
        if not isinstance(batch, Batch):
            raise ConfigError(
                f"a batch of {len(rows)} rows arrived for {self.share[1]} processes as a {type(batch).__name__}; "
                "expected rnnkit.types.Batch, which can stand in where a process has no row"
            )
        return replace(batch, stands_in=True)

    @property
    def generator(self) -> torch.Generator:
        """The generator of the order; it moves when an epoch begins."""
        return self.position.generator

    def state_dict(self) -> dict[str, Any]:
        """Return the position in the epoch and the generator's state from before it."""
        return self.position.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Let the next iteration resume behind that position, with exactly the same batches."""
        self.position.load_state_dict(state)
