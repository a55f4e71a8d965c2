"""Files of values: what is read from them, and what is refused."""

import pytest
import torch

from rnnkit.serialization import read_values, write_values


def test_values_are_read_without_their_tensors(tmp_path):
    value = {"rows": [{"loss": 0.5}], "pair": (torch.ones(3), {1: torch.zeros(2)})}
    write_values(value, tmp_path / "state.safetensors")
    found = read_values(tmp_path / "state.safetensors", tensors=False)
    assert found == {"rows": [{"loss": 0.5}], "pair": (None, {1: None})}
