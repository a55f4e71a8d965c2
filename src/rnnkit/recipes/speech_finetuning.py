"""What a recogniser has to learn when it is fine-tuned: a new speaker from a minute of speech, or new words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rnnkit
from rnnkit.errors import ConfigError, DataError
from rnnkit.recipes.base import DataRequest
from rnnkit.recipes.finetuning import FineTune, FineTuneWork, name_old, read_old, write_results
from rnnkit.recipes.speech import PreparedSpeech, Speech, learner_of
from rnnkit.recipes.speech_sound import augmentations
from rnnkit.runs import data_digests

if TYPE_CHECKING:
    from rnnkit.tasks.speech import Transcriber
    from rnnkit.tasks.speech_batches import HeldUtterances, Utterances
    from rnnkit.training.history import History

DEFAULTS = FineTune(epochs=10, batch_size=8, lr=3e-4, schedule="warmup_cosine", replay=0.5, validation=0.2)
_GROWN = 1 << 30  # an epoch in which made utterances are as long as they become
_JUDGED = 300  # old utterances that are recognised before and after


@dataclass(frozen=True)
class SpeechJob(FineTuneWork):
    """A recogniser with recordings to learn, read and checked.

    Attributes:
        recipe: of the run.
        learner: of the network, which has the new words, too.
        transcriber: the recogniser.
        new, judged: recordings to learn, and those to judge by; None: the same.
        old, old_test: what the run learned first, and what it held back; None where that is gone.
        old_from: where the old recordings come from, for the report.
        folder: of the run.
        told: sentences about the recordings.
    """

    recipe: Speech
    learner: rnnkit.Learner
    transcriber: Transcriber
    new: HeldUtterances
    judged: HeldUtterances | None
    old: Utterances | None
    old_test: Utterances | None
    old_from: str
    folder: Path
    told: list[str]

    def findings(self) -> list[str]:
        """Return what was found in the recordings."""
        return self.told

    def check(self, settings: FineTune) -> None:
        """Raise ConfigError for settings that a recogniser cannot use, before there is a run folder."""
        from rnnkit.finetuning.freeze import matching

        matching(self.learner.model, settings.freeze)
        if settings.protect == "ewc":
            raise ConfigError(
                "protect=ewc arrived; a recogniser does not measure what its weights matter: type --set protect=l2-sp"
            )
        if settings.classes == "replace":
            raise ConfigError("classes=replace arrived; a recogniser keeps its words: train anew for others")
        if settings.replay is not None and self.old is None:
            raise ConfigError(
                f"replay={settings.replay:g} needs the old recordings, which are gone; add --set replay=none"
            )

    def run(self, settings: FineTune, folder: Path) -> History:
        """Fine-tune, and write the results into the folder."""
        from rnnkit.tasks.speech_batches import SpeechBatches
        from rnnkit.training.fine_tuning.report import Quality

        transcriber, size = self.transcriber, settings.batch_size
        judged = self.new if self.judged is None else self.judged
        before = self._rates(judged), self._rates(self.old_test)
        waves, frames = augmentations(self.recipe.augment, transcriber.front.features.settings)
        train = MixedUtterances(self.new, None if settings.replay is None else self.old, settings.replay or 0.0)
        batches = SpeechBatches(
            train, transcriber.tokenizer, transcriber.front, size, waves=waves, frames=frames, seed=settings.seed
        )
        validation = SpeechBatches(judged, transcriber.tokenizer, transcriber.front, size, shuffle=False)
        chosen = settings.arguments() | {"replay": None}
        history = self.learner.fine_tune(batches, validation=validation, **chosen)
        report = history.report
        assert report is not None
        after = self._rates(judged), self._rates(self.old_test)
        old = None
        if self.old_test is not None:
            old = Quality(min(len(self.old_test), _JUDGED), before[1], after[1])
        report = replace(report, new=Quality(len(judged), before[0], after[0]), old=old)
        if self.judged is None:
            report = replace(report, new_from="the training rows")
        if settings.replay is not None:
            report = replace(report, method={"replay": f"{settings.replay:g} of the new rows", **report.method})
        if old is not None:
            report = replace(report, method={"old data": self.old_from, **report.method})
        return write_results(self.learner, report, history, settings, folder, self._save, old_test=old is not None)

    def _save(self, to: Path) -> None:
        self.learner.save(to)
        data_digests.carry(self.folder, to)

    def _rates(self, utterances: Utterances | None) -> dict[str, float] | None:
        from rnnkit.recipes.speech_results import judge
        from rnnkit.tasks.speech_batches import HeldUtterances

        if utterances is None:
            return None
        if len(utterances) > _JUDGED:
            rows = range(_JUDGED)
            utterances = HeldUtterances(
                [utterances.waveform(row) for row in rows],
                [utterances.texts[row] for row in rows],
                self.transcriber.rate,
            )
        figures = judge(self.transcriber, utterances).scores.figures
        return {name: figures[name] for name in ("wer", "cer")}


class MixedUtterances:
    """New utterances with some of the old ones, others in each epoch.

    Args:
        new: all are in each epoch.
        old: what some are drawn of; None: none.
        replay: old ones in an epoch: a share of the new ones, or how many (from 1 on).
    """

    def __init__(self, new: Utterances, old: Utterances | None, replay: float) -> None:
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
        self.texts, seconds = list(self.new.texts), list(self.new.seconds)
        if self.old is not None:
            self.old.redraw(seed, _GROWN)
            self.texts += [self.old.texts[row] for row in self._rows]
            seconds += [self.old.seconds[row] for row in self._rows]
        self.seconds = np.array(seconds)

    def waveform(self, index: int) -> Any:
        """Return the samples of an utterance."""
        if index < len(self.new):
            return self.new.waveform(index)
        assert self.old is not None
        return self.old.waveform(int(self._rows[index - len(self.new)]))

    def fingerprint(self) -> str:
        """Return a digest of all utterances."""
        return repr((self.new.fingerprint(), None if self.old is None else self.old.fingerprint(), self._replay))


def make_job(recipe: Speech, folder: Path, data: DataRequest, settings: FineTune) -> SpeechJob:
    """Return the folder's recogniser with recordings to learn, whose words it gets where it lacks them.

    Raises:
        DataError: no recordings with transcripts, or old ones that are wanted and are gone.
    """
    from rnnkit.tasks.speech import load_transcriber
    from rnnkit.tasks.speech_batches import HeldUtterances

    transcriber = load_transcriber(folder, device="cpu")
    spoken = recipe.speak(data.without_encoding(), transcriber.rate)
    told = [*spoken.clips.findings, *spoken.findings]
    transcriber = _extended(transcriber, spoken.utterances.texts, folder, told)

    def read() -> PreparedSpeech:
        prepared = recipe.prepare()
        assert isinstance(prepared, PreparedSpeech)
        prepared.check_data(folder)
        return prepared

    found = read_old(folder, settings, read)
    tests = {} if found is None else found.tests
    old_test = next(iter(tests.values()), None if found is None else found.validation)
    new, judged = spoken.utterances, None
    if settings.validation:
        count = round(settings.validation * len(new))
        if 0 < count < len(new):
            import numpy as np

            order = np.random.default_rng(settings.seed).permutation(len(new)).tolist()
            parts = [
                HeldUtterances([new.waveforms[row] for row in rows], [new.texts[row] for row in rows], new.rate)
                for rows in (sorted(order[count:]), sorted(order[:count]))
            ]
            new, judged = parts[0], parts[1]
    learner = learner_of(transcriber.model, recipe.fit, settings.device)
    learner.extra = transcriber.to_extra()
    return SpeechJob(
        recipe,
        learner,
        transcriber,
        new,
        judged,
        None if found is None else found.train,
        old_test,
        name_old(folder, f"recordings of {recipe.data.path or 'the first training'}"),
        folder,
        told,
    )


def _extended(transcriber: Transcriber, texts: Any, folder: Path, told: list[str]) -> Transcriber:
    """Return a recogniser that can write texts: with more outputs where its tokens are words or characters."""
    import torch

    from rnnkit.data import extend_tokenizer
    from rnnkit.tasks.speech import Transcriber
    from rnnkit.tasks.speech_heads import head_of

    before = transcriber.tokenizer
    tokenizer = extend_tokenizer(before, list(texts))
    more = tokenizer.tokens[len(before) :]
    if not more:
        return transcriber
    model = transcriber.model
    try:
        head_of(model).grow(model, len(tokenizer), torch.Generator().manual_seed(0))
    except ConfigError as error:
        raise DataError(f"{folder} cannot learn new words ({', '.join(more[:5])}): {error}") from error
    shown = ", ".join(more[:8]) + (" …" if len(more) > 8 else "")
    told.append(f"New {'words' if tokenizer.kind == 'word' else 'characters'} to write ({len(more):,}): {shown}.")
    return Transcriber(model, transcriber.front, tokenizer, transcriber.decoding)
