"""Backups of the home: one archive of its indexes, made while others read and write them.

The archive is a zip file. ``manifest.json``, its last entry, names every other entry with its size
and SHA-256; an entry that it does not name is never unpacked.
"""

import errno
import hashlib
import json
import os
import shutil
import sqlite3
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from model_prep.catalog.pull import models_folder
from model_prep.output import PARTIAL, is_full, locked, sync
from model_prep.progress import Progress
from rag_app.errors import BackupError, IndexStoreError
from rag_app.index.store.conversations import CONVERSATIONS_NAME, Conversations
from rag_app.index.store.database import missing_index, translated
from rag_app.index.store.folders import index_names, named_folder
from rag_app.index.store.store import DATABASE_NAME, IndexStore
from rag_app.settings import indexes_folder

_FORMAT = 1
MANIFEST = "manifest.json"
INDEXES, MODELS = "indexes", "models"
"""First parts of the entries' names."""
BLOCK = 2**20
_PAGES = 1024  # pages that SQLite copies in one step; between two steps progress is reported


@dataclass(frozen=True)
class SavedIndex:
    """An index in a backup."""

    name: str
    documents: int
    passages: int
    folder: str
    """Where it lay: documents that were uploaded into it know their files by this path."""


@dataclass(frozen=True)
class Backup:
    """What a backup holds.

    Attributes:
        file: Where it is.
        bytes: Its size.
        created: ISO 8601, UTC.
        indexes: Those that are in it.
        models: Names of files and folders of the models' folder that are in it.
        failed: Why other indexes are not, by their names.
    """

    file: str
    bytes: int
    created: str
    indexes: list[SavedIndex]
    models: list[str]
    failed: dict[str, str] = field(default_factory=dict)


