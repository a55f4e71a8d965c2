"""Fine-tuning of recognisers, of speech and of lines of text: new data with some of the old, and what is forgotten."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import rnnkit
from rnnkit.errors import ConfigError
from rnnkit.recipes.finetuning import FineTune, FineTuneWork, name_old, read_old, say_old, write_results
from rnnkit.recipes.finetuning_page import Shown
from rnnkit.runs import data_digests

if TYPE_CHECKING:
    from rnnkit.recipes.prepared_training import Judged, PreparedTraining
    from rnnkit.training.history import History

_GROWN = 1 << 30  # an epoch in which made items are as long as they become
_JUDGED = 300  # old items that are recognised before and after


class JobParts(NamedTuple):
    """What a recogniser learns, and what it is judged by.

    Attributes:
        new, judged: items to learn, and those for the test; None: the same.
        old, old_test: what the run learned first, and what it held back; None where that is gone.
        old_from: where the old items come from, for the report.
    """

    new: Any
    judged: Any
    old: Any
    old_test: Any
    old_from: str


@dataclass(frozen=True)
class RecognitionJob(FineTuneWork):
    """A recogniser with items to learn, read and checked. A subclass says how they are mixed, batched and judged.

    Attributes:
        recipe: of the run.
        learner: of the network, which has the new tokens, too.
        recognizer: of the network.
        parts: the data for training and test.
        folder: of the run.
        told: sentences about the data.
    """

    noun: ClassVar[str] = "recogniser"
    kept: ClassVar[str] = "words"
    rates: ClassVar[tuple[str, ...]] = ("cer",)

    recipe: Any
    learner: rnnkit.Learner
    recognizer: Any
    parts: JobParts
    folder: Path
    told: list[str]

    def mix(self, new: Any, old: Any, replay: float) -> MixedItems:
        """Return new items with some of the old ones."""
        raise NotImplementedError

    def batches(self, items: Any, settings: FineTune, *, shuffle: bool) -> Any:
        """Return batches, augmented where they are shuffled."""
        raise NotImplementedError

    def first(self, items: Any, count: int) -> Any:
        """Return the first items."""
        raise NotImplementedError

    def judge(self, items: Any) -> Judged:
        """Recognise items, and compare with their texts."""
        raise NotImplementedError

    def settle(self) -> None:
        """Choose the recogniser's decision settings again, after its network has learned."""

    def findings(self) -> list[str]:
        """Return what was found in the data."""
        return self.told

    def check(self, settings: FineTune) -> None:
        """Raise ConfigError for settings that a recogniser cannot use, before there is a run folder."""
        from rnnkit.finetuning.freeze import matching

        matching(self.learner.model, settings.freeze)
        if settings.protect == "ewc":
            raise ConfigError(
                f"protect=ewc arrived; a {self.noun} does not measure what its weights matter: type --set protect=l2-sp"
            )
        if settings.classes == "replace":
            raise ConfigError(f"classes=replace arrived; a {self.noun} keeps its {self.kept}: train anew for others")
        if settings.replay is not None and self.parts.old is None:
            raise ConfigError(
                f"replay={settings.replay:g} needs the data of the first training, which is gone; add --set replay=none"
            )

    def run(self, settings: FineTune, folder: Path) -> History:
        """Fine-tune, and write the results into the folder."""
        from rnnkit.training.fine_tuning.report import Quality

        parts = self.parts
        judged = parts.new if parts.judged is None else parts.judged
        before = self._rates(judged), self._rates(parts.old_test)
        train = self.mix(parts.new, None if settings.replay is None else parts.old, settings.replay or 0.0)
        chosen = settings.arguments(folder) | {"replay": None}
        history = self.learner.fine_tune(
            self.batches(train, settings, shuffle=True),
            validation=self.batches(judged, settings, shuffle=False),
            **chosen,
        )
        report = history.report
        assert report is not None
        self.settle()
        after = self._rates(judged), self._rates(parts.old_test)
        old = None
        if parts.old_test is not None:
            old = Quality(min(len(parts.old_test), _JUDGED), before[1], after[1])
        report = replace(report, new=Quality(len(judged), before[0], after[0]), old=old)
        if parts.judged is None:
            report = replace(report, new_from="the training rows")
        if settings.replay is not None:
            report = replace(report, method={"replay": f"{settings.replay:g} of the new rows", **report.method})
        report = say_old(report, parts.old_from, parts.old)
        shown = Shown(self.told)
        return write_results(
            self.learner, report, history, settings, folder, self._save, old_test=old is not None, shown=shown
        )

    def _save(self, to: Path) -> None:
        self.learner.save(to)
        data_digests.carry(self.folder, to)

    def _rates(self, items: Any) -> dict[str, float] | None:
        if items is None:
            return None
        if len(items) > _JUDGED:
            items = self.first(items, _JUDGED)
        figures = self.judge(items).scores.figures
        return {name: figures[name] for name in self.rates}


