"""Lines of text: pictures, made strings, batches, scores, and a reader that is stored with its network."""

import numpy as np
import pytest
import torch

import rnnkit
from rnnkit.data import train_tokenizer
from rnnkit.data.digit_strings import DigitStrings
from rnnkit.data.line_pictures import Line, LineAugment, prepare_line, read_line
from rnnkit.errors import ConfigError, DataError, ShapeError
from rnnkit.tasks.reading import Reader, load_reader
from rnnkit.tasks.reading_batches import HeldLines, LineBatches
from rnnkit.tasks.recognition_scores import score_characters


def network(tokens, stride=4):
    front = rnnkit.LineFront(32, (4, 4, 4, 4), 8, stride=stride)
    body = rnnkit.Beside(rnnkit.LSTM(8, 4, batch_first=True, bidirectional=True))
    return rnnkit.LineRecognizer(body, tokens, front=front).eval()


def test_dark_paper_and_light_paper_give_the_same_line():
    page = np.full((64, 100), 0.9)
    page[20:40, 30:60] = 0.1
    light, dark = prepare_line(page, 32), prepare_line(1 - page, 32)
    assert torch.allclose(light.ink, dark.ink, atol=1e-6)
    assert light.ink.shape == (32, 50)
    assert light.scale == 2.0
    assert light.ink.max() == 1
    assert not prepare_line(np.full((8, 8), 0.5), 32).ink.any()  # an empty page has no ink


@pytest.mark.parametrize("bad", [np.zeros((0, 3)), np.zeros(5), np.full((4, 4), np.nan)])
def test_what_is_no_picture_is_refused(bad):
    with pytest.raises(DataError, match="expected grey values"):
        prepare_line(bad, 32)


def test_a_transparent_picture_and_16_bits_are_read(tmp_path):
    from PIL import Image

    page = np.full((40, 80), 60000, np.uint16)
    page[10:30, 20:30] = 3000
    Image.fromarray(page).save(tmp_path / "wide.png")
    clear = np.zeros((40, 80, 4), np.uint8)
    clear[10:30, 20:30, 3] = 255
    Image.fromarray(clear, "RGBA").save(tmp_path / "clear.png")
    wide, clear = (read_line(tmp_path / name, 40).ink for name in ("wide.png", "clear.png"))
    assert torch.allclose(wide, clear, atol=0.02)


