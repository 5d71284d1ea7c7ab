"""Ollama's API as its official client reads it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import ollama
import pytest

from rag_app.server.middleware.access import Access
from rag_app.settings import load_settings
from tests.rag_app.server.serving import Served, serving
from tests.rag_app.server.test_clients import WEATHER
from tests.rag_app.server.test_tools import call
from tests.scripted import ScriptedLocalChat

ASKED = [{"role": "user", "content": "李白在哪里病逝？"}]
MARKED = "李白在当涂病逝[1]。\n\n出处：\n[1] 李白.txt"
NAME = "qwen2.5-coder-1.5b-instruct"


@pytest.fixture
def official(poets: Served) -> Iterator[ollama.Client]:
    with ollama.Client(poets.url) as client:
        yield client


def test_models(official: ollama.Client, poets: Served) -> None:
    listed = official.list().models
    assert [model.model for model in listed] == [NAME, "multilingual-e5-small", "rag:诗"]
    assert len({model.digest for model in listed}) == 3
    assert [model.model for model in official.ps().models] == [NAME]
    assert official.show("rag:诗:latest").capabilities == ["completion"]
    assert official.show("multilingual-e5-small").capabilities == ["embedding"]
    with poets.client() as client:
        assert client.get("/api/version").json()["version"].count(".") == 2
        assert client.head("/").status_code == 200


def test_a_file_says_what_it_is(tiny_gguf: Path, home: Path) -> None:
    settings = load_settings(llm=str(tiny_gguf))
    with (
        serving(llm=ScriptedLocalChat(replies=[""]), settings=settings) as served,
        ollama.Client(served.url) as client,
    ):
        (shown, *_) = client.list().models
        assert shown.model == tiny_gguf.stem
        assert shown.size == tiny_gguf.stat().st_size
        details = client.show(tiny_gguf.stem)
        assert details.details
        assert details.details.format == "gguf"
        assert details.modelinfo
        family = details.details.family
        assert details.modelinfo[f"{family}.context_length"] > 0
        assert details.capabilities == ["completion", "tools"]


@pytest.mark.parametrize("model", ["rag:诗", "rag:诗:latest"])
def test_documents_answer(official: ollama.Client, model: str) -> None:
    answer = official.chat(model, ASKED)
    assert answer.message.content == MARKED
    assert (answer.model, answer.done, answer.done_reason) == (model, True, "stop")
    assert answer.eval_count == 8
    assert answer.prompt_eval_count
    *pieces, last = official.chat(model, ASKED, stream=True)
    assert "".join(piece.message.content or "" for piece in pieces) == MARKED
    assert not any(piece.done for piece in pieces)
    assert (last.done, last.eval_count, last.message.content) == (True, 8, "")
    assert (last.total_duration or 0) >= (last.eval_duration or 0)


def test_prompts(official: ollama.Client, poets: Served) -> None:
    answer = official.generate(NAME, "他是谁？", system="用一句话。")
    assert answer.response == "李白在当涂病逝。"
    assert poets.model.prompts == ["用一句话。\n他是谁？"]
    pieces = official.generate("rag:诗", ASKED[0]["content"], stream=True)
    assert "".join(piece.response or "" for piece in pieces) == MARKED


@pytest.mark.parametrize("stream", [False, True])
def test_a_text_as_it_stands(stream: bool, official: ollama.Client, poets: Served) -> None:
    asked: Any = {
        "model": NAME,
        "prompt": "床前明月光",
        "system": "短",
        "raw": True,
        "stream": stream,
    }
    told: Any = official.generate(**asked)
    pieces = list(told) if stream else [told]
    assert "".join(piece.response or "" for piece in pieces) == "李白在当涂病逝。"
    assert (pieces[-1].done, pieces[-1].done_reason) == (True, "stop")
    assert pieces[-1].eval_count == 8
    assert poets.model.prompts == ["床前明月光"]
    with pytest.raises(ollama.ResponseError, match="/v1/chat/completions only"):
        official.generate("rag:诗", "x", raw=True)


def test_a_model_is_loaded_already(official: ollama.Client, poets: Served) -> None:
    assert official.chat("default", []).done_reason == "load"
    assert official.generate("default", keep_alive=0).done_reason == "load"
    assert poets.model.prompts == []


def test_options_are_those_of_a_chat(official: ollama.Client) -> None:
    stopped = official.chat("rag:诗", ASKED, options={"stop": ["病"], "num_ctx": 64})
    assert (stopped.message.content or "").startswith("李白在当涂[1]")
    unlimited = official.chat("default", ASKED, options={"num_predict": -1, "mirostat": 1})
    assert unlimited.message.content == "李白在当涂病逝。"


def test_tools_and_forms(schemed: Served) -> None:
    schemed.replies = ['{"name"', call("北京")]
    with ollama.Client(schemed.url) as client:
        asked: list[Any] = [{"role": "user", "content": "北京天气怎样？"}]
        answer = client.chat("default", asked, tools=[WEATHER])
        (made,) = answer.message.tool_calls or []
        assert (made.function.name, made.function.arguments) == ("get_weather", {"city": "北京"})
        schemed.replies = ["晴。"]
        result = {"role": "tool", "tool_name": "get_weather", "content": "晴，二十二度"}
        told = client.chat("default", [*asked, answer.message, result], tools=[WEATHER])
        assert told.message.content == "晴。"
        assert schemed.model.prompts[-1].endswith("晴，二十二度")
        faulty: Any = {"function": {"name": "get_weather", "arguments": 5}}
        said = {"role": "assistant", "tool_calls": [faulty]}
        body = {"model": "default", "messages": [*asked, said, result]}
        refused = httpx.post(f"{schemed.url}/api/chat", json=body)
        assert "a call is {id, type, function: {name, arguments}}" in refused.json()["error"]
        schemed.replies = [call("天津")]
        pieces = client.chat("default", asked, tools=[WEATHER], stream=True)
        (streamed,) = [one.message.tool_calls for one in pieces if one.message.tool_calls]
        assert streamed[0].function.arguments == {"city": "天津"}
        schemed.replies = ['{"city": "北京"}']
        schema = WEATHER["function"]["parameters"]
        assert client.generate("default", "哪里？", format=schema).response == '{"city": "北京"}'
        assert client.generate("default", "哪里？", format="json").response == '{"city": "北京"}'


def test_vectors(official: ollama.Client, poets: Served) -> None:
    two = official.embed("multilingual-e5-small", ["甲", "乙"]).embeddings
    one = official.embed("default", "甲").embeddings
    assert list(two[0]) == list(one[0])
    assert list(official.embeddings("default", "甲").embedding) == list(one[0])
    with poets.client() as client:
        plain = client.post("/v1/embeddings", json={"input": "甲"}).json()["data"][0]["embedding"]
    assert list(one[0]) == pytest.approx(plain)


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("chat", {"model": "llama3", "messages": ASKED}, 404, "model 'llama3' not found"),
        ("chat", {"messages": "x"}, 400, "messages"),
        ("chat", {"messages": [{"role": "user", "images": ["eA=="]}]}, 400, "image parts"),
        ("chat", {"messages": ASKED, "options": {"temperature": 9}}, 400, "temperature"),
        ("chat", {"messages": ASKED, "format": "yaml"}, 400, "format"),
        ("generate", {"prompt": "x", "suffix": "y"}, 400, "suffix"),
        ("generate", {"prompt": "x", "template": "x"}, 400, "raw: true"),
        ("embed", {"input": "x", "model": "rag:诗"}, 400, "multilingual-e5-small does"),
        ("embed", {"input": "x", "dimensions": 7}, 400, "dimensions"),
        ("pull", {"model": "x"}, 404, "/api/pull"),
    ],
)
def test_errors_have_ollamas_form(
    path: str, body: Any, status: int, said: str, poets: Served, client: httpx.Client
) -> None:
    answer = client.post(f"/api/{path}", json=body)
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"error"}
    assert said in answer.json()["error"]


def test_an_error_in_mid_stream_is_raised(official: ollama.Client, poets: Served) -> None:
    with pytest.raises(ollama.ResponseError, match="window"):
        list(official.chat("default", [{"role": "user", "content": "长" * 9000}], stream=True))


def test_keys_are_asked_for(home: Path) -> None:
    with serving(access=Access(keys=["geheim"])) as served:
        with ollama.Client(served.url) as client:
            with pytest.raises(ollama.ResponseError, match="key is needed") as refused:
                client.list()
            assert refused.value.status_code == 401
        headers = {"Authorization": "Bearer geheim"}
        with ollama.Client(served.url, headers=headers) as client:
            assert client.list().models


def test_a_body_is_json_whatever_it_is_said_to_be(poets: Served, client: httpx.Client) -> None:
    for kind in ({}, {"Content-Type": "application/x-www-form-urlencoded"}):  # as curl's -d says
        body = b'{"model": "default", "prompt": "x", "stream": false}'
        answer = client.post("/api/generate", content=body, headers=kind)
        assert answer.json()["response"] == "李白在当涂病逝。"
    foreign = {"Content-Type": "text/plain", "Origin": "http://a.example"}
    refused = client.post("/api/generate", content=body, headers=foreign)
    assert refused.status_code == 403
