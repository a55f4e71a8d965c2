"""The states of the random generators that a run draws from: taken, and put back in a resumed run."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch


class RandomStates:
    """torch's global generators (CPU and the device's), the run's own, and Python's and numpy's where it draws on them.

    Nothing of rnnkit draws from Python's or numpy's global generators; an augmentation may. So theirs are kept only if
    they moved since the run began, and else are left as the program has them.

    Args:
        device: whose generator counts beside the CPU's.
        own: generators of the run by name: the one that shuffles, a DataLoader's.
    """

    def __init__(self, device: torch.device, own: Mapping[str, torch.Generator]) -> None:
        self.device, self.own = device, dict(own)
        self._before = _outside()

    def state_dict(self) -> dict[str, Any]:
        state: dict[str, Any] = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            state["cuda"] = torch.cuda.get_rng_state(self.device)
        elif self.device.type == "mps":
            state["mps"] = torch.mps.get_rng_state()
        state["own"] = {name: generator.get_state() for name, generator in self.own.items()}
        now = _outside()
        return state | {name: now[name] for name in now if now[name] != self._before[name]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        torch.set_rng_state(state["cpu"])
        if "cuda" in state:
            torch.cuda.set_rng_state(state["cuda"], self.device)
        elif "mps" in state:
            torch.mps.set_rng_state(state["mps"])
        for name, generator in self.own.items():
            generator.set_state(state["own"][name])
        if "python" in state:
            random.setstate(state["python"])
        if "numpy" in state:
            kind, words, *rest = state["numpy"]
            np.random.set_state((kind, np.array(words, dtype=np.uint32), *rest))  # noqa: NPY002 (the global one is meant)
        for name in ("python", "numpy"):
            if name in state:
                self._before[name] = ()  # it was drawn from, and stays among those that are kept


def _outside() -> dict[str, Any]:
    kind, words, *rest = np.random.get_state(legacy=True)  # noqa: NPY002 (the global one is meant)
    return {"python": random.getstate(), "numpy": (kind, tuple(np.asarray(words).tolist()), *rest)}
