"""The console script. The list of verbs is printed without the modules of the verbs, which take half of its time."""

from __future__ import annotations

import os
import sys

HELP = "Train, fine-tune, understand and deploy recurrent neural networks."
# The first sentences of the verbs' help, as `main` has them; `tests/cli/test_help.py` compares both lists.
VERBS = {
    "train": "Run a recipe and keep the model, figures and pictures in a run folder.",
    "evaluate": "Evaluate a run's model on the test set again, or on other data.",
    "predict": "Name what images show (file, class and confidence), or answer for each series or text of a file "
    "(a table).",
    "forecast": "Forecast the steps behind the last row of each series of a table.",
    "backtest": "Forecast from one origin after the other through a table, and score the forecasts beside simple ones.",
    "generate": "Write text by a language model, token by token, as it is made.",
    "translate": "Translate texts: an answer a line, printed as soon as it is there.",
    "summarize": "Summarize texts: a summary a line; of several files each has the file's name in front.",
    "transcribe": "Write what is said in sound files, or while it is spoken: `arecord -r 16000 -f S16_LE -t raw | "
    "rnnkit transcribe\nRUN --live --rate 16000`.",
    "align": 'Print when each word of a known text is said: `rnnkit align RUN talk.wav "good morning"`.',
    "finetune": "Train a run's model on new data, in a run folder of its own; report what was learned and what "
    "was lost.",
    "understand": "Print what is said in sound files and what is meant: a line of JSON a file with text, intent "
    "and slots.",
    "inspect": "Look into a trained network: what is wrong, what usually helps, and a page of pictures.",
    "export": "Write a trained model for other programs, with a description in JSON beside it.",
    "quantize": "Make a run with weights in 8 bits of a trained one, for predictions on the CPU.",
    "import": "Make a run folder of a model that another program trained; predict, finetune, inspect and "
    "evaluate take it.",
    "runs": "List run folders, or compare some: settings, figures, versions.",
    "doctor": "Show versions, what the native core and torch make of this machine, and which layer runs where.",
    "recipes": "See the recipes, their settings, and take one to change.",
    "shards": "Data of any size as compressed Parquet files: make them, look at them, check them.",
}


def main() -> None:
    """The console script."""
    # A pipe in another encoding than UTF-8 must not end a run over an arrow in a message.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    completes = any(name.startswith("_") and name.endswith("_COMPLETE") for name in os.environ)
    if sys.argv[1:] in ([], ["--help"]) and not completes:
        list_verbs()
    else:
        from .main import app

        app()


def list_verbs() -> None:
    """Print the help of the command, and end the process."""
    import typer

    app = typer.Typer(name="rnnkit", help=HELP, no_args_is_help=True, pretty_exceptions_enable=False)

    @app.callback()
    def options(version: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None: ...

    for name, line in VERBS.items():
        app.command(name, help=line)(lambda: None)
    app()
