import pytest
import torch

from rnnkit.errors import DataError, ShapeError
from rnnkit.ops import state as states


def lstm_state():
    return (torch.arange(12.0).view(1, 4, 3), torch.arange(12.0, 24.0).view(1, 4, 3))


def test_reorder_takes_rows():
    h, c = states.reorder(lstm_state(), torch.tensor([2, 2, 0]))
    assert h[0, :, 0].tolist() == [6.0, 6.0, 0.0]
    assert c.shape == (1, 3, 3)


def test_reset_puts_back_the_named_rows():
    mask = torch.tensor([True, False, False, True])
    h, _ = states.reset(lstm_state(), mask)
    assert h[0].sum(-1).tolist() == [0.0, 12.0, 21.0, 0.0]
    initial = states.map_state(torch.ones_like, lstm_state())
    assert states.reset(lstm_state(), mask, initial)[1][0, 3].tolist() == [1.0, 1.0, 1.0]
    with pytest.raises(ShapeError, match=r"mask has shape \(3,\); expected \(4,\)"):
        states.reset(lstm_state(), mask[:3])


def test_detach_cuts_the_graph():
    h = torch.ones(1, 2, 3, requires_grad=True)
    cut = states.detach((h * 2, (h * 3,)))
    assert not any(leaf.requires_grad for leaf in states.tensors(cut))
    assert isinstance(cut[1], tuple)


@pytest.mark.parametrize("nested", [torch.ones(2), lstm_state(), (torch.ones(1), (torch.zeros(2), torch.ones(3)))])
def test_save_and_load_keep_the_nesting(tmp_path, nested):
    states.save(nested, tmp_path / "state.safetensors")
    again = states.load(tmp_path / "state.safetensors")
    torch.testing.assert_close(again, nested)


def test_load_refuses_other_files(tmp_path):
    from safetensors.torch import save_file

    save_file({"weight": torch.ones(2)}, tmp_path / "other.safetensors")
    with pytest.raises(DataError, match="holds no recurrent state"):
        states.load(tmp_path / "other.safetensors")
