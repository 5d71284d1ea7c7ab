"""Tools of a model of this process, which is told of them and told its replies."""

import json
import logging
from typing import Any, ClassVar

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import BaseModel

from rag_app.errors import ToolsError
from rag_app.models.llms.llamacpp import LlamaCppChat
from rag_app.models.llms.tools import written_out
from tests.scripted import ScriptedLocalChat


@tool
def weather(city: str) -> str:
    """查询城市的天气."""
    return f"{city}晴"


class Sky(BaseModel):
    """The weather of a city."""

    city: str


CALL = json.dumps({"name": "weather", "arguments": {"city": "北京"}}, ensure_ascii=False)


class Unheld(ScriptedLocalChat):
    """One without grammars."""

    follows_schemas: ClassVar[bool] = False


def called(message: AIMessage) -> list[tuple[str, Any]]:
    return [(call["name"], call["args"]) for call in message.tool_calls]


@pytest.mark.parametrize("model", [ScriptedLocalChat, Unheld])
async def test_an_agent_calls_and_answers(model: type[ScriptedLocalChat]) -> None:
    held = model is ScriptedLocalChat
    llm = model(replies=[*(['{"name" oops'] * held), CALL, "北京天气晴。"])
    agent = create_agent(llm, [weather], system_prompt="简短回答。")
    state = await agent.ainvoke({"messages": [HumanMessage("北京天气怎样？")]})
    assert [message.text for message in state["messages"][1:]] == ["", "北京晴", "北京天气晴。"]
    assert llm.prompts[0].startswith("简短回答。\n\nYou may call a function")


@pytest.mark.parametrize("choice", ["any", "required", True, "weather"])
@pytest.mark.parametrize("model", [ScriptedLocalChat, Unheld])
def test_a_call_that_must_be_made_is(model: type[ScriptedLocalChat], choice: Any) -> None:
    llm = model(replies=[f"```json\n{CALL}\n```"])
    first, *more = llm.bind_tools([weather], tool_choice=choice).stream("？")
    message = sum(more, first)
    assert called(message) == [("weather", {"city": "北京"})]
    assert message.response_metadata["finish_reason"] == "tool_calls"
    assert len(llm.prompts) == 1


def test_a_text_streams_and_none_is_told_of_tools() -> None:
    llm = ScriptedLocalChat(replies=["晴。"])
    assert [chunk.text for chunk in llm.bind_tools([weather]).stream("？")][:2] == ["晴", "。"]
    llm.bind_tools([weather], tool_choice="none").invoke("？")
    assert "weather" in llm.prompts[0]
    assert "weather" not in llm.prompts[1]


def test_a_structured_answer_without_grammars(caplog: pytest.LogCaptureFixture) -> None:
    made = json.dumps({"name": "Sky", "arguments": {"city": "北京"}})
    assert Unheld(replies=[made]).with_structured_output(Sky).invoke("？") == Sky(city="北京")
    with caplog.at_level(logging.WARNING):
        assert Unheld(replies=["晴。"]).with_structured_output(Sky).invoke("？") is None
    assert "called no tool" in caplog.text


@pytest.mark.parametrize(
    ("tools", "choice"), [([weather], "nothing"), ([{"type": "web_search"}], None)]
)
def test_what_is_no_tool_is_refused(tools: Any, choice: str | None) -> None:
    with pytest.raises(ToolsError):
        ScriptedLocalChat(replies=[CALL]).bind_tools(tools, tool_choice=choice)


def test_calls_and_results_can_be_written_out() -> None:
    call: Any = {"name": "weather", "args": {"city": "北京"}, "id": "1"}
    given = [AIMessage("", tool_calls=[call]), ToolMessage("晴", name="weather", tool_call_id="1")]
    assert [(one.type, one.text) for one in written_out(given)] == [
        ("ai", CALL),
        ("human", "weather returned: 晴"),
    ]


def test_a_file_is_held_to_a_call(tiny_gguf: Any) -> None:
    fixed: Any = {"type": "object", "properties": {"city": {"const": "京"}}, "required": ["city"]}
    fixed |= {"additionalProperties": False}
    function = {"name": "weather", "description": "天气", "parameters": fixed}
    llm = LlamaCppChat(path=tiny_gguf, context_length=1024, threads=1, max_tokens=128)
    bound = llm.bind_tools([{"type": "function", "function": function}], tool_choice="any")
    assert called(bound.invoke("北京天气怎样？")) == [("weather", {"city": "京"})]
