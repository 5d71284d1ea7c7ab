"""What a store really holds, and passages to fill one."""

import hashlib
import json
import sqlite3
from contextlib import closing

import numpy as np

from rag_app.documents.text import document_terms
from rag_app.index.store.interface import DocumentStore
from rag_app.index.store.records import ChunkRecord, DocumentRecord
from rag_app.index.store.store import IndexStore


def assert_terms_exact(store: DocumentStore) -> None:
    """Compare every stored term and its place with those that the texts have."""
    assert isinstance(store, IndexStore)
    with closing(sqlite3.connect(store.path)) as connection:
        connection.execute(
            "CREATE VIRTUAL TABLE temp.instances USING fts5vocab(main, terms, 'instance')"
        )
        rows = connection.execute("SELECT doc, offset, term FROM instances").fetchall()
        sizes = connection.execute("SELECT count(*) FROM terms_docsize").fetchone()[0]
        connection.execute("INSERT INTO terms (terms) VALUES ('integrity-check')")
    with store.read() as snapshot:
        texts = [(chunk.id, chunk.searched_text) for chunk in snapshot.all_chunks()]
    wanted = {
        (number, place, term)
        for number, text in texts
        for place, term in enumerate(document_terms(text).split())
    }
    assert set(rows) == wanted
    assert len(rows) == len(wanted)
    assert sizes == len(texts)


def waiting_in(store: DocumentStore) -> tuple[int, int]:
    """Return the documents and passages that have no vectors yet."""
    with store.read() as snapshot:
        return snapshot.count_waiting()


def content_digest(store: IndexStore) -> str:
    """Return the SHA-256 of the index's content, hexadecimal.

    Two indexes have the same digest if they were made with the same model and hold the same
    documents, passages and vectors, in whatever order and however often interrupted. Row ids,
    times and generations don't count. Vectors count to the last bit, and real models may differ
    in it between batches.
    """
    digest = hashlib.sha256()
    with store.read() as snapshot:
        meta, vectors = snapshot.meta(), snapshot.vectors_of(snapshot.ids_where().tolist())
        _add(digest, meta.embedding, meta.fingerprint, meta.dimension)
        for document in snapshot.documents():
            _add(digest, document.source, document.content_hash, document.settings)
            _add(digest, document.loader, document.encoding, document.size, document.characters)
            for chunk in snapshot.chunks_of(document.source):
                place = (chunk.ordinal, chunk.key, chunk.start, chunk.end, chunk.page)
                _add(digest, *place, chunk.heading, dict(chunk.extra), chunk.text)
                _add(digest, vectors[chunk.id].tobytes().hex())
    return digest.hexdigest()


def _add(digest: "hashlib._Hash", *values: object) -> None:
    digest.update(json.dumps(values, ensure_ascii=False, sort_keys=True).encode() + b"\n")


def put_random(store: IndexStore, source: str, count: int, seed: int) -> None:
    """Write a document of `count` passages, whose vectors lie around twenty centres."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((20, 64))
    vectors = centres[rng.integers(20, size=count)] + 0.5 * rng.standard_normal((count, 64))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    chunks = [ChunkRecord(f"第{number}段", 0, 1) for number in range(count)]
    with store.write() as transaction:
        record = DocumentRecord(source, "0", "{}")
        transaction.replace_document(record, chunks, vectors.astype(np.float32))
