"""The position in an epoch, and the generator from whose state its order was drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import check_seed

if TYPE_CHECKING:
    import torch


class EpochPosition:
    """The position in an epoch and the generator of its order.

    All that is random in an epoch is drawn when it begins. So the generator's state from before, and the number of
    batches since, are enough to go on to the bit.

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
        """Let the next epoch go on behind that position."""
        self.batch = self._first = int(state["position"])
        self._before = state["generator"].clone()
        self.generator.set_state(self._before)


class ResumableBatches:
    """Base of batches whose iteration can go on in the middle of an epoch.

    Args:
        seed: of what is drawn for each epoch.

    Attributes:
        position: the position in the epoch, and the generator of what is drawn for it.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.position = EpochPosition(seed)

    @property
    def generator(self) -> torch.Generator:
        """The generator of the order; it moves when an epoch begins."""
        return self.position.generator

    def state_dict(self) -> dict[str, Any]:
        """Return the position in the epoch and the generator's state from before it."""
        return self.position.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Let the next iteration go on behind that position, with the same batches to the bit."""
        self.position.load_state_dict(state)
