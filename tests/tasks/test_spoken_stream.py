"""Speech alone of a stream: what a detector hears is recognised as if it came alone, with times of the whole."""

import pytest
import torch

import rnnkit
from rnnkit.data import train_tokenizer
from rnnkit.data.audio import FeatureNorm, Features, FeatureSettings
from rnnkit.errors import DataError
from rnnkit.tasks.speech import Transcriber
from rnnkit.tasks.speech_batches import SpeechFront
from rnnkit.tasks.spoken_stream import SpokenStream
from rnnkit.tasks.voice_stream import VoiceEvent

RATE = 8000
SPEECH = [(1.0, 1.5), (3.0, 3.25), (5.5, None)]  # None: to the end
LATE = 0.3  # seconds after which a change is told


class Told:
    """A detector that hears speech at stated times, and tells it late."""

    def stream(self, *, rate):
        return ToldStream(rate)


class ToldStream:
    def __init__(self, rate):
        self.rate = rate
        self.reset()

    def reset(self):
        self.count = 0

    def push(self, samples):
        before, self.count = self.count, self.count + len(samples)
        events = [(time, kind) for one in SPEECH for time, kind in zip(one, ("start", "end"), strict=True) if time]
        told = [(time, kind) for time, kind in events if before < (time + LATE) * self.rate <= self.count]
        return [VoiceEvent(kind, time, time + LATE, 0.9) for time, kind in told]

    def flush(self):
        return []

    def state_dict(self):
        return {"count": self.count}

    def load_state_dict(self, state):
        self.count = state["count"]


@pytest.fixture(scope="module")
def transcriber():
    torch.manual_seed(1)
    front = SpeechFront(Features(FeatureSettings(rate=RATE, bands=8)), FeatureNorm(8, "none"), tail=0.1)
    model = rnnkit.SpeechRecognizer(rnnkit.GRU(8, 8), 6, front=rnnkit.CausalConv(8, 8))
    with torch.no_grad():  # so that tokens change with the sound
        model.head.weight.mul_(20)
        frames, lengths = front([0.3 * torch.randn(RATE)])
        model.head.bias -= model(frames, lengths=lengths)[0].mean((0, 1))
    return Transcriber(model, front, train_tokenizer("word", ["yes no"])).with_decoding(endpoint=0.0)


@pytest.fixture(scope="module")
def sound():
    return 0.3 * torch.randn(round(6.5 * RATE), generator=torch.Generator().manual_seed(2))


def heard(partials):
    return [(word.text, round(word.start, 6), round(word.end, 6)) for partial in partials for word in partial.words]


@pytest.mark.parametrize("chunk", [333, 800, 20000])
def test_what_is_speech_is_recognised_as_if_it_came_alone(transcriber, sound, chunk):
    stream = SpokenStream(transcriber, Told(), rate=RATE)
    partials = [partial for one in sound.split(chunk) for partial in stream.push(one)]
    partials += stream.flush()
    expected = []
    for begin, end in SPEECH:
        first = round((begin - 0.2) * RATE)
        last = len(sound)
        if end is not None:  # the recogniser hears on up to the chunk with which the end is told
            before = -(-round((end + LATE) * RATE) // chunk) * chunk - chunk
            last = max(round((end + 0.2) * RATE), before)
        recognizer = transcriber.stream(rate=RATE)
        found = [recognizer.push(sound[first:last]), recognizer.flush()]
        expected += [(text, round(start + first / RATE, 6)) for text, start, _ in heard(found)]
    assert len(expected) > len(SPEECH)
    assert [word[:2] for word in heard(partials)] == expected  # a word that is told at once has its end by then
    assert sum(partial.endpoint for partial in partials) == len(SPEECH)
    assert partials[-1].seconds == pytest.approx(6.5)


def test_a_stream_goes_on_from_its_state(transcriber, sound):
    whole = SpokenStream(transcriber, Told(), rate=RATE)
    expected = [partial for one in sound.split(800) for partial in whole.push(one)] + whole.flush()
    first, second = SpokenStream(transcriber, Told(), rate=RATE), SpokenStream(transcriber, Told(), rate=RATE)
    chunks = sound.split(800)
    found = [partial for one in chunks[:12] for partial in first.push(one)]
    second.load_state_dict(first.state_dict())
    found += [partial for one in chunks[12:] for partial in second.push(one)] + second.flush()
    assert heard(found) == heard(expected)
    with pytest.raises(DataError, match="stream of speech alone"):
        second.load_state_dict(transcriber.stream().state_dict())


def test_silence_is_not_recognised(transcriber, sound):
    stream = SpokenStream(transcriber, Told(), rate=RATE)
    [partial] = stream.push(sound[: RATE // 2])
    assert (partial.text, partial.words, partial.endpoint) == ("", [], False)
    [partial] = stream.flush()
    assert partial.endpoint
    assert partial.seconds == 0.5
