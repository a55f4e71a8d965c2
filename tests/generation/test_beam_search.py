"""Beam search against all sequences there are, and against a plain beam search in Python."""

import itertools
import math
from functools import cache

import pytest
import torch
from tolerances import assert_close
from torch import nn

import rnnkit
from rnnkit.errors import ConfigError, DataError, ShapeError
from rnnkit.generation import (
    Hypothesis,
    StepFunction,
    TokenModel,
    ban_repeated_ngrams,
    beam_search,
    beam_steps,
    encoded,
    generate,
    token_model,
)

END = 1


class Decoder(nn.Module):
    """An encoder–decoder with attention over the outputs of its encoder."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(vocabulary, 6), nn.Linear(12, vocabulary)
        self.encoder = rnnkit.GRU(6, 12, batch_first=True)
        self.decoder = rnnkit.GRU(6, 12)

    def encode(self, x, lengths=None):
        outputs, state = self.encoder(self.embedding(x), lengths=lengths)
        mask = torch.ones(x.shape, dtype=torch.bool)
        if lengths is not None:
            mask = torch.arange(x.shape[1]) < torch.as_tensor(lengths)[:, None]
        return state, (outputs, mask)

    def decode_step(self, ids, state, memory):
        outputs, mask = memory
        y, state = self.decoder.step(self.embedding(ids), state)
        fit = (outputs @ (6 * y)[:, :, None])[:, :, 0].masked_fill(~mask, -math.inf)
        weights = torch.softmax(fit, -1)
        return 5 * self.head(y + (weights[:, None] @ outputs)[:, 0]), state, weights


@cache
def sources(vocabulary: int = 4, rows: int = 3, seed: int = 0) -> TokenModel:
    torch.manual_seed(seed)
    x = torch.randint(2, vocabulary, (rows, 5))
    return encoded(Decoder(vocabulary).double(), x, lengths=[5, 3, 1, 4, 2][:rows])


def read(model: TokenModel, row: int, ids: tuple[int, ...]) -> tuple:
    """What the model's own steps return behind (0, *ids); remembered, for all sequences have beginnings in common."""
    known = model.__dict__.setdefault("known", {})
    if (row, ids) not in known:
        state = model.reorder(model.initial_state(model.rows), torch.tensor([row]))
        if ids:
            state = read(model, row, ids[:-1])[1]
        with torch.no_grad():
            known[row, ids] = model.step(torch.tensor([ids[-1] if ids else 0]), state)
    return known[row, ids]


def scored(model: TokenModel, row: int, ids: list[int]) -> tuple[list[float], torch.Tensor]:
    """ln p of each token of a sequence, and the attention [tokens, S]."""
    steps = [read(model, row, tuple(ids[:size])) for size in range(len(ids))]
    values = [torch.log_softmax(step[0], -1)[0, token].item() for step, token in zip(steps, ids, strict=True)]
    return values, torch.stack([step[2][0] for step in steps])


def score(model, row, ids, alpha, beta) -> float:
    values, weights = scored(model, row, ids)
    length = len(ids)
    valid = int(model.source_lengths[row])
    coverage = sum(math.log(min(max(one, 1e-300), 1.0)) for one in weights.sum(0)[:valid].tolist())
    return sum(values) / ((5 + length) / 6) ** alpha + beta * coverage


def every_sequence(vocabulary: int, most: int) -> list[list[int]]:
    """All that end within so many tokens, and all of that length which do not."""
    others = [token for token in range(vocabulary) if token != END]
    ended = [[*start, END] for size in range(most) for start in itertools.product(others, repeat=size)]
    return ended + [list(one) for one in itertools.product(others, repeat=most)]


@pytest.mark.parametrize(("alpha", "beta"), [(0.0, 0.0), (0.6, 0.0), (1.0, 0.0), (0.8, 0.4)])
@pytest.mark.parametrize("early_end", [True, False])
def test_it_is_exact_where_the_beam_holds_everything(alpha, beta, early_end):
    model = sources()
    found = beam_search(
        model,
        [0],
        end=END,
        width=130,
        max_tokens=4,
        length_penalty=alpha,
        coverage_penalty=beta,
        n_best=8,
        early_end=early_end,
    )
    for row, best in enumerate(found):
        truth = sorted(((score(model, row, ids, alpha, beta), ids) for ids in every_sequence(4, 4)), reverse=True)[:8]
        assert [[*one.ids, *[END] * one.ended] for one in best] == [ids for _, ids in truth]
        assert [one.score for one in best] == pytest.approx([value for value, _ in truth], rel=1e-9)
        assert [one.log_probability for one in best] == pytest.approx(
            [sum(scored(model, row, ids)[0]) for _, ids in truth], rel=1e-9
        )


