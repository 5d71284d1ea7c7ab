"""Questions of a conversation, made to stand alone by a model that is told its replies."""

from collections.abc import Sequence

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from rag_app.chains.questions.conversation import (
    TURNS,
    Conversation,
    condense_question_chain,
)
from tests.scripted import ScriptedChatModel

HISTORY = [HumanMessage("李白是谁？"), AIMessage("唐代诗人。")]
QUESTION = "他在哪里病逝？"
ALONE = "李白在哪里病逝？"


def run(
    llm: ScriptedChatModel, question: str = QUESTION, history: Sequence[BaseMessage] = HISTORY
) -> str:
    return condense_question_chain(llm).invoke(Conversation(question, history))


def test_the_conversation_is_read_and_the_question_rewritten() -> None:
    llm = ScriptedChatModel(replies=[ALONE])
    assert run(llm) == ALONE
    (prompt,) = llm.prompts
    assert prompt.index("李白是谁？") < prompt.index("唐代诗人。") < prompt.index(QUESTION)


async def test_async_gives_the_same() -> None:
    llm = ScriptedChatModel(replies=[ALONE])
    assert await condense_question_chain(llm).ainvoke(Conversation(QUESTION, HISTORY)) == ALONE


@pytest.mark.parametrize("history", [[], [SystemMessage("你是助手。")]])
def test_without_a_conversation_no_model_is_asked(history: list[BaseMessage]) -> None:
    llm = ScriptedChatModel(replies=["不该问到这里"])
    assert run(llm, history=history) == QUESTION
    assert llm.prompts == []


def test_the_last_turns_are_read_and_of_each_the_beginning() -> None:
    llm = ScriptedChatModel(replies=[ALONE])
    history: list[BaseMessage] = []
    for number in range(TURNS + 2):
        history += [HumanMessage(f"第{number}问"), AIMessage(f"第{number}答" + "长" * 5000)]
    run(llm, history=history)
    (prompt,) = llm.prompts
    read = [number for number in range(TURNS + 2) if f"第{number}问" in prompt]
    assert read == [2, 3, 4]
    assert len(prompt) < 1500


@pytest.mark.parametrize(
    ("question", "reply"),
    [(QUESTION, ALONE), ("Where did he die?", "Where did Li Bai die?")],
)
def test_the_question_keeps_its_language(question: str, reply: str) -> None:
    llm = ScriptedChatModel(replies=[reply])
    assert run(llm, question) == reply
    assert ("接下来的问题" in llm.prompts[0]) is (question == QUESTION)


@pytest.mark.parametrize(
    "reply",
    [" ", "他在当涂病逝。\n终年六十二岁。", "李白" * 400, "Where did Li Bai die of an illness?"],
    ids=["nothing", "an answer", "an essay", "a translation"],
)
def test_what_is_no_such_question_is_not_taken(reply: str) -> None:
    assert run(ScriptedChatModel(replies=[reply])) == QUESTION


def test_the_mark_of_a_question_is_taken_off() -> None:
    assert run(ScriptedChatModel(replies=[f"问：{ALONE}"])) == ALONE


def test_braces_in_a_conversation_are_text() -> None:
    llm = ScriptedChatModel(replies=["什么是 {host}？"])
    run(llm, "它呢？", [HumanMessage("{host} 与 {{port}}"), AIMessage("{x}")])
    assert "{host} 与 {{port}}" in llm.prompts[0]
