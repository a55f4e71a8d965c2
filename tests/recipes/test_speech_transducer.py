"""Recognisers whose network is a transducer, on made sound: tones as words."""

import copy
import json

import pytest
from commands import call, refused_alone
from sounds import RATE, SMALL, sentence, write_folder
from tolerances import assert_close

from rnnkit.errors import DataError
from rnnkit.tasks.speech import load_transcriber


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on tones as words."""
    folder = tmp_path_factory.mktemp("transducer")
    write_folder(folder / "sounds", 50)
    more = " model.head=transducer model.predictor_size=12 model.joiner_size=24 fit.epochs=24"
    settings = [part for one in (SMALL + more).split() for part in ("--set", one)]
    result = call("train", "speech", folder / "sounds", *settings, "--out", folder / "run")
    assert result.exit_code == 0, result.output
    return folder / "run"


def test_a_transducer_learns_words_and_is_judged(run):
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["test"]["wer"] < 0.2
    result = call("evaluate", run)
    assert f"Word error rate: {metrics['test']['wer']:.4g}" in result.stdout
    assert "What the network heard" in (run / "report.html").read_text()
    result = call("predict", run, run.parent / "sounds" / "003.wav")
    assert result.stdout.split("\t")[0] in (run.parent / "sounds" / "003.txt").read_text().lower()


@pytest.mark.parametrize("width", [1, 3])
def test_a_stream_tells_what_the_whole_tells_and_goes_on_elsewhere(run, width):
    transcriber = load_transcriber(run).with_decoding(width=width)
    whole = sentence("low high mid", seed=77)
    whole = whole[: len(whole) - round(0.06 * RATE)]  # the sound ends with the last word
    expected = transcriber([whole])[0]
    assert expected.text == "low high mid"
    first, second = transcriber.stream(), transcriber.stream()
    words = []
    for number, part in enumerate(whole.split(333)):
        if number == 7:
            second.load_state_dict(copy.deepcopy(first.state_dict()))
        words += first.push(part).words
        if number >= 7:
            second.push(part)
    last = first.flush()
    assert last.text == second.flush().text == expected.text
    assert [word.text for word in [*words, *last.words]] == expected.text.split()
    assert len(words) >= 1
    with pytest.raises(DataError, match="this is not the state"):
        first.load_state_dict(second.state_dict() | {"decoder": {}})


def test_probabilities_show_the_tokens_that_are_found(run):
    transcriber = load_transcriber(run)
    found = transcriber.log_probs(sentence("mid low", seed=5)).exp()
    assert_close(found.sum(1), found.new_ones(len(found)))
    ids = transcriber.tokenizer.encode("mid low")
    best = [token for token in found.argmax(1).tolist() if token]
    assert best == list(ids)


def test_a_language_model_is_refused(run):
    sound = run.parent / "sounds" / "003.wav"
    result = call("transcribe", run, sound, "--hot-word", "low")
    assert refused_alone(result, "decode.hot_words=low", "model.head=ctc")


def test_new_words_are_learned(run, tmp_path):
    sounds = write_folder(tmp_path / "new", 6, seed=3)
    (sounds / "003.txt").write_text("hiss")
    settings = [part for one in ("epochs=1", "batch_size=2") for part in ("--set", one)]
    result = call("finetune", run, sounds, *settings, "--out", tmp_path / "tuned")
    assert result.exit_code == 0, result.output
    assert "New words to write (1): hiss" in result.output
    tuned = load_transcriber(tmp_path / "tuned")
    assert tuned.model.vocabulary == len(tuned.tokenizer) == len(load_transcriber(run).tokenizer) + 1
    assert tuned.model.output.out_features == tuned.model.embedding.num_embeddings == tuned.model.vocabulary
