"""The files of a checkpoint: when they are written, what they hold, and what becomes of damaged ones."""

from __future__ import annotations

from datetime import timedelta

import pytest
from fitting import quiet, same, stored, weights
from safetensors import safe_open

from rnnkit.errors import CheckpointError, ConfigError, DataError
from rnnkit.serialization import read_config
from rnnkit.training.learner import Learner
from rnnkit.training.resuming.states import find_state


def test_a_damaged_state_is_refused(classifier, blobs, tmp_path):
    (tmp_path / "training.safetensors").write_bytes(b"\x80\x04nonsense")
    with pytest.raises(DataError, match="training.safetensors is damaged"):
        quiet(Learner(classifier()), blobs, checkpoint=tmp_path, resume=True)


@pytest.mark.parametrize("every", [0, -1, 2.5, True, timedelta(0)])
def test_bad_intervals_are_refused(classifier, blobs, tmp_path, every):
    with pytest.raises(ConfigError, match="checkpoint_every="):
        quiet(Learner(classifier()), blobs, checkpoint=tmp_path, checkpoint_every=every)
    with pytest.raises(ConfigError, match="pass checkpoint="):
        quiet(Learner(classifier()), blobs, resume=True)
    assert list(tmp_path.iterdir()) == []


def test_checkpoints_by_time(classifier, blobs, tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(
        "rnnkit.training.resuming.checkpoint.pack_values", lambda state: lambda file: written.append(state["place"])
    )
    settings = {"epochs": 1, "batch_size": 16, "checkpoint": tmp_path}
    quiet(Learner(classifier()), blobs, checkpoint_every=timedelta(microseconds=1), **settings)
    assert [place["step"] for place in written] == [0, 1, 2, 3, 4, 5, 6, 6]
    written.clear()
    quiet(Learner(classifier()), blobs, **settings)  # within minutes, an epoch's end alone
    assert [place["step"] for place in written] == [0, 6]


def test_a_state_is_safetensors_alone(classifier, blobs, tmp_path):
    quiet(Learner(classifier()), blobs, checkpoint=tmp_path / "best.safetensors")
    assert {path.name for path in tmp_path.iterdir()} == {"best.safetensors", "best.training.safetensors"}
    with safe_open(tmp_path / "best.training.safetensors", "pt") as opened:
        assert "optimizer.state.0.exp_avg" in opened.keys()  # noqa: SIM118 (no mapping)
        assert "model.head.weight" in opened.keys()  # noqa: SIM118


def test_the_model_on_the_disk_belongs_to_the_state(classifier, blobs, tmp_path, monkeypatch):
    """Whatever is written when the disk is full for a moment: the state first, and a model that is late comes later."""
    from rnnkit.training.resuming import checkpoint as module

    pack, failing = module.pack_module, []

    def pack_module(*args, **kwargs):
        write = pack(*args, **kwargs)

        def written(path):
            if failing:
                raise OSError(28, "No space left on device")
            return write(path)

        return written

    monkeypatch.setattr(module, "pack_module", pack_module)
    last = [lambda learner, row: row["epoch"] == 3 and failing.append(1)]
    settings = {"checkpoint": tmp_path, "average": "ema"}
    with pytest.warns(UserWarning, match="No space left"), pytest.raises(CheckpointError, match="No space left"):
        quiet(Learner(classifier()), blobs, callbacks=last, **settings)
    assert read_config(tmp_path)["extra"]["epoch"] == 2
    failing.clear()
    learner = Learner(classifier())
    quiet(learner, blobs, resume=True, **settings)
    assert read_config(tmp_path)["extra"]["epoch"] == 3
    assert same(stored(tmp_path, learner.model), weights(learner.model))


def test_reading_a_state_leaves_what_is_being_written_and_going_on_takes_it_away(classifier, blobs, tmp_path):
    quiet(Learner(classifier()), blobs, checkpoint=tmp_path, epochs=1)
    names = {"model.safetensors", "training.safetensors"}
    for resume in (True, False):
        for name in names:
            (tmp_path / f".{name}.torn_123").mkdir()
            (tmp_path / f".{name}.torn_123" / name).write_text("half")
        before = sorted(tmp_path.iterdir())
        assert (find_state(tmp_path, resume=resume) is not None) == resume
        assert sorted(tmp_path.iterdir()) == before
        quiet(Learner(classifier()), blobs, checkpoint=tmp_path, resume=resume, epochs=1)
        assert {path.name for path in tmp_path.iterdir()} == names
