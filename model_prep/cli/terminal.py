"""The terminal: progress on stderr, and lines that the user types."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from model_prep.progress import Progress
    from model_prep.training.callbacks import TrainingProgress

_QUIET = 10.0  # seconds between two lines about a training where stderr is not a terminal


def say(line: str) -> None:
    """Print a line on stderr."""
    typer.echo(line, err=True)


def read_line() -> str:
    """Return a line of stdin; empty at an empty one, at the end of input and at Ctrl-C."""
    if sys.stdin.isatty():
        typer.echo("> ", nl=False, err=True)
    try:
        return sys.stdin.readline().strip()
    except KeyboardInterrupt:
        return ""


@contextmanager
def progress_bar() -> "Iterator[Progress]":
    """Yield a callback for bytes done: a bar on a terminal, else a line for each new label."""
    with _bar(bytes_of=True) as bar:
        if not bar.console.is_terminal:
            yield _log_of_labels()
            return
        task = bar.add_task("starting", total=None)

        def show(label: str, done: int, total: int) -> None:
            bar.update(task, description=label, completed=done, total=total or None)

        yield show


@contextmanager
def count_bar() -> Iterator[Callable[[int, int], None]]:
    """Yield a callback for a count and its total: a bar where stderr is a terminal."""
    with _bar() as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def training_bar() -> "Iterator[Callable[[TrainingProgress], None]]":
    """Yield a callback for the steps of a training: a bar on a terminal, else a line at times."""
    with _bar() as bar:
        if not bar.console.is_terminal:
            yield _log_of_steps()
            return
        task = bar.add_task("", total=None)

        def show(done: "TrainingProgress") -> None:
            bar.update(task, total=done.steps, completed=done.step, description=_speed(done))

        yield show


def _bar(*, bytes_of: bool = False) -> "Bar":
    from rich import progress
    from rich.console import Console

    console = Console(stderr=True)
    amounts = (
        (progress.DownloadColumn(), progress.TransferSpeedColumn())
        if bytes_of
        else (progress.MofNCompleteColumn(),)
    )
    return progress.Progress(
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        *amounts,
        progress.TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _log_of_labels() -> "Progress":
    last = ""

    def log(label: str, _done: int, total: int) -> None:
        nonlocal last
        if label != last:
            last = label
            say(f"{label} of {total / 1e6:,.0f} MB" if total else label)

    return log


def _log_of_steps() -> "Callable[[TrainingProgress], None]":
    last = 0.0

    def log(done: "TrainingProgress") -> None:
        nonlocal last
        if time.monotonic() - last > _QUIET:
            last = time.monotonic()
            left = f"{done.seconds_left / 60:.0f} min left"
            say(f"step {done.step:,} of {done.steps:,}: {_speed(done)}, {left}")

    return log


def _speed(done: "TrainingProgress") -> str:
    loss = f"loss {done.loss:.4f}, " if done.loss is not None else ""
    return f"{loss}{done.tokens_per_second:,.0f} tokens/s"
