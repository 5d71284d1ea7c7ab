"""What clients of OpenAI's API send and look for besides the plain question."""

import gzip
import json
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from langchain_core.messages import HumanMessage
from langchain_core.outputs import ChatGenerationChunk
from langchain_openai import ChatOpenAI
from pydantic import Field, SecretStr

from rag_app.chains.citations import Citation
from rag_app.chains.results import Answer
from rag_app.server.completions.chat import Sources
from tests.rag_app.server.serving import LI_BAI, Served, official_of, serving
from tests.scripted import ScriptedChatModel, ScriptedLocalChat

CHAT = "/v1/chat/completions"


ASKED: Any = [{"role": "user", "content": "李白在哪里病逝？"}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "查询城市的天气",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
TITLE = """### Task:
Generate a concise, 3-5 word title with an emoji summarizing the chat history.
### Output:
JSON format: { "title": "your concise title here" }
### Chat History:
<chat_history>
USER: 李白在哪里病逝？
ASSISTANT: 当涂[1]。
</chat_history>"""


@pytest.fixture
def official(poets: Served) -> Iterator[openai.OpenAI]:
    with official_of(poets) as client:
        yield client


def test_open_webui_sends_its_tools_with_every_message(official: openai.OpenAI) -> None:
    for model in ("rag:诗", "default"):
        stream = official.chat.completions.create(
            model=model, messages=ASKED, tools=[WEATHER], stream=True
        )
        chunks = list(stream)
        shown = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        assert "当涂" in shown
        grounds: list[Any] = [chunk.to_dict().get("rag", {}) for chunk in chunks]
        notes = [note for ground in grounds for note in ground.get("notes", ())]
        assert any("tools were passed over" in note for note in notes) is (model == "default")


def test_sources_stand_at_the_place_of_their_number() -> None:
    """Open WebUI takes ``[2]`` for the second annotation, whatever its text."""
    passages = [Citation(number, f"{number}.txt", "。") for number in (1, 2, 3, 4)]
    text = "甲[3]乙[2]丙[3]"
    found = Sources(text, Answer(text=text, citations=tuple(passages)), "http://x").annotations
    told = [one["url_citation"] for one in found]
    assert [one["title"] for one in told] == ["1.txt", "2.txt", "3.txt", "3.txt"]
    marked = [text[one["start_index"] : one["end_index"]] for one in told]
    assert marked == ["", "[2]", "[3]", "[3]"]
    assert Sources("甲", Answer(text="甲", citations=tuple(passages)), "").annotations == []


def test_plain_clients_see_the_sources(official: openai.OpenAI, poets: Served) -> None:
    answer = official.chat.completions.create(model="rag:诗", messages=ASKED)
    content = answer.choices[0].message.content or ""
    assert content == "李白在当涂病逝[1]。\n\n出处：\n[1] 李白.txt"
    (annotation,) = answer.choices[0].message.annotations or []
    cited = annotation.url_citation
    assert content[cited.start_index : cited.end_index] == "[1]"
    assert cited.title == "李白.txt"
    assert httpx.get(cited.url, timeout=60).json()["text"] == LI_BAI
    assert answer.to_dict()["citations"] == [cited.url]
    streamed: list[Any] = list(
        official.chat.completions.create(model="rag:诗", messages=ASKED, stream=True)
    )
    assert "".join(one.choices[0].delta.content or "" for one in streamed) == content
    (told,) = [one for one in streamed if getattr(one.choices[0].delta, "annotations", None)]
    assert told.choices[0].delta.annotations[0]["url_citation"]["title"] == "李白.txt"
    llm = ChatOpenAI(model="rag:诗", base_url=f"{poets.url}/v1", api_key=SecretStr("none"))
    assert llm.invoke([HumanMessage(ASKED[0]["content"])]).text == content


@pytest.mark.parametrize(
    ("more", "content"),
    [
        ({"marks": True}, "李白在当涂病逝[1]。"),
        ({"marks": False}, "李白在当涂病逝。"),
        ({"footer": False}, "李白在当涂病逝[1]。"),
        ({"marks": False, "footer": True}, "李白在当涂病逝。\n\n查阅：\n[1] 李白.txt"),
    ],
)
def test_sources_can_be_switched(
    more: dict[str, bool], content: str, poets: Served, client: httpx.Client
) -> None:
    body = {"model": "rag:诗", "messages": ASKED, **more}
    answer = client.post(CHAT, json=body).json()
    assert answer["choices"][0]["message"]["content"] == content


def test_a_footer_is_not_read_again(poets: Served, client: httpx.Client) -> None:
    said = client.post(CHAT, json={"model": "rag:诗", "messages": ASKED}).json()
    history = [*ASKED, said["choices"][0]["message"], {"role": "user", "content": "他是谁？"}]
    poets.replies = ["李白是谁？", "诗人。"]
    client.post(CHAT, json={"model": "rag:诗", "messages": history})
    rewriting = poets.model.prompts[0]
    assert "李白在当涂病逝。" in rewriting
    assert "出处" not in rewriting
    assert "[1]" not in rewriting.split("李白在当涂病逝")[1].split("\n")[0]


def test_tasks_of_clients_are_for_the_model(poets: Served, client: httpx.Client) -> None:
    poets.replies = ['{"title": "李白之死"}']
    asked = [{"role": "user", "content": TITLE}]
    answer = client.post(CHAT, json={"model": "rag:诗", "messages": asked}).json()
    assert answer["choices"][0]["message"]["content"] == '{"title": "李白之死"}'
    (prompt,) = poets.model.prompts
    assert prompt.startswith("### Task:\nGenerate a concise")
    assert LI_BAI not in prompt


SAID: Any = [*ASKED, {"role": "assistant", "content": "当涂。"}]


def said_by(role: str, text: str) -> dict[str, str]:
    return {"role": role, "content": text}


@pytest.mark.parametrize(
    "messages",
    [
        # Open WebUI
        [said_by("user", "### Task:\nSummarize the history.\n### Instructions:\n- Be factual.")],
        [said_by("user", "Your task is to reflect the speaker's mood through a fitting emoji.")],
        [said_by("user", "You have been provided with a set of responses from various models.")],
        [said_by("system", "Available Tools: []\nReturn only the JSON object."), *ASKED],
        # NextChat
        [*SAID, said_by("system", "简要总结一下对话内容，用作后续的上下文提示，控制在 200 字以内")],
        [*SAID, said_by("user", "使用四到五个字直接返回这句话的简要主题，不要解释、不要标点")],
        [*SAID, said_by("user", "Please generate a four to five word title summarizing our chat.")],
        # LobeChat
        [said_by("system", "Generate a concise title that captures the conversation."),
         said_by("user", "user: 李白在哪里病逝？")],
        [said_by("system", "What is to be summarized is in <chat_history> tags."), *ASKED],
        # Cherry Studio
        [said_by("system", "总结给出的会话，将其总结为语言为 中文 的 10 字内标题"), *ASKED],
        [said_by("system", "Summarize the conversation into a title in English"), *ASKED],
        # chat-ui, Continue, aichat
        [said_by("system", "You are a chat thread titling assistant."), *ASKED],
        [said_by("user", "Given the following... please reply with a title for the chat. 李白？")],
        [*SAID, said_by("user", "Summarize this briefly to use as a prompt for future context.")],
        # LangChain, LlamaIndex
        [said_by("system", "Given a chat history, formulate a standalone question."), *ASKED],
        [said_by("user", "Given a conversation, rewrite the message to be a standalone question.")],
        # opencode, Roo Code, LangMem; Page Assist, Dify
        [*SAID, said_by("user", "Provide a prompt for continuing our conversation above.")],
        [said_by("system", "You are an assistant tasked with summarizing conversations."), *ASKED],
        [*SAID, said_by("user", "Create a summary of the conversation above:")],
        [said_by("user", "李白？\nCreate a phrase as a title for the previous query.")],
        [said_by("user", "Predict the three most likely questions that human would ask.")],
        # FastGPT
        [*SAID, said_by("user", "请结合前面的对话记录，帮我生成 3 个问题，引导我继续提问。")],
        # Chatbox, Flowise, RAGFlow; LangChain's and Spring AI's search by several questions
        [*SAID, said_by("user", "Give a summary for continuing this conversation.\nBe concise.")],
        [said_by("user", "Summarize the conversation provided.\nConversation:\nHuman: 李白？")],
        [said_by("system", "你是助手。请总结以下对话，保留关键的决定。"), *ASKED],
        [said_by("user", "Your task is to generate 3 different versions of the given query.")],
        [said_by("user", "Generate five \n different versions of the given user \n question.")],
        [said_by("user", "Progressively summarize the lines of conversation provided.")],
    ],
)  # fmt: skip
def test_what_clients_ask_about_a_conversation(
    messages: Any, poets: Served, client: httpx.Client
) -> None:
    answer = client.post(CHAT, json={"model": "rag:诗", "messages": messages})
    assert answer.status_code == 200, answer.text
    assert "rag" not in answer.json()
    (prompt,) = poets.model.prompts
    assert LI_BAI not in prompt


@pytest.mark.parametrize(
    "messages",
    [
        [said_by("system", "你是人事部的助手，回答用户关于合同标题的问题。"), *ASKED],
        [said_by("system", "这是历史聊天总结作为前情提要：用户问过对话的标题。"), *ASKED],
        [said_by("system", "You are a helpful chat assistant. Give a short answer."), *ASKED],
        [said_by("system", "A conversation between the user and an AI assistant."), *ASKED],
        [said_by("system", "Answer with the conversation so far in mind."), *ASKED],
        [*ASKED, said_by("system", "简短回答。")],
        [said_by("user", "Summarize the conversation between 李白 and 杜甫.")],
        [said_by("user", "Summarize the conversation provided in the letter of 李白.")],
        [said_by("user", "Did 李白 generate two different versions of the poem?")],
        [said_by("system", "Use the chat history provided and descriptions of products."), *ASKED],
        [said_by("system", "In the following chat, give titles of documents."), *ASKED],
        [said_by("system", "Use the chat history below and descriptions of products."), *ASKED],
        [said_by("user", "What do the poems of 李白 say about summarizing conversations?")],
        [said_by("user", "李白如何生成对话的标题？")],
        [said_by("user", "总结以下对话框的设置，和李白的。")],
        [said_by("system", "你是一个会话助手，请根据文档总结并给出标题。"), *ASKED],
        [said_by("system", "请在对话中总结文档，并注明文件名称。"), *ASKED],
        [said_by("system", "你是客服助手。对话要有礼貌，总结要简短。"), *ASKED],
    ],
)
def test_what_people_ask_is_answered_from_documents(
    messages: Any, poets: Served, client: httpx.Client
) -> None:
    answer = client.post(CHAT, json={"model": "rag:诗", "messages": messages})
    assert "rag" in answer.json()


@pytest.mark.parametrize("model", ["rag:%E8%AF%97", "诗", "诗:latest", "rag:诗:latest"])
def test_an_index_may_be_named_otherwise(model: str, poets: Served, client: httpx.Client) -> None:
    """Proxies may write the names of models into headers, which hold no Chinese."""
    answer = client.post(CHAT, json={"model": model, "messages": ASKED})
    assert answer.json()["rag"]["answered"]


@pytest.mark.parametrize("user", ["u-1", 7, {"id": "u-1", "role": "admin"}])
def test_whoever_asks_changes_nothing(user: Any, client: httpx.Client) -> None:
    answer = client.post(CHAT, json={"model": "default", "messages": ASKED, "user": user})
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("penalty", ["presence_penalty", "frequency_penalty"])
def test_penalties_of_ragflow_are_passed_over(
    penalty: str, poets: Served, client: httpx.Client
) -> None:
    body = {"model": "rag:诗", "messages": ASKED, penalty: 0.7}
    rag = client.post(CHAT, json=body).json()["rag"]
    assert rag["answered"]
    assert any("penalties were passed over" in note for note in rag["notes"])


JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("POST", "/v1/moderations", 404, "unknown_url"),
        ("GET", "/v1/nothing", 404, "unknown_url"),
        ("PUT", CHAT, 405, "method_not_supported"),
    ],
)
def test_unknown_routes(
    method: str, path: str, status: int, code: str, client: httpx.Client
) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert path in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("headers", "body", "status", "code", "said"),
    [
        (JSON, b'{"messages": [', 400, "invalid_json", "character"),
        (JSON, '{"messages": "李白"}'.encode("gb18030"), 400, "invalid_json", "not UTF-8"),
        (JSON, b"[" * 100_000, 400, "invalid_json", "nested too deeply"),
        (JSON, b"", 400, "invalid_json", "there is no body"),
        ({}, b'{"messages": []}', 400, "invalid_content_type", "Content-Type"),
        ({"Content-Type": "text/plain"}, b"{}", 400, "invalid_content_type", "not text/plain"),
        ({"Content-Type": "text/json"}, b"{}", 400, "invalid_content_type", "not text/json"),
        (JSON, b"{\"x\": " + b"[" * 900 + b"]" * 900 + b"}", 400, None, "nested too deeply"),
        (
            {**JSON, "Content-Encoding": "gzip"}, gzip.compress(b'{"messages": []}', mtime=0),
            415, "unsupported_content_encoding", "must not say gzip",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_body(
    headers: dict[str, str], body: bytes, status: int, code: str, said: str, client: httpx.Client
) -> None:
    answer = client.post(CHAT, content=body, headers=headers)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (status, code, None)
    assert said in error["message"]


HALF = "\ud83d"
"""Of an emoji, where a client in JavaScript cut a text."""
CUT: Any = [{"role": "user", "content": HALF}]
CUT_TOOL: Any = {"type": "function", "function": {"name": "f", "parameters": {HALF: HALF}}}


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (CHAT, {"messages": CUT, "stop": HALF, "tools": [CUT_TOOL]}, 200),
        (CHAT, {"model": "rag:诗", "messages": ASKED, "within": HALF}, 400),
        ("/v1/responses", {"input": HALF, "metadata": {"a": HALF}}, 200),
        ("/v1/embeddings", {"input": [HALF, {"text": HALF}]}, 200),
        ("/api/chat", {"messages": CUT}, 200),
    ],
)
def test_half_a_character_is_replaced(
    path: str, body: Any, status: int, poets: Served, client: httpx.Client
) -> None:
    answer = client.post(path, content=json.dumps(body), headers=JSON)
    assert answer.status_code == status, answer.text


