"""Writes docs/reference/command_line.md from the help texts of the commands.

Run: python docs/tools/command_line.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from rnnkit.cli.main import app

PAGE = Path(__file__).parents[1] / "reference" / "command_line.md"
HEAD = """\
# Command line

`rnnkit COMMAND --help` prints the same. This page is written by `python docs/tools/command_line.py`.

Exit codes: 0 done; 1 some inputs could not be used; 2 the command or the data is wrong, and one message says how; 130
stopped by Ctrl-C. `RNNKIT_DEBUG=1` shows the traceback behind a message.

`rnnkit --version` prints the version. `rnnkit --install-completion` lets the shell (bash, zsh, fish or PowerShell)
complete commands, options, recipes and files, from the next terminal on. `rnnkit --show-completion` prints what it
would install.
"""


def page() -> str:
    """Returns the page's text."""
    command = typer.main.get_command(app)
    return "\n".join([HEAD, *_sections("rnnkit", command)])


def _sections(path: str, command: Any) -> list[str]:
    if hasattr(command, "commands"):
        return [line for name, one in command.commands.items() for line in _sections(f"{path} {name}", one)]
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name == "option"]
    usage = " ".join([path, *(f"[{_name(one)}]" if not one.required else _name(one) for one in arguments)])
    usage += " [OPTIONS]" if options else ""
    lines = [f"## {path}", "", command.help or "", "", "```text", usage, "```", ""]
    rows = [(_name(one), one) for one in arguments] + [
        (", ".join([*one.opts, *one.secondary_opts]), one) for one in options
    ]
    if rows:
        lines += ["| | | |", "| --- | --- | --- |"]
        lines += [f"| `{name}` | {_needed(one)} | {_escaped(one.help or '')} |" for name, one in rows]
        lines.append("")
    return lines


def _name(argument: Any) -> str:
    name: str = (argument.metavar or argument.name).strip("[]{}").removesuffix("...")
    return name.strip("[]{}").upper() + ("..." if argument.nargs == -1 else "")


def _needed(parameter: Any) -> str:
    if parameter.required:
        return "required"
    return "" if parameter.default in (None, False, ()) else f"default: {parameter.default}"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"Wrote {PAGE}")
