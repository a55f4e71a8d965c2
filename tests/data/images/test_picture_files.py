"""Picture files of every usual kind, and those that are damaged."""

import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from rnnkit.data.images import picture_info, read_picture
from rnnkit.data.images.picture_files import read_pixels, read_scaled, read_values
from rnnkit.data.images.picture_scaling import shrink
from rnnkit.errors import ConfigError, DataError

WEDGE = np.arange(40, dtype=np.uint8).reshape(5, 8) * 6


def saved(tmp_path, array, name="a.png", mode=None, **options):
    image = array if isinstance(array, Image.Image) else Image.fromarray(array, mode)
    image.save(tmp_path / name, **options)
    return tmp_path / name


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "webp", "gif", "pgm"])
def test_formats_of_8_bits_keep_their_values(tmp_path, suffix):
    options = {"lossless": True} if suffix == "webp" else {}
    file = saved(tmp_path, WEDGE, f"a.{suffix}", **options)
    picture = read_picture(file, mode="L")
    assert picture.shape == (1, 5, 8)
    assert picture.dtype == torch.float32
    assert torch.equal(picture[0], torch.from_numpy(WEDGE) / 255)
    colour = read_picture(file)
    assert torch.equal(colour, picture.repeat(3, 1, 1))
    info = picture_info(file)
    assert (info.width, info.height, info.misnamed, info.truncated) == (8, 5, False, False)


def test_jpeg(tmp_path):
    file = saved(tmp_path, np.full((16, 24, 3), (200, 100, 50), np.uint8), "a.jpg", quality=95)
    picture = read_picture(file)
    assert picture.shape == (3, 16, 24)
    torch.testing.assert_close(picture.mean((1, 2)) * 255, torch.tensor([200.0, 100.0, 50.0]), atol=2, rtol=0)


def test_cmyk(tmp_path):
    file = saved(tmp_path, Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "a.jpg", quality=95)
    red, green, blue = read_picture(file)[:, 4, 4].tolist()
    assert red > 0.9
    assert max(green, blue) < 0.1


def test_16_bits(tmp_path):
    wide = np.array([[0, 4095, 65535]], np.uint16)
    for name in ("a.png", "a.tif"):
        file = saved(tmp_path, wide, name)
        torch.testing.assert_close(read_picture(file, mode="L")[0], torch.from_numpy(wide.astype(np.float32)) / 65535)
        assert read_picture(file, mode="L", white=4095)[0].tolist() == [[0, 1, 1]]
        assert read_picture(file, mode="RGBA").shape == (4, 1, 3)
        assert read_values(file).tolist() == wide.tolist()


def test_floats_stay_or_are_stretched(tmp_path):
    inside, outside = np.array([[0.25, 0.5]], np.float32), np.array([[-3, 1, 5]], np.float32)
    assert read_picture(saved(tmp_path, inside, "a.tif"), mode="L")[0].tolist() == [[0.25, 0.5]]
    assert read_picture(saved(tmp_path, outside, "b.tif"), mode="L")[0].tolist() == [[0, 0.5, 1]]
    file = saved(tmp_path, np.array([[np.nan, 1]], np.float32), "c.tif")
    with pytest.raises(DataError, match="no numbers"):
        read_picture(file)


def test_transparency_shows_the_background(tmp_path):
    clear = np.zeros((2, 2, 4), np.uint8)
    clear[0, 0] = (255, 0, 0, 255)
    file = saved(tmp_path, clear)
    assert read_picture(file)[:, 1, 1].tolist() == [1, 1, 1]
    assert read_picture(file, background=0)[:, 1, 1].tolist() == [0, 0, 0]
    assert read_picture(file)[:, 0, 0].tolist() == [1, 0, 0]
    assert read_picture(file, mode="RGBA")[3].tolist() == [[1, 0], [0, 0]]
    palette = Image.new("P", (2, 1), 1)
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putpixel((0, 0), 0)
    file = saved(tmp_path, palette, "p.png", transparency=0)
    assert [round(value * 255) for value in read_picture(file).flatten().tolist()] == [255, 40, 255, 50, 255, 60]
    assert read_values(file).tolist() == [[0, 1]]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_a_picture_upright(tmp_path, orientation):
    file = saved(tmp_path, WEDGE, exif=_exif(orientation))
    upright = read_picture(file, mode="L")
    info = picture_info(file)
    assert (info.height, info.width) == upright.shape[1:]
    assert info.stored_size == (8, 5)
    assert info.orientation == orientation
    assert read_picture(file, mode="L", upright=False).shape == (1, 5, 8)
    where = {1: (0, 0), 2: (0, 7), 3: (4, 7), 4: (4, 0), 5: (0, 0), 6: (0, 4), 7: (7, 4), 8: (7, 0)}
    assert float(upright[0][where[orientation]]) == 0  # the pixel that is stored first


def _exif(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def test_the_first_frame_is_read(tmp_path):
    frames = [Image.new("L", (4, 4), value) for value in (10, 200)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "a.tif", save_all=True, append_images=frames[1:])
    for name in ("a.gif", "a.tif"):
        assert picture_info(tmp_path / name).frames == 2
        assert round(float(read_picture(tmp_path / name, mode="L").mean()) * 255) == 10


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.bmp", "a.tif", "a.gif"])
def test_truncated_files_are_named(tmp_path, name):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    file = saved(tmp_path, noise, name)
    assert not picture_info(file).truncated
    file.write_bytes(file.read_bytes()[:-900])
    try:
        found = picture_info(file).truncated
    except DataError:  # no size can be read
        found = True
    assert found
    with pytest.raises(DataError, match=rf"{name}: cannot be read as an image"):
        read_picture(file)


def test_files_that_are_no_pictures(tmp_path):
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "zeros.jpg").write_bytes(bytes(1000))
    for name, problem in {
        "empty.png": "the file is empty",
        "text.png": "no known format",
        "zeros.jpg": "format",
    }.items():
        for read in (read_picture, picture_info, read_values):
            with pytest.raises(DataError, match=rf"{name}: .*{problem}"):
                read(tmp_path / name)
    with pytest.raises(DataError, match="no such file"):
        read_picture(tmp_path / "none.png")
    with pytest.raises(DataError, match="is a folder"):
        read_picture(tmp_path)


