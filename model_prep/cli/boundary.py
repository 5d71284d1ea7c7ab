"""The boundary where errors become one line on stderr and an exit code."""

import errno
import io
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer
from typer.core import TyperGroup

from model_prep.cli.signals import end_in_order, is_ending
from model_prep.errors import OUT_OF_MEMORY, ModelPrepError, first_line, is_of_gpu_memory
from model_prep.validation import invalid_reason

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""

_OF_MACHINE = {
    errno.EACCES, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ELOOP, errno.EMFILE,
    errno.ENAMETOOLONG, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.EPERM, errno.EROFS,
    errno.ESTALE,
}  # fmt: skip
"""Errors of the operating system that no change to the code would help."""
_OF_MEMORY = (
    "can't start new thread", "failed to map segment from shared object", OUT_OF_MEMORY,
)  # fmt: skip
"""What Python and the loader of libraries say where a limit of processes or memory is met."""
_OF_RUST = re.compile(r"([^:]+) \(os error (\d+)\)")
"""How errors of libraries in Rust, which are of no kind of Python's, name one of the machine."""
_KEYS = frozenset({"--api-key", "--api_key"})


class Boundary(TyperGroup):
    """Turns the user's errors into one line and exit code 1, and Ctrl-C into 130.

    Any other exception is a bug and goes on to `run`.
    """

    program: ClassVar[str] = "model-prep"
    errors: ClassVar[tuple[type[Exception], ...]] = (ModelPrepError,)

    def make_context(self, *args: Any, **kwargs: Any) -> Any:  # noqa: D102 - as `invoke`
        try:
            with _plain_words():
                return super().make_context(*args, **kwargs)
        except KeyboardInterrupt:
            _say_interrupted(self.program)
            raise typer.Exit(INTERRUPTED) from None

    def invoke(self, ctx: Any) -> Any:  # noqa: D102 - documented on the class
        try:
            with _plain_words():
                return super().invoke(ctx)
        except KeyboardInterrupt:
            _say_interrupted(self.program)
            raise typer.Exit(INTERRUPTED) from None
        except self.errors as error:
            if ctx.params.get("debug"):
                raise
            _say(self.program, self.describe(error, ctx))
            raise typer.Exit(1) from None

    def describe(self, error: Exception, ctx: Any) -> str:  # noqa: ARG002 - for rag-app's
        """Return the line that says what is wrong."""
        return str(error)


@contextmanager
def _plain_words() -> Iterator[None]:
    """Have a wrong value of an option told in our words, not in those of typer's pydantic."""
    try:
        yield
    except typer.BadParameter as error:
        if problems := getattr(error.__cause__, "errors", None):
            error.message = invalid_reason(problems()[0])
        raise


def run(app: Callable[[], typer.Typer], program: str) -> None:
    """Run a command line; a bug is one line too, and a traceback only with ``--debug``.

    Args:
        app: Imports the commands: Ctrl-C may come while it does.
        program: What it is called.
    """
    _open_streams()
    end_in_order(program)
    try:
        try:
            app()(prog_name=program)
        finally:
            sys.stdout.flush()
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # typer and rich take it for a failure
            sys.exit(0)
        raise
    except BrokenPipeError as error:
        # The reader of our output went away (`model-prep models | head`).
        _lose_output()
        sys.exit(getattr(error.__context__, "code", 0))
    except KeyboardInterrupt:
        _say_interrupted(program)
        sys.exit(INTERRUPTED)
    except Exception as error:
        if "--debug" in sys.argv:
            raise
        _say(program, _of_machine(error) or _unexpected(error, program))
        if isinstance(error, OSError):
            _lose_output()
        sys.exit(1)


def _lose_output() -> None:
    """Have what is left to be written on stdout go nowhere, so that Python's end doesn't fail."""
    with suppress(io.UnsupportedOperation):  # where stdout is no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _open_streams() -> None:
    """Put the null device in the place of standard streams that the caller closed.

    And on stderr what loses messages where nothing takes them.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115
    if (stderr := sys.__stderr__) is sys.stderr and stderr is not None:
        sys.stderr = io.TextIOWrapper(
            io.BufferedWriter(_Messages(stderr.fileno(), "w", closefd=False)),
            encoding=stderr.encoding,
            errors=stderr.errors,
            line_buffering=True,
        )


class _Messages(io.FileIO):
    """Stderr; on a full disk or with nobody at its other end, messages are lost, not results."""

    def write(self, message: "ReadableBuffer", /) -> int:
        try:
            return super().write(message)
        except OSError:
            return memoryview(message).nbytes


def _of_machine(error: Exception) -> str:
    """Return the message for an error of the machine or the caller; empty for others."""
    of_gpu = is_of_gpu_memory(error)
    if of_gpu or isinstance(error, MemoryError) or any(what in str(error) for what in _OF_MEMORY):
        what = first_line(error) if of_gpu else "the memory or its limit is used up"
        return f"{what}; end other programs, or do less at a time"
    if isinstance(error, UnicodeEncodeError) and error.reason == "surrogates not allowed":
        return (
            "an argument, name or line is not valid text; write it in the encoding of LANG or UTF-8"
        )
    if isinstance(error, RuntimeError) and "home directory" in str(error):  # of Path.expanduser
        return "a path that begins with ~ names no user's home; write the full path"
    if isinstance(error, RuntimeError) and str(error).startswith("Symlink loop"):  # of Path.resolve
        error = OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(error).rpartition("from ")[2])
    if isinstance(error, FileNotFoundError) and not _has_working_folder():
        return "the working folder no longer exists; change to another one, and run this again"
    if (found := _OF_RUST.search(str(error))) and int(found[2]) in _OF_MACHINE:
        error = OSError(int(found[2]), found[1])
    if isinstance(error, OSError) and error.errno in _OF_MACHINE:
        what = f"{error.filename}" if error.filename else "the output or a file"
        remedy = "allow more by ulimit -n" if error.errno == errno.EMFILE else "correct that"
        return f"{what} can't be read or written ({error.strerror}); {remedy}, and run this again"
    return ""


def _has_working_folder() -> bool:
    try:
        os.getcwd()  # noqa: PTH109 - what fails is the call itself
    except FileNotFoundError:
        return False
    return True


def _unexpected(error: Exception, program: str) -> str:
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    again = f"{program} --debug {' '.join(without_keys(sys.argv[1:]))}".strip()
    return f"unexpected {what}; please report what this prints: {again}"


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


def _say_interrupted(program: str) -> None:
    if not is_ending():  # by another signal than Ctrl-C's, which is said last
        _say(program, "interrupted")


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
