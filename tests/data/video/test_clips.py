"""Clips as users have them: folders of frames, animated pictures, video files, and what is wrong with them."""

import sys
import types
import zipfile
from fractions import Fraction

import numpy as np
import pytest
import torch
from clips import frames_of, write_animation, write_clips, write_frames
from PIL import Image

from rnnkit.data.images import split_pictures
from rnnkit.data.video import clip_info, fit_frames, read_clip, read_videos, sample_frames, stream_frames, write_gif
from rnnkit.errors import ConfigError, DataError, MissingExtraError


def test_frames_of_a_folder_are_ordered_by_their_numbers(tmp_path):
    frames = frames_of("left", 12)
    write_frames(tmp_path / "clip", frames)
    (tmp_path / "clip" / ".hidden.png").write_bytes(b"no picture")
    (tmp_path / "clip" / "notes.txt").write_text("notes")
    clip = read_clip(tmp_path / "clip", mode="L")
    assert np.array_equal(clip[:, 0].numpy(), frames)
    some = read_clip(tmp_path / "clip", mode="L", frames=[3, 3, 40])
    assert np.array_equal(some[:, 0].numpy(), frames[[3, 3, 11]])


@pytest.mark.parametrize(
    ("name", "options"),
    [("a.webp", {"lossless": True}), ("a.tiff", {}), ("a.png", {}), ("a.gif", {})],
)
def test_animated_pictures_are_read_frame_by_frame(tmp_path, name, options):
    frames = frames_of("right", 6)
    path = write_animation(tmp_path / name, frames, **options)
    info = clip_info(path)
    assert (info.frames, info.width, info.height) == (6, 16, 16)
    if name != "a.tiff":
        assert info.rate == pytest.approx(10)
    found = read_clip(path, mode="L")[:, 0].numpy()
    np.testing.assert_allclose(found, frames, atol=1)
    assert [tuple(frame.shape) for frame in stream_frames(path)] == [(3, 16, 16)] * 6


def test_an_animation_whose_frames_change_parts_alone_is_read_whole(tmp_path):
    pages = [Image.new("RGB", (20, 20), "black") for _ in range(3)]
    for number, page in enumerate(pages):
        page.paste("white", (0, 0, 4, 4 * (number + 1)))
    pages[0].save(tmp_path / "a.gif", save_all=True, append_images=pages[1:], duration=50, disposal=1)
    clip = read_clip(tmp_path / "a.gif", mode="L")
    assert [(frame > 128).sum().item() for frame in clip] == [16, 32, 48]


def test_sets_are_found_by_their_names(tmp_path):
    for part in ("train", "test"):
        for kind in ("left", "right"):
            write_animation(tmp_path / part / kind / "a.gif", frames_of(kind))
            write_frames(tmp_path / part / kind / "b", frames_of(kind))
    clips = read_videos(tmp_path)
    assert (len(clips), clips.classes, clips.parts, clips.layout) == (8, ("left", "right"), ("test", "train"), "labels")
    assert clips[0].id == "test/left/a"
    assert repr(clips.part("test")) == "VideoSet(4 clips, 2 classes, test 4)"
    assert clips.pixels(0, "L").shape == (1, 16, 16)
    assert len(read_videos(tmp_path / "train" / "left")) == 2
    assert read_videos(tmp_path / "train" / "left").layout == "plain"
    assert read_videos(tmp_path / "train" / "left" / "b")[0].id == "b"
    assert read_videos(tmp_path / "train" / "left", layout="plain").classes == ()
    grouped = read_videos(tmp_path, group=r"/([ab])$")
    train, test = split_pictures(grouped, (0.5, 0.5), by="group")
    assert not set(train.groups) & set(test.groups)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for file in (tmp_path / "train").rglob("*.*"):
            archive.write(file, file.relative_to(tmp_path))
    assert len(read_videos(tmp_path / "all.zip")) == 4


def test_pictures_of_one_frame_are_frames_and_not_clips(tmp_path):
    write_animation(tmp_path / "one.gif", frames_of("left", 1))
    frames = frames_of("left", 3)
    (tmp_path / "clip").mkdir()
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(tmp_path / "clip" / f"{number}.webp", lossless=True)
    clips = read_videos(tmp_path / "clip")
    assert (len(clips), clips.info(0).frames) == (1, 3)
    assert read_videos(tmp_path / "one.gif").findings == ("1 of 1 clips has a single frame: one.",)


def test_a_single_picture_beside_clips_is_no_clip(tmp_path):
    write_clips(tmp_path, 2)
    frame = frames_of("left")[0]
    Image.fromarray(frame).save(tmp_path / "preview.png")
    Image.fromarray(frame).save(tmp_path / "left" / "preview.png")
    clips = read_videos(tmp_path)
    assert clips.layout == "labels"
    assert clips.classes == ("left", "right")
    assert len(clips) == 4
    told = "2 of 6 clips and pictures are single pictures beside clips: left/preview.png, preview.png. Left out."
    assert clips.findings == (told,)