def test_every_answer_has_an_id(client: httpx.Client) -> None:
    for path in ("/v1/models", "/v1/nothing", "/health"):
        assert client.get(path).headers["x-request-id"]


def test_base_urls_without_v1_and_head(poets: Served) -> None:
    with openai.OpenAI(base_url=poets.url, api_key="none", max_retries=0) as client:
        assert "rag:诗" in [model.id for model in client.models.list()]
        answer = client.chat.completions.create(model="rag:诗", messages=ASKED)
        assert "当涂" in (answer.choices[0].message.content or "")
        assert client.embeddings.create(model="default", input="甲").data
    for path in ("/", "/health", "/v1/models", "/models"):
        head = httpx.head(poets.url + path)
        assert (head.status_code, head.content) == (200, b"")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/embeddings", {"input": "甲", "input_type": None, "truncate": None, "windows": None}),
        ("/v1/embeddings", {"input": "甲", "input_type": "search_query"}),
        ("/v1/embeddings", {"input": "甲", "task": "retrieval.passage"}),
        ("/v1/rerank", {"query": "甲", "documents": ["甲"], "return_documents": None}),
        ("/v2/rerank", {"query": "甲", "documents": ["甲"], "max_tokens_per_doc": 100}),
        ("/v1/v2/rerank", {"query": "甲", "documents": ["甲"]}),
        ("/v1/v2/embed", {"texts": ["甲"], "input_type": "clustering", "max_tokens": 100}),
        ("/v1/chat/completions/", {"messages": ASKED}),
        (CHAT, {"messages": ASKED, "n": None, "stream": None, "response_format": None}),
        ("/api/chat/", {"messages": ASKED, "stream": False, "format": None, "tools": None}),
    ],
)
def test_what_clients_send_beside_the_standard(path: str, body: Any, client: httpx.Client) -> None:
    answer = client.post(path, json=body)
    assert answer.status_code == 200, answer.text