def test_no_search_of_any_width_misses_a_better_one_once_it_is_wide_enough():
    model = sources()
    best = [
        [source[0].score for source in beam_search(model, [0], end=END, width=width, max_tokens=4, early_end=False)]
        for width in (1, 4, 130)
    ]
    assert all(
        narrow <= wide + 1e-12 for row in (best[:1], best[1:2]) for narrow, wide in zip(row[0], best[2], strict=True)
    )


def slow_beam_search(model, row, width, most, alpha, n=0):
    """The algorithm as its docstring says it, on Python's lists; no sequence of n tokens comes twice."""
    going, finished = [([], 0.0)], []
    for size in range(1, most + 1):
        options = []
        for ids, total in going:
            values = total + torch.log_softmax(read(model, row, tuple(ids))[0], -1)
            if n:
                values = ban_repeated_ngrams(values, torch.tensor([[0, *ids]]), n)
            values = values[0].tolist()
            options += [([*ids, token], value) for token, value in enumerate(values) if value > -math.inf]
        options.sort(key=lambda one: -one[1])
        finished += [one for one in options[:width] if one[0][-1] == END]
        going = [one for one in options if one[0][-1] != END][:width]
        if len(finished) >= width:
            break
        if size == most:
            finished += going
    ranked = sorted(((total / ((5 + len(ids)) / 6) ** alpha, ids) for ids, total in finished), reverse=True)
    return [ids for _, ids in ranked]


@pytest.mark.parametrize("n", [0, 1, 2, 3])
@pytest.mark.parametrize("width", [1, 2, 3, 5])
@pytest.mark.parametrize("most_bans", [64, 1])
def test_it_is_the_algorithm_that_it_says(width, n, most_bans, monkeypatch):
    monkeypatch.setattr(beam_steps, "_MOST_BANS", most_bans)  # beyond it the general way
    model = sources(vocabulary=6, rows=5, seed=3)
    settings = {"width": width, "max_tokens": 7, "length_penalty": 0.7, "n_best": width, "no_repeat_ngram": n}
    found = beam_search(model, [0], end=END, **settings)
    for row, best in enumerate(found):
        expected = slow_beam_search(model, row, width, 7, 0.7, n)
        # A source that is done early, because nothing can enter its best any more, has the same best.
        assert [[*one.ids, *[END] * one.ended] for one in best] == expected[:width]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_it_is_greedy_where_the_width_is_1(seed, alpha):
    model = sources(vocabulary=5, rows=5, seed=seed)
    greedy = generate(model, [0], max_tokens=9, temperature=0, stop_ids=[END])
    found = beam_search(model, [0], end=END, width=1, max_tokens=9, length_penalty=alpha)
    assert [source[0].ids for source in found] == greedy.ids
    assert [source[0].ended for source in found] == [reason == "stop_id" for reason in greedy.reasons]


def test_a_source_does_not_depend_on_the_others():
    model = sources(vocabulary=6, rows=5, seed=2)
    settings = {"end": END, "width": 3, "max_tokens": 12, "n_best": 3, "coverage_penalty": 0.2, "no_repeat_ngram": 2}
    together = beam_search(model, [0], **settings)
    assert len({len(one[0].ids) for one in together}) > 1  # they end at different times
    for row in range(5):
        x = model.module, torch.tensor([row])
        alone = StepFunction(
            model.step, lambda batch, at=x[1]: model.reorder(model.initial_state(5), at), model.state_batch_axis
        )
        alone.map_rows = model.map_rows
        alone.source_lengths = model.source_lengths[row : row + 1]
        (best,) = beam_search(alone, [0], **settings)
        assert [one.ids for one in best] == [one.ids for one in together[row]]
        assert_close(torch.tensor([one.score for one in best]), torch.tensor([one.score for one in together[row]]))


