"""Changes of pictures, by marked pixels: a box and a mask around a marked thing stay around it."""

import pytest
import torch

from rnnkit.data.images import (
    Boxes,
    Masks,
    PictureAugment,
    Sample,
    crop,
    fit_sample,
    flip,
    pad,
    quarter_turn,
    resize,
    warp,
)
from rnnkit.data.images.colours import blur, brightness, contrast, gray, hue, saturation
from rnnkit.data.images.moves import resize_image
from rnnkit.errors import ConfigError, DataError


def marked(stacked=False):
    """A black picture of 40 × 60 with two things: at rows 5–15 and columns 10–30, red; at 25–35 and 40–50, green."""
    things = torch.zeros(2, 40, 60, dtype=torch.bool)
    things[0, 5:15, 10:30] = True
    things[1, 25:35, 40:50] = True
    image = torch.cat([things, torch.zeros(1, 40, 60)]).float()
    masks = Masks(things, 2) if stacked else Masks.of_stack(things)
    class_map = things[0].long() + 2 * things[1].long()
    boxes = Boxes.of([[10, 5, 30, 15], [40, 25, 50, 35]], [3, 4], [False, True])
    return Sample(image, boxes, masks, class_map, 1, "text", "id", (40, 60))


def where(image, thing):
    """The box around the marked pixels of a thing."""
    found = image[thing] > 0.5
    rows, columns = found.any(1).nonzero()[:, 0], found.any(0).nonzero()[:, 0]
    return torch.stack([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]).float()


EXACT = {
    "flip": lambda sample: flip(sample),
    "flip vertical": lambda sample: flip(sample, vertical=True),
    "quarter": lambda sample: quarter_turn(sample),
    "half": lambda sample: quarter_turn(sample, 2),
    "back": lambda sample: quarter_turn(sample, -1),
    "crop": lambda sample: crop(sample, 2, 6, 36, 50),
    "pad": lambda sample: pad(sample, 3, 4, 50, 70, fill=0.0),
    "larger": lambda sample: resize(sample, 80, 120),
    "half turn by degrees": lambda sample: warp(sample, degrees=180.0, fill=0.0),
    "shift": lambda sample: warp(sample, shift=(0.1, -0.1), fill=0.0),
    "letterbox": lambda sample: fit_sample(sample, 100, 120, fill=0.0)[0],
}


@pytest.mark.parametrize("stacked", [False, True])
@pytest.mark.parametrize("name", EXACT)
def test_boxes_masks_and_class_maps_follow_the_pixels(name, stacked):
    moved = EXACT[name](marked(stacked))
    near = 1.01 if name in ("larger", "letterbox") else 0.01  # between pixels the edge is a mixture
    for thing in range(2):
        found = where(moved.image, thing)
        torch.testing.assert_close(moved.boxes.xyxy[thing], found, atol=near, rtol=0)
        mask = moved.masks.stack()[thing]
        torch.testing.assert_close(moved.masks.boxes()[thing], found, atol=near, rtol=0)
        assert torch.equal(mask, moved.class_map == thing + 1)
        if near < 1:
            assert torch.equal(mask, moved.image[thing] > 0.5)
    assert (moved.boxes.labels.tolist(), moved.boxes.crowd.tolist()) == ([3, 4], [False, True])
    assert (moved.label, moved.text, moved.id) == (1, "text", "id")
    assert moved.masks.values.shape[-2:] == moved.image.shape[-2:] == moved.class_map.shape


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize(("degrees", "scale"), [(17.0, 1.0), (-30.0, 0.8), (0.0, 1.3), (90.0, 0.6)])
def test_a_turned_box_is_around_the_thing(masked, degrees, scale):
    before = marked()
    if not masked:
        before = Sample(before.image, before.boxes)
    moved = warp(before, degrees=degrees, scale=scale, fill=0.0, keep=0.0)
    assert len(moved.boxes) == 2
    found = where(moved.image, 0)
    box = moved.boxes.xyxy[0]
    if masked or degrees % 90 == 0:
        torch.testing.assert_close(box, found, atol=1.5, rtol=0)
    else:  # around the corners, which is never smaller
        assert (box[:2] <= found[:2] + 1).all()
        assert (box[2:] >= found[2:] - 1).all()


