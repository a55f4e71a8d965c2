"""The example on new digits, on made digits and a small network."""

import pytest
import torch
from digits import on_made_digits

from examples import new_digits
from examples.new_digits import Moved, Size

__all__ = ["on_made_digits"]
SMALL = Size(
    units=8,
    hidden=8,
    channels=3,
    per_class=4,
    memory=2,
    simple_epochs=1,
    lstm_epochs=1,
    reader_epochs=1,
    short=1,
    long=1,
    fisher_rows=3,
)


def test_every_method_is_run_and_the_base_is_trained_once(capsys):
    found = new_digits.main([0], held_out=True, size=SMALL)
    printed = capsys.readouterr().out
    assert list(found) == list(new_digits.methods(SMALL))
    assert all(name in printed for name in found)
    assert all(0 <= rows[0]["new"] <= 1 for rows in found.values())
    assert {name for name, rows in found.items() if "old" in rows[0]} == {name for name in found if "ten" in name}
    assert found["five: LSTM, LoRA of rank 8"][0]["trained"] == 8 * (28 + 32) + 8 * (8 + 32) + 45
    files = {file: file.read_bytes() for file in new_digits.FOLDER.glob("*.safetensors")}
    assert len(files) == 3
    again = new_digits.main([0], held_out=True, size=SMALL, only="LSTM, all of it")
    assert again["five: LSTM, all of it"][0]["new"] == pytest.approx(found["five: LSTM, all of it"][0]["new"])
    assert {file: file.read_bytes() for file in files} == files


def test_turned_images_carry_their_own_classes():
    x = torch.arange(2 * 28 * 28.0).reshape(2, 28, 28)
    images, labels = new_digits.turned((x, torch.tensor([0, 3])))
    names = [new_digits.TURNED[label] for label in labels]
    assert names == ["0", "3", "0 left", "3 left", "0 down", "3 down", "0 right", "3 right"]
    assert torch.equal(images[:2], x)
    assert torch.equal(images[4:6], x.flip(1, 2))


def test_what_judges_was_never_trained_on():
    digits = new_digits.divide(0, SMALL, held_out=True)
    assert len(digits.new[1]) == 5 * 4
    assert len(digits.memory[1]) == 5 * 2
    judged = torch.cat([digits.old_judged[0], digits.new_judged[0]]).flatten(1)
    seen = torch.cat([digits.old[0], digits.new[0]]).flatten(1)
    assert len(judged) == 64
    assert torch.cdist(seen, judged).min() > 0


def test_images_move_in_training_alone():
    image = torch.zeros(3, 28, 28)
    image[:, 12:16, 12:16] = 1.0
    moved = Moved()
    assert torch.equal(moved.eval()(image), image)
    changed = moved.train()(image)
    assert changed.shape == image.shape
    assert not torch.equal(changed[0], changed[1])
    torch.testing.assert_close(changed.sum((1, 2)), torch.full((3,), 16.0), rtol=0.3, atol=0.0)
