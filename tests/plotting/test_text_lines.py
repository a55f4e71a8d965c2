"""Lines of text that are drawn, of extreme shapes."""

import numpy as np
import pytest
from PIL import Image

from rnnkit.plotting.text_lines import read_line_picture


@pytest.mark.parametrize("shape", [(3000, 7), (10, 5000), (1, 1)])
def test_a_line_is_drawn_in_bounded_size(tmp_path, shape):
    read_line_picture(np.ones(shape, np.float32), [("a", 0, 3)], "a  9%", tmp_path / "a.png")
    assert max(Image.open(tmp_path / "a.png").size) < 3000
