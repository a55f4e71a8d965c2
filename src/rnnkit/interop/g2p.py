"""The network of g2p_en, from the letters of an English word to its phonemes.

    letters + </s> → GRU(256) → its last state begins GRU(256) → phonemes until </s>, each the likeliest

Source: the package g2p_en 2.1.0 (Park & Kim 2019), whose ``checkpoint20.npz`` has PyTorch's layout. The package looks
words up in CMUdict first and asks the network for others only; here the network answers for each word.
"""

from __future__ import annotations

import os
import string
import unicodedata
from collections.abc import Sequence

import torch

from ..errors import DataError
from ..layers.gru import GRU
from ..layers.modes import mode
from ..models.plain_encoder_decoder import PlainEncoderDecoder
from ..types import pad_rows
from .weight_files import read_weights, take

LETTERS = ("<pad>", "<unk>", "</s>", *string.ascii_lowercase)
_STRESSED = ("AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW")
_OTHERS = (
    *("B", "CH", "D", "DH", "F", "G", "HH", "JH", "K", "L", "M", "N", "NG", "P", "R", "S", "SH", "T", "TH"),
    *("UW", "V", "W", "Y", "Z", "ZH"),
)
# ARPAbet in the order of the alphabet; the digit is the stress. "UW" is there with each stress and without.
_VOWELS = [one + level for one in _STRESSED for level in "012"]
PHONEMES = ("<pad>", "<unk>", "<s>", "</s>", *sorted([*_OTHERS, *_VOWELS]))
_BEGIN, _END = 2, 3
_LAYERS = {"encoder": "enc", "decoder": "dec"}


class Pronouncer:
    """Predict how words are pronounced.

    Args:
        model: an encoder–decoder over `LETTERS` and `PHONEMES`.

    Example:
        >>> pronounce = read_g2p("checkpoint20.npz")                          # doctest: +SKIP
        >>> pronounce(["recurrent"])                                          # doctest: +SKIP
        [['R', 'IH0', 'K', 'ER1', 'AH0', 'N', 'T']]
    """

    def __init__(self, model: PlainEncoderDecoder) -> None:
        self.model = model

    @torch.inference_mode()
    def __call__(self, words: Sequence[str], *, most: int = 20) -> list[list[str]]:
        """Return the phonemes of words, in ARPAbet with the stress of vowels.

        Args:
            words: of letters a to z; accents are taken off, other characters are unknown to the network.
            most: phonemes of a word.

        Raises:
            DataError: a word without characters, or no list of words.
        """
        if isinstance(words, str):
            raise DataError(f"the text {words!r} arrived; expected a list of words: [{words!r}]")
        if not words:
            return []
        letters, lengths = pad_rows([torch.tensor(letter_ids(word)) for word in words])
        with mode(self.model, training=False):
            state, memory = self.model.encode(letters, lengths)
            ids = torch.full((len(words),), _BEGIN)
            steps = []
            for _ in range(most):
                logits, state = self.model.decode_step(ids, state, memory)
                ids = logits.argmax(-1)
                steps.append(ids)
        found = torch.stack(steps, 1).tolist() if steps else [[]] * len(words)
        return [[PHONEMES[one] for one in (row[: row.index(_END)] if _END in row else row)] for row in found]

    def __repr__(self) -> str:
        return f"Pronouncer({self.model!r})"


def letter_ids(word: str) -> list[int]:
    """Return what the encoder reads of a word.

    Example:
        >>> letter_ids("Éa")
        [7, 3, 2]
    """
    plain = "".join(one for one in unicodedata.normalize("NFD", word.strip().lower()) if not unicodedata.combining(one))
    if not plain:
        raise DataError(f"the word {word!r} has no characters; expected letters")
    return [LETTERS.index(one) if one in LETTERS else 1 for one in plain] + [2]


def phoneme_ids(phonemes: Sequence[str]) -> list[int]:
    """Return the labels that teach the decoder, the end among them.

    Example:
        >>> [PHONEMES[one] for one in phoneme_ids(["HH", "AY1"])]
        ['HH', 'AY1', '</s>']
    """
    unknown = [one for one in phonemes if one not in PHONEMES]
    if unknown:
        raise DataError(f"the phoneme {unknown[0]!r} arrived; expected ARPAbet, vowels with their stress: 'AH0'")
    return [*(PHONEMES.index(one) for one in phonemes), _END]


def read_g2p(path: str | os.PathLike[str]) -> Pronouncer:
    """Return the network of g2p_en with its own weights.

    Args:
        path: the file ``checkpoint20.npz`` of the package g2p_en.

    Raises:
        DataError: the file cannot be read, lacks weights, or has weights of other shapes.

    Example:
        >>> pronounce = read_g2p("checkpoint20.npz")                          # doctest: +SKIP
        >>> pronounce(["kernel", "cell"])                                     # doctest: +SKIP
        [['K', 'ER1', 'N', 'AH0', 'L'], ['S', 'EH1', 'L']]
    """
    weights = read_weights(path)
    embedding = take(weights, "enc_emb", (len(LETTERS), None), path).shape[1]
    hidden = take(weights, "enc_w_hh", (None, None), path).shape[1]
    model = PlainEncoderDecoder(
        GRU(embedding, hidden, batch_first=True), GRU(embedding, hidden, batch_first=True),
        len(LETTERS), len(PHONEMES), start=_BEGIN,
    )  # fmt: skip
    tables = {"enc_emb": model.source_embedding.weight, "dec_emb": model.embedding.weight}
    tables |= {"fc_w": model.output.weight, "fc_b": model.output.bias}
    for part, short in _LAYERS.items():
        layer = getattr(model, part)
        for kind in ("w_ih", "w_hh", "b_ih", "b_hh"):
            tables[f"{short}_{kind}"] = getattr(layer, f"{kind.replace('w_', 'weight_').replace('b_', 'bias_')}_l0")
    with torch.no_grad():
        for name, parameter in tables.items():
            parameter.copy_(take(weights, name, tuple(parameter.shape), path))
    return Pronouncer(model.eval())
