"""The settings of voice activity detection. Importing loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from ..errors import ConfigError
from .ranges import Count, NotNegative, Positive, Range, Settings, Share
from .settings import AveragedSettings, NetworkSettings


@dataclass(frozen=True)
class Segmenting(Settings):
    """How the probabilities of frames become segments in which somebody speaks.

    Attributes:
        threshold: a segment begins where the probability reaches it; none takes the one that errs least on the
            validation part, as often in speech as in silence.
        release: a segment ends where the probability stays below this share of the threshold.
        min_speech: seconds that the probability must stay at the threshold before a segment is reported.
        min_silence: seconds that it must stay below before the end is reported; shorter pauses belong to speech.

    Example:
        >>> Segmenting(threshold=0.6).release
        0.7
    """

    group_name: ClassVar[str] = "segments"

    threshold: Annotated[float, Range(above=0, below=1)] | None = None
    release: Annotated[float, Range(above=0, least=0, below=1.000001)] = 0.7
    min_speech: NotNegative = 0.05
    min_silence: NotNegative = 0.3


@dataclass(frozen=True)
class SceneSettings(Settings):
    """The scenes that are made of recordings of speech; see ``rnnkit.data.audio.SceneOptions``.

    Attributes:
        count: scenes of an epoch.
        kept: epochs that a scene is learned from before another one takes its place; each epoch replaces some.
        held: scenes to choose the epoch and the threshold by, and as many for the test.
        seconds: of a scene; recordings with segments are cut into pieces as long.
        silent: the share of scenes without speech.
        quiet: the share of scenes with a faint noise alone; the others have noise, notes or knocks.
        noise_low: the lowest ratio of speech to noise in decibels.
        noise_high: the highest one.
        room: the share of scenes in a room.
        gain_low: the lowest gain of a scene in decibels.
        gain_high: the highest one.
        noises: a folder of recordings without speech, such as of a street, that are added to scenes, too; none takes
            made ones alone.
    """

    group_name: ClassVar[str] = "scenes"

    count: Count = 200
    kept: Count = 4
    held: Count = 60
    seconds: Positive = 8.0
    silent: Share = 0.1
    quiet: Share = 0.15
    noise_low: float = -5.0
    noise_high: float = 25.0
    room: Share = 0.25
    gain_low: float = -20.0
    gain_high: float = 10.0
    noises: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for low, high in (("noise_low", "noise_high"), ("gain_low", "gain_high")):
            if getattr(self, low) > getattr(self, high):
                raise ConfigError(
                    f"scenes.{low}={getattr(self, low):g} and scenes.{high}={getattr(self, high):g} arrived; expected "
                    "the lower one first"
                )

    def options(self) -> Any:
        """Return the options of a scene, ``rnnkit.data.audio.SceneOptions``."""
        from ..data.audio.scenes import SceneOptions

        return SceneOptions(
            seconds=self.seconds,
            silent=self.silent,
            quiet=self.quiet,
            noise_db=(self.noise_low, self.noise_high),
            room=self.room,
            gain_db=(self.gain_low, self.gain_high),
        )


@dataclass(frozen=True)
class VoiceNetwork(NetworkSettings):
    """The network: recurrent layers that look back alone, and a probability for each frame.

    Attributes:
        num_layers: layers, one above the other.
        dropout: probability of dropping a feature between and after the layers.
        layer_norm: whether the layers normalise their products.
    """

    hidden_size: Count = 48
    num_layers: Count = 1
    dropout: Share = 0.1
    layer_norm: bool = False


@dataclass(frozen=True)
class VoiceFit(AveragedSettings):
    """The training; the epoch with the highest AUC of the validation part is kept."""

    epochs: Count = 20
    batch_size: Count = 8
    lr: Positive = 5e-3
    clip_norm: Positive | None = 1.0
    average: Annotated[float, Range(above=0, below=1)] | None = 0.99
