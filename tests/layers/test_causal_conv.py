import pytest
import torch
from tolerances import assert_close

import rnnkit
from rnnkit.errors import ConfigError, ShapeError

LENGTHS = [23, 9, 1, 14]


def ragged():
    """Rows of unequal length, NaN behind each."""
    x = torch.randn(4, 23, 3)
    for row, length in enumerate(LENGTHS):
        x[row, length:] = float("nan")
    return x


@pytest.mark.parametrize("strides", [(1,), (2,), (2, 2), (3, 1)])
def test_a_padded_row_is_seen_as_if_alone(strides):
    front, x = rnnkit.CausalConv(3, 8, (4, 3)[: len(strides)], strides), ragged()
    together, lengths, _ = front(x, LENGTHS)
    assert lengths.tolist() == [-(-length // front.stride) for length in LENGTHS]
    for row, length in enumerate(LENGTHS):
        alone, none, _ = front(x[row : row + 1, :length])
        assert none is None
        assert_close(together[row : row + 1, : lengths[row]], alone)
        assert not together[row, lengths[row] :].any()


@pytest.mark.parametrize("strides", [(1,), (2, 2), (3, 2)])
@pytest.mark.parametrize("length", [1, 2, 5, 17, 24])
@pytest.mark.parametrize("chunk", [1, 3, 7, 24])
def test_chunks_give_what_the_whole_gives(strides, length, chunk):
    front, x = rnnkit.CausalConv(3, 8, (5, 4)[: len(strides)], strides), torch.randn(2, length, 3)
    state, outputs = None, []
    for part in x.split(chunk, 1):
        y, state = front.forward_chunk(part, state)
        outputs.append(y)
    outputs.append(front.finish(state))
    assert_close(torch.cat(outputs, 1), front(x)[0])


def test_weights_that_are_computed_are_those_of_chunks_too():
    front, x = rnnkit.CausalConv(3, 8, (5, 3), (2, 2)), torch.randn(1, 20, 3)
    torch.nn.utils.parametrizations.weight_norm(front.convs[0])
    y, state = front.forward_chunk(x)
    assert_close(torch.cat([y, front.finish(state)], 1), front(x)[0])


def test_an_output_sees_no_later_step():
    front, x = rnnkit.CausalConv(3, 8, (5, 3), (2, 2)), torch.randn(1, 16, 3)
    changed = x.clone()
    changed[:, 8:] += 1
    before, after = front(x)[0], front(changed)[0]
    assert_close(before[:, :2], after[:, :2])
    assert not torch.allclose(before[:, 2], after[:, 2])


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match="one of each for every layer"):
        rnnkit.CausalConv(3, 8, (5,), (2, 2))
    with pytest.raises(ConfigError, match="no kernel smaller than its stride"):
        rnnkit.CausalConv(3, 8, (1,), (2,))
    with pytest.raises(ConfigError, match="go on one by one"):
        rnnkit.CausalConv(3, 8).forward_chunk(torch.zeros(1, 4, 3), lengths=[2])
    with pytest.raises(ShapeError, match="expects"):
        rnnkit.CausalConv(3, 8)(torch.zeros(1, 4, 2))
