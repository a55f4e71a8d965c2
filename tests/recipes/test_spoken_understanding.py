"""Intents of speech by one network, and by a recogniser with a model of texts behind it, on tones as words."""

import json

import pytest
from commands import call, refused, refused_alone
from empty_pictures import pictures_saved_empty
from sounds import RATE, TONES, sentence, sentences, tone, write_folder

from rnnkit.data.audio import Waveform, read_clips, write_wav
from rnnkit.data.audio.spoken_commands import CommandSettings, make_commands
from rnnkit.recipes.spoken_cascade import read_tagged_speech

SMALL = (
    "features.bands=12 features.hop_ms=20 features.norm=training model.hidden_size=24 model.num_layers=1 "
    "model.channels=24 model.kernel_sizes=3 model.strides=2 model.dropout=0 model.front_dropout=0 fit.batch_size=4 "
    "fit.lr=0.01 fit.average=none augment.room=0 augment.warp=0 augment.speed=0 augment.time_masks=0 "
    "augment.band_masks=0 augment.noise=0 augment.tilt=0"
)
VARIANTS = tuple(f"v{number}" for number in range(8))
INTENTS = {"low": "close", "mid": "ask", "high": "open"}


def train(recipe, data, run, *settings):
    result = call("train", recipe, data, *(part for one in settings for part in ("--set", one)), "--out", run)
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def commands(tmp_path_factory):
    """Commands of two intents, each of which is a tone of its own; espeak-ng need not be there."""

    def beep(text, voice, speed, pitch):
        return Waveform(tone("high" if "light" in text else "low", 0.3, seed=speed), RATE)

    settings = CommandSettings(
        32, 8, 0, RATE, ("lights_on", "music_stop"), (30.0, 40.0), VARIANTS[:6], VARIANTS[6:], ("en",)
    )
    return make_commands(tmp_path_factory.mktemp("commands") / "made", settings, synthesize=beep)


def test_one_network_learns_intents_and_is_judged_on_voices_that_it_has_not_heard(commands, tmp_path):
    run = tmp_path / "run"
    result = train("spoken-intents", commands, run, *SMALL.split(), "fit.epochs=3")
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["test"]["accuracy"] > 0.8
    assert "test.jsonl" in metrics["split"]
    assert "of speakers that no other part has" in metrics["split"]  # of the validation
    header, *rows = (run / "voices.csv").read_text().splitlines()
    assert header == "speaker,recordings,accuracy"
    assert {row.split(",")[0] for row in rows} == {"v6", "v7"}
    assert "is understood worst" in result.stdout
    assert json.loads((run / "recipe.json").read_text())["settings"]["model"]["pooling"] == "attention"
    again = call("evaluate", run)
    assert f"Accuracy: {metrics['test']['accuracy']:.2%}" in again.stdout, again.output
    assert call("evaluate", run, commands).stdout == again.stdout  # the folder's test.jsonl
    clip = read_clips(commands / "test.jsonl")[0]
    assert call("predict", run, clip.path).stdout.split("\t")[1] in ("lights_on", "music_stop")


def test_without_a_path_and_without_espeak_the_error_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("RNNKIT_CACHE", str(tmp_path))
    result = call("train", "spoken-intents", "--out", tmp_path / "run")
    assert refused_alone(result, "espeak-ng", "apt install espeak-ng")
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory):
    """A recogniser of tones as words, a model of intents of these words, and recordings to judge both by."""
    folder = tmp_path_factory.mktemp("cascade")
    settings = ("data.tokens=word", "fit.epochs=10", "decode.tail=0.2", "data.test_share=0")
    with pictures_saved_empty():
        train("speech", write_folder(folder / "sounds", 50), folder / "hears", *SMALL.split(), *settings)
    texts = sentences(20, most=3)
    lines = [json.dumps(meant(text)) for text in texts]
    (folder / "texts.jsonl").write_text("\n".join(lines))
    small = ("model.hidden_size=12", "model.word_size=12", "model.filters=6", "fit.epochs=10", "fit.batch_size=4")
    others = ("fit.lr=0.03", "fit.average=none", "data.validation=0", "data.test_share=0")
    with pictures_saved_empty():
        train("intents", folder / "texts.jsonl", folder / "understands", *small, *others)
    rows = []
    for number, text in enumerate(sentences(8, seed=3)):
        write_wav(folder / f"{number}.wav", sentence(text, 300 + number), RATE)
        rows.append(json.dumps({"path": f"{number}.wav", **meant(text)}))
    (folder / "spoken.jsonl").write_text("\n".join(rows))
    return folder


