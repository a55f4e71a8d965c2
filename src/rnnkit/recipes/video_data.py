"""The clips of a run: read, divided, and what is found in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from rnnkit.data.sentences import UNREADABLE, sentence
from rnnkit.errors import DataError
from rnnkit.recipes.picture_data import PictureData
from rnnkit.tasks.ranges import Count

if TYPE_CHECKING:
    from torch import Tensor

    from rnnkit.data.images import PictureSet
    from rnnkit.data.video import VideoSet
    from rnnkit.tasks.video import ClipClassifier
    from rnnkit.tasks.video_batches import HeldClips


@dataclass(frozen=True)
class VideoData(PictureData):
    """Clips, and how they are divided.

    Attributes:
        path: a folder, table or archive of clips; see ``rnnkit.data.video.read_videos``. A name that is not here is
            looked for in the folder RNNKIT_DATA.
        test: the test data, as `path`; none takes the test part of the set, or holds `test_share` back.
        test_share: share of the clips held back for the test.
        validation: share of the clips to choose the epoch by.
        by: whether the clips of a group, such as a person, a camera or a scene, are in one part alone (group), clips
            are drawn at random, or follow from their names alone (hash), so that later ones move no others; auto takes
            group where each clip has one and there are five or more.
        layout: how the clips lie: a folder a class (labels), a table, or plain; auto looks.
        group: a regular expression whose first group, found in a clip's id, is the person, camera or scene that it
            comes from.
        label_column: of a table, the column of the classes, where its name does not say it.
        every: 2 takes every second frame.
    """

    columns: ClassVar[tuple[str, ...]] = ("path_column", "label_column", "group_column", "part_column")
    nouns: ClassVar[str] = "clips"

    # Pictures have other layouts; clips of which nothing is known serve to predict frames.
    layout: Literal["auto", "labels", "table", "plain"] = "auto"  # type: ignore[assignment]
    label_column: str | None = None
    every: Count = 1

    def reader(self) -> Callable[..., PictureSet]:
        """Return the function that finds what lies at a path."""
        from rnnkit.data.video import read_videos

        return read_videos


@dataclass(frozen=True)
class ClassData(VideoData):
    """Clips with their classes.

    Attributes:
        frames: those that the network sees of a clip, at most; longer clips are sampled from their beginning to their
            end, at other places in each epoch.
    """

    frames: Count = 16


def with_classes(clips: PictureSet) -> tuple[PictureSet, list[str]]:
    """Return the clips whose class is known, and a sentence about the others.

    Args:
        clips: them.

    Raises:
        DataError: none is left.
    """
    lacking = [one.id for one in clips if one.label is None]
    if len(lacking) == len(clips):
        told = " ".join(clips.findings)
        loose = [one.id for one in clips if "/" not in one.id]
        if len(loose) < len(clips) and loose:
            phrase = ("lies in no folder of a class", "lie in no folder of a class")
            told = f"{told} {sentence(phrase, loose, len(clips), 'clips')}".strip()
        raise DataError(
            f"{clips.source}: no clip has a class. {told + ' ' if told else ''}Put clips into a folder for each class, "
            "or name a table with the columns path and label"
        )
    if not lacking:
        return clips, []
    kept = clips.subset(lambda one: one.label is not None)
    return kept, [sentence(("has no class", "have no class"), lacking, len(clips), "clips") + " Left out."]


def hold_clips(
    clips: PictureSet, classifier: ClipClassifier, *, known: Sequence[str] | None = None, part: str = ""
) -> tuple[HeldClips, list[str]]:
    """Read the frames of clips whose class is known.

    Args:
        clips: them.
        classifier: says which frames, of which size.
        known: the classes of the network; None: any.
        part: for sentences.

    Returns:
        The clips, and sentences about those that were left out.

    Raises:
        DataError: a clip of an unknown class, or none can be read.
    """
    from rnnkit.tasks.video_batches import HeldClips

    clips, findings = with_classes(clips)
    videos = as_videos(clips)
    frames: list[Tensor] = []
    kept, damaged = [], []
    for index, clip in enumerate(videos):
        if known is not None and clip.label not in known:
            shown = ", ".join(list(known)[:10])
            raise DataError(f"{clip.path} is of the class {clip.label!r}; the model knows {shown}")
        try:
            frames.append(classifier.read(clip.path, videos.info(index)))
            kept.append(clip)
        except DataError:
            damaged.append(clip.id)
    if damaged:
        before = f"{part}: " if part else ""
        findings.append(before + sentence(UNREADABLE, damaged, len(videos), "clips"))
    if not kept:
        raise DataError(f"{clips.source}: no clip can be read. {' '.join(findings)}")
    labels, names = [str(one.label) for one in kept], [one.id for one in kept]
    return HeldClips(frames, labels, names, most=classifier.frames), findings


def equal_clips(parts: Mapping[str, HeldClips]) -> list[str]:
    """Return sentences about clips that are the same, in one part or in several.

    Args:
        parts: clips by the name of their part.
    """
    from rnnkit.data.images.doubtful_pictures import Seen, digest_of, equal_findings

    seen = [
        Seen(name, part, digest_of(clip), label)
        for part, held in parts.items()
        for name, label, clip in zip(held.names, held.texts, held.clips, strict=True)
    ]
    return equal_findings(seen, "clips")


def as_videos(clips: PictureSet) -> VideoSet:
    """Return the set as one of clips, which the reader of clips has made."""
    from rnnkit.data.video import VideoSet

    assert isinstance(clips, VideoSet)
    return clips
