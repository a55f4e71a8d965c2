import pytest
import torch
from tolerances import assert_close

import rnnkit
from rnnkit.errors import ConfigError, ShapeError

LENGTHS = [3, 1, 2]


def words(front, generator=None):
    """Words [B, T, 1 + K] of 1 to 4 characters, with numbers behind each row's length that nobody may read."""
    x = torch.randint(1, 9, (3, 3, 5), generator=generator)
    letters = torch.randint(1, 5, (3, 3), generator=generator)
    x[..., 1:] = torch.where(torch.arange(4) < letters[..., None], x[..., 1:], 0)
    for row, length in enumerate(LENGTHS):
        x[row, length:] = 10**6
    return x


def make(**settings):
    torch.manual_seed(0)
    return rnnkit.WordFront(10, 9, 6, 4, 5, **settings)


def test_a_word_is_its_embedding_and_the_largest_of_its_characters():
    front = make().eval()
    x = words(front)
    y, lengths, state = front(x, LENGTHS)
    assert (tuple(y.shape), lengths, state) == ((3, 3, 11), LENGTHS, None)
    for row, length in enumerate(LENGTHS):
        assert not y[row, length:].any()
        for step in range(length):
            letters = x[row, step, 1:][x[row, step, 1:] > 0]
            found = torch.nn.functional.pad(front.characters(letters).T[None], (1, 1))
            weight, bias = front.conv.weight, front.conv.bias
            by_hand = torch.nn.functional.conv1d(found, weight, bias).relu().amax(2)[0]
            assert_close(y[row, step], torch.cat((front.words(x[row, step, 0]), by_hand)))


def test_other_words_of_the_batch_do_not_matter():
    front, x = make().eval(), words(None)
    together = front(x, LENGTHS)[0]
    for row, length in enumerate(LENGTHS):
        assert_close(together[row, :length], front(x[row : row + 1, :length])[0][0])


def test_unknown_words_are_trained():
    front = make(word_dropout=0.5, unknown=1)
    x = torch.full((20, 5, 5), 3)
    y = front(x)[0][..., :6]
    same = [(y == front.words.weight[number]).all(-1).float().mean().item() for number in (1, 3)]
    assert sum(same) == 1
    assert 0.3 < same[0] < 0.7
    assert (front.eval()(x)[0][..., :6] == front.words.weight[3]).all()


def test_without_characters():
    front = rnnkit.WordFront(10, word_size=6)
    assert tuple(front(torch.ones(2, 3, 1, dtype=torch.long))[0].shape) == (2, 3, 6)
    assert front.output_size == 6


def test_it_is_built_from_its_config():
    front = make(dropout=0.5, word_dropout=0.1, kernel_size=5).eval()
    again = rnnkit.models.build(front.config()).eval()
    again.load_state_dict(front.state_dict())
    x = words(front)
    assert torch.equal(again(x, LENGTHS)[0], front(x, LENGTHS)[0])
    assert repr(again) == repr(front)


@pytest.mark.parametrize(
    "settings",
    [{"words": 0}, {"words": 5, "characters": -1}, {"words": 5, "dropout": 1.0}, {"words": 5, "unknown": -1}],
)
def test_settings_that_cannot_be(settings):
    with pytest.raises(ConfigError, match="expected a"):
        rnnkit.WordFront(**settings)


@pytest.mark.parametrize("shape", [(2, 3, 1), (2, 3)])
def test_inputs_that_do_not_fit(shape):
    with pytest.raises(ShapeError, match=r"\(batch, time, 1 \+ characters\)"):
        make()(torch.ones(shape, dtype=torch.long))
    with pytest.raises(ShapeError, match=r"torch\.float32; expected whole numbers"):
        make()(torch.ones(2, 3, 5))
