"""The file of a FAISS index, ``vectors.faiss``, mapped into memory, and what ``vectors.json`` says.

FAISS trusts what it reads, so it never reads a file whose SHA-256 is not the one noted. The hash is
taken when the file is written and when it comes from elsewhere, as in a copy; at each start its
size and time of change show that it is still the same. That time is set back after writing, so that
whatever is written later changes it, however coarse the clock of the disk.

The new stamp is in ``vectors.next.json`` before the file is replaced, and takes the place of the
old one after: a file is described by one of them at whatever moment its writer is killed.
"""

import hashlib
import json
import logging
import os
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import faiss
from filelock import FileLock

from model_prep.json_file import replace_json
from model_prep.output import sync
from rag_app.index.search.faiss_index import held_ids
from rag_app.index.store.records import Generation

FAISS_NAME = "vectors.faiss"
STAMP_NAME = "vectors.json"
_NEXT_NAME = "vectors.next.json"
_LOCK_NAME = "vectors.lock"
_SAVE_SECONDS = 600  # for which a file waits that another process is writing
_SET_BACK = 10 * 10**9  # nanoseconds; file systems' clocks tick every 2 seconds or sooner
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stamp:
    """What a derived index was made from and how."""

    number: int
    token: str
    """With `number`, the generation of the store that the file was last compared with."""
    space: str
    kind: str
    """``exact`` or ``approximate``."""
    trained: int
    """Vectors there were when it was built."""
    recall: float
    """Recall@10 against exact search on a sample; 1 for exact search."""
    sha256: str = ""
    """SHA-256 of the file."""
    last: int | None = None
    """The file holds no chunk with a higher id; those of a file of an earlier version tell."""
    count: int = 0
    """Vectors in the file."""
    size: int = 0
    """Size of the file, bytes."""
    modified: int = 0
    """When the file was changed, nanoseconds."""

    @property
    def generation(self) -> Generation:
        """The generation of the store."""
        return Generation(self.number, self.token)

    @property
    def file_state(self) -> tuple[int, int]:
        """As `file_state` returns it of the file that it describes."""
        return self.size, self.modified


def load(folder: Path, *, mapped: bool = True) -> tuple[Any, Stamp] | None:
    """Return the index and its stamp, None if there is none that can be used."""
    path, texts = folder / FAISS_NAME, _stamp_texts(folder)
    before: os.stat_result | None = None
    try:
        stamps = [Stamp(**json.loads(text)) for text in texts]
        if not stamps:
            return None
        before = path.stat()
        stamp, known = _described(path, before, stamps)
        # Windows can't replace a file that is mapped.
        mapped = mapped and os.name != "nt" and _is_utf8(path)
        index = _mapped(path, stamp.kind) if mapped else _in_memory(path)
        if _identity(before) != _identity(path.stat()):
            raise ValueError("it was replaced while it was read")
        if stamp.last is None:
            ids = held_ids(index)
            stamp = replace(stamp, last=int(ids.max(initial=0)), count=len(ids))
        if not known:
            with suppress(OSError), _alone(folder, 0):  # a read-only folder: hashed each time
                if _identity(before) == _identity(path.stat()):
                    stamp = _settled(path, stamp)
                    replace_json(folder / STAMP_NAME, asdict(stamp))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, RuntimeError) as error:  # FAISS raises the last
        with suppress(OSError):
            replaced = before is not None and _identity(before) != _identity(path.stat())
            if replaced or _stamp_texts(folder) != texts:  # by another process, meanwhile
                return load(folder, mapped=mapped)
        _log.warning("%s can't be used (%s); it is built again", path, _reason(error))
        return None
    return index, stamp


