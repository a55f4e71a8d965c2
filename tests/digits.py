"""Made digits: as small as can be learned, in the shape of MNIST."""

import pytest
import torch

from rnnkit.data.mnist import Mnist, Split


def made_mnist(train=320, test=80):
    """Digit k is a bar over rows 2k + 4 and 2k + 5, as long as chance will have it, in the published order."""
    generator = torch.Generator().manual_seed(0)

    def split(count):
        labels = torch.arange(count) % 10
        images = 0.1 * torch.rand(count, 28, 28, generator=generator)
        for image, digit in zip(images, labels.tolist(), strict=True):
            length = int(torch.randint(8, 24, (), generator=generator))
            image[2 * digit + 4 : 2 * digit + 6, 2 : 2 + length] = 1.0
        return Split(images, labels)

    return Mnist(split(train), split(test))


@pytest.fixture(autouse=True)
def on_made_digits(tmp_path, monkeypatch):
    """Each test in a folder of its own, on made digits, in one thread: networks this small only wait for more."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("rnnkit.data.mnist.load", lambda root=None: made_mnist())
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
