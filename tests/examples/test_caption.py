"""The example that writes sentences about pictures: its grammar, its pictures, and a short run."""

import numpy as np
import torch

from examples import caption
from examples.caption import Group


def test_each_word_of_a_sentence_is_checked():
    groups = (Group(2, "red", "circle", "left"), Group(1, "blue", "square", "right"))
    sentence = caption.sentence_of(groups)
    assert sentence == "two red circles on the left and one blue square on the right"
    assert caption.parsed(sentence) == groups
    assert all(caption.check(sentence, groups).values())
    for wrong, kinds in (
        (sentence.replace("two", "three"), {"number"}),
        (sentence.replace("blue", "green"), {"colour"}),
        (sentence.replace("circles", "triangles"), {"shape"}),
        (sentence.replace("on the left", "at the top"), {"place"}),
        (sentence.replace("circles", "circle"), {"grammar", *caption.KINDS}),
        (sentence.replace("on the left", "at the left"), {"grammar", *caption.KINDS}),
        ("two red circles on the left", {"grammar", *caption.KINDS}),
        ("", {"grammar", *caption.KINDS}),
    ):
        assert {kind for kind, right in caption.check(wrong, groups).items() if not right} == kinds


def test_pictures_show_what_their_sentences_say():
    pictures, groups = caption.scenes(60, seed=3)
    assert tuple(pictures.shape) == (60, 3, 48, 48)
    half = {"left": np.s_[:, :24], "right": np.s_[:, 24:], "top": np.s_[:24], "bottom": np.s_[24:]}
    for picture, told in zip(pictures.numpy(), groups, strict=True):
        assert caption.parsed(caption.sentence_of(told)) == told
        for group in told:
            colour = np.array(caption.COLOURS[group.colour])[:, None, None]
            where = (np.abs(picture - colour) < 0.01).all(0)
            assert where[half[group.place]].sum() == group.number * _area(group.shape)
    assert {len(one) for one in groups} == {1, 2}
    ids = caption.ids_of(groups)
    assert ids.lengths.tolist() == [len(caption.sentence_of(one).split(" ")) + 1 for one in groups]


def _area(shape):
    picture = np.zeros((3, 48, 48), np.float32)
    caption._draw(picture, Group(1, "red", shape, "left"), 0, 0)
    return int((picture[0] > 0).sum())


def test_a_short_run_learns_and_tells(capsys, tmp_path):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        shares = caption.main(32, 1, units=8, judged=6, out=tmp_path / "captions.png")
    finally:
        torch.set_num_threads(threads)
    assert set(shares) == {"grammar", *caption.KINDS, "sentence"}
    assert "of 6 new pictures are right" in capsys.readouterr().out
    assert (tmp_path / "captions.png").stat().st_size > 1000


def test_the_network_is_trained_to_the_sentences():
    torch.manual_seed(0)
    model = caption.network(8)
    pictures, groups = caption.scenes(4, seed=0)
    ids = caption.ids_of(groups)
    previous = torch.cat([torch.full((4, 1), caption.START), ids.values[:, :-1]], 1)
    assert tuple(model(caption.as_rows(pictures), previous).shape) == (*ids.values.shape, len(caption.WORDS))
    assert caption.as_rows(pictures).unflatten(2, (3, 48)).transpose(1, 2).equal(pictures)