def test_maxkb_reads_the_texts_that_are_ranked(client: httpx.Client) -> None:
    body = {"model": "default", "query": "甲", "documents": ["甲", "乙"]}
    ranked = client.post("/v2/rerank", json=body).json()["results"]
    assert {one["document"]["text"] for one in ranked} == {"甲", "乙"}


@pytest.mark.parametrize("opening", ["<think>", ""])
def test_reasoning_stands_beside_the_answer(home: Path, opening: str) -> None:
    reply = f"{opening}先看文档。</think>\n\n当涂。"
    with serving(llm=ScriptedChatModel(replies=[reply])) as served:
        whole = httpx.post(served.url + CHAT, json={"messages": ASKED}).json()
        with official_of(served) as client:
            stream = client.chat.completions.create(model="default", messages=ASKED, stream=True)
            deltas = [chunk.choices[0].delta.model_dump() for chunk in stream if chunk.choices]
        body = {"messages": ASKED, "stream": False}
        thought = httpx.post(f"{served.url}/api/chat", json=body).json()["message"]
    message = whole["choices"][0]["message"]
    assert (message["content"], message["reasoning_content"]) == ("当涂。", "先看文档。")
    reasoning = "".join(delta.get("reasoning_content") or "" for delta in deltas)
    assert reasoning == "先看文档。"
    # What nobody knows to be reasoning before its end can't be taken back from a stream.
    said = "".join(delta["content"] or "" for delta in deltas)
    assert said == ("当涂。" if opening else "先看文档。\n\n当涂。")
    assert (thought["content"], thought["thinking"]) == ("当涂。", "先看文档。")


