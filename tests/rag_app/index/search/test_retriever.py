from typing import Any, ClassVar

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.embeddings import Embeddings
from langchain_core.runnables import RunnableConfig

from rag_app.errors import EmbeddingMismatchError, QuestionError
from rag_app.index.search import retriever as search
from rag_app.index.search.relevance import apart
from rag_app.index.search.retriever import HybridRetriever, fuse, term_frequencies
from rag_app.index.search.vector_store import FaissVectorStore
from rag_app.index.store.records import ChunkRecord
from rag_app.index.store.store import IndexStore
from tests.rag_app.index.conftest import POEMS
from tests.rag_app.index.hashing import HashingEmbeddings


def _retriever(store: IndexStore, **options) -> HybridRetriever:
    return HybridRetriever(store=store, embedding=HashingEmbeddings(), **options)


@pytest.mark.parametrize("kind", ["hybrid", "dense", "lexical"])
def test_the_right_passage_is_first_and_says_where_it_stands(store: IndexStore, kind):
    found = _retriever(store, kind=kind, k=2).invoke("李白是怎样死的？醉后捞月吗？")
    (first, second) = found
    assert first.page_content == POEMS["李白.txt"][1]
    assert first.id == "2"
    assert {name: first.metadata[name] for name in ("source", "start", "end", "ordinal")} == {
        "source": "李白.txt",
        "start": len(POEMS["李白.txt"][0]),
        "end": sum(map(len, POEMS["李白.txt"])),
        "ordinal": 1,
    }
    ranks = {"dense_rank", "lexical_rank"} & set(first.metadata)
    wanted = {"hybrid": {"dense_rank", "lexical_rank"}, "dense": {"dense_rank"}}
    assert ranks == wanted.get(kind, {"lexical_rank"})
    assert {first.metadata[rank] for rank in ranks} == {1}
    assert first.metadata["score"] > second.metadata["score"]
    assert 0 <= second.metadata["relevance"] < 0.5 < first.metadata["relevance"] <= 1


def test_traditional_and_simplified_find_each_other(store: IndexStore):
    (found,) = _retriever(store, kind="lexical", k=1).invoke("傳說醉後撈月")
    assert found.page_content == POEMS["李白.txt"][1]


def test_one_character_finds_its_passages(store: IndexStore):
    (found,) = _retriever(store, kind="lexical").invoke("龙")
    assert found.page_content == POEMS["其他.txt"][0]
    assert found.metadata["relevance"] > 0.5


def test_nothing_in_common_is_not_relevant(store: IndexStore):
    found = _retriever(store).invoke("量子计算机怎样纠错")
    assert found
    assert max(one.metadata["relevance"] for one in found) < 0.5


@pytest.mark.parametrize("question", ["？？？", "😀", '" OR *', "吗"])
def test_odd_questions_are_answered_with_something(store: IndexStore, question):
    assert len(_retriever(store).invoke(question)) == 4
    _retriever(store, kind="lexical").invoke(question)


def test_a_question_of_many_terms_searches_for_the_rarest(store: IndexStore, put, monkeypatch):
    from rag_app.index.store.snapshot import Snapshot

    put(store, "字.txt", [chr(0x4E00 + number) * 2 + "常见" for number in range(300)])
    searched: list[str] = []
    search = Snapshot.search_terms

    def recorded(self, expression, *limits):
        searched.append(expression)
        return search(self, expression, *limits)

    monkeypatch.setattr(Snapshot, "search_terms", recorded)
    question = "常见" + "".join(chr(0x4E00 + number) * 2 for number in range(3000))
    assert _retriever(store, kind="lexical").invoke(question)
    assert searched[0].count(" OR ") == 127
    assert "常见" not in searched[0]


def test_an_empty_index(empty: IndexStore):
    for kind in ("hybrid", "dense", "lexical"):
        assert _retriever(empty, kind=kind).invoke("李白") == []


def test_another_model_is_refused(store: IndexStore):
    retriever = HybridRetriever(store=store, embedding=HashingEmbeddings(salt="2"))
    with pytest.raises(EmbeddingMismatchError):
        retriever.invoke("李白")
    assert HybridRetriever(store=store, kind="lexical").invoke("李白")


async def test_it_is_a_langchain_retriever(store: IndexStore):
    retriever = _retriever(store)
    assert await retriever.ainvoke("李白") == retriever.invoke("李白")
    assert retriever.batch(["李白", "杜甫"])[1] == retriever.invoke("杜甫")


