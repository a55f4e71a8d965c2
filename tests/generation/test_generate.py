"""Sampling and streaming on any model with a step and a state."""

import math

import pytest
import torch
from tolerances import assert_close
from torch import nn

import rnnkit
from rnnkit.errors import ConfigError, DataError, ShapeError
from rnnkit.generation import GenerationState, StepFunction, TokenModel, encoded, generate, stream, token_model
from rnnkit.ops.state import save, tensors
from rnnkit.serialization import write_values

VOCABULARY = 7


class Decoder(nn.Module):
    """An encoder–decoder with a memory that each step reads."""

    def __init__(self):
        super().__init__()
        self.embedding, self.head = nn.Embedding(VOCABULARY, 6), nn.Linear(10, VOCABULARY)
        self.encoder = rnnkit.GRU(6, 10, batch_first=True)
        self.decoder = rnnkit.LSTM(6, 10)

    def encode(self, x, lengths=None):
        outputs, h = self.encoder(self.embedding(x), lengths=lengths)
        return (h, torch.zeros_like(h)), (outputs,)

    def decode_step(self, ids, state, memory):
        y, state = self.decoder.step(self.embedding(ids), state)
        weights = torch.softmax((memory[0] @ y[:, :, None])[:, :, 0], -1)
        return 4 * self.head(y + (weights[:, None] @ memory[0])[:, 0]), state, weights


