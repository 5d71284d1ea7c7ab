import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from rag_app.errors import BusyIndexError, EmbeddingMismatchError
from rag_app.index.indexing import reembed as reembed_module
from rag_app.index.indexing.reembed import reembed
from rag_app.index.search.retriever import HybridRetriever
from rag_app.index.search.vector_store import FaissVectorStore
from rag_app.index.store.records import Staging
from rag_app.index.store.store import IndexStore
from tests.rag_app.index.conftest import POEMS
from tests.rag_app.index.hashing import HashingEmbeddings, InterruptedEmbeddings
from tests.rag_app.index.stored import content_digest


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(reembed_module, "_BATCH", 2)


def test_every_passage_gets_a_vector_of_the_new_model(store: IndexStore, tmp_path):
    vectors = FaissVectorStore(store, HashingEmbeddings())
    assert vectors.similarity_search("李白", 1)
    new = HashingEmbeddings(32, salt="新")
    told: list[tuple[int, int]] = []
    assert reembed(store, new, lambda done, total: told.append((done, total))) == 6
    assert told == [(2, 6), (4, 6), (6, 6)]
    with pytest.raises(EmbeddingMismatchError):
        vectors.similarity_search("李白")
    ((document, score),) = FaissVectorStore(store, new).similarity_search_with_score(
        "李白\n" + POEMS["李白.txt"][1], 1
    )
    assert document.page_content == POEMS["李白.txt"][1]
    assert score == pytest.approx(1)
    with store.read() as snapshot:
        assert (snapshot.meta().embedding, snapshot.meta().chunk_size) == ("hashing新", 600)


def test_an_interrupted_run_goes_on_and_the_old_vectors_serve_until_then(store: IndexStore, put):
    before = content_digest(store)
    with pytest.raises(KeyboardInterrupt):
        reembed(store, InterruptedEmbeddings(4, salt="新"))
    assert content_digest(store) == before
    assert FaissVectorStore(store, HashingEmbeddings()).similarity_search("李白", 1)
    put(store, "李白.txt", ["换了一首"])  # two staged passages are gone, one is new
    assert reembed(store, HashingEmbeddings(salt="新")) == 3
    reference = reembed(store, HashingEmbeddings(salt="另"))
    assert reference == 5
    store.check_embedding(HashingEmbeddings(salt="另"))


def test_vectors_staged_for_a_third_model_are_not_used(store: IndexStore):
    with pytest.raises(KeyboardInterrupt):
        reembed(store, InterruptedEmbeddings(2, salt="三"))
    new = HashingEmbeddings(salt="新")
    assert reembed(store, new) == 6
    with store.read() as snapshot:
        for source, texts in POEMS.items():
            name = source.removesuffix(".txt")
            for chunk, text in zip(snapshot.chunks_of(source), texts, strict=True):
                vector = snapshot.vectors_of([chunk.id])[chunk.id]
                assert vector.tobytes() == new.embed_array([f"{name}\n{text}"]).tobytes()


def test_an_index_without_passages(empty: IndexStore):
    new = HashingEmbeddings(salt="新")
    assert reembed(empty, new) == 0
    empty.check_embedding(new)


class Meanwhile(HashingEmbeddings):
    """Does something in the middle of the work."""

    def __init__(self, action) -> None:
        super().__init__(salt="新")
        self._action = action

    def embed_array(self, texts):
        if len(self.batches) == 1:
            self._action()
        return super().embed_array(texts)


def test_documents_that_come_and_go_meanwhile(store: IndexStore, put):
    other = IndexStore(store.folder, timeout=0.2)  # as another process has it

    def change():
        put(other, "新诗.txt", ["床前明月光，", "疑是地上霜。"])
        put(other, "其他.txt", ["海上生明月。"])  # that have no new vector yet
        with other.write() as transaction:
            transaction.delete_document("李白.txt")  # that have one
        assert FaissVectorStore(other, HashingEmbeddings()).similarity_search("明月", 1)
        with other.read() as snapshot:
            assert snapshot.staging() == Staging("hashing新", 0)

    told: list[tuple[int, int]] = []
    reembed(store, Meanwhile(change), lambda done, total: told.append((done, total)))
    assert told[-1] == (5, 5)
    with store.read() as snapshot:
        assert snapshot.staging() is None
        assert "李白.txt" not in snapshot.sources()
        vectors = snapshot.vectors_of(snapshot.ids_where().tolist())
        for chunk in snapshot.all_chunks():
            wanted = HashingEmbeddings(salt="新").embed_array([chunk.embedded_text])
            assert vectors[chunk.id].tobytes() == wanted.tobytes()


def test_texts_of_the_old_model_are_refused_after_the_switch(store: IndexStore):
    class Slow(HashingEmbeddings):
        def embed_array(self, texts):
            reembed(IndexStore(store.folder), HashingEmbeddings(salt="新"))
            return super().embed_array(texts)

    with pytest.raises(EmbeddingMismatchError):
        FaissVectorStore(store, Slow()).add_texts(["床前明月光"])
    with store.read() as snapshot:
        assert snapshot.count_chunks() == 6


def test_a_question_of_the_old_model_is_not_compared_with_new_vectors(store: IndexStore):
    class Slow(HashingEmbeddings):
        def embed_query(self, text):
            reembed(IndexStore(store.folder), HashingEmbeddings(salt="新"))
            return super().embed_query(text)

    with pytest.raises(EmbeddingMismatchError):
        HybridRetriever(store=store, embedding=Slow()).invoke("李白")


def test_a_second_run_is_told_of_the_first(store: IndexStore):
    second = Meanwhile(lambda: reembed(IndexStore(store.folder), HashingEmbeddings(salt="三")))
    with pytest.raises(BusyIndexError, match="embedded again by process"):
        reembed(store, second)
    assert reembed(store, HashingEmbeddings(salt="新")) == 4


def test_it_waits_for_a_writer_that_takes_long(store: IndexStore, caplog):
    held, done = threading.Event(), threading.Event()

    def write():
        with IndexStore(store.folder).locked():
            held.set()
            done.wait()

    writer = threading.Thread(target=write)
    writer.start()
    held.wait()
    caplog.set_level(logging.WARNING)
    new = HashingEmbeddings(salt="新")
    with ThreadPoolExecutor() as pool:
        run = pool.submit(reembed, store, new)
        while not caplog.records:
            assert not run.done()
        done.set()
        assert run.result() == 6
    writer.join()
    assert "being written" in caplog.text
