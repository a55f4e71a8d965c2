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
    from .cutting import Piece, cut_at_silences, trim_silence
    from .features import Features, FeatureSettings, FeatureStream, mel_bank
    from .joining import ClipString, ClipStrings, join_clips, join_waveforms
    from .labelled_speech import SpokenClip, SpokenClipSet, read_spoken_clips
    from .normalisation import FeatureNorm, Heard, NormStream
    from .resampling import Resampler, resample
    from .scenes import Scene, SceneMaker, SceneOptions
    from .sound_files import AudioInfo
    from .speech_segments import Segment, find_speech, read_labels, write_labels
    from .waveforms import AudioBlocks, Waveform, audio_info, open_blocks, read_audio, write_wav

_NAMES = {
    "AudioBlocks": "waveforms",
    "AudioInfo": "sound_files",
    "Clip": "clips",
    "ClipSet": "clips",
    "ClipString": "joining",
    "ClipStrings": "joining",
    "FeatureNorm": "normalisation",
    "FeatureSettings": "features",
    "FeatureStream": "features",
    "Features": "features",
    "Heard": "normalisation",
    "NormStream": "normalisation",
    "Piece": "cutting",
    "Resampler": "resampling",
    "Scene": "scenes",
    "SceneMaker": "scenes",
    "SceneOptions": "scenes",
    "Segment": "speech_segments",
    "SpecAugment": "augmentation",
    "SpokenClip": "labelled_speech",
    "SpokenClipSet": "labelled_speech",
    "WaveAugment": "augmentation",
    "Waveform": "waveforms",
    "add_noise": "augmentation",
    "add_room": "augmentation",
    "audio_info": "waveforms",
    "change_speed": "augmentation",
    "clip_findings": "clip_findings",
    "coloured_noise": "augmentation",
    "cut_at_silences": "cutting",
    "find_speech": "speech_segments",
    "join_clips": "joining",
    "join_waveforms": "joining",
    "leave_out_speaker": "clips",
    "make_room": "augmentation",
    "mel_bank": "features",
    "open_blocks": "waveforms",
    "read_audio": "waveforms",
    "read_clips": "clips",
    "read_labels": "speech_segments",
    "read_spoken_clips": "labelled_speech",
    "resample": "resampling",
    "split_clips": "clips",
    "tilt": "augmentation",
    "trim_silence": "cutting",
    "warp_mel": "augmentation",
    "write_labels": "speech_segments",
    "write_wav": "waveforms",
}

__all__ = [
    "AudioBlocks",
    "AudioInfo",
    "Clip",
    "ClipSet",
    "ClipString",
    "ClipStrings",
    "FeatureNorm",
    "FeatureSettings",
    "FeatureStream",
    "Features",
    "Heard",
    "NormStream",
    "Piece",
    "Resampler",
    "Scene",
    "SceneMaker",
    "SceneOptions",
    "Segment",
    "SpecAugment",
    "SpokenClip",
    "SpokenClipSet",
    "WaveAugment",
    "Waveform",
    "add_noise",
    "add_room",
    "audio_info",
    "change_speed",
    "clip_findings",
    "coloured_noise",
    "cut_at_silences",
    "find_speech",
    "join_clips",
    "join_waveforms",
    "leave_out_speaker",
    "make_room",
    "mel_bank",
    "open_blocks",
    "read_audio",
    "read_clips",
    "read_labels",
    "read_spoken_clips",
    "resample",
    "split_clips",
    "tilt",
    "trim_silence",
    "warp_mel",
    "write_labels",
    "write_wav",
]

__getattr__, __dir__ = lazy_names(__name__, _NAMES)
