"""Tokenizers: round trips in many scripts, odd inputs, and the values that they are stored as."""

import builtins
import json

import numpy as np
import pytest
import torch

import rnnkit
from rnnkit.data import Tokenizer, train_tokenizer
from rnnkit.data.text.words import join_words, split_words
from rnnkit.errors import ConfigError, DataError, MissingExtraError
from rnnkit.serialization import read_config

TEXTS = {
    "English": 'The brown fox, "quoted" said: don\'t well-known e-mail: a@b.com (see p. 3).\nNew — 3.5% of $5.20!',
    "Chinese": "我有3本书。他说：“你好，world！”",
    "German": "Größe und Übermut: Haupt- und Nebensatz, „Zitat“ ist’s.",
    "emoji": "Hi 🎉 🇩🇪 ok 👍🏽! 👨\u200d👩\u200d👧",
    "Arabic": "مرحبا بالعالم، كيف حالك؟ كَتَبَ",
    "Hindi": "हिन्दी में लिखा है।",
    "Thai": "ภาษาไทยง่าย",
    "Japanese": "日本語のテキストです。カタカナー",
    "Korean": "한국어 문장입니다.",
    "mixed": "x=1, на русском и 中文 in one: été n°5",
}
LIBRARY = ("bpe", "unigram")
KINDS = ("byte", "char", "word", *LIBRARY)


@pytest.fixture(scope="module")
def trained():
    made = {}

    def get(kind):
        if kind not in made:
            if kind in LIBRARY:
                pytest.importorskip("tokenizers")
            size = 600 if kind in LIBRARY else None
            made[kind] = train_tokenizer(kind, list(TEXTS.values()) * 3, size=size)
        return made[kind]

    return get


@pytest.mark.parametrize("kind", KINDS)
def test_texts_come_back_in_every_script(trained, kind):
    tokenizer = trained(kind)
    for text in TEXTS.values():
        ids = tokenizer.encode(text)
        back = tokenizer.decode(ids)
        if kind == "word":  # which puts spaces where they are usual
            assert back.replace(" ", "") == text.replace(" ", "")
            assert tokenizer.encode(back) == ids
        else:
            assert back == text
        assert tokenizer.unknown not in ids
        assert tokenizer.encode_many([text, ""])[0].tolist() == ids
    assert tokenizer.encode("") == []
    assert tokenizer.decode([]) == ""


