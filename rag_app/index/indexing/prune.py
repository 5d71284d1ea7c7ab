"""The sources at some paths: those that are there, and indexed ones that are gone."""

from collections.abc import Sequence
from pathlib import Path

from rag_app.documents.object_stores import (
    EverySource,
    RemoteFile,
    Source,
    canonical,
    is_url,
    search_everywhere,
    url_names,
    url_root,
)
from rag_app.documents.sources import names, place_of
from rag_app.index.store.interface import DocumentStore


def present_sources(
    paths: Sequence[str], store: DocumentStore, *, prune: bool, exclude: Sequence[str] = ()
) -> EverySource:
    """Return the sources found at `paths`.

    Raises:
        DocumentError: there is nothing at one of them; with `prune` only if the index has nothing
            from there either, since all of it may have been deleted.
    """
    if not prune or not store.exists():
        return search_everywhere(paths, exclude)
    return search_everywhere(
        paths, exclude, may_be_gone=lambda path: bool(gone_sources([path], [], store))
    )


def gone_sources(
    paths: Sequence[str], present: Sequence[Source], store: DocumentStore
) -> list[str]:
    """Return the indexed files that belong to `paths`, not among those `present`, and are gone.

    A file that exists but wasn't found, having become hidden, say, stays in the index. Of URLs,
    what isn't listed is gone.
    """
    urls = [canonical(path) for path in paths if is_url(path)]
    paths = [path for path in paths if not is_url(path)]
    there = {path.resolve() for path in present if isinstance(path, Path)}
    listed = {path.url for path in present if isinstance(path, RemoteFile)}
    with store.read() as snapshot:
        places = [str(place_of(path).resolve()) for path in paths]
        indexed = {source for place in places for source in snapshot.sources_at(place)}
        remote = {(url, source) for url in urls for source in snapshot.sources_at(url_root(url))}
    gone = {source for url, source in remote if source not in listed and url_names(url, source)}
    return sorted(gone) + [
        str(source)
        for source in map(Path, sorted(indexed))
        if source not in there
        and source.is_absolute()
        and any(names(path, source) for path in paths)
        and not source.exists()
    ]
