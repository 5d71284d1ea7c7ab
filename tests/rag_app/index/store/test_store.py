import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from rag_app.errors import EmbeddingMismatchError, IndexStoreError
from rag_app.index.indexing.unfinished import PICTURES_NAME, UNFINISHED_NAME
from rag_app.index.search.faiss_file import FAISS_NAME, STAMP_NAME
from rag_app.index.store import transaction as transaction_module
from rag_app.index.store.conversations import CONVERSATIONS_NAME
from rag_app.index.store.records import ChunkRecord, DocumentRecord, IndexMeta
from rag_app.index.store.store import IndexStore
from rag_app.index.store.summaries import SUMMARIES_NAME
from tests.rag_app.index.conftest import POEMS
from tests.rag_app.index.hashing import HashingEmbeddings
from tests.rag_app.index.stored import assert_terms_exact, content_digest


def test_a_folder_of_other_files_gets_no_index(tmp_path: Path) -> None:
    meta = IndexMeta.of(HashingEmbeddings(), 500, 50)
    theirs = tmp_path / "notes.txt"
    theirs.write_text("x", encoding="utf-8")
    with pytest.raises(IndexStoreError, match=r"holds other files \(notes\.txt\)"):
        IndexStore(tmp_path).create(meta)
    assert [*tmp_path.iterdir()] == [theirs]
    begun = tmp_path / "begun"
    begun.mkdir()
    for name in ("index.sqlite3.new", "writer.lock", ".hidden"):  # as a full disk leaves them
        (begun / name).touch()
    store = IndexStore(begun)
    store.create(meta)
    (begun / "notes.txt").touch()
    store.create(meta)  # what is there stays usable
    assert store.exists()


