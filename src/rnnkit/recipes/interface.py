"""What recipes take and return: requests for data, answers, and the functions that answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ..errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

    from ..data import Tokenizer
    from ..errors import DataError
    from ..tasks.speech import Transcript

Columns = dict[str, list[Any]]
Predictor = Callable[["DataRequest"], Columns]
# From a sound file and its text, or recordings with theirs (None), to the name of each and when its words are said, or
# why that cannot be determined.
Aligner = Callable[["DataRequest", str | None], Iterator[tuple[str, "Transcript | DataError"]]]


@dataclass(frozen=True)
class DataRequest:
    """A file or folder that the user names with a run, and how it is to be read.

    Attributes:
        path: the file or folder.
        encoding: of text in it; None: as the training data was read.
        target_path: the file of targets, line by line, where `path` has the sources; None: `path` has all.

    Example:
        >>> DataRequest(Path("new.csv"), encoding="gb18030").encoding
        'gb18030'
    """

    path: Path
    encoding: str | None = None
    target_path: Path | None = None

    def without_encoding(self) -> Path:
        """Return the path, for a recipe that reads no text.

        Raises:
            ConfigError: an encoding is named.
        """
        if self.encoding is not None:
            raise ConfigError(f"--encoding {self.encoding} arrived, but this run's recipe reads no text files")
        return self.path


class InspectionData(NamedTuple):
    """What a network is measured on by ``rnnkit inspect``.

    Attributes:
        model: the network.
        inputs: a tensor [N, T, I] or ``Sequences``.
        targets: one a row; None: nothing that needs a loss is measured.
        loss: its name or a callable (output, target) → scalar; None: the model's default.
        rows: which rows of the run these are, as in "the test images", for ``rnnkit export --int8``; "" for rows of a
            file.
    """

    model: Any
    inputs: Any
    targets: Any
    loss: Any
    rows: str = ""


class TextModel(NamedTuple):
    """A language model with its tokenizer, for ``rnnkit generate``.

    Attributes:
        model: what `rnnkit.generation.token_model` takes.
        tokenizer: the model's.
        start: the ids that every text begins behind, in front of a prompt. (): a prompt has nothing in front, and a
            text without a prompt begins after the token that ends texts.
    """

    model: Any
    tokenizer: Tokenizer
    start: tuple[int, ...] = ()


class TextAnswer(NamedTuple):
    """What a model answers to one text, for ``rnnkit translate`` and ``rnnkit summarize``.

    Attributes:
        text: the answer.
        score: of the beam search; the higher, the likelier.
        source_tokens: the tokens that the model read.
        tokens: those that it wrote.
        attention: how much each written token attended to each that was read, [tokens, source tokens]; None: the model
            has none.
    """

    text: str
    score: float
    source_tokens: list[str]
    tokens: list[str]
    attention: Tensor | None = None


class Answerer(Protocol):
    """A function that answers texts, one answer a text; None takes the run's own setting."""

    def __call__(
        self,
        texts: list[str],
        *,
        width: int | None = None,
        max_tokens: int | None = None,
        length_penalty: float | None = None,
        coverage_penalty: float | None = None,
    ) -> list[TextAnswer]:
        """Answer.

        Args:
            texts: each is not empty.
            width: beginnings that the beam search follows at a time.
            max_tokens: tokens of an answer, at most.
            length_penalty: 0 for short answers, 1 for long ones.
            coverage_penalty: how much each part of a text is asked to be attended to.
        """
        ...