@pytest.mark.parametrize("kind", KINDS)
def test_a_tokenizer_is_json_values(trained, kind):
    tokenizer = trained(kind)
    again = Tokenizer.from_dict(json.loads(json.dumps(tokenizer.to_dict())))
    assert again == tokenizer
    assert again.fingerprint() == tokenizer.fingerprint()
    assert again.tokens == tokenizer.tokens
    assert len(again) == len(tokenizer) == len(set(tokenizer.tokens))
    assert again.encode(TEXTS["mixed"]) == tokenizer.encode(TEXTS["mixed"])
    assert (again.pad, again.unknown, again.beginning, again.end) == (
        tokenizer.pad,
        tokenizer.unknown,
        tokenizer.beginning,
        tokenizer.end,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_no_text_yields_a_special_token(trained, kind):
    tokenizer = trained(kind)
    special = {tokenizer.pad, tokenizer.beginning, tokenizer.end}
    for text in ("<pad>", "<bos> <eos>", "<pad>" * 9, "<s></s>"):
        assert not special & set(tokenizer.encode(text))
    again = train_tokenizer(kind, None if kind == "byte" else ["<pad> <eos> <unk> "] * 50 + ["pad eos bos unk <>"])
    assert not {again.pad, again.beginning, again.end} & set(again.encode("<pad><eos> <pad>"))
    assert again.decode([again.pad, *again.encode("pad eos"), again.end]) == "pad eos"


@pytest.mark.parametrize("kind", KINDS)
def test_odd_inputs_are_refused(trained, kind):
    tokenizer = trained(kind)
    with pytest.raises(DataError, match=r"a bytes arrived; expected a text \(str\); decode it first"):
        tokenizer.encode(b"abc")
    with pytest.raises(DataError, match="a NoneType arrived; expected a text"):
        tokenizer.encode_many(["a", None])
    with pytest.raises(DataError, match="character 2 of the text is U\\+D83D, half of a pair of surrogates"):
        tokenizer.encode("a\ud83d")
    for wrong in (-1, len(tokenizer)):
        with pytest.raises(DataError, match=f"the id {wrong} arrived; expected 0 to {len(tokenizer) - 1}"):
            tokenizer.decode([wrong])
    for wrong in (3, "abc", [0.5], [[1]], None):
        with pytest.raises(DataError, match=r"arrived; expected (ids|whole numbers)"):
            tokenizer.decode(wrong)
    ids = tokenizer.encode("x=1")
    assert tokenizer.decode(np.array(ids)) == tokenizer.decode(torch.tensor(ids)) == tokenizer.decode(tuple(ids))


@pytest.mark.parametrize("kind", ["char", "word", *LIBRARY])
def test_accents_are_composed_and_letters_made_small(kind):
    if kind in LIBRARY:
        pytest.importorskip("tokenizers")
    tokenizer = train_tokenizer(kind, ["Größe é ﬁ"] * 5, size=300)
    assert tokenizer.encode("Gro\u0308ße e\u0301") == tokenizer.encode("Größe é")
    assert tokenizer.decode(tokenizer.encode("e\u0301")) == "é"
    assert "NFC" in repr(tokenizer)
    small = train_tokenizer(kind, ["Größe é ﬁ"] * 5, size=300, lowercase=True, normalization="NFKC")
    assert small.decode(small.encode("GRÖẞE ﬁ".replace("ẞ", "ß"))) == "größe fi"
    assert small != tokenizer
    plain = train_tokenizer(kind, ["e\u0301 x"] * 5, size=300, normalization=None)
    assert plain.decode(plain.encode("e\u0301")) == "e\u0301"


def test_bytes_stay_as_they_are():
    tokenizer = train_tokenizer("byte")
    assert len(tokenizer) == 259
    assert tokenizer.unknown is None
    text = "e\u0301\r\n\t 中\0"
    assert tokenizer.encode(text) == list(text.encode())
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.decode([0xE4, 0xB8]) == "\ufffd"
    assert tokenizer.decode([257, 65, 258, 256]) == "A"


def test_the_most_frequent_come_first_and_the_rest_is_unknown():
    tokenizer = train_tokenizer("char", ["aab", "ac音音音"], size=6)
    assert tokenizer.tokens == ("<pad>", "<unk>", "<bos>", "<eos>", "a", "音")
    assert tokenizer.encode("ab音") == [4, 1, 5]
    assert tokenizer.decode([4, 1]) == "a<unk>"
    assert tokenizer.split("ab") == ["a", "b"]
    words = train_tokenizer("word", ["b a a c c c", "d"], minimum_count=2)
    assert words.tokens[4:] == ("c", "a")
    assert words.split("a zebra") == ["a", "zebra"]
    assert words.encode("a <unk> zebra") == [5, 1, 1]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Don't stop—now, well-known!", ["Don't", "stop", "@—@", "now", ",", "well", "@-@", "known", "!"]),
        ("Haupt- und -ung", ["Haupt", "@-", "und", "-@", "ung"]),
        ("1,000.50 km 3.5mm 15th -5", ["1,000.50", "km", "3", "@.@", "5mm", "15th", "-5"]),
        ("example.org/a_b", ["example", "@.@", "org", "@/@", "a", "@_@", "b"]),
        ("我爱RNN，真的", ["我", "爱", "RNN", "，", "真", "的"]),
        ("日本語テスト", ["日", "本", "語", "テ", "ス", "ト"]),
        ("𠀀𠀁", ["𠀀", "𠀁"]),
        ("हिन्दी कَت", ["हिन्दी", "कَت"]),
        ("a\n\nb", ["a", "\n", "\n", "b"]),
        ("role @-@ playing", ["role", "@-@", "playing"]),
        ("👨\u200d👩\u200d👧🇩🇪🇫🇷👍🏽", ["👨\u200d👩\u200d👧", "🇩🇪", "🇫🇷", "👍🏽"]),
        (" \t\u3000\u00a0 ", []),
        ("???", ["?", "?", "?"]),
    ],
)
def test_words_numbers_and_marks(text, tokens):
    assert split_words(text) == tokens
    written = join_words(tokens)
    assert split_words(written) == tokens
    assert "".join(written.split()) == "".join(text.replace("@-@", "-").split())


@pytest.mark.parametrize(
    "text",
    [
        'He said: "It costs $5.20 (or €4), 10% less!"',
        "„Wir kommen“, sagte er; «oui», dit-elle.",
        "他说：“你好！”然后走了。",
        "One — two - three/four; rock'n'roll & co.",
        "#tag @name, see www.example.org.",
        'First "a".\nSecond "b".',
    ],
)
def test_words_come_back_with_their_spaces(text):
    assert join_words(split_words(text)) == text


