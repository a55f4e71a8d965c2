"""Detectors of runs: pictures of any size, boxes in their own pixels, calibrated scores, counts."""

import pytest
import torch
from tolerances import assert_close

import rnnkit
from rnnkit.data.images import Boxes
from rnnkit.errors import ConfigError, DataError, ShapeError
from rnnkit.layers.picture_front import PictureFront
from rnnkit.tasks.detection import Detector, detections_of_centres, load_detector
from rnnkit.tasks.detection_objectives import CentreObjective
from rnnkit.tasks.detection_scores import calibrate, judged_scores, score_detections
from rnnkit.tasks.found_scores import score_found
from rnnkit.tasks.found_things import FoundThings, TrueThings
from rnnkit.tasks.score_calibration import Calibration, calibration_error, count_thresholds, fit_calibration


class Bright(torch.nn.Module):
    """Tells a box of 8 × 8 pixels at each bright place of a picture, whose stride is 8."""

    stride, multiple = 8, 16

    def __init__(self):
        super().__init__()
        self.nothing = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x):
        light = torch.nn.functional.avg_pool2d(x.mean(1, keepdim=True), 8)
        scores = torch.where(light > 0.6, 4 + light, torch.full_like(light, -9.0))
        sides = torch.full((len(x), 4, *light.shape[2:]), 0.5).log()
        return torch.cat([scores, sides], 1)


@pytest.mark.parametrize(("height", "width"), [(32, 48), (48, 32), (64, 96), (16, 24)])
def test_boxes_are_in_pixels_of_the_picture(height, width):
    """A white square is found at its place, whatever the picture's size and the padding."""
    factor = max(height, width) / 48
    image = torch.zeros(3, height, width)
    left, top, side = round(16 * factor), round(8 * factor), round(8 * factor)
    image[:, top : top + side, left : left + side] = 1.0
    [found] = Detector(Bright(), ("spot",), size=48)([image])
    assert found.size == (height, width)
    assert found.boxes.tolist() == [pytest.approx([left, top, left + side, top + side], abs=0.5)]


def test_a_large_file_is_found_in_its_own_pixels(tmp_path):
    from PIL import Image

    page = torch.zeros(3, 64, 96)
    page[:, 16:32, 32:48] = 1.0
    Image.fromarray((255 * page).byte().permute(1, 2, 0).numpy()).save(tmp_path / "page.png")
    detector = Detector(Bright(), ("spot",), size=48)
    found = detector.read(tmp_path / "page.png")
    assert found.size == (64, 96)
    assert found.boxes.tolist() == [pytest.approx([32, 16, 48, 32], abs=0.5)]
    [other] = detector([page])
    assert_close(found.boxes, other.boxes)


def test_the_mean_over_mirror_images_mirrors_with_the_picture():
    torch.manual_seed(0)
    front, deep = PictureFront(3, (4,), (4,), norm="batch"), PictureFront(4, (6,), (2,))
    model = rnnkit.CentreDetector(front, deep, 2, rnnkit.ReNet(6, 3))
    with torch.no_grad():
        model.head.weight.normal_()
        model.head.bias[:2] = 0.0
    image = torch.rand(3, 32, 48)
    plain, both = Detector(model, ("a", "b"), 48), Detector(model, ("a", "b"), 48, flips=True)
    [found], [other] = both([image]), both([image.flip(2)])
    assert len(found) > 3
    mirrored = torch.stack([48 - other.boxes[:, 2], other.boxes[:, 1], 48 - other.boxes[:, 0], other.boxes[:, 3]], 1)
    places, others = (torch.tensor(sorted(one.tolist())) for one in (found.boxes, mirrored))
    torch.testing.assert_close(places, others, rtol=1e-4, atol=1e-3)
    assert not torch.allclose(plain([image])[0].scores[:3], found.scores[:3])
    again = Detector.from_extra(model, both.to_extra())
    assert again.flips
    assert again.with_least(0.1).flips
    assert not again.with_flips(False).flips
    decoder = rnnkit.SetDecoder(rnnkit.LSTM(4, 4), steps=2, classes=2)
    with pytest.raises(ConfigError, match="flips=False"):
        Detector(rnnkit.CellDetector(front, decoder), ("a", "b"), 48, flips=True)


def test_pictures_of_several_sizes_keep_their_order():
    images = [torch.zeros(3, 32, 48), torch.zeros(3, 48, 48), torch.zeros(3, 32, 48)]
    images[2][:, :8, :8] = 1.0
    found = Detector(Bright(), ("spot",), size=48)(images)
    assert [len(one) for one in found] == [0, 0, 1]
    assert Detector(Bright(), ("spot",), size=48)([]) == []
    with pytest.raises(ShapeError, match=r"picture 0 has shape \[1, 32, 48\]; expected \[3, H, W\]"):
        Detector(Bright(), ("spot",), size=48)([torch.zeros(1, 32, 48)])


def test_equal_neighbours_and_many_things():
    output = torch.full((1, 6, 20, 20), -9.0)
    output[0, 0, ::2, ::2], output[0, 1, 1::2, 1::2] = 2.0, 1.0
    [(boxes, labels, scores)] = detections_of_centres(output, 4)
    assert len(boxes) == 200
    assert labels.bincount().tolist() == [100, 100]
    assert scores[0] == scores.max()


