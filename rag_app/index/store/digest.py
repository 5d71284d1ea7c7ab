"""One hash for all that an index holds."""

import hashlib
import json

from rag_app.index.store.store import IndexStore


def content_digest(store: IndexStore) -> str:
    """Return the SHA-256 of the index's content, hexadecimal.

    Two indexes have the same digest if they were made with the same model and hold the same
    documents, passages and vectors, in whatever order and however often interrupted. Row ids,
    times and generations don't count. Vectors count to the last bit, and real models may differ
    in it between batches.
    """
    digest = hashlib.sha256()
    with store.read() as snapshot:
        meta = snapshot.meta()
        _add(digest, meta.embedding, meta.fingerprint, meta.dimension)
        for document in snapshot.documents():
            _add(digest, document.source, document.content_hash, document.settings)
            _add(digest, document.loader, document.encoding, document.size, document.characters)
            for chunk in snapshot.chunks_of(document.source):
                place = (chunk.ordinal, chunk.key, chunk.start, chunk.end, chunk.page)
                _add(digest, *place, chunk.heading, dict(chunk.extra), chunk.text)
                _add(digest, snapshot.vector_bytes(chunk.id).hex())
    return digest.hexdigest()


def _add(digest: "hashlib._Hash", *values: object) -> None:
    digest.update(json.dumps(values, ensure_ascii=False, sort_keys=True).encode() + b"\n")
