"""Old rows beside the new ones that a fine-tuning learns: drawn, relabelled, mixed."""

from __future__ import annotations

import pytest
import torch
from fitting import trained

import rnnkit
from rnnkit.errors import ConfigError, DataError
from rnnkit.training.batching.arrays import to_batch
from rnnkit.training.fine_tuning.old_and_new import translate
from rnnkit.training.learner import Learner


def test_a_run_goes_on_with_the_old_rows_it_was_begun_with(classifier, blobs, tmp_path):
    x, y = blobs

    def tune(epochs, old):
        settings = {"checkpoint": tmp_path, "resume": True, "seed": 0, "progress": False}
        return Learner(classifier()).fine_tune(blobs, epochs=epochs, replay=20, old_data=old, **settings)

    tune(1, blobs)
    for old in ((x + 1, y), (x[:40], y[:40])):
        with pytest.raises(ConfigError, match="data: hash was"):
            tune(2, old)
    assert len(tune(2, blobs).rows) == 2


def test_a_class_more_with_a_replay_is_learned_and_the_old_ones_kept(classifier, blobs, three):
    learner = trained(classifier, blobs)
    old_rows = learner.model.head.weight.detach().clone()
    seen = []
    hook = learner.model.register_forward_pre_hook(
        lambda module, x: seen.append(len(x[0])) if module.training else None
    )
    history = learner.fine_tune(
        three, lr=0.02, epochs=8, classes=3, replay=20, old_data=blobs, seed=0, batch_size=17, progress=False
    )
    hook.remove()
    assert seen == [17, 17, 17, 17] * 8  # 48 new rows and 20 old ones an epoch
    report = history.report
    assert report.new.after["accuracy"] > 0.95 > 0.5 > report.new.before["accuracy"]
    assert report.old.before["accuracy"] - report.old.after["accuracy"] < 0.1
    assert report.old.rows == 96
    assert learner.model.head.out_features == 3
    assert not torch.equal(learner.model.head.weight[:2], old_rows)
    assert "replay: 20 old rows an epoch" in str(report)

    forgetful = trained(classifier, blobs)
    lost = forgetful.fine_tune(three, lr=0.02, epochs=8, classes=3, old_data=blobs, seed=0, progress=False).report
    assert lost.old.after["accuracy"] < report.old.after["accuracy"] - 0.2


def test_old_rows_are_drawn_anew_each_epoch_all_before_any_comes_again():
    from rnnkit.training.batching.order import Order, ReplayData

    data = ReplayData(None, new=4, drawn=3)
    order = data.order(Order(torch.arange(10), torch.Generator().manual_seed(0)))
    epochs = [order.draw().tolist() for _ in range(6)]
    assert all(len(order) == 7 == len(set(rows)) and set(rows) >= {0, 1, 2, 3} for rows in epochs)
    assert len({tuple(sorted(rows)) for rows in epochs}) > 1
    twice = ReplayData(None, new=4, drawn=14).order(Order(torch.arange(10), torch.Generator()))
    assert sorted(torch.bincount(twice.draw())[4:].tolist()) == [2, 2, 2, 2, 3, 3]
    parts = [ReplayData(None, new=4, drawn=3).order(Order(torch.arange(10), None, rank, 2, True)) for rank in (0, 1)]
    assert [len(part) for part in parts] == [len(part.draw()) for part in parts] == [4, 4]


def test_classes_by_name_keep_their_rows_and_old_labels_are_translated(classifier, blobs):
    learner = trained(classifier, blobs)
    row = learner.model.head.weight.detach()[1].clone()
    x, y = blobs
    only = y == 1
    history = learner.fine_tune(
        (x, 1 - y), lr=0.0, epochs=1, classes=["one", "zero"], old_classes=["zero", "one"], replay=blobs,
        old_data=(x[only], y[only]), progress=False,
    )  # fmt: skip
    assert torch.equal(learner.model.head.weight[0], row)
    assert history.report.old.before == history.report.old.after
    assert history.report.new.after["accuracy"] == pytest.approx(learner.evaluate((x, 1 - y))["accuracy"])
    with pytest.raises(DataError, match="classes that the new head lacks"):
        learner.fine_tune(
            blobs, classes=["new", "one"], old_classes=["one", "zero"], replay=blobs, epochs=1, progress=False
        )
    assert learner.model.head.out_features == 2
    assert torch.equal(learner.model.head.weight[0], row)  # nothing had changed


def test_padding_is_no_label_of_the_old_data():
    x = rnnkit.Sequences(torch.zeros(2, 3, 1), torch.tensor([3, 1]))
    y = rnnkit.Sequences(torch.tensor([[2, 1, 1], [2, 0, 0]]), x.lengths)
    targets = translate(to_batch(x, y), {0: 1, 1: 2}).targets
    assert targets[0].tolist() == [1, 0, 0]
    assert targets[1, 0] == 1
    assert translate(to_batch(x, y), {0: 0, 1: 1}) is None


def test_ragged_old_rows_and_new_ones_of_another_length_are_mixed(classifier, blobs):
    x, y = blobs
    rows = [row[: 2 + index % 4] for index, row in enumerate(x)]
    history = Learner(classifier()).fine_tune((x[:, :4], y), replay=(rows, y), epochs=1, progress=False)
    assert history.rows[0]["samples_per_second"] > 0
    with pytest.raises(DataError, match=r"\[2\] features a step and old ones \[3\]"):
        Learner(classifier()).fine_tune(blobs, replay=(torch.zeros(4, 5, 3), y[:4]), epochs=1, progress=False)


def test_old_data_with_other_features_is_named(classifier, blobs):
    fewer = blobs[0][..., :1], blobs[1]
    with pytest.raises(DataError, match=r"old_data has \[1\] features a step and the new data \[2\]"):
        Learner(classifier()).fine_tune(blobs, old_data=fewer, replay=0.2, epochs=1, progress=False)


def test_a_replay_by_share_is_reported_as_one(classifier, blobs):
    report = Learner(classifier()).fine_tune(blobs, old_data=blobs, replay=0.25, epochs=1, progress=False).report
    assert report.method["replay"] == "old rows are 25% of each epoch"


def test_old_rows_with_a_target_a_step_may_have_other_lengths():
    from rnnkit.training.fine_tuning.old_and_new import mix
    from rnnkit.types import Batch

    new = Batch(torch.zeros(3, 5, 2), torch.zeros(3, 5, dtype=torch.int64), input_lengths=torch.tensor([5, 2, 4]))
    old = Batch(torch.zeros(2, 7, 2), torch.ones(2, 7, dtype=torch.int64), input_lengths=torch.tensor([7, 6]))
    joined = mix(new, old, rnnkit.finetuning.Replay(2)).data
    assert joined.input_lengths.tolist() == joined.target_lengths.tolist() == [5, 2, 4, 7, 6]
    assert joined.targets.shape == (5, 7)
