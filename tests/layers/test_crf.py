"""The conditional random field: exact against all paths, padding that does not matter, constraints."""

from __future__ import annotations

from itertools import pairwise, product

import pytest
import torch
from tolerances import assert_close as close

import rnnkit
from rnnkit.errors import ConfigError, DataError, ShapeError
from rnnkit.layers.crf import bio_forbids

NAMES = ["O", "B-a", "I-a", "B-b", "I-b"]
LENGTHS = [4, 1, 3]


def make(dtype, scheme=None, tags=NAMES, scale=1.0):
    generator = torch.Generator().manual_seed(0)
    crf = rnnkit.CRF(tags, scheme=scheme).to(dtype)
    for one in crf.parameters():
        one.data = torch.randn(one.shape, generator=generator, dtype=dtype)
    return crf, scale * torch.randn(len(LENGTHS), max(LENGTHS), len(crf.start), generator=generator, dtype=dtype)


def paths(crf, emissions, length):
    """All allowed paths of a row, and the score of each, by the equation."""
    first, pairs = bio_forbids(NAMES)
    for path in product(range(len(NAMES)), repeat=length):
        forbidden = first[path[0]] or any(pairs[i, j] for i, j in pairwise(path))
        if crf.scheme is not None and forbidden:
            continue
        score = crf.start[path[0]] + crf.end[path[-1]] + sum(emissions[t, tag] for t, tag in enumerate(path))
        yield path, score + sum(crf.transitions[i, j] for i, j in pairwise(path))


@pytest.mark.parametrize(
    ("dtype", "scale"),
    [(torch.float32, 1.0), (torch.float64, 1.0), (torch.float64, 100.0)],  # the last is summed by logarithms
)
@pytest.mark.parametrize("scheme", [None, "bio"])
def test_all_paths(dtype, scheme, scale):
    crf, emissions = make(dtype, scheme, scale=scale)
    decoded, sure = crf.decode(emissions, lengths=LENGTHS)
    for row, length in enumerate(LENGTHS):
        found = dict(paths(crf, emissions[row], length))
        log_z = torch.logsumexp(torch.stack(list(found.values())), 0)
        close(crf.log_partition(emissions, lengths=LENGTHS)[row], log_z)
        best = max(found, key=lambda path: found[path].item())
        assert decoded[row, :length].tolist() == list(best)
        assert decoded[row, length:].tolist() == [0] * (max(LENGTHS) - length)
        close(sure[row], found[best] - log_z)
        tags = torch.full((len(LENGTHS), max(LENGTHS)), 0)
        tags[row, :length] = torch.tensor(best)
        close(crf(emissions, tags, lengths=LENGTHS)[row], found[best] - log_z)


def test_probabilities_sum_to_one():
    crf, emissions = make(torch.float64, "bio")
    tags = torch.tensor([path for path, _ in paths(crf, emissions[0], 4)])
    shares = crf(emissions[:1].expand(len(tags), -1, -1), tags).exp()
    close(shares.sum(), torch.ones((), dtype=torch.float64))


@pytest.mark.parametrize("scheme", [None, "bio"])
@pytest.mark.parametrize("offset", [0.0, 200.0])
def test_gradients(scheme, offset):
    crf, emissions = make(torch.float64, scheme)
    emissions += offset
    tags = torch.tensor([[0, 1, 2, 0], [3, 0, 0, 0], [1, 1, 2, 0]])

    def likelihood(emissions, *parameters):
        values = dict(zip(dict(crf.named_parameters()), parameters, strict=True))
        return torch.func.functional_call(crf, values, (emissions, tags), {"lengths": LENGTHS})

    inputs = [emissions, *(one.detach() for one in crf.parameters())]
    assert torch.autograd.gradcheck(likelihood, [one.requires_grad_() for one in inputs])


