"""Batches of pictures: their sizes, what belongs to them, and going on in the middle of an epoch."""

import numpy as np
import pytest
import torch
from data.images.drawing import picture, write
from PIL import Image

from rnnkit.data.images import PictureAugment, PictureBatches, PictureSet, read_pictures
from rnnkit.errors import ConfigError, DataError
from rnnkit.types import Batch, Batches

SIZES = {"a": (40, 30), "b": (20, 20), "c": (10, 30), "d": (64, 16), "e": (31, 33)}


@pytest.fixture
def pictures(tmp_path):
    images, annotations = [], []
    for number, (name, (width, height)) in enumerate(SIZES.items()):
        picture(tmp_path / f"{name}.png", width, height)
        images.append({"id": number, "file_name": f"{name}.png", "width": width, "height": height})
        annotations.append(
            {"image_id": number, "category_id": 1, "bbox": [2, 4, 6, 8], "segmentation": [[2, 4, 8, 4, 8, 12, 2, 12]]}
        )
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "thing"}]}
    write(tmp_path / "coco.json", content)
    return read_pictures(tmp_path)


def test_letterbox(pictures):
    batches = PictureBatches(pictures, 2, size=(32, 48), shuffle=False)
    assert isinstance(batches, Batches)
    found = list(batches)
    assert [len(batch) for batch in found] == [2, 2, 1]
    assert batches.steps == 3
    first = found[0]
    assert first.images.shape == (2, 3, 32, 48)
    assert first.sizes.tolist() == [[32, 43], [32, 32]]
    assert first.ids == ("a", "b")
    assert first.images[1, :, :, :8].unique().tolist() == [0.5]
    for batch in found:
        for place, boxes in zip(batch.places, batch.boxes, strict=True):
            torch.testing.assert_close(place.to_picture(boxes.xyxy), torch.tensor([[2.0, 4, 8, 12]]))
        assert batch.mask_maps.shape == (len(batch), 32, 48)
        assert batch.mask_maps.flatten(1).amax(1).tolist() == [1] * len(batch)


def test_padding_to_the_largest_of_a_batch(pictures):
    batches = PictureBatches(pictures, 2, fit="pad", multiple=8, shuffle=False)
    assert [tuple(batch.images.shape[2:]) for batch in batches] == [(32, 40), (32, 64), (40, 32)]
    batch = next(iter(PictureBatches(pictures, 5, fit="pad", shuffle=False)))
    assert batch.sizes.tolist() == [[height, width] for width, height in SIZES.values()]
    assert torch.equal(batch.images[2, :, :30, :10], pictures.image(2))
    assert torch.equal(batch.boxes[0].xyxy, pictures[0].boxes.xyxy)
    with pytest.raises(DataError, match=r"the picture a of 30 × 40 arrived; expected at most 20 × 20"):
        list(PictureBatches(pictures, 1, size=(20, 20), fit="pad", shuffle=False))


def test_a_batch_for_a_network(pictures):
    def encode(batch):
        return Batch(batch.images, torch.tensor([len(boxes) for boxes in batch.boxes]))

    found = list(PictureBatches(pictures, 5, size=(16, 16), fit="stretch", mode="L", encode=encode))
    assert repr(found) == "[Batch(inputs [5, 1, 16, 16], targets [5])]"


def test_labels_and_class_maps(tmp_path):
    for name in ("cat/a", "dog/b"):
        picture(tmp_path / f"{name}.png")
    batch = next(iter(PictureBatches(read_pictures(tmp_path), 2, size=(8, 8), shuffle=False)))
    assert batch.labels.tolist() == [0, 1]
    assert batch.class_maps.unique().tolist() == [-100]
    assert batch.boxes == (None, None)
    (tmp_path / "set/masks").mkdir(parents=True)
    picture(tmp_path / "set/images/a.png")
    Image.fromarray(np.full((30, 40), 255, np.uint8)).save(tmp_path / "set/masks/a.png")
    batch = next(iter(PictureBatches(read_pictures(tmp_path / "set"), 2, size=(40, 40))))
    assert batch.class_maps.unique().tolist() == [-100, 1]
    assert batch.class_maps[0, 5:35].unique().tolist() == [1]


