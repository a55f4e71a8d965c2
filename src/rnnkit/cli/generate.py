"""``rnnkit generate``."""

from __future__ import annotations

import secrets
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import ConfigError
from ..runs.settings import override
from . import standard_input
from .arguments import Device, RecipeFile, Run, shorthands, trained_recipe_of
from .misplaced import check_texts
from .output import INTERRUPTED, warn

if TYPE_CHECKING:
    from ..data import Tokenizer
    from ..generation import GenerationState, TokenModel, TokenStream
    from ..recipes import TextModel

_BETWEEN = "---"  # the line between several texts


def generate(
    run: Run,
    text: Annotated[str | None, typer.Argument(metavar="PROMPT", help="Same as --prompt PROMPT.")] = None,
    prompt: Annotated[
        str | None, typer.Option(help="The text to go on from; else standard input, where that is a pipe.")
    ] = None,
    max_tokens: Annotated[int, typer.Option(help="Tokens of a text, at most.")] = 200,
    temperature: Annotated[
        float, typer.Option(help="0: the likeliest token always; below 1: more ordinary; above 1: more varied.")
    ] = 0.8,
    top_k: Annotated[int | None, typer.Option(help="Choose among so many of the likeliest tokens.")] = None,
    top_p: Annotated[
        float | None, typer.Option(help="Choose among the likeliest tokens that have this probability together.")
    ] = None,
    min_p: Annotated[
        float | None, typer.Option(help="Choose among tokens with this share of the likeliest one's probability.")
    ] = None,
    repetition_penalty: Annotated[float, typer.Option(help="Above 1: tokens of the past become less likely.")] = 1.0,
    stop: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help=r"End in front of this text; \n is a line break; may be repeated."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="On the same machine the same seed gives the same text; else each call another.")
    ] = None,
    count: Annotated[int, typer.Option(help=f"So many texts, with a line {_BETWEEN} between them.")] = 1,
    echo: Annotated[bool, typer.Option(help="Whether the prompt is printed in front of the text.")] = True,
    state: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Go on from where --save-state FILE ended.")
    ] = None,
    save_state: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep where the text ended, for --state; may be the same file.")
    ] = None,
    encoding: Annotated[str | None, typer.Option(help="Of standard input, such as gb18030; else UTF-8.")] = None,
    device: Device = None,
    recipe: RecipeFile = None,
) -> None:
    """Write text by a language model, token by token, as it is made."""
    if text is not None and prompt is not None:
        raise ConfigError(f"{text!r} and --prompt {prompt!r} arrived; expected one of them, they mean the same")
    prompt = text if prompt is None else prompt
    check_texts("generate", run, [text])
    chosen = trained_recipe_of(run, recipe)
    chosen = override(chosen, shorthands(chosen, {"--device": device})).require("generate", run)
    _check(max_tokens, count, state, save_state)
    if prompt is None and standard_input.is_piped():
        prompt = standard_input.whole(encoding) or None

    from ..generation import token_model

    found = chosen.language_model(run)
    machine = token_model(found.model)
    before = None if state is None else _load(state, machine, found.tokenizer)
    ids = _prompt_ids(prompt, found, before)
    shown = prompt if echo and prompt else ""
    if shown.endswith(" ") and not found.tokenizer.decode(ids or []).endswith(" "):
        shown = shown.rstrip(" ")  # the model's own text begins with the space
    sampling = {
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "min_p": min_p,
        "repetition_penalty": repetition_penalty,
    }
    # A continued text has its seed; several need one each. At temperature 0 nothing is drawn.
    drawn = seed is None and temperature != 0 and (before is None or count > 1)
    first = secrets.randbits(31) if drawn else seed
    for number in range(count):
        if number:
            typer.echo(_BETWEEN)
        tokens = _stream(
            machine, ids, found.tokenizer, sampling, stop or [],
            max_tokens=max_tokens, state=before, seed=None if first is None else first + number,
        )  # fmt: skip
        interrupted = _print(tokens, shown, save_state, found.tokenizer)
        if interrupted:
            raise typer.Exit(INTERRUPTED)
    if drawn:
        typer.echo(f"Seed: {first}", err=True)


