"""Indexes back from a backup: complete and checked before they are put in place."""

import re
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from model_prep.catalog.pull import models_folder
from model_prep.output import sync, sync_folder
from model_prep.progress import Progress
from rag_app.errors import BackupError, IndexStoreError
from rag_app.index.store.backup import (
    INDEXES,
    MODELS,
    SavedIndex,
    damaged_archive,
    entries,
    opened,
    scratch_folder,
    unwritable_archive,
)
from rag_app.index.store.folders import follow_files, named_folder
from rag_app.index.store.store import DATABASE_NAME, IndexStore
from rag_app.settings import indexes_folder

_STAGING = ".restoring"  # folder in which a backup is unpacked, on the disk of the home
_UNSAFE = re.compile(r"[\\\0]")


@dataclass(frozen=True)
class Restored:
    """What a restore brought back.

    Attributes:
        created: When the backup was made; ISO 8601, UTC.
        indexes: Those that were restored, or would be.
        replaced: Names of those that were there before.
        models: Names of the models that were restored.
        kept: Names of the models that were there already, and are left as they are.
    """

    created: str
    indexes: list[SavedIndex]
    replaced: list[str]
    models: list[str]
    kept: list[str]


def restore(
    file: Path,
    names: Sequence[str] = (),
    *,
    overwrite: bool = False,
    check: bool = False,
    progress: Progress | None = None,
) -> Restored:
    """Bring indexes of a backup back into the home folder; none is touched if anything is wrong.

    Args:
        file: Made by `back_up`.
        names: The names of the indexes; by default all, and the models that are in it.
        overwrite: Replace indexes that are there.
        check: Only read the backup through.
        progress: Called as the work goes on.

    Raises:
        BackupError: the backup is damaged, lacks an index, or holds names that lead elsewhere; or
            an index is there already.
        IndexStoreError: an index that is to be replaced is being written.
    """
    with opened(file) as (_, manifest):
        plan = _Plan(file, manifest, names)
    there = [index.name for index in plan.indexes if named_folder(index.name).exists()]
    if there and not (overwrite or check):
        raise BackupError(
            f"there is an index {there[0]} already; rename or delete it, choose others with "
            "--index, or give --overwrite"
        )
    counted = _Counted(plan.bytes, progress)
    if check:
        for name, blocks in entries(file):
            for _ in counted(name, blocks):
                pass
        return Restored(plan.created, plan.indexes, there, plan.models, [])
    try:
        busy = "another run is restoring into this home; wait for it"
        with scratch_folder(indexes_folder() / _STAGING, busy) as staging:
            for name, blocks in entries(file):
                if name in plan.wanted:
                    _unpack(staging / name, counted(name, blocks))
            kept = _take_places(staging, plan)
    except OSError as error:
        raise unwritable_archive(indexes_folder(), error) from error
    new = [name for name in plan.models if name not in kept]
    return Restored(plan.created, plan.indexes, there, new, kept)


class _Counted:
    """Tells how many bytes of a backup were read."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._done, self._total, self._progress = 0, total, progress

    def __call__(self, name: str, blocks: Iterator[bytes]) -> Iterator[bytes]:
        """Yield the blocks of an entry, counted."""
        for block in blocks:
            self._done += len(block)
            if self._progress:
                self._progress(PurePosixPath(name).name, self._done, self._total)
            yield block


class _Plan:
    """What of a backup is wanted; its names are checked."""

    def __init__(self, file: Path, manifest: dict[str, Any], names: Sequence[str]) -> None:
        try:
            self.created = str(manifest["created"])
            sizes = {name: int(entry["bytes"]) for name, entry in manifest["entries"].items()}
            saved = [SavedIndex(**index) for index in manifest["indexes"]]
            models = [str(name) for name in manifest["models"]]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise damaged_archive(file, "its manifest is not one of rag-app's") from error
        for name in sizes:
            parts = name.split("/")
            leads_out = any(part in ("", ".", "..") for part in parts) or _UNSAFE.search(name)
            if leads_out or parts[0] not in (INDEXES, MODELS) or len(parts) < 2:
                raise damaged_archive(file, f"the name {name!r} leads elsewhere")
        self.indexes = [index for index in saved if not names or index.name in names]
        for index in self.indexes:
            _check_index(file, index.name, sizes)
        if lacking := set(names) - {index.name for index in saved}:
            held = ", ".join(index.name for index in saved) or "none"
            raise BackupError(f"{file} holds no index {min(lacking)}; it holds: {held}")
        self.models = models if not names else []
        roots = {(INDEXES, index.name) for index in self.indexes}
        roots |= {(MODELS, name) for name in self.models}
        self.wanted = {name for name in sizes if tuple(name.split("/")[:2]) in roots}
        self.bytes = sum(sizes.values())


def _check_index(file: Path, name: str, sizes: dict[str, int]) -> None:
    try:
        named_folder(name)
    except IndexStoreError as error:
        raise damaged_archive(file, str(error)) from error
    if f"{INDEXES}/{name}/{DATABASE_NAME}" not in sizes:
        raise damaged_archive(file, f"it lacks the database of {name}")


def _unpack(target: Path, blocks: Iterator[bytes]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as file:
        for block in blocks:
            file.write(block)


def _take_places(staging: Path, plan: _Plan) -> list[str]:
    """Move what was unpacked to where it belongs; return the models that are there already."""
    for index in plan.indexes:
        _adopt(staging / INDEXES / index.name, index)
    for index in plan.indexes:
        _place(staging / INDEXES / index.name, named_folder(index.name))
    kept = [name for name in plan.models if (models_folder() / name).exists()]
    for name in plan.models:
        if name not in kept:
            _move(staging / MODELS / name, models_folder() / name)
    return kept


def _adopt(folder: Path, index: SavedIndex) -> None:
    """Give documents that were uploaded into an index the paths that their files will have.

    Raises:
        IndexStoreError: it is damaged, or of another version.
    """
    with closing(IndexStore(folder)) as store:
        follow_files(store, Path(index.folder), named_folder(index.name).resolve())
    sync_folder(folder)


def _place(folder: Path, target: Path) -> None:
    """Move an index to its place; one that is there goes when the lock of its writer is free."""
    if not target.exists():
        _move(folder, target)
        return
    trash = target.with_name(f".deleted-{uuid.uuid4().hex}")
    with closing(IndexStore(target)) as old:
        if not old.exists():  # an empty folder, as a full disk leaves one
            target.replace(trash)
            _move(folder, target)
        else:
            with old.locked():
                target.replace(trash)
                _move(folder, target)
    with suppress(OSError):
        shutil.rmtree(trash)


def _move(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        source.replace(target)
    except OSError:  # models may be on another disk
        partial = target.with_name(f".{target.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.move(source, partial)
        partial.replace(target)
    sync(target.parent)
