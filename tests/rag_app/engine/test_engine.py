"""The Python API: one object over every part, with LangChain models of the caller's own."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.document_loaders import BaseLoader
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableLambda
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_text_splitters import MarkdownHeaderTextSplitter, RecursiveCharacterTextSplitter

import rag_app
from rag_app import RagApp
from rag_app.chains.rag import Timings
from rag_app.errors import DocumentError, IndexStoreError, QuestionError, SettingsError
from rag_app.settings import Settings
from tests.rag_app.index.hashing import HashingEmbeddings
from tests.scripted import ScriptedChatModel

FACT = "贺知章读了他的诗，称他为谪仙人。"
QUESTION = "谁称他为谪仙人？"


class ForeignEmbeddings(Embeddings):
    """LangChain's own interface, as any other package implements it."""

    def __init__(self) -> None:
        self._model = HashingEmbeddings()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return self._model.embed_query(text)


@pytest.fixture
def llm() -> ScriptedChatModel:
    return ScriptedChatModel(replies=["贺知章。"])


@pytest.fixture
def app(home: Path, llm: ScriptedChatModel) -> RagApp:
    (home / "doc.txt").write_text(FACT, encoding="utf-8")
    app = RagApp(llm=llm, embeddings=ForeignEmbeddings(), threshold=0.0)
    app.index(["doc.txt"])
    return app


def test_ask_with_models_of_the_caller(app: RagApp) -> None:
    answer = app.ask(QUESTION)
    assert answer.text == "贺知章。"
    assert answer.answered
    (citation,) = answer.citations
    assert citation.place == "doc.txt"
    assert FACT[citation.start : citation.end] == citation.text == FACT


def test_a_stream_adds_up(app: RagApp) -> None:
    pieces = list(app.stream(QUESTION))
    assert len(pieces) > 2
    assert "".join(piece.text for piece in pieces) == app.ask(QUESTION).text


def test_timings_of_a_call_are_its_own(app: RagApp) -> None:
    first, second = Timings(), Timings()
    app.ask(QUESTION, config={"callbacks": [first]})
    history = [HumanMessage("李白是谁？"), AIMessage("唐代诗人。")]
    list(app.stream(QUESTION, history, config={"callbacks": [second]}))
    parts = {"embedding model", "retrieval", "language model", "first token", "further text"}
    assert {*parts, "total"} == first.seconds.keys()
    assert {*parts, "standalone question", "total"} == second.seconds.keys()
    for seconds in (first.seconds, second.seconds):
        assert seconds["total"] >= sum(seconds.values()) - seconds["total"] > 0


def test_timings_of_a_summary(app: RagApp) -> None:
    timings = Timings()
    app.summarize("doc.txt", config={"callbacks": [timings]})
    parts = {"reading the document", "language model", "first token", "further text", "total"}
    assert timings.seconds.keys() == parts


def test_a_follow_up_is_understood(app: RagApp, llm: ScriptedChatModel) -> None:
    llm.replies = [QUESTION, "贺知章。"]
    history = [HumanMessage("李白是谁？"), AIMessage("唐代诗人。")]
    answer = app.ask("谁这样称呼他？", history)
    assert "李白是谁？" in llm.prompts[0]
    assert (answer.question, answer.text) == (QUESTION, "贺知章。")


def test_the_chain_composes_with_other_runnables(app: RagApp) -> None:
    marked = app.chain() | (lambda answer: answer.marked_text)
    assert marked.invoke(QUESTION) == "贺知章[1]。"


def test_a_retriever_of_another_package(llm: ScriptedChatModel) -> None:
    store = InMemoryVectorStore(ForeignEmbeddings())
    store.add_texts([FACT, "洗衣机保修三年。"])
    for app in (
        RagApp(llm=llm, vector_store=store, k=1),
        RagApp(llm=llm, retriever=store.as_retriever(search_kwargs={"k": 1})),
    ):
        answer = app.ask(QUESTION)
        assert answer.text == "贺知章。"
        assert [citation.text for citation in answer.citations] == [FACT]
        assert any("relevance" in note for note in answer.notes)
        assert app.retrieve(QUESTION)[0].page_content == FACT


def held(store: InMemoryVectorStore) -> dict[tuple[str, int], str]:
    """The texts in a vector store by document and position there."""
    found = store.similarity_search(QUESTION, k=1000)
    return {(d.metadata["source"], d.metadata["ordinal"]): d.page_content for d in found}


