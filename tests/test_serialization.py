"""Files of values: what is read from them, and what is refused."""

import json
import math

import pytest
import torch
from safetensors.torch import save_file

from rnnkit.errors import DataError
from rnnkit.serialization import VALUES, json_text, read_json, read_values, remove_leftovers, write_values


def test_values_are_read_without_their_tensors(tmp_path):
    value = {"rows": [{"loss": 0.5}], "pair": (torch.ones(3), {1: torch.zeros(2)})}
    write_values(value, tmp_path / "state.safetensors")
    found = read_values(tmp_path / "state.safetensors", tensors=False)
    assert found == {"rows": [{"loss": 0.5}], "pair": (None, {1: None})}


@pytest.mark.parametrize("text", ['{"dict": 5}', '{"dict": [1]}', '{"pairs": 5}', '{"tensor": 5}', "[" * 100_000, "{"])
def test_damaged_values_are_data_errors(tmp_path, text):
    save_file({}, tmp_path / "state.safetensors", {VALUES: text})
    with pytest.raises(DataError, match="is damaged"):
        read_values(tmp_path / "state.safetensors")


def test_json_of_a_file():
    assert read_json('{"a": ' + "[" * 99 + "]" * 99 + "}")["a"] != []
    for text, words in {
        "[1]": "holds a list",
        '{"a": ' + "[" * 101 + "]" * 101 + "}": "deeper",
        "{": "Expecting",
    }.items():
        with pytest.raises(ValueError, match=words):
            read_json(text)


def test_json_is_strict():
    value = {"figures": (math.nan, -math.inf, 0.5), 1: "é"}
    assert json.loads(json_text(value)) == {"figures": [None, None, 0.5], "1": "é"}
    assert "é" in json_text(value)


def test_leftovers_of_our_own_names_are_removed_files_and_folders_alike(tmp_path):
    kept = {"a.st", ".a.st.mine", ".a.st.12345678.bak", ".b.st.12345678"}
    for name in (*kept, ".a.st.abc_1234"):
        (tmp_path / name).write_text("")
    (tmp_path / ".a.st.abcd1234").mkdir()
    (tmp_path / ".a.st.abcd1234" / "a.st").write_text("half")
    remove_leftovers(tmp_path / "a.st")
    assert {path.name for path in tmp_path.iterdir()} == kept
