"""The file of items: JSON Lines, appended to by one crawl at a time, whole after any kill."""

import io
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from model_prep.crawl.items import Item, read_item
from model_prep.errors import DiskSpaceError, OutputError
from model_prep.output import is_full, sync

_BEGINNING = b'{"instruction": "'
"""Of every line that `Item.line` writes."""


class ItemsFile:
    """An open file of items; `open_items` gives it.

    Args:
        path: For messages.
        file: Open for reading and appending, not buffered.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder, open_items(Path(folder) / "data.jsonl") as file:
        ...     file.append([Item("What is 1 + 1?", "", "2")])
        ...     file.items[0].output
        '2'
    """

    def __init__(self, path: Path, file: io.FileIO) -> None:
        self._path, self._file = path, file
        self.items: list[Item] = []
        """What is in the file."""
        self.cut_off = 0
        """Bytes of a half line that a kill had left."""
        self._read()

    def _read(self) -> None:
        line = b"\n"
        for number, line in enumerate(io.BytesIO(self._file.read()), 1):
            item = _item(line, first=number == 1)
            if item:
                self.items.append(item)
            elif line.strip():
                self._cut_off(line, number)
                return
        if not line.endswith(b"\n"):
            self._write(b"\n")

    def _cut_off(self, line: bytes, number: int) -> None:
        """Cut off what a kill left of a last line: nothing else is ever taken from the file."""
        # A power cut can leave zeros where bytes were to be.
        begun = line.rstrip(b"\0")
        if line.endswith(b"\n") or not (
            begun.startswith(_BEGINNING) or _BEGINNING.startswith(begun)
        ):
            msg = (
                f"line {number} of {self._path} is no item with instruction and output; "
                "correct it, or name another file"
            )
            raise OutputError(msg)
        self.cut_off = len(line)
        self._file.truncate(os.fstat(self._file.fileno()).st_size - len(line))

    def append(self, items: Sequence[Item]) -> None:
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


@contextmanager
def open_items(path: Path) -> Iterator[ItemsFile]:
    """Open a file of items, which need not exist, for this process alone.

    Raises:
        OutputError: another crawl writes it, it holds something else, or it can't be written.
        DiskSpaceError: the disk is full.
    """
    path = path.resolve()  # so that two names of one file have one lock
    if path.exists() and not path.is_file():
        msg = f"{path} is a folder or a device; name a file for the items"
        raise OutputError(msg)
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
                items = ItemsFile(path, file)
            yield items
        finally:
            lock.release()


def _item(line: bytes, *, first: bool) -> Item | None:
    try:
        value = json.loads(line.decode("utf-8-sig" if first else "utf-8"))
    except (ValueError, RecursionError):
        return None
    return read_item(value) if isinstance(value, dict) else None


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