def test_a_schema_may_stand_beside_its_type(home: Path) -> None:
    with serving(llm=ScriptedLocalChat(replies=['{"a": 1}'])) as served:
        form = {"type": "json_schema", "name": "x", "schema": {"type": "object"}}
        answer = httpx.post(
            served.url + CHAT, json={"messages": ASKED, "response_format": form}, timeout=60
        )
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("base", ["", "/v1/", "/v1/v1", "/api/v1", "//v1", "/v1/api"])
def test_base_urls_that_people_give(base: str, poets: Served) -> None:
    path = "tags" if base.endswith("api") else "models"
    answer = httpx.get(f"{poets.url}{base}/{path}", timeout=60)
    assert answer.status_code == 200
    assert "rag:诗" in answer.text


@pytest.mark.parametrize("base", ["", "/v1"])
def test_models_that_older_clients_name_in_the_path(base: str, poets: Served) -> None:
    asked = {"prompt": "李白在哪里病逝？"}
    answer = httpx.post(f"{poets.url}{base}/engines/default/completions", json=asked, timeout=60)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("prefix", ["/rag", "/%E7%9F%A5"])
def test_sources_are_named_as_a_proxy_has_the_server(prefix: str, poets: Served) -> None:
    headers = {"X-Forwarded-Prefix": prefix, "X-Forwarded-Proto": "https"}
    body = {"model": "rag:诗", "messages": ASKED}
    answer = httpx.post(poets.url + CHAT, json=body, headers=headers, timeout=60).json()
    address = poets.url.replace("http:", "https:")
    assert answer["citations"][0].startswith(f"{address}{prefix}/v1/indexes/")


