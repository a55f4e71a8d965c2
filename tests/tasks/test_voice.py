"""Voice activity: segments, streams, figures, pieces for recognisers."""

import copy

import pytest
import torch

import rnnkit
from rnnkit.data.audio import FeatureNorm, Features, FeatureSettings
from rnnkit.data.audio.speech_segments import Segment
from rnnkit.errors import ConfigError, DataError
from rnnkit.tasks.speech import Transcript
from rnnkit.tasks.speech_batches import SpeechFront
from rnnkit.tasks.speech_long import joined, spoken_pieces, transcribe_long
from rnnkit.tasks.speech_settings import Decoding
from rnnkit.tasks.speech_words import Word
from rnnkit.tasks.voice_activity import VoiceDetector
from rnnkit.tasks.voice_scores import VoiceTruth, best_threshold, frame_auc, score_frames, score_segments
from rnnkit.tasks.voice_settings import Segmenting
from rnnkit.tasks.voice_stream import Segmenter, VoiceSegment, segments_of

RATE = 8000


@pytest.fixture(scope="module")
def detector():
    """A network without training; its threshold is the middle of what it puts out, so that segments come and go."""
    torch.manual_seed(0)
    front = SpeechFront(Features(FeatureSettings(rate=RATE, bands=8)), FeatureNorm(8, "running"), tail=0.0)
    front.norm.fit([front.features(sound())])
    model = rnnkit.SequenceTagger(rnnkit.GRU(8, 6, batch_first=True), outputs=1, activation="sigmoid")
    made = VoiceDetector(model, front)
    middle = float(made.probabilities(sound()).median())
    return made.with_settings(threshold=middle, min_speech=0.02, min_silence=0.05, release=0.98)


def sound(seconds=4.0):
    generator = torch.Generator().manual_seed(5)
    count = round(seconds * RATE)
    swing = (torch.sin(torch.arange(count) / RATE * 9) > 0).float()
    return 0.1 * torch.randn(count, generator=generator) * (0.02 + swing)


def segments(values, **settings):
    made = Segmenter(Segmenting(**({"threshold": 0.5, "release": 0.6} | settings)), hop=0.01, window=0.02)
    return [(round(one.start, 3), round(one.end, 3)) for one in segments_of(made.push(values) + made.flush(9.0))]


def test_segments_begin_and_end_as_the_settings_say():
    values = [0.1] * 10 + [0.9] * 10 + [0.1] * 4 + [0.4] * 2 + [0.1] * 20
    assert segments(values, min_speech=0.03, min_silence=0.05) == [(0.105, 0.265)]  # 0.4 is above the release
    assert segments(values, min_speech=0.03, min_silence=0.03) == [(0.105, 0.205)]
    assert segments([0.9, 0.9, 0.1] * 9, min_speech=0.03) == []
    assert segments([0.1] * 5 + [0.9] * 9, min_speech=0.03) == [(0.055, 9.0)]
    with pytest.raises(ConfigError, match="threshold"):
        Segmenter(Segmenting(), hop=0.01, window=0.02)


def same(found, others):
    assert len(found) == len(others)
    for one, other in zip(found, others, strict=True):
        assert one == pytest.approx(other, abs=1e-4)


@pytest.mark.parametrize("chunk", [1, 777, 8000, 40000])
def test_chunks_give_the_events_of_the_whole(detector, chunk):
    samples = sound() if chunk > 1 else sound(0.8)
    stream = detector.stream()
    events = [event for one in samples.split(chunk) for event in stream.push(one)] + stream.flush()
    whole = detector(samples)
    found = segments_of(events)
    assert len(found) == len(whole) > (0 if chunk == 1 else 3)
    same(found, whole)
    assert all(event.told >= event.time - 0.03 for event in events)
    again = [event for one in samples.split(4000) for event in stream.push(one)] + stream.flush()
    same(segments_of(again), found)


def test_a_stream_goes_on_from_its_state_at_another_rate(detector):
    samples = sound()
    first = detector.stream(rate=11025)
    begun = first.push(samples[:15000])
    state = copy.deepcopy(first.state_dict())
    other = detector.stream(rate=11025)
    other.load_state_dict(state)
    assert other.speaking == first.speaking
    assert other.seconds == first.seconds
    rest = other.push(samples[15000:]) + other.flush()
    assert begun + rest == begun + first.push(samples[15000:]) + first.flush()
    with pytest.raises(ConfigError, match="rate=11025"):
        detector.stream().load_state_dict(state)
    for wrong in (5, {}, {"rate": RATE}):
        with pytest.raises(DataError, match="expected the state of a stream of a detector"):
            detector.stream().load_state_dict(wrong)


def test_blocks_and_sounds_of_a_moment(detector):
    found = list(detector.of_blocks(sound().split(3000), RATE))
    same(found, detector(sound()))
    assert detector(torch.zeros(0)) == []
    assert len(detector.probabilities(torch.zeros(3))) == 1
    with pytest.raises(DataError, match=r"floats \[N\]"):
        detector(torch.zeros(2, 8))


