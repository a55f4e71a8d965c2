"""The example that fine-tunes files of other programs, with a small language model."""

import torch

from examples import files_of_others


def test_each_file_is_read_and_learns(tmp_path, capsys):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        found = files_of_others.main(units=16, characters=20_000, epochs=1, folder=tmp_path)
    finally:
        torch.set_num_threads(threads)
    assert set(found) == {"fastai", ".pt", ".safetensors", ".onnx"}
    before, after, _ = found.pop("fastai")
    assert after < before
    for was, now in found.values():
        assert now > was + 0.05
    assert found[".pt"] == found[".safetensors"]
    assert "anew" in capsys.readouterr().out
    assert {file.name for file in tmp_path.iterdir()} >= {"encoder.pth", "series.pt", "series.onnx"}