def back_up(
    file: Path,
    names: Sequence[str] = (),
    *,
    models: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Backup:
    """Write a backup of indexes of the home folder; it appears when it is complete and checked.

    An index is as it was at one moment, whoever writes it meanwhile; the files that were uploaded
    into it and the conversations about it are as old as that or newer. FAISS files are left out:
    they are derived.

    Args:
        file: The archive. Beside it ``FILE.partial`` is made and renamed.
        names: The names of the indexes; by default all.
        models: Put the models in as well.
        overwrite: Replace a file of that name.
        progress: Called as the work goes on.

    Raises:
        BackupError: there is such a file already, it can't be written, or no index could be read.
        IndexStoreError: there is no index of a name.
    """
    if file.is_dir() or (file.exists() and not overwrite):
        raise BackupError(f"{file} is there already; choose another name, or give --overwrite")
    chosen = list(dict.fromkeys(names)) or index_names()
    if not (chosen or models):
        raise BackupError(f"there is no index in {indexes_folder()}, so nothing to back up")
    for name in chosen:
        if not (store := IndexStore(named_folder(name))).exists():
            raise missing_index(store.path)
    writer = _Writer(progress or (lambda *_: None), _total(chosen, models=models))
    try:
        busy = f"another run is writing {file}; wait for it, or choose another name"
        with scratch_folder(file.with_name(file.name + PARTIAL), busy) as folder:
            archive = folder / "archive.zip"
            backup = writer.write(archive, chosen, models=models)
            for _ in entries(archive):  # read again: a backup must be restorable
                pass
            size = archive.stat().st_size
            archive.replace(file)
            sync(file.absolute().parent)
    except OSError as error:
        raise unwritable_archive(file, error) from error
    return replace(backup, file=str(file), bytes=size)


class _Writer:
    """Writes one archive."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0
        self._entries: dict[str, dict[str, Any]] = {}

    def write(self, archive: Path, names: Sequence[str], *, models: bool) -> Backup:
        saved, failed, kept = [], {}, set()
        with zipfile.ZipFile(archive, "x", zipfile.ZIP_DEFLATED, compresslevel=1) as zipped:
            for name in names:
                try:
                    saved.append(self._index(zipped, name, archive.with_name("copy.sqlite3")))
                except IndexStoreError as error:
                    # The index is only read, so the disk that is full is the backup's.
                    if getattr(error.__cause__, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL:
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
                    failed[name] = str(error)
            if names and not saved:
                raise BackupError(next(iter(failed.values())))
            for path in _model_files() if models else ():
                inner = path.relative_to(models_folder())
                self._add(zipped, path, f"{MODELS}/{inner.as_posix()}", zipfile.ZIP_STORED)
                kept.add(inner.parts[0])
            created = datetime.now(UTC).isoformat(timespec="seconds")
            backup = Backup("", 0, created, saved, sorted(kept), failed)
            manifest = {"format": _FORMAT, **asdict(backup), "entries": self._entries}
            zipped.writestr(_entry(MANIFEST), json.dumps(manifest, ensure_ascii=False, indent=1))
        sync(archive)
        return backup

    def _index(self, zipped: zipfile.ZipFile, name: str, copy: Path) -> SavedIndex:
        folder, start = named_folder(name), self._done
        copy.unlink(missing_ok=True)
        with closing(IndexStore(folder)) as store, store.read() as snapshot:
            saved = SavedIndex(
                name, snapshot.count_documents(), snapshot.count_chunks(), str(folder.resolve())
            )

            def told(_: int, left: int, pages: int) -> None:
                part = (pages - left) / max(pages, 1)
                self._progress(name, start + int(part * _size(store.path) / 2), self._total)

            with translated(store.path), closing(sqlite3.connect(copy)) as target:
                snapshot.copy_to(target, pages=_PAGES, progress=told)
            self._done = start + _size(store.path) // 2
            self._add(zipped, copy, f"{INDEXES}/{name}/{DATABASE_NAME}", share=0.5)
            copy.unlink()
            if Conversations(folder).copy_to(copy):
                self._add(zipped, copy, f"{INDEXES}/{name}/{CONVERSATIONS_NAME}", share=0)
            # After the snapshot, first what waits: a file that is indexed meanwhile moves on.
            for path in _uploaded(folder):
                inner = path.relative_to(folder).as_posix()
                self._add(zipped, path, f"{INDEXES}/{name}/{inner}", missing=True)
        copy.unlink(missing_ok=True)
        return saved

    def _add(
        self,
        zipped: zipfile.ZipFile,
        path: Path,
        entry: str,
        compression: int = zipfile.ZIP_DEFLATED,
        *,
        share: float = 1.0,
        missing: bool = False,
    ) -> None:
        """Add a file; where ``missing`` is true it may be gone."""
        try:
            source = path.open("rb")
        except FileNotFoundError:
            if missing:
                return
            raise
        info = _entry(entry, compression)
        digest, size, start = hashlib.sha256(), 0, self._done
        with source, zipped.open(info, "w", force_zip64=True) as target:
            while block := source.read(BLOCK):
                digest.update(block)
                size += len(block)
                target.write(block)
                self._progress(path.name, start + int(size * share), self._total)
        self._done = start + int(size * share)
        self._entries[entry] = {"bytes": size, "sha256": digest.hexdigest()}


def _entry(name: str, compression: int = zipfile.ZIP_DEFLATED) -> zipfile.ZipInfo:
    """Return a new entry, of now; of a clock that is set to a year that zip files lack, of 1980."""
    now = datetime.now(UTC).timetuple()[:6]
    entry = zipfile.ZipInfo(name, now if 1980 <= now[0] < 2108 else (1980, 1, 1, 0, 0, 0))
    entry.compress_type, entry.external_attr = compression, 0o600 << 16
    return entry


def entries(archive: Path) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Yield the entries of a backup, each with its bytes; a damaged one ends in an error.

    The bytes of an entry that the caller does not read are read, and checked, all the same.

    Raises:
        BackupError: the archive is damaged, or not a backup.
    """
    with opened(archive) as (zipped, manifest):
        for name, expected in manifest["entries"].items():
            blocks = _checked(archive, zipped, name, expected)
            yield name, blocks
            for _ in blocks:
                pass


def _checked(
    archive: Path, zipped: zipfile.ZipFile, name: str, expected: dict[str, Any]
) -> Iterator[bytes]:
    digest, size = hashlib.sha256(), 0
    with zipped.open(name) as source:
        while block := source.read(BLOCK):
            digest.update(block)
            size += len(block)
            if size > expected["bytes"]:
                break
            yield block
    if (size, digest.hexdigest()) != (expected["bytes"], expected["sha256"]):
        raise damaged_archive(archive, f"{name} is not what its hash says")


@contextmanager
def opened(archive: Path) -> Iterator[tuple[zipfile.ZipFile, dict[str, Any]]]:
    """Yield a backup's zip file and its manifest.

    Raises:
        BackupError: the archive is missing, damaged, or not a backup.
    """
    try:
        with archive.open("rb") as file, _zip(archive, file) as zipped:
            yield zipped, _manifest(archive, zipped)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, KeyError) as error:
        raise damaged_archive(archive, str(error) or "it is cut off") from error
    except OSError as error:
        if error.filename is not None and Path(error.filename) != archive:
            raise
        msg = f"{archive} can't be read ({error.strerror or error}); check its name"
        raise BackupError(msg) from error