def test_a_network_that_hears_the_end_is_refused(detector):
    model = rnnkit.SequenceTagger(rnnkit.GRU(8, 6, bidirectional=True), outputs=1, activation="sigmoid")
    with pytest.raises(DataError, match="hears sound as it comes"):
        VoiceDetector(model, detector.front)


def test_figures_of_frames():
    generator = torch.Generator().manual_seed(0)
    labels = (torch.rand(400, generator=generator) > 0.6).float()
    scores = (labels + torch.randn(400, generator=generator)).round(decimals=1)
    pairs = scores[labels > 0][:, None] - scores[labels == 0]
    expected = ((pairs > 0).double() + 0.5 * (pairs == 0).double()).mean()
    assert frame_auc(scores, labels) == pytest.approx(float(expected))
    threshold = best_threshold(scores, labels)
    best = score_frames(scores, labels, threshold)
    for other in scores.unique().tolist():
        found = score_frames(scores, labels, other)
        assert best["miss_rate"] + best["false_alarm_rate"] <= found["miss_rate"] + found["false_alarm_rate"] + 1e-9
    with pytest.raises(DataError, match="all 3 frames are speech"):
        frame_auc(torch.zeros(3), torch.ones(3))


def test_figures_of_segments():
    truth = VoiceTruth([Segment(1, 2), Segment(2.1, 3), Segment(5, 6), Segment(8, 9)], torch.zeros(0), 20.0)
    found = [
        VoiceSegment(1.1, 3.2, 0.9, 1.2),
        VoiceSegment(4.0, 4.2, 0.9, 4.1),
        VoiceSegment(5.0, 5.5, 0.9, 5.3),
    ]
    figures = score_segments([found], [truth], pause=0.3)
    assert figures == pytest.approx(
        {
            "missed_speech": (0.1 + 0.5 + 1.0) / 3.9,
            "false_speech": (0.1 + 0.2 + 0.2) / 16.1,
            "missed_segments": 1 / 3,
            "false_alarms_per_hour": 1 / (20 / 3600),
            "delay_ms": 250.0,
            "delay_ms_worst_tenth": 300.0,
        }
    )
    empty = score_segments([[]], [VoiceTruth([], torch.zeros(0), 3.0)], pause=0.3)
    assert empty == dict.fromkeys(("missed_speech", "false_speech", "missed_segments", "false_alarms_per_hour"), 0.0)


class Heard:
    """A recogniser that says how long it heard, and where a loud sample was."""

    rate, streams, decoding = RATE, "it needs whole utterances", Decoding()

    def __init__(self):
        self.lengths = []

    def __call__(self, waveforms):
        self.lengths += [len(one) for one in waveforms]
        loud = [(one > 0.9).nonzero()[:, 0].tolist() for one in waveforms]
        words = [[Word("knock", at / RATE, at / RATE + 0.1, 0.5) for at in found] for found in loud]
        texts = (" ".join(["knock"] * len(one)) for one in words)
        pairs = zip(texts, words, strict=True)
        return [Transcript(text, own, 0.5 if own else 0.0, 1.0) for text, own in pairs]


class Blocks(list):
    """Blocks of a file."""

    rate = RATE

    @property
    def info(self):
        from types import SimpleNamespace

        return SimpleNamespace(seconds=sum(map(len, self)) / RATE)


def test_a_long_recording_is_recognised_in_pieces_with_times_from_its_beginning():
    samples, places = 0.1 * torch.ones(200 * RATE), (3.0, 65.0, 190.5)
    for at in places:
        samples[round(at * RATE)] = 1
    told, blocks, heard = [], Blocks(samples.split(8 * RATE)), Heard()
    found = joined(transcribe_long(heard, blocks, progress=told.append), 200.0)
    assert found.text == "knock knock knock"
    assert [word.start for word in found.words] == pytest.approx(places, abs=1e-3)
    assert found.confidence == 0.5
    assert told[-1] == 200.0
    assert max(heard.lengths) <= 30 * RATE
    assert sum(heard.lengths) == len(samples)
    short = Heard()
    list(transcribe_long(short, Blocks(samples[: 50 * RATE].split(RATE))))
    assert short.lengths == [50 * RATE]


def test_with_a_detector_only_speech_is_recognised(detector):
    samples = sound(20.0)
    speech = detector(samples)
    pieces = list(spoken_pieces(detector, samples.split(3000), RATE, most=30.0))
    assert len(pieces) == len(speech)
    for piece, one in zip(pieces, speech, strict=True):
        begin = round(piece.start * RATE)
        assert torch.equal(piece.samples, samples[begin : begin + len(piece.samples)])
        assert piece.start <= one.start
        assert piece.start + len(piece.samples) / RATE >= min(one.end, 20.0) - 1e-3
    cut = list(spoken_pieces(detector.with_settings(min_silence=9.0), samples.split(3000), RATE, most=2.0))
    assert all(len(piece.samples) <= 2 * RATE + 0.4 * RATE for piece in cut)
    assert sum(len(piece.samples) for piece in cut) > 0.8 * len(samples)