def test_fusion_weighs_normalized_scores():
    fused = fuse({1: 0.9, 2: 0.8, 3: 0.7}, {2: 4.0, 4: 2.0})
    assert fused == pytest.approx({1: 0.4, 2: 0.2 + 0.6, 3: 0.0, 4: 0.3})
    assert fuse({1: 0.9}, {}) == {1: 0.9}
    assert fuse({1: 0.9, 2: 0.9}, {1: 1.0}) == pytest.approx({1: 1.0, 2: 0.4})


def test_the_embeddings_say_how_much_their_cosines_weigh(store: IndexStore):
    class Light(HashingEmbeddings):
        hybrid_weight = 0.0

    question = "李白和杜甫"
    light = HybridRetriever(store=store, embedding=Light()).invoke(question)
    (lexical, *_) = _retriever(store, kind="lexical").invoke(question)
    assert light[0].id == lexical.id
    assert light[0].metadata["score"] == 1
    assert _retriever(store).invoke(question)[0].metadata["score"] != 1
    assert all(one.metadata["score"] == 0 for one in light if "lexical_rank" not in one.metadata)


def test_a_passage_that_repeats_another_takes_no_place():
    text = "一二三四五六七八九十" * 3

    def chunk(start: int, end: int, source: str = "a") -> ChunkRecord:
        return ChunkRecord(text[start:end], start, end, source=source, id=start)

    first, repeat, neighbour = chunk(0, 10), chunk(3, 13), chunk(8, 18)
    assert apart([first, repeat, neighbour], 4) == [first, neighbour]
    elsewhere = chunk(3, 13, "b")
    assert apart([first, elsewhere], 4) == [first, elsewhere]
    assert apart([first, neighbour], 1) == [first]
    # Added one by one without offsets, these only seem to be the same place.
    added = [ChunkRecord("静夜思静夜思", 0, 6), ChunkRecord("将进酒将进酒", 0, 6)]
    assert apart(added, 4) == added


@pytest.mark.parametrize("kind", ["hybrid", "dense"])
async def test_foreign_embeddings_work_and_are_awaited(empty: IndexStore, tmp_path, kind):
    class Foreign(Embeddings):
        awaited: ClassVar[list[str]] = []

        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return [self.embed_query(text) for text in texts]

        def embed_query(self, text: str) -> list[float]:
            return [3 * number for number in HashingEmbeddings().embed_query(text)]

        async def aembed_query(self, text: str) -> list[float]:
            self.awaited.append(text)
            return self.embed_query(text)

    texts = [text for poem in POEMS.values() for text in poem]
    vectors = FaissVectorStore.from_texts(texts, Foreign(), folder=tmp_path / "foreign")
    retriever = HybridRetriever(store=vectors.store, embedding=Foreign(), kind=kind, k=2)
    question = "传说李白醉后捞月而死。"
    found = await retriever.ainvoke(question)
    assert found[0].page_content == question
    assert found == retriever.invoke(question)
    assert Foreign.awaited == [question]


async def test_callbacks_and_config_pass_through(store: IndexStore):
    class Recorder(BaseCallbackHandler):
        def __init__(self) -> None:
            self.runs: list[tuple[str, Any, Any]] = []

        def on_retriever_start(self, serialized, query, *, tags=None, metadata=None, **kwargs):
            self.runs.append((query, tags, metadata))

    recorder = Recorder()
    config = RunnableConfig(callbacks=[recorder], tags=["甲"], metadata={"用户": "乙"})
    _retriever(store).invoke("李白", config)
    await _retriever(store).ainvoke("杜甫", config)
    assert [query for query, _, _ in recorder.runs] == ["李白", "杜甫"]
    assert all(tags == ["甲"] and data["用户"] == "乙" for _, tags, data in recorder.runs)


COPY = "出差报销标准：住宿每晚不超过四百元，餐补每天一百元，须在三十天以内提交单据。"
NOTICE = "补充通知：自七月一日起，出差到省会城市的，住宿每晚可以报销五百五十元。"