def test_words_of_long_runs_are_those_of_short_ones():
    text = "あいう" * 40 + "a-b," * 40
    assert split_words(text) == ["あ", "い", "う"] * 40 + ["a", "@-@", "b", "@,@"] * 39 + ["a", "@-@", "b", ","]


@pytest.mark.parametrize("kind", LIBRARY)
def test_runs_are_cut_as_the_library_cuts_the_whole(trained, kind):
    tokenizer = trained(kind)
    odd = "  a  b\n\n\n c\td \n e\u00a0f\u3000g   \n" + "x y " * 50 + "".join(TEXTS.values())
    for text in (*TEXTS.values(), odd, odd):  # the second time from memory
        whole = tokenizer.library.encode(tokenizer.prepare(text)).ids
        assert tokenizer.encode(text) == tokenizer._own_ids(whole)


def test_nothing_is_unknown_to_byte_pairs_and_the_size_is_kept():
    pytest.importorskip("tokenizers")
    tokenizer = train_tokenizer("bpe", ["low lower lowest " * 20], size=265)
    assert len(tokenizer) == 265
    assert tokenizer.unknown is None
    assert tokenizer.decode(tokenizer.encode("全新的 ✪\n\t text")) == "全新的 ✪\n\t text"
    assert len(tokenizer.encode("low")) < 3
    with pytest.raises(ConfigError, match="size=200 arrived; expected at least 259: 256 bytes and 3 special tokens"):
        train_tokenizer("bpe", ["a"], size=200)
    rare = train_tokenizer("bpe", ["low lower"], size=300, minimum_count=5)
    assert len(rare) == 259


def test_unigram_pieces_and_its_unknown():
    pytest.importorskip("tokenizers")
    tokenizer = train_tokenizer("unigram", ["low lower lowest newest wider " * 20], size=60)
    assert len(tokenizer) <= 60
    ids = tokenizer.encode("low ✪ low")
    assert tokenizer.unknown in ids
    assert tokenizer.decode(ids) == "low <unk> low"
    with pytest.raises(ConfigError, match="minimum_count=2 arrived; leave it out"):
        train_tokenizer("unigram", ["a"], minimum_count=2)


def test_arguments_of_the_wrong_kind():
    with pytest.raises(ConfigError, match="kind='words' arrived; did you mean 'word'"):
        train_tokenizer("words", ["a"])
    with pytest.raises(ConfigError, match="no texts arrived; the kind 'char' is made of texts; type texts="):
        train_tokenizer("char")
    with pytest.raises(ConfigError, match="size=4 arrived"):
        train_tokenizer("char", ["a"], size=4)
    with pytest.raises(ConfigError, match="size=100 arrived; leave it out: there are 256 bytes"):
        train_tokenizer("byte", size=100)
    with pytest.raises(ConfigError, match="normalization='nfc' arrived; did you mean 'NFC'"):
        train_tokenizer("char", ["a"], normalization="nfc")
    with pytest.raises(DataError, match="no text arrived; expected at least one"):
        train_tokenizer("char", [])
    with pytest.raises(DataError, match="nothing in the texts occurs 9 times; type minimum_count=1"):
        train_tokenizer("word", ["a b"], minimum_count=9)
    with pytest.raises(DataError, match="text 2: a int arrived; expected a text"):
        train_tokenizer("char", ["a", 5])
    with pytest.raises(DataError, match=r"there is no file or folder 'abc'; put it in a list, \[text\]"):
        train_tokenizer("char", "abc")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"kind": "chars"}, "did you mean 'char'"),
        ({"tokens": ["a", "a"]}, "hold one of them twice"),
        ({"tokens": ["ab"]}, "not all single characters"),
        ({"tokens": [1]}, "not all texts"),
        ({"tokens": "ab"}, "tokens is a str"),
        ({"normalization": "x"}, "normalization is 'x'"),
        ({"lowercase": 1}, "lowercase is a int"),
        ({"more": 1}, "hold 'more', which is not known"),
    ],
)
def test_values_of_no_tokenizer(change, problem):
    values = train_tokenizer("char", ["abc"]).to_dict()
    with pytest.raises(DataError, match=problem):
        Tokenizer.from_dict({**values, **change})
    del values["tokens"]
    with pytest.raises(DataError, match="lack 'tokens'"):
        Tokenizer.from_dict(values)