def test_a_turn_goes_against_the_clock():
    image = torch.zeros(1, 21, 21)
    image[0, 10, 18] = 1.0  # right of the centre
    for turned in (quarter_turn(Sample(image)), warp(Sample(image), degrees=90.0, fill=0.0)):
        assert float(turned.image[0, 2, 10]) > 0.99  # above it


def test_what_comes_from_outside_is_filled_and_not_judged():
    moved = warp(marked(), shift=(0.5, 0.0), fill=0.25)
    assert moved.image[:, :19].unique().tolist() == [0.25]
    assert moved.class_map[:20].unique().tolist() == [-100]
    assert moved.masks.map()[:20].unique().tolist() == [0]


@pytest.mark.parametrize("masked", [True, False])
def test_a_cut_box_stays_where_enough_is_left(masked):
    before = marked() if masked else Sample(marked().image, marked().boxes)
    # 5 of 20 columns of the first thing are left; the second lies outside.
    for keep, count in ((0.25, 1), (0.26, 0)):
        moved = crop(before, 0, 25, 20, 14, keep=keep)
        assert len(moved.boxes) == count
        if masked:
            assert len(moved.masks) == count
            assert moved.masks.map().max() == count
    assert crop(before, 0, 25, 20, 14).boxes.xyxy.tolist() == [[0, 5, 5, 15]]
    with pytest.raises(ConfigError, match="a part of 50 × 10 from row 0"):
        crop(before, 0, 0, 50, 10)


def test_a_box_of_which_a_sliver_is_left_goes():
    moved = crop(Sample(torch.zeros(1, 10, 10), Boxes.of([[0, 0, 4.5, 10]])), 0, 4, 10, 6, keep=0.0)
    assert len(moved.boxes) == 0


def test_the_mask_counts_more_than_the_box():
    # A thing like an L: the crop holds a third of its box and little of its pixels.
    things = torch.zeros(1, 10, 10, dtype=torch.bool)
    things[0, :, 0] = True
    things[0, 9, :] = True
    sample = Sample(torch.zeros(1, 10, 10), Boxes.of([[0, 0, 10, 10]]), Masks.of_stack(things))
    assert len(crop(sample, 0, 2, 8, 8).boxes) == 0
    assert len(crop(Sample(sample.image, sample.boxes), 0, 2, 8, 8).boxes) == 1


def test_pictures_without_boxes_and_with_none():
    for sample in (
        Sample(torch.rand(1, 9, 9)),
        Sample(torch.rand(1, 9, 9), Boxes.of([]), Masks.of_stack(torch.zeros(0, 9, 9, dtype=torch.bool))),
    ):
        for change in (flip, quarter_turn, lambda one: warp(one, degrees=5.0), lambda one: crop(one, 1, 1, 5, 5)):
            moved = change(sample)
            assert (moved.boxes is None) == (sample.boxes is None)
            assert moved.boxes is None or len(moved.boxes) == 0


def test_resizing_keeps_the_mean_and_has_no_aliases():
    stripes = torch.zeros(1, 64, 64)
    stripes[:, :, ::2] = 1.0
    small = resize_image(stripes, 16, 16)
    torch.testing.assert_close(small[:, 2:-2, 2:-2], torch.full((1, 12, 12), 0.5), atol=0.02, rtol=0)


def test_fitting_and_back():
    sample = marked()
    for fit, size in (("letterbox", (64, 64)), ("stretch", (30, 90)), ("pad", (64, 64)), ("letterbox", (20, 100))):
        fitted, place, inner = fit_sample(sample, *size, fit=fit)
        assert fitted.image.shape == (3, *size)
        assert fitted.masks.values.shape == size
        torch.testing.assert_close(place.to_picture(fitted.boxes.xyxy), sample.boxes.xyxy, atol=1e-3, rtol=0)
        assert inner[0] <= size[0]
        assert inner[1] <= size[1]
    with pytest.raises(DataError, match="the picture id of 40 × 60 arrived; expected at most 32 × 64"):
        fit_sample(sample, 32, 64, fit="pad")


# Colours


