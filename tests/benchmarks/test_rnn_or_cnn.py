"""The benchmark of contexts measures whole networks, with a recurrence and without, and keeps its rows."""

import json

import pytest
from boxed import write_boxed
from clips import write_clips
from masks import write_class_masks

from benchmarks import rnn_or_cnn

DETECT = "model.size=48 model.channels=8 model.deep=8 model.hidden_size=4 model.features=8 model.blocks=0"
SEGMENT = "model.channels=4,8 model.blocks=0 model.hidden_size=4 fit.crop=32"


@pytest.mark.parametrize(
    ("recipe", "write", "small"), [("detect", write_boxed, DETECT), ("segment", write_class_masks, SEGMENT)]
)
@pytest.mark.parametrize("context", ["renet", "conv"])
def test_it_measures_the_whole_network_of_pictures(recipe, write, small, context, tmp_path):
    (run := tmp_path / "run").mkdir()
    write(data := tmp_path / "pictures", 8)
    settings = [f"data.path={data}", "fit.batch_size=4", *small.split()]
    row = rnn_or_cnn.measure(recipe, context, 0, settings, 0, run)
    assert row["context"] == context
    assert row["parameters"] > 1000
    assert 0 < row["forward"] < row["both"]
    assert " of " in row["field"]
    assert not row["streams"]


@pytest.mark.parametrize("context", ["lstm", "conv", "none"])
def test_it_measures_what_a_step_of_a_clip_sees(context, tmp_path):
    (run := tmp_path / "run").mkdir()
    write_clips(data := tmp_path / "clips", 6)
    small = "model.size=16,16 model.channels=4 model.strides=2 model.features=8 model.grid=2 model.kernel_size=3"
    row = rnn_or_cnn.measure("video", context, 0, [f"data.path={data}", *small.split()], 0, run)
    seen, frames = (int(part) for part in row["field"].partition(" frames")[0].split(" of "))
    assert seen == {"lstm": frames // 2 + 1, "conv": 4, "none": 2}[context]  # the front sees two
    assert row["streams"]


def test_rows_that_are_there_are_not_run_again(tmp_path, monkeypatch, capsys):
    asked = []

    def pretend(name, context, seed, settings, epochs):
        asked.append((context, seed))
        if len(asked) == 3:
            raise RuntimeError("stopped")
        figures = {"forward": 1.0, "both": 3.0, "field": "5 × 5 of 9 × 9 pixels", "streams": False}
        return {
            "context": context,
            "seed": seed,
            "accuracy": 0.5,
            "parameters": 9,
            "seconds": 1,
            "memory": 1,
            **figures,
        }

    monkeypatch.setattr(rnn_or_cnn, "in_process", pretend)
    command = ["rnn_or_cnn", "mnist-renet", "--contexts", "renet", "conv", "--seeds", "2"]
    monkeypatch.setattr("sys.argv", [*command, "--rows", str(tmp_path / "rows.jsonl")])
    with pytest.raises(RuntimeError, match="stopped"):
        rnn_or_cnn.main()
    rnn_or_cnn.main()
    assert asked == [("renet", 0), ("conv", 0), ("renet", 1), ("renet", 1), ("conv", 1)]
    assert len((tmp_path / "rows.jsonl").read_text().splitlines()) == 4
    monkeypatch.setattr("sys.argv", [*command, "--epochs", "2", "--rows", str(tmp_path / "rows.jsonl")])
    rnn_or_cnn.main()  # another length of training: other rows
    assert len(asked) == 9
    assert json.loads((tmp_path / "rows.jsonl").read_text().splitlines()[-1])["key"]["asked"] == 2
    assert "| renet | 0.5 (0.5 to 0.5) |" in capsys.readouterr().out
