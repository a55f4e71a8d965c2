"""A linear-chain conditional random field: a distribution over the tag sequences of a sequence.

    s(y) = a(y_1) + Σ_t e_t(y_t) + Σ_{t>1} A(y_{t−1}, y_t) + b(y_T)
    p(y | x) = exp s(y) / Z,   Z = Σ_y exp s(y)

with the emissions e from a network, and A, a and b learnt. Z is computed by the forward algorithm, the best sequence by
Viterbi's, both in O(T C²):

    α_1(j) = a(j) + e_1(j)
    α_t(j) = e_t(j) + log Σ_i exp(α_{t−1}(i) + A(i, j))
    log Z  = log Σ_j exp(α_T(j) + b(j))

Variant: Lafferty, McCallum & Pereira 2001 ("Conditional random fields"), with scores for the first and the last tag.
Constraints are those of Papay, Klinger & Padó 2022: sequences that the scheme forbids have no part in Z.

Legend: B batch, T time, C tags.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch

from ..errors import ConfigError, DataError, ShapeError, check_choice, check_whole
from ..ops.padding import valid_steps
from ._checks import Lengths, check_lengths

Tensor = torch.Tensor
# exp(−10,000) is 0 in float64 too, and unlike −inf it has a gradient that is no NaN.
_FORBIDDEN = -1e4
_SMALL = 100.0  # scores of this size stay far within the range of float64's exponential, exp(±700)


class CRF(torch.nn.Module):
    """log p(y | x) of tag sequences y, and the best of them; equations in :mod:`rnnkit.layers.crf`.

    Args:
        tags: C, or the names of the tags.
        scheme: ``"bio"`` allows ``I-x`` only behind ``B-x`` and ``I-x`` (which needs the names); None allows every
            sequence.

    Attributes:
        transitions: A [C, C], from the row's tag to the column's.
        start, end: a and b [C].

    Shapes:
        emissions [B, T, C] and tags [B, T] (and ``lengths`` [B]) → log p(y | x) [B].

    Raises:
        ConfigError: no tags, or names that are not those of the scheme.

    Example:
        >>> import torch, rnnkit
        >>> crf = rnnkit.CRF(["O", "B-city", "I-city"], scheme="bio")
        >>> emissions = torch.tensor([[[0.0, 1.0, 3.0], [0.0, 1.0, 3.0]]])
        >>> crf.decode(emissions)[0].tolist()
        [[1, 2]]
        >>> bool(crf(emissions, torch.tensor([[1, 2]])).exp() > 0.5)
        True
    """

    _not_first: Tensor | None
    _not_behind: Tensor | None

    def __init__(self, tags: int | Sequence[str], *, scheme: Literal["bio"] | None = None) -> None:
        super().__init__()
        check_choice(scheme, "scheme", ("bio", None))
        if isinstance(tags, str):
            raise ConfigError(f"tags={tags!r} arrived; expected a number or a list of names: tags=[{tags!r}, ...]")
        names = None if isinstance(tags, int) else [str(tag) for tag in tags]
        count = tags if isinstance(tags, int) else len(tags)
        check_whole(count, "tags")
        if scheme is not None and names is None:
            raise ConfigError(
                f"scheme={scheme!r} and tags={count} arrived; the scheme needs the names of the tags: "
                "tags=['O', 'B-city', 'I-city']"
            )
        self.tags, self.scheme = names or count, scheme
        self.transitions = torch.nn.Parameter(torch.zeros(count, count))
        self.start = torch.nn.Parameter(torch.zeros(count))
        self.end = torch.nn.Parameter(torch.zeros(count))
        first, pairs = (None, None) if scheme is None or names is None else bio_forbids(names)
        # Not part of a file: they follow from the names.
        self.register_buffer("_not_first", first, persistent=False)
        self.register_buffer("_not_behind", pairs, persistent=False)

    def extra_repr(self) -> str:
        """Show the number of tags and the scheme."""
        return f"tags={len(self.start)}" + ("" if self.scheme is None else f", scheme={self.scheme!r}")

    def config(self) -> dict[str, Any]:
        """Return builder and arguments that make this layer again."""
        return {"builder": "CRF", "arguments": {"tags": self.tags, "scheme": self.scheme}}

    def forward(self, emissions: Tensor, tags: Tensor, *, lengths: Lengths | None = None) -> Tensor:
        """Return log p(tags | emissions) of each row, [B]; the loss is its negative mean.

        Args:
            emissions: e [B, T, C].
            tags: numbers [B, T], of any value behind a row's length.
            lengths: valid steps [B]; None: all.

        Raises:
            ShapeError: shapes that do not fit.
            DataError: a tag that does not exist, or a sequence that the scheme forbids.
        """
        emissions, valid, lengths = self._checked(emissions, lengths)
        if tags.shape != emissions.shape[:2] or tags.is_floating_point():
            raise ShapeError(
                f"tags has shape {tuple(tags.shape)} and {tags.dtype}; expected integers {tuple(emissions.shape[:2])}, "
                "one a step"
            )
        tags = tags.long() if valid is None else torch.where(valid, tags, 0).long()
        self._check_tags(tags, valid)
        return self._score(emissions, tags, valid, lengths) - self._log_partition(emissions, valid)

    def log_partition(self, emissions: Tensor, *, lengths: Lengths | None = None) -> Tensor:
        """Return log Z of each row, [B]; arguments as those of a call."""
        emissions, valid, _ = self._checked(emissions, lengths)
        return self._log_partition(emissions, valid)

    @torch.no_grad()
    def decode(self, emissions: Tensor, *, lengths: Lengths | None = None) -> tuple[Tensor, Tensor]:
        """Return the most probable tags [B, T], 0 behind a row's length, and their log p [B].

        Args:
            emissions: e [B, T, C].
            lengths: valid steps [B]; None: all.

        Raises:
            ShapeError: shapes that do not fit.
        """
        emissions, valid, lengths = self._checked(emissions, lengths)
        transitions, start = self._allowed()
        best, pointers = start + emissions[:, 0], []
        same = torch.arange(emissions.shape[2], device=emissions.device)
        for step in range(1, emissions.shape[1]):
            score, before = (best[:, :, None] + transitions).max(1)
            score = score + emissions[:, step]
            if valid is not None:
                here = valid[:, step, None]
                score, before = torch.where(here, score, best), torch.where(here, before, same)
            best = score
            pointers.append(before)
        score, last = (best + self.end).max(1)
        found = [last]
        for before in reversed(pointers):
            found.append(before.gather(1, found[-1][:, None])[:, 0])
        tags = torch.stack(found[::-1], 1)
        if valid is not None:
            tags = torch.where(valid, tags, 0)
        return tags, score - self._log_partition(emissions, valid)

    def _checked(self, emissions: Tensor, lengths: Lengths | None) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Return emissions that are 0 in padding, the valid steps [B, T], and the lengths; None where all are valid."""
        count = len(self.start)
        if emissions.dim() != 3 or emissions.shape[2] != count or not emissions.shape[1]:
            raise ShapeError.of(
                "emissions", tuple(emissions.shape), f"; expected [batch, time, {count}], a score for each tag"
            )
        if emissions.dtype in (torch.float16, torch.bfloat16):  # sums of T terms
            emissions = emissions.float()
        if lengths is None:
            return emissions, None, None
        checked = check_lengths(lengths, len(emissions), emissions.shape[1])
        valid = valid_steps(checked, emissions.shape[1], emissions.device)
        # Before all products, so that NaN in padding reaches no gradient.
        return emissions.masked_fill(~valid[:, :, None], 0.0), valid, checked

    def _check_tags(self, tags: Tensor, valid: Tensor | None) -> None:
        low, high = (int(end) for end in torch.aminmax(tags))
        if low < 0 or high >= len(self.start):
            raise DataError(
                f"the tag {low if low < 0 else high} arrived; expected 0 to {len(self.start) - 1}, for "
                f"{len(self.start)} tags"
            )
        if self._not_behind is None or self._not_first is None:
            return
        broken = self._not_behind[tags[:, :-1], tags[:, 1:]]
        broken = torch.cat((self._not_first[tags[:, :1]], broken if valid is None else broken & valid[:, 1:]), 1)
        if bool(broken.any()):
            row, step = broken.nonzero()[0].tolist()
            names = [self.tags[tag] for tag in tags[row, max(step - 1, 0) : step + 1].tolist()]  # type: ignore[index]
            found = f"{names[1]} stands behind {names[0]}" if step else f"{names[0]} stands first"
            raise DataError(
                f"row {row}, step {step}: {found}, which the scheme 'bio' forbids; expected B-x or I-x before I-x"
            )

    def _allowed(self) -> tuple[Tensor, Tensor]:
        """Return A [C, C] and a [C], with what the scheme forbids out of reach."""
        if self._not_behind is None or self._not_first is None:
            return self.transitions, self.start
        return (
            self.transitions.masked_fill(self._not_behind, _FORBIDDEN),
            self.start.masked_fill(self._not_first, _FORBIDDEN),
        )

    def _score(self, emissions: Tensor, tags: Tensor, valid: Tensor | None, lengths: Tensor | None) -> Tensor:
        """Return s of each row, [B]."""
        transitions, start = self._allowed()
        stepwise = emissions.gather(2, tags[:, :, None])[:, :, 0]  # 0 in padding
        moves = transitions[tags[:, :-1], tags[:, 1:]]
        if valid is None or lengths is None:
            last = tags[:, -1]
        else:
            moves = moves.masked_fill(~valid[:, 1:], 0.0)
            last = tags.gather(1, (lengths - 1).to(tags.device)[:, None])[:, 0]
        return start[tags[:, 0]] + stepwise.sum(1) + moves.sum(1) + self.end[last]

    def _log_partition(self, emissions: Tensor, valid: Tensor | None) -> Tensor:
        transitions, start = self._allowed()
        if _are_small(emissions, self.transitions, self.start):
            found = _by_products(emissions.double(), transitions.double(), start.double(), self.end.double(), valid)
            return found.to(emissions.dtype)
        alpha = start + emissions[:, 0]
        for step in range(1, emissions.shape[1]):
            reached = torch.logsumexp(alpha[:, :, None] + transitions, 1) + emissions[:, step]
            alpha = reached if valid is None else torch.where(valid[:, step, None], reached, alpha)
        return torch.logsumexp(alpha + self.end, 1)


