"""Features, normalisation and augmentation of a run of sound, by its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rnnkit.tasks.speech_settings import SoundAugment, SoundFeatures

if TYPE_CHECKING:
    from rnnkit.tasks.speech_batches import SpeechFront, Utterances


def make_front(settings: SoundFeatures, rate: int, tail: float, utterances: Utterances | None) -> SpeechFront:
    """Return what makes features, its normalisation measured on the training part.

    Args:
        settings: of the features.
        rate: that of most files.
        tail: seconds of silence behind each utterance.
        utterances: of the training part; None: the normalisation is measured later.
    """
    from rnnkit.data.audio.features import Features, FeatureSettings
    from rnnkit.data.audio.normalisation import FeatureNorm
    from rnnkit.tasks.speech_batches import SpeechFront

    features = Features(FeatureSettings(**settings.arguments(rate)))
    front = SpeechFront(features, FeatureNorm(features.size, settings.norm), tail=tail)
    if utterances is not None and front.norm.needs_fit:
        front.fit(utterances)
    return front


def augmentations(settings: SoundAugment, rate: int) -> tuple[Any, Any]:
    """Return what changes samples, and what changes features; None for one that changes nothing."""
    return None, None
