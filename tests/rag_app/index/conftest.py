"""A small index to try things on."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rag_app.index.store.records import ChunkRecord, DocumentRecord, IndexMeta
from rag_app.index.store.store import IndexStore
from tests.rag_app.index.hashing import HashingEmbeddings

POEMS = {
    "李白.txt": ["李白是唐代诗人，字太白，号青莲居士。", "传说李白醉后捞月而死。"],
    "杜甫.txt": ["杜甫字子美，生于河南巩县。", "杜甫晚年漂泊西南，卒于湘江舟中。"],
    "其他.txt": ["故宫里有一条金龙。", "The dragon is 3.14 metres long."],
}


@pytest.fixture
def embedding() -> HashingEmbeddings:
    return HashingEmbeddings()


@pytest.fixture
def meta(embedding: HashingEmbeddings) -> IndexMeta:
    return IndexMeta(embedding.name, embedding.fingerprint, embedding.dimension, 600, 100)


@pytest.fixture
def fresh(tmp_path: Path) -> IndexStore:
    """A place for an index."""
    return IndexStore(tmp_path / "index", timeout=0.2)


@pytest.fixture
def empty(tmp_path: Path, meta: IndexMeta) -> IndexStore:
    store = IndexStore(tmp_path / "索引 1", timeout=0.2)
    store.create(meta)
    return store


Put = Callable[[IndexStore, str, list[str]], list[int]]


@pytest.fixture
def put(embedding: HashingEmbeddings) -> Put:
    """Write a document of some passages."""

    def put(store: IndexStore, source: str, texts: list[str]) -> list[int]:
        chunks, start = [], 0
        for text in texts:
            chunks.append(ChunkRecord(text, start, start + len(text)))
            start += len(text)
        with store.write() as transaction:
            record = DocumentRecord(source, content_hash="0" * 64, settings="{}", characters=start)
            return transaction.replace_document(record, chunks, embedding.embed_array(texts))

    return put


@pytest.fixture
def store(empty: IndexStore, put: Put) -> IndexStore:
    for source, texts in POEMS.items():
        put(empty, source, texts)
    return empty
