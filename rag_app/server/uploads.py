"""Uploaded files: kept aside, flushed and complete before they are acknowledged; then indexed.

A file takes the place of an earlier one of its name when the index holds it, never before. Several
servers may use one home: an upload's folder is named ``BEGUN-JOB-SERVER``, the server being the
process that works on it.
"""

import hashlib
import os
import re
import shutil
import time
import unicodedata
import uuid
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from functools import cache
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from urllib.parse import unquote

from fastapi import UploadFile

from model_prep.output import locked, sync, sync_folder
from rag_app.documents.formats import SUFFIXES
from rag_app.errors import DocumentError, IndexStoreError
from rag_app.index.store.lock import unwritable
from rag_app.server.errors import ApiError
from rag_app.settings import home

FILES = "files"
"""Folder of an index that holds the uploaded files that are indexed."""
INCOMING = "incoming"
"""Folder of an index with a folder for each upload that is not indexed yet."""
SET_ASIDE = "set-aside"
"""Folder of an index with a folder for each upload that is not indexed any more."""
_SERVERS = "servers"
"""Folder of the home with a file for each process that takes uploads, which it has locked."""
_locks = ExitStack()  # those of this process, until it ends
_ATTEMPTS = ".attempts"
"""File in an upload's folder: how often it was being indexed when the server ended."""
MAX_FILES = 1000
"""In one request; Starlette reads no more."""
_BLOCK = 2**20
_DRIVE = re.compile(r"[.\s]*[A-Za-z]:")
_NOT_FIRST = re.compile(r"(?:[.\s]|[A-Za-z]:)+")
"""What no part of a path begins with: points (hidden files), spaces, and drives."""
_NOT_ON_WINDOWS = str.maketrans('<>:"|?*', "＜＞：＂｜？＊")
"""What no name has there: `9:` would be a drive, and a file lie behind `会议 9:` unseen."""
LONGEST_NAME = 200
"""Bytes of a file name, so that temporary files next to it fit the 255 of file systems."""
_MARK = 8  # hexadecimal digits of its hash at the end of a name that is cut
_LONGEST_PATH = 1000  # bytes of a file name with its folders


def save(uploads: Sequence[tuple[str, BinaryIO]], index: Path, max_bytes: int) -> Path:
    """Write uploads into a new folder under `INCOMING`, all of them or none; return it.

    Args:
        uploads: Name, with or without folders, and content of each.
        index: Folder of the index.
        max_bytes: Size above which a file is refused.

    Raises:
        ApiError: 400 or 409 for a name, 413 for a file that is too large.
        DocumentError: a file is empty.
        IndexStoreError: the folder or the home can't be written.
    """
    names = [file_name(name) for name, _ in uploads]
    _check_distinct(names)
    incoming = index / INCOMING
    try:
        partial = incoming / f".{uuid.uuid4().hex}-{own_name()}.upload"
    except OSError as error:
        msg = f"the server's home can't be written ({error.strerror}); change its permissions"
        raise IndexStoreError(msg) from error
    try:
        _check_free(names, index / FILES)
        for name, (_, content) in zip(names, uploads, strict=True):
            file = partial / name
            file.parent.mkdir(parents=True, exist_ok=True)
            _write(content, file, name, max_bytes)
        sync_folder(partial)
        batch = incoming / f"{job_name()}-{own_name()}"
        partial.replace(batch)
        sync(incoming)
    except OSError as error:
        raise unwritable(index, error) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return batch


def contents(folder: Path) -> list[Path]:
    """Return the files in a folder and its folders that are not hidden, by name."""

    def hidden(file: Path) -> bool:
        return any(part.startswith(".") for part in file.relative_to(folder).parts)

    return sorted(file for file in _found(folder, "**/*") if file.is_file() and not hidden(file))


def _found(folder: Path, pattern: str) -> list[Path]:
    """Return what matches in a folder; nothing in that of an index that may not be looked into."""
    try:
        return [*folder.glob(pattern)]
    except PermissionError:
        return []


def waiting(index: Path) -> list[Path]:
    """Return the folders of the uploads into an index that are not indexed yet, oldest first."""
    return sorted(folder for folder in _found(index / INCOMING, "*") if folder.name[0] != ".")


