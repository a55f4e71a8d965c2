"""The measurement of recurrence over pictures and maps, in small."""

import torch
from tolerances import assert_close

import rnnkit
from benchmarks import maps

SIZES = maps.Sizes(batch=1, channels=2, height=3, width=4, units=16, inputs=2, steps=2, side=4)


def test_ratios_are_told(capsys):
    maps.main(["--rounds", "1", "--processor"], SIZES)  # so small a map says nothing about speed
    said = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in said[1:]] == ["ReNet", "ConvGRU, reset before", "ConvGRU, reset after"]


def test_the_loop_computes_the_layer():
    layer, x = rnnkit.ConvGRU(2, 16, reset_after=False), torch.randn(2, 3, 2, 5, 4)
    for one, other in zip(maps.Loop(layer)(x), layer(x), strict=True):
        assert_close(one, other)
