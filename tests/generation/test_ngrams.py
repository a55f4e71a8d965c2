"""N-gram models: Kneser–Ney by hand, probabilities that sum to 1, ARPA files."""

import gzip
import math

import pytest

from rnnkit.data import read_texts
from rnnkit.errors import ConfigError, DataError
from rnnkit.generation import NGramModel, read_arpa, train_ngram, write_arpa

ENGLISH = ["the cat sat on the mat.", "the dog sat on the log.", "a dog and a cat sat.", "the mat is red"]
CHINESE = [
    "春眠不觉晓，处处闻啼鸟。",
    "夜来风雨声，花落知多少。",
    "床前明月光，疑是地上霜。",
    "举头望明月，低头思故乡。",
]


def probability(model, state, word):
    return math.exp(model.step(state, word)[1])


def contexts(model):
    """Return all states that the model has."""
    return sorted({model.empty, model.begin, *model._states})


def test_kneser_ney_by_hand():
    # Bigrams: <s> a 3, a b 2, a c 1, b </s> 2, c </s> 1. Y = 2 / (2 + 2·2) = 1/3, D1 = 1 − 2·1/3·2/2 = 1/3,
    # D2 = 2 − 3·1/3·1/2 = 3/2, D3 = 3 − 4·1/3·0/1 = 3. Words: each but </s> (2) is behind one other; no D, so ½, 1, 1½.
    model = train_ngram(["a b", "a c", "a b"], 2)
    assert model.notes == ("The text is too short to estimate the discounts of order 1; they are 0.5, 1, 1.5.",)
    one = {"a": 0.5 / 5 + 0.1, "b": 0.5 / 5 + 0.1, "c": 0.5 / 5 + 0.1, "</s>": 1 / 5 + 0.1, "<unk>": 0.1}
    assert {word: probability(model, model.empty, word) for word in one} == pytest.approx(one)
    behind_a, _ = model.step(model.empty, "a")
    gamma = (1.5 + 1 / 3) / 3
    found = {word: probability(model, behind_a, word) for word in one}
    assert found == pytest.approx(
        {
            "a": gamma * 0.2,
            "b": 0.5 / 3 + gamma * 0.2,
            "c": (2 / 3) / 3 + gamma * 0.2,
            "</s>": gamma * 0.3,
            "<unk>": gamma * 0.1,
        }
    )
    assert probability(model, model.begin, "a") == pytest.approx(0 + 1 * 0.2)  # all of 3 is taken
    assert model.score("a b") == pytest.approx(
        math.log(0.2) + math.log(0.5 / 3 + gamma * 0.2) + math.log(0.5 / 2 + 1.5 / 2 * 0.3)
    )


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize(
    ("texts", "unit"), [(ENGLISH, "word"), (ENGLISH, "char"), (CHINESE, "word"), (CHINESE, "char")]
)
def test_the_probabilities_behind_every_context_sum_to_1(texts, unit, order):
    model = train_ngram(texts, order, unit=unit, minimum_count=1 if unit == "word" else 2)
    words = [word for word in model.words if word != "<s>"]
    assert model.order == order
    for state in contexts(model):
        assert sum(probability(model, state, word) for word in words) == pytest.approx(1.0)


def test_lower_orders_count_what_is_before():
    # "francisco" comes often, and behind one word alone.
    texts = ["san francisco"] * 8 + ["a dog", "the dog", "my dog", "one dog"]
    model = train_ngram(texts, 2)
    assert probability(model, model.empty, "dog") > 2 * probability(model, model.empty, "francisco")
    state, _ = model.step(model.empty, "san")
    assert probability(model, state, "francisco") > 0.5


def test_units_and_what_is_unknown():
    words = train_ngram(["The cat", "the cat", "a dog"], 2, lowercase=True, minimum_count=2)
    assert set(words.words) == {"<unk>", "<s>", "</s>", "the", "cat"}
    assert words.split("The  Dog") == ["the", "dog"]
    assert words.step(words.begin, "dog") == words.step(words.begin, "<unk>")
    assert words.score("The cat") == words.score(["the", "cat"])
    letters = train_ngram(["ab a", "<s> b"], 3, unit="char")
    assert letters.split(" a  b ") == ["a", "▁", "b"]
    assert letters.words.count("<s>") == 1
    assert "<" in letters
    given = train_ngram([["new", "york"], ["</s>", "york"]], 2)
    assert given.words == ("<unk>", "<s>", "</s>", "york", "new")
    assert len(train_ngram(ENGLISH, 1, size=6).words) == 6
    assert train_ngram(["你好 world"], 2).split("你好 world") == ["你", "好", "world"]


