"""A document's text, put together again from its passages."""

from collections.abc import Iterable

from rag_app.index.store.records import ChunkRecord


def joined(chunks: Iterable[ChunkRecord]) -> str:
    """Return the text that ``chunks``, in order, were cut from, at the same offsets.

    Passages overlap; between two there is only white space, of which a line break and spaces are
    made here.
    """
    parts: list[str] = []
    end = 0
    for chunk in chunks:
        if chunk.start > end:
            parts.append("\n" + " " * (chunk.start - end - 1))
            end = chunk.start
        parts.append(chunk.text[end - chunk.start :])
        end = max(end, chunk.end)
    return "".join(parts)
