"""Progress of long work: callbacks, counters, and the growth of a folder."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

Progress = Callable[[str, int, int], None]
"""Callback: what is being done, how much of it (bytes, mostly), and of how much (0: unknown)."""
CountProgress = Callable[[int, int], None]
"""Callback: how much is done, and of how much, where one thing is."""

_SECONDS = 0.2


class ProgressCounter:
    """Sum of what several threads have done, and a flag that tells them to end.

    Example:
        >>> counter = ProgressCounter("hashing", 10, lambda *state: print(*state))
        >>> counter.add(4)
        hashing 4 10

    Attributes:
        stopped: Set where the work is in vain, since one of them has failed.
    """

    def __init__(self, label: str, total: int, progress: Progress | None) -> None:
        self.stopped = False
        self._label, self._total, self._done = label, total, 0
        self._progress = progress
        self._lock = threading.Lock()

    def add(self, size: int) -> None:
        """Count ``size`` bytes more."""
        with self._lock:
            self._done += size
            if self._progress:
                self._progress(self._label, self._done, self._total)


def folder_size(folder: Path) -> int:
    """Return the bytes of all files below ``folder``; files may come and go meanwhile."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += Path(root, name).stat().st_size
            except OSError:
                continue  # moved or deleted since it was listed
    return total


def watched(folder: Path, report: Callable[[int], None]) -> AbstractContextManager[None]:
    """Call ``report`` with the folder's size several times a second, from another thread."""
    return repeated(_SECONDS, lambda: report(folder_size(folder)))


@contextmanager
def repeated(seconds: float, act: Callable[[], None]) -> Iterator[None]:
    """Call ``act`` every so many seconds, from another thread, until the block ends."""
    over = threading.Event()

    def work() -> None:
        while not over.wait(seconds):
            act()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
