"""The interface of a recipe: one base class, whose methods are what the verbs of the command line call."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from ..errors import ConfigError
from ..runs import Metrics
from ..serialization import FILE
from ..tasks.ranges import Settings
from .interface import Aligner, Answerer, Columns, DataRequest, InspectionData, Predictor, TextModel

if TYPE_CHECKING:
    from ..tasks.speech import Transcriber
    from ..tasks.spoken_understanding import Understander
    from .finetuning import FineTune, FineTuneWork


class PreparedRun:
    """A run whose data was read and checked, so that errors about data surface before a folder exists."""

    def check_data(self, folder: Path) -> None:
        """Raise DataError where the run in a folder was begun on other data; every data passes unless overridden."""

    def findings(self) -> list[str]:
        """Return what was found in the data, a sentence each, for the user to see before training begins."""
        return []

    def run(self, folder: Path) -> Metrics | None:
        """Train, and write the results into the folder.

        Args:
            folder: the run folder; it holds ``recipe.json`` and ``versions.json``, and a checkpoint when resumed.

        Returns:
            What is reported at the end; None for nothing.
        """
        raise NotImplementedError(f"{type(self).__name__} has no run(folder)")


class Recipe(Settings, PreparedRun):
    """Base of all recipes: a frozen dataclass of settings, and the methods that a recipe is able to do.

    A recipe overrides `run`, and of the others those that it can do: `evaluate`, `predict`, `inspection_data`,
    `fine_tune_job`. The command line refuses a verb whose method is not overridden. Fields may be groups, which are
    frozen dataclasses themselves; fields ``seed`` and ``device`` are recorded in the run folder.

    Attributes:
        data_setting: the setting that names the training data, which ``rnnkit train NAME FILE`` sets; None: the recipe
            makes or finds its data itself.
        one_answer_a_file: whether a file (such as an image) has one answer. ``rnnkit predict`` then prints each answer
            at once, and continues after a file that cannot be read.
        reads_text: whether data may be a file of plain text, a text a line. ``rnnkit predict RUN -`` then reads
            standard input, which arrives as such a file.
        reads_parallel_files: whether data may be two files, sources and targets line by line; `DataRequest.target_path`
            is then the second one.
        model_file: the file of the run folder that holds the trained model.
        other_files: what `write_answers` writes besides tables, by the suffix of the file.
        before: settings that are newer than runs that are there, and what such a run did; see
            `rnnkit.runs.settings.restore`.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True)
        ... class Count(Recipe):
        ...     up_to: int = 3
        ...     def run(self, folder):
        ...         (folder / "counted.txt").write_text(" ".join(map(str, range(self.up_to))))
        >>> Count().capabilities()
        ('train',)
    """

    data_setting: ClassVar[str | None] = None
    one_answer_a_file: ClassVar[bool] = False
    reads_text: ClassVar[bool] = False
    reads_parallel_files: ClassVar[bool] = False
    model_file: ClassVar[str] = FILE
    other_files: ClassVar[dict[str, str]] = {}
    before: ClassVar[dict[str, Any]] = {}

    def prepare(self) -> PreparedRun:
        """Read and check the data before there is a run folder.

        Returns:
            What will run: the recipe itself unless overridden.
        """
        return self

    def evaluate(self, folder: Path, data: DataRequest | None = None) -> dict[str, float]:
        """Return figures of the folder's model.

        Args:
            folder: the run folder.
            data: rows to evaluate on; None: the rows that the run held back.
        """
        raise _missing(self, "evaluate", "be evaluated")

    def validate(self, folder: Path) -> dict[str, float]:
        """Return figures of the folder's model on the rows that its training held out for validation, never on others.

        Args:
            folder: the run folder.

        Raises:
            ConfigError, DataError: the run held out no such rows, or its data has changed.
        """
        raise _missing(self, "validate", "be judged on validation rows")

    def predict(self, folder: Path, data: DataRequest) -> Columns:
        """Return the answers of the folder's model for a file, a list a column, "prediction" among them.

        Raises:
            DataError: the file cannot be read.
        """
        raise _missing(self, "predict", "predict")

    def predictor(self, folder: Path) -> Predictor:
        """Return a function that answers for one file after another; override it to load the model once."""

        def answer(data: DataRequest) -> Columns:
            return self.predict(folder, data)

        return answer

    def table_predictor(self, folder: Path) -> Predictor:
        """Return a function that answers with all columns of a table; override it where fewer are printed."""
        return self.predictor(folder)

    def write_answers(self, answers: Columns, out: Path) -> None:
        """Write answers to a file that is no table, of a suffix in `other_files`.

        Args:
            answers: what `predict` returned of all files; of several with a column "file".
            out: the file.
        """
        raise NotImplementedError(f"{type(self).__name__} has no write_answers(answers, out)")

    def files_in(self, folder: Path) -> list[Path] | None:
        """Return the files that a folder stands for in ``rnnkit predict``; None: the folder is read as it is.

        Args:
            folder: of data to predict on.
        """
        return None

    def drawing_predictor(self, folder: Path, out: Path) -> Predictor:
        """Return a function that answers for one picture after another, and writes each answer into a folder.

        Args:
            folder: the run folder.
            out: where ``NAME.json`` and ``NAME.png``, the answer drawn into the picture, are written for each.
        """
        raise _missing(self, "drawing_predictor", "draw answers into pictures")

    def language_model(self, folder: Path) -> TextModel:
        """Return the folder's language model, which generates text.

        Args:
            folder: the run folder.
        """
        raise _missing(self, "language_model", "generate text")

    def translator(self, folder: Path) -> Answerer:
        """Return a function that translates texts by the folder's model.

        Args:
            folder: the run folder.
        """
        raise _missing(self, "translator", "translate")

    def summarizer(self, folder: Path) -> Answerer:
        """Return a function that summarizes texts by the folder's model.

        Args:
            folder: the run folder.
        """
        raise _missing(self, "summarizer", "summarize")

    def transcriber(self, folder: Path) -> Transcriber:
        """Return the folder's recogniser of speech.

        Args:
            folder: the run folder.
        """
        raise _missing(self, "transcriber", "transcribe speech")

    def aligner(self, folder: Path) -> Aligner:
        """Return a function that finds when the words of known texts are said.

        Args:
            folder: the run folder.
        """
        raise _missing(self, "aligner", "align texts with speech")

    def understander(self, folder: Path) -> Understander:
        """Return a function from texts to the intents and slots that the folder's model finds in them.

        Args:
            folder: the run folder.
        """
        raise _missing(self, "understander", "understand texts")

    def inspection_data(self, folder: Path, data: DataRequest | None = None) -> InspectionData:
        """Return the folder's model, and rows to measure it on.

        Args:
            folder: the run folder.
            data: a file of rows; None: rows of the run's own.
        """
        raise _missing(self, "inspection_data", "be inspected")

    def fine_tune_job(self, folder: Path, data: DataRequest, settings: FineTune) -> FineTuneWork:
        """Return the folder's model with what it should learn, read and checked; write nothing.

        Args:
            folder: the run folder.
            data: the file or folder with the new rows.
            settings: of the fine-tuning.
        """
        raise _missing(self, "fine_tune_job", "be fine-tuned")

    def fine_tune_defaults(self) -> FineTune:
        """Return the settings of ``rnnkit finetune`` where the user sets none."""
        from .finetuning import FineTune

        return FineTune()

    def successor(self, task: str, data: DataRequest) -> tuple[str, Recipe]:
        """Return name and settings of the recipe that fine-tunes the folder's model, for ``rnnkit finetune --task``.

        Args:
            task: what the model should learn to do, such as "classify".
            data: the file or folder to learn from.

        Raises:
            ConfigError: the model cannot be fine-tuned for that task.
        """
        raise ConfigError(
            f"--task {task} arrived, but runs of {type(self).__name__} go on to no other task; leave --task out"
        )

    def transfer_defaults(self) -> FineTune:
        """Return the settings of a fine-tuning from the model of another task, where the user sets none."""
        return self.fine_tune_defaults()

    def transfer_job(self, folder: Path, settings: FineTune) -> FineTuneWork:
        """Return another task's model with this recipe's data to learn, read and checked; write nothing.

        Args:
            folder: of the run of the other task.
            settings: of the fine-tuning.
        """
        raise _missing(self, "transfer_job", "begin with the model of another task")

    def describe_input(self) -> dict[str, Any]:
        """Return what a program needs to know of the network's input beside what the model file stores, as JSON.

        ``rnnkit export`` writes it beside the model.
        """
        return {}

    def count_rows(self, count: int) -> str:
        """Return a number of rows in words, as in "1 row"."""
        return f"{count} {'row' if count == 1 else 'rows'}"

    @classmethod
    def capabilities(cls) -> tuple[str, ...]:
        """Return the verbs of the command line that the recipe serves, those whose method is overridden."""
        return tuple(verb for verb, method in METHODS.items() if getattr(cls, method) is not getattr(Recipe, method))

    def require(self, verb: str, run: Path) -> Self:
        """Return the recipe itself where it serves a verb.

        Args:
            verb: a key of `METHODS`.
            run: the run folder, for the message.

        Raises:
            ConfigError: it does not; of a recipe of the user, the message names the method to write.
        """
        if verb not in self.capabilities():
            able = ", ".join(self.capabilities())
            lacks = f"has no {METHODS[verb]}(...), which `rnnkit {verb}` needs"
            if type(self).__module__.startswith("rnnkit."):  # not the user's to write
                lacks = f"does not serve `rnnkit {verb}`"
            raise ConfigError(f"the recipe of {run} {lacks}; it can {able}")
        return self


# Verb of the command line → the method of a recipe that serves it.
METHODS = {
    "train": "run",
    "evaluate": "evaluate",
    "predict": "predict",
    "generate": "language_model",
    "translate": "translator",
    "summarize": "summarizer",
    "transcribe": "transcriber",
    "align": "aligner",
    "understand": "understander",
    "inspect": "inspection_data",
    "finetune": "fine_tune_job",
}


def refuse_data(data: DataRequest | None, run: Path) -> None:
    """Raise ConfigError where a file arrived for a recipe that evaluates on its own test set alone."""
    if data is not None:
        raise ConfigError(f"--data {data.path} arrived, but the recipe of {run} evaluates on its own test set alone")


def no_validation(run: Path, nouns: str, setting: str = "data.validation") -> ConfigError:
    """Return the error about a run that held out nothing for validation.

    Args:
        run: the run folder.
        nouns: what would be held out.
        setting: that holds some out.
    """
    return ConfigError(f"{run} held out no {nouns} for validation ({setting}=0); name others: --data PATH")


def _missing(recipe: Recipe, method: str, what: str) -> ConfigError:
    return ConfigError(f"{type(recipe).__name__} has no method {method}, so its runs cannot {what}")
