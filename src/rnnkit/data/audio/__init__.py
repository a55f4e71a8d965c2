"""Sound: files, rates, features, clips with their transcripts, augmentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._lazy import lazy_names

if TYPE_CHECKING:
    from .augmentation import (
        SpecAugment,
        WaveAugment,
        add_noise,
        add_room,
        change_speed,
        coloured_noise,
        make_room,
        tilt,
        warp_mel,
    )
    from .clip_findings import clip_findings
    from .clips import Clip, ClipSet, leave_out_speaker, read_clips, split_clips
    from .features import Features, FeatureSettings, FeatureStream, mel_bank
    from .joining import ClipString, ClipStrings, join_clips, join_waveforms
    from .normalisation import FeatureNorm, NormStream
    from .resampling import Resampler, resample
    from .sound_files import AudioInfo
    from .waveforms import Waveform, audio_info, read_audio, write_wav

_NAMES = {
    "AudioInfo": "sound_files",
    "Clip": "clips",
    "ClipSet": "clips",
    "ClipString": "joining",
    "ClipStrings": "joining",
    "FeatureNorm": "normalisation",
    "FeatureSettings": "features",
    "FeatureStream": "features",
    "Features": "features",
    "NormStream": "normalisation",
    "Resampler": "resampling",
    "SpecAugment": "augmentation",
    "WaveAugment": "augmentation",
    "Waveform": "waveforms",
    "add_noise": "augmentation",
    "add_room": "augmentation",
    "audio_info": "waveforms",
    "change_speed": "augmentation",
    "clip_findings": "clip_findings",
    "coloured_noise": "augmentation",
    "join_clips": "joining",
    "join_waveforms": "joining",
    "leave_out_speaker": "clips",
    "make_room": "augmentation",
    "mel_bank": "features",
    "read_audio": "waveforms",
    "read_clips": "clips",
    "resample": "resampling",
    "split_clips": "clips",
    "tilt": "augmentation",
    "warp_mel": "augmentation",
    "write_wav": "waveforms",
}

__all__ = [
    "AudioInfo",
    "Clip",
    "ClipSet",
    "ClipString",
    "ClipStrings",
    "FeatureNorm",
    "FeatureSettings",
    "FeatureStream",
    "Features",
    "NormStream",
    "Resampler",
    "SpecAugment",
    "WaveAugment",
    "Waveform",
    "add_noise",
    "add_room",
    "audio_info",
    "change_speed",
    "clip_findings",
    "coloured_noise",
    "join_clips",
    "join_waveforms",
    "leave_out_speaker",
    "make_room",
    "mel_bank",
    "read_audio",
    "read_clips",
    "resample",
    "split_clips",
    "tilt",
    "warp_mel",
    "write_wav",
]

__getattr__, __dir__ = lazy_names(__name__, _NAMES)