@pytest.mark.parametrize("model", ["default", "rag:诗"])
def test_answers_are_text_alone(model: str, poets: Served) -> None:
    body: dict[str, Any] = {"model": model, "messages": ASKED, "audio": {"voice": "alloy"}}
    with poets.client() as client:
        refused = client.post(CHAT, json={**body, "modalities": ["audio"]}).json()
        told = client.post(CHAT, json={**body, "modalities": ["text", "audio"]}).json()
    assert refused["error"]["param"] == "modalities"
    rag = told.get("rag") or told["choices"][0]["rag"]
    assert any("no audio" in note for note in rag["notes"])


@pytest.mark.parametrize("model", ["default", "rag:诗"])
@pytest.mark.parametrize("more", [{"guided_choice": ["是", "否"]}, {"grammar": "root ::= .*"}])
def test_forms_of_other_servers_are_refused_by_name(model: str, more: Any, poets: Served) -> None:
    body = {"model": model, "messages": ASKED, "structured_outputs": True, "json_schema": {}}
    with poets.client() as client:
        assert client.post(CHAT, json=body).status_code == 200
        body["structured_outputs"] = False
        assert client.post(CHAT, json=body).status_code == 200
        refused = client.post(CHAT, json={**body, **more})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, *more)


NULLS: Any = {
    **dict.fromkeys(("tools", "functions", "function_call", "logit_bias", "user", "max_tokens")),
    "stream_options": {"include_usage": None},
}


