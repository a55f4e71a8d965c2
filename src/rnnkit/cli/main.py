"""``rnnkit``: the verbs, and what becomes of errors.

Exit codes: 0 done; 1 some inputs could not be used; 2 a mistake in what was asked, named in one message;
130 stopped by Ctrl-C. ``RNNKIT_DEBUG=1`` shows the traceback of a message.
"""

from __future__ import annotations

from typing import Annotated

import typer

from . import (
    align,
    backtest,
    doctor,
    evaluate,
    export,
    finetune,
    forecast,
    generate,
    import_model,
    inspect,
    predict,
    quantize,
    recipes,
    runs,
    shards,
    summarize,
    train,
    transcribe,
    translate,
    understand,
)
from .command import DataVerb, FineTuneVerb, Train, Verb, Verbs
from .start import HELP


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"rnnkit {version('rnnkit')}")
        raise typer.Exit


app = typer.Typer(
    name="rnnkit",
    help=HELP,
    cls=Verbs,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None: ...


app.command("train", cls=Train)(train.train)
app.command("evaluate", cls=DataVerb)(evaluate.evaluate)
app.command("predict", cls=Verb)(predict.predict)
app.command("forecast", cls=Verb)(forecast.forecast)
app.command("backtest", cls=Verb)(backtest.backtest)
app.command("generate", cls=Verb)(generate.generate)
app.command("translate", cls=Verb)(translate.translate)
app.command("summarize", cls=Verb)(summarize.summarize)
app.command("transcribe", cls=Verb)(transcribe.transcribe)
app.command("align", cls=Verb)(align.align)
app.command("finetune", cls=FineTuneVerb)(finetune.finetune)
app.command("understand", cls=Verb)(understand.understand)
app.command("inspect", cls=DataVerb)(inspect.inspect)
app.command("export", cls=Verb)(export.export)
app.command("quantize", cls=Verb)(quantize.quantize)
app.command("import", cls=Verb)(import_model.import_model)
app.add_typer(recipes.app, name="recipes")
app.add_typer(shards.app, name="shards")
app.command("runs", cls=Verb)(runs.runs)
app.command("doctor", cls=Verb)(doctor.doctor)
