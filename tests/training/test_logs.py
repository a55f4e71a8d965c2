"""JSON lines and TensorBoard's files, interrupted and resumed."""

from __future__ import annotations

import json
import sys

import pytest
import torch
from fitting import quiet
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rnnkit import Callback
from rnnkit.errors import ConfigError, DataError, MissingExtraError
from rnnkit.training.learner import Learner
from rnnkit.training.watching.logs import JSONLines, TensorBoard


def read(path, *timed):
    """The lines without what no two runs share."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        for name in ("seconds", "samples_per_second", "time"):
            line.pop(name, None)
    return lines


class Crash(Callback):
    def __init__(self, step):
        self.step = step

    def on_step_end(self, learner, step):
        if step == self.step:
            raise KeyboardInterrupt


def test_a_line_for_each_epoch_and_each_so_many_steps(classifier, blobs, tmp_path):
    learner, path, seen = Learner(classifier(), clip_norm=1e9), tmp_path / "new" / "log.jsonl", []

    class Watch(Callback):
        def on_step_end(self, learner, step):
            seen.append((learner._session.run.losses.total, learner._session.run.losses.count, learner.gradient_norm))

    log = JSONLines(path, every=2)
    history = quiet(learner, blobs, epochs=2, validation=blobs, schedule="cosine", callbacks=[Watch(), log])
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["of"], line["steps"]) for line in lines] == [
        ("begin", 0), ("step", 2), ("epoch", 3), ("step", 4), ("step", 6), ("epoch", 6), ("end", 6),
    ]  # fmt: skip
    assert [{"of": "epoch", "steps": 3 * row["epoch"], **row} for row in history.rows] == [lines[2], lines[5]]
    step = lines[4]
    assert step["epoch"] == 2
    assert step["loss"] == pytest.approx((seen[5][0] - seen[3][0]) / (seen[5][1] - seen[3][1]))
    assert step["gradient_norm"] == seen[5][2] > 0
    assert 0 < step["lr"] < 1e-3
    assert 0 < step["seconds"] < 60
    assert lines[-1]["stopped"] == "finished"
    quiet(learner, blobs, epochs=1, callbacks=[log])  # another run goes below
    assert [line["of"] for line in read(path)][7:] == ["begin", "step", "epoch", "end"]


@pytest.mark.parametrize("crash", [1, 2, 4, 5, 7])
def test_a_resumed_run_logs_what_an_uninterrupted_one_does(classifier, blobs, tmp_path, crash):
    def run(folder, *more, resume=False):
        settings = {"checkpoint": tmp_path / folder, "checkpoint_every": 2, "epochs": 3, "resume": resume}
        log = JSONLines(tmp_path / f"{folder}.jsonl", every=1)
        quiet(Learner(classifier(dropout=0.5)), blobs, callbacks=[log, *more], **settings)
        return read(tmp_path / f"{folder}.jsonl")

    whole = run("whole")
    with pytest.raises(KeyboardInterrupt):
        run("broken", Crash(crash))
    with (tmp_path / "broken.jsonl").open("a") as file:
        file.write('{"of": "step", "steps": 99, "lo')  # the power went
    assert run("broken", resume=True) == whole


def test_a_nan_is_null_and_other_files_are_left_alone(classifier, blobs, tmp_path):
    log = JSONLines(tmp_path / "log.jsonl")
    quiet(Learner(classifier(), metrics={"odd": lambda out, y: float("nan")}), blobs, epochs=1, callbacks=[log])
    assert read(tmp_path / "log.jsonl")[1]["odd"] is None
    for text in ("my poem", "my poem\nanother line\n", '{"of": "epoch"}\nmine\n{"of": "end"}\n', "3\n"):
        (tmp_path / "poem.txt").write_text(text)
        with pytest.raises(DataError, match="another file"):
            quiet(Learner(classifier()), blobs, callbacks=[JSONLines(tmp_path / "poem.txt")])
        assert (tmp_path / "poem.txt").read_text() == text


def scalars(folder):
    events = EventAccumulator(str(folder), {"histograms": 0, "scalars": 0})
    events.Reload()
    tags = {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    return tags, {tag: [event.step for event in events.Histograms(tag)] for tag in events.Tags()["histograms"]}


def test_tensorboard_has_the_figures_by_step(classifier, blobs, tmp_path):
    log = TensorBoard(tmp_path, every=2, histograms=2)
    history = quiet(Learner(classifier()), blobs, epochs=4, validation=blobs, callbacks=[log])
    tags, histograms = scalars(tmp_path)
    assert set(tags) == {
        "loss/training", "loss/validation", "accuracy/training", "accuracy/validation", "lr", "samples_per_second",
        "step/loss", "step/lr", "step/gradient_norm",
    }  # fmt: skip
    expected = [(3 * (epoch + 1), pytest.approx(row["val_loss"])) for epoch, row in enumerate(history.rows)]
    assert tags["loss/validation"] == expected
    assert [step for step, _ in tags["step/loss"]] == [2, 4, 6, 8, 10, 12]
    assert histograms["weights/body.weight_hh_l0"] == histograms["gradients/head.bias"] == [6, 12]


def test_tensorboard_goes_on_with_its_steps(classifier, blobs, tmp_path):
    def run(*more, resume):
        settings = {"checkpoint": tmp_path / "run", "checkpoint_every": 2, "epochs": 2, "resume": resume}
        quiet(Learner(classifier()), blobs, callbacks=[TensorBoard(tmp_path / "tb", every=1), *more], **settings)

    with pytest.raises(KeyboardInterrupt):
        run(Crash(4), resume=False)
    run(resume=True)
    tags, _ = scalars(tmp_path / "tb")
    assert [step for step, _ in tags["step/loss"]] == [1, 2, 3, 4, 5, 6]
    assert [step for step, _ in tags["loss/training"]] == [3, 6]


def test_what_is_refused(tmp_path, monkeypatch):
    for make in (lambda: JSONLines(tmp_path, every=0), lambda: TensorBoard(tmp_path, histograms=0)):
        with pytest.raises(ConfigError, match="at least 1"):
            make()
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(MissingExtraError, match=r"rnnkit\[tensorboard\]"):
        TensorBoard(tmp_path)
    assert torch.is_grad_enabled()
