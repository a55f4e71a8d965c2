"""Problems made to measure memory: the user sets what has to be remembered, and for how long.

Legend: N rows, T time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import check_whole

if TYPE_CHECKING:
    import torch


def adding(rows: int, steps: int, *, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Two numbers among many are marked; their sum is asked for at the end.

        x_t = (v_t, m_t),  v_t uniform in [0, 1),  m_t = 1 at one step of each half, else 0;  y = Σ_t m_t v_t

    Who always answers the mean, 1, has a mean squared error of 2/12 = 0.167, the variance of y; a network does better
    only if what it saw up to T steps ago still reaches its answer. Hochreiter & Schmidhuber 1997; the marks as in
    Arjovsky, Shah & Bengio 2016 (arXiv:1511.06464).

    Args:
        rows: N.
        steps: T, at least 2.
        seed: the rows are a function of this number.

    Returns:
        x float32 [N, T, 2] and y float32 [N, 1].

    Raises:
        ConfigError: no rows, or fewer than 2 steps.

    Example:
        >>> x, y = adding(3, 10)
        >>> bool(((x[..., 0] * x[..., 1]).sum(1, keepdim=True) == y).all())
        True
    """
    import torch

    check_whole(rows, "rows")
    check_whole(steps, "steps", 2)
    generator = torch.Generator().manual_seed(seed)
    values = torch.rand(rows, steps, generator=generator)
    marks = torch.zeros(rows, steps)
    half = steps // 2
    marks[torch.arange(rows), torch.randint(half, (rows,), generator=generator)] = 1
    marks[torch.arange(rows), torch.randint(half, steps, (rows,), generator=generator)] = 1
    return torch.stack([values, marks], -1), (values * marks).sum(1, keepdim=True)


def copying(
    rows: int, delay: int, *, length: int = 10, symbols: int = 8, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """A word is shown, then nothing for a while; at a signal it is to be repeated.

        inputs   s_1 … s_K  blank × (delay − 1)  go  blank × K
        targets  blank × (K + delay)                 s_1 … s_K

    of T = delay + 2K steps. Who remembers nothing has a cross-entropy of K ln(symbols) / T a step. Hochreiter &
    Schmidhuber 1997, in the form of Arjovsky, Shah & Bengio 2016 (arXiv:1511.06464).

    Args:
        rows: N.
        delay: steps between the word and its repetition, at least 1.
        length: K, the symbols of a word.
        symbols: how many different symbols there are; blank is the number after the last, go the next.
        seed: the rows are a function of this number.

    Returns:
        x float32 [N, T, symbols + 2], one-hot, and labels int64 [N, T] in 0 … symbols, where `symbols` is blank.

    Raises:
        ConfigError: one of the numbers is too small.

    Example:
        >>> x, y = copying(1, 2, length=2, symbols=3, seed=1)
        >>> x.argmax(-1).tolist(), y.tolist()
        ([[1, 2, 3, 4, 3, 3]], [[3, 3, 3, 3, 1, 2]])
    """
    import torch

    for name, value, least in (("rows", rows, 1), ("delay", delay, 1), ("length", length, 1), ("symbols", symbols, 2)):
        check_whole(value, name, least)
    word = torch.randint(symbols, (rows, length), generator=torch.Generator().manual_seed(seed))
    x = torch.full((rows, delay + 2 * length), symbols)
    y = x.clone()
    x[:, :length] = y[:, -length:] = word
    x[:, length + delay - 1] = symbols + 1
    return torch.nn.functional.one_hot(x, symbols + 2).float(), y