def test_padding_does_not_matter():
    crf, emissions = make(torch.float64, "bio")
    tags = torch.tensor([[0, 1, 2, 0], [3, 0, 0, 0], [1, 1, 2, 0]])
    clean = emissions.clone().requires_grad_()
    expected = crf(clean, tags, lengths=LENGTHS)
    expected.sum().backward()
    wanted = [clean.grad, *(one.grad.clone() for one in crf.parameters())]
    crf.zero_grad()
    valid = torch.arange(4) < torch.tensor(LENGTHS)[:, None]
    poisoned = torch.where(valid[:, :, None], emissions, torch.nan).requires_grad_()
    found = crf(poisoned, torch.where(valid, tags, -100), lengths=LENGTHS)
    found.sum().backward()
    close(found, expected)
    for one, other in zip([poisoned.grad, *(one.grad for one in crf.parameters())], wanted, strict=True):
        close(one, other)
    assert crf.decode(poisoned, lengths=LENGTHS)[0].equal(crf.decode(emissions, lengths=LENGTHS)[0])
    alone = torch.stack([crf(emissions[i : i + 1, :n], tags[i : i + 1, :n])[0] for i, n in enumerate(LENGTHS)])
    close(found, alone)


def test_constraints_hold_whatever_the_scores():
    crf, emissions = make(torch.float32, "bio")
    emissions[:, :, [2, 4]] += 50.0  # all for the tags inside
    first, pairs = bio_forbids(NAMES)
    for path, length in zip(crf.decode(emissions, lengths=LENGTHS)[0].tolist(), LENGTHS, strict=True):
        assert not first[path[0]]
        assert not any(pairs[i, j] for i, j in pairwise(path[:length]))


def test_it_learns_what_emissions_do_not_say():
    torch.manual_seed(0)
    crf = rnnkit.CRF(2)
    emissions, tags = torch.zeros(1, 6, 2), torch.tensor([[0, 1, 0, 1, 0, 1]])
    optimizer = torch.optim.Adam(crf.parameters(), lr=0.1)
    for _ in range(60):
        optimizer.zero_grad()
        (-crf(emissions, tags).mean()).backward()
        optimizer.step()
    assert crf.decode(emissions)[0].equal(tags)


def test_half_precision_is_summed_in_float32():
    crf, emissions = make(torch.float32)
    assert crf.log_partition(emissions.bfloat16()).dtype == torch.float32


def test_it_is_built_from_its_config():
    crf, emissions = make(torch.float32, "bio")
    again = rnnkit.models.build(crf.config())
    again.load_state_dict(crf.state_dict())
    assert set(crf.state_dict()) == {"transitions", "start", "end"}
    assert torch.equal(again.log_partition(emissions), crf.log_partition(emissions))
    assert repr(crf) == "CRF(tags=5, scheme='bio')"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"tags": 3, "scheme": "bio"}, "needs the names"),
        ({"tags": ["O", "X-a"], "scheme": "bio"}, "'X-a'"),
        ({"tags": ["O", "B-"], "scheme": "bio"}, "'B-'"),
        ({"tags": 3, "scheme": "bioes"}, "bio"),
        ({"tags": 0}, "at least 1"),
        ({"tags": []}, "at least 1"),
        ({"tags": "O"}, "a list of names"),
    ],
)
def test_settings_that_cannot_be(arguments, words):
    with pytest.raises(ConfigError, match=words):
        rnnkit.CRF(**arguments)


def test_inputs_that_do_not_fit():
    crf, emissions = make(torch.float32, "bio")
    tags = torch.zeros(3, 4, dtype=torch.long)
    with pytest.raises(ShapeError, match=r"\[batch, time, 5\]"):
        crf(emissions[..., :3], tags)
    with pytest.raises(ShapeError, match="one a step"):
        crf(emissions, tags[:, :2])
    with pytest.raises(ShapeError, match="lengths run"):
        crf.decode(emissions, lengths=[5, 1, 1])
    with pytest.raises(DataError, match="the tag 9 arrived; expected 0 to 4"):
        crf(emissions, tags + 9)
    tags[1, 2] = 2
    with pytest.raises(DataError, match="row 1, step 2: I-a stands behind O"):
        crf(emissions, tags)
    assert torch.isfinite(crf(emissions, tags, lengths=LENGTHS)).all()  # it stands in padding
    tags[0, 0] = 4
    with pytest.raises(DataError, match="row 0, step 0: I-b stands first"):
        crf(emissions, tags, lengths=LENGTHS)
