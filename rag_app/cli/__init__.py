"""The ``rag-app`` command line: one small file per command, one boundary for errors.

Errors and warnings become one line on stderr, and errors an exit code.
"""

import io
import logging
import os
import sys
from typing import ClassVar

# pydantic looks for plugins in all packages that are installed, at the first model: a tenth of what
# a command takes that asks the resident engine.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

import typer

from model_prep.cli.boundary import Boundary as ModelPrepBoundary
from model_prep.cli.boundary import Debug, Version, run
from model_prep.errors import ModelPrepError
from rag_app.cli import (
    ask,
    backup,
    docs,
    evaluate,
    index,
    indexes,
    mcp,
    serve,
    status,
    summarize,
    warm,
    watch,
)  # fmt: skip
from rag_app.errors import RagAppError


class Boundary(ModelPrepBoundary):
    """As model_prep's, for the errors of both packages."""

    program: ClassVar[str] = "rag-app"
    errors: ClassVar[tuple[type[Exception], ...]] = (RagAppError, ModelPrepError)


class _Warnings(logging.Handler):
    """Shows what a package warns of as one line on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        message = " ".join(record.getMessage().split())
        sys.stderr.write(f"rag-app: {record.levelname.lower()}: {message}\n")


def root(debug: Debug = False, version: Version = False) -> None:  # noqa: ARG001 - see Boundary
    """Ask and summarize documents with models you own."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what the terminal's encoding lacks is escaped
            stream.reconfigure(errors="backslashreplace")
    handler = _Warnings(logging.WARNING)
    for package in ("rag_app", "model_prep"):
        logging.getLogger(package).handlers = [handler]


app = typer.Typer(
    cls=Boundary,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.callback()(root)
app.command("index")(index.index)
app.command("reembed")(index.reembed)
app.command("watch")(watch.watch)
app.command("ask")(ask.ask)
app.command("summarize")(summarize.summarize)
app.command("eval")(evaluate.evaluate)
app.command("serve")(serve.serve)
app.command("mcp")(mcp.mcp)
app.command("status")(status.status)
app.command("warm")(warm.warm)
app.command("stop")(status.stop)
app.command("copy")(indexes.copy)
app.command("backup")(backup.backup)
app.command("restore")(backup.restore)
app.add_typer(docs.app, name="docs")
app.add_typer(indexes.app, name="indexes")


def main() -> None:
    """Run the command line."""
    run(app, "rag-app")
