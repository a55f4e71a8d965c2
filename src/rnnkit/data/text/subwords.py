"""Parts of words as tokens, by the library `tokenizers`: byte-pair encoding and the unigram model.

The library cuts texts and trains. The ids of the special tokens are ours, and the library does not know them: a text
that holds "<pad>" is cut as any other.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from ...errors import ConfigError, DataError
from .tokenizer import BEGINNING, END, PAD, UNKNOWN, Preparation, Tokenizer, Values, as_ids, need, unique

if TYPE_CHECKING:
    import tokenizers

    from .tokenizer import Ids

_LONGEST_PIECE = 16
_KNOWN, _LONG = 1 << 16, 32  # runs whose ids are remembered, and the characters of the longest
_UNKNOWN_ID = 1  # of the unigram model
_NO_TEXT = "<unk> "  # the library's unknown piece; it holds a space, which no text has once its spaces are ▁


class _Library(Tokenizer):
    """A tokenizer whose texts the library cuts.

    The library would cut each run of a text by itself, so the ids of short runs are remembered: most come again.

    Attributes:
        shift: what is added to the library's ids.
        runs: finds the runs of a text.
    """

    shift: int
    runs: ClassVar[re.Pattern[str]]
    library: tokenizers.Tokenizer

    def __init__(self, tokens: Sequence[str], special: Mapping[str, int], prepare: Preparation) -> None:
        super().__init__(tokens, special, prepare)
        self._known: dict[str, list[int]] = {}

    def _ids(self, texts: list[str]) -> list[Ids]:
        known = self._known
        runs = [self.runs.findall(text) for text in texts]
        new = list({run for some in runs for run in some if run not in known})
        try:
            found = self.library.encode_batch_fast(new, add_special_tokens=False)
        except BaseException as error:  # the library's panics derive from BaseException
            if isinstance(error, KeyboardInterrupt | SystemExit | MemoryError):
                raise
            raise DataError(f"the library tokenizers cannot cut a text ({error})") from None
        for run, one in zip(new, found, strict=True):
            known[run] = self._own_ids(one.ids)
        ids = [as_ids([*itertools.chain.from_iterable(known[run] for run in some)]) for some in runs]
        if len(known) > _KNOWN:
            known.clear()
        for run in new:
            if len(run) > _LONG:
                known.pop(run, None)
        return ids

    def _own_ids(self, ids: Sequence[int]) -> list[int]:
        """Return our ids of the library's."""
        return [one + self.shift for one in ids]

    def _text(self, ids: list[int]) -> str:
        return str(self.library.decode([one - self.shift for one in ids], skip_special_tokens=False))


