import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding

from rag_app.errors import EmbeddingMismatchError, ModelError
from rag_app.index.search.vector_store import FaissVectorStore
from rag_app.index.store.store import IndexStore
from rag_app.models.embeddings.base import adapt, embed_by_length
from tests.rag_app.index.hashing import HashingEmbeddings
from tests.rag_app.index.terms import assert_terms_exact


@pytest.fixture
def vectors(tmp_path) -> FaissVectorStore:
    return FaissVectorStore.from_texts(
        ["静夜思", "将进酒", "春望"],
        HashingEmbeddings(),
        [{"source": "李白", "page": 3, "体": "五绝"}, {"source": "李白"}, {"source": "杜甫"}],
        folder=tmp_path / "store",
    )


def test_what_is_added_is_found(vectors: FaissVectorStore):
    (document,) = vectors.similarity_search("静夜思", k=1)
    assert document.page_content == "静夜思"
    assert document.id == "1"
    assert document.metadata == {
        "source": "李白", "start": 0, "end": 3, "page": 3, "ordinal": 0, "体": "五绝",
    }  # fmt: skip
    ((same, score),) = vectors.similarity_search_with_score("静夜思", k=1)
    assert same == document
    assert score == pytest.approx(1)
    assert (
        vectors.similarity_search_by_vector(HashingEmbeddings().embed_query("春望"), 1)[0].id == "3"
    )
    ((_, relevance),) = vectors.similarity_search_with_relevance_scores("静夜思", k=1)
    assert relevance == pytest.approx(1)
    assert len(vectors.as_retriever(search_kwargs={"k": 2}).invoke("将进酒")) == 2


def test_passages_of_a_source_are_one_document(vectors: FaissVectorStore):
    vectors.add_texts(["蜀道难"], [{"source": "李白"}])
    with vectors.store.read() as snapshot:
        assert [chunk.text for chunk in snapshot.chunks_of("李白")] == [
            "静夜思",
            "将进酒",
            "蜀道难",
        ]
        assert snapshot.count_documents() == 2


def test_own_ids_replace(vectors: FaissVectorStore):
    assert vectors.add_texts(["望岳", "登高"], ids=["甲", "7"]) == ["甲", "7"]
    assert vectors.add_texts(["望岳改"], ids=["甲"]) == ["甲"]
    assert [one.page_content for one in vectors.get_by_ids(["7", "甲", "无", "1"])] == [
        "登高", "望岳改", "静夜思",
    ]  # fmt: skip
    assert vectors.similarity_search("望岳改", 1)[0].id == "甲"
    assert_terms_exact(vectors.store)


def test_delete(vectors: FaissVectorStore):
    assert vectors.delete(["3", "unknown", "-1", "²"])
    assert vectors.get_by_ids(["3"]) == []
    with vectors.store.read() as snapshot:
        assert snapshot.document("杜甫") is None
    vectors.delete()
    assert vectors.similarity_search("静夜思") == []
    assert_terms_exact(vectors.store)


def test_lists_must_fit(vectors: FaissVectorStore):
    with pytest.raises(ValueError, match="shorter"):
        vectors.add_texts(["a", "b"], [{}])
    with pytest.raises(ValueError, match="twice"):
        vectors.add_texts(["a", "b"], ids=["1", "1"])
    assert vectors.add_texts([]) == []


def test_another_model_is_refused(vectors: FaissVectorStore):
    other = FaissVectorStore(vectors.store, HashingEmbeddings(salt="2"))
    for attempt in (lambda: other.similarity_search("静夜思"), lambda: other.add_texts(["a"])):
        with pytest.raises(EmbeddingMismatchError):
            attempt()


def test_any_langchain_embeddings_will_do(tmp_path):
    inner = DeterministicFakeEmbedding(size=16)
    vectors = FaissVectorStore.from_texts(["静夜思", "春望"], inner, folder=tmp_path)
    assert vectors.embeddings is inner
    ((document, score),) = vectors.similarity_search_with_score("春望", 1)
    assert document.page_content == "春望"
    assert score == pytest.approx(1)
    again = FaissVectorStore(IndexStore(tmp_path), DeterministicFakeEmbedding(size=16))
    assert again.similarity_search("春望", 1) == [document]


def test_our_own_embeddings_are_left_alone():
    ours = HashingEmbeddings()
    assert adapt(ours) is ours


@pytest.mark.parametrize("wrong", [float("nan"), None])
def test_a_model_that_returns_nonsense_is_named(wrong):
    class Broken(HashingEmbeddings):
        def embed_array(self, texts):
            return (
                super().embed_array(texts)[:, 1:]
                if wrong is None
                else super().embed_array(texts) * wrong
            )

    with pytest.raises(ModelError, match="hashing returned"):
        embed_by_length(Broken(), ["a"])