@pytest.mark.parametrize(
    "more",
    [
        {"max_tokens": -1},
        {"max_completion_tokens": -1},
        {"max_tokens": 65_536},
        {"top_p": 0},
        {"stop": []},
        {"stop": ""},
        {"stop": ["", "@@"]},
        NULLS,
    ],
)
@pytest.mark.parametrize("model", ["default", "rag:诗"])
def test_values_by_which_clients_mean_no_limit(more: Any, model: str, poets: Served) -> None:
    answer = httpx.post(
        poets.url + CHAT, json={"model": model, "messages": ASKED, **more}, timeout=60
    )
    assert answer.status_code == 200, answer.text
    assert "当涂" in answer.json()["choices"][0]["message"]["content"]


@pytest.mark.parametrize(
    "parts",
    [
        [{"type": "input_text", "text": "李白在哪里"}, {"type": "text", "text": "病逝？"}],
        [ASKED[0]["content"]],
    ],
)
def test_parts_of_text_in_other_forms(parts: Any, official: openai.OpenAI) -> None:
    said = [{"type": "output_text", "text": "是诗人。", "annotations": []}]
    turns: list[Any] = [
        {"role": "user", "content": "李白是谁？"},
        {"role": "assistant", "content": said},
    ]
    create = official.chat.completions.create
    asked: list[Any] = [[{"role": "user", "content": parts}], [*turns, *ASKED]]
    for messages in asked:
        assert create(model="rag:诗", messages=messages).choices[0].message.content


def test_what_another_model_was_shown_or_thought_is_passed_over(official: openai.OpenAI) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}
    thought = {"type": "thinking", "thinking": "他是谁？"}
    silent = {"role": "system", "content": None}
    said = {"role": "assistant", "content": [thought, {"type": "text", "text": "是诗人。"}]}
    shown = {"role": "user", "content": [image, {"type": "text", "text": "李白是谁？"}]}
    create = official.chat.completions.create
    earlier: list[Any] = [silent, shown, said, *ASKED]
    for model in ("default", "rag:诗"):
        told: Any = create(model=model, messages=earlier)
        assert told.choices[0].message.content
        assert any("image_url parts" in note for note in told.to_dict()["rag"]["notes"])
    now: list[Any] = [{"role": "user", "content": [image, {"type": "text", "text": "李白？"}]}]
    for model in ("default", "rag:诗"):
        with pytest.raises(openai.BadRequestError, match="image_url parts"):
            create(model=model, messages=now)


def test_a_target_may_name_the_server(served: Served) -> None:
    address = served.url.removeprefix("http://")
    host, _, port = address.partition(":")
    with socket.create_connection((host, int(port))) as connection:
        head = (
            f"GET {served.url}/v1/models HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
        )
        connection.sendall(head.encode())
        assert connection.makefile("rb").readline().split()[1] == b"200"


class NotedOptions(ScriptedChatModel):
    """Notes what it is called with."""

    noted: list[Any] = Field(default_factory=list)

    async def _astream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **options: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        self.noted.append(options)
        async for chunk in super()._astream(messages, stop, run_manager):
            yield chunk


@pytest.mark.parametrize(
    ("path", "more"),
    [(CHAT, {"max_tokens": -1}), ("/api/chat", {"options": {"num_predict": -1}, "stream": False})],
)
def test_no_limit_is_half_the_window(path: str, more: Any, home: Path) -> None:
    model = NotedOptions(replies=["长"])
    with serving(llm=model, context_length=2048) as served:
        answer = httpx.post(served.url + path, json={"messages": ASKED, **more}, timeout=60)
        assert answer.status_code == 200, answer.text
    assert model.noted[-1]["max_tokens"] == 1024


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_as_many_tokens_as_any_model_has_are_the_servers_limit(name: str, home: Path) -> None:
    model = NotedOptions(replies=["长"])
    with serving(llm=model, reply_limit=50) as served:
        asked = {"messages": ASKED, name: 65_536}
        assert httpx.post(served.url + CHAT, json=asked, timeout=60).status_code == 200
    assert model.noted[-1]["max_tokens"] == 50


def test_a_queued_stream_begins_at_once(home: Path) -> None:
    slow = ScriptedChatModel(replies=["故事" * 500], delay=0.01)
    body = {"messages": ASKED, "stream": True}
    with (
        serving(llm=slow, parallel=1) as served,
        served.client() as client,
        client.stream("POST", CHAT, json=body) as first,
    ):
        lines = first.iter_lines()  # closed, it would end the request
        next(lines)
        with client.stream("POST", CHAT, json=body) as second:
            assert second.status_code == 200
            assert next(line for line in second.iter_lines() if line) == ": waiting"


