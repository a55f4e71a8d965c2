"""Streams of a recogniser of speech: `python -m benchmarks.speech [RUN]`.

Latency of words in strings that are joined from the run's test recordings, in pieces of 20 ms; seconds that a stream
needs for a second of sound, on one thread; and the same of 16 streams at once, each with a thread of its own, on the
cores that this process may use. Without RUN, a network of the usual size with fresh weights, on noise: its speed is
that of a trained one, and it has no latency. Processor time counts, too: it does not wait for other programs.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks import machine
from rnnkit.cli.arguments import trained_recipe_of
from rnnkit.recipes import open_recipe
from rnnkit.recipes.speech import build
from rnnkit.recipes.speech_sound import make_front
from rnnkit.tasks.speech import Transcriber
from rnnkit.tasks.speech_latency import measure_latency, real_time_factor, streams_at_once

LATENCY, FACTOR, STREAMS = 0.4, 0.02, 16
"""A word appears at most so many seconds behind its end in the median; seconds for one of sound; streams at once."""


def fresh() -> Transcriber:
    """Return a recogniser of digits with fresh weights."""
    from rnnkit.recipes.speech_results import DIGITS

    recipe: Any = open_recipe("speech-digits")
    torch.manual_seed(0)
    tokenizer = recipe.data.tokenizer(DIGITS)
    front = make_front(recipe.features, 8000, recipe.decode.tail, None)
    if front.norm.needs_fit:
        front.norm.fit([torch.randn(50, front.features.size)])
    return Transcriber(build(recipe.model, front.features.size, tokenizer).eval(), front, tokenizer)


def main(arguments: list[str] | None = None, seconds: float = 20.0) -> int:
    """Measure and print; 1 where a figure is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speech", description=__doc__)
    parser.add_argument("run", nargs="?", type=Path, help="the folder of a run of speech-digits")
    wanted = parser.parse_args(arguments)
    cores = len(os.sched_getaffinity(0))
    print(f"{machine.describe()['Processor']}, {cores} cores, torch {torch.__version__}")
    missed = False
    if wanted.run is None:
        transcriber = fresh()
        sound = 0.1 * torch.randn(round(seconds * transcriber.rate), generator=torch.Generator().manual_seed(0))
    else:
        recipe: Any = trained_recipe_of(wanted.run, None)
        transcriber, strings = recipe.transcriber(wanted.run), recipe.prepare().tests["strings"]
        latency = measure_latency(transcriber, strings, most=100)
        missed = not latency.median <= LATENCY
        print(
            f"latency of {len(latency.each)} of {latency.words} words: median {1e3 * latency.median:.0f} ms (at most "
            f"{1e3 * LATENCY:.0f}), 9 of 10 below {1e3 * latency.worst_tenth:.0f} ms"
        )
        sound = torch.cat([strings.waveform(row) for row in range(min(10, len(strings)))])
    for chunk in (0.02, 0.1, 0.2):
        begun = time.process_time()
        real_time_factor(transcriber, sound, chunk=chunk)
        spent = (time.process_time() - begun) * transcriber.rate / len(sound)
        print(f"pieces of {chunk:g} s: {spent:.4f} seconds of processor time for one of sound")
    alone, together = real_time_factor(transcriber, sound), streams_at_once(transcriber, sound, STREAMS)
    print(f"one stream on one thread: {alone:.4f} of real time (at most {FACTOR:g})")
    print(f"{STREAMS} streams at once on {cores} cores: each {together:.3f} of real time (at most 1)", flush=True)
    return int(missed or alone > FACTOR or together > 1)


if __name__ == "__main__":
    raise SystemExit(main())
