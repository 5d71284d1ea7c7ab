"""A file of derived values that costs only time to lose."""

import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from rag_app.index.store.database import translated

_PARAMETERS = 500  # parameters of one SQL statement


class KeptFile:
    """Values by their keys, in an SQLite file that is there as long as it holds any.

    Several processes may use it.

    Args:
        path: The file.
        seconds: After which what nobody came back for is dropped; by default never.
    """

    def __init__(self, path: Path, seconds: int | None = None) -> None:
        self.path = path
        self._seconds = seconds

    def keys(self) -> list[bytes]:
        """Return the keys of all that is kept."""
        if not self.path.exists():
            return []
        with self._connected() as connection:
            return [row[0] for row in connection.execute("SELECT key FROM kept")]

    def values(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return those of the keys that are kept."""
        if not self.path.exists():
            return {}
        kept: dict[bytes, bytes] = {}
        with self._connected() as connection:
            for start in range(0, len(keys), _PARAMETERS):
                some = keys[start : start + _PARAMETERS]
                marks = ",".join("?" * len(some))
                query = f"SELECT key, value FROM kept WHERE key IN ({marks})"  # noqa: S608
                kept.update(connection.execute(query, some))
        return kept

    def keep(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Keep values, in place of those of the same keys."""
        now = int(time.time())
        with self._connected() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO kept VALUES (?, ?, ?)", [(*row, now) for row in rows]
            )

    def drop(self, keys: Iterable[bytes]) -> None:
        """Drop what is done, and what is old."""
        if not self.path.exists():
            return
        with self._connected() as connection:
            connection.executemany("DELETE FROM kept WHERE key = ?", [(key,) for key in keys])
            if self._seconds is not None:
                old = int(time.time()) - self._seconds
                connection.execute("DELETE FROM kept WHERE at < ?", (old,))
            empty = connection.execute("SELECT 1 FROM kept LIMIT 1").fetchone() is None
        if empty:
            self._remove()

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """Yield a transaction; a damaged file is made again, since its loss costs only time."""
        with translated(self.path):
            try:
                connection = self._open()
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise
                self._remove()
                connection = self._open()
            with closing(connection), connection:
                yield connection

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path)
        try:
            connection.execute("PRAGMA secure_delete=ON")  # what is dropped is gone from the file
            connection.execute(
                "CREATE TABLE IF NOT EXISTS kept "
                "(key BLOB PRIMARY KEY, value BLOB NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID"
            )
        except BaseException:
            connection.close()
            raise
        return connection

    def _remove(self) -> None:
        for suffix in ("", "-journal"):
            with suppress(OSError):
                self.path.with_name(self.path.name + suffix).unlink()
