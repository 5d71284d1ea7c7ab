"""Output folders that appear when they are complete, and the disk below them."""

import errno
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from model_prep.errors import DiskSpaceError, OutputError, PullError

PARTIAL = ".partial"
"""Suffix of the folder in which an output is made."""
_REMEDY = "free some space, or choose a folder on another disk"
_PULL_REMEDY = "free some space, or choose another disk with --dir or RAG_APP_HOME"
_SPARE_BYTES = 100 * 2**20  # to stay free
_MOVED_LAST = ("merge.json", "params.json", "config.json")
"""Without these a folder is not a model: where files are moved one by one, they come last."""


def check_output(folder: Path, needed: int) -> None:
    """Check, before any work, that ``folder`` can be made and holds nothing yet.

    Args:
        folder: Where the result is to be; it need not exist.
        needed: Bytes of the result.

    Raises:
        OutputError: there is a file of that name, or a folder that is not empty or can't be made.
        DiskSpaceError: the disk is too full.
    """
    try:
        if folder.exists() and not folder.is_dir():
            raise OutputError(f"{folder} is a file; name a folder for the output")
        if folder.is_dir() and any(path.name != PARTIAL for path in folder.iterdir()):
            msg = f"{folder} is not empty; name another folder for the output, or delete it"
            raise OutputError(msg)
        places = (folder.absolute(), *folder.absolute().parents)
        nearest = next(place for place in places if place.is_dir())
    except OSError as error:
        raise _cannot_make(folder, error) from error
    require_space(nearest, needed, remedy=_REMEDY)


def _cannot_make(folder: Path, error: OSError) -> OutputError:
    msg = f"{folder} can't be made ({_reason(error)}); correct that, or name another folder"
    return OutputError(msg)


@contextmanager
def output_folder(folder: Path, needed: int) -> Iterator[Path]:
    """Yield an empty folder ``NAME.partial`` beside ``folder``, and rename it at the end.

    Its files are forced onto the disk first, so that a folder with the final name is complete. If
    anything is raised meanwhile, Ctrl-C included, it is deleted; what a killed run left is too.
    A folder that can't be renamed onto, a mount point or the one that a shell is in, is filled
    from a ``.partial`` within it instead, its configuration last.

    Args:
        folder: As for `check_output`.
        needed: Bytes of the result.

    Raises:
        OutputError: as `check_output`, or the folder can't be written, or another run writes it.
        DiskSpaceError: the disk is too full, or filled up.
    """
    check_output(folder, needed)
    within = _stays(folder)
    place = folder.resolve()
    partial = place / PARTIAL if within else place.with_name(place.name + PARTIAL)
    try:
        with _made_alone(partial, folder):
            try:
                yield partial
                sync_folder(partial)
                (_move_files if within else _rename)(partial, place)
                sync(place.parent)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        if is_full(error):
            msg = f"the disk of {folder} is full; {_REMEDY}; nothing was kept"
            raise DiskSpaceError(msg) from error
        raise _cannot_make(folder, error) from error


def _stays(folder: Path) -> bool:
    """Return whether a folder exists and can't be replaced by another of its name."""
    if not folder.is_dir():
        return False
    place = folder.resolve()
    return place == Path.cwd() or os.path.ismount(place) or not os.access(place.parent, os.W_OK)


def _rename(partial: Path, place: Path) -> None:
    if place.is_dir():
        place.rmdir()  # empty; Windows does not rename onto it
    partial.rename(place)


def _move_files(partial: Path, place: Path) -> None:
    for path in sorted(partial.iterdir(), key=lambda path: path.name in _MOVED_LAST):
        path.rename(place / path.name)
    sync(place)


@contextmanager
def _made_alone(partial: Path, folder: Path) -> Iterator[None]:
    """Make an empty folder that no other run of today's can take for a dead run's leavings."""
    while True:
        partial.mkdir(parents=True, exist_ok=True)
        with locked(partial) as alone:
            if not alone:
                msg = f"another run is writing {folder}; wait for it, or name another folder"
                raise OutputError(msg)
            if alone.is_at(partial):
                for path in partial.iterdir():
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
                yield
                return


class Lock:
    """A file or folder that this process has locked.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with locked(folder) as first, locked(folder) as second:
        ...     bool(first), bool(second)
        (True, False)
    """

    def __init__(self, handle: int | None, *, held: bool = True) -> None:
        self._handle, self._held = handle, held

    def __bool__(self) -> bool:
        return self._held

    def is_at(self, path: Path) -> bool:
        """Return whether what is locked still has that name."""
        if self._handle is None:
            return True
        with suppress(OSError):
            return os.path.samestat(os.fstat(self._handle), path.stat())
        return False


@contextmanager
def locked(path: Path) -> Iterator[Lock]:
    """Lock a file or folder that exists, until the end or the process's death; don't wait.

    The lock is true where this process has it. Windows can't lock folders: there it always is.
    """
    if sys.platform == "win32":
        yield Lock(None)
        return
    import fcntl

    handle = os.open(path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield Lock(handle, held=False)
            return
        except OSError:  # some network disks have no locks
            yield Lock(handle)
            return
        yield Lock(handle)
    finally:
        os.close(handle)


def require_space(folder: Path, needed: int, *, remedy: str = _PULL_REMEDY) -> None:
    """Check that ``needed`` bytes fit on the disk of ``folder``, which exists, before any work.

    Raises:
        DiskSpaceError: they don't; ``remedy`` tells the user what to do.
    """
    free = shutil.disk_usage(folder).free
    if free < needed + _SPARE_BYTES:
        raise DiskSpaceError(
            f"{(needed + _SPARE_BYTES) / 1e9:.2f} GB are needed and the disk of {_shown(folder)} "
            f"has {free / 1e9:.2f} GB free; {remedy}"
        )


def cannot_write(folder: Path, error: OSError) -> PullError | DiskSpaceError:
    """Return the error to show where a model can't be written below ``folder``."""
    if is_full(error):
        return disk_full(folder)
    return PullError(f"{folder} can't be written ({_reason(error)}); correct that, or use --dir")


def disk_full(folder: Path) -> DiskSpaceError:
    """Return the error of a disk that filled up while a model was pulled."""
    return DiskSpaceError(
        f"the disk of {_shown(folder)} is full; {_PULL_REMEDY}; the same command then goes on "
        "where it stopped"
    )


def is_full(error: OSError) -> bool:
    """Return whether the disk, or the user's share of it, is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def _reason(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__


def _shown(folder: Path) -> Path:
    """Return the folder that the user knows: the one above a model that is being made."""
    hidden = (path for path in (folder, *folder.parents) if path.suffix == PARTIAL)
    return next(hidden, folder / PARTIAL).parent


def sync_folder(folder: Path) -> None:
    """Force a folder and all below it onto the disk, so that a rename can't overtake them."""
    for path in (folder, *folder.rglob("*")):
        sync(path)


def sync(path: Path) -> None:
    """Force one file, or the names in one folder, onto the disk."""
    if os.name == "nt" and path.is_dir():
        return  # Windows can't open a folder
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
