"""What ``translate`` and ``summarize`` share: options, batches of texts, and what becomes of the answers."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import ConfigError, check_number, check_whole
from ..recipes.base import Recipe
from ..recipes.interface import Answerer, TextAnswer
from ..recipes.text_files import in_one_line
from .output import INTERRUPTED, in_options, plain_warnings

BATCH = 32  # texts of a file that are answered together
_TABLES = (".csv", ".json", ".parquet")
_PICTURES = (".png", ".svg", ".pdf")

Width = Annotated[
    int | None, typer.Option(help="Beginnings that the beam search follows at a time; else as the run was set.")
]
MaxTokens = Annotated[int | None, typer.Option(help="Tokens of an answer, at most; else as the run was set.")]
LengthPenalty = Annotated[
    float | None, typer.Option(help="0 for short answers, 1 for long ones; else as the run was set.")
]
CoveragePenalty = Annotated[
    float | None, typer.Option(help="Above 0 asks that each part of the text is attended to; else as the run was set.")
]
TextField = Annotated[
    str | None, typer.Option(metavar="NAME", help="Of a table or JSON: the column or field with the text.")
]
AnswerFile = Annotated[
    Path | None,
    typer.Option(help="A file for the answers: a table with scores (.csv, .json, .parquet), else an answer a line."),
]
Attention = Annotated[
    Path | None,
    typer.Option(metavar="PICTURE", help="Draw what the model attended to in one text: .png, .svg or .pdf."),
]


@dataclass(frozen=True)
class Answering:
    """How texts are answered, and where the answers go.

    Attributes:
        width, max_tokens, length_penalty, coverage_penalty: of the beam search; see `Answerer`.
        out: the file of the answers; None: they are printed.
        attention: the picture to draw; None: none.
        named: whether each printed answer has the name of its text in front.
    """

    width: int | None = None
    max_tokens: int | None = None
    length_penalty: float | None = None
    coverage_penalty: float | None = None
    out: Path | None = None
    attention: Path | None = None
    named: bool = False

    def check(self) -> None:
        """Raise ConfigError for a value that an option does not take."""
        for option, count in (("--width", self.width), ("--max-tokens", self.max_tokens)):
            if count is not None:
                check_whole(count, option)
        penalties = (("--length-penalty", self.length_penalty), ("--coverage-penalty", self.coverage_penalty))
        for option, penalty in penalties:
            if penalty is not None:
                check_number(penalty, option)
        for option, path in (("--out", self.out), ("--attention", self.attention)):
            if path is not None and path.is_dir():
                raise ConfigError(f"{option} {path} is a folder; name a file in it")
            if path is not None and not path.absolute().parent.is_dir():
                raise ConfigError(f"{option} {path}: there is no folder {path.parent}; make it first")
        if self.attention is not None and self.attention.suffix.lower() not in _PICTURES:
            raise ConfigError(f"--attention {self.attention} arrived; expected a file ending in {', '.join(_PICTURES)}")
        if self.out is not None and self.out.suffix.lower() in _TABLES:
            from ..runs.tables import check_suffix

            check_suffix(self.out)

    def run(self, answerer: Answerer, texts: Iterable[tuple[str, str]], total: int | None, batch: int = BATCH) -> None:
        """Answer texts, a batch at a time.

        Args:
            answerer: of the run.
            texts: names and texts; one without letters gets an empty answer.
            total: the number of texts, where it is known.
            batch: texts that are answered together.
        """
        if self.attention is not None and total != 1:
            raise ConfigError(f"--attention {self.attention} draws one text; name one alone")
        names: list[str] = []
        sources: list[str] = []
        answers: list[TextAnswer] = []
        pairs = iter(texts)
        shown = self.out is not None and sys.stderr.isatty()
        interrupted = False
        asked = empty = 0
        with typer.progressbar(length=total or 0, label="Texts", file=sys.stderr, hidden=not shown or not total) as bar:
            try:
                while part := list(islice(pairs, batch)):
                    found = self._answer(answerer, [text for _, text in part])
                    filled = [one for one, (_, text) in zip(found, part, strict=True) if text.strip()]
                    asked, empty = asked + len(filled), empty + sum(not one.text.strip() for one in filled)
                    if self.out is None:
                        self._print([name for name, _ in part], found)
                    else:
                        names += [name for name, _ in part]
                        sources += [text for _, text in part]
                        answers += found
                    bar.update(len(part))
                    if self.attention is not None:
                        self._draw(found[0], self.attention)
            except KeyboardInterrupt:  # the answers that are there are written
                interrupted = True
        if empty:
            answers_are = "1 answer is" if (asked, empty) == (1, 1) else f"{empty:,} of {asked:,} answers are"
            typer.echo(
                f"{answers_are} empty: the end was the likeliest token at once. Train for longer, on more pairs, or "
                "try --length-penalty 1",
                err=True,
            )
        if self.out is not None:
            self._write(names, sources, answers, self.out)
        if interrupted:
            raise typer.Exit(INTERRUPTED)

    def _answer(self, answerer: Answerer, texts: list[str]) -> list[TextAnswer]:
        filled = [text for text in texts if text.strip()]
        with plain_warnings():
            found = iter(
                answerer(
                    filled,
                    width=self.width,
                    max_tokens=self.max_tokens,
                    length_penalty=self.length_penalty,
                    coverage_penalty=self.coverage_penalty,
                )
                if filled
                else ()
            )
        return [next(found) if text.strip() else TextAnswer("", 0.0, [], []) for text in texts]

    def _print(self, names: list[str], answers: list[TextAnswer]) -> None:
        for name, answer in zip(names, answers, strict=True):
            typer.echo(f"{name}\t{in_one_line(answer.text)}" if self.named else in_one_line(answer.text))

    def _draw(self, answer: TextAnswer, path: Path) -> None:
        from ..plotting.attention import attention_picture

        if answer.attention is None:
            raise ConfigError(f"--attention {path} arrived, but the model of this run has no attention to draw")
        with plain_warnings():
            attention_picture(answer.source_tokens, answer.tokens, answer.attention, path)

    def _write(self, names: list[str], sources: list[str], answers: list[TextAnswer], out: Path) -> None:
        from ..runs.tables import write_table
        from ..serialization import replacing

        texts = [answer.text for answer in answers]
        try:
            if out.suffix.lower() in _TABLES:
                columns: dict[str, list[Any]] = {"file": list(names)} if self.named else {}
                columns |= {"text": list(sources), "prediction": list(texts), "score": [one.score for one in answers]}
                write_table(columns, out)
            else:
                with replacing(out) as temporary:
                    temporary.write_text("".join(in_one_line(text) + "\n" for text in texts), encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"--out {out} cannot be written ({error.strerror}); name another file") from error
        typer.echo(f"Wrote {len(texts):,} {'answer' if len(texts) == 1 else 'answers'} to {out}")


def numbered(texts: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield texts with their numbers, from 1."""
    return ((str(number), text) for number, text in enumerate(texts, 1))


