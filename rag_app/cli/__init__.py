"""The ``rag-app`` command line: one small file per command, one boundary for errors.

Errors and warnings become one line on stderr, and errors an exit code.
"""

import io
import logging
import os
import sys
import warnings
from functools import cache
from importlib import import_module
from typing import Any, ClassVar

# pydantic looks for plugins in all packages that are installed, at the first model: a tenth of what
# a command takes that asks the resident engine.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

import typer

from model_prep.cli.boundary import Boundary as ModelPrepBoundary
from model_prep.cli.boundary import Debug, Version, run
from model_prep.errors import ModelPrepError
from rag_app.errors import RagAppError, SettingsError

_COMMANDS = {
    "index": "index.index",
    "reembed": "index.reembed",
    "watch": "watch.watch",
    "ask": "ask.ask",
    "summarize": "summarize.summarize",
    "eval": "evaluate.evaluate",
    "serve": "serve.serve",
    "mcp": "mcp.mcp",
    "status": "status.status",
    "warm": "warm.warm",
    "stop": "status.stop",
    "copy": "indexes.copy",
    "backup": "backup.backup",
    "restore": "backup.restore",
    "docs": "docs.app",
    "indexes": "indexes.app",
}
"""The commands in the order of `--help`: the file and the function of each, or the Typer of its own
commands."""


class Boundary(ModelPrepBoundary):
    """As model_prep's, for the errors of both packages."""

    program: ClassVar[str] = "rag-app"
    errors: ClassVar[tuple[type[Exception], ...]] = (RagAppError, ModelPrepError)

    def describe(self, error: Exception, ctx: Any) -> str:
        """Return what is wrong; a setting is called as the option that was given."""
        message, name = str(error), ctx.invoked_subcommand
        if not isinstance(error, SettingsError):
            return message
        if error.flag:
            command: Any = self.get_command(ctx, name)
            named = (one.opts[0] for one in command.params if one.name == error.flag)
            option = next(named, f"--{error.flag.replace('_', '-')}")
            message = message.replace(error.flag, option, 1)
        return message.replace("rag-app --help", f"rag-app {name} --help")


class _Warnings(logging.Handler):
    """Shows what a package warns of as one line on stderr, and not again while nothing else is."""

    _last = ""

    def emit(self, record: logging.LogRecord) -> None:
        message = " ".join(record.getMessage().split())
        if message == self._last:
            return
        self._last = message
        sys.stderr.write(f"rag-app: {record.levelname.lower()}: {message}\n")


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    sys.stderr.write(f"rag-app: warning: {' '.join(str(message).split())}\n")


def root(debug: Debug = False, version: Version = False) -> None:  # noqa: ARG001 - see Boundary
    """Ask and summarize documents with models you own."""
    if isinstance(sys.stdin, io.TextIOWrapper):  # what does not decode is reported
        sys.stdin.reconfigure(errors="surrogateescape")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what the terminal's encoding lacks is escaped
            stream.reconfigure(errors="backslashreplace")
    warnings.showwarning = _show_warning
    handler = _Warnings(logging.WARNING)
    for package in ("rag_app", "model_prep"):
        logging.getLogger(package).handlers = [handler]


def commands(*names: str) -> typer.Typer:
    """Return the command line with some commands, by default all of them."""
    app = typer.Typer(
        cls=Boundary,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(root)
    for name in names or _COMMANDS:
        module, function = _COMMANDS[name].split(".")
        found = getattr(import_module(f"rag_app.cli.{module}"), function)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=name)
        else:
            app.command(name)(found)
    return app


def __getattr__(name: str) -> typer.Typer:
    """Return ``app``, the complete command line."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _whole()


@cache
def _whole() -> typer.Typer:
    return commands()


def main() -> None:
    """Run the command line; where a command is named, only that one is imported."""
    named = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    run(lambda: commands(named) if named in _COMMANDS else _whole(), "rag-app")
