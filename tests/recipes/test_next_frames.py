"""The recipes that predict the next frames of clips, and what is done with their runs, on made clips and digits."""

import csv
import json

import numpy as np
import pytest
import torch
from clips import frames_of, write_animation, write_frames
from commands import call, refused_alone
from digits import made_mnist

from rnnkit.data.video import clip_info, read_clip
from rnnkit.errors import ConfigError, DataError
from rnnkit.recipes.moving_digits import moving_digits
from rnnkit.runs.settings import override
from rnnkit.tasks.frame_scores import score_frames
from rnnkit.tasks.next_frames import load_frame_predictor
from rnnkit.tasks.next_frames_batches import HeldVideos, WindowBatches

SMALL = (
    "model.size=16,16 model.hidden_size=4 model.coarse_size=4 data.observed=4 data.horizon=3 fit.batch_size=4 "
    "fit.average=none fit.lr=0.01 fit.epochs=4 device=cpu"
)


def settings(text=SMALL):
    return [part for one in text.split() for part in ("--set", one)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run on squares that move, and the folder that it learned from."""
    folder = tmp_path_factory.mktemp("next")
    for number in range(12):
        write_frames(folder / "clips" / str(number), frames_of(("left", "right")[number % 2], 9, seed=number))
    write_animation(folder / "clips" / "short.gif", frames_of("left", 4))
    result = call("train", "next-frames", folder / "clips", *settings(), "--out", folder / "run")
    assert result.exit_code == 0, result.output
    return folder / "run", folder / "clips", result.stdout


def test_a_run_learns_and_reports(trained):
    run, _, told = trained
    metrics = json.loads((run / "metrics.json").read_text())
    assert "has fewer than 7 frames: short" in told
    assert "the sum of squares of a frame of validation (" in metrics["chosen_on"]
    assert metrics["test"]["squares"] < metrics["test"]["zero_squares"]
    rows = list(csv.DictReader((run / "frames.csv").read_text().splitlines()))
    assert [row["frame"] for row in rows] == ["1", "2", "3"]
    assert np.mean([float(row["squares"]) for row in rows]) == pytest.approx(metrics["test"]["squares"], rel=1e-4)
    page = (run / "report.html").read_text()
    for part in ("How the error grows", "Predicted frames", "The worst ones", "Learning curves"):
        assert part in page


def test_evaluate_gives_the_same_figures_and_takes_other_clips(trained, tmp_path):
    run, clips, _ = trained
    metrics = json.loads((run / "metrics.json").read_text())
    result = call("evaluate", run)
    assert f"Sum of squares of a frame: {metrics['test']['squares']:.4g}" in result.stdout, result.output
    result = call("evaluate", run, clips / "1")
    assert result.exit_code == 0, result.output
    assert "has fewer than 7 frames: short" in call("evaluate", run, clips).stderr
    assert refused_alone(
        call("evaluate", run, clips / "short.gif"),
        "the longest clip has 4 frames; expected 4 to observe and 3 to predict: type --set data.observed=2",
    )


def test_predict_writes_frames_animations_and_scores(trained, tmp_path):
    run, clips, _ = trained
    result = call("predict", run, clips / "1", clips / "short.gif", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert sorted(file.name for file in (tmp_path / "out" / "1").iterdir()) == ["1.png", "2.png", "3.png"]
    assert clip_info(tmp_path / "out" / "1.gif").frames == 7
    told = json.loads((tmp_path / "out" / "1.json").read_text())
    assert told["own_last_frames"].keys() >= {"squares", "ssim", "zero_squares", "last_frame_squares"}
    assert "own_last_frames" not in json.loads((tmp_path / "out" / "short.json").read_text())
    predicted = read_clip(tmp_path / "out" / "1", mode="L")
    following = load_frame_predictor(run, device="cpu").continuation(clips / "1")[1]
    np.testing.assert_allclose(predicted.numpy() / 255, following.numpy(), atol=0.003)
    result = call("predict", run, clips / "1")
    assert "its own last 3 frames: squares" in result.stdout
    result = call("predict", run, tmp_path / "missing", clips / "1")
    assert result.exit_code == 1
    assert "missing" in result.stderr


def test_a_stream_agrees_with_the_whole_clip_and_goes_on_from_its_state(trained, tmp_path):
    run, _, _ = trained
    predictor = load_frame_predictor(run, device="cpu")
    frames = frames_of("right", 8, seed=5)
    whole = predictor.forecast(torch.from_numpy(frames)[:, None])
    stream = predictor.stream()
    with pytest.raises(DataError, match="no frame has arrived"):
        stream.forecast()
    for frame in frames[:5]:
        stream.push(frame)
    stream.save(tmp_path / "state.safetensors")
    other = predictor.stream()
    other.load(tmp_path / "state.safetensors")
    torch.testing.assert_close(other.forecast(2), stream.forecast(2))
    for frame in frames[5:]:
        following = other.push(frame)
    assert other.count == 8
    torch.testing.assert_close(other.forecast(), whole, atol=1e-5, rtol=0)
    torch.testing.assert_close(following, whole[0], atol=1e-5, rtol=0)
    with pytest.raises(DataError, match="of no stream of frames"):
        other.load_state_dict({"version": 1})
    wrong = {**stream.state_dict(), "following": torch.zeros(1, 8, 8)}
    with pytest.raises(DataError, match=r"frames \[1, 8, 8\]; this network reads \[1, 16, 16\]"):
        other.load_state_dict(wrong)


def test_the_curriculum_predicts_more_and_more_frames_from_predictions():
    clips = [torch.zeros(14, 1, 8, 8, dtype=torch.uint8)]
    batches = WindowBatches(HeldVideos(clips, ["a"], frames=7), 2, observed=3, plain=1, growing=2)
    seen = []
    for _ in range(5):
        [batch] = batches
        seen.append(batch.inputs.shape[1])
        assert batch.targets.shape[1] == 6
    assert seen == [6, 6, 4, 3, 3]


def test_batches_go_on_to_the_bit():
    clips = [torch.randint(256, (20, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))]

    def make():
        return WindowBatches(HeldVideos(clips, ["a"], frames=4), 2, observed=3, seed=3)

    whole = make()
    list(whole)
    expected = list(whole)
    stopped = make()
    list(stopped)
    iterator = iter(stopped)
    next(iterator)
    state = stopped.state_dict()
    other = make()
    other.load_state_dict(state)
    for one, two in zip(expected[1:], other, strict=True):
        assert torch.equal(one.inputs, two.inputs)


def test_similarity_agrees_with_its_definition_in_the_middle_of_a_frame():
    draw = torch.Generator().manual_seed(0)
    x, y = torch.rand(2, 11, 11, generator=draw, dtype=torch.float64)
    places = np.arange(11) - 5
    line = np.exp(-(places**2) / 4.5)
    weights = np.outer(line, line) / line.sum() ** 2

    def mean(of):
        return (weights * of.numpy()).sum()

    of_x, of_y = mean(x), mean(y)
    both, var_x, var_y = mean(x * y) - of_x * of_y, mean(x * x) - of_x**2, mean(y * y) - of_y**2
    expected = (2 * of_x * of_y + 1e-4) * (2 * both + 9e-4) / ((of_x**2 + of_y**2 + 1e-4) * (var_x + var_y + 9e-4))
    scores = score_frames(y[None, None, None], x[None, None, None], x[None, None])
    assert scores.ssim.item() == pytest.approx(expected, rel=1e-9)
    assert scores.squares.item() == pytest.approx(float((x - y).square().sum()))
    assert scores.last_ssim.item() == pytest.approx(1.0)


def test_moving_digits_are_made_of_mnist_and_judged_on_test_images(tmp_path, monkeypatch):
    monkeypatch.setattr("rnnkit.data.mnist.load", lambda root=None: made_mnist())
    small = (
        "data.clips=8 data.held_clips=3 data.test_clips=3 data.holdout=40 data.observed=3 data.horizon=2 "
        "model.size=32,32 model.hidden_size=4 model.coarse_size=4 fit.epochs=1 fit.batch_size=4 device=cpu"
    )
    result = call("train", "moving-digits", *settings(small), "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["rows"] == {"train": 8, "validation": 3, "test": 3}
    assert "80 test images" in metrics["split"]
    assert metrics["test"]["zero_squares"] > 0
    clip = write_animation(tmp_path / "clip.gif", frames_of("left", 6))
    result = call("predict", tmp_path / "run", clip, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output


def test_inspect_measures_the_network_on_its_test_clips_and_on_others(trained, tmp_path):
    run, clips, _ = trained
    for more in ((), (clips,)):
        result = call("inspect", run, *more, "--out", tmp_path / "page.html")
        assert result.exit_code == 0, result.output
        page = (tmp_path / "page.html").read_text()
        assert "FrameForecaster" in page


def test_fine_tuning_learns_other_clips_and_says_what_it_forgets(trained, tmp_path):
    run, _, _ = trained
    for number in range(5):
        write_frames(tmp_path / "new" / str(number), frames_of("left", 9, seed=20 + number))
    write_frames(tmp_path / "new" / "short", frames_of("left", 4))
    begun = ("finetune", run, tmp_path / "new", "--set", "lr=0.02", "--set", "device=cpu", "--set", "epochs=4")
    result = call(*begun, "--out", tmp_path / "tuned")
    assert result.exit_code == 0, result.output
    assert "has fewer than 7 frames: short" in result.output
    report = json.loads((tmp_path / "tuned" / "report.json").read_text())
    assert report["new"]["rows"] == 1  # a whole clip
    assert report["new"]["after"]["squares"] < report["new"]["before"]["squares"]
    assert report["old"]["after"].keys() == {"squares", "first_squares", "ssim"}
    result = call("predict", tmp_path / "tuned", tmp_path / "new" / "0")
    assert result.exit_code == 0, result.output
    assert refused_alone(call(*begun, "--set", "classes=replace", "--set", "replay=none"), "clips have no classes")
    assert refused_alone(call(*begun, "--set", "protect=ewc"), "type --set protect=l2-sp")


def test_settings_that_do_not_fit_are_refused():
    for wrong in ("model.size=30,30", "model.size=8", "fit.plain=0.6 fit.growing=0.5", "data.observed=0"):
        with pytest.raises(ConfigError, match="arrived"):
            override(moving_digits(), wrong.split())
    with pytest.raises(ConfigError, match="expected equal sides of 32 or more"):
        override(moving_digits(), ["model.size=32,64"])
