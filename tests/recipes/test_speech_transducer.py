"""Recognisers whose network is a transducer, on made sound: tones as words."""

import copy

import pytest
from sounds import RATE, SMALL, sentence, write_folder
from tolerances import assert_close

from rnnkit.errors import ConfigError, DataError
from rnnkit.recipes import open_recipe
from rnnkit.recipes.speech_finetuning import _extended
from rnnkit.recipes.speech_results import judge
from rnnkit.runs.settings import override
from rnnkit.tasks.speech import load_transcriber


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a recogniser that was trained on tones as words."""
    folder = tmp_path_factory.mktemp("transducer")
    sounds = write_folder(folder / "sounds", 40)
    own = ("model.head=transducer", "model.predictor_size=12", "model.joiner_size=24", "fit.schedule=constant")
    recipe = override(open_recipe("speech"), [*SMALL.split(), *own, f"data.path={sounds}", "data.test_share=0"])
    prepared = recipe.prepare()
    learner, transcriber, batches, _ = prepared.training()
    learner.fit(batches, epochs=24, seed=0, progress=False)
    assert judge(transcriber, prepared.validation).scores.figures["wer"] < 0.2
    learner.save(folder / "run")
    return folder / "run"


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
    with pytest.raises(ConfigError, match=r"decode.hot_words=low .*model.head=ctc"):
        load_transcriber(run).with_decoding(hot_words=("low",)).stream()


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
    assert after([sentence("low high", seed=3)])[0].text == "low high"
