"""The example on resuming, on made digits."""

import pytest
import torch
from digits import on_made_digits  # noqa: F401 (a fixture)

import rnnkit
from examples import resume


def test_a_run_that_was_cut_off_ends_as_one_that_was_not(monkeypatch, capsys):
    whole = resume.main("whole", epochs=2)

    class Cut(BaseException):
        pass

    fit = rnnkit.Learner.fit

    def cut(learner, row):
        raise Cut

    with monkeypatch.context() as patch:
        patch.setattr(rnnkit.Learner, "fit", lambda self, *a, **k: fit(self, *a, callbacks=[cut], **k))
        with pytest.raises(Cut):
            resume.main("parts", epochs=2)
    again = resume.main("parts", epochs=2)
    ours, expected = again.model.state_dict(), whole.model.state_dict()
    assert all(torch.equal(ours[name], expected[name]) for name in expected)
    stored = rnnkit.load("parts").state_dict()
    assert all(torch.equal(stored[name], expected[name]) for name in expected)
    assert "finished after 2 epochs" in capsys.readouterr().out
