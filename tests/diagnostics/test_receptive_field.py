"""Which pixels an output depends on, against what layers are known to see."""

import pytest
import torch

import rnnkit
from rnnkit.diagnostics import receptive_field
from rnnkit.diagnostics.measurement_pictures import receptive_field as draw
from rnnkit.errors import ConfigError, ShapeError


def test_convolutions_see_what_their_kernels_reach(tmp_path):
    layers = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3, padding=1), torch.nn.Conv2d(3, 2, (1, 5), padding=(0, 2)))
    for layer in layers:
        torch.nn.init.ones_(layer.weight)
    field = receptive_field(layers, torch.rand(2, 2, 15, 17))
    assert (field.rows, field.columns, field.share) == (3, 7, 21 / (15 * 17))
    draw(field, tmp_path / "field.svg")
    assert (tmp_path / "field.svg").stat().st_size > 1000


def test_a_renet_sees_the_whole_picture_and_a_head_all_of_it():
    torch.manual_seed(0)
    model = rnnkit.PictureClassifier(rnnkit.ReNet(1, 8, patch=2), 2, pooling="flatten", size=16)
    field = receptive_field(model, torch.rand(3, 1, 16, 16))
    assert field.extent == "16 × 16 of 16 × 16 pixels, 100% of all"
    assert field.gradient.shape == (16, 16)


def test_lines_count_as_pictures_of_one_channel():
    front = rnnkit.LineFront(16, (2, 2, 2, 2), 4)
    model = rnnkit.LineRecognizer(rnnkit.GRU(4, 4, bidirectional=True, batch_first=True), 5, front=front)
    field = receptive_field(model, rnnkit.types.Sequences(torch.rand(2, 40, 16), torch.tensor([40, 40])))
    assert field.gradient.shape == (40, 16)
    assert field.rows > 9


def test_of_a_clip_the_frames_are_told():
    layer = torch.nn.Conv3d(2, 3, (3, 1, 5), padding=(1, 0, 2))
    torch.nn.init.ones_(layer.weight)

    class Middle(torch.nn.Module):
        def forward(self, x):  # [B, T, C, H, W]
            return layer(x.transpose(1, 2)).transpose(1, 2)[..., 4, 4]

    field = receptive_field(Middle(), torch.rand(2, 7, 2, 9, 10))
    assert field.extent == "3 of 7 frames, 1 × 5 of 9 × 10 pixels, 6% of all"
    assert field.frames.shape == (7,)
    front = rnnkit.FrameFront(1, (4,), (2,), 8, grid=2)
    model = rnnkit.SequenceClassifier(rnnkit.GRU(8, 4, batch_first=True), 2, front=front)
    assert receptive_field(model, torch.rand(2, 5, 1, 16, 16)).extent.startswith("5 of 5 frames, 16 × 16 of")


def test_what_is_no_picture_is_refused():
    with pytest.raises(ShapeError, match="expected pictures"):
        receptive_field(torch.nn.Linear(3, 2), torch.rand(4, 3))
    with pytest.raises(ConfigError, match="threshold"):
        receptive_field(torch.nn.Conv2d(1, 1, 1), torch.rand(1, 1, 3, 3), threshold=2)


def test_a_diagnosis_of_pictures_tells_the_field(tmp_path):
    from rnnkit.diagnostics.page import write_page

    torch.manual_seed(0)
    model = rnnkit.PictureClassifier(rnnkit.ReNet(1, 8, patch=2), 2)
    found = rnnkit.diagnose(model, torch.rand(6, 1, 12, 12), torch.arange(6) % 2)
    assert found.evidence.horizon is None
    assert f"The output sees {found.evidence.field.extent}." in str(found)
    assert found.steps == 12
    assert "Which pixels the output sees" in write_page(found, tmp_path / "page.html").read_text()
