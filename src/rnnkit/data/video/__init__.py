"""Clips: folders of frames, animated pictures and video files, with classes. Importing it does not load torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._lazy import lazy_names

if TYPE_CHECKING:
    from .clip_files import ClipInfo, clip_info, read_clip, stream_frames
    from .clip_reading import read_videos
    from .clips import Clip, VideoSet
    from .frame_sampling import sample_frames
    from .frame_sizes import fit_frames
    from .frame_writing import write_gif, write_png

_NAMES = {
    "Clip": "clips",
    "ClipInfo": "clip_files",
    "VideoSet": "clips",
    "clip_info": "clip_files",
    "fit_frames": "frame_sizes",
    "read_clip": "clip_files",
    "read_videos": "clip_reading",
    "sample_frames": "frame_sampling",
    "stream_frames": "clip_files",
    "write_gif": "frame_writing",
    "write_png": "frame_writing",
}

__all__ = [
    "Clip",
    "ClipInfo",
    "VideoSet",
    "clip_info",
    "fit_frames",
    "read_clip",
    "read_videos",
    "sample_frames",
    "stream_frames",
    "write_gif",
    "write_png",
]

__getattr__, __dir__ = lazy_names(__name__, _NAMES)
