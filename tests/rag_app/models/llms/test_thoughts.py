"""Reasoning told from the answer, whatever pieces a reply comes in."""

from typing import Any

import pytest
from langchain_core.messages import AIMessageChunk
from pydantic import SecretStr

from rag_app.models.llms.openai import CompatibleChat
from rag_app.models.llms.thoughts import Thoughts, opens_thoughts


def parts_of(llm: Any, reply: str, size: int, reason: str = "stop") -> tuple[str, str]:
    """The answer and the reasoning that are shown of a reply in pieces."""
    thoughts = Thoughts(llm)
    pieces = [AIMessageChunk(content=reply[at : at + size]) for at in range(0, len(reply), size)]
    pieces.append(AIMessageChunk(content="", response_metadata={"finish_reason": reason}))
    answer = reasoning = ""
    for piece in pieces:
        shown = thoughts.add(piece)
        answer = shown.text if thoughts.restarted else answer + shown.text
        reasoning += shown.additional_kwargs.get("reasoning_content", "")
    assert thoughts.close().text == ""
    assert thoughts.text == answer
    return answer, reasoning.strip()


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize(
    ("reply", "answer", "reasoning"),
    [
        ("<think>\n何时？\n</think>\n\n在当涂。", "在当涂。", "何时？"),
        ("何时？</think>在当涂。", "在当涂。", "何时？"),
        ("a < b </t 在当涂。", "a < b </t 在当涂。", ""),
        ("<thin", "<thin", ""),
        ("<think>何时？", "", "何时？"),
    ],
)
def test_a_reply_in_pieces(size: int, reply: str, answer: str, reasoning: str) -> None:
    assert parts_of(None, reply, size) == (answer, reasoning)


def server(name: str = "deepseek-r1") -> CompatibleChat:
    opened = name == "deepseek-r1"
    return CompatibleChat(
        base_url="http://x", api_key=SecretStr("none"), model=name, opens_thoughts=opened
    )


@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize(
    ("reply", "reason", "answer"),
    [
        ("何时？\n</think>\n在当涂。", "stop", "在当涂。"),
        ("在当涂。", "stop", "在当涂。"),
        ("何时？", "length", ""),
    ],
)
def test_a_model_whose_template_opens_the_reasoning(
    size: int, reply: str, reason: str, answer: str
) -> None:
    assert parts_of(server(), reply, size, reason)[0] == answer


def test_what_a_reply_showed_is_known_of_the_next() -> None:
    llm = server("a-model")
    assert parts_of(llm, "何时？</think>在当涂。", 1) == ("在当涂。", "何时？")
    thoughts = Thoughts(llm)
    assert thoughts.add(AIMessageChunk(content="何时？")).text == ""
    assert thoughts.add(AIMessageChunk(content="</think>在当涂。")).text == "在当涂。"


def test_a_server_that_parts_them_itself() -> None:
    thoughts = Thoughts(server())
    extra = {"reasoning_content": "何时？"}
    shown = thoughts.add(AIMessageChunk(content="", additional_kwargs=extra))
    assert shown.additional_kwargs == extra
    assert thoughts.add(AIMessageChunk(content="在当涂。")).text == "在当涂。"


def test_a_prompt_that_ends_with_the_tag() -> None:
    assert opens_thoughts("<|assistant|><think>\n")
    assert not opens_thoughts("<think></think>\n")