def file_state(folder: Path) -> tuple[int, int] | None:
    """Return the size of the file and its time, which identify its version; None without a file."""
    try:
        found = (folder / FAISS_NAME).stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def save(folder: Path, index: Any, stamp: Stamp, is_current: Callable[[], bool]) -> Stamp | None:
    """Write an index and its stamp, each beside and then into place; None if that wasn't done.

    Args:
        folder: The index.
        index: As FAISS has it.
        stamp: What it was made from.
        is_current: Says, when all is written, whether it is still of the store.
    """
    path = folder / FAISS_NAME
    new = folder / f"vectors.faiss.{uuid.uuid4().hex[:8]}.new"
    try:
        with _alone(folder, _SAVE_SECONDS):
            with new.open("wb") as file:  # FAISS itself would print its errors
                writer = faiss.PyCallbackIOWriter(file.write)  # type: ignore[attr-defined]
                faiss.write_index(index, writer)
            stamp = _settled(new, replace(stamp, sha256=_sha256(new)))
            sync(new)
            if not is_current():
                new.unlink()
                return None
            replace_json(folder / _NEXT_NAME, asdict(stamp))
            new.replace(path)
            (folder / _NEXT_NAME).replace(folder / STAMP_NAME)
    except (OSError, RuntimeError) as error:
        _log.warning(
            "%s can't be written (%s); every process builds its own in memory", path, _reason(error)
        )
        with suppress(OSError):
            new.unlink()
        return None
    return stamp


def write_stamp(folder: Path, stamp: Stamp) -> None:
    """Put a stamp in the place of the one that is there, if the file is still the one it means.

    Raises:
        OSError: it can't be written, or another process is writing the file.
    """
    with _alone(folder, 0):
        if file_state(folder) == stamp.file_state:
            replace_json(folder / STAMP_NAME, asdict(stamp))


def sweep(folder: Path) -> None:
    """Delete what killed processes left half written, unless one is writing."""
    left = [*folder.glob("vectors.*.new")]
    if not left:
        return
    with suppress(OSError), _alone(folder, 0):
        for path in left:
            with suppress(OSError):
                path.unlink()


@contextmanager
def _alone(folder: Path, seconds: float) -> Iterator[None]:
    """Lock the file and its stamp for writing; a TimeoutError if another process has them."""
    folder.stat()  # one that was deleted is not to be made for its lock
    with FileLock(folder / _LOCK_NAME, timeout=seconds):
        yield


def _stamp_texts(folder: Path) -> list[str]:
    """Return the stamp, and the one that is to follow where a writer was killed, if any."""
    texts = []
    for name in (STAMP_NAME, _NEXT_NAME):
        with suppress(FileNotFoundError):
            texts.append((folder / name).read_text(encoding="utf-8", errors="replace"))
    return texts


def _described(path: Path, found: os.stat_result, stamps: Sequence[Stamp]) -> tuple[Stamp, bool]:
    """Return the stamp that describes the file, and whether its time proves it."""
    for stamp in stamps:
        if (found.st_size, found.st_mtime_ns) == stamp.file_state:
            return stamp, True
    digest = _sha256(path)
    for stamp in stamps:
        if stamp.sha256 == digest:
            return stamp, False
    raise ValueError("it is not the one that vectors.json describes")


def _is_utf8(path: Path) -> bool:
    """Return whether FAISS, which takes a name for UTF-8, opens the file of that name."""
    try:
        return os.fsencode(path) == str(path).encode()
    except UnicodeEncodeError:
        return False


def _in_memory(path: Path) -> Any:
    with path.open("rb") as file:  # whose name FAISS could not open on Windows
        return faiss.read_index(faiss.PyCallbackIOReader(file.read))  # type: ignore[attr-defined]


def _mapped(path: Path, kind: str) -> Any:
    if kind == "exact":
        return faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
    index: Any = faiss.read_index(str(path), faiss.IO_FLAG_MMAP)
    lists = faiss.downcast_InvertedLists(index.invlists)
    if isinstance(lists, faiss.OnDiskInvertedLists):
        lists.prefetch_nthread = 0  # threads started at each search cost more than they save
    return index


def _settled(path: Path, stamp: Stamp) -> Stamp:
    """Set the file's time back and return the stamp with what is noted of the file."""
    then = time.time_ns() - _SET_BACK
    with suppress(OSError):  # some disks take no times
        os.utime(path, ns=(then, then))
    found = path.stat()
    return replace(stamp, size=found.st_size, modified=found.st_mtime_ns)


def _identity(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_ino, found.st_size, found.st_mtime_ns


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _reason(error: Exception) -> str:
    return " ".join(str(getattr(error, "strerror", None) or error).split())
