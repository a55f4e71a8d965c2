"""The one interface of all tokenizers: text to ids and back, and JSON values that a model is stored with.

Legend: V size of the vocabulary.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from unicodedata import is_normalized, normalize

import numpy as np

from ...errors import DataError, MissingExtraError, Place, check_choice, suggest
from ...serialization import json_text, read_json, replacing

if TYPE_CHECKING:
    import numpy.typing as npt

    Ids = npt.NDArray[np.int32]

NORMALIZATIONS = ("NFC", "NFKC", None)
PAD, UNKNOWN, BEGINNING, END = "<pad>", "<unk>", "<bos>", "<eos>"
# Each kind: the module that has it.
KINDS = {
    "byte": "characters",
    "char": "characters",
    "word": "words",
    "tagged_word": "tagged_words",
    "bpe": "subwords",
    "unigram": "subwords",
    "sentencepiece": "sentencepieces",
}


@dataclass(frozen=True)
class Preparation:
    """How a text is prepared before it is cut into tokens.

    Attributes:
        normalization: the Unicode form, "NFC" or "NFKC"; None leaves the text as it is.
        lowercase: whether the text is written in small letters.

    Raises:
        ConfigError: another form.
    """

    normalization: str | None = "NFC"
    lowercase: bool = False

    def __post_init__(self) -> None:
        check_choice(self.normalization, "normalization", NORMALIZATIONS)
        check_choice(self.lowercase, "lowercase", (False, True))

    def __call__(self, text: str) -> str:
        """Return the prepared text."""
        if self.lowercase:
            text = text.lower()
        form: Any = self.normalization
        if form is None or text.isascii() or is_normalized(form, text):
            return text
        return normalize(form, text)


AS_IT_IS = Preparation(None)


class Tokenizer:
    """Turn text into ids and back. `train_tokenizer` and `Tokenizer.open` make one; its class is of no concern.

    A text never yields the ids of `pad`, `beginning` and `end`, not even one that holds "<pad>": who builds a batch
    adds them.

    Attributes:
        kind: "byte", "char", "word", "bpe", "unigram" or "sentencepiece".
        tokens: the tokens by their ids, [V].
        pad: the id that fills up rows of a batch, or None.
        unknown: the id of all that the vocabulary lacks; None where it lacks nothing.
        beginning: the id that begins a text, or None.
        end: the id that ends a text and stands between texts, or None.
        prepare: how a text is prepared first: its Unicode form, small letters.

    Example:
        >>> from rnnkit.data import Tokenizer, train_tokenizer
        >>> tokenizer = train_tokenizer("char", ["abba", "音"])
        >>> tokenizer.tokens
        ('<pad>', '<unk>', '<bos>', '<eos>', 'a', 'b', '音')
        >>> tokenizer.encode("ba音?"), tokenizer.decode([5, 4, 6, 3])
        ([5, 4, 6, 1], 'ba音')
        >>> Tokenizer.from_dict(tokenizer.to_dict()) == tokenizer
        True
    """

    kind: ClassVar[str]

    def __init__(self, tokens: Sequence[str], special: Mapping[str, int | None], prepare: Preparation) -> None:
        self.tokens, self.prepare = tuple(tokens), prepare
        self.pad, self.unknown = special.get("pad"), special.get("unknown")
        self.beginning, self.end = special.get("beginning"), special.get("end")
        # What `decode` leaves out.
        self._silent = {one for one in (self.pad, self.beginning, self.end) if one is not None}

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text.

        Raises:
            DataError: it is no `str`, or holds half of a pair of surrogates, which no file can hold.
        """
        ids: list[int] = self._ids([self._checked(text)])[0].tolist()
        return ids

    def encode_many(self, texts: Iterable[str]) -> list[Ids]:
        """Return the ids of several texts, an int32 array each; faster than one after the other.

        Raises:
            DataError: as `encode`.
        """
        return self._ids([self._checked(text) for text in texts])

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of ids. `pad`, `beginning` and `end` are left out; `unknown` is written as `<unk>`.

        Args:
            ids: whole numbers, also an array or a tensor with one axis.

        Raises:
            DataError: other numbers, or ids beyond the vocabulary.
        """
        found = np.asarray(ids.tolist() if hasattr(ids, "tolist") else list(_iterable(ids)))
        if not found.size:
            return ""
        if found.ndim != 1 or found.dtype.kind not in "iu":
            raise DataError(f"ids {found.shape} of {found.dtype} arrived; expected whole numbers on one axis")
        low, high = int(found.min()), int(found.max())
        if low < 0 or high >= len(self):
            wrong = low if low < 0 else high
            raise DataError(f"the id {wrong} arrived; expected 0 to {len(self) - 1}, for a vocabulary of {len(self)}")
        return self._text([one for one in found.tolist() if one not in self._silent])

    def split(self, text: str) -> list[str]:
        """Return the tokens of a text as they are written, those that the vocabulary lacks among them."""
        return [self.tokens[one] for one in self.encode(text)]

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values that `from_dict` makes the same tokenizer of."""
        return {
            "kind": self.kind,
            "normalization": self.prepare.normalization,
            "lowercase": self.prepare.lowercase,
            **self._values(),
        }

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> Tokenizer:
        """Return the tokenizer that `to_dict` described.

        Raises:
            DataError: the values are not those of a tokenizer.
            MissingExtraError: the kind needs a package that is not installed.
        """
        return build(values)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the tokenizer to a JSON file, whole or not at all. `Tokenizer.open` reads it.

        Raises:
            DataError: the name does not end in `.json`.
        """
        file = Path(path)
        if file.suffix.lower() != ".json":
            raise DataError("expected a name that ends in .json", Place(str(file)))
        with replacing(file) as temporary:
            temporary.write_text(json_text(self.to_dict(), indent=0), encoding="utf-8")
        return file

    @staticmethod
    def open(path: str | os.PathLike[str]) -> Tokenizer:
        """Read a tokenizer from a file.

        Args:
            path: a `.json` file that `save` wrote, or a `.model` file of sentencepiece.

        Raises:
            DataError: there is no such file, or it is something else.
            MissingExtraError: the kind needs a package that is not installed.
        """
        file, place = Path(path), Place(str(path))
        if not file.is_file():
            raise DataError("there is no such file", place)
        if file.suffix.lower() == ".model":
            from .sentencepieces import SentencePieceTokenizer

            return SentencePieceTokenizer(file.read_bytes(), str(file))
        if file.suffix.lower() != ".json":
            raise DataError("expected a .json file of Tokenizer.save, or a .model file of sentencepiece", place)
        try:
            return build(read_json(file.read_text(encoding="utf-8")))
        except ValueError as error:
            problem = error.problem if isinstance(error, DataError) else error
            raise DataError(f"is not a tokenizer that rnnkit saved ({problem})", place) from None

    def fingerprint(self) -> str:
        """Return a digest that distinguishes this tokenizer from others."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()

    def __len__(self) -> int:
        return len(self.tokens)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tokenizer) and self.fingerprint() == other.fingerprint()

    def __hash__(self) -> int:
        return hash(self._digest)

    def __repr__(self) -> str:
        form = self.prepare.normalization or "text as it is"
        return f"Tokenizer({self.kind}, {len(self):,} tokens, {form}{', lowercase' if self.prepare.lowercase else ''})"

    def _checked(self, text: str) -> str:
        return self.prepare(check_text(text))

    def _ids(self, texts: list[str]) -> list[Ids]:
        """Return the ids of prepared texts."""
        raise NotImplementedError

    def _text(self, ids: list[int]) -> str:
        """Return the text of ids that are in range, without those that are left out."""
        raise NotImplementedError

    def _values(self) -> dict[str, Any]:
        """Return what `to_dict` writes beside the kind and the preparation."""
        raise NotImplementedError

    @classmethod
    def _build(cls, values: Values, prepare: Preparation) -> Tokenizer:
        """Return the tokenizer of what `_values` wrote."""
        raise NotImplementedError