def meant(text):
    """The first word is the intent; a last one behind it is a slot."""
    words = text.split()
    slots = ["O"] * len(words)
    if len(words) > 1:
        slots[-1] = "B-height"
    return {"text": text, "intent": INTENTS[words[0]], "slots": slots}


def test_understand_gives_text_intent_and_slots_with_times(two_runs):
    result = call("understand", two_runs / "hears", two_runs / "understands", two_runs / "1.wav", two_runs / "2.wav")
    assert result.exit_code == 0, result.output
    sounds = ("--data", two_runs / "1.wav", "--data", two_runs / "2.wav")
    assert call("understand", two_runs / "hears", two_runs / "understands", *sounds).stdout == result.stdout
    first, second = (json.loads(line) for line in result.stdout.splitlines())
    assert first["file"] == str(two_runs / "1.wav")
    assert set(second) >= {"text", "intent", "confidence", "slots", "seconds"}
    assert second["intent"] in INTENTS.values()
    text = call("transcribe", two_runs / "hears", two_runs / "2.wav").stdout.strip()
    assert second["text"] == text
    for slot in second["slots"]:
        assert text[slot["start"] : slot["end"]] == slot["text"]
        assert 0 <= slot["seconds"][0] <= slot["seconds"][1] <= second["seconds"]


def test_understand_scores_recognised_words_beside_true_ones(two_runs, tmp_path):
    runs = two_runs / "hears", two_runs / "understands"
    mixed = call("understand", *runs, two_runs / "spoken.jsonl", two_runs / "1.wav")
    assert refused_alone(mixed, "name it alone")
    result = call("understand", *runs, "--data", two_runs / "spoken.jsonl", "--out", tmp_path / "answers.jsonl")
    assert result.exit_code == 0, result.output
    figures = json.loads((runs[1] / "understanding.json").read_text())
    assert figures["recordings"] == 8
    for name in ("intent_accuracy", "slot_f1", "sentence_accuracy"):
        assert figures[f"lost_{name}"] == pytest.approx(figures[f"true_words_{name}"] - figures[name])
    assert figures["true_words_intent_accuracy"] > 0.7
    assert f"Word error rate: {figures['wer']:.4g}" in result.stdout
    assert "on true words" in result.stdout
    rows = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert [row["true_text"] for row in rows] == sentences(8, seed=3)


def test_understand_names_what_stands_in_a_wrong_place(two_runs, tmp_path):
    hears, understands, sound = two_runs / "hears", two_runs / "understands", two_runs / "1.wav"
    assert refused_alone(
        call("understand", understands, hears, sound), "arrived as RECOGNISER", "a run of `rnnkit train speech`"
    )
    assert refused_alone(
        call("understand", hears, hears, sound), "arrived as INTENTS", "a run of `rnnkit train intents`"
    )
    assert refused_alone(call("understand", hears, understands, sound, "--data", sound), "expected one of them")
    (tmp_path / "folder").mkdir()
    assert refused(call("understand", hears, understands, "--data", tmp_path / "folder"), "test.jsonl")
    (tmp_path / "empty.wav").write_bytes(b"")
    result = call("understand", hears, understands, tmp_path / "empty.wav", sound)
    assert result.exit_code == 1
    assert len(result.stdout.splitlines()) == 1


def test_recordings_that_cannot_be_read_are_left_out_with_their_texts(tmp_path):
    rows = []
    for number, word in enumerate(TONES):
        write_wav(tmp_path / f"{number}.wav", tone(word), RATE)
        rows.append(json.dumps({"path": f"{number}.wav", "text": f"{word} tone", "intent": word, "slots": ["O", "O"]}))
    (tmp_path / "test.jsonl").write_text("\n".join(rows))
    (tmp_path / "1.wav").write_bytes(b"RIFF")
    speech = read_tagged_speech(tmp_path)
    assert [text.intent for text in speech.texts] == ["low", "high"]
    assert [clip.label for clip in speech.clips] == ["low", "high"]
    assert any("1.wav" in finding for finding in speech.findings)