@pytest.mark.slow
@pytest.mark.parametrize("copies", [6, 120])
def test_copies_take_one_place_and_are_all_named(empty: IndexStore, put, copies: int):
    sources = [f"/制度/报销制度_v{number}.txt" for number in range(copies)]
    for source in sources:
        put(empty, source, [COPY])
    put(empty, "/制度/补充通知.txt", [NOTICE])
    found = _retriever(empty, k=4).invoke("出差住宿每晚可以报销多少元？")
    assert sorted(document.page_content for document in found) == [COPY, NOTICE]
    (copy,) = (document for document in found if document.page_content == COPY)
    assert sorted([copy.metadata["source"], *copy.metadata["copies"]]) == sorted(sources)


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (COPY.replace("，", ", ") + "\n", True),
        ("**" + COPY.replace("報", "报") + "**", True),
        (COPY.replace("须在", "应在"), True),
        (COPY.replace("四百", "五百"), False),
        (COPY.replace("不超过", "超过"), False),
        (COPY + "本条自发布之日起施行，由财务部门负责解释和修订。", False),
    ],
)
def test_only_what_says_the_same_is_a_copy(other: str, same: bool):
    chunks = [ChunkRecord(COPY, 0, len(COPY), source="a"), ChunkRecord(other, 0, 1, source="b")]
    found = apart(chunks, 4)
    assert len(found) == (1 if same else 2)
    assert found[0].metadata().get("copies") == (["b"] if same else None)


def test_answers_from_one_document_or_folder(empty: IndexStore, put):
    for year in (2023, 2024):
        put(empty, f"/资料/{year}/甲公司合同.txt", [f"{year}年甲公司的租金是每月八千元。"])
        put(empty, f"/资料/{year}/乙公司合同.txt", [f"{year}年乙公司的租金是每月九千元。"])

    def asked(within: str | None, **options) -> set[str]:
        found = _retriever(empty, **options).invoke("租金是多少？", within=within)
        return {document.metadata["source"] for document in found}

    assert len(asked(None)) == 4
    one = "/资料/2023/甲公司合同.txt"
    for kind in ("hybrid", "dense", "lexical"):
        assert asked(one, kind=kind) == {one}
    assert asked("2023") == {one, "/资料/2023/乙公司合同.txt"}
    assert asked("甲*.txt") == {one, "/资料/2024/甲公司合同.txt"}
    assert asked("/资料/*/甲*") == {one, "/资料/2024/甲公司合同.txt"}
    (found,) = _retriever(empty, k=1, within="2024/甲公司合同.txt").invoke("租金是多少？")
    assert found.metadata["source"] == "/资料/2024/甲公司合同.txt"
    with pytest.raises(QuestionError, match="丙公司"):
        asked("丙公司合同.txt")


def test_where_terms_are_common_the_rare_ones_find_and_all_of_them_rank(
    empty: IndexStore, put, monkeypatch
):
    for number in range(30):
        rare = "青莲居士" if number % 3 == 0 else "少陵野老"
        put(empty, f"{number}.txt", [f"唐代诗人{'唐代' * (number % 5)}，第{number}首，{rare}。"])
    retriever = HybridRetriever(store=empty, kind="lexical", k=10)
    question = "唐代诗人青莲居士第十二首"
    whole = [one.page_content for one in retriever.invoke(question)]
    monkeypatch.setattr(search, "MOST_POSTINGS", 12)
    assert [one.page_content for one in retriever.invoke(question)] == whole
    assert all("青莲" in text for text in whole)
    assert len(retriever.invoke("唐代诗人")) == 10
    within = retriever.invoke(question, within="1?.txt")
    assert {one.metadata["source"] for one in within} == {
        f"{number}.txt" for number in range(10, 20)
    }
    monkeypatch.setattr(search, "_CANDIDATES", 1)
    few = retriever.invoke(question, within="1?.txt", k=3)
    assert [one.page_content for one in few] == [one.page_content for one in within[:3]]


def test_how_many_hold_a_common_character_is_judged_by_a_sample(
    empty: IndexStore, put, monkeypatch
):
    for number in range(40):
        year, rare = "年" if number % 2 else "歲", "，月" if number == 7 else ""
        put(empty, f"{number}.txt", [f"第{number}號，{year}{rare}"])
    with empty.read() as snapshot:
        counted = term_frequencies(snapshot, ["年", "岁", "月", "日", "号"])
        assert counted == {"年": 20, "岁": 20, "月": 1, "日": 0, "号": 40}
        monkeypatch.setattr(search, "COUNTED", 10)
        assert term_frequencies(snapshot, list(counted)) == counted
        monkeypatch.setattr(search, "_SAMPLE", 10)
        about = term_frequencies(snapshot, list(counted))
        assert about["月"] == 1
        assert 10 <= about["年"] <= 30
