"""The guide on own data: its first example, as it stands, and the arguments it names."""

import re
from dataclasses import fields
from pathlib import Path

import torch

from rnnkit.data.reading import Options, read_series

# Arguments of other functions than `read_series`, and settings of the command line.
OTHERS = {
    *("shares", "even", "seed", "by", "missing", "path", "class_weights", "ignore"),
    *("batch_size", "window", "mmap_mode", "shuffle", "stateful"),
}
GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "own_data.md").read_text()


def test_the_example_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = [f"{row},{step},{row + step},{step % 3},{'ab'[row % 2]}" for row in range(20) for step in range(4)]
    Path("machines.csv").write_text("\n".join(["id,time,heat,load,state", *lines]).replace("state", "label"))
    Path("new.csv").write_text("load,id,heat,time\n1,x,2,0\n" + "".join(f"1,x,2,{step}\n" for step in (1, 2, 3)))
    names: dict = {}
    exec(re.findall(r"```python\n(.*?)```", GUIDE, re.S)[0], names)
    assert [len(names[part]) for part in ("train", "validation", "test")] == [14, 3, 3]
    assert names["inputs"].shape == (14, 4, 2)
    assert names["targets"].dtype == torch.int64
    assert names["new"].values[0].tolist() == [[2, 1]] * 4


def test_sources_that_do_not_fit_in_memory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(re.findall(r"```python\n(.*?)```", GUIDE, re.S)[-1], names)
    assert tuple(next(iter(names["windows"])).inputs.shape) == (32, 70)
    assert tuple(next(iter(names["batches"])).inputs.shape) == (64, 24, 3)
    assert sorted(len(batch) for batch in names["stream"]) == [4, *[16] * 6]


def test_an_error_shows_its_parts(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("machines.csv").write_text("id,time,heat,text,label\na,0,1,u,x\nb,0,2,v,y\n")
    block = next(code for code in re.findall(r"```python\n(.*?)```", GUIDE, re.S) if "DataError" in code)
    exec(block, {"read_series": read_series})
    assert "machines.csv:2: column text: 'u' is not a number" in capsys.readouterr().out


def test_the_arguments_exist():
    named = set(re.findall(r"\b([a-z_]+)=", GUIDE)) - OTHERS
    assert {"id_column", "ignore_columns", "duplicates", "time_format", "size"} <= named
    assert named <= {option.name for option in fields(Options)}
