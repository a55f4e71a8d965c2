"""The recipe for lines of text and what is done with its runs, on made pictures: bars as characters."""

import csv
import json

import pytest
import torch
from commands import call, refused_alone, validates_again
from lines import write_line, write_lines

import rnnkit
from rnnkit.recipes import find
from rnnkit.recipes.read_data import Written, equal_lines
from rnnkit.recipes.read_network import build
from rnnkit.runs.settings import override, restore
from rnnkit.tasks.picture_settings import PictureChanges
from rnnkit.tasks.reading import load_reader
from rnnkit.tasks.reading_batches import HeldLines
from rnnkit.tasks.reading_settings import ReaderNetwork

SMALL = (
    "model.height=16 model.channels=4,8,8,8 model.features=16 model.hidden_size=16 model.stride=2 model.dropout=0 "
    "fit.batch_size=4 fit.lr=0.01 fit.average=none fit.epochs=14 augment.noise=0 augment.shift=0.5 augment.slant=0.05 "
    "device=cpu"
)


def settings(text=SMALL):
    return [part for one in text.split() for part in ("--set", one)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run on bars as characters, and the folder that it learned from."""
    folder = tmp_path_factory.mktemp("read")
    write_lines(folder / "lines", 80)
    write_line(folder / "lines" / "narrow.png", "a")
    (folder / "lines" / "narrow.txt").write_text("aaaaaaaaaaaaaaaaaaaa")
    (folder / "lines" / "lonely.png").write_bytes((folder / "lines" / "000.png").read_bytes())
    result = call("train", "read", folder / "lines", *settings(), "--out", folder / "run")
    assert result.exit_code == 0, result.output
    return folder / "run", folder / "lines", result.stdout


def test_a_run_learns_and_reports(trained):
    run, _, told = trained
    metrics = json.loads((run / "metrics.json").read_text())
    assert validates_again(run)
    assert metrics["test"]["cer"] < 0.1
    assert metrics["test"]["exact_match"] > 0.7
    assert "character error rate of validation (" in metrics["chosen_on"]
    assert "too narrow for its text: narrow" in told or "narrow" not in told  # it may have been held back
    assert "has no text: lonely" in told
    header, *rows = (run / "predictions.csv").read_text().splitlines()
    assert header == "test,number,text,prediction,cer,confidence"
    assert len(rows) == metrics["rows"]["test"]
    page = (run / "report.html").read_text()
    for part in ("What the network saw", "Mistakes", "Learning curves", "Which characters were taken for which"):
        assert part in page
    assert "val_exact_match" in (run / "history.csv").read_text()


def test_evaluate_gives_the_same_figures_and_takes_other_pictures(trained, tmp_path):
    run, _, _ = trained
    metrics = json.loads((run / "metrics.json").read_text())
    result = call("evaluate", run)
    assert f"Exact match: {metrics['test']['exact_match']:.4g}" in result.stdout, result.output
    others = write_lines(tmp_path / "others", 6, seed=7)
    result = call("evaluate", run, others, "--set", "decode.width=4")
    assert result.exit_code == 0, result.output
    assert "Character error rate: " in result.stdout
    assert (run / "confusions-others.png").exists()
    assert refused_alone(call("evaluate", run, "--set", "decode.wide=4"), "decode.width")


def test_predict_prints_and_draws(trained, tmp_path):
    run, lines, _ = trained
    text = (lines / "003.txt").read_text().strip()
    result = call("predict", run, lines / "003.png", "--out", tmp_path / "drawn")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0].split("\t")[:2] == [str(lines / "003.png"), text]
    found = json.loads((tmp_path / "drawn" / "003.json").read_text())
    assert found["text"] == text
    assert 0 < found["confidence"] <= 1
    assert [word["word"] for word in found["words"]] == [text]
    assert (tmp_path / "drawn" / "003.png").exists()
    assert refused_alone(call("predict", run, lines / "003.png", "--out", lines), "a picture to predict on")
    assert refused_alone(call("predict", run, lines / "003.png", "--out", run / "a"), "lies in the run's folder")
    twice = (lines / "003.png", tmp_path / "drawn" / "003.png")
    assert refused_alone(call("predict", run, *twice, "--out", tmp_path / "b"), "several pictures are named 003")
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    result = call("predict", run, broken, lines / "003.png")
    assert result.exit_code == 1
    assert "broken.png" in result.stderr
    assert text in result.stdout


def test_predict_takes_a_folder(trained, tmp_path):
    run, lines, _ = trained
    result = call("predict", run, lines, "--out", tmp_path / "answers.csv")
    assert result.exit_code == 0, result.output
    with (tmp_path / "answers.csv").open() as file:
        names = [row["file"] for row in csv.DictReader(file)]
    assert names == [str(one) for one in sorted(lines.glob("*.png"))]
    (tmp_path / "empty").mkdir()
    assert refused_alone(call("predict", run, tmp_path / "empty"), "holds no file that Read reads")


def test_a_list_of_words_holds_the_search(trained, tmp_path):
    run, lines, _ = trained
    words = tmp_path / "words.txt"
    words.write_text("ab\ncab\n")
    result = call("predict", run, lines / "003.png", "--set", f"decode.words={words}")
    assert result.exit_code == 0, result.output
    assert result.stdout.split("\t")[1] in ("", "ab", "cab")
    result = call("predict", run, lines / "003.png", "--set", "decode.words=missing.txt")
    assert refused_alone(result, "missing.txt is no file; expected a list of words")


def test_finetune_learns_new_characters(trained, tmp_path):
    run, _, _ = trained
    new = write_lines(tmp_path / "new", 30, letters="ad", seed=3)
    result = call(
        "finetune",
        run,
        new,
        "--set",
        "epochs=10",
        "--set",
        "lr=0.01",
        "--set",
        "replay=0.5",
        "--out",
        tmp_path / "tuned",
    )
    assert result.exit_code == 0, result.output
    assert "New characters to write (1): d." in result.stdout
    report = json.loads((tmp_path / "tuned" / "report.json").read_text())
    assert report["new"]["after"]["cer"] < report["new"]["before"]["cer"]
    assert set(report["old"]["after"]) == {"exact_match", "cer"}
    assert "d" in load_reader(tmp_path / "tuned").tokenizer.tokens
    assert refused_alone(call("finetune", run, new, "--set", "protect=ewc"), "type --set protect=l2-sp")


def test_inspect_looks_into_it(trained):
    run, _, _ = trained
    result = call("inspect", run)
    assert result.exit_code == 0, result.output
    assert "Page: " in result.stdout


def test_a_table_with_parts_and_groups_is_divided_by_them(tmp_path):
    from rnnkit.recipes.picture_data import divide_pictures
    from rnnkit.recipes.read_data import ReadData, with_texts

    write_lines(tmp_path, 20)
    rows = [("path", "text", "group")]
    rows += [(f"{n:03d}.png", (tmp_path / f"{n:03d}.txt").read_text().strip(), f"page{n // 4}") for n in range(20)]
    with (tmp_path / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)

    def parts_of(data):
        return divide_pictures(data, "read", lambda pictures: with_texts(pictures, data))

    parts = parts_of(ReadData(path=str(tmp_path / "table.csv"), validation=0.2, test_share=0.2))
    groups = [set(part.groups) for part in (parts.train, parts.validation, parts.test)]
    assert not groups[0] & groups[1] | groups[0] & groups[2] | groups[1] & groups[2]
    assert [len(part) for part in (parts.train, parts.validation, parts.test)] == [12, 4, 4]
    rows = [("path", "text", "part")] + [(*row[:2], "test" if n < 5 else "train") for n, row in enumerate(rows[1:])]
    with (tmp_path / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    parts = parts_of(ReadData(path=str(tmp_path / "table.csv"), validation=0.2))
    assert sorted(one.id for one in parts.test) == [f"{n:03d}" for n in range(5)]
    assert len(parts.validation) == 3
    assert "as the data set itself divides them" in parts.division


def test_bad_data_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert refused_alone(call("train", "read"), "data.path is missing", "rnnkit train read FOLDER")
    assert refused_alone(call("train", "read", "missing"), "missing")
    write_lines("all_narrow", 4)
    for number in range(4):
        (tmp_path / "all_narrow" / f"{number:03d}.txt").write_text("a" * 60)
    share = ["--set", "data.validation=0", "--set", "data.test_share=0"]
    result = call("train", "read", "all_narrow", *share)
    assert refused_alone(result, "all 4 pictures are too narrow for their texts", "take --set model.stride=2")
    write_lines("few", 2)
    assert refused_alone(call("train", "read", "few"), "expected at least 3", "data.validation=0")
    assert refused_alone(call("train", "read", "few", "--set", "model.kernel_size=4"), "expected an odd number")


@pytest.mark.parametrize("context", ["lstm", "gru", "conv", "none"])
def test_contexts_read_and_the_convolution_has_as_many_parameters(context):
    settings = ReaderNetwork(context=context)
    model = build(settings, 14)
    logits, lengths = model(torch.rand(2, 90, 32), lengths=[90, 50])
    assert tuple(logits.shape) == (2, 23, 14)
    assert lengths.tolist() == [23, 13]
    assert type(rnnkit.models.build(model.config())) is rnnkit.LineRecognizer
    if context == "conv":
        counts = [
            sum(one.numel() for one in build(ReaderNetwork(context=name), 14).parameters()) for name in ("conv", "lstm")
        ]
        assert abs(counts[0] - counts[1]) < 0.005 * counts[1]


def test_digit_strings_learn(tmp_path):
    names = "model.channels=4,8,8,8 model.features=16 fit.epochs=1 fit.batch_size=8 data.strings=40 data.held_strings=8"
    small = f"{names} data.test_strings=8 data.longest=3 data.holdout=80 device=cpu"
    result = call("train", "digit-strings", *settings(small), "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert set(metrics["test"]) == {"digits_3_exact_match", "digits_3_cer", "digits_6_exact_match", "digits_6_cer"}
    assert metrics["rows"] == {"train": 40, "validation": 8, "digits_3": 8, "digits_6": 8}
    assert "80 test images" in metrics["split"]
    result = call("train", "digit-strings", "--set", "data.jitter=4", "--set", "data.holdout=80")
    assert refused_alone(result, "type --set model.height=36")
    recipe = override(find("digit-strings")(), ["data.holdout=80", "data.test_strings=5"])
    others = override(recipe, ["seed=1"]).prepare().tests["digits_10"].texts
    assert recipe.prepare().tests["digits_10"].texts == others  # tests do not follow the seed
    assert restore(recipe, {"seed": 3}).digits.arguments(28) == PictureChanges(
        degrees=0, scale=0, shift=0, flip=0, brightness=0, contrast=0
    ).arguments(28)  # runs from before digits were changed go on without


def test_equal_pictures_in_two_parts_are_told():
    def written(*values):
        lines = HeldLines([torch.full((8, 20), value) for value in values], ["a", "b"])
        return Written([f"{value:g}" for value in values], lines, [])

    told = " ".join(equal_lines({"train": written(0.0, 0.5), "test": written(1.0, 0.0)}))
    assert "2 pictures are the same as another one: 0 = 0." in told
    assert "1 such picture is in different parts" in told
    assert "1 such picture has different labels" in told
