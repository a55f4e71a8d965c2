"""What was found in pictures, in COCO's form and back, and how good it is beside the official counting."""

import json
import math

import numpy as np
import pytest
import torch
from faster_coco_eval.core import mask as coco_masks

from rnnkit.data.images import Boxes, Masks, read_pictures
from rnnkit.errors import DataError, ShapeError
from rnnkit.tasks.found_scores import NOT_JUDGED, WRONG, match_things, score_found
from rnnkit.tasks.found_things import FoundThings, TrueThings, coco_dataset, from_coco, true_things

SIZE = (60, 80)


def discs(generator, count):
    """A stack of discs, which may overlap."""
    rows, columns = torch.meshgrid(torch.arange(SIZE[0]), torch.arange(SIZE[1]), indexing="ij")
    places = torch.rand(count, 3, generator=generator) * torch.tensor([SIZE[0], SIZE[1], 10.0])
    stack = [((rows - y) ** 2 + (columns - x) ** 2) <= (r + 2) ** 2 for y, x, r in places.tolist()]
    return torch.stack(stack)


def test_coco_and_back():
    masks = Masks.of_stack(discs(torch.Generator().manual_seed(0), 5))
    found = FoundThings.of_masks(masks, [0, 1, 2, 1, 0], [0.5, 0.25, 0.125, 1.0, 0.0])
    entries = json.loads(json.dumps(found.to_coco("a", ("x", "y", "z"))))
    again = from_coco(entries, SIZE)
    assert torch.equal(again.boxes, found.boxes)
    assert torch.equal(again.scores, found.scores)
    assert torch.equal(again.labels, found.labels)
    assert torch.equal(again.masks.stack(), masks.stack())
    assert entries[1]["category"] == "y"
    for entry, mask in zip(entries, masks.stack().numpy(), strict=True):
        packed = coco_masks.encode(np.asfortranarray(mask.astype(np.uint8)))
        assert entry["segmentation"]["counts"] == packed["counts"].decode()


def test_a_true_data_set_is_read_back(tmp_path):
    from PIL import Image

    Image.new("RGB", (80, 60)).save(tmp_path / "a.png")
    stack = discs(torch.Generator().manual_seed(3), 3)
    masks = Masks.of_stack(stack)
    boxes = Boxes(masks.boxes(), torch.tensor([0, 1, 1]), torch.tensor([False, True, False]))
    dataset = coco_dataset([TrueThings(SIZE, boxes, masks)], ("x", "y"), names=["a.png"])
    (tmp_path / "found.json").write_text(json.dumps(dataset))
    pictures = read_pictures(tmp_path)
    [again] = true_things(pictures, masks=True)
    assert torch.equal(again.boxes.xyxy, boxes.xyxy)
    assert again.boxes.crowd.tolist() == [False, True, False]
    assert torch.equal(again.masks.stack(), stack)


@pytest.mark.parametrize("masks", [False, True])
def test_matches_agree_with_the_counting(masks):
    """Average precision by the matches of each picture is that of faster-coco-eval, with things that are not judged."""
    generator = torch.Generator().manual_seed(1)
    true, found = [], []
    for _ in range(6):
        stack = discs(generator, 6)
        crowd = torch.rand(6, generator=generator) < 0.2
        labels = torch.randint(0, 2, (6,), generator=generator)
        own = Masks.of_stack(stack)
        true.append(TrueThings(SIZE, Boxes(own.boxes(), labels, crowd), own))
        shifted = torch.roll(stack, (1, -1), (1, 2))
        told = Masks.of_stack(torch.cat([shifted, discs(generator, 3)]))
        scores = torch.rand(9, generator=generator)
        more = torch.randint(0, 2, (3,), generator=generator)
        found.append(FoundThings.of_masks(told, torch.cat([labels, more]), scores))
    scores = score_found(true, found, ("x", "y"), masks=masks)
    for number, one in enumerate(scores.classes):
        rows = []
        for own, other in zip(true, found, strict=True):
            matched = match_things(own, other, masks=masks).of_found
            rows += [
                (score, place >= 0)
                for score, place, label in zip(
                    other.scores.tolist(), matched.tolist(), other.labels.tolist(), strict=True
                )
                if label == number and place != NOT_JUDGED
            ]
        right = np.array([hit for _, hit in sorted(rows, key=lambda row: -row[0])])
        recall, precision = right.cumsum() / one.count, right.cumsum() / np.arange(1, len(right) + 1)
        best = [max(precision[recall >= at - 1e-12], default=0.0) for at in np.linspace(0, 1, 101)]
        assert one.ap50 == pytest.approx(np.mean(best), abs=1e-6)
        assert np.allclose(one.curve.precision, best, atol=1e-6)
    assert scores.figures["map50"] == pytest.approx(np.mean([one.ap50 for one in scores.classes]))


