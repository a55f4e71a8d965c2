"""What a recogniser has to learn when it is fine-tuned: a new speaker from a minute of speech, or new words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rnnkit.recipes.finetuning import FineTune
from rnnkit.recipes.interface import DataRequest
from rnnkit.recipes.prepared_training import Judged
from rnnkit.recipes.recognition import learn_new_tokens
from rnnkit.recipes.recognition_finetuning import MixedItems, RecognitionJob, job_parts
from rnnkit.recipes.speech import PreparedSpeech, Speech, learner_of
from rnnkit.recipes.speech_sound import augmentations

if TYPE_CHECKING:
    from rnnkit.tasks.speech import Transcriber
    from rnnkit.tasks.speech_batches import HeldUtterances, SpeechBatches, Utterances

DEFAULTS = FineTune(epochs=10, batch_size=8, lr=3e-4, schedule="warmup_cosine", replay=0.5, validation=0.2)


@dataclass(frozen=True)
class SpeechJob(RecognitionJob):
    """A recogniser of speech with recordings to learn, read and checked."""

    rates: ClassVar[tuple[str, ...]] = ("wer", "cer")

    def mix(self, new: Utterances, old: Utterances | None, replay: float) -> MixedUtterances:
        """Return new recordings with some of the old ones."""
        return MixedUtterances(new, old, replay)

    def batches(self, items: Utterances, settings: FineTune, *, shuffle: bool) -> SpeechBatches:
        """Return batches, augmented where they are shuffled."""
        from rnnkit.tasks.speech_batches import SpeechBatches

        front = self.recognizer.front
        waves, frames = augmentations(self.recipe.augment, front.features.settings) if shuffle else (None, None)
        return SpeechBatches(
            items,
            self.recognizer.tokenizer,
            front,
            settings.batch_size,
            waves=waves,
            frames=frames,
            shuffle=shuffle,
            seed=settings.seed,
        )

    def first(self, items: Utterances, count: int) -> HeldUtterances:
        """Return the first recordings."""
        from rnnkit.tasks.speech_batches import HeldUtterances

        rows = range(count)
        return HeldUtterances(
            [items.waveform(row) for row in rows], [items.texts[row] for row in rows], self.recognizer.rate
        )

    def judge(self, items: Utterances) -> Judged:
        """Recognise recordings, and compare with what is said in them."""
        from rnnkit.recipes.speech_results import judge

        return judge(self.recognizer, items)


class MixedUtterances(MixedItems):
    """New utterances with some of the old ones; see :class:`MixedItems`."""

    def redraw(self, seed: int, epoch: int) -> None:
        """Draw other old ones."""
        super().redraw(seed, epoch)
        self.seconds = self.joined("seconds")

    def waveform(self, index: int) -> Any:
        """Return the samples of an utterance."""
        items, row = self.place(index)
        return items.waveform(row)


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
    new = spoken.utterances

    def read() -> PreparedSpeech:
        prepared = recipe.prepare()
        assert isinstance(prepared, PreparedSpeech)
        # The speaker who was kept out is not what was learned, so he does not show what is forgotten.
        return prepared if recipe.data.without is None else replace(prepared, tests={})

    def subset(rows: list[int]) -> HeldUtterances:
        return HeldUtterances([new.waveforms[row] for row in rows], [new.texts[row] for row in rows], new.rate)

    old_from = f"recordings of {recipe.data.path or 'the first training'}"
    parts = job_parts(folder, settings, new, subset, read, old_from)
    learner = learner_of(transcriber.model, recipe.fit, settings.device)
    learner.extra = transcriber.to_extra()
    return SpeechJob(recipe, learner, transcriber, parts, folder, told)


def _extended(transcriber: Transcriber, texts: Any, folder: Path, told: list[str]) -> Transcriber:
    """Return a recogniser that can write texts: with more outputs where its tokens are words or characters."""
    from rnnkit.tasks.speech import Transcriber
    from rnnkit.tasks.speech_heads import head_of

    model = transcriber.model
    tokenizer, sentence = learn_new_tokens(model, transcriber.tokenizer, texts, folder, head_of(model).grow)
    if not sentence:
        return transcriber
    told.append(sentence)
    return Transcriber(model, transcriber.front, tokenizer, transcriber.decoding)
