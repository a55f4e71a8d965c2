"""A trained detector of voice activity: whether somebody speaks in each frame of sound.

    samples → features → normalisation → recurrent layers that look back alone → p(speech) of each frame → segments

What is stored with the network makes it whole: the settings of the features, the normalisation, and those of the
segments, the threshold among them. Legend: N samples, T frames.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields, replace
from os import PathLike
from typing import Any

import torch
from torch import Tensor

from ..errors import DataError
from ..layers.modes import mode
from ..serialization import read_config
from .speech_batches import SpeechFront
from .voice_settings import Segmenting
from .voice_stream import Segmenter, VoiceSegment, VoiceStream, segments_of

STORED = "voice"  # in the extra of a model's file


class VoiceDetector:
    """Detect where somebody speaks in sound, or in a stream of samples.

    Args:
        model: a :class:`rnnkit.SequenceTagger` with one output, ``activation="sigmoid"``, that looks back alone.
        front: what makes features for it, without a tail.
        segmenting: how segments are made; a threshold of None is 0.5.

    Raises:
        DataError: the model cannot continue from a state.

    Example:
        >>> import rnnkit
        >>> from rnnkit.data.audio.features import Features, FeatureSettings
        >>> from rnnkit.data.audio.normalisation import FeatureNorm
        >>> front = SpeechFront(Features(FeatureSettings(rate=8000)), FeatureNorm(40, "none"), tail=0.0)
        >>> model = rnnkit.SequenceTagger(rnnkit.GRU(40, 8), outputs=1, activation="sigmoid")
        >>> detector = VoiceDetector(model, front)
        >>> detector.probabilities(torch.randn(8000)).shape, detector(torch.zeros(0))
        (torch.Size([98]), [])
    """

    def __init__(self, model: Any, front: SpeechFront, segmenting: Segmenting | None = None) -> None:
        if (problem := model.carry_problem) is not None:
            raise DataError(f"a detector of voice activity hears sound as it comes, but {problem}")
        segmenting = segmenting or Segmenting()
        self.model, self.front = model, front
        self.segmenting = segmenting if segmenting.threshold is not None else replace(segmenting, threshold=0.5)

    @property
    def rate(self) -> int:
        """Samples a second of the sound that the features are made of."""
        return self.front.rate

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        device: torch.device = next(self.model.parameters()).device
        return device

    def with_settings(self, **changes: Any) -> VoiceDetector:
        """Return the same detector with other segments; `changes` are fields of `Segmenting`."""
        return VoiceDetector(self.model, self.front, replace(self.segmenting, **changes))

    @torch.inference_mode()
    def probabilities(self, waveform: Tensor) -> Tensor:
        """Return the probability that somebody speaks, of each frame of a waveform [N], [T]."""
        _check(waveform)
        if not len(waveform):
            return torch.zeros(0)
        frames, _ = self.front([waveform])
        with mode(self.model, training=False):
            found: Tensor = self.model(frames.to(self.device))[0, :, 0].cpu()
        return found

    def __call__(self, waveform: Tensor) -> list[VoiceSegment]:
        """Return where somebody speaks in a waveform [N] with `rate` samples a second."""
        segmenter = self.segmenter()
        events = segmenter.push(self.probabilities(waveform).tolist())
        return segments_of(events + segmenter.flush(len(waveform) / self.rate))

    def of_blocks(self, blocks: Iterable[Tensor], rate: int) -> Iterable[VoiceSegment]:
        """Yield where somebody speaks in sound that comes in blocks, so that it need not lie in memory.

        Args:
            blocks: [n] each.
            rate: samples a second of them.
        """
        stream, begun = self.stream(rate=rate), []
        for block in blocks:
            begun += stream.push(block)
            yield from segments_of(begun)
            begun = begun[-1:] if begun and begun[-1].kind == "start" else []
        yield from segments_of(begun + stream.flush())

    def stream(self, *, rate: int | None = None) -> VoiceStream:
        """Return an object that takes samples as they come; see :class:`rnnkit.tasks.voice_stream.VoiceStream`.

        Args:
            rate: samples a second of what comes; None: `rate` of the detector.
        """
        return VoiceStream(self, rate=rate)

    def segmenter(self) -> Segmenter:
        """Return what makes segments of the probabilities of frames."""
        settings = self.front.features.settings
        return Segmenter(self.segmenting, hop=settings.hop / settings.rate, window=settings.window / settings.rate)

    def to_extra(self) -> dict[str, Any]:
        """Return what is stored with the network, JSON values, for ``learner.extra``."""
        return {STORED: {**self.front.to_json(), "segmenting": asdict(self.segmenting)}}

    @staticmethod
    def from_extra(model: Any, extra: Mapping[str, Any]) -> VoiceDetector:
        """Return the detector of a network and what `to_extra` stored.

        Raises:
            DataError: the model is no detector of voice activity.
        """
        if STORED not in extra:
            raise DataError("the model detects no voice activity; expected one of a run of `rnnkit train vad`")
        stored = extra[STORED]
        known = {one.name for one in fields(Segmenting)}
        values = {name: value for name, value in stored["segmenting"].items() if name in known}
        return VoiceDetector(model, SpeechFront.from_json(stored), Segmenting(**values))

    def __repr__(self) -> str:
        return f"VoiceDetector({self.model!r}, {self.front.features}, threshold={self.segmenting.threshold:.3g})"


def load_voice_detector(path: str | PathLike[str], *, device: str = "auto") -> VoiceDetector:
    """Return the detector of a run folder.

    Args:
        path: the folder of a run of ``rnnkit train vad``.
        device: where to compute.

    Raises:
        RunFolderError: there is no model. DataError: it detects no voice activity.

    Example:
        >>> stream = load_voice_detector("runs/vad").stream(rate=16000)      # doctest: +SKIP
        >>> events = stream.push(samples)                                    # doctest: +SKIP
    """
    from ..models.loading import load
    from ..training.execution import find_device

    extra = read_config(path).get("extra", {})
    if STORED not in extra:
        raise DataError(f"{path} detects no voice activity; expected a run of `rnnkit train vad`")
    return VoiceDetector.from_extra(load(path).to(find_device(device)), extra)


def _check(waveform: Tensor) -> None:
    if waveform.dim() != 1 or not waveform.is_floating_point():
        raise DataError(
            f"a waveform of shape {tuple(waveform.shape)} and type {waveform.dtype} arrived; expected floats [N]"
        )
