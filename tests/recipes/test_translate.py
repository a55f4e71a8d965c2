"""Translation end to end on made pairs: every verb, parallel files, the same bits after a break."""

import csv
import json
import math
from dataclasses import replace

import pytest
import torch
from pages import faults_of
from pair_files import NUMBERS, write_pairs
from typer.testing import CliRunner

import rnnkit
from rnnkit.cli.answering import file_texts
from rnnkit.cli.main import app
from rnnkit.errors import ConfigError, DataError
from rnnkit.recipes import DataRequest, find
from rnnkit.recipes.finetuning import FineTune
from rnnkit.recipes.text_pairs import divide
from rnnkit.runs.settings import override

SMALL = [
    "model.hidden_size=16", "model.embedding_size=12", "model.dropout=0.1", "fit.batch_size=16", "fit.lr=0.03",
    "model.upper=false", "data.tokenizer=word", "search.width=2", "search.max_tokens=8", "device=cpu",
]  # fmt: skip


def call(*arguments, code=0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert "Traceback" not in result.output
    assert result.exit_code == code, result.output
    return result


def settings(*more):
    return [part for one in (*SMALL, *more) for part in ("--set", one)]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("translate")
    write_pairs(folder / "pairs.csv")
    call("train", "translate", folder / "pairs.csv", "--epochs", 6, "--out", folder / "run", *settings())
    return folder / "run"


def test_a_run_has_scores_with_signatures_answers_and_pictures(run):
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["test"]["chrf"] > 10
    assert "tok:zh" in metrics["signatures"]["bleu"]
    assert metrics["chosen_on"].startswith("validation loss (")
    assert "by a hash over groups of pairs that share a text" in metrics["split"]
    assert sum(metrics["rows"].values()) == 120
    with (run / "predictions.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == metrics["rows"]["test"]
    assert all(set(row["prediction"]) <= set(NUMBERS.values()) for row in rows)
    assert (run / "attention-1.png").stat().st_size > 1000
    page = (run / "report.html").read_text(encoding="utf-8")
    assert faults_of(page) == []
    for section in ("Samples", "The worst answers", "The surest mistakes", "Learning curves", "Length and quality"):
        assert section in page
    assert rows[0]["reference"] in page
    assert any("targets of test" in told for told in metrics["troubles"])


def test_evaluate_predict_and_translate(run, tmp_path):
    evaluated = call("evaluate", run).stdout
    metrics = json.loads((run / "metrics.json").read_text())
    assert f"{metrics['test']['chrf']:.4g}" in evaluated
    (tmp_path / "new.txt").write_text("two three\n\none six one\n")
    predicted = call("predict", run, tmp_path / "new.txt", "--out", tmp_path / "out.json")
    rows = json.loads((tmp_path / "out.json").read_text())
    assert [row["source"] for row in rows] == ["two three", "one six one"], predicted.output
    recipe = find("translate")()
    answers = recipe.translator(run)(["two three", "six"], width=3, max_tokens=5)
    assert answers[0].source_tokens == ["two", "three", "<eos>"]
    for one in answers:
        assert one.text == "".join(token for token in one.tokens if token != "<eos>")
        assert tuple(one.attention.shape) == (len(one.tokens), len(one.source_tokens))
        assert len(one.tokens) <= 5
    alone = recipe.translator(run)(["two three"], width=3, max_tokens=5)
    assert (alone[0].text, alone[0].tokens) == (answers[0].text, answers[0].tokens)
    assert recipe.translator(run)(["six"], length_penalty=0.0)[0].score <= 0
    shown = call("translate", run, "two three", "--width", 3, "--max-tokens", 5).stdout
    assert shown.strip() == answers[0].text
    with pytest.raises(DataError, match="text 2 of 2 is empty"):
        recipe.translator(run)(["one", " "])
    told = call("translate", run, "one zebra", "--max-tokens", 5).stderr
    assert "the vocabulary lacks 'zebra'; the model reads <unk> there" in told


def test_a_file_of_pairs_is_translated_by_the_field_of_the_sources(tmp_path):
    rows = [{"note": "a", "source": "two", "target": "二"}, {"note": "b", "source": "six", "target": "六"}]
    (tmp_path / "a.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    recipe = find("translate")()
    assert file_texts(tmp_path / "a.jsonl", None, None, recipe) == ["two", "six"]
    assert file_texts(tmp_path / "a.jsonl", None, "note", recipe) == ["a", "b"]
    with pytest.raises(DataError, match="type --field note, or --field source"):
        file_texts(tmp_path / "a.jsonl", None, None, override(recipe, ["data.source=en"]))


def test_the_network_is_inspected_on_held_out_pairs_and_on_others(run, tmp_path):
    write_pairs(tmp_path / "new.csv", 20, seed=3)
    for given in ((), (tmp_path / "new.csv",)):
        page = tmp_path / f"page{len(given)}.html"
        said = call("inspect", run, *given, "--out", page).output
        assert "Page:" in said
        assert "model.encoder" in page.read_text(encoding="utf-8")
    recipe = override(find("translate")(), [f"data.path={run.parent / 'pairs.csv'}"])
    model, inputs, targets, *_ = recipe.inspection_data(run)
    logits = model(inputs.values, lengths=inputs.lengths)
    assert logits.shape[:2] == targets.shape  # a distribution a token
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
    assert loss < math.log(logits.shape[2])  # better than no knowledge


def test_new_pairs_are_learnt_and_old_ones_kept(run, tmp_path):
    write_pairs(tmp_path / "new.csv", 40, seed=7)
    with (tmp_path / "new.csv").open("a", encoding="utf-8") as file:
        file.write("one zebra,一 馬\n")
    tuned = call("finetune", run, tmp_path / "new.csv", "--epochs", 1, "--out", tmp_path / "tuned")
    assert "the vocabulary lacks 'zebra'; the model reads <unk> there" in tuned.output
    assert "the vocabulary lacks '馬'; the model reads <unk> there" in tuned.output
    report = json.loads((tmp_path / "tuned" / "report.json").read_text())
    assert report["new"]["before"].keys() == report["old"]["after"].keys() == {"bleu", "chrf"}
    metrics = json.loads((run / "metrics.json").read_text())["test"]
    assert report["old"]["before"] == pytest.approx(metrics)
    page = (tmp_path / "tuned" / "report.html").read_text(encoding="utf-8")
    assert faults_of(page) == []
    assert f"fine-tuned on {tmp_path / 'new.csv'}</h1>" in page
    for section in ("Before and after", "Samples", "The worst answers", "Attention"):
        assert f">{section}</h2>" in page
    troubles = (tmp_path / "tuned" / "troubles.txt").read_text(encoding="utf-8")
    assert "the vocabulary lacks 'zebra'" in troubles
    assert "of the held-out pairs of the new data" in troubles
    assert call("evaluate", tmp_path / "tuned").exit_code == 0


def test_new_pairs_that_are_too_long_are_not_learnt(run, tmp_path):
    write_pairs(tmp_path / "new.csv", 20, seed=7)
    with (tmp_path / "new.csv").open("a", encoding="utf-8") as file:
        file.write(f"{'one ' * 200},{'一' * 200}\n")
    recipe, data = find("translate")(), DataRequest(tmp_path / "new.csv")
    recipe = override(recipe, [*SMALL, f"data.path={run.parent / 'pairs.csv'}"])
    job = recipe.fine_tune_job(run, data, replace(recipe.fine_tune_defaults(), validation=0.0))
    assert job.new[0].values.shape[1] < 20
    assert job.findings()[0] == "1 pair of more than 100 tokens (data.longest) left out of training"


def test_texts_that_are_longer_than_all_that_was_learnt_are_told(run, tmp_path):
    told = "1 of 1 texts of the input (100.0%) is longer than all texts of the training, of up to "
    assert told not in call("translate", run, "one two").stderr
    assert told in call("translate", run, "one two " * 30).stderr
    write_pairs(tmp_path / "new.csv", 20, seed=7)
    with (tmp_path / "new.csv").open("a", encoding="utf-8") as file:
        file.write(f"{'one two ' * 30},{'一二' * 20}\n")
    new = ("--set", "validation=0", "--set", "replay=none", "--epochs", 1)
    call("finetune", run, tmp_path / "new.csv", *new, "--out", tmp_path / "tuned")
    assert told not in call("translate", tmp_path / "tuned", "one two " * 30).stderr
    assert "equal to" not in (tmp_path / "tuned" / "troubles.txt").read_text(encoding="utf-8")  # nothing was held out


def test_a_text_of_several_lines_is_read_as_one_line(run, tmp_path):
    (tmp_path / "a.jsonl").write_text(json.dumps({"source": ["one two", "three"]}) + "\n")
    (tmp_path / "b.jsonl").write_text(json.dumps({"source": "one two\nthree"}) + "\n")
    found = [call("translate", run, "--data", tmp_path / name).output for name in ("a.jsonl", "b.jsonl")]
    assert found[0] == found[1] == call("translate", run, "one two three").output
    assert "lacks" not in found[0]


def test_parallel_files_are_learnt_judged_and_inspected(run, tmp_path, monkeypatch):
    rows = write_pairs(tmp_path / "new.csv", 40, seed=7)
    for side, suffix in enumerate(("en", "zh")):
        (tmp_path / f"new.{suffix}").write_text("".join(f"{row[side]}\n" for row in rows), "utf-8")
    pair = (tmp_path / "new.en", "--set", f"data.target_path={tmp_path / 'new.zh'}")
    assert call("evaluate", run, *pair).stdout == call("evaluate", run, tmp_path / "new.csv").stdout
    call("inspect", run, *pair, "--out", tmp_path / "page.html")
    tuned = tmp_path / "tuned"
    call("finetune", run, *pair, "--epochs", 1, "--out", tuned, "--set", "replay=none")
    call("finetune", run, tmp_path / "new.csv", "--epochs", 1, "--out", tmp_path / "same", "--set", "replay=none")
    for one, other in zip(*(rnnkit.load(name).parameters() for name in (tuned, tmp_path / "same")), strict=True):
        assert torch.equal(one, other)
    (tuned / "model.safetensors").unlink()
    again = f"`rnnkit finetune {run} --data {pair[0]} --set data.target_path={tmp_path / 'new.zh'} --out NEW`"
    assert again in call("evaluate", tuned, code=2).stderr
    told = call("evaluate", run, pair[0], code=2).stderr
    assert "expected sources and their targets; type --set data.target_path=FILE, the file of the targets, or" in told
    (tmp_path / "less.zh").write_text("一\n", "utf-8")
    for verb in ("evaluate", "finetune", "inspect"):
        told = call(verb, run, pair[0], "--set", f"data.target_path={tmp_path / 'less.zh'}", code=2).stderr
        assert "40 lines" in told
        told = call(verb, run, pair[0], "--set", "data.target_path=", code=2).stderr
        assert "expected the file of the targets" in told
    told = call("evaluate", run, *pair[1:], code=2).stderr
    assert "name the first, of the sources: --data FILE" in told
    told = call("evaluate", run, *pair, "--set", "search.width=1", code=2).stderr
    assert "--set search.width=1 arrived, but the settings are those of the run" in told
    told = call("evaluate", run, pair[0], "--target-path", "a", code=2).stderr
    assert "did you mean --set data.target_path=VALUE?" in told


@pytest.mark.parametrize("by", ["loss", "bleu"])
def test_a_resumed_run_has_the_same_bits(tmp_path, by):
    write_pairs(tmp_path / "pairs.csv", 60)
    recipe = override(find("translate")(), [*SMALL, f"data.path={tmp_path / 'pairs.csv'}", "fit.epochs=3"])
    recipe = override(recipe, ["fit.sampling=0.5", "search.max_tokens=3", f"fit.choose_by={by}"])
    weights, figures = [], []
    for name, stop in (("whole", None), ("broken", 4)):
        folder = tmp_path / name
        folder.mkdir()
        if stop is not None:
            with pytest.MonkeyPatch.context() as patch:
                interrupt_at(patch, stop)
                assert recipe.run(folder)["stopped"] == "interrupted"
        assert recipe.run(folder)["stopped"] == "finished"
        weights.append(rnnkit.load(folder).state_dict())
        with (folder / "history.csv").open() as file:
            figures.append([row.get("val_greedy_bleu") for row in csv.DictReader(file)])
    for one, other in zip(weights[0].values(), weights[1].values(), strict=True):
        assert torch.equal(one, other)
    assert figures[0] == figures[1]


def test_the_epoch_is_chosen_by_a_score_of_greedy_answers(tmp_path):
    write_pairs(tmp_path / "pairs.csv", 120)
    named = [*SMALL, f"data.path={tmp_path / 'pairs.csv'}", "data.validation=0.2", "fit.epochs=4"]
    recipe = override(find("translate")(), [*named, "fit.choose_by=chrf", "fit.choose_pairs=10", "fit.lr=0.1"])
    (tmp_path / "run").mkdir()
    metrics = recipe.run(tmp_path / "run")
    validation = divide(recipe.data).pairs["validation"]
    assert metrics["chosen_on"] == f"validation chrF of greedy answers (10 of {len(validation)} pairs)"
    with (tmp_path / "run" / "history.csv").open() as file:
        found = [float(row["val_greedy_chrf"]) for row in csv.DictReader(file)]
    greedy = override(recipe, ["search.width=1"]).answers(tmp_path / "run")
    answers = greedy.answer([pair.source for pair in validation[:10]])
    assert max(found) == pytest.approx(recipe.judged([one.text for one in answers], validation[:10]).figures["chrf"])
    assert max(found) > min(found)


def test_a_score_needs_pairs_to_choose_by(tmp_path):
    write_pairs(tmp_path / "pairs.csv", 20)
    named = [f"data.path={tmp_path / 'pairs.csv'}", "data.validation=0", "fit.choose_by=bleu"]
    with pytest.raises(ConfigError, match=r"type --set data.validation=0.05, or name a file of them"):
        override(find("translate")(), named).prepare()
    with pytest.raises(ConfigError, match="rougeL"):
        override(find("translate")(), ["fit.choose_by=rougeL"])
    with pytest.raises(ConfigError, match="bleu"):
        override(find("summarize")(), ["fit.choose_by=bleu"])


def interrupt_at(patch, stop):
    """Have every run press Ctrl-C in a step."""
    from rnnkit.training import learner as module

    fit = module.Learner.fit

    class Stop(rnnkit.Callback):
        def on_step_end(self, learner, step):
            if step == stop:
                import signal

                signal.raise_signal(signal.SIGINT)

    def stopped(self, *arguments, callbacks=(), **more):
        return fit(self, *arguments, callbacks=[*callbacks, Stop()], **more)

    patch.setattr(module.Learner, "fit", stopped)


def test_long_pairs_are_left_out_and_told(tmp_path):
    rows = write_pairs(tmp_path / "pairs.csv", 40)
    recipe = override(find("translate")(), [*SMALL, f"data.path={tmp_path / 'pairs.csv'}", "data.longest=3"])
    recipe = override(recipe, ["fit.epochs=1", "data.test=0", "data.validation=0", "search.max_tokens=2"])
    folder = tmp_path / "run"
    folder.mkdir()
    metrics = recipe.run(folder)
    long = sum(len(target) > 3 for _, target in rows)
    assert metrics["rows"]["train"] == 40 - long
    told = f"{long} pairs of more than 3 tokens (data.longest) left out of training"
    assert told in metrics["split"]
    assert "test" not in metrics
    assert metrics["troubles"] == [told]
    assert "Loss and metrics" in (folder / "report.html").read_text("utf-8")
    with pytest.raises(DataError, match="held no pairs back"):
        recipe.evaluate(folder)
    assert set(recipe.evaluate(folder, DataRequest(tmp_path / "pairs.csv"))) == {"bleu", "chrf"}


def test_validation_pairs_are_shown_where_there_are_no_test_pairs(tmp_path):
    write_pairs(tmp_path / "pairs.csv", 40)
    recipe = override(find("translate")(), [*SMALL, f"data.path={tmp_path / 'pairs.csv'}", "data.validation=0.2"])
    recipe = override(recipe, ["fit.epochs=1", "data.test=0", "search.max_tokens=2"])
    folder = tmp_path / "run"
    folder.mkdir()
    metrics = recipe.run(folder)
    assert any("of validation" in sentence for sentence in metrics["troubles"])
    assert "The worst answers" in (folder / "report.html").read_text("utf-8")
    rows = (folder / "predictions.csv").read_text("utf-8").splitlines()
    assert len(rows) - 1 == metrics["rows"]["validation"]


@pytest.mark.parametrize("form", ["input_feeding", "bahdanau"])
def test_the_other_forms_train(form, tmp_path):
    write_pairs(tmp_path / "pairs.csv", 30)
    call(
        "train", "translate", tmp_path / "pairs.csv", "--epochs", 1, "--out", tmp_path / "run",
        *settings(f"model.form={form}", "model.upper=false", "search.max_tokens=2"),
    )  # fmt: skip
    assert rnnkit.load(tmp_path / "run").form == form


def test_old_pairs_that_are_gone_are_not_measured(run, tmp_path):
    recipe = override(find("translate")(), [f"data.path={tmp_path / 'gone.csv'}", *SMALL])
    write_pairs(tmp_path / "new.csv", 20, seed=7)
    request = DataRequest(tmp_path / "new.csv")
    with pytest.raises(DataError, match="gone.csv.*without it add --set replay=none"):
        recipe.fine_tune_job(run, request, FineTune())
    with pytest.warns(UserWarning, match="what it still knows of the old data is not measured"):
        job = recipe.fine_tune_job(run, request, FineTune(replay=None))
    assert job.old is None
    assert job.old_test is None


def test_new_pairs_that_share_a_text_stay_together(run, tmp_path):
    rows = [(f"{word} {number}", number) for number in ("one", "two", "three") for word in NUMBERS]
    with (tmp_path / "new.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("source", "target"), *rows])
    recipe = override(find("translate")(), [f"data.path={run.parent / 'pairs.csv'}", *SMALL])
    job = recipe.fine_tune_job(run, DataRequest(tmp_path / "new.csv"), FineTune())
    assert len(job.new[1]) == 12  # of three targets one is held out, with all of its sources
    (tmp_path / "saved").mkdir()
    job.save(tmp_path / "saved")
    assert (tmp_path / "saved" / "data.json").read_bytes() == (run / "data.json").read_bytes()
    with (tmp_path / "new.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("source", "target"), *rows[:6]])
    job = recipe.fine_tune_job(run, DataRequest(tmp_path / "new.csv"), FineTune())
    assert (len(job.new[1]), job.validation) == (6, None)  # all share a target, so none can be held out


def test_texts_of_one_side_are_no_pairs_to_judge_by(run, tmp_path):
    (tmp_path / "a.txt").write_text("one\n")
    told = call("evaluate", run, tmp_path / "a.txt", code=2).stderr
    assert "expected sources and their targets" in told
    assert "name a .csv, .tsv or .jsonl file with the fields source and target" in told
    (tmp_path / "a.csv").write_text("en,zh\none,一\n", "utf-8")
    told = call("evaluate", run, tmp_path / "a.csv", code=2).stderr
    assert "call the fields 'source' and 'target', as in the training data" in told
