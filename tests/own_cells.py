"""Small cells of a user's own, and the sizes of their inputs."""

import torch

B, T, I, H = 4, 7, 3, 5  # noqa: E741
RESETS = (torch.arange(B)[:, None] + torch.arange(T)[None, :]) % 3 == 2


class Leaky(torch.nn.Module):
    """A small cell whose state is nested and of two ranks: a matrix a row, and a counter."""

    def __init__(self):
        super().__init__()
        self.rate = torch.nn.Parameter(torch.tensor(0.5))

    def forward(self, x, state):
        memory, (count,) = state
        memory = self.rate * memory + x[:, :, None] * x[:, None, :]
        return memory.sum(2), (memory, (count + 1,))

    def initial_state(self, batch, device, dtype):
        count = torch.zeros(batch, dtype=torch.int64, device=device)
        return torch.ones(batch, I, I, device=device, dtype=dtype), (count,)


def leaky(x, state):
    return state + x, 0.5 * state + x
