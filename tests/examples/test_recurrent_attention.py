"""The example of recurrent attention, on made digits and a small network."""

import torch
from digits import on_made_digits

from examples import recurrent_attention
from examples.recurrent_attention import Looker, Size

__all__ = ["on_made_digits"]
SMALL = Size(glimpses=3, units=24, batch=32)


def test_it_learns_the_places_and_the_digits(capsys):
    right = recurrent_attention.main(canvas=28, epochs=12, train=320, size=SMALL)
    assert right > 0.3  # by chance 0.1
    assert capsys.readouterr().out.count("right") == 12


def test_a_glimpse_is_the_window_around_its_place():
    looker, image = Looker(Size(scales=1)), torch.arange(28 * 28.0).view(1, 28, 28)
    seen = looker.glimpse(image, torch.zeros(1, 2)).detach().view(8, 8)
    torch.testing.assert_close(seen, image[0, 10:18, 10:18])
    seen = looker.glimpse(image, torch.tensor([[5 / 14, -5 / 14]])).view(8, 8)
    torch.testing.assert_close(seen, image[0, 5:13, 15:23])


def test_a_larger_canvas_holds_the_whole_digit():
    images = torch.rand(3, 28, 28)
    found = recurrent_attention.moved(images, 40, torch.Generator().manual_seed(0))
    torch.testing.assert_close(found.sum((1, 2)), images.sum((1, 2)))
