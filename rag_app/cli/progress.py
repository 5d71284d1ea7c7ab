"""Progress on stderr: a bar on a terminal, else a line now and then."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import PurePath
from typing import TYPE_CHECKING

from model_prep.progress import repeated
from rag_app.cli.show import count_of, messages

if TYPE_CHECKING:
    from rich.progress import Progress

    from rag_app.index.indexing.report import IndexProgress, ProgressCallback

_LINE_SECONDS = 10  # between two lines where stderr is not a terminal


@contextmanager
def indexing() -> "Iterator[ProgressCallback]":
    """Yield a callback that shows how many passages were embedded, and about how many there are.

    It says when the documents can be found by their words.
    """
    from rag_app.documents.text import shown

    with _shown("indexing") as show:
        said = False

        def progress(now: "IndexProgress") -> None:
            nonlocal said
            if now.searchable and not said:
                said = True
                what = count_of(now.searchable, "document")
                whose = "its" if now.searchable == 1 else "their"
                messages.print(f"{what} can be found by {whose} words")
            documents = f"{now.documents:,} of {now.total:,} documents read"
            name = shown(PurePath(now.source).name)
            show(now.chunks, now.estimate, f"{documents}  {name}  {now.within}".rstrip())

        yield progress


@contextmanager
def counting(what: str, unit: str = "passages") -> Iterator[Callable[[int, int], None]]:
    """Yield a callback that shows how many things are done, and how many there are."""
    with _shown(what, unit) as show:
        yield lambda done, total: show(done, total, "")


@contextmanager
def copying(what: str) -> Iterator[Callable[[str, int, int], None]]:
    """Yield a callback that shows which file is copied, and the megabytes of it and of all."""
    with _shown(what, "MB") as show:
        yield lambda name, done, total: show(done // 10**6, total // 10**6, name)


@contextmanager
def evaluating() -> Iterator[Callable[[str, int, int], None]]:
    """Yield a callback that shows what is done with questions, and how many of them are done."""
    with _shown("evaluating", "questions") as show:
        yield lambda what, done, total: show(done, total, what)


@contextmanager
def _shown(what: str, unit: str = "passages") -> Iterator[Callable[[int, int, str], None]]:
    """Yield a callback that takes the units done, about how many there are, and a detail."""
    if messages.is_terminal:
        with _bar(unit) as bar:
            task = bar.add_task(what, total=None, detail="")
            yield lambda done, total, detail: bar.update(
                task, total=total or None, completed=done, detail=detail
            )
        return
    line = [f"{what}: beginning"]
    about = "" if unit in {"questions", "documents"} else "about "

    def show(done: int, total: int, detail: str) -> None:
        line[0] = f"{what}: {done:,} of {about}{total:,} {unit}  {detail}".rstrip()

    with repeated(_LINE_SECONDS, lambda: messages.print(line[0], markup=False)):
        yield show


def _bar(unit: str) -> "Progress":
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit, markup=False),
        TimeRemainingColumn(),
        TextColumn("{task.fields[detail]}", markup=False),
        console=messages,
        transient=True,
    )
