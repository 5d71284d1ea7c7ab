"""Documents that are embedded together."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from rag_app.index.store.records import ChunkRecord, DocumentRecord
from rag_app.index.store.store import IndexStore

WINDOW = 256
"""Chunks read ahead: enough to sort by length."""
_GROUP = 64
"""Chunks embedded, and their documents written, together: little to lose when interrupted."""


@dataclass(frozen=True)
class Embeddable:
    """A document and its chunks, which need vectors."""

    document: DocumentRecord
    chunks: list[ChunkRecord]


Item = TypeVar("Item", bound=Embeddable)


def waiting(store: IndexStore) -> list[Embeddable]:
    """Return documents without vectors, together about as many chunks as are read ahead."""
    found: list[Embeddable] = []
    with store.read() as snapshot:
        for source in snapshot.waiting(WINDOW):
            if sum(len(item.chunks) for item in found) >= WINDOW:
                break
            if document := snapshot.document(source):
                found.append(Embeddable(document, list(snapshot.chunks_of(source))))
    return found


def groups(pending: Sequence[Item]) -> Iterator[list[Item]]:
    """Yield documents with at least `_GROUP` chunks together, those with the longest first.

    Chunks of about one length are embedded fastest; see `embed_by_length`.
    """
    group: list[Item] = []
    longest = {id(item): max(len(chunk.text) for chunk in item.chunks) for item in pending}
    for item in sorted(pending, key=lambda item: -longest[id(item)]):
        group.append(item)
        if sum(len(item.chunks) for item in group) >= _GROUP:
            yield group
            group = []
    if group:
        yield group
