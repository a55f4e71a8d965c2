"""Random masks for dropout: drawn by the native core where it serves, several times faster than PyTorch draws them."""

from __future__ import annotations

import torch

from .backend import native_core, native_problem, tracing

Tensor = torch.Tensor


def bernoulli(shape: tuple[int, ...], probability: float, value: float, like: Tensor) -> Tensor:
    """A tensor of this shape that holds ``value`` with the given probability, else 0; dtype and device of ``like``.

    Seeded by PyTorch's generator: ``torch.manual_seed`` repeats it. The numbers do not depend on threads or CPU family;
    where the core does not serve (other devices and dtypes, under ``torch.compile`` and other tracing) PyTorch draws
    other ones.
    """
    drawn = torch.empty(shape, dtype=like.dtype, device=like.device)
    if tracing() or native_problem(like.device, like.dtype) is not None:
        return drawn.bernoulli_(probability).mul_(value)
    core = native_core()
    assert core is not None
    call = core.bernoulli_f32 if like.dtype == torch.float32 else core.bernoulli_f64
    seed = int(torch.empty((), dtype=torch.int64, device="cpu").random_())
    call(drawn.data_ptr(), drawn.numel(), probability, value, seed, torch.get_num_threads())
    return drawn