def test_colours():
    red = torch.tensor([0.6, 0.4, 0.4]).reshape(3, 1, 1).repeat(1, 4, 4)
    assert float(brightness(red, 2.0)[0, 0, 0]) == 1.0
    torch.testing.assert_close(contrast(red, 1.0), red)
    torch.testing.assert_close(saturation(red, 1.0), red)
    torch.testing.assert_close(saturation(red, 0.0), gray(red))
    torch.testing.assert_close(hue(red, 1.0), red, atol=1e-5, rtol=0)
    torch.testing.assert_close(gray(hue(red, 0.1)), gray(red), atol=1e-4, rtol=0)
    torch.testing.assert_close(hue(gray(red), 0.3), gray(red), atol=1e-5, rtol=0)
    torch.testing.assert_close(blur(red, 2.0), red)
    for change in (lambda one: saturation(one, 0.5), lambda one: hue(one, 0.2), gray):
        assert change(red[:1]) is red[:1] or torch.equal(change(red[:1]), red[:1])
    clear = torch.cat([red, torch.full((1, 4, 4), 0.3)])
    for change in (lambda one: brightness(one, 0.5), lambda one: hue(one, 0.2), gray, lambda one: contrast(one, 2)):
        assert torch.equal(change(clear)[3], clear[3])


# All together


EVERYTHING = PictureAugment(
    flip=0.5, flip_vertical=0.5, quarter_turns=0.5, degrees=10, scale=(0.8, 1.2), shift=0.05, crop=(0.8, 1.0),
    brightness=0.1, contrast=0.1, saturation=0.3, hue=0.05, gray=0.2, blur=(0.0, 0.6), noise=(0.0, 0.02),
    fill=0.0,
)  # fmt: skip


def test_boxes_stay_around_marked_things_whatever_is_drawn():
    before = marked()
    generator = torch.Generator().manual_seed(0)
    kept = 0
    for _ in range(25):
        moved = EVERYTHING(before, generator)
        assert moved.image.shape[-2:] == moved.class_map.shape == moved.masks.values.shape[-2:] == moved.size
        assert float(moved.image.min()) >= 0
        assert float(moved.image.max()) <= 1
        assert len(moved.boxes) == len(moved.masks)
        for label, box, mask in zip(moved.boxes.labels.tolist(), moved.boxes.xyxy, moved.masks.stack(), strict=True):
            kept += 1
            red, green, blue = moved.image[:, mask].mean(1).tolist()
            assert (red if label == 3 else green) >= max(red, green, blue) - 0.02
            assert (red if label == 3 else green) > (0.2 if label == 3 else 0.4)
            left, top, right, bottom = (round(one) for one in box.tolist())
            assert int(mask[top:bottom, left:right].sum()) == int(mask.sum())
            assert torch.equal(mask, mask & (moved.class_map == label - 2))
    assert kept > 40


def test_equal_seeds_give_equal_pictures_and_others_differ():
    augment = PictureAugment(flip=0.5, degrees=5, crop=(0.7, 1.0), brightness=0.3, noise=(0.0, 0.1), cutouts=2)
    first, second, other = (augment(marked(), torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first.image, second.image)
    assert torch.equal(first.boxes.xyxy, second.boxes.xyxy)
    assert first.image.shape != other.image.shape or not torch.equal(first.image, other.image)


def test_without_settings_nothing_changes():
    sample = marked()
    state = torch.Generator().manual_seed(0)
    moved = PictureAugment()(sample, state)
    assert torch.equal(moved.image, sample.image)
    assert torch.equal(state.get_state(), torch.Generator().manual_seed(0).get_state())


def test_cutouts_hide_and_do_not_change_the_sample():
    sample = Sample(torch.zeros(1, 50, 50))
    moved = PictureAugment(cutouts=3, cutout_size=0.5, fill=0.7)(sample, torch.Generator().manual_seed(3))
    assert 0 < float((moved.image > 0.6).float().mean()) < 0.75
    assert not sample.image.any()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("flip", 1.5), ("crop", (0.0, 1.0)), ("crop", 0.5), ("crop", (0.5, 1.5)),
        ("scale", (2.0, 1.0)), ("hue", 0.7), ("cutouts", -1),
        ("noise", (-1.0, 0.0)), ("brightness", 2.0), ("degrees", -3), ("keep", 2.0), ("blur", (0.0, float("inf"))),
    ],
)  # fmt: skip
def test_settings_out_of_range(name, value):
    with pytest.raises(ConfigError, match=name):
        PictureAugment(**{name: value})
