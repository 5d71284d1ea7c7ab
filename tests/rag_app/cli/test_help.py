"""What `--help` shows of each command."""

import re
from typing import Any

import typer

from rag_app import cli
from rag_app.settings import DEFAULTS


def parameters(command: Any) -> list[Any]:
    below = getattr(command, "commands", {}).values()
    return [*command.params, *(one for each in below for one in parameters(each))]


def test_help_shows_the_defaults_of_the_settings() -> None:
    """Those of options that the environment may change: typer knows no default of theirs."""
    app: Any = typer.main.get_command(cli.app)
    wrong = []
    for option in parameters(app):
        name = option.name
        default = getattr(DEFAULTS, name, None)
        own = option.default is not None or option.required or "by default" in str(option.help)
        if default in (None, "", False) or own or (name == "index" and option.multiple):
            continue
        text = str(default) if isinstance(default, str) else f"{default:g}"
        shown = re.search(r"\(?default `?([\w.-]*\w)", option.help or "")
        if name != "parallel" and (not shown or shown[1] != text):
            wrong.append((option.opts[0], option.help, text))
    assert wrong == []