class OwnCell(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(16, 8)

    def forward(self, x, state):
        h = torch.tanh(self.linear(torch.cat((x, state), -1)))
        return h, h


def tagger(body, **settings) -> rnnkit.SequenceTagger:
    model = rnnkit.SequenceTagger(body, VOCABULARY, front=nn.Embedding(VOCABULARY, 8), **settings)
    with torch.no_grad():  # distributions that differ from step to step
        model.head.weight.mul_(8)
    return model


def models():
    """Each kind that can generate: with a stream, in a chain, PyTorch's own, a cell, functions, an encoder–decoder."""
    torch.manual_seed(0)
    table = 3 * torch.randn(VOCABULARY, VOCABULARY)
    cell = rnnkit.RNN(OwnCell(), initial_state=torch.zeros(1, 8), batch_first=True)
    chain = rnnkit.Chain(rnnkit.GRU(8, 10), nn.Dropout(0.5), rnnkit.LSTM(10, 6, num_layers=2))
    counted = StepFunction(
        lambda ids, state: (table[ids] + state.sin(), state + ids[:, None]), lambda batch: torch.zeros(batch, 1), 0
    )
    return {
        "lstm": tagger(rnnkit.LSTM(8, 12, num_layers=2), dropout=0.5),
        "gru": tagger(rnnkit.GRU(8, 12, batch_first=True, learn_initial_state=True)),
        "chain": tagger(chain),
        "torch": tagger(nn.GRU(8, 12)),
        "cell": tagger(cell),
        "functions": counted,
    }


KINDS = ("lstm", "gru", "chain", "torch", "cell", "functions")


def by_hand(model, prompt: list[int], tokens: int) -> list[int]:
    """Greedy decoding that reads everything anew for each token."""
    ids = list(prompt)
    machine = token_model(model)
    for _ in range(tokens):
        state = machine.initial_state(1)
        with torch.no_grad():
            for one in ids:
                logits, state = machine.step(torch.tensor([one]), state)[:2]
        ids.append(int(logits.argmax()))
    return ids[len(prompt) :]


@pytest.mark.parametrize("kind", KINDS)
def test_greedy_equals_reading_everything_anew(kind):
    model = models()[kind]
    prompts = [[1, 2, 3, 4], [5], [6, 0]]
    found = generate(model, prompts, max_tokens=9, temperature=0)
    assert found.ids == [by_hand(model, prompt, 9) for prompt in prompts]
    assert found.reasons == ["max_tokens"] * 3


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_row_becomes_does_not_depend_on_the_others(kind):
    model = models()[kind]
    prompts = [[1, 2, 3, 4], [5], [6, 0]]
    settings = {"max_tokens": 12, "top_p": 0.9, "repetition_penalty": 1.2, "stop_ids": [0]}
    together = generate(model, prompts, seed=5, **settings)
    alone = [generate(model, prompt, seed=5 + row, **settings) for row, prompt in enumerate(prompts)]
    assert together.ids == [one.ids[0] for one in alone]
    assert together.ids == generate(model, prompts, seed=[5, 6, 7], **settings).ids
    assert_close(together.state.model_state, joined(token_model(model), [one.state.model_state for one in alone]))
    assert generate(model, prompts, seed=6, **settings).ids != together.ids


def joined(machine, states):
    return machine.map_rows(lambda axis, *leaves: torch.cat(leaves, axis), *states)


@pytest.mark.parametrize("kind", KINDS)
def test_a_state_that_is_given_back_goes_on_as_one_call(kind, tmp_path):
    model = models()[kind]
    settings = {"temperature": 1.5, "repetition_penalty": 1.3, "repetition_window": 5}
    whole = generate(model, [[1, 2], [3]], max_tokens=80, seed=2, **settings)
    first = generate(model, [[1, 2], [3]], max_tokens=70, seed=2, **settings)
    first.state.save(tmp_path / "state.safetensors")
    state = GenerationState.load(tmp_path / "state.safetensors")
    rest = generate(model, state=state, max_tokens=10, **settings)
    assert [[*one, *two] for one, two in zip(first.ids, rest.ids, strict=True)] == whole.ids
    assert rest.state.history == whole.state.history
    assert [leaf.requires_grad or leaf.is_inference() for leaf in tensors(first.state.model_state)].count(True) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_conversation_reads_new_prompts(kind):
    model = models()[kind]
    first = generate(model, [[1, 2], [3]], max_tokens=4, temperature=0)
    second = generate(model, [[5, 6], [4]], state=first.state, max_tokens=4, temperature=0)
    for row, (start, more) in enumerate((([1, 2], [5, 6]), ([3], [4]))):
        assert second.ids[row] == by_hand(model, [*start, *first.ids[row], *more], 4)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_that_end_early_keep_their_own_state(kind):
    model = models()[kind]
    found = generate(model, [[1], [2], [3], [4]], max_tokens=15, seed=0, stop_ids=[2, 5])
    assert len(set(map(len, found.ids))) > 1
    ended = [row for row, reason in enumerate(found.reasons) if reason == "stop_id"]
    assert ended
    assert all(token not in (2, 5) for row in found.ids for token in row)
    following = generate(model, state=found.state, max_tokens=3, temperature=0)
    for row in range(4):
        assert following.ids[row] == by_hand(model, found.state.history[row], 3)
        assert (found.state.history[row][-1] in (2, 5)) == (row in ended)


def test_the_model_computes_as_in_evaluation_mode_and_keeps_its_own():
    for kind in ("lstm", "chain", "torch"):
        model = models()[kind].train()
        trained = generate(model, [[1]], max_tokens=20, seed=1).ids
        assert all(part.training for part in model.modules())
        assert trained == generate(model.eval(), [[1]], max_tokens=20, seed=1).ids


def test_an_encoder_decoder_generates_for_each_source():
    torch.manual_seed(1)
    model = Decoder()
    x = torch.randint(0, VOCABULARY, (3, 5))
    found = generate(encoded(model, x), [0], max_tokens=6, seed=0)
    alone = [generate(encoded(model, x[row : row + 1]), [0], max_tokens=6, seed=row).ids[0] for row in range(3)]
    assert found.ids == alone
    rest = generate(encoded(model, x), state=found.state, max_tokens=4)
    assert [[*one, *two] for one, two in zip(found.ids, rest.ids, strict=True)] == generate(
        encoded(model, x), [0], max_tokens=10, seed=0
    ).ids


def test_the_seed_is_its_own_and_torch_decides_without_one():
    model = models()["functions"]
    torch.manual_seed(3)
    one = generate(model, [1], max_tokens=20)
    torch.manual_seed(3)
    assert generate(model, [1], max_tokens=20).ids == one.ids
    assert generate(model, [1], max_tokens=20).ids != one.ids
    before = torch.get_rng_state()
    generate(model, [1], max_tokens=20, seed=0)
    assert torch.equal(before, torch.get_rng_state())
    assert generate(model, [1], max_tokens=20, seed=one.state.seeds[0]).ids == one.ids


def test_samples_follow_the_distribution_of_the_model():
    shares = torch.tensor([0.5, 0.2, 0.3])
    model = StepFunction(lambda ids, state: (shares.log().expand(len(ids), -1), state), lambda batch: ())
    ids = generate(model, [0], max_tokens=4000, seed=0).ids[0]
    counts = torch.tensor(ids).bincount(minlength=3) / len(ids)
    assert (counts - shares).abs().max() < 4 * math.sqrt(0.25 / len(ids))


def test_forbidden_ids_and_penalties_act_on_the_past_of_the_prompt_too():
    flat = StepFunction(lambda ids, state: (torch.ones(len(ids), 4), state), lambda batch: ())
    assert set(generate(flat, [0], max_tokens=50, seed=0, forbidden_ids=[1, 2]).ids[0]) == {0, 3}
    assert sorted(generate(flat, [[2]], max_tokens=3, temperature=0, repetition_penalty=2.0).ids[0]) == [0, 1, 3]
    falling = torch.tensor([1.0, 0.9, 0.8, 0.7])
    model = StepFunction(lambda ids, state: (falling.expand(len(ids), -1), state), lambda batch: ())
    windowed = generate(model, [[0]], max_tokens=6, temperature=0, repetition_penalty=2.0, repetition_window=1)
    assert windowed.ids[0] == [1, 0, 1, 0, 1, 0]


def spelling(text: str):
    """A model that says the bytes of a text, whatever it reads; the state counts."""
    data = torch.tensor(list(text.encode()))

    def step(ids, state):
        at = state[:, 0].long().clamp(max=len(data) - 1)
        return 50 * nn.functional.one_hot(data[at], 256).float(), state + 1

    return StepFunction(step, lambda batch: torch.zeros(batch, 1), state_batch_axis=0)


def decode(ids: list[int]) -> str:
    return bytes(ids).decode("utf-8", "replace")


TEXT = "aé你好 – 🙂!"


def test_pieces_of_text_hold_whole_characters():
    size = len(TEXT.encode())
    pieces = [one.text for one in stream(spelling(TEXT), [0], max_tokens=size, decode=decode)]
    assert len(pieces) == size
    assert "".join(pieces) == TEXT
    assert [piece for piece in pieces if piece] == list(TEXT)


@pytest.mark.parametrize("cut", range(1, len(TEXT.encode())))
def test_a_character_that_two_calls_make_comes_once(cut):
    first = generate(spelling(TEXT), [0], max_tokens=cut, decode=decode)
    rest = generate(spelling(TEXT), state=first.state, max_tokens=len(TEXT.encode()) - cut, decode=decode)
    assert first.texts[0] + rest.texts[0] == TEXT
    assert "\ufffd" not in first.texts[0]


def test_bytes_that_are_no_characters_come_as_the_decoder_writes_them():
    data = [0xFF, 0xFE, ord("a"), 0xC3, ord("b"), 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, ord("c")]
    order = torch.tensor(data)

    def step(ids, state):
        return 50 * nn.functional.one_hot(order[state[:, 0].long()], 256).float(), state + 1

    model = StepFunction(step, lambda batch: torch.zeros(batch, 1), state_batch_axis=0)
    found = generate(model, [0], max_tokens=len(data), decode=decode)
    assert found.texts == [decode(data)]


@pytest.mark.parametrize(
    ("stops", "text"),
    [
        (["END"], "one E EN "),
        (["EN", "END"], "one E "),
        (["nothing"], "one E EN END two"),
        (["ND", "D t"], "one E EN E"),
        (["o"], ""),
        (["two!"], "one E EN END two"),
    ],
)
def test_stop_strings_span_tokens_and_are_no_part_of_the_text(stops, text):
    whole = "one E EN END two"
    model = spelling(whole)
    pieces = list(stream(model, [0], max_tokens=len(whole), decode=decode, stop_strings=stops))
    assert "".join(piece.text for piece in pieces) == text
    assert pieces[-1].reason == ("max_tokens" if text == whole else "stop_string")
    for piece in pieces[:-1]:  # nothing that was let out had to be taken back
        assert piece.reason is None


def test_a_stop_string_may_span_two_calls():
    for cut in range(1, 12):
        first = generate(spelling("one EN END"), [0], max_tokens=cut, decode=decode, stop_strings=["END"])
        rest = generate(spelling("one EN END"), state=first.state, max_tokens=20, decode=decode, stop_strings=["END"])
        if cut < 10:
            assert (first.reasons, rest.reasons) == (["max_tokens"], ["stop_string"])
            assert len(first.ids[0]) + len(rest.ids[0]) == 10
            assert (first.texts[0] + rest.texts[0]).rstrip("EN") == "one EN "
        else:
            assert first.reasons == ["stop_string"]


def test_a_decoder_that_needs_the_word_before_is_given_it():
    """As sentencepiece does: a space stands in front of each word but the first of what is decoded."""
    words = ["we", "go", "on"]
    table = torch.eye(3).roll(1, 1) * 50
    model = StepFunction(lambda ids, state: (table[ids], state), lambda batch: ())

    def words_of(ids):
        return " ".join(words[one] for one in ids)

    pieces = [one.text for one in stream(model, [0], max_tokens=4, decode=words_of)]
    assert pieces == [" go", " on", " we", " go"]


def test_a_stream_is_lazy_and_tells_its_state():
    calls = []

    def step(ids, state):
        calls.append(ids.tolist())
        return torch.eye(3).roll(1, 1)[ids], state

    tokens = stream(StepFunction(step, lambda batch: ()), [[0], [1]], temperature=0)
    assert calls == []
    assert tokens.state.unread == [[0], [1]]
    assert [next(tokens)[:2] for _ in range(4)] == [(0, 1), (1, 2), (0, 2), (1, 0)]
    assert calls == [[0, 1], [1, 2]]
    assert tokens.state.unread == [[2], [0]]
    assert tokens.state.history == [[0, 1, 2], [1, 2, 0]]


def test_prompts_come_in_many_forms():
    model = models()["lstm"]
    expected = generate(model, [[1, 2], [3, 4]], max_tokens=3, temperature=0).ids
    for prompts in (torch.tensor([[1, 2], [3, 4]]), [torch.tensor([1, 2]), (3, 4)], ["ab", "cd"]):
        found = generate(
            model, prompts, encode=lambda text: [ord(one) - 96 for one in text], max_tokens=3, temperature=0
        )
        assert found.ids == expected
    assert generate(model, torch.tensor([1, 2]), max_tokens=3, temperature=0).ids == expected[:1]
    assert generate(model, "ab", encode=lambda text: [1, 2], max_tokens=3, temperature=0).ids == expected[:1]
    assert generate(model, [1], max_tokens=0).ids == [[]]


def generating(model=None, prompts=(1,), **settings):
    model = models()["functions"] if model is None else model
    return lambda: generate(model, prompts if prompts is None else list(prompts), **{"max_tokens": 2, **settings})


class Reader(TokenModel):
    """Returns the logits of a whole sequence."""

    def initial_state(self, batch):
        return ()

    def step(self, ids, state):
        return torch.zeros(len(ids), 1, 5), state


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (generating(temprature=1), ConfigError, "generate has no argument 'temprature'; did you mean 'temperature'"),
        (generating(prompts=[]), DataError, r"no prompt arrived; .*type \[\[id\]\]"),
        (generating(prompts=[[1], []]), DataError, "prompt 1 is empty; the model starts from at least one id"),
        (generating(prompts=["a"]), ConfigError, "is text; .*type encode=vocabulary.encode"),
        (generating(prompts=[[1, -2]]), DataError, "prompt 0 holds -2; expected token ids"),
        (generating(prompts=[[1, 0.5]]), DataError, "prompt 0 holds 0.5"),
        (generating(prompts=None), ConfigError, "neither prompts nor a state arrived"),
        (generating(max_tokens=-1), ConfigError, "max_tokens=-1 arrived"),
        (generating(max_tokens=None), ConfigError, "max_tokens=None arrived"),
        (generating(seed=-1), ConfigError, "seed=-1 arrived"),
        (generating(seed=[1, 2]), ShapeError, "2 seeds arrived for 1 rows"),
        (generating(stop_ids=[99]), ConfigError, "vocabulary of 7, ids 0 to 6"),
        (generating(forbidden_ids=[7]), ConfigError, "vocabulary of 7, ids 0 to 6"),
        (generating(forbidden_ids=range(7)), DataError, "no token is left to choose in row 0"),
        (generating(forbidden_ids=range(7), temperature=0), DataError, "no token is left to choose in row 0"),
        (generating(stop_strings=["a"]), ConfigError, "without decode; .*type decode="),
        (generating(stop_strings="a", decode=str), ConfigError, r"type stop_strings=\['a'\]"),
        (generating(stop_strings=[""], decode=str), ConfigError, "texts that are not empty"),
        (generating(state=3), ConfigError, "state is a int; expected a GenerationState"),
        (generating(rnnkit.GRU(3, 4)), ConfigError, "model is a GRU; expected a model with forward_chunk"),
        (generating(nn.Linear), ConfigError, "model is the class Linear"),
        (generating(Decoder()), ConfigError, r"type rnnkit.generation.encoded\(model, x, lengths\)"),
        (generating(tagger(rnnkit.GRU(8, 4, bidirectional=True))), ConfigError, "its GRU is bidirectional"),
        (generating(tagger(rnnkit.GRU(8, 4), activation="sigmoid")), ConfigError, "build it with activation='none'"),
        (generating(Reader()), ShapeError, r"returned logits of shape \[1, 1, 5\] .* return logits\[:, -1\]"),
        (generating(TokenModel()), NotImplementedError, "TokenModel has no initial_state"),
        (lambda: StepFunction(3, lambda batch: ()), ConfigError, "step is a int; expected a function"),
        (lambda: encoded(nn.Linear(2, 2), torch.zeros(1, 2)), ConfigError, "Linear has no method encode and no"),
        (
            lambda: generate(encoded(Decoder(), torch.zeros(3, 2, dtype=torch.long)), [[1], [2]]),
            ShapeError,
            "2 prompts arrived for 3 sources",
        ),
    ],
)
def test_errors_say_what_to_type(call, error, said):
    with pytest.raises(error, match=said):
        call()


@pytest.mark.parametrize("temperature", [0, 1])
def test_logits_that_are_nan_are_an_error(temperature):
    model = StepFunction(lambda ids, state: (torch.full((len(ids), 3), math.nan), state), lambda batch: ())
    with pytest.raises(DataError, match="logits of row 0 are NaN"):
        generate(model, [0], temperature=temperature)


def test_a_file_that_is_no_state_is_refused(tmp_path):
    save(torch.zeros(1, 2, 3), tmp_path / "layer.safetensors")
    write_values({"generation": {"seeds": [1]}}, tmp_path / "other.safetensors")
    for name in ("layer", "other"):
        with pytest.raises(DataError):
            GenerationState.load(tmp_path / f"{name}.safetensors")
