"""Pixels named and things grown: the parts between a network and its answers."""

import numpy as np
import pytest
import torch
from masks import draw_discs, write_class_masks, write_coco, write_things
from PIL import Image
from tolerances import assert_close

import rnnkit
from rnnkit.data.images import PictureAugment, read_pictures
from rnnkit.errors import DataError, ShapeError
from rnnkit.recipes.segment_data import items_of
from rnnkit.tasks.bowl_scores import bowl_precision, score_bowl
from rnnkit.tasks.growing import Growing, found_of, grow, shapes_of
from rnnkit.tasks.pixel_scores import otsu_map, score_pixels
from rnnkit.tasks.segmentation import PictureReading, Segmenter, load_segmenter
from rnnkit.tasks.segmentation_batches import PixelBatches
from rnnkit.tasks.segmentation_settings import SegmenterDecoding, ThingsDecoding


def said_of(things):
    """What a perfect network says of things: classes [2, H, W] and shapes."""
    inside = (things > 0).float() * 0.98 + 0.01
    return torch.stack([1 - inside, inside]), shapes_of(things)


@pytest.mark.parametrize("seed", range(4))
def test_what_a_perfect_network_says_grows_to_the_things_themselves(seed):
    things = torch.from_numpy(draw_discs((60, 70), seed)[1].astype(np.int32))
    classes, shapes = said_of(things)
    grown, count = grow(classes, shapes, Growing(0.5, 0.4, 1))
    assert count == int(things.max())
    assert bowl_precision(things.numpy(), grown)[:7].tolist() == [1.0] * 7  # up to IoU 0.8
    found = found_of(grown, count, classes, shapes)
    assert len(found) == count
    assert bool((found.scores > 0.9).all())


def test_things_that_touch_are_parted_by_their_cores():
    rows, columns = np.mgrid[:30, :50]
    things = np.zeros((30, 50), np.int32)
    for number, x in enumerate((14, 34), 1):
        things[((rows - 15) ** 2 + (columns - x) ** 2 < 121) & (things == 0)] = number
    classes, shapes = said_of(torch.from_numpy(things))
    assert int(torch.from_numpy(things > 0).sum()) > 0
    grown, count = grow(classes, shapes, Growing(0.5, 0.5, 5))
    assert count == 2
    assert bowl_precision(things, grown)[6] == 1.0
    assert shapes[1].sum() > 0
    assert grow(classes, torch.zeros_like(shapes), Growing(0.5, 0.5, 5))[1] == 1  # without cores it is one thing


def test_small_things_and_empty_pictures():
    things = torch.zeros(20, 20, dtype=torch.int32)
    things[2:4, 2:4] = 1
    classes, shapes = said_of(things)
    assert grow(classes, shapes, Growing(0.5, 0.3, 4))[1] == 1
    assert grow(classes, shapes, Growing(0.5, 0.3, 5))[1] == 0
    nothing = torch.zeros(20, 20, dtype=torch.int32)
    assert grow(*said_of(nothing), Growing())[1] == 0
    assert shapes_of(torch.ones(5, 5, dtype=torch.int32))[0].min() == 1  # a thing that fills the picture


def test_bowl_precision_counts_as_the_bowl_does():
    true = np.zeros((4, 20), int)
    true[:, :10], true[:, 12:] = 1, 2
    found = np.zeros_like(true)
    found[:, :6], found[:, 6:10] = 5, 7  # IoU 0.6 and 0.4 with the first
    precision = bowl_precision(true, found)
    assert precision[0] == pytest.approx(1 / 3)  # one right, one too many, one missed
    assert precision[2] == 0  # 0.6 is not above 0.6
    assert bowl_precision(np.zeros((3, 3), int), np.zeros((3, 3), int)).min() == 1
    assert bowl_precision(true, np.zeros_like(true)).max() == 0
    with pytest.raises(ShapeError, match="expected one size"):
        bowl_precision(true, found[:2])
    judged = np.ones(true.shape, bool)
    judged[:, 12:] = False
    assert bowl_precision(true, np.where(true == 1, 1, 0), judged)[0] == 1
    assert set(score_bowl([true], [true]).figures.values()) == {1.0}


def test_pixels_are_counted_as_by_hand():
    true = torch.tensor([[0, 1, 1, 2], [0, 0, -100, 2]])
    found = torch.tensor([[0, 1, 2, 2], [1, 0, 2, 2]])
    scores = score_pixels([true], [found], ["a", "b"])
    assert_close(
        torch.tensor(scores.iou, dtype=torch.float64), torch.tensor([2 / 3, 1 / 3, 2 / 3], dtype=torch.float64)
    )
    assert scores.figures["mean_iou"] == pytest.approx(0.5)
    assert scores.figures["foreground_iou"] == pytest.approx(4 / 5)
    empty = score_pixels([torch.zeros(2, 2)], [torch.zeros(2, 2)], ["a"])
    assert empty.figures["mean_iou"] == empty.each[0] == 1.0
    with pytest.raises(DataError, match="expected as many"):
        score_pixels([true], [], ["a", "b"])


