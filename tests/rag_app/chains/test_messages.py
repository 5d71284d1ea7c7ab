"""Answers and summaries where LangChain and LangGraph take messages, or keep what they get."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.runnables import Runnable, RunnableGenerator, RunnableLambda
from langgraph.checkpoint.memory import MemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.graph import START, MessagesState, StateGraph

from rag_app import (
    CHECKPOINT_TYPES,
    Answer,
    FaissVectorStore,
    as_message,
    rag_chain,
    summarize_chain,
)
from rag_app.chains.citations import Citation, Evidence
from rag_app.chains.messages import footer, without_footer
from tests.rag_app.index.hashing import HashingEmbeddings
from tests.scripted import JudgingChatModel, ScriptedLocalChat

QUESTION = "李白是怎样去世的？"
DEATH = Document(
    "宝应元年（762年），李白病逝于当涂。",
    metadata={"source": "/文档/李白.txt", "start": 0, "end": 20, "headings": ["晚年"]},
)
FOUND: Runnable[str, list[Document]] = RunnableLambda(lambda question: [DEATH])


def asking(*replies: str) -> Runnable[Any, Any]:
    return rag_chain(FOUND, JudgingChatModel(replies=list(replies), judgements=[4.0]))


async def test_a_message_streams_and_says_what_it_rests_on() -> None:
    chain = asking("李白病逝于当涂。") | as_message()
    whole = chain.invoke(QUESTION)
    assert (type(whole), whole.text) == (AIMessage, "李白病逝于当涂。")
    rag = whole.additional_kwargs["rag"]
    assert (rag["answered"], rag["citations"][0]["source"]) == (True, "/文档/李白.txt")
    assert rag["evidence"]["sentence"] == DEATH.page_content
    first, *more = chain.stream(QUESTION)
    assert sum(more, first).text == whole.text
    assert sum(more, first).additional_kwargs == whole.additional_kwargs
    assert "".join([chunk.text async for chunk in chain.astream(QUESTION)]) == whole.text


def test_what_takes_text_gets_it() -> None:
    chain = asking("李白病逝于当涂。") | as_message(marks=True) | StrOutputParser()
    assert chain.invoke(QUESTION) == "".join(chain.stream(QUESTION)) == "李白病逝于当涂[1]。"
    summary = summarize_chain(JudgingChatModel(replies=["李白病逝。"], judgements=[]), length=5)
    assert (summary | as_message() | StrOutputParser()).invoke(DEATH) == "李白病逝。"


def test_a_better_answer_follows_the_first_in_a_stream() -> None:
    def pieces(_: Iterator[str]) -> Iterator[Answer]:
        yield Answer(QUESTION, "不详。")
        yield Answer(text="病逝于", step=2)
        yield Answer(text="当涂。", step=2)

    chain = RunnableGenerator(pieces) | as_message() | StrOutputParser()
    assert "".join(chain.stream(QUESTION)) == "不详。\n\n病逝于当涂。"
    assert chain.invoke(QUESTION) == "病逝于当涂。"


def test_a_streamed_message_is_a_turn_of_the_history() -> None:
    chain = asking("李白病逝于当涂。") | as_message()
    first, *more = chain.stream(QUESTION)
    llm = JudgingChatModel(replies=["李白在哪年病逝？", "宝应元年。"], judgements=[4.0])
    history = [HumanMessage(QUESTION), sum(more, first)]
    rag_chain(FOUND, llm).invoke({"question": "哪一年？", "history": history})
    assert "李白病逝于当涂。" in llm.prompts[0]


def test_a_graph_keeps_messages_without_more(home: Path) -> None:
    graph = StateGraph(MessagesState)
    chain = asking("李白病逝于当涂。") | as_message()
    graph.add_node("ask", chain | (lambda message: {"messages": [message]}))
    graph.add_edge(START, "ask")
    strict = JsonPlusSerializer(allowed_msgpack_modules=None)
    kept = graph.compile(checkpointer=MemorySaver(serde=strict))
    config: Any = {"configurable": {"thread_id": "1"}}
    kept.invoke({"messages": [HumanMessage(QUESTION)]}, config)
    last = kept.get_state(config).values["messages"][-1]
    assert last.additional_kwargs["rag"]["citations"][0]["headings"] == ["晚年"]


async def test_a_graph_streams_the_tokens_of_the_answer_alone() -> None:
    llm = JudgingChatModel(replies=["李白在哪年病逝？", "李白病逝于当涂。"], judgements=[4.0])
    graph = StateGraph(MessagesState)
    chain: Runnable[Any, Any] = rag_chain(FOUND, llm) | as_message(marks=True)
    graph.add_node("ask", chain | (lambda message: {"messages": [message]}))
    graph.add_edge(START, "ask")
    asked: Any = {
        "messages": [HumanMessage(QUESTION), AIMessage("在当涂。"), HumanMessage("哪年？")]
    }
    stream: Any = graph.compile().astream(asked, stream_mode=["messages", "values"])
    streamed = [given async for given in stream]
    tokens = [given[0] for mode, given in streamed if mode == "messages"]
    assert "".join(token.text for token in tokens) == "李白病逝于当涂。"
    whole = streamed[-1][1]["messages"][-1]
    assert whole.text == "李白病逝于当涂[1]。"
    assert {token.id for token in tokens} == {whole.id}


@pytest.mark.parametrize(("said", "id_"), [("Because.", "lc_run--1"), ("Because", None)])
def test_a_message_has_the_id_of_the_models_where_it_is_that(said: str, id_: str | None) -> None:
    answer = Answer("Why?", "Because.", message=("lc_run--1", said))
    assert as_message(marks=True).invoke(answer).id == id_


def test_checkpoints_give_back_what_they_were_given() -> None:
    serializer = JsonPlusSerializer(allowed_msgpack_modules=CHECKPOINT_TYPES)
    answer = asking("李白病逝于当涂。").invoke(QUESTION)
    llm = JudgingChatModel(replies=["李白病逝。"], judgements=[])
    summary = summarize_chain(llm, length=5).invoke(DEATH)
    for value in (answer, summary):
        again = serializer.loads_typed(serializer.dumps_typed(value))
        assert again == value
        assert again.marked_text == value.marked_text
        assert hash(again.citations[0]) == hash(value.citations[0])


@pytest.mark.parametrize("pickles", ["pickle", "cloudpickle"])
def test_a_chain_goes_to_another_process(pickles: str, tmp_path: Path) -> None:
    pickled = pytest.importorskip(pickles)
    store = FaissVectorStore.from_documents([DEATH], HashingEmbeddings(), folder=tmp_path / "a")
    llm = ScriptedLocalChat(replies=["李白病逝于当涂。"], max_tokens=7)
    chain = rag_chain(store.as_retriever(), llm)
    assert chain.invoke(QUESTION).supported
    assert pickled.loads(pickled.dumps(chain)).invoke(QUESTION).supported
    said = pickled.loads(pickled.dumps(chain | as_message())).invoke(QUESTION)
    assert said.text == "李白病逝于当涂。"
    summary = pickled.loads(pickled.dumps(summarize_chain(llm, "stuff")))
    assert summary.invoke(DEATH).text
    assert copy.deepcopy(chain) is chain
    assert pickled.loads(pickled.dumps(llm)).max_tokens == 7
    again = pickled.loads(pickled.dumps(store))
    again.add_texts(["绿茶是蒸青的。"])
    assert len(store.similarity_search("绿茶", k=9)) == 2


@pytest.mark.parametrize(
    ("question", "label"),
    [
        ("李白在哪里病逝？", "出处："),
        ("Where?", "出处："),
        ("李白はどこで亡くなりましたか", "出典："),
    ],
)
def test_a_footer_is_in_the_language_of_whoever_reads_it(question: str, label: str) -> None:
    answer = Answer(question, "当涂", citations=(Citation(1, "/诗/李白.txt", "在当涂病逝。"),))
    below = footer(answer, "当涂[1]")
    assert below == f"\n\n{label}\n[1] 李白.txt"
    assert without_footer(f"当涂[1]{below}") == "当涂"


def test_below_a_refusal_are_the_sentences_nearest_to_the_question() -> None:
    passages = (
        Citation(1, "/诗/李白.txt", "生于\n碎叶。"),
        Citation(2, "/诗/杜甫.txt", "长" * 300),
    )
    near = (Evidence(2, "长" * 300), Evidence(1, "生于\n碎叶。"))
    answer = Answer("他爱喝什么？", "没有找到。", answered=False, citations=passages, nearest=near)
    below = footer(answer, answer.text)
    assert below == f"\n\n最接近的句子：\n[2] 杜甫.txt: {'长' * 200}…\n[1] 李白.txt: 生于 碎叶。"
    assert without_footer(f"没有找到。{below}") == "没有找到。"
    assert footer(Answer("他爱喝什么？", "没有找到。", answered=False), "没有找到。") == ""
    assert as_message().invoke(answer).additional_kwargs["rag"]["nearest"][1]["marker"] == 1
