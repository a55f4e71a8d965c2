"""The microphone of `rnnkit transcribe --live`, with a package sounddevice that is made here."""

import sys
import types

import numpy as np
import pytest
import torch
from commands import call, refused_alone

import rnnkit
from rnnkit.data import train_tokenizer
from rnnkit.data.audio import FeatureNorm, Features, FeatureSettings
from rnnkit.recipes import open_recipe
from rnnkit.runs import folders
from rnnkit.tasks.speech import Transcriber
from rnnkit.tasks.speech_batches import SpeechFront

DEVICES = [
    {"name": "HDMI out", "max_input_channels": 0, "default_samplerate": 48000.0},
    {"name": "Built-in mic", "max_input_channels": 2, "default_samplerate": 48000.0},
    {"name": "USB headset", "max_input_channels": 1, "default_samplerate": 44100.0},
    {"name": "USB camera", "max_input_channels": 1, "default_samplerate": 16000.0},
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of speech whose network was never trained."""
    folder = tmp_path_factory.mktemp("mic") / "run"
    with folders.start("speech", open_recipe("speech"), folder):
        save(folder)
    return folder


def save(folder):
    front = SpeechFront(Features(FeatureSettings(rate=8000, bands=8)), FeatureNorm(8, "none"))
    model = rnnkit.SpeechRecognizer(rnnkit.GRU(8, 4), 6, front=rnnkit.CausalConv(8, 8))
    learner = rnnkit.Learner(model, objective="ctc")
    learner.extra = Transcriber(model, front, train_tokenizer("word", ["yes no"])).to_extra()
    learner.save(folder)


@pytest.fixture
def sounddevice(monkeypatch):
    """A package that records five blocks, of which the second and the fourth lost sound, and then Ctrl-C."""
    module = types.ModuleType("sounddevice")
    module.opened, module.rates = [], {8000, 16000}
    module.PortAudioError = type("PortAudioError", (Exception,), {})

    class InputStream:
        def __init__(self, **options):
            module.opened.append(options)
            self.left = 5

        def __enter__(self):
            return self

        def __exit__(self, *_):
            module.opened.append("closed")

        def read(self, count):
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
            return np.zeros((count, 1), np.float32), self.left in (3, 1)

    def query_devices(device=None, kind=None):
        return DEVICES[1] if kind == "input" else DEVICES

    def check_input_settings(samplerate, **_):
        if samplerate not in module.rates:
            raise module.PortAudioError("Invalid sample rate")

    module.InputStream, module.query_devices = InputStream, query_devices
    module.check_input_settings = check_input_settings
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    return module


def test_the_microphone_is_heard_and_lost_sound_is_told(run, sounddevice):
    result = call("transcribe", run, "--live", "--microphone")
    assert result.exit_code == 130, result.output
    options = {"samplerate": 8000, "channels": 1, "dtype": "float32", "blocksize": 800}
    assert sounddevice.opened == [{"device": None, **options}, "closed"]
    assert "sound was lost at 0.1 s" in result.stderr
    assert "sound was lost 2 times" in result.stderr
    assert "0.5 s of sound in" in result.stderr


def test_a_device_is_chosen_by_number_or_name(run, sounddevice):
    for given, number in (("2", 2), ("camera", 3), ("built-in", 1)):
        call("transcribe", run, "--live", "--input", given)
        assert sounddevice.opened[-2]["device"] == number
    assert refused_alone(
        call("transcribe", run, "--live", "--input", "usb"), "2 devices", "2 USB headset; 3 USB camera"
    )
    assert refused_alone(call("transcribe", run, "--live", "--input", "0"), "no device of that name records")
    result = call("transcribe", run, "--live", "--input", "list")
    assert result.stdout.splitlines() == [
        "1  Built-in mic  48000 Hz  (preferred)",
        "2  USB headset  44100 Hz",
        "3  USB camera  16000 Hz",
    ]


def test_a_device_records_at_its_own_rate_where_it_cannot_do_otherwise(run, sounddevice):
    sounddevice.rates = set()
    result = call("transcribe", run, "--live", "--input", "headset")
    assert sounddevice.opened[0]["samplerate"] == 44100
    assert "0.5 s of sound in" in result.stderr


def test_what_lacks_is_named_with_what_to_type(run, monkeypatch, sounddevice):
    def busy(**_):
        raise sounddevice.PortAudioError("Device unavailable")

    sounddevice.InputStream = busy
    assert refused_alone(call("transcribe", run, "--live", "--microphone"), "cannot be opened", "--input list")
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    result = call("transcribe", run, "--live", "--microphone")
    assert refused_alone(result, "pip install sounddevice", "arecord -r 8000 -f S16_LE -t raw | rnnkit transcribe")
    assert refused_alone(call("transcribe", run, "--microphone"), "--microphone arrived without --live")


def test_no_device_at_all(run, sounddevice, monkeypatch):
    monkeypatch.setattr(sounddevice, "query_devices", lambda device=None, kind=None: [])
    assert refused_alone(call("transcribe", run, "--live", "--microphone"), "no device records here")


def test_a_file_of_minutes_is_transcribed_in_pieces(run, tmp_path, monkeypatch):
    """The file is zeros that take no room on the disk."""
    from rnnkit.data.audio import write_wav

    write_wav(tmp_path / "long.wav", torch.zeros(8000), 8000)
    head = bytearray((tmp_path / "long.wav").read_bytes()[:44])
    size = 90 * 8000 * 2
    head[40:44], head[4:8] = size.to_bytes(4, "little"), (size + 36).to_bytes(4, "little")
    with (tmp_path / "long.wav").open("wb") as file:
        file.write(head)
        file.truncate(44 + size)
    heard = []
    monkeypatch.setattr(Transcriber, "__call__", lambda self, waveforms: pytest.fail("the whole is in memory"))
    monkeypatch.setattr(
        "rnnkit.tasks.speech_stream.Recognizer.push",
        lambda self, samples: heard.append(len(samples)) or types.SimpleNamespace(words=[], endpoint=False),
    )
    result = call("transcribe", run, tmp_path / "long.wav", "--json")
    assert result.exit_code == 0, result.output
    assert '"seconds": 90.0' in result.stdout
    assert sum(heard) == 90 * 8000
    assert max(heard) == 1600
