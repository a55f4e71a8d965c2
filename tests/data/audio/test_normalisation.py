"""Mean 0 and variance 1: by utterance, running, by the training set; padding counts nowhere; streams."""

import pytest
import torch

from rnnkit.data.audio import FeatureNorm
from rnnkit.errors import ConfigError, DataError, ShapeError


@pytest.fixture
def training():
    generator = torch.Generator().manual_seed(0)
    scale, shift = torch.tensor([1.0, 10.0, 0.1]), torch.tensor([-8.0, 100.0, 0.0])
    return [torch.randn(count, 3, generator=generator) * scale + shift for count in (50, 7, 200, 0)]


def running(frames, norm):
    """The equations of the class, frame by frame."""
    mean0, std0 = norm.mean.double(), norm.std.double()
    weight, sums, squares = norm.prior, torch.zeros(3).double(), norm.prior * std0**2
    made = []
    for frame in frames.double() - mean0:
        weight, sums, squares = (
            norm.decay * weight + 1,
            norm.decay * sums + frame,
            norm.decay * squares + frame**2,
        )
        mean = sums / weight
        made.append((frame - mean) / (squares / weight - mean**2).sqrt())
    return torch.stack(made).float()


def test_utterance():
    frames = torch.randn(2, 30, 3) * 5 + 2
    made = FeatureNorm(3)(frames)
    torch.testing.assert_close(made.mean(1), torch.zeros(2, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(made.std(1, correction=0), torch.ones(2, 3))
    assert torch.equal(FeatureNorm(3)(torch.ones(5, 3)), torch.zeros(5, 3))  # what never changes
    assert FeatureNorm(3)(torch.zeros(0, 3)).shape == (0, 3)


def test_training(training):
    norm = FeatureNorm(3, "training").fit(training)
    whole = torch.cat(training)
    torch.testing.assert_close(norm.mean, whole.mean(0))
    torch.testing.assert_close(norm.std, whole.std(0, correction=0))
    made = norm(whole)
    torch.testing.assert_close(made.mean(0), torch.zeros(3), atol=1e-4, rtol=0)
    assert torch.equal(norm.fit(iter(training)).mean, norm.mean)


def test_speaker(training):
    norm = FeatureNorm(3, "speaker", prior=1e-9).fit(training)
    scale, shift = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.0, 5.0, 1.0])
    own = [torch.randn(30, 3) * scale + shift for _ in range(4)]
    whole, heard = torch.cat(own), norm.hear(own)
    [made] = norm(own[0][None], heard=[heard])
    plain = (own[0] - whole.mean(0)) / whole.std(0, correction=0)
    torch.testing.assert_close(made, plain - plain.mean(), atol=1e-4, rtol=1e-4)
    louder = norm(own[0][None] + 2 * whole.std(0, correction=0), heard=[heard])[0]
    torch.testing.assert_close(louder, made, atol=1e-4, rtol=1e-4)
    # Without a word of the speaker, the training set's values stand there.
    none = FeatureNorm(3, "speaker").fit(training)
    [made] = none(own[0][None], heard=[none.hear([])])
    plain = (own[0] - none.mean) / none.std
    torch.testing.assert_close(made, plain - plain.mean(), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(none(own[0]), none(own[0][None], heard=[none.hear(own[:1])])[0])
    assert norm(torch.zeros(0, 3)).shape == (0, 3)
    with pytest.raises(ShapeError, match=r"heard has shape \[2, 3\]; expected one of 3 features for each of 1 rows"):
        norm(own[0][None], heard=[heard, heard])


@pytest.mark.parametrize("decay", [1.0, 0.98])
def test_running(training, decay):
    norm = FeatureNorm(3, "running", decay=decay, prior=20).fit(training)
    frames = torch.cat(training)  # longer than a block
    torch.testing.assert_close(norm(frames), running(frames, norm), atol=1e-5, rtol=1e-4)


def test_running_is_causal(training):
    norm = FeatureNorm(3, "running").fit(training)
    frames = torch.cat(training)
    changed = frames.clone()
    changed[100:] = 1e4
    torch.testing.assert_close(norm(frames)[:100], norm(changed)[:100], atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["running", "training", "none"])
@pytest.mark.parametrize("size", [1, 33])
def test_streams_are_the_whole(training, kind, size):
    norm = FeatureNorm(3, kind).fit(training)
    frames = torch.cat(training)
    stream, other = norm.stream(), norm.stream()
    begun = [stream.push(piece) for piece in frames[:99].split(size)]
    other.load_state_dict(stream.state_dict())
    made = torch.cat(begun + [other.push(piece) for piece in frames[99:].split(size)])
    torch.testing.assert_close(made, norm(frames), atol=1e-5, rtol=1e-5)
    assert other.push(frames[:0]).shape == (0, 3)


@pytest.mark.parametrize("kind", ["utterance", "speaker", "running", "training", "none"])
def test_padding_counts_nowhere(training, kind):
    norm = FeatureNorm(3, kind).fit(training)
    frames = torch.randn(3, 20, 3)
    lengths = torch.tensor([20, 6, 0])
    frames[1, 6:], frames[2] = float("nan"), float("inf")
    made = norm(frames, lengths)
    assert torch.equal(made[1, 6:], torch.zeros(14, 3))
    assert torch.equal(made[2], torch.zeros(20, 3))
    torch.testing.assert_close(made[1, :6], norm(frames[1, :6]), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(made[0], norm(frames[0]), atol=1e-5, rtol=1e-5)


def test_values_travel(training):
    norm = FeatureNorm(3, "running", prior=50, decay=0.99).fit(training)
    other = FeatureNorm(**norm.to_json())
    assert not other.fitted
    other.load_state_dict(norm.state_dict())
    assert other.fitted
    frames = torch.randn(10, 3)
    assert torch.equal(other(frames), norm(frames))


def test_errors(training):
    with pytest.raises(ConfigError, match=r"kind 'training' needs .* call fit"):
        FeatureNorm(3, "training")(torch.zeros(4, 3))
    with pytest.raises(ConfigError, match="needs"):
        FeatureNorm(3, "running").stream()
    with pytest.raises(ConfigError, match="needs the whole utterance; for streams type kind='running'"):
        FeatureNorm(3).stream()
    with pytest.raises(ConfigError, match="'speaker' needs the whole utterance"):
        FeatureNorm(3, "speaker").fit(training).stream()
    with pytest.raises(ShapeError, match=r"shape \[4, 2\]; expected \[T, 3\] or \[B, T, 3\]"):
        FeatureNorm(3)(torch.zeros(4, 2))
    with pytest.raises(ShapeError, match=r"expected \[T, 3\]"):
        FeatureNorm(3).fit([torch.zeros(4, 2)])
    with pytest.raises(DataError, match="no frame arrived"):
        FeatureNorm(3).fit([])
    with pytest.raises(DataError, match="features 1 hold NaN"):
        FeatureNorm(3).fit([torch.zeros(2, 3), torch.full((2, 3), float("nan"))])
    for name, value in (("size", 0), ("kind", "batch"), ("decay", 1.5), ("prior", 0)):
        with pytest.raises(ConfigError, match=name):
            FeatureNorm(**{"size": 3, name: value})
