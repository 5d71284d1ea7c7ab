"""The file of items: JSON Lines, appended to by one crawl at a time, intact after any kill."""

import io
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from filelock import FileLock, Timeout

from model_prep.crawl.items import Item, read_item
from model_prep.errors import DiskSpaceError, OutputError
from model_prep.output import is_full, sync


class Line(Protocol):
    """Something that is a line of JSONL."""

    def line(self) -> str:
        """Return it."""


Kept = TypeVar("Kept", bound=Line)


@dataclass(frozen=True)
class LineFormat(Generic[Kept]):
    """What the lines of a file are.

    Example:
        >>> ITEMS.read({"instruction": "Add 1 and 2.", "output": "3"}).output
        '3'
    """

    read: Callable[[dict[str, Any]], Kept | None]
    beginning: bytes
    """The beginning of every line that is written."""
    what: str


ITEMS = LineFormat(read_item, b'{"instruction": "', "an item with instruction and output")


class ItemsFile(Generic[Kept]):
    """An open file of items; `open_items` gives it.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder, open_items(Path(folder) / "data.jsonl") as file:
        ...     file.append([Item("What is 1 + 1?", "", "2")])
        ...     file.items[0].output
        '2'
    """

    def __init__(self, path: Path, file: io.FileIO, form: LineFormat[Kept]) -> None:
        self._path, self._file, self._form = path, file, form
        self.items: list[Kept] = []
        """What is in the file."""
        self.cut_off = 0
        """Bytes of a half line that a kill had left."""
        self._read()

    def _read(self) -> None:
        line = b"\n"
        for number, line in enumerate(io.BytesIO(self._file.read()), 1):
            item = self._read_line(line, first=number == 1)
            if item:
                self.items.append(item)
            elif line.strip():
                self._cut_off(line, number)
                return
        if not line.endswith(b"\n"):
            self._write(b"\n")

    def _read_line(self, line: bytes, *, first: bool) -> Kept | None:
        try:
            value = json.loads(line.decode("utf-8-sig" if first else "utf-8"))
        except (ValueError, RecursionError):
            return None
        return self._form.read(value) if isinstance(value, dict) else None

    def _cut_off(self, line: bytes, number: int) -> None:
        """Cut off what a kill left of a last line: nothing else is ever taken from the file."""
        # A power cut can leave zeros where bytes were to be.
        begun = line.rstrip(b"\0")
        beginning = self._form.beginning
        if line.endswith(b"\n") or not (begun.startswith(beginning) or beginning.startswith(begun)):
            raise OutputError(
                f"line {number} of {self._path} is not {self._form.what}; "
                "correct it, or name another file"
            )
        self.cut_off = len(line)
        self._file.truncate(os.fstat(self._file.fileno()).st_size - len(line))

    def append(self, items: Sequence[Kept]) -> None:
        """Add items and force them onto the disk; all of them are written, or none.

        Raises:
            OutputError: the file can't be written.
            DiskSpaceError: the disk is full.
        """
        if not items:
            return
        with _explained(self._path):
            self._write("".join(item.line() for item in items).encode())
        self.items += items

    def _write(self, data: bytes) -> None:
        size = os.fstat(self._file.fileno()).st_size
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
            os.fsync(self._file.fileno())
        except BaseException:
            self._file.truncate(size)
            raise


def open_items(path: Path) -> AbstractContextManager[ItemsFile[Item]]:
    """Open a file of instruction data: `open_lines` of `ITEMS`."""
    return open_lines(path, ITEMS)


@contextmanager
def open_lines(path: Path, form: LineFormat[Kept]) -> Iterator[ItemsFile[Kept]]:
    """Open a file of items, which need not exist, for this process alone.

    Raises:
        OutputError: another crawl writes it, it holds something else, or it can't be written.
        DiskSpaceError: the disk is full.
    """
    path = path.resolve()  # so that two names of one file have one lock
    if path.exists() and not path.is_file():
        raise OutputError(f"{path} is a folder or a device; name a file for the items")
    lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=0)
    with _explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+b", buffering=0)
    with file:
        with _explained(path):
            lock.acquire()
        try:
            with _explained(path):
                sync(path.parent)
                file.seek(0)
                items = ItemsFile(path, file, form)
            yield items
        finally:
            lock.release()


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except Timeout as error:
        msg = f"{path} is being written by another crawl; wait for it, or name another file"
        raise OutputError(msg) from error
    except OSError as error:
        if is_full(error):
            msg = f"the disk of {path} is full; free some space, then the same command goes on"
            raise DiskSpaceError(msg) from error
        reason = error.strerror or type(error).__name__
        msg = f"{path} can't be written ({reason}); correct that, or name another file"
        raise OutputError(msg) from error