def language_models():
    torch.manual_seed(0)
    bodies = {
        "lstm": rnnkit.LSTM(8, 10, num_layers=2),
        "gru": rnnkit.GRU(8, 10, batch_first=True),
        "chain": rnnkit.Chain(rnnkit.GRU(8, 6), rnnkit.SimpleRNN(6, 10)),
        "torch": nn.LSTM(8, 10),
    }
    made = {name: rnnkit.SequenceTagger(body, 6, front=nn.Embedding(6, 8)) for name, body in bodies.items()}
    for model in made.values():
        with torch.no_grad():
            model.head.weight.mul_(6)
    return made


@pytest.mark.parametrize("kind", ["lstm", "gru", "chain", "torch"])
def test_language_models_search_too(kind):
    """By streams whose rows are exchanged at each step, and prompts of unequal length."""
    model = language_models()[kind]
    found = beam_search(model, [[2, 3, 4], [5]], end=END, width=4, max_tokens=8, n_best=4)
    machine = token_model(model)
    plain = StepFunction(machine.step, machine.initial_state, machine.state_batch_axis)
    slow = beam_search(plain, [[2, 3, 4], [5]], end=END, width=4, max_tokens=8, n_best=4)
    for fast, best in zip(found, slow, strict=True):
        assert [one.ids for one in fast] == [one.ids for one in best]
        assert_close(torch.tensor([one.score for one in fast]), torch.tensor([one.score for one in best]))


def fixed(probabilities: list[list[float]]) -> StepFunction:
    table = torch.tensor(probabilities, dtype=torch.float64).log()
    return StepFunction(lambda ids, state: (table[ids], state), lambda batch: ())


def test_a_minimum_of_tokens_forbidden_ids_and_several_ends():
    model = fixed([[0.1, 0.6, 0.2, 0.1]] * 4)
    assert beam_search(model, [0], end=END, width=2, max_tokens=6)[0][0].ids == []
    (best,) = beam_search(model, [0], end=END, width=2, max_tokens=6, min_tokens=3)[0]
    assert best.ids == [2, 2, 2]
    assert best.log_probability == pytest.approx(math.log(0.2**3 * 0.6))
    found = beam_search(model, [0], end=[1, 2], width=3, max_tokens=6, n_best=3, forbidden_ids=[0], early_end=False)[0]
    assert [one.ids for one in found][:2] == [[], []]
    assert [one.score for one in found][:2] == pytest.approx([math.log(0.6), math.log(0.2)])
    assert all(0 not in one.ids for one in found)


def test_no_ngram_comes_twice():
    model = fixed([[0.1, 0.1, 0.5, 0.3], [0.25] * 4, [0.1, 0.1, 0.2, 0.6], [0.1, 0.1, 0.6, 0.2]])
    free = beam_search(model, [0], end=END, width=2, max_tokens=12, min_tokens=10)[0][0].ids
    assert free[:6] == [2, 3, 2, 3, 2, 3]
    for n in (1, 2, 3):
        for one in beam_search(model, [0], end=END, width=4, max_tokens=12, n_best=4, no_repeat_ngram=n)[0]:
            ids = [0, *one.ids]
            grams = [tuple(ids[at : at + n]) for at in range(len(ids) - n + 1)]
            assert len(grams) == len(set(grams))


def test_a_source_without_a_way_on_gives_what_it_has():
    model = fixed([[0.0, 0.0, 1.0, 0.0], [0.25] * 4, [0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 1.0, 0.0]])
    (best,) = beam_search(model, [0], end=END, width=3, max_tokens=12, no_repeat_ngram=1)[0]
    assert (best.ids, best.ended) == ([2, 3], False)


def test_the_penalty_of_length_and_the_early_end():
    """The short hypothesis has the higher probability, the long one the higher score."""
    rows = [[0.0] * 12 for _ in range(12)]
    rows[0][END], rows[0][2] = 0.5, 0.5
    for token in range(2, 11):
        rows[token][token + 1] = 1.0
    rows[11][END] = 1.0
    rows[END][0] = 1.0
    rows[0][END] += 0.0
    rows[2][3], rows[2][END] = 0.9, 0.1
    model = fixed(rows)
    assert beam_search(model, [0], end=END, width=3, length_penalty=0.0)[0][0].ids == []
    patient = beam_search(model, [0], end=END, width=2, length_penalty=1.0, early_end=False)[0][0]
    assert patient.ids == list(range(2, 12))
    assert patient.score == pytest.approx(math.log(0.45) / (16 / 6))
    hasty = beam_search(model, [0], end=END, width=2, length_penalty=1.0)[0][0]
    assert hasty.ids in ([2], [])  # two hypotheses are finished at the second token