def _check(max_tokens: int, count: int, state: Path | None, save_state: Path | None) -> None:
    from ..errors import check_whole

    check_whole(max_tokens, "--max-tokens", least=0)
    check_whole(count, "--count")
    if count > 1 and save_state is not None:
        raise ConfigError(f"--count {count} and --save-state {save_state} arrived; a state is of one text")
    if state is not None and not state.is_file():
        raise ConfigError(f"--state {state}: there is no such file; --save-state {state} writes it")
    if save_state is not None and save_state.is_dir():
        raise ConfigError(
            f"--save-state {save_state} is a folder; name a file in it: {save_state / 'state.safetensors'}"
        )
    if save_state is not None and not save_state.absolute().parent.is_dir():
        raise ConfigError(f"--save-state {save_state}: there is no folder {save_state.parent}; make it first")


def _load(path: Path, model: TokenModel, tokenizer: Tokenizer) -> GenerationState:
    """Read a state, and see that it fits the model."""
    from ..generation import GenerationState
    from ..ops.state import tensors

    state = GenerationState.load(path)
    if len(state) != 1:
        raise ConfigError(f"--state {path} is of {len(state)} texts; expected that of one")
    shapes = [[tuple(leaf.shape) for leaf in tensors(one)] for one in (state.model_state, model.initial_state(1))]
    highest = max((one for row in (*state.history, *state.unread) for one in row), default=0)
    another = state.tokenizer not in ("", tokenizer.fingerprint())
    if shapes[0] != shapes[1] or highest >= len(tokenizer) or another:
        raise ConfigError(f"--state {path} is the state of another model; name the run that wrote it")
    return state


def _prompt_ids(prompt: str | None, found: TextModel, state: GenerationState | None) -> list[int] | None:
    """Return the ids of a prompt, after those that every text begins with; None continues from the state alone."""
    from ..data.text.report import unknown_sentence

    tokenizer = found.tokenizer
    ids = tokenizer.encode(prompt) if prompt else []
    if prompt and (lacks := unknown_sentence([(prompt, ids)], tokenizer)) is not None:
        warn(lacks)
    if state is not None:
        return ids or None
    if not ids and not found.start:
        begin = next((one for one in (tokenizer.end, tokenizer.beginning) if one is not None), None)
        ids = tokenizer.encode("\n") if begin is None else [begin]
    if not ids and not found.start:
        raise ConfigError("no prompt arrived, and the vocabulary has no token that begins a text; add --prompt TEXT")
    return [*found.start, *ids]


def _stream(
    model: TokenModel, ids: list[int] | None, tokenizer: Tokenizer, sampling: dict[str, Any], stop: list[str],
    **how: Any,
) -> TokenStream:  # fmt: skip
    """Begin a text; errors name the options."""
    from ..generation import stream

    never = [one for one in (tokenizer.pad, tokenizer.unknown, tokenizer.beginning) if one is not None]
    try:
        return stream(
            model,
            None if ids is None else [ids],
            stop_ids=[] if tokenizer.end is None else [tokenizer.end],
            stop_strings=[_unescaped(one) for one in stop],
            decode=tokenizer.decode,
            forbidden_ids=never,
            **sampling,
            **how,
        )
    except ConfigError as error:
        if error.argument == "stop_strings":
            raise ConfigError("--stop '' arrived; expected a text that is not empty") from None
        if not error.argument:
            raise
        option = f"--{error.argument.replace('_', '-')}"
        raise ConfigError.of(option, error.value, error.problem.removesuffix(", or None")) from None


def _print(tokens: TokenStream, before: str, save_state: Path | None, tokenizer: Tokenizer) -> bool:
    """Print a text as it is made, and keep the state. Return whether Ctrl-C ended it."""
    from ..training.contexts import CatchInterrupt

    written = before
    with CatchInterrupt() as interrupt:
        try:
            typer.echo(before, nl=False)
            for piece in tokens:
                written = piece.text or written
                if piece.text:
                    typer.echo(piece.text, nl=False)
                if interrupt.requested:
                    break
            if not written.endswith("\n"):
                typer.echo()
        finally:  # also where the reader of a pipe went away
            if save_state is not None:
                _save(replace(tokens.state, tokenizer=tokenizer.fingerprint()), save_state)
    return interrupt.requested


def _save(state: GenerationState, path: Path) -> None:
    try:
        state.save(path)
    except OSError as error:
        raise ConfigError(f"--save-state {path} cannot be written ({error.strerror or error}); name another") from error


def _unescaped(text: str) -> str:
    r"""Return a text with line breaks and tabs for what a shell passes on as \n and \t."""
    return text.replace("\\\\", "\0").replace("\\n", "\n").replace("\\t", "\t").replace("\0", "\\")