def test_strings_are_made_of_their_digits_and_made_again_by_the_seed():
    images = torch.zeros(10, 28, 28)
    for digit in range(10):
        images[digit, 4 + 2 * digit, 14] = 1  # the row of a point tells the digit
    strings = DigitStrings(images, torch.arange(10), 50, lengths=(1, 5), step=(12, 18), jitter=0, seed=3)
    for index in range(len(strings)):
        rows, columns = strings.picture(index).nonzero(as_tuple=True)
        found = "".join(str((int(row) - 4) // 2) for row in rows[columns.argsort()])
        assert found == strings.texts[index]
        steps = columns.sort().values.diff().tolist()
        assert all(12 <= step <= 18 for step in steps)
        assert strings.picture(index).shape == (28, strings.widths[index])
    first = list(strings.texts)
    strings.redraw(8, 0)
    assert list(strings.texts) != first
    strings.redraw(3, 0)
    assert list(strings.texts) == first
    short = DigitStrings(images, torch.arange(10), 50, lengths=(1, 5), growing=1)
    assert max(map(len, short.texts)) == 2
    short.redraw(0, 1)
    assert max(map(len, short.texts)) == 5
    with pytest.raises(DataError, match="expected"):
        DigitStrings(images[:, :20], torch.arange(10), 5)
    with pytest.raises(ConfigError, match="step"):
        DigitStrings(images, torch.arange(10), 5, step=(18, 12))


def test_each_digit_of_a_string_is_changed_on_its_own():
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(10, 28, 28, generator=generator)
    options = {"lengths": (2, 3), "step": (28, 28), "jitter": 0, "growing": 1}  # digits lie side by side
    plain = DigitStrings(images, torch.arange(10), 20, **options)
    changed = DigitStrings(images, torch.arange(10), 20, change=lambda x: x * torch.rand(len(x), 1, 1, 1), **options)
    assert torch.equal(changed.picture(3), plain.picture(3))  # not in the epochs of short strings
    factors = []
    for epoch in (1, 1, 2):
        before = torch.random.get_rng_state()
        for one in (plain, changed):
            one.redraw(epoch, epoch)
        assert torch.equal(torch.random.get_rng_state(), before)
        assert changed.texts == plain.texts
        pairs = [(plain.picture(row), changed.picture(row)) for row in range(20)]
        factors.append(torch.stack([two.sum() / one.sum() for one, two in pairs]))
    assert torch.equal(factors[0], factors[1])
    assert not torch.equal(factors[0], factors[2])
    first, second = (changed.picture(0)[:, at : at + 28] for at in np.flatnonzero(plain.picture(0).any(0))[0] + [0, 28])
    digits = [images[int(one)] for one in changed.texts[0][:2]]
    scales = [float((part / digit).median()) for part, digit in zip((first, second), digits, strict=True)]
    assert scales[0] != pytest.approx(scales[1], abs=1e-3)


def test_changed_lines_have_nothing_behind_their_widths():
    lines = torch.rand(3, 32, 60)
    augment = LineAugment(noise=0.2)
    found, widths = augment(lines, torch.tensor([60, 40, 5]), torch.Generator().manual_seed(1))
    assert found.shape[2] == widths.max()
    for row, width in enumerate(widths.tolist()):
        assert not found[row, :, width:].any()
    again, _ = augment(lines, torch.tensor([60, 40, 5]), torch.Generator().manual_seed(1))
    assert torch.equal(found, again)
    same, widths = LineAugment(shift=0, scale=0, slant=0, contrast=0, noise=0)(
        lines, torch.tensor([60, 60, 60]), torch.Generator()
    )
    assert torch.allclose(same, lines, atol=1e-5)
    with pytest.raises(ConfigError, match="scale"):
        LineAugment(scale=1.0)


def test_batches_go_on_where_they_were_left():
    held = HeldLines([torch.rand(32, 20 + 7 * n) for n in range(9)], [f"{n}" for n in range(9)])
    tokenizer = train_tokenizer("char", held.texts)
    batches = LineBatches(held, tokenizer, 2, augment=LineAugment(), seed=5)
    rest = iter(batches)
    next(rest), next(rest)
    state = batches.state_dict()
    expected = list(rest)
    again = LineBatches(held, tokenizer, 2, augment=LineAugment(), seed=5)
    again.load_state_dict(state)
    for one, other in zip(expected, again, strict=True):
        assert torch.equal(one.inputs, other.inputs)
        assert torch.equal(one.targets, other.targets)


@pytest.mark.parametrize("stride", [2, 4])
def test_nothing_behind_a_width_is_read(stride):
    model = network(9, stride)
    for width in (47, 48, 49, 50):
        x = torch.rand(2, 91, 32)
        x[1, width:] = float("nan")
        logits, lengths = model(x, torch.tensor([91, width]))
        alone, _ = model(x[1:, :width])
        assert lengths.tolist() == [-(-91 // stride), -(-width // stride)]
        assert torch.allclose(logits[1, : lengths[1]], alone[0], atol=1e-5)


def test_layers_of_lines_tell_what_they_expect():
    with pytest.raises(ShapeError, match="32"):
        network(9)(torch.rand(1, 90, 31))
    with pytest.raises(ConfigError, match="expected 2 or 4"):
        rnnkit.LineFront(32, stride=3)
    with pytest.raises(ConfigError, match="four numbers"):
        rnnkit.LineFront(32, (4, 4))
    with pytest.raises(ConfigError, match="odd"):
        rnnkit.ConvContext(4, 4, kernel_size=4)
    with pytest.raises(ConfigError, match="how many features"):
        rnnkit.Beside(torch.nn.ReLU())


def test_a_context_of_convolutions_reads_nothing_behind_a_length():
    context = rnnkit.ConvContext(4, 6, num_layers=3, kernel_size=3).eval()
    x = torch.randn(2, 9, 4)
    x[1, 5:] = float("nan")
    y, _, _ = context(x, torch.tensor([9, 5]))
    alone, _, _ = context(x[1:, :5])
    assert torch.allclose(y[1, :5], alone[0], atol=1e-6)
    assert not y[1, 5:].any()
    seen = torch.zeros(1, 15, 4, requires_grad=True)
    context(seen)[0][0, 7].sum().backward()
    assert (seen.grad.abs().sum((0, 2)) > 0).sum() <= context.receptive_field == 7


def test_layers_beside_go_on_from_a_state():
    layer = rnnkit.Beside(rnnkit.GRU(4, 3, batch_first=True))
    x = torch.randn(2, 6, 4)
    whole, _, state = layer(x)
    first, carried = layer.forward_chunk(x[:, :2])
    second, carried = layer.forward_chunk(x[:, 2:], carried)
    assert torch.allclose(torch.cat([first, second], 1), whole, atol=1e-6)
    assert torch.allclose(carried, state, atol=1e-6)
    assert torch.equal(whole[:, :, 3:], x)


def test_a_reader_is_stored_with_its_network(tmp_path):
    tokenizer = train_tokenizer("char", ["中文 ab"])
    reader = Reader(network(len(tokenizer)), 32, tokenizer)
    learner = rnnkit.Learner(reader.model, objective="ctc")
    learner.extra = reader.to_extra()
    learner.save(tmp_path)
    again = load_reader(tmp_path, device="cpu")
    lines = [Line(torch.rand(32, width), 1.5) for width in (80, 33, 51)]
    assert again(lines) == reader(lines)
    assert [again([line])[0].text for line in lines] == [one.text for one in reader(lines)]
    with pytest.raises(DataError, match=r"read_line\(path, 32\)"):
        reader([Line(torch.rand(16, 80), 1.0)])
    rnnkit.Learner(rnnkit.SequenceRegressor(rnnkit.GRU(1, 2))).save(tmp_path / "other")
    with pytest.raises(DataError, match="reads no lines of text"):
        load_reader(tmp_path / "other")


def test_characters_are_scored_and_confusions_counted():
    scores = score_characters(["ab c", "", "中文"], ["ab", "x", "中丈"])
    assert scores.figures["exact_match"] == 0
    assert scores.figures["cer"] == pytest.approx(4 / 6)
    assert scores.confusions["文", "丈"] == 1
    assert scores.confusions["␣", ""] == 1
    assert scores.confusions["", "x"] == 1
    with pytest.raises(DataError, match="expected as many"):
        score_characters(["a"], [])
