"""Room on the disk, and files that are surely on it."""

import errno
import os
import shutil
from pathlib import Path

from model_prep.errors import DiskSpaceError, PullError

PARTIAL = ".partial"
"""Suffix of the folder in which a model is made."""
_REMEDY = "free some space, or choose another disk with --dir or RAG_APP_HOME"
_SPARE_BYTES = 100 * 2**20
"""What should stay free."""


def require_space(folder: Path, needed: int, *, remedy: str = _REMEDY) -> None:
    """Check that ``needed`` bytes fit on the disk of ``folder`` before any work is done.

    Args:
        folder: Exists.
        needed: Bytes.
        remedy: What the user can do.

    Raises:
        DiskSpaceError: they don't.
    """
    free = shutil.disk_usage(folder).free
    if free < needed + _SPARE_BYTES:
        msg = (
            f"{(needed + _SPARE_BYTES) / 1e9:.2f} GB are needed and the disk of {_shown(folder)} "
            f"has {free / 1e9:.2f} GB free; {remedy}"
        )
        raise DiskSpaceError(msg)


def cannot_write(folder: Path, error: OSError) -> PullError | DiskSpaceError:
    """Return what to tell the user of an error met while writing below ``folder``."""
    if is_full(error):
        return disk_full(folder)
    reason = error.strerror or str(error) or type(error).__name__
    return PullError(f"{folder} can't be written ({reason}); mend that, or use --dir")


def is_full(error: OSError) -> bool:
    """Return whether the disk, or the user's share of it, is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def disk_full(folder: Path) -> DiskSpaceError:
    """Return the error of a disk that filled up during the work."""
    return DiskSpaceError(
        f"the disk of {_shown(folder)} is full; {_REMEDY}; the same command then goes on where it "
        "stopped"
    )


def _shown(folder: Path) -> Path:
    """Return the folder that the user knows: the one above a model that is being made."""
    hidden = (one for one in (folder, *folder.parents) if one.suffix == PARTIAL)
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
