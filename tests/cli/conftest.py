import pytest
import torch
from digits import made_mnist


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    """Each test in a folder of its own, on made digits, in one thread: networks this small only wait for more."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("rnnkit.data.mnist.load", lambda root=None: made_mnist())
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
