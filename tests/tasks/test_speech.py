import copy
import json
import warnings
from itertools import pairwise

import numpy as np
import pytest
import torch
from tolerances import assert_close

import rnnkit
from rnnkit.data import train_tokenizer
from rnnkit.data.audio import FeatureNorm, Features, FeatureSettings, resample
from rnnkit.errors import ConfigError, DataError
from rnnkit.generation import train_ngram
from rnnkit.serialization import json_text
from rnnkit.tasks.ctc_search import open_language_model
from rnnkit.tasks.speech import Transcriber
from rnnkit.tasks.speech_batches import HeldUtterances, SpeechBatches, SpeechFront
from rnnkit.tasks.speech_joined import Gaps, JoinedUtterances
from rnnkit.tasks.speech_settings import Decoding

RATE = 8000


def transcriber(tokens="word", norm="running", **body):
    """A recogniser with fresh weights, loud enough that it writes many tokens."""
    torch.manual_seed(3)
    front = SpeechFront(Features(FeatureSettings(rate=RATE, bands=12, hop_ms=20.0)), FeatureNorm(12, norm), tail=0.2)
    if front.norm.needs_fit:
        front.norm.fit([torch.randn(50, 12) * 3 - 8])
    tokenizer = train_tokenizer(tokens, ["ab cd", "ef gh"])
    sides = 2 if body.get("bidirectional") else 1
    head = torch.nn.Linear(8 * sides, len(tokenizer))
    with torch.no_grad():
        head.weight *= 30
        head.bias[1:4] = -100  # unknown, beginning, end
    network = rnnkit.SpeechRecognizer(
        rnnkit.GRU(8, 8, **body), len(tokenizer), front=rnnkit.CausalConv(12, 8, (3, 3), (2, 1)), head=head
    )
    return Transcriber(network.eval(), front, tokenizer, Decoding(tail=0.2, endpoint=0.0))


