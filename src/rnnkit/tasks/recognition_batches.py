"""Batches of what a recogniser reads, such as sound or lines of text, with the tokens that it is to write.

Legend: B batch, T steps, M features of a step, U tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor

from ..data.position import ResumableBatches
from ..errors import check_whole
from ..types import Batch

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..data.text.tokenizer import Tokenizer

_POOL = 8  # batches: items are sorted by length within so many; more would put the same words into a batch


class Readable(Protocol):
    """What a recogniser reads, with what is said or written in each item.

    Attributes:
        texts: of each item.
    """

    @property
    def texts(self) -> Sequence[str]: ...

    def __len__(self) -> int: ...

    def redraw(self, seed: int, epoch: int) -> None:
        """Make other items for an epoch, counted from 0, where they are made; recordings and pictures stay."""
        ...

    def fingerprint(self) -> str:
        """Return a digest of all items."""
        ...


class TokenBatches(ResumableBatches):
    """Base of batches of items with tokens as targets. A subclass has `sizes` and `inputs`.

    Each epoch draws new augmentation, new made items, and a new order: items are sorted by length within 8 batches, and
    the batches come in a random order. In the first `curriculum` epochs all come from short to long (Amodei et al.
    2016, SortaGrad). In the first `plain` epochs nothing is augmented.

    Args:
        items: what is read.
        tokenizer: of the texts; or the names of classes, where each text is one of them: targets are their numbers [B].
        batch_size: B, items of a batch at most.
        shuffle: false: all are always sorted by length, and nothing is drawn again.
        curriculum, plain: see above.
        seed: of all that is drawn.
    """

    def __init__(
        self,
        items: Readable,
        tokenizer: Tokenizer | tuple[str, ...],
        batch_size: int,
        *,
        shuffle: bool = True,
        curriculum: int = 0,
        plain: int = 0,
        seed: int = 0,
    ) -> None:
        check_whole(batch_size, "batch_size")
        check_whole(curriculum, "curriculum", 0)
        check_whole(plain, "plain", 0)
        self.items, self.tokenizer, self.batch_size = items, tokenizer, batch_size
        self.shuffle, self.curriculum, self.plain, self.epoch = shuffle, curriculum, plain, 0
        super().__init__(seed, items)

    def sizes(self) -> npt.NDArray[Any]:
        """Return the length of each item [N], in any unit."""
        raise NotImplementedError

    def inputs(self, rows: list[int], generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """Return what the network reads of items [B, T, M], and their lengths [B].

        Args:
            rows: the items' numbers.
            generator: of augmentation; None: nothing is augmented.
        """
        raise NotImplementedError

    def targets(self, rows: list[int]) -> tuple[Tensor, Tensor | None]:
        """Return the targets of items, tokens [B, U] or classes [B], and the lengths [B] of sequences."""
        texts = [self.items.texts[row] for row in rows]
        if isinstance(self.tokenizer, tuple):
            return torch.tensor([self.tokenizer.index(text) for text in texts]), None
        ids = [torch.as_tensor(self.tokenizer.encode(text), dtype=torch.int64) for text in texts]
        return torch.nn.utils.rnn.pad_sequence(ids, batch_first=True), torch.tensor([len(one) for one in ids])

    def drawn_by(self) -> list[Any]:
        """Return JSON values of what augments."""
        return []

    @property
    def steps(self) -> int:
        """The number of batches of an epoch."""
        return -(-len(self.items) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of one epoch; after `load_state_dict` those that are left of it."""
        first = self.position.begin()
        if not self.shuffle:
            return self._rest(self._cut(np.arange(len(self.items))), first, None)
        drawn = int(torch.randint(2**62, (), generator=self.generator))
        self.items.redraw(drawn, self.epoch)
        return self._rest(self._drawn(), first, drawn)

    def state_dict(self) -> dict[str, Any]:
        """Return the position in the epoch, and the number of epochs that are over."""
        return {**super().state_dict(), "epoch": self.epoch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Let the next iteration continue after that position, with the same batches to the bit."""
        super().load_state_dict(state)
        self.epoch = int(state["epoch"])

    def fingerprint(self) -> dict[str, Any]:
        """Return JSON values that distinguish the data and its order from others."""
        return {
            "data": self.items.fingerprint(),
            "tokenizer": self.tokenizer if isinstance(self.tokenizer, tuple) else self.tokenizer.fingerprint(),
            "batch_size": self.batch_size,
            "order": [self.seed, self.curriculum, self.plain, *self.drawn_by()] if self.shuffle else None,
        }

    def _rest(self, batches: list[npt.NDArray[np.int64]], first: int, drawn: int | None) -> Iterator[Batch]:
        for number, rows in enumerate(batches[first:], first):
            self.position.advance()
            seed = None if drawn is None else drawn + number * self.share[1] + self.share[0]
            yield self.marked(self._batch(self.own(rows.tolist()), seed), rows)
        self.epoch += 1
        self.position.end()

    def _batch(self, rows: list[int], seed: int | None) -> Batch:
        augmented = seed is not None and self.epoch >= self.plain
        inputs, lengths = self.inputs(rows, torch.Generator().manual_seed(seed or 0) if augmented else None)
        targets, counts = self.targets(rows)
        return Batch(inputs, targets, lengths, counts)

    def _drawn(self) -> list[npt.NDArray[np.int64]]:
        """The rows of each batch of an epoch."""
        if self.epoch < self.curriculum:
            return self._cut(np.arange(len(self.items)))
        order = torch.randperm(len(self.items), generator=self.generator).numpy()
        pool = self.batch_size * (1 if self.epoch < self.plain else _POOL)
        # Pools are whole numbers of batches, so that an epoch has the same number of batches in any order.
        batches = [one for begin in range(0, len(order), pool) for one in self._cut(order[begin : begin + pool])]
        return [batches[at] for at in torch.randperm(len(batches), generator=self.generator).tolist()]

    def _cut(self, rows: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
        """Sort rows by length and cut them into batches."""
        rows = rows[np.argsort(self.sizes()[rows], kind="stable")]
        return [rows[begin : begin + self.batch_size] for begin in range(0, len(rows), self.batch_size)]
