"""The loss of a set: objects that are predicted in some order, compared with those that are there, in no order.

A model predicts K objects a row, each as C + 1 logits, the last one for "no object", and D numbers (a box, a
position). An assignment f gives every true object i one that was predicted, f(i), and no two the same. With

    d_ij = Σ_k |v_jk − y_ik|        o_ij = 1 where d_ij > reach, else 0

the assignment has the smallest sum of (o_ij, j, d_ij), compared in this order: first as many objects as possible that
are predicted nearly right, then by those that were predicted first, then by distance. The loss of a row is

    L = α Σ_i d_{i f(i)} / D − Σ_j ln softmax(z_j)[class of j]

where the class of j is that of the object it was assigned to, and "no object" for those without.

Variant: Stewart et al. 2016 ("End-to-end people detection in crowded scenes"), whose o_ij asks whether the middle of
one box lies in the other; here the distance is asked, so that D numbers of any meaning serve. Their classes are two.
The assignment prefers earlier predictions, so a model learns to predict the objects of highest confidence first.

Legend: B rows, K objects predicted, S objects that are there at most, C classes, D numbers.
"""

from __future__ import annotations

import torch

from ..errors import DataError, MissingExtraError, ShapeError

Tensor = torch.Tensor
# Each weighs more than any sum of what follows it: distances are cut at _FAR.
_FAR = 1e3
_PER_RANK = 1e4
_PER_MISS = 1e8


def match_sets(values: Tensor, targets: Tensor, counts: Tensor, *, reach: float = 0.5) -> Tensor:
    """Assign to each object that is there one that was predicted; see the module.

    Args:
        values: what was predicted [B, K, D].
        targets: what is there [B, S, D]; anything behind a row's count.
        counts: objects of each row [B], at most K.
        reach: the distance up to which an object counts as predicted nearly right.

    Returns:
        f, int64 [B, S] on the CPU: the number of the object that was predicted, −1 behind a row's count.

    Raises:
        DataError: a row has more than K objects. MissingExtraError: scipy is not installed.

    Example:
        >>> values = torch.tensor([[[0.1], [0.9], [0.8]]])
        >>> match_sets(values, torch.tensor([[[0.8], [0.0], [0.0]]]), torch.tensor([1])).tolist()
        [[1, -1, -1]]
    """
    predicted = values.shape[1]
    if len(counts) and int(counts.max()) > predicted:
        row = int(counts.argmax())
        raise DataError(
            f"row {row} has {int(counts[row])} objects and the model predicts {predicted}; expected at most as many: "
            f"build it with steps={int(counts[row])}"
        )
    with torch.no_grad():
        distance = (targets[:, :, None].double() - values[:, None].double()).abs().sum(-1)
        rank = torch.arange(predicted, dtype=torch.float64, device=values.device)
        cost = (distance > reach) * _PER_MISS + rank * _PER_RANK + distance.clamp(max=_FAR)
    found = torch.full(targets.shape[:2], -1)
    cost = cost.cpu()
    for row, count in enumerate(counts.tolist()):
        if count:
            found[row, :count] = assign(cost[row, :count])
    return found


def assign(cost: Tensor) -> Tensor:
    """Return the column that is assigned to each row, int64 [S], no two the same, with the smallest sum of costs.

    Args:
        cost: [S, K], K at least S.

    Raises:
        MissingExtraError: scipy is not installed.

    Example:
        >>> assign(torch.tensor([[1.0, 2.0, 9.0], [0.0, 5.0, 9.0]])).tolist()
        [1, 0]
    """
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError:
        raise MissingExtraError(
            "sets are matched by scipy; install it with: pip install 'rnnkit[vision]'", remedy="pip install scipy"
        ) from None
    return torch.from_numpy(linear_sum_assignment(cost.cpu().numpy())[1])


def set_loss(
    logits: Tensor,
    values: Tensor,
    classes: Tensor,
    targets: Tensor,
    counts: Tensor,
    *,
    alpha: float = 1.0,
    reach: float = 0.5,
) -> Tensor:
    """Compute L of each row [B]; see the module.

    Args:
        logits: [B, K, C + 1], the last for "no object".
        values: [B, K, D].
        classes: those of the objects that are there, int64 [B, S]; anything behind a row's count.
        targets: their numbers [B, S, D]; anything behind a row's count.
        counts: objects of each row [B].
        alpha: α, what the distances weigh.
        reach: as for :func:`match_sets`.

    Raises:
        ShapeError: shapes that do not fit. DataError: a row has more than K objects.

    Example:
        >>> logits, values = torch.tensor([[[9.0, -9.0], [-9.0, 9.0]]]), torch.tensor([[[0.5], [0.0]]])
        >>> float(set_loss(logits, values, torch.tensor([[0]]), torch.tensor([[[0.5]]]), torch.tensor([1])).round())
        0.0
    """
    if logits.shape[:2] != values.shape[:2] or targets.shape[:2] != classes.shape or targets.dim() != 3:
        raise ShapeError(
            f"logits {list(logits.shape)} and values {list(values.shape)} arrived for classes {list(classes.shape)} "
            f"and targets {list(targets.shape)}; expected [B, K, C + 1], [B, K, D], [B, S] and [B, S, D]"
        )
    none = logits.shape[2] - 1
    place = match_sets(values, targets, counts, reach=reach).to(logits.device)
    rows, objects = (place >= 0).nonzero(as_tuple=True)
    predicted = place[rows, objects]
    wanted = torch.full(logits.shape[:2], none, device=logits.device)
    wanted[rows, predicted] = classes[rows, objects].to(logits.device)
    entropy = torch.nn.functional.cross_entropy(logits.transpose(1, 2), wanted, reduction="none").sum(1)
    each = (values[rows, predicted] - targets[rows, objects].to(values)).abs().mean(-1)
    return entropy + alpha * entropy.new_zeros(len(entropy)).index_add(0, rows, each.to(entropy.dtype))