def values(batches):
    return [(batch.ids, batch.images, torch.cat([boxes.xyxy for boxes in batch.boxes])) for batch in batches]


def same(one, other):
    return len(one) == len(other) and all(
        a[0] == b[0] and torch.equal(a[1], b[1]) and torch.equal(a[2], b[2]) for a, b in zip(one, other, strict=True)
    )


def test_an_interrupted_epoch_goes_on_to_the_bit(pictures):
    def made(seed=0):
        augment = PictureAugment(flip=0.5, crop=(0.7, 1.0), noise=(0.0, 0.1), keep=0.0)
        return PictureBatches(pictures, 2, size=(24, 24), augment=augment, seed=seed)

    batches = made()
    epochs = [values(batches) for _ in range(3)]
    assert not same(epochs[0], epochs[1])
    batches = made()
    values(batches)
    iterator = iter(batches)
    next(iterator)
    state = batches.state_dict()
    other = made(seed=9)
    other.load_state_dict(state)
    assert same(values(other), epochs[1][1:])
    assert same(values(other), epochs[2])
    assert made().fingerprint() == made().fingerprint()
    assert made().fingerprint() != made(1).fingerprint()


def test_what_a_picture_is_changed_by_does_not_depend_on_the_batch_size(pictures):
    augment = PictureAugment(noise=(0.0, 0.1))
    found = [values(PictureBatches(pictures, size, size=(24, 24), augment=augment)) for size in (1, 5)]
    assert torch.equal(torch.cat([one[1] for one in found[0]]), found[1][0][1])


def test_smaller_pictures_in_memory(pictures):
    small = pictures.cached(10, longest=20)
    sample = small.sample(0)
    assert sample.image.shape == (3, 15, 20)
    assert sample.boxes.xyxy.tolist() == [[1, 2, 4, 6]]
    assert sample.masks.boxes().tolist() == [[1, 2, 4, 6]]
    torch.testing.assert_close(sample.image.mean(), pictures.image(0).mean(), atol=5e-3, rtol=0)
    assert torch.equal(small.image(1), pictures.image(1))
    batch = next(iter(PictureBatches(small, 1, size=(30, 40), shuffle=False)))
    assert batch.boxes[0].xyxy.tolist() == [[2, 4, 8, 12]]
    assert batch.places[0].to_picture(batch.boxes[0].xyxy).tolist() == [[2, 4, 8, 12]]


def test_the_cache_keeps_no_more_than_it_may(pictures):
    small = pictures.cached(0.005)
    for index in range(5):
        small.image(index)
    assert small.cache._bytes <= 5000
    assert len(small.cache._kept) >= 2


def test_what_is_refused(pictures):
    for options, problem in [
        ({}, "size=None arrived; expected"),
        ({"size": 32}, "size=32 arrived; expected"),
        ({"size": (0, 5)}, "size=0"),
        ({"size": (5, 5), "fit": "crop"}, "fit='crop'"),
        ({"size": (5, 5), "mode": "HSV"}, "mode='HSV'"),
        ({"fit": "pad", "multiple": 0}, "multiple=0"),
    ]:
        with pytest.raises(ConfigError, match=problem):
            PictureBatches(pictures, 2, **options)
    with pytest.raises(ConfigError, match="batch_size"):
        PictureBatches(pictures, 0, size=(5, 5))
    with pytest.raises(DataError, match="no pictures arrived"):
        PictureBatches(PictureSet(()), 2, size=(5, 5))


def test_a_file_that_is_damaged_meanwhile_is_named(pictures):
    (file,) = (one.path for one in pictures if one.id == "b")
    with open(file, "r+b") as stream:
        stream.truncate(60)
    with pytest.raises(DataError, match=r"b.png: cannot be read as an image"):
        list(PictureBatches(pictures, 2, size=(8, 8)))