class MixedItems:
    """New items with some of the old ones, others in each epoch.

    Args:
        new: all are in each epoch.
        old: what some are drawn of; None: none.
        replay: old ones in an epoch: a share of the new ones, or how many (from 1 on).
    """

    def __init__(self, new: Any, old: Any, replay: float) -> None:
        self.new, self.old = new, old
        wanted = round(replay * len(new)) if replay < 1 else int(replay)
        self.count = 0 if old is None else min(wanted, len(old))
        self._replay = replay
        self.redraw(0, _GROWN)

    def __len__(self) -> int:
        return len(self.new) + self.count

    def redraw(self, seed: int, epoch: int) -> None:
        """Draw other old ones."""
        import numpy as np

        self._rows = np.random.default_rng(seed).permutation(0 if self.old is None else len(self.old))[: self.count]
        self.texts = list(self.new.texts)
        if self.old is not None:
            self.old.redraw(seed, _GROWN)
            self.texts += [self.old.texts[row] for row in self._rows]

    def place(self, index: int) -> tuple[Any, int]:
        """Return whether an item is of the new or the old ones, and its number there."""
        if index < len(self.new):
            return self.new, index
        return self.old, int(self._rows[index - len(self.new)])

    def joined(self, name: str) -> Any:
        """Return an array of the new items, such as their lengths, with that of the old ones after it."""
        import numpy as np

        values = list(getattr(self.new, name))
        if self.old is not None:
            values += [getattr(self.old, name)[row] for row in self._rows]
        return np.array(values)

    def fingerprint(self) -> str:
        """Return a digest of all items."""
        return repr((self.new.fingerprint(), None if self.old is None else self.old.fingerprint(), self._replay))


def job_parts(
    folder: Path,
    settings: FineTune,
    new: Any,
    subset: Callable[[list[int]], Any],
    read: Callable[[], PreparedTraining],
    old_from: str,
) -> JobParts:
    """Divide new items, and read the old ones.

    Args:
        folder: of the run.
        settings: of the fine-tuning.
        new: the new items.
        subset: returns those of some numbers.
        read: reads the data of the first training.
        old_from: in words, what that was.

    Raises:
        DataError: old items are wanted and are gone.
    """
    import numpy as np

    def checked() -> PreparedTraining:
        prepared = read()
        prepared.check_data(folder)
        return prepared

    found = read_old(folder, settings, checked)
    tests = {} if found is None else found.tests
    old_test = next(iter(tests.values()), None if found is None else found.validation)
    judged = None
    count = round(settings.validation * len(new))
    if 0 < count < len(new):
        order = np.random.default_rng(settings.seed).permutation(len(new)).tolist()
        new, judged = subset(sorted(order[count:])), subset(sorted(order[:count]))
    return JobParts(new, judged, None if found is None else found.train, old_test, name_old(folder, old_from))
