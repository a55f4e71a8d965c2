"""Sound: files, rates, features, clips with their transcripts, augmentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._lazy import lazy_names

if TYPE_CHECKING:
    from .clips import Clip, ClipSet, leave_out_speaker, read_clips, split_clips
    from .features import Features, FeatureSettings, FeatureStream, mel_bank
    from .normalisation import FeatureNorm, NormStream
    from .resampling import Resampler, resample
    from .sound_files import AudioInfo
    from .waveforms import Waveform, audio_info, read_audio, write_wav

_NAMES = {
    "AudioInfo": "sound_files",
    "Clip": "clips",
    "ClipSet": "clips",
    "FeatureNorm": "normalisation",
    "FeatureSettings": "features",
    "FeatureStream": "features",
    "Features": "features",
    "NormStream": "normalisation",
    "Resampler": "resampling",
    "Waveform": "waveforms",
    "audio_info": "waveforms",
    "leave_out_speaker": "clips",
    "mel_bank": "features",
    "read_audio": "waveforms",
    "read_clips": "clips",
    "resample": "resampling",
    "split_clips": "clips",
    "write_wav": "waveforms",
}

__all__ = [
    "AudioInfo",
    "Clip",
    "ClipSet",
    "FeatureNorm",
    "FeatureSettings",
    "FeatureStream",
    "Features",
    "NormStream",
    "Resampler",
    "Waveform",
    "audio_info",
    "leave_out_speaker",
    "mel_bank",
    "read_audio",
    "read_clips",
    "resample",
    "split_clips",
    "write_wav",
]

__getattr__, __dir__ = lazy_names(__name__, _NAMES)