def sound(seconds=1.0, seed=0):
    """Noise whose loudness and colour change, so that tokens do."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(round(seconds * RATE), generator=generator)
    level = torch.nn.functional.interpolate(torch.rand(1, 1, 12, generator=generator), len(noise), mode="linear")[0, 0]
    tone = torch.sin(torch.cumsum(level * 2.0, 0))
    return 0.2 * level * noise + 0.3 * (1 - level) * tone


@pytest.mark.parametrize("tokens", ["word", "char"])
@pytest.mark.parametrize("chunk", [1, 137, 800, 8000])
def test_a_stream_tells_what_the_whole_tells(tokens, chunk):
    one, whole = transcriber(tokens), sound(1.3)
    whole = whole[: 1800 if chunk == 1 else None]
    expected = one([whole])[0]
    assert expected.words
    recognizer = one.stream()
    partials = [recognizer.push(part) for part in whole.split(chunk)]
    last = recognizer.flush()
    assert last.text == expected.text
    words = [word for partial in [*partials, last] for word in partial.words]
    assert [word.text for word in words] == [word.text for word in expected.words]
    assert last.endpoint
    assert not last.pending
    texts = [partial.text for partial in partials]
    assert all(second.startswith(first) for first, second in pairwise(texts))
    # A flushed stream begins anew.
    assert [recognizer.push(whole), recognizer.flush()][1].text == expected.text


def test_a_stream_at_another_rate_is_resampled():
    one, whole = transcriber(), sound()
    twice = resample(whole, RATE, 2 * RATE)
    recognizer = one.stream(rate=2 * RATE)
    for part in twice.split(333):
        recognizer.push(part)
    assert recognizer.flush().text == one([resample(twice, 2 * RATE, RATE)])[0].text


def test_a_state_goes_on_elsewhere():
    one, whole = transcriber("char"), sound()
    first = one.stream(rate=2 * RATE)
    chunks = resample(whole, RATE, 2 * RATE).split(1111)
    for part in chunks[:7]:
        first.push(part)
    state = copy.deepcopy(first.state_dict())
    second = one.stream(rate=2 * RATE)
    second.load_state_dict(state)
    for part in chunks[7:]:
        assert second.push(part).text == first.push(part).text
    assert second.flush() == first.flush()
    with pytest.raises(ConfigError, match=r"stream\(rate=16000\)"):
        one.stream().load_state_dict(state)


def test_silence_ends_an_utterance_and_the_next_one_begins_anew():
    one = transcriber()
    with torch.no_grad():  # the blank where there is no energy
        one.model.head.weight.zero_()
        one.model.head.bias.zero_()
        one.model.head.bias[0] = 1.0
    word = one.tokenizer.encode("cd")[0]

    class Head(torch.nn.Module):
        steps = 0

        def forward(self, x):
            logits = torch.zeros(*x.shape[:2], len(one.tokenizer))
            logits[..., 0] = 5.0
            for step in range(x.shape[1]):
                if Head.steps + step in (3, 4, 30):
                    logits[:, step, word] = 9.0
            Head.steps += x.shape[1]
            return logits

    one.model.head = Head()
    recognizer = one.stream(endpoint=0.4)
    found = [recognizer.push(part) for part in torch.zeros(2 * RATE).split(400)]
    ends = [partial for partial in found if partial.endpoint]
    assert [partial.text for partial in ends] == ["cd", "cd"]
    words = [word for partial in found for word in partial.words]
    step = one.step_seconds
    assert [round(word.start / step) for word in words] == [3, 30]


def test_an_endpoint_loses_no_word_that_is_being_spoken():
    one = transcriber()
    whole = torch.cat([sound(0.4), torch.zeros(RATE), sound(1.0, seed=1), torch.zeros(RATE), sound(0.7, seed=2)])
    expected = torch.tensor([word.start for word in one([whole])[0].words])
    recognizer = one.stream(endpoint=0.06)
    found = [recognizer.push(part) for part in whole.split(400)] + [recognizer.flush()]
    assert sum(partial.endpoint for partial in found) > 2
    assert_close(torch.tensor([word.start for partial in found for word in partial.words]), expected)


def test_what_a_search_has_of_words_is_made_once_a_stream(tmp_path, monkeypatch):
    (tmp_path / "words.txt").write_text("ab\ncd\n")
    one = transcriber().with_decoding(words=str(tmp_path / "words.txt"))
    whole = torch.cat([sound(0.4), torch.zeros(RATE), sound(1.0, seed=1), torch.zeros(RATE)])
    made, search = [], one.search()
    decoder = search.decoder
    monkeypatch.setattr(search, "decoder", lambda: made.append(1) or decoder())
    recognizer = one.stream(endpoint=0.06)
    first = [recognizer.push(part) for part in whole.split(400)] + [recognizer.flush()]
    assert sum(partial.endpoint for partial in first) > 2
    recognizer.push(whole[:4000])
    recognizer.reset()  # nothing of the sound before is left
    assert [recognizer.push(part) for part in whole.split(400)] + [recognizer.flush()] == first
    assert len(made) == 1


def test_the_folder_of_a_language_model_says_how_texts_are_cut(tmp_path):
    train_ngram(["A B", "B A"], 2, lowercase=True).save(tmp_path)
    model = open_language_model(str(tmp_path))
    assert (model.unit, model.split("A b")) == ("word", ["a", "b"])
    (tmp_path / "ngram.json").unlink()
    assert open_language_model(str(tmp_path)).unit == "char"  # each word of the file has one letter
    (tmp_path / "ngram.arpa.gz").rename(tmp_path / "other.arpa.gz")
    assert open_language_model(str(tmp_path)).order == 2
    (tmp_path / "other.arpa.gz").unlink()
    with pytest.raises(DataError, match="holds no language model; expected an ARPA file, or a run of"):
        open_language_model(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [("words", ["ab", "cd"], "write the words into a file"), ("lm", train_ngram(["ab cd"], 2), "save the model")],
)
def test_language_that_is_no_file_is_refused(name, value, said):
    with pytest.raises(ConfigError, match=rf"decode\.{name} is a .*; expected the path of a file: {said}"):
        transcriber().with_decoding(**{name: value}).search()


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        ("abc", "type str arrived"),
        (None, "type NoneType arrived"),
        (torch.zeros(1, 5), r"shape \(1, 5\)"),
        (torch.full((800,), float("nan")), "NaN"),
        (torch.full((800,), 30000.0), "samples / 32768"),
    ],
)
def test_what_is_no_sound_is_refused_and_harms_no_stream(samples, said):
    one, whole = transcriber(), sound()
    recognizer = one.stream()
    first = recognizer.push(whole[:3000]).words
    for refused in (recognizer.push, lambda given: one([given]), one.log_probs):
        with pytest.raises(DataError, match=said):
            refused(samples)
    words = first + recognizer.push(whole[3000:].numpy()).words + recognizer.flush().words
    assert [word.text for word in words] == [word.text for word in one([whole.double()])[0].words]


def test_a_waveform_alone_and_a_state_of_something_else_are_refused():
    one = transcriber()
    for given in (sound(), "a.wav", None, 5):
        with pytest.raises(DataError, match=r"expected a list of waveforms: transcriber\(\["):
            one(given)
    for state in (5, {}, {"rate": RATE}):
        with pytest.raises(DataError, match="the state of a stream"):
            one.stream().load_state_dict(state)


def test_what_cannot_stream_says_what_to_change():
    with pytest.raises(ConfigError, match=r"features\.norm=running"):
        transcriber(norm="utterance").stream()
    with pytest.raises(ConfigError, match="bidirectional"):
        transcriber(bidirectional=True).stream()


def test_training_mode_stays_and_changed_weights_reach_the_next_push():
    one, whole = transcriber(), sound()
    recognizer = one.stream()
    recognizer.push(whole)
    before = recognizer.flush().text
    one.model.train()
    one.model.front.eval()
    recognizer.push(whole)
    assert recognizer.flush().text == before
    assert one.model.training
    assert one.model.body.training
    assert not one.model.front.training
    with torch.no_grad():
        one.model.head.bias[4:] += torch.linspace(-40, 40, len(one.tokenizer) - 4)
        one.model.body.weight_hh_l0.neg_()
    recognizer.push(whole)
    assert recognizer.flush().text == one([whole])[0].text != before


@pytest.mark.parametrize("tokens", ["word", "char"])
def test_the_work_of_a_push_does_not_grow_with_the_utterance(tokens, monkeypatch):
    one, whole = transcriber(tokens), torch.cat([sound(1.3, seed) for seed in range(5)])
    if tokens == "char":  # words of few characters
        space, letter = one.tokenizer.encode(" e")
        with torch.no_grad():
            for part in (one.model.head.weight, one.model.head.bias):
                part[[space, letter]] = part[[letter, space]]
    expected = one([whole])[0]
    read = []
    decode = one.tokenizer.decode
    monkeypatch.setattr(one.tokenizer, "decode", lambda ids: read.append(len(ids)) or decode(ids))
    recognizer = one.stream()
    words = [word.text for part in whole.split(400) for word in recognizer.push(part).words]
    last = recognizer.flush()
    assert last.text == expected.text
    assert words + [word.text for word in last.words] == [word.text for word in expected.words]
    longest = max(len(word.text) for word in expected.words)
    assert len(expected.words) > 8
    assert max(read) <= 2 * longest + 8


def test_samples_of_integers_are_scaled_and_others_refused():
    one, whole = transcriber(), sound(0.3)
    integers = (whole * 32768).round().clamp(-32768, 32767).to(torch.int16)
    recognizer = one.stream()
    recognizer.push(integers.numpy())
    assert recognizer.flush().text == one([integers.float() / 32768])[0].text
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        recognizer.push(np.frombuffer(integers.numpy().tobytes(), np.int16))  # an array that must not be written
    assert recognizer.flush().text == one([integers.float() / 32768])[0].text
    for wrong in (torch.zeros(2, 3), np.zeros(3, np.int64)):
        with pytest.raises(DataError, match="expected floats"):
            recognizer.push(wrong)


def test_a_batch_is_recognised_as_each_alone():
    one = transcriber("char", bidirectional=True, norm="utterance")
    waveforms = [sound(seconds, seed) for seed, seconds in enumerate((0.9, 0.3, 0.01, 0.6))]
    together = one(waveforms, batch_size=3)
    assert [found.text for found in together] == [one([waveform])[0].text for waveform in waveforms]
    with pytest.raises(DataError, match="expected floats"):
        one([torch.zeros(2, 3)])


def test_what_is_stored_makes_the_same_recogniser():
    one, whole = transcriber("char"), sound()
    stored = json.loads(json_text(one.to_extra()))
    again = Transcriber.from_extra(one.model, stored)
    assert again([whole]) == one([whole])
    assert again.decoding == one.decoding
    with pytest.raises(DataError, match="recognises no speech"):
        Transcriber.from_extra(one.model, {})


def batches(count=7, **settings):
    one = transcriber()
    held = HeldUtterances([sound(0.1 + 0.05 * (at % 5), at) for at in range(count)], ["ab cd", "ef"] * 3 + ["gh"], RATE)
    return SpeechBatches(held, one.tokenizer, one.front, 2, **settings)


def test_batches_go_on_where_they_were_interrupted():
    def louder(samples, generator):
        return samples * (1 + torch.rand((), generator=generator))

    first = batches(waves=louder, curriculum=1, plain=1, seed=4)
    epochs = [[batch.inputs for batch in first] for _ in range(2)]
    assert first.steps == 4
    lengths = [batch.shape[1] for batch in epochs[0]]
    assert lengths == sorted(lengths)
    second = batches(waves=louder, curriculum=1, plain=1, seed=4)
    for _ in second:
        pass
    iterator = iter(second)
    next(iterator)
    state = copy.deepcopy(second.state_dict())
    third = batches(waves=louder, curriculum=1, plain=1, seed=4)
    third.load_state_dict(state)
    rest = [batch.inputs for batch in third]
    assert len(rest) == 3
    assert_close(rest, epochs[1][1:])
    plain = [batch.inputs for batch in batches(shuffle=False)]
    assert_close(plain, epochs[0])  # the first epoch of a curriculum: from short to long, as it was recorded
    assert not any(torch.equal(first, second) for first in plain for second in epochs[1])


def gap_behind(joined, ends, row):
    return joined.seconds[row] > ends[-1] + 1 / RATE


def test_joined_utterances_are_of_one_speaker_with_true_ends():
    recordings = [torch.full((80 * (at + 1),), 0.1 * (at + 1)) for at in range(4)]
    joined = JoinedUtterances(
        recordings,
        ["a", "b", "c", "d"],
        ["x", "x", "y", "y"],
        20,
        rate=RATE,
        lengths=(1, 4),
        gaps=Gaps(0.5, 0.01, 0.02),
    )
    for row, text in enumerate(joined.texts):
        assert set(text.split()) <= {"a", "b"} or set(text.split()) <= {"c", "d"}
        whole, ends = joined.waveform(row), joined.ends(row)
        assert len(whole) == round(joined.seconds[row] * RATE)
        last = "abcd".index(text.split()[-1]) + 1
        assert whole[round(ends[-1] * RATE) - 20] == pytest.approx(0.1 * last, abs=1e-6)  # its end is faded
        assert whole[round(ends[-1] * RATE) :].abs().max() < 0.1 if gap_behind(joined, ends, row) else True
    before = list(joined.texts)
    joined.redraw(5, 0)
    assert before != joined.texts
    with pytest.raises(ConfigError, match="gaps="):
        JoinedUtterances(recordings, list("abcd"), None, 2, rate=RATE, gaps=Gaps(least=2.0, most=1.0))