def test_a_search_goes_on_while_something_better_may_come():
    """The first that ends has ln 0.45, what goes on has ln 0.55 and ends with certainty."""
    model = fixed([[0.0, 0.45, 0.55, 0.0], [0.25] * 4, [0.0, 1.0, 0.0, 0.0], [0.25] * 4])
    for early_end in (True, False):
        (best,) = beam_search(model, [0], end=END, width=2, max_tokens=9, length_penalty=0.0, early_end=early_end)[0]
        assert best.ids == [2]
        assert best.score == pytest.approx(math.log(0.55))


def test_text_and_attention():
    model = sources()
    (first, *_), *_ = found = beam_search(
        model, [0], end=END, width=3, max_tokens=5, n_best=2, decode=lambda ids: "".join("abcd"[one] for one in ids),
        return_attention=True, coverage_penalty=0.1,
    )  # fmt: skip
    assert first.text == "".join("abcd"[one] for one in first.ids)
    for row, best in enumerate(found):
        for one in best:
            assert_close(one.attention, scored(model, row, [*one.ids, *[END] * one.ended])[1])


def test_scores_are_ordered_and_there_are_as_many_as_asked_for():
    for source in beam_search(sources(6, 5, 1), [0], end=END, width=6, n_best=6, max_tokens=8):
        assert len(source) == 6
        assert [one.score for one in source] == sorted((one.score for one in source), reverse=True)
        assert len({(*one.ids, one.ended) for one in source}) == 6
        assert isinstance(source[0], Hypothesis)


def test_the_mode_and_the_gradients_of_the_model_stay():
    model = sources(seed=9)
    model.module.train()
    beam_search(model, [0], end=END, width=2, max_tokens=3)
    assert model.module.training
    assert all(one.requires_grad for one in model.module.parameters())


def searching(model=None, prompts=(0,), **settings):
    return lambda: beam_search(model or sources(), list(prompts), **{"end": END, "max_tokens": 3, **settings})


NAN = StepFunction(lambda ids, state: (torch.full((len(ids), 3), math.nan), state), lambda batch: ())
FLAT = StepFunction(lambda ids, state: (torch.zeros(len(ids), 3), state), lambda batch: ())


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (searching(width=0), ConfigError, "width=0 arrived"),
        (searching(n_best=6), ConfigError, "n_best=6 arrived; expected at most width=5: type width=6"),
        (searching(length_penalty=-1), ConfigError, "length_penalty=-1 arrived"),
        (searching(coverage_penalty=-1), ConfigError, "coverage_penalty=-1 arrived"),
        (searching(no_repeat_ngram=-1), ConfigError, "no_repeat_ngram=-1 arrived"),
        (searching(min_tokens=3), ConfigError, "min_tokens=3 arrived; expected fewer than max_tokens=3"),
        (searching(max_tokens=0), ConfigError, "max_tokens=0 arrived"),
        (searching(end=9), ConfigError, "end=.9. arrived; but the model has a vocabulary of 4"),
        (searching(end="a"), ConfigError, "end='a' arrived"),
        (searching(forbidden_ids=[4]), ConfigError, "vocabulary of 4"),
        (searching(FLAT, coverage_penalty=0.1), ConfigError, "returns no attention weights; leave coverage_penalty"),
        (searching(FLAT, return_attention=True), ConfigError, "returns no attention weights; leave return_attention"),
        (searching(FLAT, forbidden_ids=[0, 1, 2]), DataError, "no token is left to choose in row 0"),
        (searching(NAN), DataError, "logits of row 0 are NaN"),
        (searching(prompts=[[0], [0]]), ShapeError, "2 prompts arrived for 3 sources"),
        (searching(FLAT, prompts=[]), DataError, "no prompt arrived"),
    ],
)
def test_errors_say_what_to_type(call, error, said):
    with pytest.raises(error, match=said):
        call()
