"""Types that every room shares. Legend: B batch, T time, I input, H hidden, L layers, D directions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import torch

Backend = Literal["auto", "native", "torch", "reference"]
BACKENDS: tuple[Backend, ...] = ("auto", "native", "torch", "reference")

# A recurrent state: a tensor, or a nested tuple of them. Code outside `ops` treats it as opaque.
State = Any


@dataclass(frozen=True)
class Sequences:
    """A padded batch of sequences of unequal length.

    Attributes:
        values: tensor [B, T, ...], rows padded on the right.
        lengths: integer tensor [B] on the CPU, the number of valid steps of each row.

    Example:
        >>> import torch
        >>> batch = Sequences.from_list([torch.ones(3, 2), torch.ones(5, 2)])
        >>> tuple(batch.values.shape), batch.lengths.tolist()
        ((2, 5, 2), [3, 5])
    """

    values: torch.Tensor
    lengths: torch.Tensor

    def __post_init__(self) -> None:
        from .errors import DataError

        if self.lengths.dim() != 1 or len(self.lengths) != len(self.values) or self.lengths.is_floating_point():
            raise DataError(
                f"lengths {tuple(self.lengths.shape)} of {self.lengths.dtype} arrived with values of shape "
                f"{tuple(self.values.shape)}; expected {len(self.values)} integers, one a row"
            )

    @staticmethod
    def from_list(rows: Sequence[Any]) -> Sequences:
        """Pads a list of arrays or tensors [T_b, ...] with zeros to the longest; [T_b] becomes [T_b, 1]."""
        import torch

        from .errors import DataError

        if len(rows) == 0:
            raise DataError("an empty list of sequences arrived; at least one sequence is needed")
        tensors = [torch.as_tensor(row) for row in rows]
        tensors = [row[:, None] if row.dim() == 1 and row.is_floating_point() else row for row in tensors]
        trailing = tensors[0].shape[1:]
        for index, row in enumerate(tensors):
            if row.dim() == 0 or row.shape[1:] != trailing or row.shape[0] == 0:
                raise DataError(
                    f"sequence {index} has shape {tuple(row.shape)}; expected (time, "
                    f"{', '.join(map(str, trailing))}) with at least one step, as in sequence 0"
                )
        lengths = torch.tensor([row.shape[0] for row in tensors])
        return Sequences(torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True), lengths)

    def __len__(self) -> int:
        return int(self.values.shape[0])

    def __getitem__(self, index: Any) -> Sequences:
        """Selects rows and trims the padding that no selected row needs."""
        lengths = self.lengths[index]
        longest = int(lengths.max()) if lengths.numel() else 0
        return Sequences(self.values[index][:, :longest], lengths)

    def to(self, device: Any) -> Sequences:
        """Moves the values; lengths stay on the CPU, where the layers read them."""
        return Sequences(self.values.to(device), self.lengths)
