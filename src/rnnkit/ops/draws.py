"""Random masks for dropout. The native core draws them several times faster than PyTorch."""

from __future__ import annotations

import torch

from .backend import native_core, native_problem, tracing, transforming

Tensor = torch.Tensor


def bernoulli(shape: tuple[int, ...], probability: float, value: float, like: Tensor) -> Tensor:
    """Draw a tensor that holds ``value`` with the given probability, else 0.

    PyTorch's generator gives the seed, so ``torch.manual_seed`` repeats the draw. The numbers do not depend on the
    number of threads or the CPU family. Where the core cannot serve (other devices and dtypes, ``torch.compile`` and
    other tracing) PyTorch draws, and its numbers differ.

    Args:
        shape: of the result.
        probability: from 0 to 1.
        value: what the drawn entries hold.
        like: a tensor with the dtype and device of the result.
    """
    if transforming():  # vmap draws for each of its rows, or refuses, as its argument randomness says
        return torch.bernoulli(torch.full(shape, probability, dtype=like.dtype, device=like.device)) * value
    drawn = torch.empty(shape, dtype=like.dtype, device=like.device)
    if tracing() or native_problem(like.device, like.dtype) is not None:
        return drawn.bernoulli_(probability).mul_(value)
    core = native_core()
    assert core is not None
    call = core.bernoulli_f32 if like.dtype == torch.float32 else core.bernoulli_f64
    seed = int(torch.empty((), dtype=torch.int64, device="cpu").random_())
    call(drawn.data_ptr(), drawn.numel(), probability, value, seed, torch.get_num_threads())
    return drawn
