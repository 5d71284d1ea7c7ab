"""The lock of an index's one writer, which says who holds it."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from model_prep.output import is_full
from rag_app.errors import BusyIndexError, IndexStoreError


class WriterLock:
    """The writer's lock of one index folder, or that of another kind of work on it.

    It excludes other threads and processes and is re-entrant within a thread. The operating
    system lets go of it when its holder dies, however it dies.

    Args:
        folder: the index.
        timeout: seconds to wait for another holder.
        name: of the lock's files.
        doing: what is done to the index by its holder.
    """

    def __init__(
        self, folder: Path, timeout: float, *, name: str = "writer", doing: str = "written"
    ) -> None:
        self._folder = folder
        self._holder = folder / f"{name}.json"
        self._doing = doing
        self._lock = FileLock(folder / f"{name}.lock", timeout=timeout)

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Hold the lock; yields whether this is the outermost hold.

        Raises:
            IndexStoreError: another writer kept it, or the folder can't be written.
        """
        outermost = not self._lock.is_locked
        try:
            self._lock.acquire()
        except Timeout as error:
            raise BusyIndexError(self._held_message()) from error
        except OSError as error:
            raise unwritable(self._folder, error) from error
        try:
            if outermost:
                self._sign()
            yield outermost
        finally:
            if outermost:
                with suppress(OSError):
                    self._holder.unlink()
            self._lock.release()

    def _sign(self) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": now}
        try:
            self._holder.write_text(json.dumps(holder), encoding="utf-8")
        except OSError as error:
            raise unwritable(self._folder, error) from error

    def holder(self) -> str | None:
        """Return who holds it, for people; None where nobody does, or that is unknown."""
        if not Path(self._lock.lock_file).exists():
            return None
        try:
            with self._lock.acquire(timeout=0):
                return None
        except Timeout:
            return self._signature()
        except OSError:
            return None

    def _signature(self) -> str:
        try:
            holder = json.loads(self._holder.read_text(encoding="utf-8"))
            return f"process {holder['pid']} on {holder['host']} since {holder['since']}"
        except (OSError, ValueError, KeyError, TypeError):
            return "another process"

    def _held_message(self) -> str:
        what = f"the index in {self._folder} is being {self._doing}"
        return f"{what} by {self._signature()}; try again when it is done"


def unwritable(folder: Path, error: OSError) -> IndexStoreError:
    """Return the error for a folder in which nothing can be written."""
    if is_full(error):
        return IndexStoreError(
            f"no space left on the disk of {folder}; free some and run the same command again"
        )
    reason = error.strerror or str(error)
    return IndexStoreError(
        f"the index folder {folder} can't be written ({reason}); "
        "change its permissions or choose another with --index"
    )
