"""What a run of voice activity detection reports: figures beside a threshold of energy, and the page of the run."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from rnnkit.tasks.voice_settings import Segmenting

if TYPE_CHECKING:
    from torch import Tensor

    from rnnkit.data.audio.features import FeatureSettings
    from rnnkit.tasks.voice_activity import VoiceDetector
    from rnnkit.tasks.voice_scenes import Spoken
    from rnnkit.tasks.voice_stream import Segmenter, VoiceSegment

_SHOWN = 3  # scenes in the page
_CHUNK = 0.03  # seconds of sound for which the cost is reported


class Detector(Protocol):
    """What is judged: a network, or the energy of frames."""

    def probabilities(self, waveform: Tensor) -> Tensor: ...

    def segmenter(self) -> Segmenter: ...


@dataclass(frozen=True)
class EnergyBaseline:
    """A threshold of the energy of frames, without a network.

    Attributes:
        features: whose frames are taken.
        segmenting: how segments are made.
        threshold: in dB.
    """

    features: FeatureSettings
    segmenting: Segmenting
    threshold: float = -40.0

    def probabilities(self, waveform: Tensor) -> Tensor:
        """Return the energies of frames in dB, [T]."""
        from rnnkit.data.audio.speech_segments import frame_energies

        return frame_energies(waveform, self.features.window, self.features.hop)

    def segmenter(self) -> Segmenter:
        """Return what makes segments of energies: above the threshold somebody speaks."""
        from rnnkit.tasks.voice_stream import Segmenter

        rate, threshold = self.features.rate, self.threshold

        class OfEnergy(Segmenter):
            def push(self, probabilities: Any) -> Any:
                return super().push([float(value >= threshold) for value in probabilities])

        settings = replace(self.segmenting, threshold=0.5)
        return OfEnergy(settings, hop=self.features.hop / rate, window=self.features.window / rate)


class Judged(NamedTuple):
    """What was found in scenes.

    Attributes:
        scenes: they.
        probabilities: of the frames of each.
        found: the segments of each.
        figures: how good that is.
    """

    scenes: Spoken
    probabilities: list[Tensor]
    found: list[list[VoiceSegment]]
    figures: dict[str, float]


def judge(detector: Detector, scenes: Spoken) -> Judged:
    """Return what a detector finds in scenes, and how good that is."""
    import torch

    from rnnkit.errors import DataError
    from rnnkit.tasks.voice_scores import VoiceTruth, frame_auc, score_segments
    from rnnkit.tasks.voice_stream import segments_of

    probabilities, found, truths, settings = [], [], [], None
    for index in range(len(scenes)):
        values, truth = _heard(detector, scenes, index)
        segmenter = detector.segmenter()
        settings = segmenter.settings
        events = segmenter.push(values.tolist())
        found.append(segments_of(events + segmenter.flush(truth.seconds)))
        probabilities.append(values)
        truths.append(VoiceTruth(list(truth.segments), truth.labels, truth.seconds))
    assert settings is not None
    figures = score_segments(found, truths, pause=settings.min_silence)
    with suppress(DataError):  # somebody speaks always, or never
        figures = {"auc": frame_auc(torch.cat(probabilities), torch.cat([one.labels for one in truths])), **figures}
    return Judged(scenes, probabilities, found, figures)


def validation_auc(detector: Detector, scenes: Spoken) -> dict[str, float]:
    """Return the AUC of frames, for `ValidationFigures`; 0.5 where all frames are of one kind."""
    from rnnkit.errors import DataError
    from rnnkit.tasks.voice_scores import frame_auc

    try:
        return {"auc": frame_auc(*_frames(detector, scenes))}
    except DataError:
        return {"auc": 0.5}


def choose_threshold(detector: Detector, scenes: Spoken) -> float:
    """Return the threshold that errs least on the frames of scenes, as often in speech as in silence.

    Raises:
        DataError: all frames are of one kind.
    """
    from rnnkit.tasks.voice_scores import best_threshold

    found = best_threshold(*_frames(detector, scenes))
    return found if isinstance(detector, EnergyBaseline) else min(max(found, 1e-6), 1 - 1e-6)


def stream_cost(detector: VoiceDetector, seconds: float = 6.0) -> dict[str, float]:
    """Return the milliseconds that a stream needs for 30 ms of sound on one thread, in the median.

    Args:
        detector: it.
        seconds: of sound that are heard.
    """
    import time

    import torch

    count = max(1, round(_CHUNK * detector.rate))
    sound = 0.1 * torch.randn(round(seconds * detector.rate), generator=torch.Generator().manual_seed(0))
    stream, taken, threads = detector.stream(), [], torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for chunk in sound.split(count):
            begun = time.perf_counter()
            stream.push(chunk)
            taken.append(time.perf_counter() - begun)
    finally:
        torch.set_num_threads(threads)
    return {"stream_ms_per_30ms": 1e3 * sorted(taken)[len(taken) // 2]}


def write_page(folder: Path, detector: VoiceDetector, judged: dict[str, Judged], history: Any, metrics: Any) -> None:
    """Write ``report.html``, with the figures, scenes as they were heard and the curves, and ``troubles.txt``."""
    from rnnkit.recipes.run_page import RunPage, page_figures

    page = RunPage(folder, "Voice activity", repr(detector.model), metrics.get("troubles", ()))
    page.add_figures(page_figures(metrics), *_sentences(metrics))
    page.add_troubles("What the recordings show")
    if judged:
        _add_scenes(page, detector, next(iter(judged.values())))
    page.add_curves(history, "Loss and AUC", "val_auc")
    page.write_run()


def _add_scenes(page: Any, detector: VoiceDetector, judged: Judged) -> None:
    """Add scenes to see and hear: the first two, and the one with the most time on the wrong side."""
    from rnnkit.recipes.speech_page import wav_bytes
    from rnnkit.tasks.voice_scores import score_segments

    scenes, settings = judged.scenes, detector.front.features.settings
    wrong = []
    for row in range(len(scenes)):
        truth = _truth(detector, scenes, row)
        one = score_segments([judged.found[row]], [truth], pause=0)
        spoken = sum(end - start for start, end in truth.segments)
        wrong.append(one["missed_speech"] * spoken + one["false_speech"] * (truth.seconds - spoken))
    worst = max(range(len(scenes)), key=wrong.__getitem__)
    rows = [*[row for row in range(min(_SHOWN, len(scenes))) if row != worst][: _SHOWN - 1], worst]
    page.section("Scenes", "Two that nobody chose, and the one with the most time on the wrong side.")
    for row in rows:
        samples, values = scenes.waveform(row), judged.probabilities[row]
        times = (settings.hop * _arange(len(values)) + settings.window / 2) / settings.rate
        found = [(one.start, one.end) for one in judged.found[row]]
        true = [(one.start, one.end) for one in scenes.segments(row)]
        title = f"Scene {row}" + (f", the worst: {wrong[row]:.1f} s wrong" if row == worst else "")
        page.picture(
            lambda path, given=(samples, values, times, found, true): _draw(detector, path, *given),
            f"The waveform of {len(samples) / settings.rate:.1f} seconds, {len(true)} true and {len(found)} found "
            "segments, and the probability of speech over time.",
            title=title,
            caption="Blue: where the network hears speech. Orange line: where there is speech. Below: the probability, "
            "and the threshold, dashed.",
        )
        page.sound(title, wav_bytes(samples, settings.rate))


def _draw(
    detector: VoiceDetector, path: Path, samples: Tensor, values: Tensor, times: Any, found: Any, true: Any
) -> None:
    from rnnkit.plotting.voice import voice_picture

    threshold = float(detector.segmenting.threshold or 0)
    voice_picture(samples.numpy(), detector.rate, values.numpy(), times, threshold, found, true, path)


def _arange(count: int) -> Any:
    import numpy as np

    return np.arange(count)


def _sentences(metrics: Any) -> list[str]:
    """Return what the figures of the test say, beside the threshold of energy."""
    said = []
    own, plain = metrics.get("test", {}), metrics.get("baselines", {}).get("energy threshold", {})
    if "auc" in own:
        said.append(f"Of a frame of speech and another one, the network knows which is which in {own['auc']:.1%}.")
        said.append(
            f"Segments miss {own['missed_speech']:.1%} of the time of speech and take {own['false_speech']:.1%} of the "
            f"other time; {own['false_alarms_per_hour']:.0f} an hour are false alarms."
        )
    if "delay_ms" in own:
        said.append(f"A beginning is detected after {own['delay_ms']:.0f} ms in the median.")
    if "auc" in own and "auc" in plain:
        said.append(
            f"A threshold of energy has {plain['auc']:.1%}, misses {plain['missed_speech']:.1%}, takes "
            f"{plain['false_speech']:.1%}, and gives {plain['false_alarms_per_hour']:.0f} false alarms an hour."
        )
    return said


def _truth(detector: Any, scenes: Spoken, index: int) -> Any:
    from rnnkit.data.audio.speech_segments import frame_labels
    from rnnkit.tasks.voice_scores import VoiceTruth

    settings = detector.features if isinstance(detector, EnergyBaseline) else detector.front.features.settings
    samples = scenes.waveform(index)
    count = len(samples)
    frames = 0 if not count else 1 if count < settings.window else 1 + (count - settings.window) // settings.hop
    segments = scenes.segments(index)
    labels = frame_labels(segments, frames, rate=settings.rate, window=settings.window, hop=settings.hop)
    return VoiceTruth(segments, labels, count / scenes.rate)


def _heard(detector: Detector, scenes: Spoken, index: int) -> tuple[Tensor, Any]:
    return detector.probabilities(scenes.waveform(index)), _truth(detector, scenes, index)


def _frames(detector: Detector, scenes: Spoken) -> tuple[Tensor, Tensor]:
    import torch

    heard = [_heard(detector, scenes, index) for index in range(len(scenes))]
    return torch.cat([values for values, _ in heard]), torch.cat([truth.labels for _, truth in heard])
