"""Uploaded files: written beside, flushed, and renamed, before they are acknowledged."""

import os
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from rag_app.errors import DocumentError
from rag_app.index.lock import unwritable
from rag_app.server.errors import ApiError
from rag_app.server.names import file_name

MAX_FILES = 1000
"""In one request; Starlette reads no more."""
_BLOCK = 2**20


def save(uploads: Sequence[tuple[str, BinaryIO]], folder: Path, max_bytes: int) -> list[Path]:
    """Write uploads into a folder, all of them or none; return their paths.

    Args:
        uploads: Name and content of each; a file of the same name is replaced.
        folder: Made if it isn't there.
        max_bytes: Size above which a file is refused.

    Raises:
        ApiError: 400 for a name, 413 for a file that is too large.
        DocumentError: a file is empty.
        IndexStoreError: the folder can't be written.
    """
    targets = [folder / file_name(name) for name, _ in uploads]
    written: list[tuple[Path, Path]] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for target, (_, content) in zip(targets, uploads, strict=True):
            beside = folder / f".{uuid.uuid4().hex}.upload"
            written.append((beside, target))
            _write(content, beside, target.name, max_bytes)
        for beside, target in written:
            beside.replace(target)
        _flush(folder)
    except OSError as error:
        raise unwritable(folder, error) from error
    finally:
        for beside, _ in written:
            beside.unlink(missing_ok=True)
    return list(dict.fromkeys(targets))


def sweep(folder: Path) -> None:
    """Delete what interrupted uploads left."""
    for file in folder.glob(".*.upload"):
        file.unlink(missing_ok=True)


def _write(content: BinaryIO, beside: Path, name: str, max_bytes: int) -> None:
    size = 0
    with beside.open("xb") as file:
        while block := content.read(_BLOCK):
            size += len(block)
            if size > max_bytes:
                msg = f"{name} is larger than {max_bytes:,} bytes"
                raise ApiError(413, msg, code="file_too_large", param="files")
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    if not size:
        msg = f"{name} is empty; leave it out"
        raise DocumentError(msg)


def _flush(folder: Path) -> None:
    """Make renamings last through a power cut, where the system knows how."""
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
