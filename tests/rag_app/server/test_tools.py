"""JSON by schema and calls of tools, on a file of two layers that else says nonsense."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from langchain_core.messages import AIMessageChunk
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk

from rag_app.models.llms.llamacpp import LlamaCppChat
from tests.rag_app.server.serving import Served, official_of, serving
from tests.rag_app.server.test_clients import WEATHER
from tests.scripted import ScriptedChatModel, ScriptedLocalChat

ASKED: Any = [{"role": "user", "content": "北京天气怎样？"}]
CHAT = "/v1/chat/completions"


def fixed(**values: str) -> dict[str, Any]:
    """A schema that leaves nothing open."""
    return {
        "type": "object",
        "properties": {name: {"const": value} for name, value in values.items()},
        "required": list(values),
        "additionalProperties": False,
    }


def tool(name: str, **values: str) -> Any:
    return {"type": "function", "function": {"name": name, "parameters": fixed(**values)}}


def schema(value: Any) -> Any:
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": value}}


@pytest.fixture(scope="module")
def model(tiny_gguf: Path) -> Iterator[LlamaCppChat]:
    llm = LlamaCppChat(path=tiny_gguf, context_length=4096, parallel=2, max_tokens=200, threads=1)
    yield llm
    del llm


def test_an_answer_is_as_its_schema_says(official: openai.OpenAI) -> None:
    form = schema(fixed(天气="晴"))
    chat = official.chat.completions.create
    answer = chat(model="default", messages=ASKED, response_format=form, temperature=1)
    said = json.loads(answer.choices[0].message.content or "")
    assert said == {"天气": "晴"}
    chunks = chat(model="default", messages=ASKED, response_format=form, stream=True)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert json.loads(text) == said


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"response_format": {"type": "yaml"}}, "response_format"),
        ({"response_format": {"type": "json_schema"}}, "response_format"),
        ({"response_format": schema({"type": "no such"})}, None),
        ({"response_format": schema({"$ref": "#/nowhere"})}, None),
        ({"tools": [{}]}, "tools"),
        ({"tools": ["x"]}, "tools"),
        ({"tools": [WEATHER], "tool_choice": {"function": {"name": "x"}}}, "tool_choice"),
        ({"tools": [WEATHER], "tool_choice": 7}, "tool_choice"),
    ],
)
def test_what_is_wrong_is_said(more: Any, param: str | None, tiny: Served) -> None:
    answer = httpx.post(tiny.url + CHAT, json={"messages": ASKED, **more}, timeout=60)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["param"] == param


def test_a_tool_that_must_be_called_is(official: openai.OpenAI) -> None:
    tools = [tool("get_weather", city="京"), tool("get_time", zone="东")]
    chat = official.chat.completions.create
    answer = chat(model="default", messages=ASKED, tools=tools, tool_choice="required")
    choice = answer.choices[0]
    assert (choice.finish_reason, choice.message.content) == ("tool_calls", None)
    (call,) = choice.message.tool_calls or []
    assert call.type == "function"
    assert call.function.name in ("get_weather", "get_time")
    named: Any = {"type": "function", "function": {"name": "get_time"}}
    stream = chat(model="default", messages=ASKED, tools=tools, tool_choice=named, stream=True)
    chunks = [chunk.choices[0] for chunk in stream]
    (part,) = [one.delta.tool_calls[0] for one in chunks if one.delta.tool_calls]
    assert part.function
    assert part.index == 0
    assert part.id
    assert part.function.name == "get_time"
    assert json.loads(part.function.arguments or "") == {"zone": "东"}
    assert chunks[-1].finish_reason == "tool_calls"


def nested(value: str) -> dict[str, Any]:
    """As pydantic describes a model within another."""
    place = {"type": "object", "properties": {"$ref": {"const": value}}, "required": ["$ref"]}
    return {
        "type": "object",
        "properties": {"place": {"$ref": "#/$defs/Place"}},
        "required": ["place"],
        "additionalProperties": False,
        "$defs": {"Place": {**place, "additionalProperties": False}},
    }


def test_arguments_may_have_definitions_of_their_own(official: openai.OpenAI) -> None:
    tools: Any = [
        {"type": "function", "function": {"name": name, "parameters": nested(name)}}
        for name in ("京", "东")
    ]
    chat = official.chat.completions.create
    for name in ("京", "东"):
        named: Any = {"type": "function", "function": {"name": name}}
        for choice in (named, "required"):
            answer = chat(model="default", messages=ASKED, tools=tools, tool_choice=choice)
            (call,) = answer.choices[0].message.tool_calls or []
            assert call.type == "function"
            said = json.loads(call.function.arguments)
            assert said == {"place": {"$ref": call.function.name}}


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_with_tools_may_have_a_form(stream: bool, tiny: Served) -> None:
    body: Any = {"messages": ASKED, "tools": [tool("f", a="b")], "stream": stream}
    body |= {"response_format": schema(nested("晴")), "temperature": 1}
    seen = set()
    for seed in range(6):
        text = httpx.post(tiny.url + CHAT, json={**body, "seed": seed}, timeout=60).text
        if stream:
            told = [json.loads(one[6:]) for one in text.splitlines() if one.startswith("data: {")]
            parts = [one["choices"][0]["delta"] for one in told if one["choices"]]
            message = next(one for one in parts if one.get("content") or one.get("tool_calls"))
        else:
            message = json.loads(text)["choices"][0]["message"]
        if calls := message.get("tool_calls"):
            assert json.loads(calls[0]["function"]["arguments"]) == {"a": "b"}
        else:
            assert json.loads(message["content"]) == {"place": {"$ref": "晴"}}
        seen.add(bool(calls))
    assert seen


@pytest.mark.parametrize("arguments", ["", "{}", {}, {"city": "北京"}, '{"city": "北', "[1]", "7"])
def test_a_call_is_sent_back_as_it_came(arguments: Any, official: openai.OpenAI) -> None:
    made: Any = {
        "role": "assistant",
        "tool_calls": [
            {"id": "1", "type": "function", "function": {"name": "f", "arguments": arguments}}
        ],
    }
    messages: Any = [*ASKED, made, {"role": "tool", "tool_call_id": "1", "content": "晴"}]
    create = official.chat.completions.create
    assert create(model="default", messages=messages, max_tokens=3).choices
    if isinstance(arguments, str):
        made["function_call"] = made.pop("tool_calls")[0]["function"]
        messages[-1] = {"role": "function", "name": "f", "content": "晴"}
        assert create(model="default", messages=messages, max_tokens=3).choices


@pytest.mark.parametrize(
    "more",
    [
        {"response_format": {"type": "text"}},
        {"tool_choice": {"type": "auto"}},
        {"tool_choice": {"type": "function", "name": "get_weather"}},
        {"tool_choice": {"type": "tool", "name": "get_weather"}},
        {"tool_choice": {"type": "any"}},
    ],
)
def test_forms_in_which_clients_ask_for_a_call(more: Any, home: Path) -> None:
    with serving(llm=ScriptedLocalChat(replies=[call("北京")])) as served:
        body = {"messages": ASKED, "tools": [WEATHER], **more}
        answer = httpx.post(served.url + CHAT, json=body, timeout=60).json()
    (made,) = answer["choices"][0]["message"]["tool_calls"]
    assert json.loads(made["function"]["arguments"]) == {"city": "北京"}


def test_results_of_tools_are_read(official: openai.OpenAI) -> None:
    function = {"name": "get_weather", "arguments": '{"city": "北京"}'}
    called = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "1", "type": "function", "function": function}],
    }
    result = {"role": "tool", "tool_call_id": "1", "content": "晴，二十二度<|im_end|>"}
    messages: Any = [*ASKED, called, result]
    answer = official.chat.completions.create(
        model="default", messages=messages, tools=[WEATHER], tool_choice="none", max_tokens=5
    )
    assert answer.choices[0].finish_reason == "length"


def call(city: str) -> str:
    return json.dumps({"name": "get_weather", "arguments": {"city": city}})


@pytest.mark.parametrize(
    ("replies", "called", "shown"),
    [
        (["晴。"], None, "晴。"),
        (['{"city": "北京"}'], None, '{"city": "北京"}'),
        (["```python\n1\n```"], None, "```python\n1\n```"),
        (["`"], None, "`"),
        ([""], None, ""),
        (['{"name": oops', '{"name": "get_weather", "arguments": {"city": "北京"}}'], "北京", None),
        (
            ['```json\n{"name"', '{"name": "get_weather", "arguments": {"city": "天津"}}'],
            "天津",
            None,
        ),
        (["<tool_call>x", '{"name": "get_weather", "arguments": {"city": "上海"}}'], "上海", None),
    ],
)
def test_an_answer_is_text_or_a_call(
    replies: list[str], called: str | None, shown: str | None, home: Path
) -> None:
    with serving(llm=ScriptedLocalChat(replies=replies)) as served, served.client() as client:
        body = {"messages": ASKED, "tools": [WEATHER]}
        message = client.post(CHAT, json=body).json()["choices"][0]["message"]
        assert "get_weather" in served.model.prompts[0]
    if called:
        (made,) = message["tool_calls"]
        assert json.loads(made["function"]["arguments"]) == {"city": called}
        assert message["content"] is None
    else:
        assert (message["content"], "tool_calls" in message) == (shown, False)


def test_functions_are_the_older_form_of_tools(home: Path) -> None:
    functions: Any = [WEATHER["function"]]
    asked: Any = {"model": "default", "messages": ASKED, "functions": functions}
    with serving(llm=ScriptedLocalChat(replies=[])) as served, official_of(served) as official:
        create = official.chat.completions.create
        served.replies = ['{"name"', call("北京")]
        choice = create(**asked).choices[0]
        made = choice.message.function_call
        assert (choice.finish_reason, choice.message.tool_calls) == ("function_call", None)
        assert made
        assert (made.name, json.loads(made.arguments)) == ("get_weather", {"city": "北京"})
        served.replies = [call("天津")]
        named: Any = {"name": "get_weather"}
        chunks = list(create(**asked, function_call=named, stream=True))
        (part,) = [one for one in (c.choices[0].delta.function_call for c in chunks) if one]
        assert json.loads(part.arguments or "") == {"city": "天津"}
        assert chunks[-1].choices[0].finish_reason == "function_call"
        served.replies = ["晴。"]
        result = {"role": "function", "name": "get_weather", "content": "晴，二十二度"}
        asked["messages"] = [*ASKED, choice.message.to_dict(), result]
        assert create(**asked).choices[0].message.content == "晴。"
        assert "晴，二十二度" in served.model.prompts[-1]
        assert create(**asked, function_call="none").choices[0].message.content


def test_functions_are_passed_over_where_nothing_calls_them(served: Served) -> None:
    asked: Any = {"messages": ASKED, "functions": [WEATHER["function"]]}
    answer = httpx.post(served.url + CHAT, json=asked, timeout=60).json()
    assert answer["choices"][0]["message"]["content"] == "答案是四十二。"
    asked["function_call"] = {"name": "get_weather"}
    error = httpx.post(served.url + CHAT, json=asked, timeout=60).json()["error"]
    assert error["param"] == "functions"


@pytest.mark.parametrize("stream", [False, True])
def test_tools_that_do_not_fit_the_window_are_passed_over(home: Path, stream: bool) -> None:
    model = ScriptedLocalChat(replies=["晴。"], context_length=1500)
    large = {**WEATHER, "function": {**WEATHER["function"], "description": "天气" * 500}}
    with serving(llm=model) as served, served.client() as client:
        for tools, passed in [([WEATHER], False), ([large], True)]:
            body = {"model": "default", "messages": ASKED, "tools": tools, "stream": stream}
            answer = client.post(CHAT, json=body)
            assert answer.status_code == 200
            assert "晴" in answer.text
            assert ("take too much of the model's window" in answer.text) is passed
            assert ("get_weather" in model.prompts[-1]) is not passed


class ProvidersModel(ScriptedChatModel):
    """One of a provider's package, which makes calls of tools in its own way."""

    def bind_tools(self, tools: Any, **options: Any) -> Any:
        return self.bind(offered=[one["function"]["name"] for one in tools], **options)

    async def _astream(self, *args: Any, **options: Any) -> AsyncIterator[ChatGenerationChunk]:
        self.prompts.append(json.dumps([options["offered"], options.get("tool_choice")]))
        part = tool_call_chunk(name="get_weather", args='{"city": "北京"}', id="1", index=0)
        yield ChatGenerationChunk(message=AIMessageChunk(content="", tool_call_chunks=[part]))


@pytest.mark.parametrize(
    ("choice", "meant"),
    [
        (None, None),
        ("auto", "auto"),
        ("required", "any"),
        ({"type": "function", "function": {"name": "get_weather"}}, "get_weather"),
    ],
)
def test_a_providers_model_calls_tools(choice: Any, meant: str | None, home: Path) -> None:
    model = ProvidersModel(replies=[])
    with serving(llm=model) as served, official_of(served) as official:
        more: Any = {"tool_choice": choice} if choice else {}
        answer = official.chat.completions.create(
            model="default", messages=ASKED, tools=[WEATHER], **more
        )
    (made,) = answer.choices[0].message.tool_calls or []
    assert made.type == "function"
    assert json.loads(made.function.arguments) == {"city": "北京"}
    assert json.loads(model.prompts[-1]) == [["get_weather"], meant]
