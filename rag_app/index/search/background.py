"""The process that merges an index's vectors after the command that changed it has ended.

It is detached, of low priority, one at a time, and may be killed at any moment: what it writes
is put in place complete, the store holds all that it reads, and the next command that finds a
merge due starts another one.
"""

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from rag_app.index.store.lock import WriterLock
from rag_app.surroundings import import_path

_PROCESS = "rag_app.index.search.merging"
_WAIT_SECONDS = 1
"""For which a process that begins waits for one that ends, or for one that only looks."""

_log = logging.getLogger(__name__)
_started: dict[Path, "subprocess.Popen[bytes]"] = {}


def merge_lock(folder: Path) -> WriterLock:
    """Return the lock that the process holds as long as it works on an index."""
    return WriterLock(folder, _WAIT_SECONDS, name="merge", doing="merged")


def start(folder: Path, limits: Sequence[int]) -> None:
    """Start the process, unless one is at work; what it warns of is in ``merge.log``."""
    last = _started.get(folder)
    if (last is not None and last.returncode is None) or merge_lock(folder).holder():
        return
    try:
        with (folder / "merge.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", _PROCESS, str(folder.absolute()), *map(str, limits)],
                cwd=folder.absolute().anchor,  # no folder is kept from being deleted
                env={**os.environ, "PYTHONPATH": import_path()},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # neither Ctrl-C nor the end of the terminal reaches it
                creationflags=getattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0),
            )
    except OSError as error:
        _log.warning("the vectors in %s can't be merged in the background (%s)", folder, error)
        return
    _started[folder] = process
    threading.Thread(target=process.wait, daemon=True).start()  # else it stays as a zombie
