import pytest

from rag_app.errors import EmbeddingMismatchError
from rag_app.index.indexing import reembed as reembed_module
from rag_app.index.indexing.reembed import reembed
from rag_app.index.search.vector_store import FaissVectorStore
from rag_app.index.store.store import IndexStore
from tests.rag_app.index.conftest import POEMS
from tests.rag_app.index.hashing import HashingEmbeddings
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
    class Interrupted(HashingEmbeddings):
        def embed_array(self, texts):
            if len(self.batches) == 2:
                raise KeyboardInterrupt
            return super().embed_array(texts)

    before = content_digest(store)
    with pytest.raises(KeyboardInterrupt):
        reembed(store, Interrupted(salt="新"))
    assert content_digest(store) == before
    assert FaissVectorStore(store, HashingEmbeddings()).similarity_search("李白", 1)
    put(store, "李白.txt", ["换了一首"])  # two staged passages are gone, one is new
    assert reembed(store, HashingEmbeddings(salt="新")) == 3
    reference = reembed(store, HashingEmbeddings(salt="另"))
    assert reference == 5
    store.check_embedding(HashingEmbeddings(salt="另"))


def test_vectors_staged_for_a_third_model_are_not_used(store: IndexStore):
    class Interrupted(HashingEmbeddings):
        def embed_array(self, texts):
            if self.batches:
                raise KeyboardInterrupt
            return super().embed_array(texts)

    with pytest.raises(KeyboardInterrupt):
        reembed(store, Interrupted(salt="三"))
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
