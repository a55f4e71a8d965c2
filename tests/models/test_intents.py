import pytest
import torch
from tolerances import assert_close

import rnnkit
from rnnkit.errors import ConfigError

INTENTS, TAGS = ["music", "weather"], ["O", "B-city", "I-city"]
LENGTHS = [4, 1, 3]


def make(**settings):
    torch.manual_seed(0)
    front = rnnkit.WordFront(20, word_size=6)
    return rnnkit.IntentSlotModel(rnnkit.GRU(6, 5, bidirectional=True), INTENTS, TAGS, front, **settings).eval()


def words():
    x = torch.randint(2, 20, (3, 4, 1), generator=torch.Generator().manual_seed(0))
    for row, length in enumerate(LENGTHS):
        x[row, length:] = 10**6  # read by nobody
    return x


@pytest.mark.parametrize("settings", [{}, {"crf": False}, {"intent_size": 0}])
def test_rows_of_a_batch_are_answered_as_if_alone(settings):
    model, x = make(**settings), words()
    together = model(x, LENGTHS)
    tags, sure = model.decode(together.slots, lengths=LENGTHS)
    assert [len(row) for row in tags] == LENGTHS
    assert ((sure > 0) & (sure <= 1)).all()
    for row, length in enumerate(LENGTHS):
        alone = model(x[row : row + 1, :length])
        assert_close(together.intents[row], alone.intents[0])
        assert_close(together.slots[row, :length], alone.slots[0])
        assert not together.slots[row, length:].any()
        assert model.decode(alone.slots)[0] == [tags[row]]


@pytest.mark.parametrize("crf", [True, False])
def test_the_likelihood_is_that_of_the_tags(crf):
    model, x = make(crf=crf), words()
    tags = torch.tensor([[0, 1, 2, 0], [1, 99, 99, 99], [0, 0, 1, 99]])
    found = model(x, LENGTHS, tags=tags)
    for row, length in enumerate(LENGTHS):
        scores = found.slots[row : row + 1, :length]
        if crf:
            expected = model.crf(scores, tags[row : row + 1, :length])[0]
        else:
            expected = -torch.nn.functional.cross_entropy(scores[0], tags[row, :length], reduction="sum")
        assert_close(found.log_likelihood[row], expected)
    assert model(x, LENGTHS).log_likelihood is None


def test_tags_see_the_intent():
    model, x = make(), words()
    before = model(x, LENGTHS).slots
    with torch.no_grad():
        model.intent_head.bias[0] += 50.0
    assert not torch.equal(model(x, LENGTHS).slots, before)


@pytest.mark.parametrize("settings", [{}, {"crf": False, "intent_size": 0, "dropout": 0.5}])
def test_it_is_saved_and_loaded(tmp_path, settings):
    model, x = make(**settings), words()
    rnnkit.Learner(model, loss="mse").save(tmp_path)
    again = rnnkit.load(tmp_path)
    assert (again.class_names, again.tags) == (("music", "weather"), tuple(TAGS))
    assert torch.equal(again(x, LENGTHS).slots, model(x, LENGTHS).slots)
    assert repr(again) == repr(model)


def test_names_that_cannot_be():
    body = rnnkit.GRU(6, 5)
    with pytest.raises(ConfigError, match="two or more"):
        rnnkit.IntentSlotModel(body, ["one"], TAGS)
    with pytest.raises(ConfigError, match="occur twice"):
        rnnkit.IntentSlotModel(body, ["one", "one"], TAGS)
    with pytest.raises(ConfigError, match="B-city"):
        rnnkit.IntentSlotModel(body, INTENTS, ["O", "city"])
