"""The task that needs far context: what is asked, and that a ReNet may know it where a convolution cannot."""

import torch

from benchmarks import far_context as task


def test_each_mark_asks_for_the_colour_at_the_other_end():
    x, y = task.other_ends(40, seed=0)
    assert (tuple(x.shape), tuple(y.shape)) == ((40, 3, 96, 96), (40, 12, 12))
    assert torch.equal(task.other_ends(40, seed=0)[0], x)
    blue = (x[:, 2] - x[:, 0]).sign()
    for picture, places in zip(blue, y, strict=True):
        rows, columns = (places != task.NOT_ASKED).nonzero().unbind(1)
        assert len(rows) == 2 * task.LINES
        for row in rows.unique().tolist():
            left, right = sorted(columns[rows == row].tolist())
            assert (right - left) * task.STRIDE >= 48
            own = [int(picture[row * 8 : row * 8 + 8, place * 8 : place * 8 + 8].sum() > 0) for place in (left, right)]
            assert [int(places[row, place]) for place in (left, right)] == own[::-1]
    asked = y[y != task.NOT_ASKED].float()
    assert 0.4 < asked.mean() < 0.6


def test_networks_are_of_equal_size_and_the_convolution_sees_no_other_end():
    sizes = {context: task.parameters(task.network(context)) for context in ("renet", "conv")}
    assert abs(sizes["renet"] - sizes["conv"]) < 0.05 * sizes["renet"]
    found = {context: task.train(context, 0, steps=1, batch=2, judged=4) for context in ("renet", "conv", "deep")}
    assert found["conv"].field.startswith("43 × 43 of 96 × 96") or int(found["conv"].field.split()[0]) <= 43
    assert found["renet"].steps == 1
    assert 0 <= found["renet"].accuracy <= 1
