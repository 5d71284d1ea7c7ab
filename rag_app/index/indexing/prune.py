"""The sources at some paths: those that are there, indexed ones that are gone or to be removed."""

from collections.abc import Collection, Sequence
from pathlib import Path, PurePath

from rag_app.documents.object_stores import (
    EverySource,
    RemoteFile,
    SourcePath,
    canonical,
    is_url,
    search_everywhere,
    url_names,
    url_root,
)
from rag_app.documents.sources import documents_within, names, place_of
from rag_app.documents.text import shown
from rag_app.errors import DocumentError
from rag_app.index.store.interface import DocumentSnapshot, DocumentStore
from rag_app.index.store.summaries import KeptSummaries
from rag_app.models.llms.prompt_cache import forget
from rag_app.surroundings import is_there

_REMOVED_TOGETHER = 500  # documents in one transaction, whose size a store may limit


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
    paths: Sequence[str], present: Sequence[SourcePath], store: DocumentStore
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
        and not is_there(source)
    ]


def remove_documents(sources: Sequence[str], store: DocumentStore) -> list[str]:
    """Take documents out of an index, and what is kept of them; return their sources.

    Raises:
        DocumentError: one of them isn't indexed; then none is removed.
    """
    chosen: dict[str, None] = {}
    with store.read() as snapshot:
        for name in sources:
            found = _sources_named(name, snapshot)
            if not found:
                raise not_indexed(name, documents_within(snapshot.sources(), name))
            chosen.update(dict.fromkeys(found))
        passages = [chunk.text for source in chosen for chunk in snapshot.chunks_of(source)]
    removed = list(chosen)
    KeptSummaries(store.folder).forget(removed)
    with store.locked():
        for start in range(0, len(removed), _REMOVED_TOGETHER):
            with store.write() as transaction:
                for source in removed[start : start + _REMOVED_TOGETHER]:
                    transaction.delete_document(source)
    forget(passages)
    return removed


def _sources_named(name: str, snapshot: DocumentSnapshot) -> list[str]:
    """Return the indexed documents that a source, a file, a folder, a glob or a URL names."""
    if snapshot.document(name):
        return [name]
    if not name.strip():  # would be the working folder
        return []
    if is_url(name):
        url = canonical(name)
        return [source for source in snapshot.sources_at(url_root(url)) if url_names(url, source)]
    there = snapshot.sources_at(str(place_of(name).resolve()))
    return [source for source in there if names(name, PurePath(source))]


def not_indexed(source: str, meant: Collection[str] = ()) -> DocumentError:
    """Return the error of a source that is not indexed; ``meant`` are those of its name."""
    advice = f"did you mean {shown(min(meant))}?" if meant else "`rag-app docs` lists what is"
    return DocumentError(f"{shown(source) or repr(source)} is not in the index; {advice}")
