"""Output folders that appear when they are complete, and the disk below them."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from model_prep.errors import DiskSpaceError, OutputError, PullError

PARTIAL = ".partial"
"""Suffix of the folder in which an output is made."""
_REMEDY = "free some space, or choose a folder on another disk"
_PULL_REMEDY = "free some space, or choose another disk with --dir or RAG_APP_HOME"
_SPARE_BYTES = 100 * 2**20  # to stay free


def check_output(folder: Path, needed: int) -> None:
    """Check, before any work, that ``folder`` can be made and holds nothing yet.

    Args:
        folder: Where the result shall lie; it need not exist.
        needed: Bytes of the result.

    Raises:
        OutputError: there is a file of that name, or a folder that is not empty.
        DiskSpaceError: the disk is too full.
    """
    if folder.exists() and not folder.is_dir():
        msg = f"{folder} is a file; name a folder for the output"
        raise OutputError(msg)
    if folder.is_dir() and any(folder.iterdir()):
        msg = f"{folder} is not empty; name another folder for the output, or delete it"
        raise OutputError(msg)
    above = next(parent for parent in folder.absolute().parents if parent.is_dir())
    require_space(above, needed, remedy=_REMEDY)


@contextmanager
def output_folder(folder: Path, needed: int) -> Iterator[Path]:
    """Give an empty folder ``NAME.partial`` beside ``folder``, and rename it at the end.

    Its files are forced onto the disk first, so that a folder with the final name is complete. If
    anything is raised meanwhile, Ctrl-C included, it is deleted; what a killed run left is too.

    Args:
        folder: As for `check_output`.
        needed: Bytes of the result.

    Raises:
        OutputError: as `check_output`, or the folder can't be written.
        DiskSpaceError: the disk is too full, or filled up.
    """
    check_output(folder, needed)
    partial = folder.with_name(folder.name + PARTIAL)
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        yield partial
        sync_folder(partial)
        if folder.is_dir():
            folder.rmdir()  # empty; Windows does not rename onto it
        partial.rename(folder)
        sync(folder.absolute().parent)
    except OSError as error:
        if is_full(error):
            msg = f"the disk of {folder} is full; {_REMEDY}; nothing was kept"
            raise DiskSpaceError(msg) from error
        msg = f"{folder} can't be made ({_reason(error)}); correct that, or name another folder"
        raise OutputError(msg) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def require_space(folder: Path, needed: int, *, remedy: str = _PULL_REMEDY) -> None:
    """Check that ``needed`` bytes fit on the disk of ``folder``, which exists, before any work.

    Raises:
        DiskSpaceError: they don't; ``remedy`` tells the user what to do.
    """
    free = shutil.disk_usage(folder).free
    if free < needed + _SPARE_BYTES:
        msg = (
            f"{(needed + _SPARE_BYTES) / 1e9:.2f} GB are needed and the disk of {_shown(folder)} "
            f"has {free / 1e9:.2f} GB free; {remedy}"
        )
        raise DiskSpaceError(msg)


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