def test_values_of_no_subwords():
    pytest.importorskip("tokenizers")
    bpe = train_tokenizer("bpe", ["low low low"], size=262).to_dict()
    for merges in ([["q", "nowhere"]], [["l"]], [5], [["l", 5]]):
        with pytest.raises(DataError, match="merges"):
            Tokenizer.from_dict({**bpe, "merges": merges})
    unigram = train_tokenizer("unigram", ["low lower"] * 9, size=30).to_dict()
    for scores in ([], ["a"] * len(unigram["pieces"])):
        with pytest.raises(DataError, match="expected as many scores"):
            Tokenizer.from_dict({**unigram, "scores": scores})


def test_a_file_and_a_model_hold_a_tokenizer(tmp_path):
    tokenizer = train_tokenizer("word", ["Größe 中文"])
    assert Tokenizer.open(tokenizer.save(tmp_path / "t.json")) == tokenizer
    with pytest.raises(DataError, match="expected a name that ends in .json"):
        tokenizer.save(tmp_path / "t")
    (tmp_path / "other.json").write_text('{"a": 1}')
    with pytest.raises(DataError, match=r"other.json: is not a tokenizer that rnnkit saved \(.*lack 'kind'"):
        Tokenizer.open(tmp_path / "other.json")
    (tmp_path / "broken.json").write_bytes(b'{"kind": \xff')
    with pytest.raises(DataError, match="broken.json: is not a tokenizer"):
        Tokenizer.open(tmp_path / "broken.json")
    with pytest.raises(DataError, match="there is no such file"):
        Tokenizer.open(tmp_path / "none.json")
    learner = rnnkit.Learner(rnnkit.SequenceClassifier(rnnkit.GRU(1, 4), classes=2))
    learner.extra["tokenizer"] = tokenizer.to_dict()
    learner.save(tmp_path / "model")
    assert Tokenizer.from_dict(read_config(tmp_path / "model")["extra"]["tokenizer"]) == tokenizer


def sentencepiece_model(**settings):
    sentencepiece = pytest.importorskip("sentencepiece")
    import io

    model = io.BytesIO()
    texts = [text.replace("\n", " ") for text in TEXTS.values()] * 5
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts), model_writer=model, vocab_size=150, minloglevel=2, **settings
    )
    return model.getvalue()


def test_models_of_sentencepiece_are_read(tmp_path):
    file = tmp_path / "m.model"
    file.write_bytes(sentencepiece_model())
    tokenizer = Tokenizer.open(file)
    assert (tokenizer.pad, tokenizer.unknown, tokenizer.beginning, tokenizer.end) == (None, 0, 1, 2)
    assert len(tokenizer) == 150
    for language in ("German", "Chinese", "Korean", "Arabic"):
        ids = tokenizer.encode(TEXTS[language])
        assert tokenizer.decode(ids).replace("，", ",").replace("：", ":").replace("！", "!") == TEXTS[
            language
        ].replace("，", ",").replace("：", ":").replace("！", "!")
    ids = tokenizer.encode("Haupt ✪ und")
    assert tokenizer.decode([1, *ids, 2]) == "Haupt <unk> und"
    assert Tokenizer.from_dict(json.loads(json.dumps(tokenizer.to_dict()))) == tokenizer
    file.write_bytes(b"no model")
    with pytest.raises(DataError, match="m.model: is not a model of sentencepiece"):
        Tokenizer.open(file)
    file.write_bytes(b"")
    with pytest.raises(DataError, match="is not a model of sentencepiece"):
        Tokenizer.open(file)
    with pytest.raises(DataError, match="tokenizer's model is damaged"):
        Tokenizer.from_dict({**tokenizer.to_dict(), "model": "é"})


@pytest.mark.parametrize(("package", "kind"), [("tokenizers", "bpe"), ("tokenizers", "unigram"), ("sentencepiece", "")])
def test_without_the_library_the_error_names_the_extra(monkeypatch, tmp_path, package, kind):
    real = builtins.__import__

    def without(name, *rest, **more):
        if name.split(".")[0] == package:
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    (tmp_path / "m.model").write_bytes(b"x")
    needs = f"needs the package {package}, which is not installed; type pip install 'rnnkit\\[text\\]'"
    with pytest.raises(MissingExtraError, match=needs):
        train_tokenizer(kind, ["a"]) if kind else Tokenizer.open(tmp_path / "m.model")
    assert train_tokenizer("word", ["a b"]).encode("b") == [5]
