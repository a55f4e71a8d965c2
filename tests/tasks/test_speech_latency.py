"""When words appear in a stream, on a recogniser whose delay is known."""

import math

import pytest
import torch

import rnnkit
from rnnkit.data import train_tokenizer
from rnnkit.data.audio import FeatureNorm, Features, FeatureSettings
from rnnkit.errors import ConfigError, DataError
from rnnkit.tasks.speech import Transcriber
from rnnkit.tasks.speech_batches import SpeechFront
from rnnkit.tasks.speech_joined import Gaps, JoinedUtterances
from rnnkit.tasks.speech_latency import (
    Latency,
    _appearances,
    _matched,
    measure_latency,
    real_time_factor,
    stream_figures,
    streams_at_once,
)
from rnnkit.tasks.speech_settings import Decoding

RATE = 8000
DELAY = 4  # frames of 10 ms
QUIET = 0.03  # seconds at the end of a word


class Delayed(torch.nn.Module):
    """Tells "yes" where a loud frame ended DELAY frames before, and the blank elsewhere."""

    carry_problem, stride = None, 1

    def __init__(self, token):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.token = token

    def forward(self, x, lengths):
        return self.forward_chunk(x, None)[0], lengths

    def forward_chunk(self, x, state):
        before = torch.zeros(1, DELAY + 2, dtype=torch.bool) if state is None else state
        loud = torch.cat([before, x.mean(2) > -8], 1)
        told = loud[:, : x.shape[1]] & ~loud[:, 1 : x.shape[1] + 1]
        logits = torch.zeros(*told.shape, 6)
        logits[..., 0] = 5.0
        logits[..., self.token] = 10.0 * told
        return logits, loud[:, x.shape[1] :]

    def finish(self, state):
        return torch.zeros(1, 0, 6)


@pytest.fixture(scope="module")
def transcriber():
    front = SpeechFront(Features(FeatureSettings(rate=RATE, bands=8, window_ms=10.0)), FeatureNorm(8, "none"), tail=0.2)
    tokenizer = train_tokenizer("word", ["yes no"])
    return Transcriber(Delayed(tokenizer.encode("yes")[0]), front, tokenizer, Decoding(tail=0.2))


@pytest.fixture(scope="module")
def joined():
    noise = 0.5 * torch.randn(1600, generator=torch.Generator().manual_seed(0))
    word = torch.cat([noise, torch.zeros(round(QUIET * RATE))])  # so that gaps are silent, too
    return JoinedUtterances([word], ["yes"], None, 6, rate=RATE, lengths=(1, 3), gaps=Gaps(close=0.0, least=0.15))


def test_latency_is_the_delay_of_the_network(transcriber, joined):
    latency = measure_latency(transcriber, joined)
    assert latency.words == len(latency.each) == len(" ".join(joined.texts).split())
    # The delay, the frame that shows the end of the loud part, and what waits for the rest of a frame and of a piece.
    expected = 0.01 * (DELAY + 1) - QUIET
    assert all(expected <= one <= expected + 0.035 for one in latency.each)
    assert latency.median <= latency.worst_tenth <= max(latency.each)
    later = measure_latency(transcriber, joined, chunk=0.1, most=3)
    assert later.words == len(" ".join(joined.texts[:3]).split())
    assert later.median > latency.median


def test_a_word_appears_when_it_stays():
    partials = [(0.1, "tw"), (0.2, "two"), (0.3, "too"), (0.4, "two"), (0.5, "two one")]
    assert _appearances(partials, ["two", "one", "six"]) == [0.4, 0.5, None]
    assert _matched(["one", "two", "six"], ["one", "six", "two"]) in ([(0, 0), (1, 2)], [(0, 0), (2, 1)])
    assert math.isnan(Latency([], 3).median)


def test_streams_at_once_tell_the_same(transcriber, joined):
    sound = torch.cat([joined.waveform(0), joined.waveform(1)])
    assert real_time_factor(transcriber, sound) > 0
    assert streams_at_once(transcriber, sound, 4) > 0
    assert set(stream_figures(transcriber, joined)) == {"latency_median", "latency_worst_tenth", "real_time_factor"}
    with pytest.raises(DataError, match="no samples"):
        real_time_factor(transcriber, torch.zeros(0))


def test_what_cannot_be_measured_says_why(transcriber, joined):
    front = SpeechFront(transcriber.front.features, FeatureNorm(8, "utterance"))
    whole = Transcriber(transcriber.model, front, transcriber.tokenizer)
    assert stream_figures(whole, joined) == {}
    with pytest.raises(ConfigError, match="features.norm=running"):
        measure_latency(whole, joined)
    both = rnnkit.SpeechRecognizer(rnnkit.GRU(8, 4, bidirectional=True), 6)
    with pytest.raises(ConfigError, match="bidirectional"):
        real_time_factor(Transcriber(both, transcriber.front, transcriber.tokenizer), torch.zeros(800))
