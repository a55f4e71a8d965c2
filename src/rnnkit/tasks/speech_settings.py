"""The settings that recipes of sound share. Importing loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from ..errors import ConfigError
from .decoding_settings import CTCDecoding
from .ranges import Count, NotNegative, Positive, Range, Settings, Share, WholeNumber
from .settings import Average, AveragedSettings, Cell, NetworkSettings

LOWEST_RATE = 1000  # samples a second; fewer are kilohertz
_COEFFICIENTS = 13  # of MFCC, as FeatureSettings.ceps


@dataclass(frozen=True)
class FrameFeatures(Settings):
    """What the frames of sound are, see ``rnnkit.data.audio.FeatureSettings``.

    Attributes:
        rate: samples a second; none takes that of most files, at most 16000. Other files are resampled.
        kind: logmel, the logarithms of mel bands; mfcc, their cepstral coefficients.
        bands: the number of mel bands; none takes 80, and 40 below 16000 samples a second.
        window_ms: the length of a frame.
        hop_ms: from one frame to the next.
    """

    group_name: ClassVar[str] = "features"

    rate: Count | None = None
    kind: Literal["logmel", "mfcc"] = "logmel"
    bands: Count | None = None
    window_ms: Positive = 25.0
    hop_ms: Positive = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rate is not None and self.rate < LOWEST_RATE:
            raise ConfigError(f"features.rate={self.rate} arrived; expected samples a second, such as 8000 or 16000")
        if self.kind == "mfcc" and self.bands is not None and self.bands < _COEFFICIENTS:
            raise ConfigError(
                f"features.bands={self.bands} arrived with features.kind=mfcc, which makes {_COEFFICIENTS} "
                "coefficients of them; expected at least as many bands"
            )

    def arguments(self, rate: int) -> dict[str, Any]:
        """Return the arguments of ``FeatureSettings``.

        Args:
            rate: that of most files.
        """
        names = ("kind", "bands", "window_ms", "hop_ms")
        return {name: getattr(self, name) for name in names} | {"rate": self.rate or min(rate, 16000)}


@dataclass(frozen=True)
class SoundFeatures(FrameFeatures):
    """What the network sees of sound.

    Attributes:
        norm: mean and variance that are taken away: of the frames so far (running), of the training part (training), of
            each utterance (utterance; a stream cannot), or none.
    """

    norm: Literal["running", "training", "utterance", "none"] = "running"


@dataclass(frozen=True)
class ClipFeatures(FrameFeatures):
    """What the network sees of a recording that has one class.

    Attributes:
        norm: mean and variance that are taken away: of each recording (utterance), of all recordings at hand of its
            speaker, without their labels (speaker), of the training part (training), of the frames so far (running), or
            none. Recordings whose speaker is not named are of one speaker; `rnnkit predict` knows each by itself.
        trim: what is so many decibels below the loudest moment is cut off at both ends, so that it does not matter how
            tightly a recording was cut; none cuts nothing off.
    """

    norm: Literal["running", "training", "utterance", "speaker", "none"] = "utterance"
    trim: NotNegative | None = None


@dataclass(frozen=True)
class SoundAugment(Settings):
    """How sound is changed at random while training; see ``rnnkit.data.audio.WaveAugment`` and ``SpecAugment``.

    Attributes:
        speed: by how much the speed varies, as a share.
        gain: by how many decibels the level varies, up and down.
        tilt: by how many decibels an octave the balance of low and high varies, up and down.
        noise: the share of utterances with noise.
        noise_low: the lowest signal-to-noise ratio in decibels.
        noise_high: the highest one.
        room: the share of utterances with a room's echo.
        warp: by how much the mel scale is stretched or squeezed, as a share: longer and shorter vocal tracts.
        time_masks: stretches of time that are masked.
        time_width: the most frames of each.
        band_masks: ranges of bands that are masked.
        band_width: the most bands of each.
    """

    group_name: ClassVar[str] = "augment"

    speed: Share = 0.1
    gain: NotNegative = 10.0
    tilt: NotNegative = 3.0
    noise: Share = 0.5
    noise_low: float = 5.0
    noise_high: float = 30.0
    room: Share = 0.1
    warp: Annotated[float, Range(least=0, below=0.5)] = 0.1
    time_masks: WholeNumber = 2
    time_width: WholeNumber = 10
    band_masks: WholeNumber = 2
    band_width: WholeNumber = 6

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.noise_low > self.noise_high:
            raise ConfigError(
                f"augment.noise_low={self.noise_low:g} and augment.noise_high={self.noise_high:g} arrived; expected "
                "the lower one first"
            )


@dataclass(frozen=True)
class SoundNetwork(NetworkSettings):
    """A network that reads sound: convolutions that join frames, recurrent layers, a head.

    Attributes:
        num_layers: layers, one above the other.
        bidirectional: whether utterances are read from their end, too; then they cannot be streamed.
        channels: features of the convolutions.
        kernel_sizes: widths of the convolutions in frames, one for each.
        strides: frames that become one, of each convolution; at most its width.
        front_dropout: probability of dropping a feature of the convolutions.
        dropout: probability of dropping a feature between and after the recurrent layers.
        layer_norm: whether the recurrent layers normalise their products: training by CTC then begins to distinguish
            sounds several times as soon.
    """

    cell: Cell = "gru"
    hidden_size: Count = 192
    num_layers: Count = 3
    bidirectional: bool = False
    channels: Count = 128
    kernel_sizes: tuple[int, ...] = (9, 7)
    strides: tuple[int, ...] = (2, 2)
    front_dropout: Share = 0.1
    dropout: Share = 0.2
    layer_norm: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        sizes, strides = self.kernel_sizes, self.strides
        if not strides or len(sizes) != len(strides) or min(strides) < 1 or any(map(int.__lt__, sizes, strides)):
            shown = [",".join(map(str, values)) for values in (sizes, strides)]
            raise ConfigError(
                f"model.kernel_sizes={shown[0]} and model.strides={shown[1]} arrived; expected one of each for every "
                "convolution, strides of at least 1, and no width below its stride"
            )


@dataclass(frozen=True)
class SoundFit(AveragedSettings):
    """The training on recordings.

    Attributes:
        plain: this number of epochs begin without augmentation: sounds are distinguished sooner while they are plain.
    """

    batch_size: Count = 16
    schedule: Literal["warmup_cosine", "cosine", "constant"] | None = "warmup_cosine"
    clip_norm: Positive | None = 1.0
    average: Average = 0.999
    plain: WholeNumber = 2


@dataclass(frozen=True)
class RecognizerFit(SoundFit):
    """The training of a recogniser.

    Attributes:
        curriculum: this number of epochs begin with the shortest utterances and end with the longest.
        choose_by: what of the validation part chooses the epoch: the word error rate, that of characters, or the loss.
        label_smoothing: share of a target that is spread over all tokens, with model.head=attention.
        sampling: the probability, at the end, that the decoder reads its own token while training, with
            model.head=attention; it rises over the first half of the steps.
    """

    epochs: Count = 40
    curriculum: WholeNumber = 1
    choose_by: Literal["wer", "cer", "loss"] = "wer"
    label_smoothing: Share = 0.1
    sampling: Share = 0.0


@dataclass(frozen=True)
class Decoding(CTCDecoding):
    """How tokens are found in the output of the network, and where a stream ends an utterance.

    Attributes:
        length_penalty: with model.head=attention, what long texts gain in the beam search; 0 prefers short ones.
        ctc_weight: with model.head=attention, what the branch of CTC counts in the search where the network has one; it
            keeps attention from omitting words and from repeating them.
        tail: seconds of silence that follow the sound, in which a network without future frames outputs the last word.
        endpoint: seconds without a new token that end an utterance of a stream; 0 never ends one.

    Example:
        >>> Decoding().greedy, Decoding(width=8).greedy
        (True, False)
    """

    length_penalty: NotNegative = 1.0
    ctc_weight: Share = 0.3
    tail: NotNegative = 0.3
    endpoint: NotNegative = 0.8


@dataclass(frozen=True)
class RecognizerNetwork(SoundNetwork):
    """The network of a recogniser: convolutions that join frames, recurrent layers, and what makes tokens of them.

    Attributes:
        head: ctc scores tokens step by step, each without the others; transducer has a second recurrent layer read the
            tokens so far, and needs more memory and time to train; attention writes token by token and looks at the
            whole utterance for each, so that it cannot stream.
        predictor_size: features of the layer that reads tokens, and of these, with head=transducer.
        joiner_size: features that join both, with head=transducer.
        decoder_size: features of the layer that writes tokens, and of these, with head=attention.
        attention: how the steps of an utterance are scored, with head=attention.
        form: whether the decoder attends before it reads a token (bahdanau), or after it (input_feeding), or without
            that any token waits for another's attention (parallel), with head=attention.
        ctc_weight: what a branch of CTC counts in the loss, with head=attention: it shows the encoder where tokens are
            said; 0 has none.
    """

    head: Literal["ctc", "transducer", "attention"] = "ctc"
    predictor_size: Count = 96
    joiner_size: Count = 128
    decoder_size: Count = 128
    attention: Literal["dot", "general", "additive"] = "additive"
    form: Literal["bahdanau", "input_feeding", "parallel"] = "bahdanau"
    ctc_weight: Share = 0.3

    @property
    def encoder_size(self) -> int:
        """Features of a step of the recurrent layers."""
        return self.hidden_size * (2 if self.bidirectional else 1)

    def check_attention(self) -> None:
        """Raise ConfigError for a decoder that cannot attend to the recurrent layers."""
        size = self.encoder_size
        if self.head == "attention" and self.attention == "dot" and self.decoder_size != size:
            raise ConfigError(
                f"model.attention=dot arrived with model.decoder_size={self.decoder_size} and {size} features of a "
                f"step; expected as many: add --set model.decoder_size={size}, or take model.attention=general"
            )
