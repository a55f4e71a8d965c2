"""Lightning Fabric: other precisions. What several processes do is in test_together.py."""

from __future__ import annotations

import pytest
import torch

from rnnkit.training.execution import Execution, share_of_total
from rnnkit.training.learner import Learner


@pytest.mark.parametrize(
    ("precision", "dtype"), [("64-true", torch.float64), ("bf16-mixed", torch.float32), ("bf16-true", torch.bfloat16)]
)
def test_other_precisions(classifier, blobs, precision, dtype):
    model = classifier()
    learner = Learner(model, lr=0.03, clip_norm=1.0, device="cpu", precision=precision)
    history = learner.fit(blobs, epochs=4, validation=blobs, seed=0, progress=False, schedule="cosine")
    assert history.rows[-1]["val_loss"] < history.rows[0]["val_loss"]
    assert history.rows[-1]["val_accuracy"] > 0.8
    assert model.head.weight.dtype == dtype
    assert learner.predict(blobs[0]).shape == (96, 2)
    assert learner.fine_tune(blobs, epochs=1, freeze_body_epochs=1, progress=False).stopped == "finished"


def test_a_total_on_an_accelerator_is_used_unread(monkeypatch, classifier, blobs):
    """A share of a total on the meta device, which has no numbers to read, can be compared and multiplied."""
    share = share_of_total(3, torch.full((), 4, device="meta"))
    assert share != 1.0
    assert (torch.ones((), device="meta") * share).dtype == torch.float32
    settings = {"epochs": 2, "batch_size": 7, "accumulate": 3, "seed": 0, "progress": False}
    expected, found = classifier(), classifier()
    found.load_state_dict(expected.state_dict())
    Learner(expected, lr=0.03, device="cpu").fit(blobs, **settings)
    monkeypatch.setattr(Execution, "by_reducer", lambda self, **_: True)
    monkeypatch.setattr(Execution, "sum_over_processes", lambda self, number: torch.tensor(number))
    Learner(found, lr=0.03, device="cpu").fit(blobs, **settings)
    for one, other in zip(found.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(one, other)
