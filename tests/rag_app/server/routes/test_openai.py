"""The API as its official clients see it, over a real model of two layers."""

import asyncio
import json
import struct
from base64 import b64decode
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from langchain_core.outputs import ChatGenerationChunk

from rag_app.models.registry import load_llm
from rag_app.settings import load_settings
from tests.rag_app.server.serving import Served, official_of, serving, upload
from tests.scripted import ScriptedChatModel
from tests.tiny_models import ANSWER

ASKED: Any = [{"role": "user", "content": "答案是什么？"}]
CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def model(tiny_llm: Path) -> Any:
    return load_llm(load_settings(llm=str(tiny_llm), max_new_tokens=60, parallel=4))


@pytest.fixture
def tiny(model: Any, home: Path) -> Iterator[Served]:
    with serving(llm=model, max_new_tokens=60, parallel=4) as served:
        yield served


JSON = {"type": "json_object"}
MUST_CALL: Any = {"tools": [{}], "tool_choice": "required"}
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
NAME = "qwen2.5-coder-1.5b-instruct"  # what the settings call the model that the test puts in


def test_models(official: openai.OpenAI, tiny: Served) -> None:
    with tiny.client() as client:
        client.post("/v1/indexes", json={"name": "合同"})
    ids = [one.id for one in official.models.list()]
    assert ids == [NAME, "multilingual-e5-small", "rag:合同"]
    assert official.models.retrieve("rag:合同").object == "model"
    with pytest.raises(openai.NotFoundError):
        official.models.retrieve("gpt-4")


