"""Progress bars on stderr; where stderr is no terminal they print nothing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import PurePath
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from rag_app.cli.show import messages

if TYPE_CHECKING:
    from rag_app.index.indexing.report import IndexProgress, ProgressCallback


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[detail]}", markup=False),
        console=messages,
        transient=True,
        disable=not messages.is_terminal,
    )


@contextmanager
def indexing() -> "Iterator[ProgressCallback]":
    """Give a callback that shows how many documents were read and passages embedded."""
    with _bar() as bar:
        task = bar.add_task("indexing", total=None, detail="")

        def show(progress: "IndexProgress") -> None:
            detail = f"{progress.chunks:,} passages  {PurePath(progress.source).name}"
            bar.update(task, total=progress.total, completed=progress.documents, detail=detail)

        yield show


@contextmanager
def reembedding() -> Iterator[Callable[[int, int], None]]:
    """Give a callback that shows how many passages were embedded again."""
    with _bar() as bar:
        task = bar.add_task("embedding again", total=None, detail="passages")
        yield lambda done, total: bar.update(task, total=total, completed=done)