def file_texts(file: Path, encoding: str | None, field: str | None, recipe: Recipe) -> list[str]:
    """Return the lines of a file of plain text, empty ones too; or the texts of its records, by its suffix.

    Args:
        file: it.
        encoding: of it; None: that of the run's files, else UTF-8.
        field: the field of the text; None: the only one, or one with a usual name, or that of the run's sources.
        recipe: of the run.
    """
    from ..data.reading import check_encoding
    from ..data.text.decoding import decode_file
    from ..data.text.files import format_of
    from ..data.text.texts import read_texts
    from ..errors import DataError, Place, Remedy

    data = getattr(recipe, "data", None)
    with in_options("encoding", "field"):
        check_encoding(encoding)
        encoding = encoding or getattr(data, "encoding", None)
        if not file.is_file():
            what = "is a folder; expected a file" if file.is_dir() else "there is no such file"
            raise DataError(what, Place(str(file)))
        if format_of(file) not in ("txt", None):
            own = getattr(data, "source", None)

            def texts_in(field: str | None) -> list[str]:
                return [in_one_line(text) for text, _ in read_texts(file, field=field, encoding=encoding, empty="keep")]

            try:
                return texts_in(field)
            except DataError as error:
                fields = [one.value for one in error.remedies if isinstance(one, Remedy) and one.argument == "field"]
                if field is not None or own not in fields:
                    raise
            return texts_in(own)
        if field is not None:
            raise ConfigError(f"--field {field} arrived, but {file} is plain text, which has no fields; leave it out")
        text = "".join(decode_file(file, encoding))
        return text.removesuffix("\n").split("\n")