def test_perplexity_is_that_of_every_word_and_end(tmp_path):
    model = train_ngram(ENGLISH, 3)
    total = sum(model.score(text) for text in ENGLISH)
    count = sum(len(model.split(text)) + 1 for text in ENGLISH)
    assert model.perplexity(ENGLISH) == pytest.approx(math.exp(-total / count))
    assert model.totals(ENGLISH).unknown == 0
    assert model.perplexity(ENGLISH) < train_ngram(ENGLISH, 1).perplexity(ENGLISH)
    file = tmp_path / "text.txt"
    file.write_text("\n\n".join(ENGLISH), encoding="utf-8")  # lines are sentences
    assert model.perplexity(file) == pytest.approx(model.perplexity(ENGLISH))
    assert train_ngram(read_texts(file, unit="line"), 3).counts() == model.counts() == train_ngram(file, 3).counts()
    found = model.totals(["the zebra sat"])
    assert (found.words, found.unknown, found.sentences) == (4, 1, 1)


def test_settings_and_texts_that_cannot_be_used():
    with pytest.raises(ConfigError, match="order=0 arrived"):
        train_ngram(ENGLISH, 0)
    with pytest.raises(ConfigError, match="unit='letters' arrived"):
        train_ngram(ENGLISH, unit="letters")
    with pytest.raises(DataError, match="no word arrived"):
        train_ngram(["", "  "])
    with pytest.raises(DataError, match=r"no word comes 9 times; type a smaller minimum_count"):
        train_ngram(ENGLISH, minimum_count=9)
    with pytest.raises(DataError, match="the word 'new york' arrived; expected a word without spaces"):
        train_ngram([["new york"]])
    model = train_ngram(ENGLISH)
    with pytest.raises(DataError, match="no word arrived"):
        model.perplexity([])
    with pytest.raises(DataError, match="the state 999999 arrived"):
        model.step(999999, "the")
    with pytest.raises(DataError, match="the state 'the' arrived"):
        model.step("the", "cat")


@pytest.mark.parametrize("name", ["model.arpa", "model.arpa.gz"])
@pytest.mark.parametrize(("texts", "unit"), [(ENGLISH, "word"), (CHINESE, "char")])
def test_a_file_holds_the_same_model(tmp_path, name, texts, unit):
    model = train_ngram(texts, 3, unit=unit)
    file = write_arpa(model, tmp_path / name)
    read = read_arpa(file)
    assert read.unit == unit  # each word of a model of characters has one
    assert (read.counts(), read.words) == (model.counts(), model.words)
    for text in texts:
        assert read.score(text) == pytest.approx(model.score(text), abs=1e-5)
    again = write_arpa(read, tmp_path / f"again{name}")
    assert again.read_bytes() == file.read_bytes()
    raw = gzip.decompress(file.read_bytes()) if name.endswith("gz") else file.read_bytes()
    assert raw.startswith(b"\\data\\\nngram 1=")
    assert raw.endswith(b"\n\\end\\\n")


def test_a_folder_says_how_texts_are_cut(tmp_path):
    model = train_ngram(["A b c", "B c a"], 2, lowercase=True)
    model.save(tmp_path)
    read = NGramModel.open(tmp_path)
    assert (read.unit, read.prepare) == ("word", model.prepare)  # not "char", as its words would say
    assert read.score("A B") == pytest.approx(model.score("a b"), abs=1e-5)
    assert NGramModel.open(tmp_path / "ngram.arpa.gz").unit == "char"
    (tmp_path / "ngram.json").write_text('{"unit": 3}')
    with pytest.raises(DataError, match=r"ngram.json: does not say how texts are cut"):
        NGramModel.open(tmp_path)
    with pytest.raises(DataError, match=r"holds no ngram.arpa.gz"):
        NGramModel.open(tmp_path.parent)