def test_a_chat(official: openai.OpenAI) -> None:
    answer = official.chat.completions.create(model=NAME, messages=ASKED)
    assert answer.choices[0].message.content == ANSWER
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_a_stream_has_the_standards_form(official: openai.OpenAI) -> None:
    stream = official.chat.completions.create(
        model=NAME, messages=ASKED, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert chunks[0].choices[0].delta.role == "assistant"
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == ANSWER
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage
    assert [chunk.usage for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert len({chunk.id for chunk in chunks}) == 1


def test_lines_of_a_stream(tiny: Served) -> None:
    body = {"messages": ASKED, "stream": True}
    with tiny.client() as client:
        answer = client.post("/v1/chat/completions", json=body)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text.endswith("data: [DONE]\n\n")
    assert all(json.loads(e[6:]) for e in answer.text.split("\n\n")[:-2])


async def test_async_clients_are_answered_together(tiny: Served) -> None:
    async with openai.AsyncOpenAI(base_url=f"{tiny.url}/v1", api_key="none") as client:
        asked = [client.chat.completions.create(model=NAME, messages=ASKED) for _ in range(8)]
        answers = await asyncio.gather(*asked)
    assert [one.choices[0].message.content for one in answers] == [ANSWER] * 8


def test_several_choices_stops_and_limits(official: openai.OpenAI) -> None:
    chat = official.chat.completions.create
    several = chat(model=NAME, messages=ASKED, n=3, temperature=0.5, seed=1)
    assert [choice.index for choice in several.choices] == [0, 1, 2]
    streamed: dict[int, str] = {}
    for chunk in chat(model=NAME, messages=ASKED, n=2, stream=True):
        choice = chunk.choices[0]
        streamed[choice.index] = streamed.get(choice.index, "") + (choice.delta.content or "")
    assert streamed == {0: ANSWER, 1: ANSWER}
    stopped = chat(model=NAME, messages=ASKED, stop=["逝于", "。"]).choices[0]
    assert (stopped.message.content, stopped.finish_reason) == ("李白病", "stop")
    cut = chat(model=NAME, messages=ASKED, max_completion_tokens=3).choices[0]
    assert ANSWER.startswith(cut.message.content or "x")
    assert cut.finish_reason == "length"


def test_parts_of_a_message_and_penalties(official: openai.OpenAI) -> None:
    parts: Any = [{"role": "user", "content": [{"type": "text", "text": "答案是什么？"}]}]
    more = {"repetition_penalty": 1.05, "top_k": 5}
    answer = official.chat.completions.create(
        model=NAME, messages=parts, presence_penalty=0.1, frequency_penalty=0.1, extra_body=more
    )
    assert answer.choices[0].message.content


def test_plain_completions(official: openai.OpenAI) -> None:
    one = official.completions.create(model=NAME, prompt="答案是", max_tokens=4)
    assert one.object == "text_completion"
    assert one.usage
    assert one.usage.completion_tokens <= 4
    two = official.completions.create(model=NAME, prompt=["甲", "乙"], n=2, max_tokens=2)
    assert [choice.index for choice in two.choices] == [0, 1, 2, 3]
    stream = official.completions.create(model=NAME, prompt="答案是", max_tokens=4, stream=True)
    assert "".join(chunk.choices[0].text for chunk in stream) == one.choices[0].text


def test_embeddings_as_base64_and_numbers(official: openai.OpenAI, tiny: Served) -> None:
    model = "multilingual-e5-small"
    vectors = official.embeddings.create(model=model, input=["甲", "乙"]).data  # base64 inside
    plain = official.embeddings.create(model=model, input="甲", encoding_format="float")
    assert vectors[0].embedding == pytest.approx(plain.data[0].embedding, abs=1e-6)
    assert [one.index for one in vectors] == [0, 1]
    with tiny.client() as client:
        body = {"input": "甲", "encoding_format": "base64"}
        (raw,) = client.post("/v1/embeddings", json=body).json()["data"]
    numbers = struct.unpack("<64f", b64decode(raw["embedding"]))
    assert list(numbers) == pytest.approx(plain.data[0].embedding, abs=1e-6)
    assert sum(number**2 for number in numbers) == pytest.approx(1, abs=1e-5)


def test_langchain_is_a_client_too(tiny: Served) -> None:
    from langchain_openai import ChatOpenAI, OpenAIEmbeddings
    from pydantic import SecretStr

    key = SecretStr("none")
    chat = ChatOpenAI(base_url=f"{tiny.url}/v1", api_key=key, model=NAME)
    assert chat.invoke("答案是什么？").text == ANSWER
    assert "".join(chunk.text for chunk in chat.stream("答案是什么？")) == ANSWER
    embeddings = OpenAIEmbeddings(
        base_url=f"{tiny.url}/v1",
        api_key=key,
        model="multilingual-e5-small",
        check_embedding_ctx_length=False,
    )
    assert len(embeddings.embed_query("甲")) == 64
    assert len(embeddings.embed_documents(["甲", "乙", "丙"])) == 3


@pytest.mark.parametrize(
    ("path", "body", "status", "param"),
    [
        ("chat/completions", {}, 400, "messages"),
        ("chat/completions", {"messages": []}, 400, "messages"),
        ("chat/completions", {"messages": [{"role": "king", "content": "x"}]}, 400, None),
        ("chat/completions", {"messages": ASKED, "model": "gpt-4"}, 404, "model"),
        ("chat/completions", {"messages": ASKED, "model": "rag:nowhere"}, 404, None),
        ("chat/completions", {"messages": ASKED, "model": f"rag:{'长' * 300}"}, 404, None),
        ("chat/completions", {"messages": ASKED, "temperature": -1}, 400, "temperature"),
        ("chat/completions", {"messages": ASKED, "temperature": "hot"}, 400, "temperature"),
        ("chat/completions", {"messages": ASKED, "n": 0}, 400, "n"),
        ("chat/completions", {"messages": ASKED, "max_tokens": 0}, 400, "max_tokens"),
        ("chat/completions", {"messages": ASKED, "logprobs": True}, 400, "logprobs"),
        ("chat/completions", {"messages": ASKED, "stop": ["x"] * 17}, 400, "stop"),
        ("chat/completions", {"messages": ASKED, "top_logprobs": 2}, 400, "top_logprobs"),
        ("chat/completions", {"messages": ASKED, **MUST_CALL}, 400, "tools"),
        ("chat/completions", {"messages": ASKED, "functions": [{}]}, 400, "functions"),
        ("chat/completions", {"messages": ASKED, "logit_bias": {"5": 1}}, 400, "logit_bias"),
        ("chat/completions", {"messages": ASKED, "response_format": JSON}, 400, "response_format"),
        ("chat/completions", {"messages": ASKED, "model": "multilingual-e5-small"}, 400, "model"),
        ("chat/completions", {"messages": ASKED, "top_k": -2}, 400, "top_k"),
        ("completions", {}, 400, "prompt"),
        ("completions", {"prompt": []}, 400, None),
        ("completions", {"prompt": [1, 2]}, 400, "prompt"),
        ("completions", {"prompt": "x", "echo": True}, 400, "echo"),
        ("embeddings", {"input": []}, 400, None),
        ("embeddings", {"input": ""}, 400, "input"),
        ("embeddings", {"input": [[1, 2, 3]]}, 400, "input"),
        ("embeddings", {"input": "x", "dimensions": 7}, 400, "dimensions"),
        ("embeddings", {"input": "x", "model": "ada"}, 404, "model"),
    ],
)
def test_what_is_wrong_is_said(
    path: str, body: Any, status: int, param: str | None, client: httpx.Client
) -> None:
    answer = client.post(f"/v1/{path}", json=body)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    if param:
        assert error["param"] == param


def text_part(text: str, kind: str = "text") -> dict[str, str]:
    return {"type": kind, kind: text}


@pytest.mark.parametrize(
    ("message", "read"),
    [
        ({"role": "user", "content": "甲"}, "甲"),
        ({"role": "user", "content": [text_part("甲"), text_part("乙")]}, "甲\n乙"),
        ({"role": "assistant", "content": None, "tool_calls": []}, ""),
        ({"role": "assistant"}, ""),
        ({"role": "assistant", "content": [text_part("不行", "refusal")]}, "不行"),
        ({"role": "developer", "content": "甲", "name": "x"}, "甲"),
        ({"role": "system", "content": ""}, ""),
    ],
)
def test_content_is_read_as_the_standard_says(
    message: Any, read: str, served: Served, client: httpx.Client
) -> None:
    answer = client.post("/v1/chat/completions", json={"messages": [message, *ASKED]})
    assert answer.status_code == 200, answer.text
    assert served.model.prompts == [f"{read}\n{ASKED[0]['content']}"]


@pytest.mark.parametrize(
    ("message", "field", "said"),
    [
        ({"role": "user", "content": None}, "content", "needs content"),
        ({"role": "user"}, "content", "needs content"),
        ({"role": "user", "content": [IMAGE]}, "content", "image_url parts are not supported"),
        ({"role": "user", "content": [text_part("x", "refusal")]}, "content", "refusal parts"),
        ({"role": "user", "content": [{"type": "text"}]}, "content", "needs text"),
        ({"role": "tool", "tool_call_id": "1", "content": "x"}, "role", "tool messages are not"),
        ({"role": "function", "name": "f", "content": "x"}, "role", "function messages are not"),
    ],
)
def test_content_that_is_not_understood(
    message: Any, field: str, said: str, client: httpx.Client
) -> None:
    asked = [message] if message["role"] == "user" else [message, *ASKED]
    for model in ("default", "rag:合同"):
        client.post("/v1/indexes", json={"name": "合同"})
        body = {"model": model, "messages": asked}
        answer = client.post("/v1/chat/completions", json=body)
        assert answer.status_code == 400
        error = answer.json()["error"]
        assert error["param"] == f"messages.0.{field}"
        assert said in error["message"]


TUTORIAL = (
    '{"messages": [{"role": "user","message": "给我讲一些有关杭州的故事吧"}], '
    '"repetition_penalty": 1.0}'
)
"""Word for word: it says `message` in place of `content`."""


def test_the_tutorials_chat(served: Served, client: httpx.Client) -> None:
    headers = {"Content-Type": "application/json"}
    answer = client.post(CHAT, content=TUTORIAL.encode(), headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"][0]["message"]["content"] == "答案是四十二。"
    assert served.model.prompts == ["给我讲一些有关杭州的故事吧"]


@pytest.mark.parametrize(
    ("message", "read"),
    [
        ({"message": "杭州", "content": "西湖"}, "西湖"),
        ({"message": "杭州", "content": None}, "杭州"),
        ({"message": [{"type": "text", "text": "杭州"}]}, "杭州"),
        ({"message": None, "content": "西湖"}, "西湖"),
    ],
)
def test_message_is_another_name_of_content(
    message: dict[str, Any], read: str, served: Served, client: httpx.Client
) -> None:
    answer = client.post(CHAT, json={"messages": [{"role": "user", **message}]})
    assert answer.status_code == 200, answer.text
    assert served.model.prompts == [read]


def test_a_message_that_is_no_text(client: httpx.Client) -> None:
    wrong = client.post(CHAT, json={"messages": [{"role": "user", "message": 42}]})
    assert wrong.status_code == 400
    assert wrong.json()["error"]["param"] == "messages.0.message"


def test_each_kind_of_model_has_its_endpoint(client: httpx.Client) -> None:
    client.post("/v1/indexes", json={"name": "合同"})
    answer = client.post("/v1/completions", json={"model": "rag:合同", "prompt": "x"})
    assert answer.status_code == 400
    assert "/v1/chat/completions" in answer.json()["error"]["message"]


def test_many_texts_in_one_request(served: Served, client: httpx.Client) -> None:
    served.replies = [lambda prompt: f"<{prompt}>"]
    prompts = [f"第{number}段" for number in range(16)]
    answer = client.post("/v1/completions", json={"prompt": prompts, "n": 16}).json()
    assert [one["index"] for one in answer["choices"]] == list(range(256))
    said = [one["text"] for one in answer["choices"]]
    assert said == [f"<{prompt}>" for prompt in prompts for _ in range(16)]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000])
def test_bodies_that_are_none(body: bytes, client: httpx.Client) -> None:
    headers = {"content-type": "application/json"}
    answer = client.post("/v1/chat/completions", content=body, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


class Foreign(ScriptedChatModel):
    """A model of another provider, with its own name for the end of a text."""

    async def _astream(self, *arguments: Any, **options: Any) -> AsyncIterator[ChatGenerationChunk]:
        async for chunk in super()._astream(*arguments, **options):
            if chunk.message.response_metadata:
                chunk.message.response_metadata["finish_reason"] = "END_TURN"
            yield chunk


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
def test_reasons_for_the_end_are_those_of_the_standard(path: str, home: Path) -> None:
    body = {"prompt": "甲", "messages": [{"role": "user", "content": "甲"}]}
    with serving(llm=Foreign(replies=["好。"])) as served, served.client() as client:
        (choice,) = client.post(path, json=body).json()["choices"]
        assert choice["finish_reason"] == "stop"
        lines = client.post(path, json={**body, "stream": True}).text.split("\n\n")
        last = json.loads(lines[-3].removeprefix("data: "))
        assert last["choices"][0]["finish_reason"] == "stop"


def test_a_prompt_beyond_the_window(tiny: Served) -> None:
    body = {"messages": [{"role": "user", "content": "长" * 5000}]}
    with tiny.client() as client:
        answer = client.post("/v1/chat/completions", json=body)
        assert answer.status_code == 400
        assert "maximum context length is" in answer.json()["error"]["message"]
        assert answer.json()["error"]["code"] == "context_length_exceeded"
        streamed = client.post("/v1/chat/completions", json={**body, "stream": True})
    assert '"error"' in streamed.text
    with openai.OpenAI(base_url=f"{tiny.url}/v1", api_key="none") as official:
        stream = official.chat.completions.create(
            model=NAME, messages=[{"role": "user", "content": "长" * 5000}], stream=True
        )
        with pytest.raises(openai.APIError, match="context length"):
            list(stream)


# Documents behind the same endpoint


def test_documents_answer_with_citations(served: Served, client: httpx.Client) -> None:
    upload(client, "合同", **{"李白.txt": "李白晚年投奔族叔，宝应元年在当涂病逝。"})
    served.replies = ["李白在当涂病逝。"]
    body = {
        "model": "rag:合同",
        "messages": [{"role": "user", "content": "李白在哪里病逝？"}],
        "threshold": 0,
        "marks": True,
    }
    answer = client.post("/v1/chat/completions", json=body).json()
    assert answer["choices"][0]["message"]["content"] == "李白在当涂病逝[1]。"
    (citation,) = answer["rag"]["citations"]
    assert (citation["name"], citation["marker"]) == ("李白.txt", 1)
    assert answer["rag"]["answered"] is True
    assert answer["rag"]["evidence"]["sentence"] == "李白晚年投奔族叔，宝应元年在当涂病逝。"
    assert answer["rag"]["confidence"]["signals"]["supported"] is True
    assert answer["usage"]["completion_tokens"] == 8
    text = client.post("/v1/chat/completions", json={**body, "stream": True}).text
    told = [json.loads(e[6:]) for e in text.split("\n\n") if e.startswith("data: {")]
    shown = "".join(e["choices"][0]["delta"].get("content", "") for e in told if e["choices"])
    assert shown == "李白在当涂病逝[1]。"
    (likely,) = [n for n, e in enumerate(told) if e.get("rag", {}).get("likely")]
    assert told[likely]["rag"]["likely"]["sentence"] == "李白晚年投奔族叔，宝应元年在当涂病逝。"
    assert not any(e["choices"][0]["delta"].get("content") for e in told[: likely + 1])
    (last,) = [e["rag"] for e in told if e.get("rag") and e["rag"]["confidence"]]
    assert {name: last[name] for name in ("confidence", "evidence")} == {
        name: answer["rag"][name] for name in ("confidence", "evidence")
    }


def test_nothing_relevant_asks_no_model(served: Served, client: httpx.Client) -> None:
    upload(client, "合同", **{"李白.txt": "李白晚年投奔族叔，宝应元年在当涂病逝。"})
    asked = [{"role": "user", "content": "斑马 量子？"}]
    body = {"model": "rag:合同", "messages": asked}
    answer = client.post("/v1/chat/completions", json=body).json()
    assert answer["rag"]["answered"] is False
    assert served.model.prompts == []


def test_a_conversation_makes_the_question_stand_alone(
    served: Served, client: httpx.Client
) -> None:
    upload(client, "合同", **{"李白.txt": "李白晚年投奔族叔，宝应元年在当涂病逝。"})
    served.replies = ["李白在哪里病逝？", "李白在当涂病逝。"]
    asked = [
        {"role": "user", "content": "李白是谁？"},
        {"role": "assistant", "content": "唐代诗人。"},
        {"role": "user", "content": "他在哪里病逝？"},
    ]
    body = {"model": "rag:合同", "messages": asked, "threshold": 0, "marks": False}
    answer = client.post("/v1/chat/completions", json=body).json()
    assert answer["choices"][0]["message"]["content"] == "李白在当涂病逝。"
    rewriting, answering = served.model.prompts
    assert "李白是谁？" in rewriting
    assert "问题：李白在哪里病逝？" in answering


def test_a_refined_answer_replaces_the_first(served: Served, client: httpx.Client) -> None:
    texts = {f"{n}.txt": f"甲公司的第{n}条规定。" + "内容" * 250 for n in range(3)}
    upload(client, "a", **texts)
    served.replies = ["第一个答案。", "更好的答案，另有补充。", "不变"]
    body = {
        "model": "rag:a",
        "messages": [{"role": "user", "content": "甲公司的规定？"}],
        "threshold": 0,
        "stream": True,
        "marks": False,
    }
    text = client.post("/v1/chat/completions", json=body).text
    told = [json.loads(e[6:]) for e in text.split("\n\n") if e.startswith("data: {")]
    replaced = [e for e in told if e.get("rag", {}).get("replace")]
    assert replaced[0]["choices"][0]["delta"]["content"] == "\n\n更好的答案，另有补充。"
    whole = client.post("/v1/chat/completions", json={**body, "stream": False}).json()
    assert whole["choices"][0]["message"]["content"]


@pytest.mark.parametrize(
    "more",
    [
        {"n": 2},
        {"logit_bias": {"5": 1}},
        {"response_format": JSON},
        MUST_CALL,
        {"logprobs": True},
    ],
)
def test_what_documents_cannot_answer_with(more: Any, client: httpx.Client) -> None:
    client.post("/v1/indexes", json={"name": "合同"})
    body = {"model": "rag:合同", "messages": ASKED, **more}
    answer = client.post("/v1/chat/completions", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] in more


@pytest.mark.parametrize(
    ("stop", "shown"),
    [
        ("病", "李白在当涂[1]"),
        (["逝。", "涂病"], "李白在当[1]"),
        ("没有这些字", "李白在当涂病逝[1]。"),
        ("。\n", "李白在当涂病逝[1]。"),
        ("李", ""),
    ],
)
def test_an_answer_from_documents_ends_before_a_stop(
    stop: Any, shown: str, served: Served, client: httpx.Client
) -> None:
    upload(client, "合同", **{"李白.txt": "李白晚年投奔族叔，宝应元年在当涂病逝。"})
    served.replies = ["李白在当涂病逝。"]
    asked = [{"role": "user", "content": "李白在哪里病逝？"}]
    body = {"model": "rag:合同", "messages": asked, "stop": stop, "marks": True}
    (choice,) = client.post("/v1/chat/completions", json=body).json()["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == (shown, "stop")
    text = client.post("/v1/chat/completions", json={**body, "stream": True}).text
    told = [json.loads(e[6:]) for e in text.split("\n\n") if e.startswith("data: {")]
    assert "".join(e["choices"][0]["delta"].get("content", "") for e in told) == shown


def test_system_messages_say_how_documents_answer(served: Served, client: httpx.Client) -> None:
    upload(client, "合同", **{"李白.txt": "李白晚年投奔族叔，宝应元年在当涂病逝。"})
    served.replies = ["李白在当涂病逝。"]
    style = {"role": "system", "content": "只用文言文。{question}"}
    asked = {"role": "user", "content": "李白在哪里病逝？"}
    body: Any = {"model": "rag:合同", "messages": [style, asked]}
    answer = client.post("/v1/chat/completions", json=body).json()
    assert "当涂" in answer["choices"][0]["message"]["content"]
    plain = {**body, "messages": [asked]}
    client.post("/v1/chat/completions", json=plain)
    styled, unstyled = served.model.prompts
    assert styled.startswith(unstyled)  # what is kept of the passages serves both
    added = styled.removeprefix(unstyled)
    assert style["content"] in added
    assert "只能出自上面的资料" in added
    body["messages"] = [{"role": "developer", "content": "很" * 5000}, asked]
    long = client.post("/v1/chat/completions", json=body).json()
    assert any("system messages" in note for note in long["rag"]["notes"])


def test_an_answer_from_documents_that_is_cut_off_says_so(tiny: Served) -> None:
    with tiny.client() as client:
        upload(client, "合同", **{"李白.txt": "答案是李白病逝于当涂。"})
        body = {"model": "rag:合同", "messages": ASKED, "threshold": 0, "max_tokens": 3}
        cut = client.post("/v1/chat/completions", json=body).json()
        assert cut["choices"][0]["finish_reason"] == "length"
        streamed = client.post("/v1/chat/completions", json={**body, "stream": True}).text
        assert '"finish_reason": "length"' in streamed
        whole = client.post("/v1/chat/completions", json={**body, "max_tokens": 60}).json()
        assert whole["choices"][0]["finish_reason"] == "stop"


# The real thing


@pytest.mark.model
def test_the_default_model_says_how_probable_its_tokens_are(real_home: Path) -> None:
    from rag_app.engine import RagApp

    engine = RagApp(parallel=2, max_new_tokens=24)
    with serving(llm=engine.llm) as served, official_of(served) as official:
        chat = official.chat.completions.create(
            model=NAME,
            messages=[{"role": "user", "content": "只写数字：1+1="}],
            logprobs=True,
            top_logprobs=2,
            n=2,
        )
        assert all("2" in (choice.message.content or "") for choice in chat.choices)
        logprobs = chat.choices[0].logprobs
        assert logprobs
        assert logprobs.content
        assert logprobs.content[0].logprob <= 0
        assert len(logprobs.content[0].top_logprobs) == 2
