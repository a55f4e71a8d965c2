"""Model files of sentencepiece (Kudo & Richardson 2018)."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from ...errors import DataError, Place
from .tokenizer import AS_IT_IS, UNKNOWN, Preparation, Tokenizer, Values, as_ids, need

if TYPE_CHECKING:
    from .tokenizer import Ids


class SentencePieceTokenizer(Tokenizer):
    """A model that sentencepiece trained, with its own ids, its own special tokens and its own preparation.

    Most models write text in NFKC, and take a line break for a space.

    Args:
        model: the content of a `.model` file.
        source: the file, for messages.
        prepare: how a text is prepared before sentencepiece gets it.

    Raises:
        DataError: the content is something else.
        MissingExtraError: sentencepiece is not installed.
    """

    kind = "sentencepiece"

    def __init__(self, model: bytes, source: str = "", prepare: Preparation = AS_IT_IS) -> None:
        try:
            import sentencepiece
        except ImportError:
            raise need("sentencepiece", self.kind) from None
        try:
            self._processor: Any = sentencepiece.SentencePieceProcessor(model_proto=model)
            count = self._processor.vocab_size() if model else 0
        except (RuntimeError, OSError, ValueError) as error:
            raise DataError(f"is not a model of sentencepiece ({error})", Place(source)) from None
        if not count:
            raise DataError("is not a model of sentencepiece", Place(source))
        found = {
            "pad": self._processor.pad_id(),
            "unknown": self._processor.unk_id(),
            "beginning": self._processor.bos_id(),
            "end": self._processor.eos_id(),
        }
        tokens = [self._processor.id_to_piece(number) for number in range(count)]
        super().__init__(tokens, {name: None if one < 0 else one for name, one in found.items()}, prepare)
        self._model = model

    def _ids(self, texts: list[str]) -> list[Ids]:
        return [as_ids(self._processor.encode(text)) for text in texts]

    def _text(self, ids: list[int]) -> str:
        parts: list[list[int]] = [[]]
        for one in ids:  # sentencepiece writes the unknown as a mark of its own
            if one == self.unknown:
                parts += [[one], []]
            else:
                parts[-1].append(one)
        if len(parts) == 1:
            return str(self._processor.decode(parts[0]))
        pieces = [UNKNOWN if part == [self.unknown] else self._piece_text(part) for part in parts]
        return "".join(pieces).removeprefix(" ")

    def _piece_text(self, ids: list[int]) -> str:
        """Return the text of ids in the middle of others, whose first space stays."""
        text = str(self._processor.decode(ids))
        return f" {text}" if ids and self.tokens[ids[0]].startswith("▁") and not text.startswith(" ") else text

    def _values(self) -> dict[str, Any]:
        return {"model": base64.b64encode(self._model).decode("ascii")}

    @classmethod
    def _build(cls, values: Values, prepare: Preparation) -> SentencePieceTokenizer:
        return cls(values.binary("model"), "", prepare)


CLASSES: dict[str, type[Tokenizer]] = {"sentencepiece": SentencePieceTokenizer}
