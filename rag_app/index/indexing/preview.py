"""The preview of a run of indexing, for which no document is read."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from rag_app.documents.object_stores import SourcePath, search_everywhere
from rag_app.errors import DocumentError
from rag_app.index.indexing.reading import (
    failure_reason,
    file_hash,
    is_current,
    misnamed,
    name_of,
)
from rag_app.index.indexing.report import Failure, IndexOptions
from rag_app.index.store.interface import DocumentStore
from rag_app.index.store.records import DocumentRecord


@dataclass
class IndexPreview:
    """Sources by what would become of them.

    Example:
        >>> from pathlib import Path
        >>> from rag_app import RagApp
        >>> _ = Path("tea.txt").write_text("Green tea is steamed.", encoding="utf-8")
        >>> [Path(source).name for source in RagApp().preview(["tea.txt"]).new]
        ['tea.txt']
    """

    new: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    skipped: dict[str, dict[str, int]] = field(default_factory=dict)
    """Why files would be passed over → their kinds → how many."""


def preview_paths(
    paths: Sequence[str], *, store: DocumentStore, options: IndexOptions
) -> IndexPreview:
    """Return what `index_paths` would do, by the names and bytes of the files.

    Raises:
        DocumentError: there is nothing at one of the paths.
        IndexStoreError: the index can't be read.
    """
    found = search_everywhere(paths, options.exclude)
    preview = IndexPreview(skipped=found.skipped)
    preview.failed += [Failure(str(path), reason) for path, reason in found.unreadable.items()]
    for path in found.everything:
        source = name_of(path, options.stdin_name)
        if failure := misnamed(path, source):
            preview.failed.append(failure)
            continue
        try:
            where = _where(preview, path, _known(store, source), options)
        except (DocumentError, OSError) as error:
            preview.failed.append(Failure(source, failure_reason(error)))
        else:
            where.append(source)
    return preview


def _known(store: DocumentStore, source: str) -> DocumentRecord | None:
    if not store.exists():
        return None
    with store.read() as snapshot:
        return snapshot.document(source)


def _where(
    preview: IndexPreview, path: SourcePath, known: DocumentRecord | None, options: IndexOptions
) -> list[str]:
    digest = file_hash(path, options.max_bytes)
    if known is None:
        return preview.new
    return preview.unchanged if digest and is_current(known, digest, options) else preview.changed
