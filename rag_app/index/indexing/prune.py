"""Which sources there are under some paths, and which are there no more."""

import fnmatch
from collections.abc import Sequence
from pathlib import Path

from rag_app.documents.sources import find_sources
from rag_app.errors import DocumentError
from rag_app.index.store.store import IndexStore

_WILDCARDS = set("*?[")


def present_sources(paths: Sequence[str], store: IndexStore, *, prune: bool) -> list[Path]:
    """Return the sources found at `paths`.

    Raises:
        DocumentError: there is nothing at one of them; with `prune` only if the index has nothing
            from there either, since all of it may have been deleted.
    """
    if not prune or not store.exists():
        return find_sources(paths)
    found: dict[Path, None] = {}
    for path in paths:
        try:
            found.update(dict.fromkeys(find_sources([path])))
        except DocumentError:
            if not gone_sources([path], [], store):
                raise
    return list(found)


def gone_sources(paths: Sequence[str], present: Sequence[Path], store: IndexStore) -> list[str]:
    """Return the indexed files that belong to `paths`, not among those `present`, and are gone.

    A file that exists but wasn't found, having become hidden, say, stays in the index.
    """
    there = {str(path.resolve()) for path in present}
    with store.read() as snapshot:
        indexed = [document.source for document in snapshot.documents()]
    return [
        source
        for source in indexed
        if source not in there
        and any(_belongs(source, path) for path in paths)
        and not Path(source).exists()
    ]


def _belongs(source: str, path: str) -> bool:
    if path == "-" or not Path(source).is_absolute():
        return False
    expanded = Path(path).expanduser()
    whole = expanded.resolve()
    if _WILDCARDS.intersection(path) and not expanded.exists():
        return _matches(Path(source).parts, whole.parts)
    return Path(source) == whole or whole in Path(source).parents


def _matches(parts: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    """Whether a path is one that a glob means: ``*`` stays within a folder, ``**`` does not."""
    if not wanted or not parts:
        return not parts and all(one == "**" for one in wanted)
    if wanted[0] == "**":
        return _matches(parts, wanted[1:]) or _matches(parts[1:], wanted)
    return fnmatch.fnmatchcase(parts[0], wanted[0]) and _matches(parts[1:], wanted[1:])
