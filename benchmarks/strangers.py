"""Digits of a stranger, for recognisers of digits: `python -m benchmarks.strangers RUN ...`.

The prompts of Asterisk, a telephone exchange, hold the ten digits spoken by one woman, 8 kHz. Debian and Ubuntu have
them (`apt install asterisk-core-sounds-en-wav`). No recipe trains on them. Judged are the ten digits one by one, and
strings of 3 to 7 digits joined from them, with gaps and without. Where the prompts are not installed, that is said, and
nothing is judged.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.tables import table, verdict
from rnnkit.recipes.speech_results import DIGITS
from rnnkit.tasks.speech import Transcriber, load_transcriber
from rnnkit.tasks.speech_batches import HeldUtterances
from rnnkit.tasks.speech_joined import Gaps, JoinedUtterances
from rnnkit.tasks.speech_scores import score_speech

if TYPE_CHECKING:
    from collections.abc import Sequence

SHARE = ("/usr/share/asterisk/sounds", "/var/lib/asterisk/sounds", "/usr/local/share/asterisk/sounds")
VOICES = ("en", "en_US_f_Allison", "en_US", "")
STRINGS = 100
ISOLATED, WER = 0.9, 0.08
"""The share of the ten digits and the word error rate of strings to reach."""
ABSENT = "left out: Asterisk's prompts are not installed; type apt install asterisk-core-sounds-en-wav"


def find_prompts(folders: Sequence[str | Path] = SHARE) -> Path | None:
    """Return the folder with the prompts ``0.wav`` to ``9.wav``; None: they are not installed."""
    for folder in folders:
        for voice in VOICES:
            found = Path(folder, voice, "digits")
            if all((found / f"{digit}.wav").is_file() for digit in range(10)):
                return found
    return None


def strangers(run: str | Path | Transcriber, prompts: str | Path | None = None) -> dict[str, float] | None:
    """Return how well a recogniser of digits does on prompts that it was not trained on.

    Args:
        run: the folder of a run of speech-digits, or a recogniser.
        prompts: a folder with ``0.wav`` to ``9.wav``; None looks where Asterisk has them.

    Returns:
        "isolated", the share of the ten digits; "strings_wer" and "close_wer", the word error rates of strings with
        gaps and without. None: there are no prompts.
    """
    from rnnkit.data.audio.waveforms import read_audio

    folder = find_prompts() if prompts is None else Path(prompts)
    if folder is None:
        return None
    transcriber = load_transcriber(run) if isinstance(run, str | Path) else run
    sounds = [read_audio(folder / f"{digit}.wav", rate=transcriber.rate).samples for digit in range(10)]
    alone = HeldUtterances(sounds, DIGITS, transcriber.rate)
    found = {"isolated": _figures(transcriber, alone)["sentence_accuracy"]}
    for name, gaps, seed in (("strings_wer", Gaps(close=0.0, least=0.1), 2), ("close_wer", Gaps(close=1.0), 3)):
        joined = JoinedUtterances(
            sounds, DIGITS, None, STRINGS, rate=transcriber.rate, lengths=(3, 7), gaps=gaps, seed=seed
        )
        found[name] = _figures(transcriber, joined)["wer"]
    return found


def met(figures: dict[str, float]) -> bool:
    """Return whether figures of `strangers` reach what is asked for."""
    return figures["isolated"] >= ISOLATED and figures["strings_wer"] <= WER


def _figures(transcriber: Transcriber, utterances: Any) -> dict[str, float]:
    found = transcriber([utterances.waveform(at) for at in range(len(utterances))])
    return score_speech(list(utterances.texts), [one.text for one in found]).figures


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.strangers", description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folders of runs of speech-digits")
    parser.add_argument("--prompts", type=Path, help="a folder with 0.wav to 9.wav")
    given = parser.parse_args(arguments)
    rows, all_met = [], True
    for run in given.runs:
        figures = strangers(run, given.prompts)
        if figures is None:
            print(ABSENT, file=sys.stderr)
            return 0
        all_met &= met(figures)
        shown = (f"{figures[name]:.1%}" for name in ("isolated", "strings_wer", "close_wer"))
        rows.append([str(run), *shown, verdict(met(figures))])
    header = ["run", f"isolated (≥ {ISOLATED:.0%})", f"strings, word errors (≤ {WER:.0%})", "without gaps", ""]
    print(table(header, rows))
    return 0 if all_met else 1


if __name__ == "__main__":
    sys.exit(main())
