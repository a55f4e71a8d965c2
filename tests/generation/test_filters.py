"""Each filter against a slow reference, written from its definition with Python's numbers."""

import math

import pytest
import torch
from tolerances import assert_close

from rnnkit.errors import ConfigError
from rnnkit.generation import (
    Sampling,
    ban_repeated_ngrams,
    draw,
    forbid,
    keep_min_p,
    keep_top_k,
    keep_top_p,
    penalise_repetition,
    scale_temperature,
)
from rnnkit.generation.sampling import uniforms

NEVER = -math.inf


def made_logits(rows: int = 20, size: int = 9, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Random, with ties and forbidden tokens among them."""
    generator = torch.Generator().manual_seed(0)
    logits = (3 * torch.randn(rows, size, generator=generator)).to(dtype)
    logits[::3] = logits[::3].round()
    logits[::4, 2] = NEVER
    return logits


def probabilities(row: list[float]) -> list[float]:
    most = max(row)
    weights = [math.exp(x - most) for x in row]
    return [weight / sum(weights) for weight in weights]


def kept(row: list[float], keep: set[int]) -> list[float]:
    return [x if place in keep else NEVER for place, x in enumerate(row)]


def check(function, reference, logits=None):
    logits = made_logits() if logits is None else logits
    before = logits.clone()
    expected = torch.tensor([reference(row) for row in logits.tolist()], dtype=logits.dtype)
    assert_close(function(logits), expected)
    assert torch.equal(logits, before)  # a filter changes nothing in place


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_temperature(temperature):
    check(lambda logits: scale_temperature(logits, temperature), lambda row: [x / temperature for x in row])


@pytest.mark.parametrize("k", [1, 3, 9, 50])
def test_top_k(k):
    def reference(row):
        least = sorted(row, reverse=True)[min(k, len(row)) - 1]
        return [x if x >= least else NEVER for x in row]

    check(lambda logits: keep_top_k(logits, k), reference)


@pytest.mark.parametrize("p", [1e-6, 0.3, 0.7, 0.95])
def test_top_p(p):
    def reference(row):
        shares, keep, mass = probabilities(row), set(), 0.0
        for place in sorted(range(len(row)), key=lambda place: (-row[place], place)):
            if mass >= p:
                break
            keep.add(place)
            mass += shares[place]
        return kept(row, keep)

    check(lambda logits: keep_top_p(logits, p), reference, made_logits(dtype=torch.float64))


@pytest.mark.parametrize("p", [0.05, 0.5, 1.0])
def test_min_p(p):
    def reference(row):
        shares = probabilities(row)
        return kept(row, {place for place, share in enumerate(shares) if share >= p * max(shares) * (1 - 1e-12)})

    check(lambda logits: keep_min_p(logits, p), reference, made_logits(dtype=torch.float64))


@pytest.mark.parametrize("penalty", [0.5, 1.3])
def test_repetition_penalty(penalty):
    logits = made_logits()
    previous = torch.randint(-1, 9, (len(logits), 4), generator=torch.Generator().manual_seed(1))
    pasts = iter(previous.tolist())

    def reference(row):
        past = next(pasts)
        return [x if place not in past else x / penalty if x > 0 else x * penalty for place, x in enumerate(row)]

    check(lambda logits: penalise_repetition(logits, previous, penalty), reference, logits)


def test_a_past_without_tokens_or_with_unknown_ones_penalises_nothing():
    logits = made_logits()
    nothing = torch.tensor([[-1, 40]]).expand(len(logits), -1)
    assert torch.equal(penalise_repetition(logits, nothing, 2.0), logits)
    assert torch.equal(penalise_repetition(logits, nothing[:, :0], 2.0), logits)


def test_forbidden_ids():
    check(lambda logits: forbid(logits, [0, 4]), lambda row: kept(row, set(range(9)) - {0, 4}))
    check(lambda logits: forbid(logits, []), lambda row: row)


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("past", [0, 1, 2, 12])
def test_repeated_ngrams(n, past):
    logits = made_logits(size=3)
    previous = torch.randint(0, 3, (len(logits), past), generator=torch.Generator().manual_seed(2))
    previous[::2, : past // 2] = -1  # these rows have a shorter past
    pasts = iter(previous.tolist())

    def reference(row):
        ids = [one for one in next(pasts) if one >= 0]
        seen = {tuple(ids[at : at + n]) for at in range(len(ids) - n + 1)}
        tail = ids[len(ids) - n + 1 :] if n > 1 else []
        if len(tail) < n - 1:
            return row
        return kept(row, {token for token in range(len(row)) if (*tail, token) not in seen})

    check(lambda logits: ban_repeated_ngrams(logits, previous, n), reference, logits)


def test_the_filters_apply_in_the_stated_order():
    logits, previous = made_logits(), torch.zeros(20, 3, dtype=torch.long)
    previous[:, 0] = 5
    settings = Sampling(0.7, 6, 0.9, 0.05, repetition_penalty=1.4, repetition_window=2, forbidden_ids=[1])
    by_hand = forbid(penalise_repetition(logits, previous[:, -2:], 1.4), [1])
    by_hand = keep_min_p(keep_top_p(keep_top_k(scale_temperature(by_hand, 0.7), 6), 0.9), 0.05)
    assert_close(settings.apply(logits, previous), by_hand)


def test_draws_follow_the_probabilities():
    shares = torch.tensor([0.1, 0.0, 0.6, 0.3], dtype=torch.float64)
    numbers = (torch.arange(10_000, dtype=torch.float64) + 0.5) / 10_000
    ids = draw(shares.log().expand(len(numbers), -1), numbers)
    assert_close(ids.bincount(minlength=4) / len(numbers), torch.tensor([0.1, 0.0, 0.6, 0.3]))
    assert (ids.diff() >= 0).all()  # the inverse of the distribution function


def test_a_draw_never_takes_what_is_forbidden():
    logits = torch.tensor([[NEVER, 0.0, NEVER, 1e-30, NEVER]] * 2)
    numbers = torch.tensor([0.0, 1 - 2**-53], dtype=torch.float64)
    assert draw(logits, numbers).tolist() == [1, 3]
    assert draw(torch.full((1, 3), NEVER), numbers[:1]).tolist() == [3]
    assert draw(torch.tensor([[0.0, math.nan]]), numbers[:1]).tolist() == [2]


def test_uniform_numbers_go_on_where_they_were():
    whole = uniforms(3)
    numbers = [next(whole) for _ in range(200)]
    for skip in (0, 1, 63, 64, 65, 130):
        assert next(uniforms(3, skip)) == numbers[skip]
    assert numbers != [next(uniforms(4)) for _ in range(200)]
    assert all(0 <= number < 1 for number in numbers)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"temperature": -1}, "temperature=-1 arrived; expected a number of at least 0"),
        ({"top_k": 0}, "top_k=0 arrived; expected a whole number of at least 1"),
        ({"top_k": 2.5}, "top_k=2.5 arrived"),
        ({"top_p": 95}, "top_p=95 arrived; expected a number above 0 and of at most 1"),
        ({"top_p": 0}, "top_p=0 arrived"),
        ({"min_p": 1.1}, "min_p=1.1 arrived"),
        ({"repetition_penalty": 0}, "repetition_penalty=0 arrived; expected a number above 0"),
        ({"repetition_window": 0}, "repetition_window=0 arrived"),
        ({"forbidden_ids": 3}, r"forbidden_ids=3 arrived; expected a list of token ids: type forbidden_ids=\[3\]"),
        ({"forbidden_ids": ["a"]}, "expected a list of token ids, whole numbers of at least 0"),
    ],
)
def test_settings_outside_their_range(settings, said):
    with pytest.raises(ConfigError, match=said):
        Sampling(**settings)