CALLED: Any = [
    *ASKED,
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
        ],
    },
    {"role": "tool", "tool_call_id": "c", "content": "晴"},
]


@pytest.mark.parametrize(
    "more",
    [
        {"messages": [*CALLED, {"role": "assistant", "content": "晴。"}, *ASKED]},
        {"messages": [*CALLED, *ASKED], "tools": [WEATHER]},
        {"messages": [*ASKED, {"role": "system", "content": "简短回答。"}]},
        {
            "messages": ASKED,
            "tools": [WEATHER],
            "tool_choice": {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "auto",
                    "tools": [{"type": "function", "function": {"name": "get_weather"}}],
                },
            },
        },
    ],
)
def test_documents_answer_in_a_conversation_with_tools(
    more: dict[str, Any], client: httpx.Client, poets: Served
) -> None:
    answer = client.post(CHAT, json={"model": "rag:诗", **more})
    assert answer.status_code == 200, answer.text
    assert "当涂" in answer.json()["choices"][0]["message"]["content"]


def test_allowed_tools_must_be_named(client: httpx.Client) -> None:
    choice = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [3]}}
    body = {"model": "default", "messages": ASKED, "tools": [WEATHER], "tool_choice": choice}
    answer = client.post(CHAT, json=body)
    assert answer.status_code == 400
    assert "allowed_tools" in answer.json()["error"]["message"]


def test_the_default_model_is_shown_by_that_name(client: httpx.Client, served: Served) -> None:
    shown = client.get("/v1/models/default").json()
    assert shown["id"] == served.app.state.registry.llm_id


def test_azures_client_names_its_deployment_in_the_path(poets: Served) -> None:
    with openai.AzureOpenAI(
        azure_endpoint=poets.url,
        azure_deployment="rag:诗",
        api_key="none",
        api_version="2024-10-21",
        max_retries=0,
    ) as azure:
        create = azure.chat.completions.create
        assert create(model="gpt-4o", messages=ASKED).model == "rag:诗"
        chunks = list(create(model="gpt-4o", messages=ASKED, stream=True))
        assert "当涂" in "".join(one.choices[0].delta.content or "" for one in chunks)
    with openai.AzureOpenAI(
        azure_endpoint=poets.url, api_key="none", api_version="2024-10-21", max_retries=0
    ) as azure:
        assert "rag:诗" in [one.id for one in azure.models.list()]
        assert azure.completions.create(model="default", prompt="中国的首都是").choices
        assert azure.embeddings.create(model="default", input=["茶"]).data[0].embedding
        with pytest.raises(openai.NotFoundError, match="multilingual-e5-small"):
            azure.embeddings.create(model="text-embedding-3-small", input=["茶"])


def test_an_index_may_be_asked_for_by_its_name(poets: Served, client: httpx.Client) -> None:
    for path, body in (
        (CHAT, {"messages": ASKED}),
        ("/openai/v1/chat/completions", {"messages": ASKED}),
        ("/v1/responses", {"input": ASKED[0]["content"]}),
        ("/api/chat", {"messages": ASKED, "stream": False}),
    ):
        answer = client.post(path, json={"model": "诗", **body})
        assert "当涂病逝[1]" in answer.text
    assert client.get("/v1/models/诗").json()["id"] == "rag:诗"
    unknown = client.post(CHAT, json={"model": "gpt-4o-mini", "messages": ASKED})
    assert unknown.status_code == 404
    assert "rag:诗" in unknown.json()["error"]["message"]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"{model:default}", "near '{model:default}'"),
        (b"'{}'", "near \"'{}'\""),
        (b'"{\\"model\\":\\"default\\"}"', "encoded twice"),
        (b"[]", "must be a JSON object"),
        (b"null", "JSON"),  # to an earlier FastAPI, no body at all
        (b'{"messages": [{"role": "user", "content": "??????"}], "model": "rag:x"}', "UTF-8"),
    ],
)
def test_what_shells_make_of_a_body_is_said(
    body: bytes, named: str, poets: Served, client: httpx.Client
) -> None:
    kind = {"Content-Type": "application/json"}
    answer = client.post(CHAT, content=body.replace(b"rag:x", "rag:诗".encode()), headers=kind)
    assert answer.status_code == 400
    assert named in answer.json()["error"]["message"]
