"""A folder that is made elsewhere and gets its name when it is whole."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from model_prep.disk import PARTIAL, is_full, require_space, sync, sync_folder
from model_prep.errors import DiskSpaceError, OutputError

_REMEDY = "free some space, or choose a folder on another disk"


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
    above = next(one for one in folder.absolute().parents if one.is_dir())
    require_space(above, needed, remedy=_REMEDY)


@contextmanager
def output_folder(folder: Path, needed: int) -> Iterator[Path]:
    """Give an empty folder ``NAME.partial`` beside ``folder``, and rename it at the end.

    Its files are forced onto the disk first, so that a folder with the final name is whole. If
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
        raise _cannot_write(folder, error) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _cannot_write(folder: Path, error: OSError) -> OutputError | DiskSpaceError:
    if is_full(error):
        return DiskSpaceError(f"the disk of {folder} is full; {_REMEDY}; nothing was kept")
    reason = error.strerror or str(error) or type(error).__name__
    return OutputError(f"{folder} can't be made ({reason}); mend that, or name another folder")