class Values:
    """JSON values from a file, each checked as it is taken."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = dict(values)

    def take(self, name: str, of: type | tuple[type, ...]) -> Any:
        """Return a value and forget it.

        Raises:
            DataError: it is missing, or of another type.
        """
        if name not in self._values:
            raise DataError(f"the tokenizer's values lack {name!r}")
        value = self._values.pop(name)
        if not isinstance(value, of):
            raise DataError(f"the tokenizer's {name} is a {type(value).__name__}")
        return value

    def texts(self, name: str) -> list[str]:
        """Return a list of texts, of which none occurs twice."""
        return unique(self.take(name, list), name)

    def binary(self, name: str) -> bytes:
        """Return bytes that were written in base64."""
        try:
            return base64.b64decode(self.take(name, str), validate=True)
        except (binascii.Error, ValueError) as error:
            raise DataError(f"the tokenizer's {name} is damaged ({error})") from None

    def close(self) -> None:
        """Raise DataError where values are left that were not used."""
        if self._values:
            raise DataError(f"the tokenizer's values hold {next(iter(self._values))!r}, which is not known")


def build(values: Mapping[str, Any]) -> Tokenizer:
    """Return the tokenizer of its JSON values; see `Tokenizer.from_dict`."""
    import importlib

    if not isinstance(values, Mapping):
        raise DataError(f"a {type(values).__name__} arrived; expected the values of Tokenizer.to_dict")
    taken = Values(values)
    kind = taken.take("kind", str)
    if kind not in KINDS:
        raise DataError(f"the tokenizer's kind is {kind!r}{suggest(kind, list(KINDS))}")
    form, lowercase = taken.take("normalization", (str, type(None))), taken.take("lowercase", bool)
    if form not in NORMALIZATIONS:
        raise DataError(f"the tokenizer's normalization is {form!r}; expected one of {NORMALIZATIONS}")
    built: Tokenizer = (
        importlib.import_module(f".{KINDS[kind]}", __package__)
        .CLASSES[kind]
        ._build(taken, Preparation(form, lowercase))
    )
    taken.close()
    return built


def unique(tokens: list[Any], name: str = "tokens") -> list[str]:
    """Return tokens that are texts, each once.

    Raises:
        DataError: something else is among them.
    """
    if not all(isinstance(token, str) for token in tokens):
        raise DataError(f"the tokenizer's {name} are not all texts")
    if len(set(tokens)) < len(tokens):
        raise DataError(f"the tokenizer's {name} hold one of them twice")
    return tokens


def check_text(text: Any, place: Place | None = None) -> str:
    """Return a text that can be written to a file.

    Raises:
        DataError: it is no `str`, or holds half of a pair of surrogates.

    Example:
        >>> check_text(b"abc")
        Traceback (most recent call last):
        ...
        rnnkit.errors.DataError: a bytes arrived; expected a text (str); decode it first: text.decode("utf-8")
    """
    if not isinstance(text, str):
        advice = 'decode it first: text.decode("utf-8")' if isinstance(text, bytes) else None
        raise DataError(f"a {type(text).__name__} arrived; expected a text (str)", place, advice)
    try:
        if not text.isascii():
            text.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"character {error.start + 1} of the text is U+{ord(text[error.start]):04X}, half of a pair of surrogates",
            place,
            'take it out: text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")',
        ) from None
    return text


def need(package: str, kind: str) -> MissingExtraError:
    """Return the error about a package that a kind of tokenizer needs."""
    return MissingExtraError(
        f"the tokenizer {kind!r} needs the package {package}, which is not installed",
        None,
        "type pip install 'rnnkit[text]'",
    )


def ranked(counts: Mapping[str, int], minimum_count: int, room: int | None) -> list[str]:
    """Return the tokens that occur often enough, the most frequent first, no more than there is room for."""
    found = sorted((-count, token) for token, count in counts.items() if count >= minimum_count)
    return [token for _, token in found[:room]]


def as_ids(ids: Any) -> Ids:
    """Return ids as an int32 array."""
    return np.asarray(ids, np.int32)


def _iterable(ids: Any) -> Iterable[Any]:
    if not isinstance(ids, Iterable) or isinstance(ids, str | bytes | Mapping):
        raise DataError(f"a {type(ids).__name__} arrived; expected ids: whole numbers on one axis")
    return ids
