"""Products of a weight with the rows of a table, each computed once.

Legend: V rows of the table, E features, O outputs, R rows that are asked for.
"""

from __future__ import annotations

import torch

from ..ops.native_linear import NativeLinear

Tensor = torch.Tensor
_BLOCK = 8  # rows that are computed at a time
_MOST_BYTES = 64 << 20


class ProductRows:
    """W e_i of the rows e_i of a table. Each is computed when it is first asked for, and kept.

    Rows are computed in blocks of one size, so a row has the same bits whichever others are asked for with it.

    Args:
        table: [V, E]; later changes do not reach the rows that were computed.
        weight: W [O, E].
    """

    def __init__(self, table: Tensor, weight: Tensor) -> None:
        self._table = table.detach()
        with torch.inference_mode(False):  # a tensor that is made inside it could not be written outside
            self._products = self._table.new_empty(len(table), len(weight))
        self._multiply = NativeLinear(weight, None, _BLOCK)
        self._known: set[int] = set()

    def write(self, ids: Tensor, to: Tensor) -> None:
        """Write the products of rows ``ids`` [R] to a tensor [R, O]."""
        wanted = ids.tolist()
        if not self._known.issuperset(wanted):
            self._compute([one for one in dict.fromkeys(wanted) if one not in self._known])
        torch.index_select(self._products, 0, ids, out=to)

    def _compute(self, ids: list[int]) -> None:
        for begin in range(0, len(ids), _BLOCK):
            block = ids[begin : begin + _BLOCK]
            index = torch.tensor(block + block[:1] * (_BLOCK - len(block)))
            self._products[index] = self._multiply(self._table.index_select(0, index))
        self._known.update(ids)


def product_rows(table: Tensor, weight: Tensor) -> ProductRows | None:
    """Return the products of a weight with the rows of a table; None where all of them would take too much memory."""
    if len(table) * len(weight) * table.element_size() > _MOST_BYTES:
        return None
    return ProductRows(table, weight)