def adopt(index: Path, *, own: bool) -> list[Path]:
    """Take over the uploads that no living process works on; return their folders, oldest first.

    Args:
        index: Folder of the index.
        own: Take this process's too, as when it begins.
    """
    adopted = []
    for folder in waiting(index):
        of = folder.name.rpartition("-")[2]
        if of == own_name() and own:
            adopted.append(folder)
        elif of != own_name() and not lives(of):
            named = folder.with_name(f"{job_name(folder)}-{own_name()}")
            with suppress(OSError):  # another server was faster
                adopted.append(folder.replace(named))
    return adopted


def job_name(folder: Path | None = None) -> str:
    """Return the ``BEGUN-JOB`` of an upload's folder, or a new one; it sorts by when it began."""
    uploaded = folder is not None and folder.parent.name == INCOMING
    begun, *rest = folder.name.split("-") if folder and uploaded else [f"{time.time_ns():020}"]
    return f"{begun}-{rest[0] if len(rest) > 1 else uuid.uuid4().hex}"


def own_name() -> str:
    """Return the name of this process among those that take uploads, locked while it lives."""
    return _registered(home() / _SERVERS)


@cache
def _registered(servers: Path) -> str:
    name = uuid.uuid4().hex
    servers.mkdir(parents=True, exist_ok=True)
    for old in servers.iterdir():
        if not lives(old.name):
            old.unlink(missing_ok=True)
    lock = None
    while lock is None or not lock.is_at(servers / name):  # another took it for a dead one's
        (servers / name).touch()
        lock = _locks.enter_context(locked(servers / name))
    return name


def lives(name: str) -> bool:
    """Return whether a process that takes uploads is there."""
    try:
        with locked(home() / _SERVERS / name) as free:
            return not free
    except OSError:
        return False


def end(batch: Path, index: Path, indexed: Iterable[Path]) -> None:
    """Delete what is left of an upload: files that can't be read.

    Earlier files of the names that were indexed go too: where their job failed they wait for the
    next start, and would then take the place of the newer ones.
    """
    earlier = [folder for folder in waiting(index) if folder.name < batch.name]
    for name in indexed:
        for folder in earlier:
            (folder / name).unlink(missing_ok=True)
    shutil.rmtree(batch, ignore_errors=True)


