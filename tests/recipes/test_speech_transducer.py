"""Recognisers whose network is a transducer, on made sound: tones as words."""

import copy

import pytest
import torch
from sounds import RATE, sentence, sentences
from tolerances import assert_close

from rnnkit.data import train_tokenizer
from rnnkit.data.audio import FeatureNorm, Features, FeatureSettings
from rnnkit.errors import DataError
from rnnkit.recipes.speech import build, learner_of
from rnnkit.recipes.speech_finetuning import _extended
from rnnkit.recipes.speech_results import judge
from rnnkit.tasks.speech import Transcriber, load_transcriber
from rnnkit.tasks.speech_batches import HeldUtterances, SpeechBatches, SpeechFront
from rnnkit.tasks.speech_settings import Decoding, RecognizerFit, RecognizerNetwork


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a recogniser that was trained on tones as words."""
    folder = tmp_path_factory.mktemp("transducer")
    texts = sentences(40)
    held = HeldUtterances([sentence(text, number) for number, text in enumerate(texts)], texts, RATE)
    tokenizer = train_tokenizer("word", texts)
    front = SpeechFront(
        Features(FeatureSettings(rate=RATE, bands=12, hop_ms=20.0)), FeatureNorm(12, "training"), tail=0.2
    )
    front.fit(held)
    torch.manual_seed(0)
    network = RecognizerNetwork(
        head="transducer", predictor_size=12, joiner_size=24, hidden_size=24, num_layers=1, channels=24,
        kernel_sizes=(3,), strides=(2,), dropout=0.0, front_dropout=0.0, layer_norm=False,
    )  # fmt: skip
    learner = learner_of(build(network, 12, tokenizer), RecognizerFit(lr=0.01, average=None), "cpu")
    transcriber = Transcriber(learner.model, front, tokenizer, Decoding(tail=0.2, endpoint=0.0))
    learner.extra = transcriber.to_extra()
    learner.fit(SpeechBatches(held, tokenizer, front, 4, seed=0), epochs=30, seed=0, progress=False)
    assert judge(transcriber, held).scores.figures["wer"] < 0.2
    learner.save(folder / "run")
    return folder / "run"


@pytest.mark.parametrize("width", [1, 3])
def test_a_stream_tells_what_the_whole_tells_and_goes_on_elsewhere(run, width):
    transcriber = load_transcriber(run).with_decoding(width=width)
    whole = sentence("low high mid", seed=77)
    whole = whole[: len(whole) - round(0.06 * RATE)]  # the sound ends with the last word
    expected = transcriber([whole])[0]
    assert len(expected.words) >= 2
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


def test_a_list_of_words_binds_files_and_streams(run, tmp_path):
    (tmp_path / "words.txt").write_text("low\nhigh\n")
    sounds = [sentence(text, number) for number, text in enumerate(sentences(12))]
    heard = [found.text.split() for found in load_transcriber(run)(sounds)]
    sound = next(one for one, words in zip(sounds, heard, strict=True) if "mid" in words and len(words) > 1)
    transcriber = load_transcriber(run).with_decoding(words=str(tmp_path / "words.txt"))
    expected = transcriber([sound])[0].text.split()
    assert expected
    assert set(expected) <= {"low", "high"}
    recognizer = transcriber.stream()
    words = [word.text for part in sound.split(333) for word in recognizer.push(part).words]
    assert words + [word.text for word in recognizer.flush().words] == expected


def test_probabilities_show_the_tokens_that_are_found(run):
    transcriber = load_transcriber(run)
    found = transcriber.log_probs(sentence("mid low", seed=5)).exp()
    assert_close(found.sum(1), found.new_ones(len(found)))
    best = [token for token in found.argmax(1).tolist() if token]
    assert transcriber.tokenizer.decode(best).strip() == transcriber([sentence("mid low", seed=5)])[0].text


def test_new_words_get_weights_and_the_old_keep_theirs(run):
    before, told = load_transcriber(run), []
    old = before.model.output.weight.clone()
    after = _extended(before, ["low hiss"], run, told)
    assert told == ["New words to write (1): hiss."]
    assert after.tokenizer.tokens[-1] == "hiss"
    count = len(after.tokenizer)
    assert count == len(old) + 1 == after.model.vocabulary == after.model.config()["arguments"]["vocabulary"]
    assert after.model.embedding.weight.shape[0] == after.model.output.bias.shape[0] == count
    assert_close(after.model.output.weight[:-1], old)
