"""The boundary where errors become one line on stderr and an exit code."""

import os
import sys
from typing import Annotated, Any, ClassVar

import typer
from typer.core import TyperGroup

from model_prep.errors import ModelPrepError

INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""

_KEYS = frozenset({"--api-key", "--api_key"})


class Boundary(TyperGroup):
    """Turns the user's errors into one line and exit code 1, and Ctrl-C into 130.

    Any other exception is a bug of ours and goes on to `run`.
    """

    program: ClassVar[str] = "model-prep"
    errors: ClassVar[tuple[type[Exception], ...]] = (ModelPrepError,)

    def invoke(self, ctx: Any) -> Any:  # noqa: D102 - documented on the class
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            self._fail("interrupted", INTERRUPTED)
        except BrokenPipeError:
            # The reader of our output went away (`model-prep models | head`).
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except self.errors as error:
            if ctx.params.get("debug"):
                raise
            self._fail(str(error), 1)

    def _fail(self, message: str, code: int) -> None:
        _say(self.program, message)
        raise typer.Exit(code) from None


def run(app: typer.Typer, program: str) -> None:
    """Run a command line; a bug of ours is one line too, and a traceback only with ``--debug``."""
    try:
        app(prog_name=program)
    except Exception as error:
        if "--debug" in sys.argv:
            raise
        what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        again = f"{program} --debug {' '.join(without_keys(sys.argv[1:]))}".strip()
        _say(program, f"unexpected {what}; please report what this prints: {again}")
        sys.exit(1)


def without_keys(arguments: list[str]) -> list[str]:
    """Return a command line's arguments as they may be shown: the values of keys are ``***``."""
    shown = []
    secret = False
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        is_key = name in _KEYS
        shown.append("***" if secret else f"{name}=***" if is_key and equals else argument)
        secret = is_key and not equals
    return shown


def _say(program: str, message: str) -> None:
    typer.echo(f"{program}: {' '.join(message.split())}", err=True)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"rag-app {version('rag-app')}")
        raise typer.Exit


Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks.")]
Version = Annotated[
    bool,
    typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
]


def root(debug: Debug = False, version: Version = False) -> None:
    """Make, fetch and check the models that rag-app uses."""