def test_a_vector_store_of_another_package_is_filled(home: Path, llm: ScriptedChatModel) -> None:
    fact, other = home / "fact.txt", home / "other.txt"
    fact.write_text(FACT, encoding="utf-8")
    other.write_text("洗衣机保修三年，电机保修十年。\n" * 2000, encoding="utf-8")
    store = InMemoryVectorStore(ForeignEmbeddings())
    app = RagApp(llm=llm, vector_store=store, k=1)
    report = app.index([fact, other])
    assert (report.added, report.failed) == (2, [])
    assert len(held(store)) == report.chunks > 65
    assert not app.store.exists()
    (citation,) = app.ask(QUESTION).citations
    assert citation.place == "fact.txt"
    assert FACT[citation.start : citation.end] == citation.text == FACT

    again = RagApp(llm=llm, vector_store=store)
    assert again.index([home]).unchanged == 2
    other.write_text("洗衣机保修五年。", encoding="utf-8")
    report = again.index([home])
    assert (report.unchanged, report.updated) == (1, 1)
    assert held(store) == {(str(fact), 0): FACT, (str(other), 0): "洗衣机保修五年。"}

    assert again.remove(["other.txt"]) == [str(other)]
    assert held(store) == {(str(fact), 0): FACT}
    with pytest.raises(DocumentError, match="not in the index"):
        again.remove(["other.txt"])
    with pytest.raises(SettingsError, match="pruned"):
        again.index([home], prune=True)
    assert again.index([other]).added == 1


class Bare(InMemoryVectorStore):
    """A store that has only what LangChain demands of one."""

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        raise NotImplementedError


class Nameless(InMemoryVectorStore):
    """A store whose passages do not say their ids, as Qdrant's."""

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        found = super().get_by_ids(ids)
        return [Document(one.page_content, metadata=one.metadata) for one in found]


class Unreplacing(InMemoryVectorStore):
    """A store that refuses passages of ids that it has, as LangChain's FAISS."""

    index_to_docstore_id: ClassVar[dict[int, str]] = {}

    def add_documents(
        self, documents: list[Document], ids: list[str] | None = None, **kwargs: Any
    ) -> list[str]:
        if self.get_by_ids(ids or []):
            raise ValueError("Tried to add ids that already exist")
        return super().add_documents(documents, ids, **kwargs)


def test_a_vector_store_that_replaces_no_passages_is_brought_up_to_date(home: Path) -> None:
    document = home / "doc.txt"
    document.write_text("洗衣机保修三年，电机保修十年。\n" * 100, encoding="utf-8")
    store = Unreplacing(ForeignEmbeddings())
    app = RagApp(vector_store=store)
    assert app.index(["doc.txt"]).chunks > 1
    document.write_text(FACT, encoding="utf-8")
    assert app.index(["doc.txt"]).updated == 1
    assert held(store) == {(str(document), 0): FACT}


