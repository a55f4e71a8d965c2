"""The one call that makes a tokenizer of texts."""

from __future__ import annotations

from collections.abc import Iterator

from ...errors import ConfigError, DataError, Remedy, check_choice, check_whole
from .texts import Texts, TextSource, as_texts
from .tokenizer import Preparation, Tokenizer, check_text

TRAINED = ("byte", "char", "word", "bpe", "unigram")
_SIZES: dict[str, int | None] = {"char": None, "word": 30_000, "bpe": 8_000, "unigram": 8_000}
_LEAST = 5  # tokens: the special ones and one more


def train_tokenizer(
    kind: str,
    texts: TextSource | None = None,
    *,
    size: int | None = None,
    minimum_count: int = 1,
    normalization: str | None = "NFC",
    lowercase: bool = False,
) -> Tokenizer:
    """Make a tokenizer of texts. Take those of the training part alone, for the vocabulary is learnt, too.

    ==========  ====================================================================================================
    "byte"      the bytes of UTF-8; no texts are needed and the text stays as it is; 259 tokens
    "char"      each character
    "word"      words, numbers and marks apart; each character of Chinese, Japanese, Thai and the like
    "bpe"       byte-pair encoding over bytes, words divided as in GPT-2; nothing is unknown
    "unigram"   the unigram model (Kudo 2018); characters that the texts lack are unknown
    ==========  ====================================================================================================

    "bpe" and "unigram" need the library `tokenizers` (``pip install 'rnnkit[text]'``). `Tokenizer.open` reads models of
    sentencepiece.

    Args:
        kind: see above.
        texts: what `read_texts` returns, a path, or texts. They are read once, one after the other.
        size: the largest number of tokens, special ones among them; None: all characters for "char", 30,000 for "word",
            8,000 for "bpe" and "unigram". There may be fewer.
        minimum_count: how often a character or word, or for "bpe" a pair of pieces, must occur to become a token.
        normalization: the Unicode form in which texts are written first: "NFC" composes accented letters, "NFKC" makes
            full-width and other variants of characters the usual ones as well; None leaves texts as they are.
        lowercase: whether texts are written in small letters first.

    Returns:
        The tokenizer; `encode` writes each text in the same form first.

    Raises:
        ConfigError: a value that the kind does not take.
        DataError: there is no text, or something that is no text; see `read_texts` for files.
        MissingExtraError: the library is not installed.

    Example:
        >>> tokenizer = train_tokenizer("word", ["The well-known dog barks.", "The dog sleeps."], minimum_count=2)
        >>> tokenizer.tokens[4:]
        ('.', 'The', 'dog')
        >>> tokenizer.decode(tokenizer.encode("The old dog barks."))
        'The <unk> dog <unk>.'
    """
    check_choice(kind, "kind", TRAINED)
    check_whole(minimum_count, "minimum_count")
    check_whole(size, "size", _LEAST, optional=True)
    if kind == "byte":
        return _bytes(size, minimum_count, Preparation(normalization, lowercase))
    prepare = Preparation(normalization, lowercase)
    if texts is None:
        raise ConfigError(f"no texts arrived; the kind {kind!r} is made of texts", remedy="type texts=")
    if kind == "unigram" and minimum_count != 1:
        raise ConfigError.of("minimum_count", minimum_count, "leave it out: the unigram model chooses by likelihood")
    read = _Counted(as_texts(texts))
    trained = _train(kind, iter(read), prepare, size or _SIZES[kind], minimum_count)
    if not read.count:
        raise DataError("no text arrived; expected at least one")
    if kind in ("char", "word") and len(trained) < _LEAST:
        raise DataError(f"nothing in the texts occurs {minimum_count} times", remedy=Remedy("minimum_count", 1))
    return trained


def extend_tokenizer(tokenizer: Tokenizer, texts: TextSource, *, minimum_count: int = 1) -> Tokenizer:
    """Return a tokenizer that also has the characters or words of other texts, behind its own, whose ids stay.

    Args:
        tokenizer: of the kind "char" or "word". Tokenizers of other kinds cut any text, and are returned as they are.
        texts: what `read_texts` returns, a path, or texts.
        minimum_count: how often a character or word must occur in them to become a token.

    Raises:
        DataError: as `train_tokenizer`.

    Example:
        >>> tokenizer = train_tokenizer("word", ["the dog barks"])
        >>> extend_tokenizer(tokenizer, ["the dog sleeps"]).tokens[4:]
        ('barks', 'dog', 'the', 'sleeps')
    """
    if tokenizer.kind not in ("char", "word"):
        return tokenizer
    prepare = tokenizer.prepare
    read = _Counted(as_texts(texts))
    found = _train(tokenizer.kind, iter(read), prepare, None, minimum_count)
    if not read.count:
        raise DataError("no text arrived; expected at least one")
    known = set(tokenizer.tokens)
    values = tokenizer.to_dict()
    return Tokenizer.from_dict(
        {**values, "tokens": [*values["tokens"], *(one for one in found.tokens if one not in known)]}
    )


def _train(kind: str, texts: Iterator[str], prepare: Preparation, size: int | None, minimum_count: int) -> Tokenizer:
    if kind == "char":
        from .characters import CharTokenizer

        return CharTokenizer.train(texts, prepare, size=size, minimum_count=minimum_count)
    if kind == "word":
        from .words import WordTokenizer

        return WordTokenizer.train(texts, prepare, size=size, minimum_count=minimum_count)
    from .subwords import BpeTokenizer, UnigramTokenizer

    assert size is not None
    if kind == "bpe":
        return BpeTokenizer.train(texts, prepare, size=size, minimum_count=minimum_count)
    return UnigramTokenizer.train(texts, prepare, size=size)


class _Counted:
    """Texts that are checked and counted while they are read."""

    def __init__(self, texts: Texts) -> None:
        self.texts, self.count = texts, 0

    def __iter__(self) -> Iterator[str]:
        for piece in self.texts.pieces():
            if piece.text:
                self.count += 1
                yield check_text(piece.text, piece.place)


def _bytes(size: int | None, minimum_count: int, prepare: Preparation) -> Tokenizer:
    from .characters import ByteTokenizer

    if size not in (None, 259):
        raise ConfigError.of("size", size, "leave it out: there are 256 bytes and 3 special tokens")
    if minimum_count != 1:
        raise ConfigError.of("minimum_count", minimum_count, "leave it out: all bytes are tokens")
    return ByteTokenizer(Preparation(None, prepare.lowercase))
