"""Features, normalisation and augmentation of a run of sound, by its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rnnkit.tasks.speech_settings import ClipFeatures, SoundAugment, SoundFeatures, SoundNetwork

if TYPE_CHECKING:
    import rnnkit
    from rnnkit.tasks.speech_batches import SpeechFront, Utterances


def make_front(
    settings: SoundFeatures | ClipFeatures,
    rate: int,
    tail: float,
    utterances: Utterances | None,
) -> SpeechFront:
    """Return what makes features, its normalisation measured on the training part.

    Args:
        settings: of the features.
        rate: that of most files.
        tail: seconds of silence after each utterance.
        utterances: of the training part; None: the normalisation is measured later.
    """
    from rnnkit.data.audio.features import Features, FeatureSettings
    from rnnkit.data.audio.normalisation import FeatureNorm
    from rnnkit.tasks.speech_batches import SpeechFront

    features = Features(FeatureSettings(**settings.arguments(rate)))
    trim = settings.trim if isinstance(settings, ClipFeatures) else None
    front = SpeechFront(features, FeatureNorm(features.size, settings.norm), tail=tail, trim=trim)
    if utterances is not None and front.norm.needs_fit:
        front.fit(utterances)
    return front


def augmentations(settings: SoundAugment, features: Any) -> tuple[Any, Any]:
    """Return what changes samples, and what changes features, at random.

    Args:
        settings: of both.
        features: the settings of the features, ``FeatureSettings``.
    """
    from rnnkit.data.audio import SpecAugment, WaveAugment

    waves = WaveAugment(
        features.rate,
        speed=(1 - settings.speed, 1 + settings.speed),
        gain_db=(-settings.gain, settings.gain),
        tilt_db=settings.tilt,
        noise_probability=settings.noise,
        noise_db=(settings.noise_low, settings.noise_high),
        room_probability=settings.room,
    )
    mel = features.kind == "logmel"
    frames = SpecAugment(
        bands=settings.band_masks,
        band_width=min(settings.band_width, features.size),
        times=settings.time_masks,
        time_width=settings.time_width,
        warp=(1 - settings.warp, 1 + settings.warp) if mel else (1.0, 1.0),
        low_hz=features.low_hz,
        high_hz=features.top_hz,
    )
    return waves, frames


def make_layers(settings: SoundNetwork, features: int) -> tuple[rnnkit.CausalConv, Any]:
    """Return the convolutions that join frames, and the recurrent layers after them, with fresh weights.

    Args:
        settings: of both.
        features: numbers a frame.
    """
    import rnnkit
    from rnnkit.layers.by_name import RECURRENT_LAYERS

    front = rnnkit.CausalConv(
        features, settings.channels, settings.kernel_sizes, settings.strides, dropout=settings.front_dropout
    )
    body = RECURRENT_LAYERS[settings.cell](
        settings.channels,
        settings.hidden_size,
        settings.num_layers,
        batch_first=True,
        bidirectional=settings.bidirectional,
        dropout=settings.dropout if settings.num_layers > 1 else 0.0,
        layer_norm=settings.layer_norm,
    )
    return front, body
