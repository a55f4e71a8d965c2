import pytest
import torch
from tolerances import assert_close

import rnnkit
from rnnkit.errors import ConfigError


def model(front=True, **body):
    sizes = (8, 12) if front else (4, 12)
    return rnnkit.SpeechRecognizer(
        rnnkit.GRU(*sizes, **body), 6, front=rnnkit.CausalConv(4, 8, (3, 3), (2, 2)) if front else None
    ).eval()


@pytest.mark.parametrize("front", [True, False])
@pytest.mark.parametrize("chunk", [1, 3, 21])
def test_chunks_give_what_the_whole_gives(front, chunk):
    recognizer, x = model(front), torch.randn(2, 21, 4)
    state, outputs = None, []
    for part in x.split(chunk, 1):
        y, state = recognizer.forward_chunk(part, state)
        outputs.append(y)
    outputs.append(recognizer.finish(state))
    whole, lengths = recognizer(x)
    assert_close(torch.cat(outputs, 1), whole)
    assert lengths.tolist() == [6, 6] if front else [21, 21]


def test_rows_of_unequal_length_are_told_and_learned():
    recognizer, x = model(bidirectional=True), torch.randn(2, 40, 4)
    logits, lengths = recognizer(x, [40, 13])
    assert tuple(logits.shape) == (2, 10, 6)
    assert lengths.tolist() == [10, 4]
    alone, _ = recognizer(x[1:, :13])
    assert_close(logits[1:, :4], alone)
    learner = rnnkit.Learner(recognizer.train(), lr=0.02)
    batch = rnnkit.Batch(x, torch.tensor([[1, 2, 3], [4, 0, 0]]), torch.tensor([40, 13]), torch.tensor([3, 1]))
    history = learner.fit([batch], epochs=30, seed=0, progress=False)
    assert history.rows[-1]["loss"] < 0.5 * history.rows[0]["loss"]


def test_a_saved_recogniser_is_the_same(tmp_path):
    recognizer, x = model(num_layers=2), torch.randn(1, 9, 4)
    rnnkit.Learner(recognizer).save(tmp_path)
    assert_close(rnnkit.load(tmp_path)(x)[0], recognizer.eval()(x)[0])


def test_what_cannot_go_on_from_chunk_to_chunk_says_why():
    both = model(bidirectional=True)
    assert "bidirectional" in both.carry_problem
    with pytest.raises(ConfigError, match="bidirectional"):
        both.forward_chunk(torch.zeros(1, 8, 4))
    ahead = rnnkit.SpeechRecognizer(rnnkit.GRU(12, 4), 3, front=rnnkit.ConvFront(4, 12, stride=2))
    assert "use a rnnkit.CausalConv" in ahead.carry_problem


def test_states_are_reordered_by_row():
    recognizer, x = model(), torch.randn(2, 7, 4)
    _, state = recognizer.forward_chunk(x)
    swapped = recognizer.reorder_state(state, torch.tensor([1, 0]))
    more = torch.randn(2, 9, 4)
    assert_close(recognizer.forward_chunk(more.flip(0), swapped)[0], recognizer.forward_chunk(more, state)[0].flip(0))
