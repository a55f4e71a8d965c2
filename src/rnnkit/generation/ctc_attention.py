"""An attention decoder and a branch of CTC that write together (Watanabe et al. 2017, section IV, one-pass decoding).

    ln p_joint(c | y) = (1 − γ) ln p_attention(c | y) + γ (ln ψ(y c) − ln ψ(y))

ψ(y) is the probability that CTC's labelling begins with y, and ψ(y end) that it is y. CTC goes forward through the
utterance alone, which keeps attention from omitting words and from repeating them. With n_t(y) and b_t(y) the
sums over the paths of y through t steps that end with its last token, and with a blank:

    φ_t(y, c) = b_{t−1}(y) + [c ≠ last of y] n_{t−1}(y)
    ψ(y c)    = Σ_t φ_t(y, c) q_t(c)
    n_t(y c)  = (n_{t−1}(y c) + φ_t(y, c)) q_t(c)
    b_t(y c)  = (b_{t−1}(y c) + n_{t−1}(y c)) q_t(blank)

Both recurrences are linear in what they sum, so that cumulative sums compute all steps at once.

Legend: B rows, T steps, V tokens.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from ..types import State

Tensor = torch.Tensor
_NEVER = -1e30  # the logarithm of 0: differences of it are no NaN
_UNREAD = -1  # the last token before the start is read


class CTCPrefix(NamedTuple):
    """What CTC knows of the tokens so far, in float64.

    Attributes:
        paths: ln n_t, and after it ln b_t, of all steps [B, 2, T + 1]; step 0 is before the first.
        total: ln ψ [B].
        token: the last token [B]; the blank before the first.
    """

    paths: Tensor
    total: Tensor
    token: Tensor


def begin_prefix(log_probs: Tensor, blank: int) -> CTCPrefix:
    """Return what CTC knows before the first token.

    Args:
        log_probs: ln q [B, T, V], float64; after a row's end the blank alone has a probability.
        blank: its id.
    """
    blanks = torch.nn.functional.pad(log_probs[..., blank].cumsum(1), (1, 0))
    paths = torch.stack([torch.full_like(blanks, _NEVER), blanks], 1)
    return CTCPrefix(paths, blanks.new_zeros(len(blanks)), torch.full((len(blanks),), blank, device=blanks.device))


def extend_prefix(prefix: CTCPrefix, ids: Tensor, log_probs: Tensor, blank: int) -> CTCPrefix:
    """Return what CTC knows with one token more a row.

    Args:
        prefix: before it.
        ids: tokens [B].
        log_probs, blank: as in `begin_prefix`.
    """
    own = log_probs.gather(2, ids[:, None, None].expand(-1, log_probs.shape[1], 1))[..., 0]
    phi = torch.where((ids == prefix.token)[:, None], prefix.paths[:, 1, :-1], prefix.paths.logsumexp(1)[:, :-1])
    ends = _summed(phi, own)
    blanks = _summed(torch.nn.functional.pad(ends, (1, 0), value=_NEVER)[:, :-1], log_probs[..., blank])
    paths = torch.nn.functional.pad(torch.stack([ends, blanks], 1), (1, 0), value=_NEVER).clamp(min=_NEVER)
    total = (phi + own).logsumexp(1).clamp(min=_NEVER)
    return CTCPrefix(paths, total, ids)


def following_tokens(prefix: CTCPrefix, log_probs: Tensor, end: int) -> Tensor:
    """Return ln ψ(y c) − ln ψ(y) of all tokens c [B, V]; that of the end is the probability of what there is.

    Args:
        prefix: of y.
        log_probs: as in `begin_prefix`.
        end: the id that ends a text.
    """
    every = prefix.paths.logsumexp(1)
    most = every.max(1, keepdim=True).values
    sums = torch.bmm((every[:, :-1] - most).exp()[:, None], log_probs.exp())[:, 0]
    # Behind the last token the same one needs a blank between.
    same = prefix.paths[:, 1, :-1] - most
    own = log_probs.gather(2, prefix.token[:, None, None].expand(-1, log_probs.shape[1], 1))[..., 0]
    sums.scatter_(1, prefix.token[:, None], (same + own).exp().sum(1, keepdim=True))
    found = sums.log().clamp(min=_NEVER) + most - prefix.total[:, None]
    found[:, end] = every[:, -1] - prefix.total
    return found


def _summed(entering: Tensor, own: Tensor) -> Tensor:
    """Return ln z_t [B, T] with z_t = (z_{t−1} + e_t) p_t, of ln e and ln p."""
    upto = own.clamp(min=_NEVER).cumsum(1)
    before = torch.nn.functional.pad(upto, (1, 0))[:, :-1]
    return (upto + (entering - before).logcumsumexp(1)).clamp(min=_NEVER)


class JointDecoder(torch.nn.Module):
    """An encoder–decoder whose tokens are scored together with CTC; `begin` has what `already_encoded` takes.

    Args:
        network: an :class:`rnnkit.EncoderDecoder`.
        weight: γ.
        blank, end: ids; the blank must be forbidden in the search.
    """

    def __init__(self, network: Any, *, weight: float, blank: int, end: int) -> None:
        super().__init__()
        self.network, self._weight, self._blank, self._end = network, weight, blank, end

    @property
    def state_batch_axis(self) -> int:
        """Where the batch lies in the tensors of a state."""
        found: int = self.network.state_batch_axis
        return found

    def begin(self, state: State, memory: tuple[Tensor, ...], log_probs: Tensor, lengths: Tensor) -> tuple[Any, Any]:
        """Return the state and the memory of sources that were read.

        Args:
            state, memory: what ``network.encode`` returned.
            log_probs: ln q of CTC [B, T, V].
            lengths: the valid steps of each row [B].
        """
        behind = torch.arange(log_probs.shape[1], device=log_probs.device) >= lengths.to(log_probs.device)[:, None]
        log_probs = log_probs.to(torch.float32 if log_probs.device.type == "mps" else torch.float64)
        log_probs = log_probs.clamp(min=_NEVER).masked_fill(behind[..., None], _NEVER)
        log_probs[..., self._blank].masked_fill_(behind, 0.0)
        prefix = begin_prefix(log_probs, self._blank)
        return (state, self._packed(prefix._replace(token=prefix.token.fill_(_UNREAD)))), (memory, log_probs)

    def decode_step(self, ids: Tensor, state: State, memory: Any) -> tuple[Tensor, State, Tensor]:
        """Read one token a row [B], and return ln p_joint [B, V], the next state, and the attention."""
        own, packed = state
        decoder_memory, log_probs = memory
        prefix = CTCPrefix(*(one[0] if self.state_batch_axis == 1 else one for one in packed))
        if bool((prefix.token == _UNREAD).all()):  # the start is no token of CTC
            prefix = prefix._replace(token=torch.full_like(prefix.token, self._blank))
        else:
            prefix = extend_prefix(prefix, ids, log_probs, self._blank)
        logits, own, attention = self.network.decode_step(ids, own, decoder_memory)
        shares = following_tokens(prefix, log_probs, self._end)
        joint = (1 - self._weight) * logits.to(shares.dtype).log_softmax(-1) + self._weight * shares
        # The blank takes the rest, so that a search, which divides by the sum, leaves the others as they are.
        joint[:, self._blank] = -torch.inf
        joint[:, self._blank] = (-joint.logsumexp(1).clamp(max=0.0).exp()).log1p().clamp(min=_NEVER)
        return joint.float(), (own, self._packed(prefix)), attention

    def _packed(self, prefix: CTCPrefix) -> tuple[Tensor, ...]:
        """The tensors of a prefix with the batch where the states have theirs."""
        return tuple(one[None] if self.state_batch_axis == 1 else one for one in prefix)