def test_faults_are_named_and_left_out(tmp_path):
    write_frames(tmp_path / "good" / "a", frames_of("left", 5))
    (tmp_path / "good" / "a" / "2.png").write_bytes(b"no picture")
    whole = (tmp_path / "good" / "a" / "4.png").read_bytes()
    (tmp_path / "good" / "a" / "4.png").write_bytes(whole[: len(whole) // 2])
    write_frames(tmp_path / "good" / "b", frames_of("left", 2))
    Image.new("L", (30, 20), 200).save(tmp_path / "good" / "b" / "1.png")
    path = write_animation(tmp_path / "bad" / "cut.gif", frames_of("right", 9))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    (tmp_path / "bad" / "empty.gif").write_bytes(b"")
    (tmp_path / "bad" / "nothing").mkdir()
    (tmp_path / "bad" / "wrong").mkdir()
    (tmp_path / "bad" / "wrong" / "1.jpg").write_bytes(b"no picture")
    clips = read_videos(tmp_path)
    told = " ".join(clips.findings)
    assert [one.id for one in clips] == ["bad/cut", "good/a", "good/b"]
    for part in (
        "hold no frame: bad/nothing" if "hold no" in told else "holds no frame: bad/nothing",
        "2 of 5 clips cannot be read, and are left out: bad/empty, bad/wrong.",
        "1 of 5 clips breaks off, and is read up to there: bad/cut.",
        "scaled to the first one's: good/b.",
        "2 frames cannot be read, and are left out: good/a/2.png, good/a/4.png.",
    ):
        assert part in told
    assert clips.clip(1, mode="L").shape == (3, 1, 16, 16)
    assert clips.clip(2, mode="L").shape == (2, 1, 16, 16)
    assert 1 <= len(clips.clip(0)) < 9


def test_a_table_names_clips_with_or_without_their_suffixes(tmp_path):
    write_animation(tmp_path / "videos" / "a.gif", frames_of("left"))
    write_frames(tmp_path / "videos" / "b", frames_of("right"))
    (tmp_path / "list.csv").write_text("video,action,person\na,left,ann\nb,right,bob\nc,right,bob\n", "utf-8")
    clips = read_videos(tmp_path)
    assert [(one.label, one.group) for one in clips] == [("left", "ann"), ("right", "bob")]
    assert clips.findings == ("1 of 3 clips cannot be read, and is left out: c.",)
    assert read_videos(tmp_path / "list.csv", label_column="person").classes == ("ann", "bob")
    (tmp_path / "list.csv").write_text("video,action\n,left\n", "utf-8")
    with pytest.raises(DataError, match="has no path of a clip"):
        read_videos(tmp_path / "list.csv")


def test_what_is_no_set_of_clips_is_refused(tmp_path):
    with pytest.raises(DataError, match="holds no clips; expected folders of frames"):
        read_videos(tmp_path)
    with pytest.raises(DataError):
        read_videos(tmp_path / "missing")
    write_animation(tmp_path / "a" / "1.gif", frames_of("left"))
    with pytest.raises(ConfigError, match="label_column arrived, but"):
        read_videos(tmp_path / "a" / "1.gif", label_column="x")
    with pytest.raises(ConfigError, match="layout"):
        read_videos(tmp_path, layout="coco")
    with pytest.raises(ConfigError, match="no id has it"):
        read_videos(tmp_path, group="(person.)")
    write_animation(tmp_path / "b" / "1.gif", frames_of("left"))
    with pytest.raises(DataError, match="which is none of classes"):
        read_videos(tmp_path, classes=["a"])
    (tmp_path / "text.gif").write_text("text")
    with pytest.raises(DataError, match=r"text\.gif"):
        read_clip(tmp_path / "text.gif")


def test_frames_are_sampled_from_the_beginning_to_the_end():
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        found = sample_frames(100, 10, generator=generator)
        assert [number // 10 for number in found] == list(range(10))
    assert sample_frames(7, 10) == list(range(7))
    assert sample_frames(9, 3, every=2) == [0, 2, 6]
    with pytest.raises(ConfigError, match="most=0"):
        sample_frames(9, 0)


@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
def test_frames_get_the_size_that_was_asked_for(fit):
    frames = torch.randint(256, (2, 3, 30, 47), dtype=torch.uint8)
    for size in ((16, 24), (24, 16), (64, 64)):
        found = fit_frames(frames, size, fit=fit)
        assert found.shape == (2, 3, *size)
        assert found.dtype == torch.uint8
    white = fit_frames(torch.full((1, 1, 30, 47), 255, dtype=torch.uint8), (20, 20), fit=fit)
    assert (white[0, 0] == 255).float().mean().item() == pytest.approx(13 / 20 if fit == "pad" else 1)


def test_the_digest_follows_the_frames_and_not_the_place(tmp_path):
    for name in ("one", "two"):
        write_frames(tmp_path / name / "clip", frames_of("left"))
    first = read_videos(tmp_path / "one").fingerprint()
    assert read_videos(tmp_path / "two").fingerprint() == first
    write_frames(tmp_path / "two" / "clip", frames_of("left", seed=1))
    assert read_videos(tmp_path / "two").fingerprint() != first


# --- video files ----------------------------------------------------------------------------------------------------


class _Container:
    """As PyAV's: a stream of pictures, frames that become arrays, and an end that may be damaged."""

    def __init__(self, frames, counted, breaks):
        stream = types.SimpleNamespace(
            frames=len(frames) if counted else 0, average_rate=Fraction(25), width=frames.shape[2],
            height=frames.shape[1],
        )  # fmt: skip
        self.streams = types.SimpleNamespace(video=[stream])
        self._frames, self._breaks = frames, breaks

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def decode(self, video):
        for number, frame in enumerate(self._frames):
            if self._breaks == number:
                raise OSError("Invalid data found when processing input")
            yield types.SimpleNamespace(to_ndarray=lambda format, frame=frame: _array(frame, format))


def _array(frame, format):
    return frame if format == "gray" else np.repeat(frame[:, :, None], {"rgb24": 3, "rgba": 4}[format], 2)


def made_av(frames, *, counted=True, breaks=None):
    """A module that stands for PyAV, which reads the given frames from any file but those named broken."""

    def open(path):
        if "broken" in path:
            raise ValueError("moov atom not found")
        return _Container(frames, counted, breaks)

    module = types.ModuleType("av")
    module.open = open
    return module


@pytest.mark.parametrize("counted", [True, False])
def test_video_files_are_read_by_pyav(tmp_path, monkeypatch, counted):
    frames = frames_of("left", 6)
    monkeypatch.setitem(sys.modules, "av", made_av(frames, counted=counted))
    for name in ("a.mp4", "b.MKV", "broken.avi"):
        (tmp_path / name).write_bytes(b"made")
    clips = read_videos(tmp_path)
    assert clips.findings == ("1 of 3 clips cannot be read, and is left out: broken.",)
    assert [one.id for one in clips] == ["a", "b"]
    assert (clips.info(0).frames, clips.info(0).rate) == (6, 25.0)
    assert np.array_equal(clips.clip(0, mode="L", frames=[1, 4])[:, 0].numpy(), frames[[1, 4]])
    assert clips.clip(1).shape == (6, 3, 16, 16)


def test_a_video_that_breaks_off_is_read_up_to_there(tmp_path, monkeypatch):
    frames = frames_of("left", 6)
    monkeypatch.setitem(sys.modules, "av", made_av(frames, breaks=4))
    (tmp_path / "a.mp4").write_bytes(b"made")
    found = read_clip(tmp_path / "a.mp4", mode="L", frames=[0, 3, 5])
    assert np.array_equal(found[:, 0].numpy(), frames[[0, 3, 3]])
    monkeypatch.setitem(sys.modules, "av", made_av(frames, breaks=0))
    with pytest.raises(DataError, match="cannot be read as a video"):
        read_clip(tmp_path / "a.mp4")
    with pytest.raises(DataError, match="there is no such file"):
        read_clip(tmp_path / "b.mp4")


def test_without_pyav_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    (tmp_path / "a.mp4").write_bytes(b"made")
    with pytest.raises(MissingExtraError, match=r"a\.mp4: video files need PyAV.*rnnkit\[video\]"):
        read_videos(tmp_path)


def test_a_written_animation_has_all_frames_also_where_they_are_alike(tmp_path):
    for channels in (1, 3):
        frames = torch.zeros(5, channels, 16, 20, dtype=torch.uint8)
        frames[2:, :, 3:6] = 200
        write_gif(frames, tmp_path / "a.gif", rate=5)
        assert clip_info(tmp_path / "a.gif").rate == 5
        assert torch.equal(read_clip(tmp_path / "a.gif", mode="RGB"), frames.expand(-1, 3, -1, -1))
    with pytest.raises(ConfigError, match=r"rate=0\.001"):
        write_gif(torch.zeros(2, 1, 4, 4), tmp_path / "b.gif", rate=0.001)
    with pytest.raises(DataError, match="no frame arrived"):
        write_gif([], tmp_path / "b.gif")
    with pytest.raises(DataError, match=r"\[2, 4, 4\] arrived"):
        write_gif(torch.zeros(3, 2, 4, 4), tmp_path / "b.gif")


def test_a_gif_that_is_cut_anywhere_is_read_up_to_there(tmp_path):
    path = write_animation(tmp_path / "a.gif", frames_of("right", 6))
    content, counts = path.read_bytes(), []
    for length in range(20, len(content), len(content) // 40):
        path.write_bytes(content[:length])
        try:
            counts.append(clip_info(path).frames)
        except DataError:
            counts.append(0)
        assert not counts[-1] or len(read_clip(path)) == counts[-1]
    assert counts == sorted(counts)
    assert {0, 1, 3, 5} <= set(counts)