def test_a_detector_is_saved_and_loaded(tmp_path):
    front, deep = PictureFront(3, (4, 8), (2, 2), blocks=0), PictureFront(8, (8,), (2,), blocks=0)
    model = rnnkit.CentreDetector(front, deep, 2, features=8)
    detector = Detector(model, ("cat", "dog"), 64, Calibration((1.5, 1.0), (0.25, 0.0)), (0.3, 0.4))
    learner = rnnkit.Learner(model, objective=CentreObjective(model.stride))
    learner.extra = detector.to_extra()
    learner.save(tmp_path / "run")
    again = load_detector(tmp_path / "run", device="cpu")
    assert (again.classes, again.size, again.least) == (("cat", "dog"), 64, (0.3, 0.4))
    assert again.calibration == detector.calibration
    image = torch.rand(3, 50, 40)
    assert torch.equal(again([image])[0].boxes, detector([image])[0].boxes)
    assert again.with_least(0.9).least == (0.9, 0.9)
    assert again.with_least(None) is again
    rnnkit.Learner(rnnkit.SequenceClassifier(rnnkit.GRU(2, 3), 2)).save(tmp_path / "other")
    with pytest.raises(DataError, match="finds no things in pictures; expected a run of `rnnkit train detect`"):
        load_detector(tmp_path / "other")


# Calibration and counts


def test_calibration_makes_scores_mean_what_they_say():
    generator = torch.Generator().manual_seed(0)
    scores, labels = torch.rand(2000, generator=generator), torch.randint(0, 2, (2000,), generator=generator)
    chance = torch.where(labels == 0, scores**3, scores**0.5)
    right = torch.rand(2000, generator=generator) < chance
    calibration = fit_calibration(scores, labels, right, 3)
    better = calibration.apply(scores, labels)
    for number in (0, 1):
        own = labels == number
        assert calibration_error(scores[own], right[own]) > 0.1
        assert calibration_error(better[own], right[own]) < 0.06
        assert torch.equal(better[own].argsort(), scores[own].argsort())
    assert calibration.slopes[2] == pytest.approx(1)  # nothing was there
    assert calibration_error(torch.zeros(0), torch.zeros(0, dtype=torch.bool)) == 0


@pytest.mark.parametrize("right", [True, False])
def test_calibration_of_few_things_that_are_all_right_or_all_wrong_is_mild(right):
    scores = torch.tensor([0.7, 0.8, 0.9])
    found = fit_calibration(scores, torch.zeros(3, dtype=torch.int64), torch.full((3,), right), 1)
    better = found.apply(scores, torch.zeros(3, dtype=torch.int64))
    assert (better > scores).all() == right
    assert ((better > 0.2) & (better < 0.99)).all()


def test_thresholds_of_counts():
    scores = [torch.tensor([0.9, 0.8, 0.3]), torch.tensor([0.7, 0.2]), torch.zeros(0)]
    labels = [torch.tensor([0, 0, 1]), torch.tensor([0, 0]), torch.zeros(0, dtype=torch.int64)]
    first, second, third = count_thresholds(scores, labels, [[2, 1, 0], [1, 0, 0], [0, 0, 0]], 3)
    assert 0.2 < first < 0.7
    assert second < 0.3
    assert third == 0.5
    assert count_thresholds([], [], [], 1) == [0.5]


def test_thresholds_of_counts_are_means_over_samples_of_pictures():
    """All pictures together allow 0.6 to 0.65; samples without the first or the second one allow more."""
    scores = [torch.tensor([0.9, 0.6]), torch.tensor([0.65])] + [torch.tensor([0.9, 0.3])] * 9
    labels = [torch.zeros(len(one), dtype=torch.int64) for one in scores]
    [found] = count_thresholds(scores, labels, [[1]] * 11, 1)
    assert 0.5 < found < 0.75
    assert found != 0.625
    assert count_thresholds(scores, labels, [[1]] * 11, 1) == [found]


def test_scores_of_a_detector():
    boxes = Boxes.of([[0, 0, 20, 20], [40, 40, 50, 50], [60, 0, 79, 30]], [0, 1, 0], [False, False, True])
    true = [TrueThings((60, 80), boxes), TrueThings((60, 80), Boxes.of([]))]
    found = [
        FoundThings.of((60, 80), [[0, 0, 20, 20], [40, 40, 51, 50], [62, 2, 70, 10]], [0, 0, 0], [0.9, 0.8, 0.7]),
        FoundThings.of((60, 80), []),
    ]
    scores = score_detections(true, found, ("cat", "dog", "hen"), [0.5, 0.5, 0.5])
    cat, dog, hen = scores.counts
    assert (cat.true, cat.told, cat.mean_error) == (1, 2, 0.5)  # what is found in the crowd is not counted
    assert (dog.true, dog.told, dog.recall, dog.mean_error) == (1, 0, 0, 0.5)
    assert (hen.precision, hen.recall, hen.exact) == (1, 1, 1)
    assert scores.errors == (2, 0)
    figures = scores.figures
    assert {"map50", "ap50_cat", "ap50_dog", "count_error_hen", "ece"} <= set(figures)
    assert "ap50_hen" not in figures
    assert figures["map50"] == score_found(true, found, ("cat", "dog", "hen")).figures["map50"]
    nothing = score_detections(true[1:], found[1:], ("cat",), [0.5])
    assert "map50" not in nothing.figures
    assert len(judged_scores(true, found)[0]) == 2
    assert calibrate(true[1:], found[1:], 1)[1] == [0.5]