def test_more_than_a_hundred_things_are_judged():
    boxes = [[4 * column, 4 * row, 4 * column + 3, 4 * row + 3] for row in range(15) for column in range(20)]
    true = [TrueThings(SIZE, Boxes.of(boxes))]
    assert score_found(true, [FoundThings.of(SIZE, boxes)], ("x",)).figures["map"] == pytest.approx(1)


def test_nothing_found_and_nothing_there():
    some = [TrueThings(SIZE, Boxes.of([[0, 0, 9, 9]]))]
    none = [FoundThings.of(SIZE, [])]
    scores = score_found(some, none, ("x", "y"))
    assert scores.figures == {"map50": 0, "map75": 0, "map": 0}
    assert math.isnan(scores.classes[1].ap)
    assert scores.classes[0].curve.precision.max() == 0
    assert match_things(some[0], none[0]).missed.tolist() == [True]
    nothing = [TrueThings(SIZE, Boxes.of([]))]
    assert math.isnan(score_found(nothing, none, ("x",)).figures["map50"])
    wrong = FoundThings.of(SIZE, [[0, 0, 9, 9]])
    assert math.isnan(score_found(nothing, [wrong], ("x",)).figures["map50"])
    assert match_things(nothing[0], wrong).of_found.tolist() == [WRONG]


def test_what_is_found_in_a_crowd_is_not_judged():
    true = TrueThings(SIZE, Boxes.of([[0, 0, 40, 40], [50, 0, 60, 10]], crowd=[True, False]))
    found = FoundThings.of(SIZE, [[2, 2, 8, 8], [10, 10, 20, 20], [50, 0, 60, 10]], scores=[0.9, 0.8, 0.5])
    matches = match_things(true, found)
    assert matches.of_found.tolist() == [NOT_JUDGED, NOT_JUDGED, 1]
    assert matches.missed.tolist() == [False, False]
    assert score_found([true], [found], ("x",)).figures["map"] == pytest.approx(1)


def test_scores_are_compared_as_they_are():
    true = [TrueThings(SIZE, Boxes.of([[0, 0, 9, 9]]))]
    found = [FoundThings.of(SIZE, [[0, 0, 9, 9], [30, 30, 40, 40]], scores=[0.500002, 0.500001])]
    assert score_found(true, found, ("x",)).figures["map"] == pytest.approx(1)


def test_least_scores():
    found = FoundThings.of(SIZE, [[0, 0, 9, 9]] * 4, [0, 1, 0, 1], [0.9, 0.6, 0.3, 0.5])
    assert found.above(0.5).scores.tolist() == pytest.approx([0.9, 0.6, 0.5])
    assert found.above([0.2, 0.55]).scores.tolist() == pytest.approx([0.9, 0.6, 0.3])
    assert found.surest_first().labels.tolist() == [0, 1, 1, 0]
    assert found.select([]).counts(2) == [0, 0]


def test_errors():
    with pytest.raises(ShapeError, match=r"labels has shape \[1\]|one a box"):
        FoundThings.of(SIZE, [[0, 0, 1, 1]] * 2, [0], [1, 1])
    with pytest.raises(ShapeError, match="expected one a box, of the picture's size"):
        FoundThings.of((4, 4), [[0, 0, 1, 1]], masks=Masks(torch.zeros(3, 3, dtype=torch.int32), 1))
    true = TrueThings(SIZE, Boxes.of([[0, 0, 9, 9]]))
    with pytest.raises(DataError, match="masks=False"):
        match_things(true, FoundThings.of(SIZE, []), masks=True)
    with pytest.raises(DataError, match="expected as many"):
        score_found([true], [], ("x",))
    with pytest.raises(DataError, match="'score' is missing"):
        from_coco([{"category_id": 1, "bbox": [0, 0, 1, 1]}], SIZE)