def test_absurdly_large_files_are_refused_before_they_are_decoded(tmp_path):
    file = saved(tmp_path, Image.new("1", (2, 1)))
    content = bytearray(file.read_bytes())
    content[16:24] = struct.pack(">II", 20_000, 10_000)  # the size in the header, of pixels that are not there
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    file.write_bytes(content)
    for read in (read_picture, picture_info):
        with pytest.raises(DataError, match="more than [0-9,]+ pixels"):
            read(file)


def test_a_wrong_suffix_is_told(tmp_path):
    saved(tmp_path, WEDGE, "a.png").rename(tmp_path / "b.jpg")
    assert picture_info(tmp_path / "b.jpg").misnamed
    assert read_picture(tmp_path / "b.jpg").shape == (3, 5, 8)


def test_arguments(tmp_path):
    file = saved(tmp_path, WEDGE)
    with pytest.raises(ConfigError, match="did you mean 'RGB'"):
        read_picture(file, mode="rgb")
    with pytest.raises(ConfigError, match="background"):
        read_picture(file, background=2)
    with pytest.raises(ConfigError, match="white"):
        read_picture(file, white=0)


def test_pixels_of_8_bits_stay_bytes(tmp_path):
    pixels = read_pixels(saved(tmp_path, WEDGE), mode="L")
    assert pixels.dtype == torch.uint8
    assert torch.equal(pixels[0], torch.from_numpy(WEDGE))


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("longest", [410, 300, 160, 51])
def test_a_picture_is_read_scaled_down_as_it_is_scaled_once_read(tmp_path, name, orientation, longest):
    rows, columns = np.mgrid[:303, :410]
    waves = 120 + 60 * np.sin(columns / 21) + 60 * np.cos(rows / 17)
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = saved(tmp_path, np.stack([waves, columns / 2, rows / 2], -1).astype(np.uint8), name, exif=exif)
    whole = read_pixels(file)
    pixels, size = read_scaled(file, longest)
    assert size == tuple(whole.shape[1:])
    expected = shrink(whole, longest)
    assert (pixels.shape, pixels.dtype) == (expected.shape, torch.uint8)
    difference = (pixels.float() - expected.float()).abs()
    assert difference.mean() < 2
    assert difference.max() < 12


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize(("size", "longest"), [((249, 321), 40), ((303, 410), 100), ((641, 641), 320), ((65, 81), 20)])
def test_things_of_a_jpeg_stay_at_their_places(tmp_path, orientation, size, longest):
    array = np.zeros(size, np.uint8)
    height, width = size
    array[height * 3 // 4 : height * 15 // 16, width * 3 // 4 : width * 15 // 16] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = saved(tmp_path, array, "a.jpg", quality=95, exif=exif)
    places = []
    for pixels in (read_pixels(file, mode="L"), read_scaled(file, longest, mode="L")[0]):
        weights = (pixels[0].float() - 20).clamp(min=0)
        middles = [(torch.arange(n) + 0.5) / n for n in weights.shape]
        places.append([float((weights.sum(1 - axis) * middles[axis]).sum() / weights.sum()) for axis in (0, 1)])
    assert places[1] == pytest.approx(places[0], abs=0.004)


def test_a_jpeg_is_decoded_at_a_fraction_of_its_size(tmp_path, monkeypatch):
    decoded = []
    original = Image.Image.resize

    def resize(image, *arguments, **options):
        image.load()
        decoded.append(image.size)
        return original(image, *arguments, **options)

    monkeypatch.setattr(Image.Image, "resize", resize)
    file = saved(tmp_path, np.zeros((300, 401), np.uint8), "a.jpg")
    assert read_scaled(file, 100)[0].shape == (3, 75, 100)
    assert decoded == [(101, 75)]


def test_16_bits_and_small_pictures_are_scaled_too(tmp_path):
    wide = saved(tmp_path, np.full((20, 30), 65535, np.uint16), "a.png")
    pixels, size = read_scaled(wide, 15, mode="L")
    assert (pixels.shape, size, pixels.dtype) == ((1, 10, 15), (20, 30), torch.float32)
    assert pixels.min() == pixels.max() == 1
    small = saved(tmp_path, WEDGE, "b.png")
    assert torch.equal(read_scaled(small, 100, mode="L")[0], read_pixels(small, mode="L"))


def test_a_picture_is_read_where_a_further_frame_is_cut_off(tmp_path):
    frames = [Image.fromarray(np.full((9, 12), value, np.uint8)) for value in (10, 90, 200)]
    file = tmp_path / "a.gif"
    frames[0].save(file, save_all=True, append_images=frames[1:])
    content, begin = file.read_bytes(), b"\x2c\0\0\0\0\x0c\0\x09\0"  # of a frame: its corner and its size
    file.write_bytes(content[: content.index(begin, content.index(begin) + 1) + len(begin) + 1])
    info = picture_info(file)
    assert (info.frames, info.truncated) == (2, False)
    assert read_pixels(file, mode="L").unique().tolist() == [10]