def test_a_vector_store_whose_passages_do_not_say_their_ids(home: Path) -> None:
    document = home / "doc.txt"
    document.write_text("洗衣机保修三年，电机保修十年。\n" * 100, encoding="utf-8")
    store = Nameless(ForeignEmbeddings())
    app = RagApp(vector_store=store)
    assert app.index(["doc.txt"]).chunks == len(held(store)) > 1
    document.write_text(FACT, encoding="utf-8")
    assert app.index(["doc.txt"]).updated == 1
    assert held(store) == {(str(document), 0): FACT}
    app.remove(["doc.txt"])
    assert held(store) == {}


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"splitter": MarkdownHeaderTextSplitter([("#", "head")])}, "a LangChain TextSplitter"),
        ({"retriever": InMemoryVectorStore(ForeignEmbeddings())}, "as_retriever"),
        ({"vector_store": ForeignEmbeddings()}, "a LangChain VectorStore"),
        ({"embeddings": "text2vec"}, "a LangChain Embeddings"),
        ({"llm": 5}, "a LangChain chat model"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_part_of_another_kind_is_named(part: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=f"^{next(iter(part))} must be .*{said}"):
        RagApp(**part)


def test_a_function_as_a_model() -> None:
    found: Any = RunnableLambda(lambda _: [Document(FACT, metadata={"source": "doc.txt"})])
    llm: Any = RunnableLambda(lambda _: AIMessage("贺知章。"))
    app = RagApp(llm=llm, retriever=found)
    assert app.ask(QUESTION).text == "贺知章。"


def test_a_vector_store_that_cannot_look_up_gets_everything_again(home: Path) -> None:
    (home / "doc.txt").write_text(FACT, encoding="utf-8")
    store = Bare(ForeignEmbeddings())
    for _ in range(2):
        assert RagApp(vector_store=store).index(["doc.txt"]).added == 1
        assert len(held(store)) == 1
    with pytest.raises(SettingsError, match="Bare has no get_by_ids"):
        RagApp(vector_store=store).remove(["doc.txt"])


class Lines(BaseLoader):
    """A loader of another package: a document for each line."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def lazy_load(self) -> Iterator[Document]:
        for line in self.path.read_text("utf-8").splitlines():
            yield Document(line)


def test_a_splitter_and_a_loader_of_another_package(home: Path, llm: ScriptedChatModel) -> None:
    (home / "doc.txt").write_text(f"{FACT}\n洗衣机保修三年，电机保修十年。\n", encoding="utf-8")
    splitter = RecursiveCharacterTextSplitter(chunk_size=20, chunk_overlap=0, separators=["\n", ""])
    app = RagApp(
        llm=llm, embeddings=ForeignEmbeddings(), splitter=splitter, loader=Lines, threshold=0.0
    )
    assert app.index(["doc.txt"]).added == 1
    assert app.index(["doc.txt"]).unchanged == 1
    (record,) = app.documents()
    assert record.loader == "Lines"
    text = app.text_of(record.source)
    passages = app.retrieve(QUESTION)
    assert len(passages) > 1
    for passage in passages:
        start, end = passage.metadata["start"], passage.metadata["end"]
        assert text[start:end] == passage.page_content
        assert end - start <= 20


async def test_async_gives_the_same(app: RagApp) -> None:
    expected = app.ask(QUESTION)
    assert await app.aask(QUESTION) == expected
    assert "".join([piece.text async for piece in app.astream(QUESTION)]) == expected.text


async def test_many_at_once_do_not_mix(app: RagApp) -> None:
    answers = await asyncio.gather(*(app.aask(f"{QUESTION}{n}") for n in range(20)))
    assert [one.question for one in answers] == [f"{QUESTION}{n}" for n in range(20)]
    assert {one.text for one in answers} == {"贺知章。"}


def test_nothing_relevant_asks_no_model(home: Path, llm: ScriptedChatModel) -> None:
    (home / "doc.txt").write_text(FACT, encoding="utf-8")
    app = RagApp(llm=llm, embeddings=ForeignEmbeddings(), threshold=1.0)
    app.index(["doc.txt"])
    answer = app.ask(QUESTION)
    assert not answer.answered
    assert [one.place for one in answer.citations] == ["doc.txt"]
    assert llm.prompts == []


async def test_summaries(app: RagApp, home: Path) -> None:
    summary = app.summarize("doc.txt")
    assert summary.text == "贺知章。"
    assert await app.asummarize(home / "doc.txt") == summary
    assert "".join(piece.text for piece in app.stream_summary("doc.txt")) == summary.text


def test_documents_and_removal(app: RagApp, home: Path) -> None:
    (document,) = app.documents()
    assert document.source == str(home / "doc.txt")
    assert app.status()["documents"] == 1
    with pytest.raises(DocumentError, match=r"none\.txt is not in the index"):
        app.remove(["doc.txt", "none.txt"])
    assert len(app.documents()) == 1
    assert app.remove(["doc.txt"]) == [document.source]
    assert app.documents() == []


def test_questions_that_cannot_be_asked(app: RagApp) -> None:
    with pytest.raises(QuestionError, match="empty"):
        app.ask(" \n")
    with pytest.raises(QuestionError, match="100,000 characters"):
        app.ask("长" * 100_000)


def test_only_the_documents_that_are_meant_are_asked(app: RagApp, home: Path) -> None:
    (home / "别").mkdir()
    (home / "别" / "另.txt").write_text(f"另一篇也说：{FACT}仅此而已。", encoding="utf-8")
    app.index(["别"])

    def names(within: str | None) -> set[str]:
        return {
            Path(found.metadata["source"]).name for found in app.retrieve("谪仙人", within=within)
        }

    assert names(None) == {"doc.txt", "另.txt"}
    assert names("别") == names("别/*.txt") == names("另.txt") == {"另.txt"}
    (citation,) = app.ask(QUESTION, within="doc.txt").citations
    assert citation.source == str(home / "doc.txt")
    assert {piece.text for piece in app.stream(QUESTION, within="别")} >= {"贺"}
    with pytest.raises(QuestionError, match="没有"):
        app.ask(QUESTION, within="没有.txt")
    own = RagApp(llm=app.llm, retriever=app.retriever)
    with pytest.raises(SettingsError, match="within"):
        own.ask(QUESTION, within="doc.txt")


def test_asking_before_indexing(home: Path, llm: ScriptedChatModel) -> None:
    app = RagApp(llm=llm, embeddings=ForeignEmbeddings())
    with pytest.raises(IndexStoreError, match="rag-app index"):
        app.ask(QUESTION)


def test_a_model_that_failed_to_load_can_be_tried_again(home: Path) -> None:
    app = RagApp(llm=str(home / "later.gguf"))
    for _ in range(2):
        with pytest.raises(rag_app.RagAppError, match=r"later\.gguf"):
            _ = app.llm
    assert threading.active_count() < 10


class Sampling(ScriptedChatModel):
    """Has the fields that options of a call go to."""

    temperature: float = 0.0
    max_tokens: int = 400


class Starts(BaseCallbackHandler):
    """Counts calls to the model."""

    def __init__(self) -> None:
        self.count = 0

    def on_chat_model_start(self, *_: Any, **__: Any) -> None:
        self.count += 1


@pytest.fixture
def several(home: Path) -> RagApp:
    """An application over three documents that all speak of the same."""
    for number in range(3):
        (home / f"{number}.txt").write_text(f"第{number}件：{FACT}", encoding="utf-8")
    llm = Sampling(replies=["贺知章。"])
    app = RagApp(llm=llm, embeddings=HashingEmbeddings(), threshold=0.0, answer_chain="stuff")
    app.index([home / f"{number}.txt" for number in range(3)])
    return app


def test_a_view_has_options_of_its_own_and_the_same_parts(several: RagApp) -> None:
    view = several.using(k=1, temperature=0.7, max_new_tokens=5)
    assert len(view.ask(QUESTION).citations) == 1
    assert len(several.ask(QUESTION).citations) == 3
    sampled, plain = view.llm, several.llm
    assert isinstance(sampled, Sampling)
    assert isinstance(plain, Sampling)
    assert (sampled.temperature, sampled.max_tokens) == (0.7, 5)
    assert (plain.temperature, plain.max_tokens) == (0.0, 400)
    assert sampled.prompts is plain.prompts  # one model behind both
    assert (view.store, view.embeddings) == (several.store, several.embeddings)


def test_callbacks_are_told_of_the_calls_that_they_are_handed_to(several: RagApp) -> None:
    starts = Starts()
    several.ask(QUESTION, config={"callbacks": [starts]})
    several.ask(QUESTION)
    assert starts.count == 1


def test_a_view_with_a_wrong_option(several: RagApp) -> None:
    with pytest.raises(SettingsError, match="k"):
        several.using(k=0)
    with pytest.raises(SettingsError, match="colour"):
        several.using(colour="red")


def test_another_index_with_the_same_models(several: RagApp, home: Path) -> None:
    other = several.over(home / "another")
    assert not other.store.exists()
    (home / "other.txt").write_text("李阳冰是李白的族叔。", encoding="utf-8")
    other.index(["other.txt"])
    assert [Path(one.source).name for one in other.documents()] == ["other.txt"]
    assert len(several.documents()) == 3
    assert other.llm is several.llm
    assert other.settings.threshold == several.settings.threshold


def test_indexes_that_share_a_model_load_it_once(
    home: Path, llm: ScriptedChatModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[Settings] = []

    def load(settings: Settings) -> ScriptedChatModel:
        loaded.append(settings)
        return llm

    monkeypatch.setattr("rag_app.models.registry.load_llm", load)
    app = RagApp(embeddings=HashingEmbeddings())
    first, second = app.over(home / "1"), app.over(home / "2")
    assert first.llm is second.llm is app.llm is llm
    assert len(loaded) == 1


def test_settings_and_flags_are_one_namespace(home: Path) -> None:
    assert RagApp(settings=rag_app.Settings(k=3)).settings.k == 3
    assert RagApp(k=4).settings.k == 4
    with pytest.raises(rag_app.RagAppError, match="k"):
        RagApp(k=0)
    with pytest.raises(rag_app.RagAppError, match="not both"):
        RagApp(settings=rag_app.Settings(), k=3)


def test_public_names() -> None:
    for name in rag_app.__all__:
        assert getattr(rag_app, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        _ = rag_app.nothing
