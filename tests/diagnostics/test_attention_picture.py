"""Maps of attention."""

import numpy as np
import pytest
from PIL import Image

from rnnkit.diagnostics.attention import draw
from rnnkit.errors import DataError


def test_the_map_is_drawn_with_chinese_tokens_and_signs_of_tex(tmp_path, recwarn):
    weights = np.full((4, 3), 1 / 3)
    draw(weights, ["A", "$x_1$", "<eos>"], ["一", "只", "狗", ""], tmp_path / "a.png")
    draw(np.eye(60), [f"word{i} " for i in range(60)], ["\n"] * 60, tmp_path / "b.png")
    small, large = (Image.open(tmp_path / name) for name in ("a.png", "b.png"))
    assert small.size < large.size
    assert not [one for one in recwarn if "Glyph" in str(one.message)]


def test_weights_that_do_not_belong_to_the_tokens(tmp_path):
    with pytest.raises(DataError, match=r"expected \(2, 1\)"):
        draw(np.zeros((2, 2)), ["a"], ["b", "c"], tmp_path / "a.png")
    with pytest.raises(DataError, match="at least one"):
        draw(np.zeros((0, 1)), ["a"], [], tmp_path / "a.png")