class BpeTokenizer(_Library):
    """Byte-pair encoding (Sennrich, Haddow & Birch 2016) over the bytes of UTF-8, so that nothing is unknown.

    Text is divided into words as in GPT-2 (Radford et al. 2019). `decode` returns exactly the prepared text.

    Args:
        pieces: those of the vocabulary, in the order of their ids, which begin after pad, beginning and end. A byte is
            written as one character, as in GPT-2.
        merges: the pairs of pieces that become one, in their order.
        prepare: how a text is prepared first.
    """

    kind = "bpe"
    shift = 3
    runs = re.compile(r" ?\S+|\s+(?!\S)|\s+")  # as GPT-2 divides text into words, but for letters, numbers and marks

    def __init__(self, pieces: Sequence[str], merges: Sequence[tuple[str, str]], prepare: Preparation) -> None:
        super().__init__([PAD, BEGINNING, END, *pieces], {"pad": 0, "beginning": 1, "end": 2}, prepare)
        library = _import(self.kind)
        self._pieces, self._merges = list(pieces), [tuple(pair) for pair in merges]
        vocabulary = {piece: number for number, piece in enumerate(pieces)}
        try:
            self.library = library.Tokenizer(library.models.BPE(vocabulary, self._merges))
        except Exception as error:
            raise DataError(f"the tokenizer's merges do not fit its pieces ({error})") from None
        self.library.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
        self.library.decoder = library.decoders.ByteLevel()

    @staticmethod
    def train(texts: Iterable[str], prepare: Preparation, *, size: int, minimum_count: int) -> BpeTokenizer:
        """Return a tokenizer of at most `size` tokens; pairs that occur fewer than `minimum_count` times stay apart."""
        library = _import("bpe")
        least = 256 + BpeTokenizer.shift
        if size < least:
            raise ConfigError.of("size", size, f"expected at least {least}: 256 bytes and 3 special tokens")
        trained = library.Tokenizer(library.models.BPE())
        trained.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
        trainer = library.trainers.BpeTrainer(
            vocab_size=size - BpeTokenizer.shift,
            min_frequency=minimum_count,
            initial_alphabet=sorted(library.pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        model = _train(trained, map(prepare, texts), trainer)
        pieces = sorted(model["vocab"], key=model["vocab"].__getitem__)
        merges = [tuple(pair.split(" ") if isinstance(pair, str) else pair) for pair in model["merges"]]
        return BpeTokenizer(pieces, merges, prepare)

    def _values(self) -> dict[str, Any]:
        return {"pieces": self._pieces, "merges": [list(pair) for pair in self._merges]}

    @classmethod
    def _build(cls, values: Values, prepare: Preparation) -> BpeTokenizer:
        pieces, merges = values.texts("pieces"), values.take("merges", list)
        if not all(isinstance(pair, list) and len(pair) == 2 for pair in merges):
            raise DataError("the tokenizer's merges are not pairs of pieces")
        known = set(pieces)
        if any(not isinstance(one, str) or one not in known for one in itertools.chain.from_iterable(merges)):
            raise DataError("the tokenizer's merges do not fit its pieces")
        return cls(pieces, merges, prepare)


class UnigramTokenizer(_Library):
    """The unigram model (Kudo 2018): the most probable way to cut a text into pieces.

    Spaces are the character ▁, and a line break is a token. A ▁ in a text becomes a space.

    Args:
        pieces: those of the vocabulary with the logarithms of their probabilities, in the order of their ids, which
            begin after the four special ones.
        prepare: how a text is prepared first.
    """

    kind = "unigram"
    shift = 3  # the library's unknown piece, its first, gets the id of `end`, which `_own_ids` replaces
    runs = re.compile(r"\n| ?[^ \n]+| ")

    def __init__(self, pieces: Sequence[tuple[str, float]], prepare: Preparation) -> None:
        names = [piece for piece, _ in pieces]
        special = {"pad": 0, "unknown": _UNKNOWN_ID, "beginning": 2, "end": 3}
        super().__init__([PAD, UNKNOWN, BEGINNING, END, *names], special, prepare)
        library = _import(self.kind)
        self._pieces = [(piece, float(score)) for piece, score in pieces]
        self.library = library.Tokenizer(library.models.Unigram([(_NO_TEXT, 0.0), *self._pieces], 0, False))
        self.library.pre_tokenizer = _lines_and_spaces(library)
        self.library.decoder = library.decoders.Metaspace(prepend_scheme="never")

    @staticmethod
    def train(texts: Iterable[str], prepare: Preparation, *, size: int) -> UnigramTokenizer:
        """Return a tokenizer of at most `size` tokens."""
        library = _import("unigram")
        trained = library.Tokenizer(library.models.Unigram())
        trained.pre_tokenizer = _lines_and_spaces(library)
        trainer = library.trainers.UnigramTrainer(
            vocab_size=size - UnigramTokenizer.shift,
            unk_token=UNKNOWN,
            special_tokens=[UNKNOWN],
            max_piece_length=_LONGEST_PIECE,
            show_progress=False,
        )
        model = _train(trained, map(prepare, texts), trainer)
        pieces = [(piece, score) for piece, score in model["vocab"] if piece != UNKNOWN]
        return UnigramTokenizer(pieces[: size - 4], prepare)

    def _own_ids(self, ids: Sequence[int]) -> list[int]:
        return [one + self.shift if one else _UNKNOWN_ID for one in ids]

    def _text(self, ids: list[int]) -> str:
        known = [None if one == self.unknown else self.tokens[one] for one in ids]
        return "".join(UNKNOWN if one is None else one.replace("▁", " ") for one in known)

    def _values(self) -> dict[str, Any]:
        return {"pieces": [piece for piece, _ in self._pieces], "scores": [score for _, score in self._pieces]}

    @classmethod
    def _build(cls, values: Values, prepare: Preparation) -> UnigramTokenizer:
        pieces, scores = unique(values.take("pieces", list), "pieces"), values.take("scores", list)
        if len(scores) != len(pieces) or not all(type(score) in (int, float) for score in scores):
            raise DataError(f"the tokenizer has {len(pieces)} pieces; expected as many scores, which are numbers")
        return cls(list(zip(pieces, scores, strict=True)), prepare)


def _import(kind: str) -> Any:
    try:
        import tokenizers
        import tokenizers.decoders
        import tokenizers.models
        import tokenizers.pre_tokenizers
        import tokenizers.trainers
    except ImportError:
        raise need("tokenizers", kind) from None
    return tokenizers


def _lines_and_spaces(library: Any) -> Any:
    cut = library.pre_tokenizers
    return cut.Sequence([cut.Split("\n", "isolated"), cut.Metaspace(prepend_scheme="never")])


def _train(trained: Any, texts: Iterable[str], trainer: Any) -> dict[str, Any]:
    """Train, and return the library's model as JSON values."""
    import json

    try:
        trained.train_from_iterator(texts, trainer)
    except BaseException as error:  # the library's panics derive from BaseException
        if isinstance(error, KeyboardInterrupt | SystemExit | MemoryError | DataError):
            raise
        raise DataError(
            f"the library tokenizers cannot train on these texts ({error})",
            remedy="give it more texts, or another size=",
        ) from None
    model: dict[str, Any] = json.loads(trained.to_str())["model"]
    return model


CLASSES: dict[str, type[Tokenizer]] = {"bpe": BpeTokenizer, "unigram": UnigramTokenizer}