def _are_small(emissions: Tensor, transitions: Tensor, start: Tensor) -> bool:
    """Whether no score comes near the range of float64."""
    if emissions.device.type == "mps":  # has no float64
        return False
    largest = [float(one.detach().abs().max()) for one in (emissions, transitions, start)]
    return sum(largest) < _SMALL


def _by_products(emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, valid: Tensor | None) -> Tensor:
    """Return log Z by a product [B, C] x [C, C] a step, which needs no B C² exponentials; scores are small.

    α_t = e_t + max α_{t−1} + log(exp(α_{t−1} − max α_{t−1}) exp(A)). A tag that is forbidden at some step has a sum of
    0 there, which the smallest sum replaces; two steps on, it is reached from every tag again.
    """
    factors = transitions.exp()
    alpha = start + emissions[:, 0]
    for step in range(1, emissions.shape[1]):
        largest = alpha.detach().amax(1, keepdim=True)
        reached = ((alpha - largest).exp() @ factors).clamp_min(1e-300).log() + largest + emissions[:, step]
        alpha = reached if valid is None else torch.where(valid[:, step, None], reached, alpha)
    return torch.logsumexp(alpha + end, 1)


def bio_forbids(names: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Return which tags may not stand first, bool [C], and which pairs may not follow each other, bool [C, C].

    Args:
        names: "O", "B-x" and "I-x", for any kinds x.

    Raises:
        ConfigError: other names.

    Example:
        >>> first, pairs = bio_forbids(["O", "B-city", "I-city"])
        >>> first.tolist(), pairs.int().tolist()
        ([False, False, True], [[0, 0, 1], [0, 0, 0], [0, 0, 0]])
    """
    for name in names:
        if name != "O" and not (name[:2] in ("B-", "I-") and name[2:]):
            raise ConfigError(f"the tag {name!r} arrived; the scheme 'bio' has O, B-x and I-x, such as B-city")
    inside = [name.startswith("I-") for name in names]
    pairs = [[inner and before[1:] != name[1:] for name, inner in zip(names, inside, strict=True)] for before in names]
    return torch.tensor(inside), torch.tensor(pairs)
