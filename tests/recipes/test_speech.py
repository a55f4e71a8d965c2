"""The recipe for speech and what is done with its runs, on made sound: tones as words."""

import json
import re
from dataclasses import replace

import pytest
import torch
from commands import call, refused_alone, validates_again
from sounds import RATE, SMALL, sentence, write_folder

from rnnkit.data.audio import read_audio, write_wav
from rnnkit.errors import DataError
from rnnkit.recipes import open_recipe
from rnnkit.recipes.speech_data import SpeechData
from rnnkit.tasks.speech import load_transcriber


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run on tones as words, and the folder that it learned from."""
    folder = tmp_path_factory.mktemp("speech")
    write_folder(folder / "sounds", 50)
    settings = [part for one in SMALL.split() for part in ("--set", one)]
    result = call("train", "speech", folder / "sounds", *settings, "--out", folder / "run")
    assert result.exit_code == 0, result.output
    return folder / "run", folder / "sounds"


def test_a_run_learns_and_reports(trained):
    run, _ = trained
    metrics = json.loads((run / "metrics.json").read_text())
    assert validates_again(run)
    assert metrics["test"]["wer"] < 0.2
    assert metrics["rows"] == {"train": 40, "validation": 5, "test": 5}
    assert "word error rate of validation (5 recordings" in metrics["chosen_on"]
    header, *rows = (run / "predictions.csv").read_text().splitlines()
    assert header == "test,number,text,prediction,wer,confidence,seconds"
    assert len(rows) == 5
    page = (run / "report.html").read_text()
    for part in ("What the network heard", "data:audio/wav;base64", "seconds that were heard", "Learning curves"):
        assert part in page
    assert (run / "confusions.png").exists()
    assert "val_wer" in (run / "history.csv").read_text()


def test_evaluate_gives_the_same_figures_and_takes_other_recordings(trained, tmp_path):
    run, _ = trained
    metrics = json.loads((run / "metrics.json").read_text())
    result = call("evaluate", run)
    assert result.exit_code == 0, result.output
    assert f"Word error rate: {metrics['test']['wer']:.4g}" in result.stdout
    others = write_folder(tmp_path / "others", 6, seed=7)
    result = call("evaluate", run, others)
    assert result.exit_code == 0, result.output
    assert "Words: 12" in result.stdout
    assert "Real time factor: " in result.stdout
    assert "latency" not in result.stdout  # nobody knows where the words end
    assert (run / "confusions-others.png").exists()


def test_predict_names_what_is_said(trained):
    run, sounds = trained
    result = call("predict", run, sounds / "002.wav", sounds / "003.wav")
    assert result.exit_code == 0, result.output
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert [line[0] for line in lines] == [str(sounds / "002.wav"), str(sounds / "003.wav")]
    assert lines[1][1] == (sounds / "003.txt").read_text().lower().rstrip(".")


def test_transcribe_files_folders_and_standard_input(trained, tmp_path, monkeypatch):
    run, sounds = trained
    text = (sounds / "003.txt").read_text().lower().rstrip(".")
    assert call("transcribe", run, sounds / "003.wav").stdout == f"{text}\n"
    assert call("transcribe", run, "--data", sounds / "003.wav").stdout == f"{text}\n"
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("b10.wav", "b9.wav"):
        (folder / name).write_bytes((sounds / "003.wav").read_bytes())
    lines = call("transcribe", run, folder).stdout.splitlines()
    assert lines == [f"{folder / name}\t{text}" for name in ("b9.wav", "b10.wav")]
    result = call("transcribe", run, sounds / "003.wav", "--json", "--out", tmp_path / "out.jsonl")
    assert result.exit_code == 0
    found = json.loads((tmp_path / "out.jsonl").read_text())
    assert found["text"] == text
    assert [word["word"] for word in found["words"]] == text.split()
    assert all(0 <= word["start"] <= word["end"] <= found["seconds"] for word in found["words"])
    assert all(0 < word["confidence"] <= 1 for word in found["words"])
    result = piped(monkeypatch, (sounds / "003.wav").read_bytes(), "transcribe", run)
    assert result.stdout == f"{text}\n"


def piped(monkeypatch, data, *arguments):
    """A command whose standard input is a pipe that holds bytes."""
    from typer.testing import CliRunner

    from rnnkit.cli import standard_input
    from rnnkit.cli.main import app

    monkeypatch.setattr(standard_input, "is_piped", lambda: True)
    return CliRunner().invoke(app, [str(one) for one in arguments], input=data)


def test_a_file_that_is_silent_clipped_or_misnamed_is_told(trained, tmp_path):
    write_wav(tmp_path / "silent.wav", torch.zeros(8000), RATE)
    result = call("transcribe", trained[0], tmp_path / "silent.wav")
    assert result.exit_code == 0, result.output
    assert "silent.wav: is silent: all of it is 0; look at the microphone" in " ".join(result.output.split())
    write_wav(tmp_path / "loud.mp3", (torch.sin(torch.arange(16000) * 0.3) * 2).clamp(-1, 1), RATE)
    result = call("transcribe", trained[0], tmp_path / "loud.mp3")
    assert result.exit_code == 0, result.output
    told = " ".join(result.output.split())
    assert "loud.mp3: is clipped: 67% of its samples; look at the microphone and its level" in told
    assert "loud.mp3: has the suffix of another format, and is read by its content: WAV; rename it" in told


def test_transcribe_live_tells_words_as_they_come(trained, monkeypatch):
    run, sounds = trained
    text = call("transcribe", run, sounds / "005.wav").stdout.strip()
    assert text
    samples = read_audio(sounds / "005.wav").samples
    integers = (samples * 32767).to(torch.int16).numpy().tobytes()
    result = piped(monkeypatch, integers, "transcribe", run, "--live")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{text}\n"
    assert "of real time); the slowest piece took " in result.stderr
    floats = samples.numpy().tobytes()
    result = piped(monkeypatch, floats, "transcribe", run, "--live", "--json", "--format", "f32", "--rate", RATE)
    partials = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(partials) > 1
    assert partials[-1]["endpoint"]
    assert [word["word"] for partial in partials for word in partial["words"]] == text.split()
    result = piped(monkeypatch, (sounds / "005.wav").read_bytes(), "transcribe", run, "--live")
    assert refused_alone(result, "is a sound file", "leave --live out")
    for mark in (b"FORM0000AIFF", b".snd", b"ID3"):
        result = piped(monkeypatch, mark + bytes(80), "transcribe", run, "--live")
        assert refused_alone(result, "is a sound file", "leave --live out")
    result = piped(monkeypatch, integers, "transcribe", run, "--live", "--format", "f32")
    assert refused_alone(result, "no floats from -1 to 1", "integers of 16 bits")
    for rate in (-5, 0, 16, 10**9):
        result = piped(monkeypatch, integers, "transcribe", run, "--live", "--rate", rate)
        assert refused_alone(result, f"--rate {rate} arrived; expected samples a second, such as 8000")


def test_the_search_is_chosen_where_words_are_written(trained, tmp_path, monkeypatch):
    run, sounds = trained
    text = call("transcribe", run, sounds / "005.wav").stdout.strip()
    assert {"mid", "high"} & set(text.split())
    (tmp_path / "words.txt").write_text("low\nhigh\n")
    for option in (("--words", tmp_path / "words.txt"), ("--set", f"decode.words={tmp_path / 'words.txt'}")):
        result = call("transcribe", run, sounds / "005.wav", *option)
        assert result.exit_code == 0, result.output
        assert set(result.stdout.split()) <= {"low", "high"}
        integers = (read_audio(sounds / "005.wav").samples * 32767).to(torch.int16).numpy().tobytes()
        assert piped(monkeypatch, integers, "transcribe", run, "--live", *option).stdout == result.stdout
    for option, value, said in (
        ("--width", 0, "--width=0 arrived; expected a whole number of at least 1"),
        ("--width", -1, "--width=-1 arrived; expected a whole number of at least 1"),
        ("--set", "decode.width=0", "decode.width=0 arrived; expected at least 1"),
        ("--lm", "", "decode.lm='' arrived; expected a path"),
        ("--words", "", "decode.words='' arrived; expected a path"),
    ):
        assert refused_alone(call("transcribe", run, sounds / "005.wav", option, value), said)
    twice = ("--width", 4, "--set", "decode.width=8")
    assert refused_alone(call("transcribe", run, sounds / "005.wav", *twice), "decode.width arrived twice")
    other = ("--set", "seed=1")
    assert refused_alone(call("transcribe", run, sounds / "005.wav", *other), "expected decode.NAME")
    assert refused_alone(call("evaluate", run, sounds, *other), "expected decode.NAME")


def test_nothing_that_is_read_is_overwritten(trained, tmp_path):
    run, sounds = trained
    (tmp_path / "a.wav").write_bytes((sounds / "003.wav").read_bytes())
    before = (tmp_path / "a.wav").read_bytes()
    for read in (tmp_path / "a.wav", tmp_path):
        assert refused_alone(call("transcribe", run, read, "--out", tmp_path / "a.wav"), "is data that is read")
    assert (tmp_path / "a.wav").read_bytes() == before
    result = call("transcribe", run, sounds / "003.wav", "--out", run / "model.safetensors")
    assert refused_alone(result, "lies in the run's folder")
    assert load_transcriber(run)


def test_align_tells_when_the_words_of_a_text_are_said(trained, tmp_path):
    run, sounds = trained
    text = (sounds / "003.txt").read_text()
    words = text.lower().rstrip(".").split()
    result = call("align", run, sounds / "003.wav")  # the text stands beside the file
    assert result.exit_code == 0, result.output
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert [row[2] for row in rows] == words
    times = [float(time) for row in rows for time in row[:2]]
    assert times == sorted(times)
    assert all(0 < float(row[3]) <= 1 for row in rows)
    transcript = load_transcriber(run)([read_audio(sounds / "003.wav").samples])[0]
    if transcript.text.split() == words:  # the likeliest path of the text is the likeliest of all
        assert [float(row[0]) for row in rows] == pytest.approx([word.start for word in transcript.words], abs=1e-3)
    assert call("align", run, sounds / "003.wav", text.upper()).stdout == result.stdout
    assert call("align", run, "--data", sounds / "003.wav", text.upper()).stdout == result.stdout
    assert refused_alone(call("align", run, sounds / "003.wav", "--data", sounds), "expected one of them")
    assert refused_alone(call("align", run), "no file arrived; type `rnnkit align")
    named = call("align", run, sounds, "--json")
    assert named.exit_code == 0, named.output
    assert len(named.stdout.splitlines()) == 50
    result = call("align", run, sounds / "003.wav", "--out", tmp_path / "labels.txt")
    assert (tmp_path / "labels.txt").read_text().splitlines()[0].endswith(f"\t{words[0]}")
    assert call("align", run, sounds, "--out", tmp_path / "words.csv").exit_code == 0
    assert (tmp_path / "words.csv").read_text().startswith("file,start,end,word,confidence\n")


def test_align_says_what_it_cannot_align(trained, tmp_path):
    run, sounds = trained
    (tmp_path / "alone.wav").write_bytes((sounds / "003.wav").read_bytes())
    assert refused_alone(call("align", run, tmp_path / "alone.wav"), "type `rnnkit align", '"WHAT IS SAID"`')
    assert refused_alone(call("align", run, sounds, "low"), "leave the text out")
    assert refused_alone(call("align", run, sounds, "--out", tmp_path / "labels.txt"), "of one recording")
    assert refused_alone(call("align", run, sounds, "--json", "--out", tmp_path / "a.csv"), "expected one of them")
    for text, told in (
        ("qqq", "which the tokenizer lacks"),
        ("!", "has no word"),
        ("low " * 200, "frames arrived for"),
    ):
        result = call("align", run, sounds / "003.wav", text)
        assert result.exit_code == 1
        assert told in " ".join(result.stderr.split())


def test_transcribe_live_with_a_detector_hears_what_it_hears(trained, monkeypatch):
    run, sounds = trained

    class All:
        """A detector that hears speech everywhere."""

        def stream(self, *, rate):
            from rnnkit.tasks.voice_stream import VoiceEvent

            class Stream:
                def reset(self):
                    self.told = False

                def push(self, samples):
                    events, self.told = [] if self.told else [VoiceEvent("start", 0.0, 0.0, 1.0)], True
                    return events

                def flush(self):
                    return []

            return Stream()

    monkeypatch.setattr("rnnkit.tasks.voice_activity.load_voice_detector", lambda path, device: All())
    integers = (read_audio(sounds / "005.wav").samples * 32767).to(torch.int16).numpy().tobytes()
    expected = piped(monkeypatch, integers, "transcribe", run, "--live").stdout
    result = piped(monkeypatch, integers, "transcribe", run, "--live", "--vad", run)
    assert result.exit_code == 0, result.output
    assert result.stdout == expected


def test_transcribe_says_what_to_type(trained, tmp_path, monkeypatch):
    run, sounds = trained
    assert refused_alone(call("transcribe", run, sounds / "003.wav", "--live"), "one of them")
    assert refused_alone(call("transcribe", run, sounds / "003.wav", "--rate", 8000), "leave --rate out")
    assert refused_alone(call("transcribe", run, "--live", "--format", "s8"), "s16 or f32")
    (tmp_path / "empty").mkdir()
    assert refused_alone(call("transcribe", run, tmp_path / "empty"), "no sound files")
    vad = ("--vad", tmp_path / "nowhere")
    assert refused_alone(call("transcribe", run, sounds / "003.wav", *vad), "does not exist; expected the folder of a")
    assert "standard input: nothing arrived; expected a sound file" in piped(monkeypatch, b"", "transcribe", run).stderr
    assert "standard input: the file is no sound" in piped(monkeypatch, b"text", "transcribe", run).stderr
    (tmp_path / "bad.wav").write_bytes(b"RIFF")
    result = call("transcribe", run, tmp_path / "bad.wav", sounds / "003.wav")
    assert result.exit_code == 1
    assert "bad.wav" in result.stderr
    assert str(sounds / "003.wav") in result.stdout


@pytest.mark.parametrize("chunk", [1, 160, 8000])
def test_a_stream_loses_no_last_word(trained, chunk):
    run, _ = trained
    transcriber = load_transcriber(run)
    whole = sentence("low high mid", seed=77)
    cut = whole[: len(whole) - round(0.06 * RATE)]  # the sound ends with the last word
    if chunk == 1:
        cut = cut[-2600:]
    expected = transcriber([cut])[0].text
    assert expected.split()[-1] == "mid"
    recognizer = transcriber.stream()
    for part in cut.split(chunk):
        recognizer.push(part)
    assert recognizer.flush().text == expected


def test_fine_tuning_learns_a_new_word_and_tells_what_is_forgotten(trained, tmp_path):
    run, _ = trained
    sounds = tmp_path / "new"
    sounds.mkdir()
    for number in range(8):
        generator = torch.Generator().manual_seed(number)
        noise = 0.2 * torch.randn(1600, generator=generator)
        write_wav(sounds / f"{number}.wav", torch.cat([torch.zeros(400), noise, torch.zeros(400)]), RATE)
        (sounds / f"{number}.txt").write_text("hiss")
    result = call(
        "finetune",
        run,
        sounds,
        "--set",
        "epochs=20",
        "--set",
        "lr=0.01",
        "--set",
        "batch_size=2",
        "--out",
        tmp_path / "tuned",
    )
    assert result.exit_code == 0, result.output
    assert "New words to write (1): hiss" in result.output
    report = json.loads((tmp_path / "tuned" / "report.json").read_text())
    assert report["new"]["before"]["wer"] == 1
    assert report["new"]["after"]["wer"] < 0.5
    assert set(report["old"]["after"]) == {"wer", "cer"}
    transcriber = load_transcriber(tmp_path / "tuned")
    assert transcriber.tokenizer.tokens[-1] == "hiss"
    assert call("transcribe", tmp_path / "tuned", sounds / "0.wav").stdout == "hiss\n"


def test_what_is_wrong_with_recordings_is_told(tmp_path):
    folder = write_folder(tmp_path / "sounds", 12)
    write_wav(folder / "short.wav", torch.zeros(200), RATE)
    (folder / "short.txt").write_text("low mid high low mid high low mid high")
    (folder / "001.txt").write_text("...")
    recipe = open_recipe("speech")
    data = SpeechData(path=str(folder), tokens="word", validation=0, test_share=0)
    write_wav(folder / "silent.wav", torch.zeros(8000), RATE)
    (folder / "silent.txt").write_text("low")
    write_wav(folder / "loud.wav", (sentence("mid") * 20).clamp(-1, 1), RATE)
    (folder / "loud.txt").write_text("mid")
    (folder / "twice.wav").write_bytes((folder / "002.wav").read_bytes())
    (folder / "twice.txt").write_text("high high high")
    prepared = replace(recipe, data=data, decode=replace(recipe.decode, tail=0.0)).prepare()
    told = " ".join(prepared.findings())
    assert "train: 1 recording with a transcript without a word is left out: 001." in told
    assert "train: 1 recording too short for the transcript is left out: short." in told
    assert re.search(r"train: 2 of 15 clips are silent: .*silent", told)
    assert re.search(r"train: 1 of 15 clips is clipped: loud \(\d+% of its samples\)", told)
    assert "train: 1 sound has different transcripts or labels: 002 = twice." in told
    few = tmp_path / "few.csv"
    few.write_text(f"path,text\n{folder / '000.wav'},low\n{folder / 'gone.wav'},mid\n")
    with pytest.raises(DataError, match=r"1 clip arrived; .*1 of 2 clips cannot be read, .*gone.wav"):
        replace(recipe, data=SpeechData(path=str(few))).prepare()
    for text in folder.glob("*.txt"):
        text.unlink()
    with pytest.raises(Exception, match=r"no recording to learn from .* is left; put a \.txt file beside each"):
        replace(recipe, data=data).prepare()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("model.strides=0,2", "model.kernel_sizes=9,7 and model.strides=0,2 arrived"),
        ("model.strides=1,1,1", "expected one of each for every convolution"),
        ("decode.lm=nowhere.arpa", "nowhere.arpa: there is no such file"),
        ("features.kind=mfcc features.bands=12", "expected at least as many bands"),
        ("features.rate=16", "features.rate=16 arrived; expected samples a second"),
        ("model.head=attention decode.lm=nowhere.arpa", "leave it out, or train with model.head=ctc"),
        ("data.validation=0 fit.early_stopping=2", "add --set data.validation=0.1"),
        ("data.tokens=bpe data.vocabulary=3", "data.vocabulary=3 arrived"),
        ("data.longest=0.01", "take a larger data.longest"),
        ("data.layout=kaldi", "holds no wav.scp; type --set data.layout=auto"),
        ("data.test_share=0.45 data.validation=0.45", "2 clips arrived; expected at least 3"),
        ("data.by=speaker", "2 of 2 clips have no speaker; "),
    ],
)
def test_settings_that_cannot_be_used_are_refused_before_there_is_a_run_folder(tmp_path, settings, words):
    write_folder(tmp_path / "sounds", 2 if settings.startswith(("data.test", "data.by")) else 8)
    changes = [part for one in settings.split() for part in ("--set", one)]
    assert refused_alone(call("train", "speech", tmp_path / "sounds", *changes, "--out", tmp_path / "run"), words)
    assert not (tmp_path / "run").exists()


def test_transcripts_are_written_as_they_are_spoken():
    data = SpeechData()
    assert data.written("  Don’t  stop — the well-known “ACT”! ") == "don't stop the well-known act"
    assert data.written("你好，世界。") == "你好 世界"
    assert SpeechData(lowercase=False, marks=True).written("Hi, there.") == "Hi, there."
