import uuid
from datetime import date
from pathlib import PurePosixPath
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings

from rag_app.errors import EmbeddingMismatchError, ModelError
from rag_app.index.search.vector_store import FaissVectorStore
from rag_app.index.store.store import IndexStore
from rag_app.models.embeddings.base import adapt, embed_by_length
from tests.rag_app.index.hashing import HashingEmbeddings
from tests.rag_app.index.stored import assert_terms_exact


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


class Kept(Embeddings):
    """Keeps vectors as LangChain's ``CacheBackedEmbeddings`` does."""

    def __init__(self, model: Embeddings) -> None:
        self.underlying_embeddings = model

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return self.underlying_embeddings.embed_documents(texts)

    def embed_query(self, text: str) -> list[float]:
        return self.underlying_embeddings.embed_query(text)


def test_embeddings_that_keep_vectors_are_those_that_make_them(vectors: FaissVectorStore):
    found = vectors.similarity_search("静夜思", 1)
    assert (
        FaissVectorStore(vectors.store, Kept(Kept(HashingEmbeddings()))).similarity_search(
            "静夜思", 1
        )
        == found
    )
    for other in (HashingEmbeddings(salt="2"), DeterministicFakeEmbedding(size=64)):
        with pytest.raises(EmbeddingMismatchError, match=adapt(other).name):
            FaissVectorStore(vectors.store, Kept(other)).similarity_search("静夜思")


def test_models_are_told_apart_by_what_their_packages_call_them():
    class Hub(DeterministicFakeEmbedding):
        model_id: str

    one, other = (adapt(Hub(size=8, model_id=name)) for name in ("one", "other"))
    assert one.name.endswith("Hub:one")
    assert one.fingerprint != other.fingerprint


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


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"source": "李白"}, {"静夜思", "将进酒"}),
        ({"source": ["杜甫", "王维"]}, {"春望"}),
        ({"source": "李白", "体": "五绝"}, {"静夜思"}),
        ({"体": None}, {"将进酒", "春望"}),
        ({"source": "王维"}, set()),
        ({"source": []}, set()),
        ({}, {"静夜思", "将进酒", "春望"}),
        (lambda metadata: metadata.get("page") == 3, {"静夜思"}),
    ],
)
async def test_every_search_honours_a_filter(vectors: FaissVectorStore, wanted, found):
    vector = HashingEmbeddings().embed_query("春望")
    searches = [
        vectors.similarity_search("春望", filter=wanted),
        vectors.similarity_search_by_vector(vector, filter=wanted),
        vectors.max_marginal_relevance_search("春望", filter=wanted),
        vectors.max_marginal_relevance_search_by_vector(vector, filter=wanted),
        vectors.as_retriever(search_kwargs={"filter": wanted}).invoke("春望"),
        await vectors.asimilarity_search("春望", filter=wanted),
        await vectors.asimilarity_search_by_vector(vector, filter=wanted),
        await vectors.amax_marginal_relevance_search("春望", filter=wanted),
        [one for one, _ in await vectors.asimilarity_search_with_score("春望", filter=wanted)],
        [one for one, _ in vectors.similarity_search_with_relevance_scores("春望", filter=wanted)],
    ]
    assert [{document.page_content for document in search} for search in searches] == [found] * 10


def test_marginal_relevance_prefers_what_is_unlike(tmp_path):
    texts = ["李白静夜思", "李白静夜思诗", "李白将进酒"]
    vectors = FaissVectorStore.from_texts(texts, HashingEmbeddings(), folder=tmp_path)
    nearest = [one.page_content for one in vectors.similarity_search("李白静夜思", 2)]
    assert nearest == texts[:2]

    def chosen(weight: float, fetch: int = 20) -> list[str]:
        found = vectors.max_marginal_relevance_search("李白静夜思", 2, fetch, weight)
        return [one.page_content for one in found]

    assert chosen(1.0) == nearest
    assert chosen(0.1) == [texts[0], texts[2]]
    assert chosen(0.1, fetch=2) == nearest


async def test_async_ways_to_add_and_delete(tmp_path):
    vectors = await FaissVectorStore.afrom_texts(["静夜思"], HashingEmbeddings(), folder=tmp_path)
    assert await vectors.aadd_documents([Document("春望", id="甲")]) == ["甲"]
    assert [one.page_content for one in await vectors.aget_by_ids(["甲"])] == ["春望"]
    await vectors.adelete(["甲"])
    assert await vectors.aget_by_ids(["甲"]) == []


def test_texts_without_a_source_keep_their_metadata_as_they_are(vectors: FaissVectorStore):
    given = {"start": "早", "page": [1], "作者": "王维"}
    (added,) = vectors.add_texts(["鸟鸣涧"], [given])
    assert vectors.get_by_ids([added])[0].metadata == given


@pytest.mark.parametrize("source", [{}, {"source": "a.txt"}, {"source": None}], ids=repr)
@pytest.mark.parametrize(
    "value", [date(2026, 1, 2), uuid.UUID(int=5), PurePosixPath("/x"), {1}, b"x"], ids=repr
)
def test_metadata_that_json_lacks_become_text(vectors: FaissVectorStore, value: Any, source: Any):
    (key,) = vectors.add_texts(["蜀道难"], [{**source, "made": value}])
    (found,) = vectors.get_by_ids([key])
    assert found.metadata["made"] == str(value)
    assert found.metadata.get("source") == source.get("source")


@pytest.mark.parametrize("name", ["start", "end", "page", "heading", "headings"])
@pytest.mark.parametrize("value", [None, [], {"a": 1}, 1.5, "vii"], ids=repr)
def test_places_of_any_kind_are_borne(vectors: FaissVectorStore, name: str, value: Any):
    (key,) = vectors.add_texts(["蜀道难"], [{"source": "a.txt", name: value}])
    (found,) = vectors.get_by_ids([key])
    assert found.page_content == "蜀道难"
    if name in ("page", "heading", "headings"):
        assert found.metadata.get(name) == value
    else:
        assert isinstance(found.metadata[name], int)


def test_halves_of_characters_are_no_text(vectors: FaissVectorStore):
    vectors.add_texts(["蜀\ud83d道难"], ids=["half"])
    assert vectors.get_by_ids(["half"])[0].page_content == "蜀�道难"


@pytest.mark.parametrize("wanted", [{"page": {"$gt": 1}}, {"$or": [{"page": 1}, {"page": 2}]}])
def test_a_filter_with_operators_is_refused(vectors: FaissVectorStore, wanted: Any):
    with pytest.raises(ValueError, match="no operators are known in a filter"):
        vectors.similarity_search("静夜思", filter=wanted)


@pytest.mark.parametrize("k", [0, -1])
def test_none_are_found_where_none_are_wanted(vectors: FaissVectorStore, k: int):
    assert vectors.similarity_search("静夜思", k=k) == []