@pytest.mark.parametrize(
    "name",
    [CONVERSATIONS_NAME, FAISS_NAME, PICTURES_NAME, STAMP_NAME, SUMMARIES_NAME, UNFINISHED_NAME],
)
def test_what_an_index_leaves_beside_it_is_no_other_file(name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    IndexStore(tmp_path).create(IndexMeta.of(HashingEmbeddings(), 500, 50))
    assert IndexStore(tmp_path).exists()


def test_what_is_written_is_read(store: IndexStore, meta: IndexMeta, embedding):
    with store.read() as snapshot:
        assert snapshot.meta() == meta
        documents = {document.source: document for document in snapshot.documents()}
        assert set(documents) == set(POEMS)
        assert documents["李白.txt"].chunks == 2
        assert documents["李白.txt"].indexed_at.endswith("+00:00")
        chunks = list(snapshot.chunks_of("李白.txt"))
        assert [chunk.text for chunk in chunks] == POEMS["李白.txt"]
        assert [chunk.ordinal for chunk in chunks] == [0, 1]
        assert [chunk.id for chunk in snapshot.chunks([4, 99, 1])] == [4, 1]
        ((ids, vectors),) = snapshot.vectors()
    texts = [text for poem in POEMS.values() for text in poem]
    assert ids.tolist() == [1, 2, 3, 4, 5, 6]
    np.testing.assert_array_equal(vectors, embedding.embed_array(texts))


def test_optional_fields_survive(empty: IndexStore, embedding):
    chunk = ChunkRecord("正文", 3, 5, page=2, heading="一、总则", extra={"表": [1, None]}, key="甲")
    with empty.write() as transaction:
        record = DocumentRecord("a.pdf", "f" * 64, "{}", "pdf", None, 10, 5)
        transaction.replace_document(record, [chunk], embedding.embed_array(["正文"]))
    with empty.read() as snapshot:
        (read,) = snapshot.chunks_of("a.pdf")
    assert read.metadata() == {
        "source": "a.pdf",
        "start": 3,
        "end": 5,
        "page": 2,
        "heading": "一、总则",
        "ordinal": 0,
        "表": [1, None],
    }
    assert read.public_id == "甲"


def test_terms_follow_deletions_exactly(store: IndexStore, put):
    put(store, "李白.txt", ["换了一首。", "靜夜思 ABC abc", "靜夜思"])
    with store.write() as transaction:
        assert transaction.delete_document("杜甫.txt")
        assert not transaction.delete_document("没有.txt")
        transaction.delete_chunks([6])
    assert_terms_exact(store)
    with store.read() as snapshot:
        assert snapshot.count_documents() == 2
        assert snapshot.document_frequency("杜甫") == 0
        assert snapshot.document_frequency("静夜") == 2


def test_ids_are_never_used_again(store: IndexStore, put):
    with store.write() as transaction:
        for source in POEMS:
            transaction.delete_document(source)
    assert put(store, "新.txt", ["新"]) == [7]


def test_every_write_has_its_own_generation(store: IndexStore):
    seen = []
    for _ in range(3):
        with store.write(), store.read() as snapshot:
            seen.append(snapshot.generation())
    assert [one.number for one in seen] == [3, 4, 5]
    with store.read() as snapshot:
        assert all(snapshot.descends_from(one) for one in seen)


def test_an_error_undoes_the_whole_transaction(store: IndexStore, put):
    before = content_digest(store)

    def fail() -> None:
        with store.write() as transaction:
            transaction.delete_document("李白.txt")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert content_digest(store) == before
    assert_terms_exact(store)
    put(store, "李白.txt", ["写得进去"])


def test_a_snapshot_does_not_move(store: IndexStore, put):
    with store.read() as snapshot:
        put(store, "李白.txt", ["变了"])
        assert [chunk.text for chunk in snapshot.chunks_of("李白.txt")] == POEMS["李白.txt"]
    with store.read() as snapshot:
        assert [chunk.text for chunk in snapshot.chunks_of("李白.txt")] == ["变了"]


def test_digest_sees_content_and_nothing_else(store: IndexStore, tmp_path, meta, put):
    other = IndexStore(tmp_path / "other")
    other.create(meta)
    put(other, "杜甫.txt", ["先写别的"])
    for source, texts in reversed(POEMS.items()):
        put(other, source, texts)
    assert content_digest(other) == content_digest(store)
    put(other, "其他.txt", [*POEMS["其他.txt"][:1], "The dragon is 3.15 metres long."])
    assert content_digest(other) != content_digest(store)


def test_another_rule_for_terms_renews_them_all(store: IndexStore, put, monkeypatch):
    with closing(sqlite3.connect(store.path)) as connection:
        connection.execute("UPDATE meta SET value = '0/old' WHERE key = 'lexical_version'")
        connection.execute("INSERT INTO terms (terms) VALUES ('delete-all')")
        connection.execute("INSERT INTO terms (rowid, body) VALUES (1, 'by other rules')")
        connection.commit()
    put(store, "李白.txt", ["新"])
    assert_terms_exact(store)


def test_creating_leaves_an_index_as_it_is(store: IndexStore, meta: IndexMeta):
    before = content_digest(store)
    store.create(meta)
    assert content_digest(store) == before


def test_what_a_killed_creation_left_is_no_hindrance(tmp_path, meta, put):
    (tmp_path / "index.sqlite3.new").write_bytes(b"half")
    (tmp_path / "index.sqlite3.new-journal").write_bytes(b"half")
    (tmp_path / "index.sqlite3-wal").write_bytes(b"of a deleted index")
    store = IndexStore(tmp_path)
    store.create(meta)
    put(store, "a", ["b"])
    assert sorted(path.name for path in tmp_path.glob("*.new*")) == []


def test_a_missing_index_names_the_command(tmp_path):
    store = IndexStore(tmp_path / "none")
    with pytest.raises(IndexStoreError, match="run: rag-app index PATH"), store.read():
        pass
    with pytest.raises(IndexStoreError, match="run: rag-app index PATH"), store.write():
        pass
    assert not store.folder.exists()


def test_another_model_is_refused_with_both_ways_out(store: IndexStore):
    store.check_embedding(HashingEmbeddings())
    with pytest.raises(
        EmbeddingMismatchError, match=r"--embedding hashing, or .*rag-app reembed --embedding"
    ):
        store.check_embedding(HashingEmbeddings(salt="2"))
    same_name = HashingEmbeddings()
    same_name.fingerprint = "trained on"
    with pytest.raises(EmbeddingMismatchError, match="of other weights"):
        store.check_embedding(same_name)


def test_vectors_of_another_length_are_refused_under_any_name(store: IndexStore, put):
    from rag_app.index.search.vector_store import FaissVectorStore

    other = HashingEmbeddings(32)
    other.fingerprint = HashingEmbeddings().fingerprint
    vectors = FaissVectorStore(store, other)
    with pytest.raises(EmbeddingMismatchError, match="64 numbers, and these have 32"):
        vectors.similarity_search("李白")
    with pytest.raises(EmbeddingMismatchError, match="64 numbers, and these have 32"):
        vectors.add_texts(["静夜思"])
    assert_terms_exact(store)


def test_an_index_made_anew_is_seen_by_a_store_that_read_the_old_one(store, meta, put):
    with store.read() as snapshot:
        assert snapshot.count_documents() == 3
    for path in store.folder.glob("index.sqlite3*"):
        path.unlink()
    other = IndexStore(store.folder)
    other.create(meta)
    put(other, "a", ["b"])
    with store.read() as snapshot:
        assert [document.source for document in snapshot.documents()] == ["a"]


def test_generations_are_kept_in_bounds(store: IndexStore, monkeypatch):
    monkeypatch.setattr(transaction_module, "_KEPT_GENERATIONS", 2)
    with store.read() as snapshot:
        first = snapshot.generation()
    for _ in range(3):
        with store.write():
            pass
    with store.read() as snapshot:
        assert not snapshot.descends_from(first)
        assert snapshot.generation().number == first.number + 3


def _assert_counted(store: IndexStore) -> None:
    with store.read() as snapshot:
        counts = snapshot.count_documents(), snapshot.count_chunks()
        assert counts == (len(snapshot.sources()), len(list(snapshot.all_chunks())))


def test_documents_and_chunks_are_counted_whoever_writes(store: IndexStore, put):
    _assert_counted(store)
    put(store, "李白.txt", ["静夜思"])
    _assert_counted(store)
    with store.write() as transaction:
        transaction.delete_document("杜甫.txt")
        assert (transaction.count_documents(), transaction.count_chunks()) == (2, 3)
        transaction.rename_document("李白.txt", "李太白.txt")
        transaction.delete_chunks(transaction.ids_of(["6"]))
    _assert_counted(store)
    # Version 0.2 does not note how many there are.
    with closing(sqlite3.connect(store.path)) as connection, connection:
        connection.execute("DELETE FROM chunks WHERE id = 5")
        connection.execute("INSERT INTO generations VALUES (99, 'token')")
    _assert_counted(store)
    put(store, "新.txt", ["将进酒"])
    _assert_counted(store)


def test_only_documents_that_lost_their_last_chunk_are_deleted(store: IndexStore):
    with store.write() as transaction:
        transaction.delete_chunks([1, 2, 3])
        transaction.delete_empty_documents()
    with store.read() as snapshot:
        assert snapshot.sources() == ["其他.txt", "杜甫.txt"]
    _assert_counted(store)


def test_sources_of_a_folder(empty: IndexStore, put):
    for source in ("/a/b/1", "/a/b/c/2", "/a/b.txt", "/a/b0", "/a", "x"):
        put(empty, source, ["静夜思"])
    with empty.read() as snapshot:
        assert snapshot.sources_at("/a/b") == ["/a/b/1", "/a/b/c/2"]
        assert snapshot.sources_at("/a/b.txt") == ["/a/b.txt"]
        assert len(snapshot.sources_at("/")) == 5
        assert snapshot.sources_at("/nowhere") == []


def test_the_first_chunk_of_every_document_comes_first(store: IndexStore):
    with store.read() as snapshot:
        assert [chunk.id for chunk in snapshot.first_chunks(4)] == [1, 3, 5, 2]


def test_documents_of_an_earlier_version_are_counted(empty: IndexStore, embedding):
    for number, settings in enumerate(['{"format": 1}', '{"format": 1}', "added"]):
        with empty.write() as transaction:
            record = DocumentRecord(str(number), str(number), settings)
            chunk = ChunkRecord("正文", 0, 2)
            transaction.replace_document(record, [chunk], embedding.embed_array(["正文"]))
    with empty.read() as snapshot:
        assert snapshot.count_outdated() == 2
