"""Sound files as users have them: every coding, headers that lie, files that are damaged or no sound."""

import io
import os
import struct
import threading
import warnings
import wave

import numpy as np
import pytest
import torch

from rnnkit.data.audio import audio_info, open_blocks, read_audio, write_wav
from rnnkit.errors import ConfigError, DataError, DataWarning, MissingExtraError

soundfile = pytest.importorskip("soundfile", reason="pip install 'rnnkit[audio]'")

SAMPLES = (np.sin(np.arange(4000) * 0.1) * np.linspace(0.1, 0.9, 4000)).astype(np.float32)
STEREO = np.stack([SAMPLES, SAMPLES[::-1] * 0.5], 1)


@pytest.fixture(autouse=True)
def _no_warnings():
    """A sound file gives no warning; those that must are in `pytest.warns`."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def wav(
    data=b"\x01\x02" * 400, *, coding=1, channels=1, rate=8000, block=2, bits=16, claim=None, before=b"", extra=b""
):
    """The bytes of a WAV file whose header says what it is told."""
    form = struct.pack("<HHIIHH", coding, channels, rate, 0, block, bits)
    claimed = struct.pack("<I", len(data) if claim is None else claim)
    chunks = before + b"fmt " + struct.pack("<I", len(form)) + form + b"data" + claimed + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def read(content, **arguments):
    return read_audio(io.BytesIO(content), **arguments)


@pytest.mark.parametrize("coded", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"])
@pytest.mark.parametrize("header", ["WAV", "WAVEX"])
def test_own_reader_agrees_with_soundfile(tmp_path, coded, header, monkeypatch):
    path = tmp_path / "a.wav"
    soundfile.write(path, STEREO, 11025, subtype=coded, format=header)
    expected = soundfile.read(path, dtype="float32")[0]
    monkeypatch.setattr("rnnkit.data.audio.sound_files.OtherFile", None)  # WAV needs no soundfile
    wave = read_audio(path, mono=False)
    assert (wave.rate, wave.channels, wave.seconds) == (11025, 2, 4000 / 11025)
    assert wave.samples.dtype == torch.float32
    np.testing.assert_array_equal(wave.samples.numpy(), expected.T)
    part = read_audio(path, start=0.1, seconds=0.2)
    np.testing.assert_allclose(part.samples.numpy(), expected.mean(1)[1102:3307], atol=1e-7)


@pytest.mark.parametrize(
    ("format", "coded"),
    [("FLAC", "PCM_16"), ("FLAC", "PCM_24"), ("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III"), ("AIFF", "PCM_16"),
     ("AU", "PCM_16"), ("RF64", "PCM_16"), ("WAV", "IMA_ADPCM"), ("NIST", "PCM_16"), ("W64", "PCM_16")],
)  # fmt: skip
def test_other_formats(tmp_path, format, coded):
    path = tmp_path / "a.bin"
    samples = SAMPLES if coded == "IMA_ADPCM" else STEREO
    soundfile.write(path, samples, 16000, subtype=coded, format=format)
    expected = soundfile.read(path, dtype="float32", always_2d=True)[0]
    wave = read_audio(path, mono=False)
    np.testing.assert_allclose(wave.samples.reshape(-1, len(expected)).numpy(), expected.T, atol=1e-6)
    part = read_audio(path, start=0.1, seconds=0.05)
    np.testing.assert_allclose(part.samples.numpy(), expected.mean(1)[1600:2400], atol=1e-5)


def test_suffix_does_not_decide(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, SAMPLES, 8000, format="FLAC")
    info = audio_info(path)
    assert (info.format, info.misnamed, info.frames) == ("FLAC", True, 4000)
    assert len(read_audio(path).samples) == 4000
    soundfile.write(tmp_path / "b.flac", SAMPLES, 8000)
    assert not audio_info(tmp_path / "b.flac").misnamed


def test_mono_is_the_mean(tmp_path):
    write_wav(tmp_path / "a.wav", torch.tensor([[0.5, 0.25], [0.0, 0.25]]), 8000)
    assert read_audio(tmp_path / "a.wav").samples.tolist() == [0.25, 0.25]
    assert read_audio(tmp_path / "a.wav", mono=False).samples.tolist() == [[0.5, 0.25], [0.0, 0.25]]


@pytest.mark.parametrize("bits", [16, 24, 32])
def test_what_is_written_is_read(tmp_path, bits):
    samples = torch.from_numpy(STEREO.T.copy())
    write_wav(tmp_path / "a.wav", samples, 44100, bits=bits)
    wave = read_audio(tmp_path / "a.wav", mono=False)
    assert wave.rate == 44100
    assert (wave.samples - samples).abs().max() <= {16: 0.51 / 32768, 24: 1e-7, 32: 0}[bits]
    loud = io.BytesIO()
    write_wav(loud, torch.tensor([2.0, -2.0, 0.0]), 8000, bits=bits)
    assert read(loud.getvalue()).samples[1:].tolist() == [-1.0, 0.0]


def test_standard_library_reads_what_is_written(tmp_path):
    write_wav(tmp_path / "a.wav", torch.zeros(2, 7), 22050)
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert file.getparams()[:4] == (2, 2, 22050, 7)


HEADERS = {
    "plain": (wav(), 400, "16 bit PCM"),
    "length unknown": (wav(claim=0xFFFFFFFF), 400, "16 bit PCM"),
    "length not written": (wav(claim=0), 400, "16 bit PCM"),
    "shorter than the file": (wav(claim=400), 200, "16 bit PCM"),
    "half a sample": (wav(claim=401), 200, "16 bit PCM"),
    "no bits": (wav(bits=0), 400, "16 bit PCM"),
    "no block": (wav(block=0), 400, "16 bit PCM"),
    "wrong block": (wav(block=7), 400, "16 bit PCM"),
    "12 bits": (wav(bits=12), 400, "16 bit PCM"),
    "20 bits": (wav(bytes(300), bits=20, block=3), 100, "24 bit PCM"),
    "24 bits in 32": (wav(bytes(400), bits=24, block=4), 100, "32 bit PCM"),
    "chunk before": (wav(before=b"LIST" + struct.pack("<I", 5) + b"abcde\0"), 400, "16 bit PCM"),
    "chunk of odd length": (wav(before=b"LIST" + struct.pack("<I", 5) + b"abcde"), 400, "16 bit PCM"),
    "many channels": (wav(bytes(1200), channels=300, block=600), 2, "16 bit PCM"),
}


@pytest.mark.parametrize("name", HEADERS)
def test_headers(name):
    content, frames, coded = HEADERS[name]
    info = audio_info(io.BytesIO(content))
    assert (info.frames, info.coded, info.truncated) == (frames, coded, False)
    assert len(read(content).samples) == frames


def test_24_bits_in_32_stand_at_the_top():
    assert read(wav(struct.pack("<i", 1 << 30), bits=24, block=4)).samples.tolist() == [0.5]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty: it has 0 bytes"),
        (wav(channels=0), "says 0 channels"),
        (wav(rate=0), "0 samples a second"),
        (wav(rate=4_000_000_000), "4,000,000,000 samples a second; expected at most 2,000,000"),
        (wav(bits=200, block=0), "says 200 bits a sample"),
        (wav(b""), "holds no samples: it has a header and nothing else"),
        (wav(b"\x01"), "holds no samples"),
        (wav(b"") + b"LIST" + struct.pack("<I", 40) + bytes(40), "holds no samples"),
        (wav()[:12], "it ends at byte 12, before its header ends"),
        (wav()[:30], "a format of less than 16 bytes"),
        (wav()[:40], "before its samples begin"),
        (wav(before=b"JUNK" + struct.pack("<I", 2**31)), "before its header ends"),
        (wav(coding=99), "is damaged or truncated"),
        (bytes(1000), "begins with zeros"),
        (b"path,label\n", "begins with the text 'path,label"),
        (b"<!DOCTYPE html><html>", "begins with the text '<!DOCTYPE html>"),
        (bytes(range(128, 200)), "begins with the bytes 80 81"),
        (b"\0\0\0\x20ftypM4A ", "MPEG-4 file .* type ffmpeg -i"),
        (b"\x1aE\xdf\xa3abcd", "Matroska or WebM"),
        (b"version https://git-lfs.github.com/spec/v1\n", "type git lfs pull"),
        (b"\x89PNG\r\n", "is a picture"),
        (b"\x1f\x8b\x08", "is a gzip archive"),
        (b"fLaC" + bytes(50), "the FLAC file is damaged"),
        (b"OggS" + bytes(50), "the OGG file is damaged"),
        (b"RIFX" + wav()[4:], "the WAV file is damaged"),
    ],
)  # fmt: skip
def test_what_is_no_sound(tmp_path, content, words):
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(DataError, match=words) as caught:
        read_audio(path)
    assert str(caught.value).startswith(str(path))
    assert "; " in str(caught.value)  # what to do


def test_truncated_wav_is_read_as_far_as_it_goes(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(wav(claim=10_000))
    assert audio_info(path).truncated
    with pytest.warns(
        DataWarning,
        match=r"a\.wav: the file is truncated or damaged: it holds 400 of the 5,000 samples that its header says",
    ):
        assert len(read_audio(path).samples) == 400


@pytest.mark.parametrize(
    ("form", "coded", "said"),
    [
        ("MP3", "MPEG_LAYER_III", r"it holds \d\d,\d+ of the 64,000 samples that its header says"),
        ("FLAC", "PCM_16", r"it holds \d\d,\d+ of the 64,000 samples that its header says"),
        ("AIFF", "PCM_16", r"it holds \d\d,\d+ of the 64,000 samples that its header says"),
        ("AU", "PCM_24", r"it holds \d\d,\d+ of the 64,000 samples that its header says"),
        ("OGG", "VORBIS", r"it breaks off after \d\d,\d+ samples"),
        ("OGG", "OPUS", r"it breaks off after \d\d,\d+ samples"),
    ],
)
def test_a_cut_file_is_read_with_a_warning(tmp_path, form, coded, said):
    path = tmp_path / "a"
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, 64_000)
    soundfile.write(path, noise, 16000, format=form, subtype=coded)
    whole = read_audio(path)  # without a warning
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.warns(DataWarning, match=f"a: the file is truncated or damaged: {said}. What is sound was read"):
        cut = read_audio(path)
    with open_blocks(path, seconds=0.5) as blocks, pytest.warns(DataWarning, match=said):
        assert sum(map(len, blocks)) == len(cut.samples) == blocks.info.frames
    assert blocks.info.truncated
    assert 10_000 < len(cut.samples) < 40_000
    torch.testing.assert_close(cut.samples[:10_000], whole.samples[:10_000], atol=1e-3, rtol=0)


def test_an_mp3_file_that_does_not_say_its_length_is_read_with_a_warning(tmp_path):
    path = tmp_path / "a.mp3"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.3, 0.3, 160_000), 16000)
    content = path.read_bytes()  # the first frame, of so many bytes, says how many frames follow
    rates = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
    path.write_bytes(content[72 * rates[content[2] >> 4] * 1000 // 16000 + (content[2] >> 1 & 1) :])
    with pytest.warns(DataWarning, match=r"only \d\d,\d+ samples of the MP3 file were read, .* type ffmpeg -i FILE"):
        found = read_audio(path).samples
    with open_blocks(path) as blocks, pytest.warns(DataWarning, match="it does not say how long it is"):
        assert sum(map(len, blocks)) == len(found)
    assert len(read_audio(path, start=1.0, seconds=1.0).samples) == 16_000


def test_a_flac_file_that_does_not_say_its_length_is_read_to_its_end(tmp_path):
    path = tmp_path / "a.flac"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, 30_000), 16000)
    whole, content = read_audio(path).samples, bytearray(path.read_bytes())
    content[21] &= 0xF0  # the number of samples, as an encoder that writes into a pipe leaves it
    content[22:26] = bytes(4)
    path.write_bytes(content)
    assert audio_info(path).frames == 30_000
    assert torch.equal(read_audio(path).samples, whole)


def test_damaged_flac_is_read_up_to_the_damage(tmp_path):
    path = tmp_path / "a.flac"
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 30_000)
    soundfile.write(path, noise, 16000)
    expected = soundfile.read(path, dtype="float32")[0]
    path.write_bytes(path.read_bytes()[:30_000])
    with pytest.warns(DataWarning, match="truncated or damaged"):
        wave = read_audio(path)
    assert 8000 < len(wave.samples) < 16_000
    np.testing.assert_array_equal(wave.samples.numpy(), expected[: len(wave.samples)])
    with pytest.warns(DataWarning, match="truncated or damaged"):
        part = read_audio(path, start=0.25)
    np.testing.assert_array_equal(part.samples.numpy(), expected[4000 : 4000 + len(part.samples)])


@pytest.mark.parametrize(
    ("values", "words"),
    [([0, np.nan], "NaN or infinity"), ([0, np.inf], "NaN or infinity"), ([0, 30_000], "floats up to 30,000; .*32768")],
)
def test_floats_that_are_no_waveform(tmp_path, values, words):
    soundfile.write(tmp_path / "a.wav", np.array(values, np.float32), 8000, subtype="FLOAT")
    with pytest.raises(DataError, match=words):
        read_audio(tmp_path / "a.wav")


def test_floats_beyond_one_are_cut(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.array([0, 1.5, -0.25], np.float32), 8000, subtype="FLOAT")
    with pytest.warns(DataWarning, match=r"samples reach 1\.5; they were cut at 1"):
        assert read_audio(tmp_path / "a.wav").samples.tolist() == [0, 1, -0.25]


def test_paths_that_are_no_files(tmp_path):
    with pytest.raises(DataError, match="there is no such file"):
        read_audio(tmp_path / "none.wav")
    with pytest.raises(DataError, match="is a folder; expected a sound file; read its files with read_clips"):
        read_audio(tmp_path)
    for wrong in (3, None, b"RIFF"):
        with pytest.raises(DataError, match="expected a path or an open binary file"):
            read_audio(wrong)
    with pytest.raises(DataError, match="open for text"):
        read_audio(io.StringIO("abc"))


def test_a_pipe_is_read():
    class Pipe(io.RawIOBase):
        def __init__(self, content):
            self._inner = io.BytesIO(content)

        def readable(self):
            return True

        def readinto(self, buffer):
            return self._inner.readinto(buffer)

    assert len(read_audio(io.BufferedReader(Pipe(wav(claim=0xFFFFFFFF)))).samples) == 400


def test_arguments():
    with pytest.raises(DataError, match=r"start=5 arrived; the file ends at 0\.050 seconds"):
        read(wav(), start=5)
    for name, value in (("start", -1), ("rate", 0), ("rate", 8000.5), ("seconds", 0), ("seconds", -2)):
        with pytest.raises(ConfigError, match=name):
            read(wav(), **{name: value})
    assert len(read(wav(), seconds=99).samples) == 400
    assert read(wav(), rate=16000).samples.shape == (800,)
    with pytest.raises(ConfigError, match=r"bits=8 arrived; expected 16, 24 or 32"):
        write_wav(io.BytesIO(), torch.zeros(3), 8000, bits=8)
    for wrong in (torch.zeros(3, dtype=torch.int16), torch.zeros(1, 1, 3), torch.tensor([float("nan")])):
        with pytest.raises(DataError, match="samples"):
            write_wav(io.BytesIO(), wrong, 8000)


def test_without_soundfile(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.flac", SAMPLES, 8000)
    monkeypatch.setitem(__import__("sys").modules, "soundfile", None)
    with pytest.raises(MissingExtraError, match=r"FLAC files need soundfile; type pip install 'rnnkit\[audio\]'"):
        read_audio(tmp_path / "a.flac")


def test_a_named_pipe(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: path.write_bytes(wav()))
    writer.start()
    assert len(read_audio(path).samples) == 400
    writer.join()