def test_pictures_with_little_foreground_count_as_much_as_those_with_much():
    full, part = torch.ones(1, 8, dtype=torch.long), torch.tensor([[1, 1, 0, 0, 0, 0, 0, 0]])
    found = [full, torch.tensor([[1, 0, 0, 0, 0, 0, 0, 0]]), torch.zeros_like(full)]
    figures = score_pixels([full, part, torch.zeros_like(full)], found, ["thing"]).figures
    assert figures["foreground_iou"] == pytest.approx(9 / 10)
    assert figures["picture_iou"] == pytest.approx((1 + 1 / 2 + 1) / 3)  # nothing there and nothing named: 1
    assert "otsu_picture_iou" not in figures
    images = [part[None] * 0.8 + 0.1] * 2
    figures = score_pixels([part, part], [part, part], ["thing"], images).figures
    assert figures["otsu_picture_iou"] == figures["picture_iou"] == 1


def test_otsu_takes_the_smaller_side_of_dark_and_of_bright_things():
    image = torch.full((1, 10, 10), 0.2)
    image[0, 2:5, 2:5] = 0.9
    assert int(otsu_map(image).sum()) == 9
    assert torch.equal(otsu_map(1 - image), otsu_map(image))


def test_tiles_answer_as_the_whole_picture_does():
    torch.manual_seed(0)
    model = rnnkit.PictureSegmenter(3, 3, (4, 8, 8), blocks=0, shapes=2)
    image = torch.rand(3, 150, 173)
    whole = Segmenter(model, ("a", "b")).probabilities(image)
    tiled = Segmenter(model, ("a", "b"), decoding=SegmenterDecoding(tile=64, overlap=32)).probabilities(image)
    for one, other in zip(whole, tiled, strict=True):
        assert (one - other).abs().mean() < 2e-3
        assert_close(one[:, :20, :20], other[:, :20, :20])  # far from every seam
        assert one.shape[1:] == other.shape[1:] == (150, 173)


def test_large_pictures_are_scaled_down_and_answers_back():
    torch.manual_seed(0)
    model = rnnkit.PictureSegmenter(1, 2, (4, 8), blocks=0, shapes=2)
    segmenter = Segmenter(model, ("a",), PictureReading(32, gray=True), Growing(0.3, 0.1, 1), ThingsDecoding(least=0.0))
    found = segmenter(torch.rand(3, 50, 80))
    assert segmenter.probabilities(torch.rand(3, 50, 80))[0].shape == (2, 20, 32)
    assert found.class_map.shape == (50, 80)
    assert found.things.size == (50, 80)
    stricter = segmenter.with_decoding(ThingsDecoding(smallest=10_000))(torch.rand(3, 50, 80))
    assert len(stricter.things) == 0


def test_too_large_pictures_and_other_models_are_refused(monkeypatch, tmp_path):
    monkeypatch.setattr("rnnkit.tasks.segmentation.LARGEST", 10_000)
    segmenter = Segmenter(rnnkit.PictureSegmenter(1, 2, (4, 8)), ("a",), PictureReading(gray=True))
    with pytest.raises(DataError, match="cut it, or make it smaller"):
        segmenter(torch.rand(1, 101, 100))
    rnnkit.Learner(rnnkit.PictureSegmenter(1, 2, (4, 8))).save(tmp_path)
    with pytest.raises(DataError, match="names no pixels"):
        load_segmenter(tmp_path)


def test_batches_move_masks_along_and_go_on_to_the_bit(tmp_path):
    write_coco(tmp_path / "set", 6)
    pictures = read_pictures(tmp_path / "set")
    items = items_of(pictures, ("blue", "red"))
    augment = PictureAugment(flip=0.5, degrees=20, scale=(0.8, 1.2))

    def batches():
        return PixelBatches(items, 4, 32, shapes=True, augment=augment, seed=3)

    first = [batch.targets for batch in batches()]
    assert [one.shape for one in first] == [(4, 3, 32, 32), (2, 3, 32, 32)]
    half = batches()
    iterator = iter(half)
    next(iterator)
    resumed = batches()
    resumed.load_state_dict(half.state_dict())
    assert torch.equal(next(iter(resumed)).targets, first[1])
    whole = next(iter(PixelBatches(items, 6, 48, shuffle=False)))
    assert whole.targets.shape == (6, 1, 48, 48)
    assert bool((whole.targets[:, :, 40:] == -100).all())  # the pictures have 40 rows
    red = pictures.classes.index("red")
    for row in range(6):
        sample = pictures.sample(row)
        things = sample.masks.map()
        mine = things[(things > 0)].long() - 1
        assert torch.equal(whole.targets[row, 0, :40][things > 0] == 2, sample.boxes.labels[mine] == red)


def test_classes_of_another_order_are_renumbered(tmp_path):
    write_class_masks(tmp_path / "set", 3)
    pictures = read_pictures(tmp_path / "set")
    swapped = items_of(pictures, ("2", "1"))
    plain = items_of(pictures, ("1", "2"))
    assert torch.equal(swapped.class_map(0) == 1, plain.class_map(0) == 2)
    assert torch.equal(swapped.sample(0, "RGB").class_map, swapped.class_map(0))


def test_things_of_files_become_pixels_of_one_class(tmp_path):
    write_things(tmp_path / "set", 2)
    items = items_of(read_pictures(tmp_path / "set", mask_values="instances"), ("object",))
    numbers = np.asarray(Image.open(tmp_path / "set" / "masks" / "000.png"))
    assert np.array_equal(items.class_map(0).numpy(), (numbers > 0).astype(int))
    assert len(items.things(0).boxes) == numbers.max()