def _zip(archive: Path, file: BinaryIO) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except zipfile.BadZipFile as error:
        raise damaged_archive(archive, "it is not a complete zip file") from error


def _manifest(archive: Path, zipped: zipfile.ZipFile) -> dict[str, Any]:
    try:
        manifest = json.loads(zipped.read(MANIFEST))
        found, stored = manifest["format"], set(manifest["entries"])
        if found != _FORMAT:
            msg = f"{archive} is a backup of format {found}; this rag-app reads {_FORMAT}"
            raise BackupError(msg)
    except (ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise damaged_archive(archive, "it has no manifest of rag-app's") from error
    if missing := stored - set(zipped.namelist()):
        raise damaged_archive(archive, f"it lacks {min(missing)}")
    return dict(manifest)


def damaged_archive(archive: Path, reason: str) -> BackupError:
    """Return the error for an archive that can't be trusted."""
    return BackupError(f"{archive} is damaged or not a backup: {reason}; take another copy of it")


def unwritable_archive(path: Path, error: OSError) -> BackupError:
    """Return the error for a place in which nothing can be written."""
    if is_full(error):
        return BackupError(f"the disk of {path} is full; free some space or choose another disk")
    reason = error.strerror or str(error)
    return BackupError(f"{path} can't be written ({reason}); correct that, or choose another place")


@contextmanager
def scratch_folder(folder: Path, busy: str) -> Iterator[Path]:
    """Give an empty folder to one run at a time, and delete it; what a killed run left goes too.

    Raises:
        BackupError: another run has it; ``busy`` is the message.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder) as alone:
        if not alone:
            raise BackupError(busy)
        for path in folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _uploaded(folder: Path) -> list[Path]:
    """Return the files that were uploaded into an index: those that wait, then those indexed."""
    found = []
    for path in folder.rglob("*"):
        inner = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in inner.parts)
        if len(inner.parts) > 1 and not hidden and path.is_file() and not path.is_symlink():
            found.append(path)
    return sorted(found, key=lambda path: path.relative_to(folder).parts[0] != "incoming")


def _model_files() -> list[Path]:
    found = models_folder().rglob("*")
    return sorted(
        path
        for path in found
        if path.is_file() and not path.name.endswith((".lock", PARTIAL)) and path.name[0] != "."
    )


def _total(names: Sequence[str], *, models: bool) -> int:
    """Return about how many bytes there are to copy."""
    folders = [named_folder(name) for name in names]
    files = [path for folder in folders for path in _uploaded(folder)]
    files += [folder / DATABASE_NAME for folder in folders]
    return sum(map(_size, files + (_model_files() if models else [])))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
