"""How far a command is, on stderr."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from model_prep.progress import Progress


@contextmanager
def progress_bar() -> "Iterator[Progress]":
    """Give a progress callback: a bar with bytes, speed and time left.

    Where stderr is no terminal it is a line for each thing done.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines()
        return
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    ) as bar:
        task = bar.add_task("starting", total=None)

        def show(label: str, done: int, total: int) -> None:
            bar.update(task, description=label, completed=done, total=total or None)

        yield show


@contextmanager
def count_bar() -> "Iterator[Callable[[int, int], None]]":
    """Give a callback for how many of how many are done: a bar where stderr is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


class _Lines:
    """Progress for a log: what is being done, each thing once."""

    def __init__(self) -> None:
        self._label = ""

    def __call__(self, label: str, _done: int, total: int) -> None:
        if label != self._label:
            self._label = label
            typer.echo(f"{label} of {total / 1e6:,.0f} MB" if total else label, err=True)
