"""Sets of objects: their matching, their loss, and a decoder that learns to tell them."""

import itertools

import pytest
import torch
from tolerances import assert_close

import rnnkit
from rnnkit import SetDecoder
from rnnkit.errors import ConfigError, DataError, ShapeError
from rnnkit.ops.set_matching import match_sets, set_loss
from rnnkit.types import Batch


def made_sets(rows=48, seed=0):
    """Rows with one or two of two classes, each at a place from 0 to 1 that the features tell, in any order."""
    generator = torch.Generator().manual_seed(seed)
    places = torch.rand(rows, 2, generator=generator)
    counts = 1 + torch.arange(rows) % 2
    features = torch.stack([places[:, 0], (counts == 2) * places[:, 1], counts - 1.0], 1)
    targets = torch.full((rows, 2, 2), torch.nan)
    for row, count in enumerate(counts.tolist()):
        order = torch.randperm(count, generator=generator)
        targets[row, :count] = torch.stack([torch.arange(2.0), places[row]], 1)[:count][order]
    return features, targets, counts


def decoder(**options):
    torch.manual_seed(0)
    return SetDecoder(rnnkit.LSTM(3, 24), **{"steps": 3, "classes": 2, "values": 1, **options})


def best_by_trial(values, targets, reach):
    """The smallest (misses, sum of ranks, distance) of all assignments."""

    def rank(order):
        distances = [(values[j] - target).abs().sum().item() for j, target in zip(order, targets, strict=True)]
        return sum(d > reach for d in distances), sum(order), sum(distances)

    return min(itertools.permutations(range(len(values)), len(targets)), key=rank)


def test_matches_are_the_best_of_all_assignments():
    generator = torch.Generator().manual_seed(0)
    values, targets = torch.rand(20, 4, 2, generator=generator), torch.rand(20, 3, 2, generator=generator)
    counts = torch.arange(20) % 4
    found = match_sets(values, targets, counts, reach=0.4)
    for row, count in enumerate(counts.tolist()):
        assert tuple(found[row, :count].tolist()) == best_by_trial(values[row], targets[row, :count], 0.4)
        assert (found[row, count:] == -1).all()


def test_the_loss_knows_no_order_and_no_padding():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, 3, generator=generator, requires_grad=True)
    values = torch.randn(2, 4, 2, generator=generator, requires_grad=True)
    classes, targets = torch.tensor([[0, 1, 1], [1, 0, 0]]), torch.rand(2, 3, 2, generator=generator)
    counts = torch.tensor([3, 1])
    loss = set_loss(logits, values, classes, targets, counts)
    turned = [2, 0, 1]
    assert_close(set_loss(logits[:1], values[:1], classes[:1, turned], targets[:1, turned], counts[:1]), loss[:1])
    targets[1, 1:], classes[1, 1:] = torch.nan, -7
    assert_close(set_loss(logits, values, classes, targets, counts), loss)
    gradients = torch.autograd.grad(loss.sum(), [logits, values])
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert int(gradients[1].abs().sum(2).count_nonzero()) == 4  # those that were matched


def test_a_row_without_objects_tells_none():
    logits, values = torch.zeros(1, 2, 3), torch.zeros(1, 2, 1)
    loss = set_loss(logits, values, torch.zeros(1, 0, dtype=torch.long), torch.zeros(1, 0, 1), torch.tensor([0]))
    assert_close(loss, 2 * torch.log(torch.tensor([3.0])))


def test_two_uneven_batches_are_one():
    features, targets, counts = made_sets(6)
    model = decoder()
    objective = rnnkit.training.SetObjective()
    whole = Batch(features, targets, target_lengths=counts)
    score = objective(objective.call(model, whole), whole)
    parts = [Batch(features[rows], targets[rows], target_lengths=counts[rows]) for rows in (slice(2), slice(2, None))]
    scores = [objective(objective.call(model, part), part) for part in parts]
    assert_close(sum(one.loss * one.count for one in scores) / 6, score.loss)
    assert score.count == 6


def test_a_decoder_learns_to_tell_each_object_once(tmp_path):
    features, targets, counts = made_sets()
    lists = [rows[:count] for rows, count in zip(targets, counts.tolist(), strict=True)]
    learner = rnnkit.Learner(decoder(), lr=0.03)
    history = learner.fit(features, lists, epochs=60, batch_size=24, seed=0, progress=False)
    assert history["loss"][-1] < 0.8 < 2.5 < history["loss"][0]
    found = learner.predict(features)
    assert found.shape == (48, 3, 4)
    told = torch.as_tensor(found)[..., :3].argmax(-1)
    assert ((told < 2).sum(1) == counts).float().mean() > 0.9
    learner.save(tmp_path)
    again = rnnkit.load(tmp_path)
    assert repr(again) == repr(learner.model)
    assert_close(again(features), learner.model.eval()(features))


def test_cells_of_a_grid_are_rows():
    model, x = decoder(front=torch.nn.Linear(5, 3)), torch.randn(2, 4, 6, 5)
    logits, values = model(x)
    assert_close(logits[1, 2, 3], model(x[1:2, 2, 3])[0][0])
    assert values.shape == (2, 4, 6, 3, 1)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: decoder(steps=0), ConfigError, "steps=0"),
        (lambda: SetDecoder(rnnkit.GRU(3, 4, bidirectional=True), 3, 2), ConfigError, "bidirectional"),
        (lambda: decoder()(torch.zeros(2, 4)), ShapeError, r"features \(\.\.\., 3\)"),
        (lambda: match_sets(torch.zeros(1, 1, 1), torch.zeros(1, 2, 1), torch.tensor([2])), DataError, "steps=2"),
    ],
)
def test_what_does_not_fit_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    ("targets", "error", "message"),
    [
        (torch.zeros(8, 2), ShapeError, "a class and 1 numbers"),
        (torch.zeros(8, 2, 3), ShapeError, r"\[2, objects, 2\]"),
        (torch.full((8, 1, 2), 2.0), DataError, "from 0 to 1"),
        (torch.full((8, 1, 2), torch.nan), DataError, "NaN"),
        (torch.zeros(8, 4, 2), DataError, "steps=4"),
    ],
)
def test_targets_that_do_not_fit_are_refused(targets, error, message):
    with pytest.raises(error, match=message):
        rnnkit.Learner(decoder()).fit(torch.zeros(8, 3), targets, epochs=1, progress=False)