def attempts(folder: Path) -> int:
    """Return how often the server ended while the files in a folder were being indexed."""
    try:
        return int((folder / _ATTEMPTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0


def attempt(folder: Path) -> None:
    """Count an attempt before it begins; `settle` takes it back when it ends, however it does."""
    with suppress(OSError):  # the folder may be gone, or the disk full: indexing will say so
        (folder / _ATTEMPTS).write_text(str(attempts(folder) + 1), encoding="utf-8")


def settle(folder: Path) -> None:
    """Forget the attempts at a folder."""
    (folder / _ATTEMPTS).unlink(missing_ok=True)


def set_aside(folder: Path) -> Path:
    """Move an upload to where it is not indexed any more; return its new folder.

    The files that are indexed already stay where they are, and the next start looks at them again.
    """
    if folder.parent.name != INCOMING:
        settle(folder)
        return folder
    kept = folder.parent.with_name(SET_ASIDE) / folder.name
    try:
        kept.parent.mkdir(exist_ok=True)
        folder.replace(kept)
    except OSError:  # it stays, and so does the number of its attempts
        return folder
    return kept


def drop(folder: Path) -> None:
    """Delete an upload; the files that are indexed already stay."""
    if folder.parent.name == INCOMING:
        shutil.rmtree(folder, ignore_errors=True)


def delete(file: Path, index: Path) -> None:
    """Delete a file that was uploaded into an index, and folders that are empty without it.

    The newest version goes last: where this is interrupted, it is the one that stays.
    """
    files = (index / FILES).resolve()
    for version in [file, *(batch / file.relative_to(files) for batch in waiting(index))]:
        version.unlink(missing_ok=True)
    for folder in file.parents:
        if folder == files or any(folder.iterdir()):
            return
        folder.rmdir()


def sweep(index: Path) -> None:
    """Delete what interrupted uploads left, and nothing that another server is writing."""
    for file in _found(index / FILES, ".*.upload"):  # of earlier versions
        file.unlink(missing_ok=True)
    for folder in _found(index / INCOMING, "*"):
        of = folder.name.removesuffix(".upload").rpartition("-")[2]
        if (folder.name.startswith(".") or not contents(folder)) and not lives(of):
            shutil.rmtree(folder, ignore_errors=True)


def sent_name(file: UploadFile) -> str:
    """Return the name that a client sends with a file.

    Browsers write %22 for a quotation mark, .NET's clients encode a name as mails do, aiohttp as
    addresses are; what Windows sends in Chinese may be GB 18030.
    """
    name = (file.filename or "").replace("%22", '"')
    if name.startswith("=?"):
        with suppress(LookupError, UnicodeError, HeaderParseError):
            return str(make_header(decode_header(name)))
    try:
        file.headers.get("content-disposition", "").encode("latin-1").decode()
    except UnicodeDecodeError:  # where Starlette took each byte for a character
        with suppress(UnicodeError):
            return name.encode("latin-1").decode("gb18030")
    with suppress(UnicodeError):
        plain = unquote(name, errors="strict")
        # A name of plain letters needs no encoding: its percent signs are meant.
        return name if not name.isascii() or plain.isascii() else plain
    return name


def file_name(name: str, *, windows: bool = os.name == "nt") -> str:
    """Return an uploaded file's name with its folders, as a path that stays where it is put.

    Of a path that leads elsewhere (absolute, with a drive or ``..``) the last part is left. For
    ``windows`` characters that no name has there are written wide.

    Raises:
        ApiError: 400, nothing is left of it, it is too long, or its format is not read.
    """
    parts = [_printable(part).strip() for part in re.split(r"[/\\]", name)]
    absolute = len(parts) > 1 and not parts[0]
    leads_out = absolute or any(part == ".." or _DRIVE.match(part) for part in parts)
    kept = [part[_begin(part) :] for part in parts]
    *folders, last = [part.translate(_NOT_ON_WINDOWS) for part in kept] if windows else kept
    path = PurePosixPath(last or "_")
    if path.suffix.lower() not in SUFFIXES:
        msg = f"{last or name!r} has no supported format: {' '.join(sorted(SUFFIXES))}"
        raise ApiError(400, msg, code="unsupported_format", param="files")
    stem = _cut(path.stem, LONGEST_NAME - len(path.suffix.encode()))
    above = [] if leads_out else [_cut(folder, LONGEST_NAME) for folder in folders if folder]
    path_name = "/".join([*above, stem + path.suffix])
    if len(path_name.encode()) > _LONGEST_PATH:
        msg = f"{stem}{path.suffix} is in folders whose names are too long together"
        raise ApiError(400, msg, param="files")
    return path_name


def _begin(part: str) -> int:
    """Return where the part of a path that can stay begins."""
    found = _NOT_FIRST.match(part)
    return found.end() if found else 0


def _printable(part: str) -> str:
    return unicodedata.normalize("NFC", "".join(char for char in part if char.isprintable()))


def _cut(name: str, size: int) -> str:
    """Return a name in so many bytes; those that differ where they are cut stay different."""
    whole = name.encode()
    if len(whole) <= size:
        return name
    mark = f"~{hashlib.sha256(whole).hexdigest()[:_MARK]}"
    return whole[: size - len(mark)].decode("utf-8", "ignore").rstrip() + mark


def _check_distinct(names: Sequence[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            msg = f"two files are named {name}; give each another name or folder"
            raise ApiError(400, msg, code="duplicate_name", param="files")
        seen.add(name)
    for name in names:
        taken = next(
            (str(folder) for folder in PurePosixPath(name).parents if str(folder) in seen), None
        )
        if taken:
            msg = f"{taken} is a file and the folder of {name}; rename one of them"
            raise ApiError(400, msg, code="duplicate_name", param="files")


def _check_free(names: Sequence[str], files: Path) -> None:
    for name in names:
        taken = next(
            (folder for folder in PurePosixPath(name).parents if (files / folder).is_file()), None
        )
        if taken or (files / name).is_dir():
            what = f"{taken} is a file" if taken else f"{name} is a folder"
            msg = f"{what} in this index already; give {name} another name"
            raise ApiError(409, msg, code="name_taken", param="files")


def _write(content: BinaryIO, path: Path, name: str, max_bytes: int) -> None:
    size = 0
    with path.open("xb") as file:
        while block := content.read(_BLOCK):
            size += len(block)
            if size > max_bytes:
                msg = f"{name} is larger than {max_bytes:,} bytes"
                raise ApiError(413, msg, code="file_too_large", param="files")
            file.write(block)
    if not size:
        raise DocumentError(f"{name} is empty; leave it out")
