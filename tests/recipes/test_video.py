"""The recipe for classes of clips and what is done with its runs, on made clips: a square that moves."""

import csv
import json
import math

import numpy as np
import pytest
import torch
from clips import frames_of, write_animation, write_clips, write_frames
from commands import call, refused_alone, validates_again
from PIL import Image

from rnnkit.errors import DataError
from rnnkit.recipes import find
from rnnkit.recipes.video_data import equal_clips
from rnnkit.recipes.video_network import build, channels_of_equal_size
from rnnkit.runs.settings import override, restore
from rnnkit.tasks.video import load_clip_classifier
from rnnkit.tasks.video_batches import HeldClips
from rnnkit.tasks.video_settings import ClipNetwork

SMALL = (
    "model.size=16,16 model.channels=4,8 model.strides=2,2 model.features=16 model.hidden_size=16 model.dropout=0 "
    "model.front_dropout=0 model.colour=false fit.batch_size=8 fit.lr=0.01 fit.average=none fit.epochs=16 "
    "augment.shift=0 device=cpu"
)


def settings(text=SMALL):
    return [part for one in text.split() for part in ("--set", one)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run on squares that move, and the folder that it learned from."""
    folder = tmp_path_factory.mktemp("video")
    write_clips(folder / "clips", 16)
    (folder / "clips" / "left" / "none").mkdir()
    (folder / "clips" / "left" / "broken.gif").write_bytes(b"GIF89a")
    result = call("train", "video", folder / "clips", *settings(), "--out", folder / "run")
    assert result.exit_code == 0, result.output
    return folder / "run", folder / "clips", result.stdout


def test_a_run_learns_and_reports(trained):
    run, _, told = trained
    metrics = json.loads((run / "metrics.json").read_text())
    assert validates_again(run)
    assert metrics["test"]["accuracy"] > 0.6
    assert "the accuracy of validation (" in metrics["chosen_on"]
    assert "holds no frame: left/none" in told
    assert (run / "troubles.txt").read_text().splitlines() == metrics["troubles"]
    assert "cannot be read, and is left out: left/broken" in told
    header, *rows = (run / "predictions.csv").read_text().splitlines()
    assert header == "test,clip,class,prediction,confidence"
    assert len(rows) == metrics["rows"]["test"]
    page = (run / "report.html").read_text()
    for part in ("What is known after each frame", "Mistakes", "Learning curves", "the most frequent class"):
        assert part in page


def test_evaluate_gives_the_same_figures_and_takes_other_clips(trained, tmp_path):
    run, _, _ = trained
    metrics = json.loads((run / "metrics.json").read_text())
    result = call("evaluate", run)
    assert f"Accuracy: {metrics['test']['accuracy']:.2%}" in result.stdout, result.output
    others = write_clips(tmp_path / "others", 3, seed=9)
    (others / "left" / "broken.gif").write_bytes(b"GIF89a")
    result = call("evaluate", run, others)
    assert result.exit_code == 0, result.output
    assert "left/broken" in result.stderr  # it was left out
    unknown = write_clips(tmp_path / "unknown", 2, ("left", "stay"))
    assert refused_alone(call("evaluate", run, unknown), "is of the class 'stay'; the model knows left, right")


def test_predict_prints_and_draws(trained, tmp_path):
    run, _, _ = trained
    clip = write_frames(tmp_path / "clip", frames_of("left", 9, seed=77))
    animation = write_animation(tmp_path / "moving.webp", frames_of("right", 9, seed=78), lossless=True)
    result = call("predict", run, clip, animation, "--out", tmp_path / "drawn")
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "drawn" / "clip.json").read_text())
    assert found["frames"] == 9
    assert len(found["after_each_frame"]) == 9
    assert found["probabilities"].keys() == {"left", "right"}
    assert (tmp_path / "drawn" / "moving.png").exists()
    assert refused_alone(call("predict", run, clip, "--out", clip), "a clip to predict on; name a folder elsewhere")
    (tmp_path / "file").touch()
    result = call("predict", run, clip, "--out", tmp_path / "file" / "drawn")
    assert refused_alone(result, "file/drawn cannot be written (Not a directory); name another folder")
    empty = tmp_path / "empty"
    empty.mkdir()
    result = call("predict", run, empty, clip)
    assert result.exit_code == 1
    assert "empty: holds no frame that can be read" in result.stderr
    assert len(result.stdout.splitlines()) == 1
    # A folder that is no clip stands for the clips in it.
    write_frames(tmp_path / "some" / "b", frames_of("left", 3))
    write_animation(tmp_path / "some" / "a.gif", frames_of("right", 3))
    result = call("predict", run, tmp_path / "some")
    assert [line.split("\t")[0] for line in result.stdout.splitlines()] == [
        str(tmp_path / "some" / name) for name in ("a.gif", "b")
    ]


def test_a_stream_agrees_with_the_whole_clip_and_goes_on_from_its_state(trained, tmp_path):
    run, _, _ = trained
    classifier = load_clip_classifier(run, device="cpu")
    frames = frames_of("left", 7, seed=5)
    whole = classifier.shares([torch.from_numpy(frames)[:, None]])[0]
    stream = classifier.stream()
    for frame in frames[:4]:
        stream.push(frame)
    stream.save(tmp_path / "state.safetensors")
    other = classifier.stream()
    other.load(tmp_path / "state.safetensors")
    assert other.count == 4
    assert other.answer.label == stream.answer.label
    for frame in frames[4:]:
        answer = other.push(frame / np.float32(255))
    np.testing.assert_allclose(list(answer.probabilities.values()), whole.numpy(), atol=1e-5)
    other.reset()
    assert other.push(frames[0]).probabilities == classifier.stream().push(frames[0]).probabilities
    with pytest.raises(DataError, match=r"a frame of shape \[2, 3, 4, 5\] arrived"):
        other.push(np.zeros((2, 3, 4, 5)))
    with pytest.raises(DataError, match="values outside of"):
        other.push(np.full((4, 5), 7.0))
    with pytest.raises(DataError, match="of no stream of clips"):
        other.load_state_dict({"version": 9})


@pytest.mark.parametrize("context", ["lstm", "gru", "conv", "none"])
@pytest.mark.parametrize("pooling", ["last", "concat"])
def test_every_context_streams(context, pooling):
    from rnnkit.tasks.video import ClipClassifier

    network = ClipNetwork(
        context=context, pooling=pooling, size=(8, 8), channels=(4,), strides=(2,), features=8, hidden_size=6, grid=2
    )
    classifier = ClipClassifier(build(network, ("a", "b"), 6), (8, 8))
    clip = torch.randint(256, (6, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    stream = classifier.stream()
    for frame in clip:
        answer = stream.push(frame)
    torch.testing.assert_close(
        torch.tensor(list(answer.probabilities.values())), classifier.shares([clip])[0], atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("context", ["lstm", "gru"])
def test_the_gates_of_a_new_network_remember_a_clip_and_those_of_an_older_run_stay(context):
    found = {}
    for chrono in (True, False):
        network = ClipNetwork(context=context, chrono=chrono, num_layers=2, features=8, hidden_size=64)
        body = build(network, ("a", "b"), 30).body
        found[chrono] = [body.bias_ih_l0[64:128], body.bias_ih_l1[64:128]]  # f of an LSTM, z of a GRU
    for bias in found[True]:
        assert bias.min() >= 0
        assert math.log(15) < bias.max() <= math.log(29)
    assert all(bias.abs().max() < 0.2 for bias in found[False])
    recipe = find("video")()
    assert recipe.model.chrono
    assert not restore(recipe, {"seed": 3}).model.chrono


def test_convolutions_have_as_many_parameters_as_the_recurrence():
    sizes = {}
    for context in ("lstm", "conv"):
        model = build(ClipNetwork(context=context, features=32, hidden_size=32, kernel_size=3), ("a", "b", "c"), 16)
        sizes[context] = sum(one.numel() for one in model.parameters())
    assert abs(sizes["conv"] / sizes["lstm"] - 1) < 0.02
    assert channels_of_equal_size(ClipNetwork(), 3) > 96


def test_finetune_learns_a_new_class(trained, tmp_path):
    run, _, _ = trained
    new = write_clips(tmp_path / "new", 8, ("stay",), seed=3)
    result = call("finetune", run, new, *settings("epochs=6 lr=0.01"), "--out", tmp_path / "tuned")
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "tuned" / "report.json").read_text())
    assert report["new"]["after"]["accuracy"] > report["new"]["before"]["accuracy"] - 1e-9
    assert "accuracy" in report["old"]["after"]
    assert load_clip_classifier(tmp_path / "tuned").classes == ("left", "right", "stay")
    result = call("predict", tmp_path / "tuned", new / "stay" / "0")
    assert result.exit_code == 0, result.output


def test_inspect_looks_into_it(trained):
    run, _, _ = trained
    result = call("inspect", run)
    assert result.exit_code == 0, result.output
    assert "Page: " in result.stdout


def test_clips_that_a_run_cannot_learn_from_are_refused(tmp_path):
    write_frames(tmp_path / "one" / "a", frames_of("left"))
    assert refused_alone(call("train", "video", tmp_path / "one"), "no clip has a class", "a folder for each class")
    write_clips(tmp_path / "loose", 1)
    for number in range(2):
        Image.fromarray(frames_of("left")[0]).save(tmp_path / "loose" / "left" / f"{number}.png")
    told = "no clip has a class. 1 of 3 clips lies in no folder of a class: left."
    assert refused_alone(call("train", "video", tmp_path / "loose"), told)
    write_clips(tmp_path / "same", 3, ("left",))
    assert refused_alone(call("train", "video", tmp_path / "same"), "no clip has a class")
    assert refused_alone(call("train", "video"), "data.path is missing; name the clips to learn from")
    assert refused_alone(call("train", "video", tmp_path, *settings("model.size=4")), "model.size=4 arrived")
    write_clips(tmp_path / "few", 1)
    result = call("train", "video", tmp_path / "few", *settings("data.by=group"))
    assert refused_alone(result, "2 of 2 clips have no group", "--set data.by=random")


def test_a_table_divides_clips_by_parts_and_groups(tmp_path):
    write_clips(tmp_path / "clips", 4)
    rows = [("clip", "action", "person", "split")]
    for kind in ("left", "right"):
        for number in range(4):
            name = f"clips/{kind}/{number}" + (".gif" if number % 2 else "")
            rows.append((name, kind, f"p{number}", "test" if number == 3 else "train"))
    with (tmp_path / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    result = call(
        "train", "video", tmp_path / "table.csv", *settings(), *settings("fit.epochs=1 data.validation=0"),
        "--out", tmp_path / "run",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["rows"] == {"train": 6, "test": 2}
    rows = [row if row[3] != "test" else (row[0], "wave", *row[2:]) for row in rows[:-1]] + rows[-1:]
    with (tmp_path / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    told = override(find("video")(), [f"data.path={tmp_path / 'table.csv'}", "data.validation=0"]).prepare().told
    assert "test: 1 of 2 clips is of a class that none of the training clips has: 3#1. Left out." in told
    assert "test: 2 clips, as the data set itself divides them" in metrics["split"]


def test_equal_clips_in_two_parts_are_told():
    clips = [torch.full((3, 1, 8, 8), value, dtype=torch.uint8) for value in (1, 2, 3)]
    train = HeldClips(clips[:2], ["left", "right"], ["a", "b"], most=4)
    test = HeldClips(clips[1:], ["right", "right"], ["c", "d"], most=4)
    assert equal_clips({"train": train, "test": test}) == [
        "2 clips are the same as another one: b = c. Keep them in one part of a split.",
        "1 such clip is in different parts, so a test knows what was trained on: b = c.",
    ]
