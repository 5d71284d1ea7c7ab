"""An index that follows folders while their files change."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from model_prep.errors import first_line
from rag_app.documents.sources import is_glob, root_of, search_sources
from rag_app.engine.app import RagApp
from rag_app.errors import BusyIndexError, DocumentError
from rag_app.index.indexing.prune import gone_sources
from rag_app.surroundings import is_there

if TYPE_CHECKING:
    from rag_app.index.indexing.report import IndexReport

_GATHER_MS = 1000  # how long changes are gathered, so that a file that is being saved is read once
_WAKE_MS = 1000
_log = logging.getLogger("rag_app.engine")


def watch(
    app: RagApp,
    paths: Sequence[str],
    *,
    encoding: str | None = None,
    exclude: Sequence[str] = (),
    stop: Event | None = None,
) -> Iterator["IndexReport"]:
    """Bring the index up to date with files, folders and globs, now and after every change.

    Documents whose files are deleted are dropped; a file that was renamed keeps its vectors. Where
    a folder is empty at the beginning its documents stay: its disk may not be mounted yet. One that
    is replaced, or goes and comes back, is followed anew.

    Args:
        app: Its index.
        paths: As `RagApp.index` takes them.
        encoding: The encoding of text files; detected by default.
        exclude: Globs of files and folders to leave out.
        stop: Ends the watching when it is set.

    Yields:
        What each run of indexing did, the first one of all that is there.

    Raises:
        DocumentError: a path doesn't exist, or can't be watched.
        EmbeddingMismatchError: the index was made with another embedding model.
    """
    if "-" in paths:
        raise DocumentError("standard input can't be watched; name files and folders")
    # A folder may be empty as yet, and a glob match nothing; another name is a mistake.
    search_sources(
        paths,
        exclude,
        may_be_gone=lambda name: (
            name != "" and root_of(name).is_dir() and (is_glob(name) or Path(name).is_dir())
        ),
    )
    following = _Following(app, paths, encoding, exclude)
    for changed in _changes(paths, following.roots, stop):
        report = following.update(changed)
        if report is not None:
            yield report


class _Following:
    """An index, and what has changed since it was last brought up to date."""

    def __init__(
        self, app: RagApp, paths: Sequence[str], encoding: str | None, exclude: Sequence[str]
    ) -> None:
        self._app = app
        self._paths = paths
        self.roots = [root_of(path) for path in paths]
        self._encoding = encoding
        self._exclude = exclude
        self._changed: set[Path] = set()
        self._begun = False

    def update(self, changed: set[Path] | None) -> "IndexReport | None":
        """Index what has changed; None where that is nothing, or has to wait for another writer."""
        self._begun &= changed is not None
        self._changed |= changed or set()
        try:
            report = self._index() if self._changed or not self._begun else None
        except BusyIndexError as error:
            _log.warning("%s", error)
            return None
        self._changed.clear()
        return report

    def _index(self) -> "IndexReport | None":
        found = search_sources(self._paths, self._exclude, may_be_gone=lambda _: True).files
        if not self._begun:
            present = found
            gone = [
                path
                for path, root in zip(self._paths, self.roots, strict=True)
                if self._gone([path]) and not _is_empty(root, path)
            ]
        else:
            present = [file for file in found if self._has_changed(file)]
            gone = self._gone([str(path) for path in self._changed if not is_there(path)])
        report = None
        if present or gone:
            try:
                report = self._app.index(
                    [*map(str, present), *gone],
                    encoding=self._encoding,
                    prune=True,
                    roots=self.roots,
                )
            except DocumentError as error:  # a file that went while this was found out
                _log.warning("%s", error)
        if not self._begun:
            # The first change is not to wait for the model.
            self._app.embeddings.embed_documents(["…"])
            self._begun = True
        return report

    def _has_changed(self, file: Path) -> bool:
        place = file.resolve()
        return not self._changed.isdisjoint((place, *place.parents))

    def _gone(self, paths: Sequence[str]) -> list[str]:
        store = self._app.store
        if not store.exists():
            return []
        return [path for path in paths if gone_sources([path], [], store)]


def _is_empty(root: Path, path: str) -> bool:
    """Return whether the folder of a path is, or is gone, as that of a disk that is not mounted."""
    if empty := not root.is_dir() or not any(root.iterdir()):
        _log.warning(
            "%s is empty or gone; its documents stay in the index, unless you run: "
            "rag-app index %s --prune",
            *(root, path),
        )
    return empty


def _changes(
    paths: Sequence[str], roots: Sequence[Path], stop: Event | None
) -> Iterator[set[Path] | None]:
    """Yield the paths that changed, an empty set every second in which none did.

    And None where any may have: at the beginning, and after a folder was replaced or came back.
    """
    recursive = not all(Path(path).is_file() for path in paths)
    while not (stop and stop.is_set()):
        places = now = _places(roots)
        first = True
        there = [root for root, place in places.items() if place]
        for changed in _events(there, stop, recursive=recursive):
            yield None if first else changed
            first = False
            if not changed and now != places:
                for root in [root for root in now if now[root] != places.get(root)]:
                    _log.warning("%s was replaced or is gone; it is followed anew", root)
                break
            now = _places(roots)  # what changed before this is yielded first


def _places(roots: Sequence[Path]) -> dict[Path, tuple[int, int] | None]:
    """Return the folders to be watched, each with what tells it from another of its name."""
    places: dict[Path, tuple[int, int] | None] = {}
    for root in {root.resolve() for root in roots}:
        try:
            status = root.stat()
        except OSError:
            places[root] = None
        else:
            places[root] = (status.st_dev, status.st_ino)
    return places


def _events(roots: Sequence[Path], stop: Event | None, *, recursive: bool) -> Iterator[set[Path]]:
    import watchfiles
    from watchfiles import Change
    from watchfiles._rust_notify import WatchfilesRustInternalError

    # Where folders without permission are passed over, so is the system's limit.
    for ignoring in (False, True):
        try:
            for changes in watchfiles.watch(
                *roots,
                watch_filter=None,
                debounce=_GATHER_MS,
                rust_timeout=_WAKE_MS,
                yield_on_timeout=True,
                stop_event=stop,
                recursive=recursive,
                ignore_permission_denied=ignoring,
            ):
                yield {Path(path) for _, path in changes}
                if any(kind == Change.deleted and Path(path) in roots for kind, path in changes):
                    return
            return
        except (OSError, WatchfilesRustInternalError) as error:
            if isinstance(error, PermissionError) and not ignoring:
                continue
            raise DocumentError(
                f"{', '.join(map(str, sorted(roots)))} can't be watched ({first_line(error)}); "
                "where a limit is reached, raise fs.inotify.max_user_watches or "
                "fs.inotify.max_user_instances by sysctl, or set WATCHFILES_FORCE_POLLING=1"
            ) from error
