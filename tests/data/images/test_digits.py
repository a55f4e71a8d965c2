import numpy as np
import pytest
from PIL import Image, ImageDraw

from rnnkit.data.images import BOX, SIZE, prepare_digit
from rnnkit.errors import DataError

SEVEN = [(60, 80), (220, 80), (120, 330)]
INK, PAPER = 0, 255


def draw(scale=1.0, size=(300, 400), offset=(0, 0), width=24):
    """A dark 7 on light paper."""
    image = Image.new("L", (round(size[0] * scale), round(size[1] * scale)), PAPER)
    points = [((x + offset[0]) * scale, (y + offset[1]) * scale) for x, y in SEVEN]
    ImageDraw.Draw(image).line(points, fill=INK, width=round(width * scale), joint="curve")
    return image


def with_alpha(ink):
    image = Image.new("RGBA", draw().size, (*ink, 0))
    image.putalpha(draw().point(lambda value: 255 - value))
    return image


def rounded_page():
    """Dark on light, opaque, but for see-through corners that are black underneath."""
    image = draw().convert("RGBA")
    alpha = Image.new("L", image.size, 0)
    ImageDraw.Draw(alpha).rounded_rectangle([0, 0, image.width - 1, image.height - 1], 40, fill=255)
    black = Image.new("RGBA", image.size, (0, 0, 0, 0))
    return Image.composite(image, black, alpha)


def sideways():
    image = draw().transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90° clockwise
    return image, {"exif": exif}


def photograph():
    grey = np.asarray(draw(), np.float64)
    light = np.linspace(0.85, 1.05, grey.shape[1])
    grain = np.random.default_rng(0).normal(0, 5, grey.shape)
    return Image.fromarray((light * (50 + grey * 0.6) + grain).clip(0, 255).astype(np.uint8))


def prepare(image, path, **options):
    image.save(path, **options)
    return prepare_digit(path)


@pytest.fixture
def expected(tmp_path):
    return prepare(draw(), tmp_path / "expected.png")


def test_it_looks_like_mnist(expected):
    assert expected.shape == (SIZE, SIZE)
    assert expected.dtype == np.float32
    assert (expected.min(), expected.max()) == (0, 1)
    rows, columns = (expected > 0).any(1).nonzero()[0], (expected > 0).any(0).nonzero()[0]
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == BOX
    for axis in (0, 1):
        mass = expected.sum(axis=1 - axis)
        assert abs((mass * np.arange(SIZE)).sum() / mass.sum() - SIZE / 2) <= 0.5
    assert expected[:14].sum() > expected[14:].sum()  # the bar of the 7 is on top


@pytest.mark.parametrize(
    ("name", "make", "tolerance"),
    [
        ("inverted.png", lambda: draw().point(lambda value: 255 - value), 1e-6),
        ("rgb.png", lambda: draw().convert("RGB"), 1e-6),
        ("rgba.png", lambda: draw().convert("RGBA"), 1e-6),
        ("palette.png", lambda: draw().convert("P"), 1e-6),
        ("bilevel.png", lambda: draw().convert("1"), 1e-6),
        ("cmyk.tiff", lambda: draw().convert("CMYK"), 1e-6),
        ("sixteen.png", lambda: Image.fromarray(np.asarray(draw()).astype(np.uint16) * 100 + 500), 1e-6),
        ("floats.tiff", lambda: Image.fromarray(np.asarray(draw()).astype(np.float32) * 3 - 9), 1e-6),
        ("black-ink.png", lambda: with_alpha((0, 0, 0)), 1e-6),
        ("white-ink.png", lambda: with_alpha((255, 255, 255)), 1e-6),
        ("corners.png", rounded_page, 1e-6),
        ("grey-on-grey.png", lambda: draw().point(lambda value: 90 + value // 5), 0.01),
        ("elsewhere.png", lambda: draw(size=(900, 500), offset=(500, 90)), 1e-6),
        ("huge.png", lambda: draw(scale=12), 0.12),
        ("photograph.png", photograph, 0.2),
        ("photograph.jpg", photograph, 0.2),
    ],
)
def test_the_same_digit_from_anywhere(tmp_path, expected, name, make, tolerance):
    assert np.abs(prepare(make(), tmp_path / name) - expected).max() <= tolerance


def test_a_photograph_taken_sideways(tmp_path, expected):
    image, options = sideways()
    assert np.abs(prepare(image, tmp_path / "sideways.png", **options) - expected).max() <= 1e-6


def test_a_transparent_palette(tmp_path, expected):
    image = draw().point(lambda value: 1 if value > 127 else 0).convert("P")
    image.putpalette([0, 0, 0, 0, 0, 0])  # ink and hidden paper are both black
    assert np.abs(prepare(image, tmp_path / "palette.gif", transparency=1) - expected).max() <= 0.02


def test_a_prepared_digit_stays_as_it_is(tmp_path, expected):
    again = prepare(Image.fromarray((expected * 255).round().astype(np.uint8)), tmp_path / "again.png")
    assert np.abs(again - expected).max() <= 0.06  # what is fainter than 5% of the ink is taken for paper


def test_a_small_one_is_enlarged_and_a_thin_line_keeps_its_darkness(tmp_path):
    dot = Image.new("L", (9, 9), PAPER)
    dot.paste(INK, (4, 3, 5, 7))
    large = prepare(dot, tmp_path / "small.png")
    assert (large > 0.5).any(1).sum() == BOX
    thin = prepare(draw(scale=3, width=2), tmp_path / "thin.png")
    assert thin.max() == 1


def test_ink_over_the_whole_width_stays_inside(tmp_path):
    bar = Image.new("L", (200, 60), PAPER)
    ImageDraw.Draw(bar).rectangle([0, 20, 199, 39], fill=INK)
    prepared = prepare(bar, tmp_path / "bar.png")
    assert (prepared > 0.5).any(0).sum() == BOX
    assert (prepared > 0.5).any(1).sum() == 2


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.png", None, "there is no such file"),
        ("text.png", b"hello", "cannot be read as an image"),
        ("empty.png", b"", "the file is empty"),
        ("damaged.png", b"\x89PNG\r\n\x1a\n nonsense", "cannot be read as an image"),
    ],
)
def test_what_is_no_image(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        prepare_digit(tmp_path / name)
    assert message in str(caught.value)
    assert name in str(caught.value)


def test_a_truncated_image_and_a_folder(tmp_path):
    draw().save(tmp_path / "whole.png")
    content = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "half.png").write_bytes(content[: len(content) // 2])
    for path, message in ((tmp_path / "half.png", "cannot be read as an image"), (tmp_path, "is a folder")):
        with pytest.raises(DataError, match=message):
            prepare_digit(path)


@pytest.mark.parametrize(
    "image",
    [
        Image.new("L", (40, 30), PAPER),
        Image.new("L", (1, 1), INK),
        Image.new("RGBA", (40, 30), (0, 0, 0, 0)),
        Image.fromarray(np.full((5, 5), 1000, np.uint16)),
    ],
)
def test_an_empty_page(tmp_path, image):
    with pytest.raises(DataError, match="no digit to be seen"):
        prepare(image, tmp_path / "page.png")


def test_pixels_that_are_no_numbers(tmp_path):
    pixels = np.zeros((5, 5), np.float32)
    pixels[2, 2] = np.nan
    with pytest.raises(DataError, match="no numbers"):
        prepare(Image.fromarray(pixels), tmp_path / "page.tiff")