GOOD = r"""made by hand

\data\
ngram 1=5
ngram 2=3

\1-grams:
-1.0	<UNK>
-99	<s>	-0.5
-1.2 </s>
-0.5	a	-0.25
-0.7	你	-0.1

\2-grams:
-0.2	<s> a
-0.3	a 你
-0.4	你 </s>

\end\
"""


def test_files_of_other_tools(tmp_path):
    file = tmp_path / "hand.arpa"
    file.write_text(GOOD.replace("\n", "\r\n"), encoding="utf-8")
    model = read_arpa(file)
    ten = math.log(10)
    assert model.order == 2
    assert model.score("a 你") == pytest.approx(ten * (-0.2 - 0.3 - 0.4))
    assert model.step(model.begin, "你")[1] == pytest.approx(ten * (-0.5 - 0.7))
    assert model.step(model.begin, "x")[1] == pytest.approx(ten * (-0.5 - 1.0))
    closed = tmp_path / "closed.arpa"
    closed.write_text(GOOD.replace("-1.0\t<UNK>\n", "").replace("1=5", "1=4"), encoding="utf-8")
    found = read_arpa(closed)
    assert found.step(found.begin, "x")[1] == pytest.approx(-100 * ten)
    assert found.totals(["a x"]).words == 2  # what it has no probability of is left out
    pruned = tmp_path / "pruned.arpa"  # the 2-gram at the end of the 3-gram is not there
    pruned.write_text(
        GOOD.replace("ngram 2=3", "ngram 2=2\nngram 3=1")
        .replace("-0.3\ta 你\n", "")
        .replace("<s> a\n", "<s> a\t-0.6\n")
        .replace("\\end\\", "\\3-grams:\n-0.1\t<s> a 你\n\n\\end\\"),
        encoding="utf-8",
    )
    three = read_arpa(pruned)
    assert three.score("a 你") == pytest.approx(ten * (-0.2 - 0.1 - 0.4))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\\data\\", "", r"hand.arpa:19: the file ends here; expected a line \\data\\"),
        ("ngram 1=5", "ngram 2=5", r"hand.arpa:4: 'ngram 2=5' arrived; expected ngram 1=…"),
        ("-0.5\ta", "half\ta", r"hand.arpa:11: log10 p is 'half'; expected a number"),
        ("-0.5\ta", "0.5\ta", r"hand.arpa:11: log10 p is 0.5; expected at most 0"),
        ("a\t-0.25", "a\tnan", r"hand.arpa:11: the backoff weight is 'nan'; expected a finite number"),
        ("<s> a\n", "<s> a b c\n", r"hand.arpa:15: 5 fields arrived; expected 3 or 4: log10 p, 2 words"),
        ("<s> a\n", "<s> b\n", r"hand.arpa:15: the word 'b' is not among the 1-grams"),
        ("a 你\n", "<s> a\n", r"hand.arpa:16: the n-gram '<s> a' comes twice"),
        ("ngram 2=3", "ngram 2=4", r"hand.arpa:19: \\2-grams: holds 3 n-grams; \\data\\ announces 4"),
        ("\\2-grams:", "\\3-grams:", r"hand.arpa:14: .* arrived; expected \\2-grams:"),
        ("\\end\\", "", r"the file ends here; expected \\end\\"),
        (
            "ngram 2=3",
            "ngram 2=3\nngram 3=1",
            r"hand.arpa:20: '\\\\end\\\\' arrived; expected \\3-grams:",
        ),
    ],
)
def test_damaged_files_name_the_line(tmp_path, old, new, message):
    assert old in GOOD
    file = tmp_path / "hand.arpa"
    file.write_text(GOOD.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_arpa(file)


def test_a_longer_ngram_needs_its_first_words(tmp_path):
    file = tmp_path / "gap.arpa"
    text = GOOD.replace("ngram 2=3", "ngram 2=3\nngram 3=1").replace("\\end\\", "\\3-grams:\n-1\ta a 你\n\\end\\")
    file.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"gap.arpa:21: the n-gram goes on from 'a a', which is not among the 2-grams"):
        read_arpa(file)
    with pytest.raises(DataError, match="there is no such file"):
        read_arpa(tmp_path / "none.arpa")
    with pytest.raises(DataError, match=r"is a folder; expected an ARPA file; type NGramModel.open"):
        read_arpa(tmp_path)
    with pytest.raises(ConfigError, match="unit='words' arrived"):
        read_arpa(file, unit="words")
