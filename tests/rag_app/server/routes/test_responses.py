"""``/v1/responses`` as the official client reads it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from langchain_openai import ChatOpenAI
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputText
from pydantic import SecretStr

from rag_app.chains.prompts import NO_ANSWER
from rag_app.models.registry import load_llm
from rag_app.server.completions.stored import StoredResponses
from rag_app.server.middleware.access import Access, ApiKey
from rag_app.server.schemas.responses import ResponseRequest
from rag_app.settings import load_settings
from tests.rag_app.server.serving import LI_BAI, Served, official_of, serving
from tests.rag_app.server.test_tools import call

QUESTION = "李白在哪里病逝？"
MARKED = "李白在当涂病逝[1]。\n\n出处：\n[1] 李白.txt"
PATH = "/v1/responses"
WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "查询城市的天气",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": False,
}


@pytest.fixture
def official(poets: Served) -> Iterator[openai.OpenAI]:
    with official_of(poets) as client:
        yield client


def test_a_response(official: openai.OpenAI, poets: Served) -> None:
    answer = official.responses.create(model="default", input=QUESTION, instructions="简短。")
    assert (answer.status, answer.output_text) == ("completed", "李白在当涂病逝。")
    assert answer.instructions == "简短。"
    assert poets.model.prompts == [f"简短。\n{QUESTION}"]
    assert answer.usage
    assert answer.usage.output_tokens == 8
    assert answer.usage.total_tokens == answer.usage.input_tokens + 8


def test_strict_clients_read_times_and_schemas_in_every_form(schemed: Served) -> None:
    """Those in Go, Rust and C# read whole numbers alone, and a schema by its name."""
    schema = {"type": "object", "properties": {"place": {"type": "string"}}}
    form = {"type": "json_schema", "name": "answer", "schema": schema}
    body = {"model": "default", "input": QUESTION, "text": {"format": form}}
    with schemed.client() as client:
        whole = client.post(PATH, json=body).json()
        lines = client.post(PATH, json={**body, "stream": True}).text.splitlines()
        kept = client.get(f"{PATH}/{whole['id']}").json()
    events = [json.loads(line.removeprefix("data: ")) for line in lines if line[:5] == "data:"]
    told = [event["response"] for event in events if "response" in event]
    assert len(told) == 3
    for response in (whole, kept, *told):
        assert isinstance(response["created_at"], int)
        assert response["text"]["format"] == form


def test_documents_answer_with_annotations(official: openai.OpenAI) -> None:
    answer = official.responses.create(model="rag:诗", input=QUESTION)
    assert (answer.model, answer.output_text) == ("rag:诗", MARKED)
    part: Any = answer.output[0].content[0]  # type: ignore[union-attr,index]
    (cited,) = part.annotations
    assert answer.output_text[cited.start_index : cited.end_index] == "[1]"
    assert (cited.type, cited.title) == ("url_citation", "李白.txt")
    assert httpx.get(cited.url, timeout=60).json()["text"] == LI_BAI
    grounds: Any = answer.to_dict()["rag"]
    assert [citation["name"] for citation in grounds["citations"]] == ["李白.txt"]
    plain = official.responses.create(model="rag:诗", input=QUESTION, extra_body={"marks": False})
    assert plain.output_text == "李白在当涂病逝。"


@pytest.mark.parametrize("reply", ["李白在当涂病逝。", NO_ANSWER["zh"]])
def test_a_stream_is_what_the_client_adds_up(
    official: openai.OpenAI, poets: Served, reply: str
) -> None:
    poets.replies = [reply]
    refused = reply == NO_ANSWER["zh"]
    whole: Any = official.responses.create(model="rag:诗", input=QUESTION).to_dict()
    assert bool(whole["rag"]["nearest"]) == refused
    with official.responses.stream(model="rag:诗", input=QUESTION) as stream:
        events = list(stream)
        final: Any = stream.get_final_response().to_dict()
    kinds = [event.type for event in events]
    texts = kinds.count("response.output_text.delta")
    assert kinds == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        *["response.output_text.delta"] * texts,
        *["response.output_text.annotation.added"] * (not refused),
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [e.snapshot for e in events if e.type == "response.output_text.delta"][-1] == (
        whole["output"][0]["content"][0]["text"]
    )
    for name in ("id", "created_at"):
        del whole[name], final[name]
    del whole["output"][0]["id"], final["output"][0]["id"]
    del final["output"][0]["content"][0]["parsed"]
    assert final == whole


def test_lines_of_a_stream(poets: Served, client: httpx.Client) -> None:
    answer = client.post(PATH, json={"input": QUESTION, "stream": True})
    assert answer.headers["content-type"].startswith("text/event-stream")
    *events, rest = answer.text.split("\n\n")
    assert events[0].startswith('event: response.created\ndata: {"')
    assert events[-1].startswith('event: response.completed\ndata: {"')
    assert rest == ""


def test_a_conversation_is_read_as_a_chat(official: openai.OpenAI, poets: Served) -> None:
    said: Any = [{"type": "output_text", "text": "诗人。", "annotations": []}]
    conversation: Any = [
        {"role": "developer", "content": "用一句话。"},
        {"role": "user", "content": [{"type": "input_text", "text": "李白是谁？"}]},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "message", "id": "msg_1", "role": "assistant", "content": said},
        {"type": "message", "role": "user", "content": "他在哪里病逝？"},
    ]
    official.responses.create(model="default", input=conversation)
    assert poets.model.prompts == ["用一句话。\n李白是谁？\n诗人。\n他在哪里病逝？"]
    poets.replies = [QUESTION, "李白在当涂病逝。"]
    assert official.responses.create(model="rag:诗", input=conversation).output_text == MARKED


def test_functions_are_called(schemed: Served) -> None:
    schemed.replies = ['{"name"', call("北京")]
    with official_of(schemed) as official:
        asked: Any = [{"role": "user", "content": "北京天气怎样？"}]
        answer = official.responses.create(model="default", input=asked, tools=[WEATHER])
        (made,) = answer.output
        assert isinstance(made, ResponseFunctionToolCall)
        assert (made.name, made.arguments) == ("get_weather", '{"city": "北京"}')
        assert answer.tools[0].name == "get_weather"  # type: ignore[union-attr]
        schemed.replies = ["晴。"]
        result = {"type": "function_call_output", "call_id": made.call_id, "output": "晴"}
        again = [*asked, made.to_dict(), result]
        told = official.responses.create(model="default", input=again, tools=[WEATHER])
        assert told.output_text == "晴。"
        assert schemed.model.prompts[-1].endswith("晴")
        schemed.replies = [call("天津")]
        named: Any = {"type": "function", "name": "get_weather"}
        options: Any = {"input": asked, "tools": [WEATHER], "tool_choice": named}
        # As instructor sends it: of text, which there is none of.
        options["text"] = {"format": {"type": "json_object"}}
        with official.responses.stream(model="default", **options) as stream:
            kinds = [event.type for event in stream]
            (item,) = stream.get_final_response().output
    assert kinds[2:-1] == [
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
    ]
    assert item.arguments == '{"city": "天津"}'  # type: ignore[union-attr]


def test_the_form_of_an_answer(schemed: Served) -> None:
    schemed.replies = ['{"city": "北京"}']
    form: Any = {"type": "json_schema", "name": "place", "schema": WEATHER["parameters"]}
    with official_of(schemed) as official:
        answer = official.responses.create(model="default", input="在哪里？", text={"format": form})
    assert answer.output_text == '{"city": "北京"}'
    assert answer.text
    assert answer.text.format
    assert answer.text.format.type == "json_schema"
    assert answer.text.format.name == "place"


@pytest.mark.slow
def test_an_upstream_is_asked_as_a_chat(schemed: Served) -> None:
    schemed.replies = [call("北京"), "晴。"]
    llm = load_llm(load_settings(llm=f"{schemed.url}/v1", llm_name="default"))
    with serving(llm=llm, top_k=20) as front, official_of(front) as official:
        options: Any = {"tools": [WEATHER], "tool_choice": "required"}
        with official.responses.stream(model="default", input="天气？", **options) as stream:
            stream.until_done()
            (made,) = stream.get_final_response().output
        assert made.arguments == '{"city": "北京"}'  # type: ignore[union-attr]
        answer = official.responses.create(model="default", input="天气？", tools=[WEATHER])
        assert answer.output_text == "晴。"
        schemed.replies = ['{"city": "北京"}']
        form: Any = {"type": "json_schema", "name": "place", "schema": WEATHER["parameters"]}
        answer = official.responses.create(model="default", input="哪里？", text={"format": form})
        assert answer.output_text == '{"city": "北京"}'


def test_an_answer_that_is_cut_off(tiny: Served) -> None:
    with official_of(tiny) as official:
        asked: Any = {"model": "default", "input": "说", "max_output_tokens": 3}
        cut = official.responses.create(**asked, top_logprobs=2)
        assert cut.status == "incomplete"
        assert cut.incomplete_details
        assert cut.incomplete_details.reason == "max_output_tokens"
        message: Any = cut.output[0]
        (part,) = message.content
        assert isinstance(part, ResponseOutputText)
        tokens = part.logprobs or []
        assert [len(token.top_logprobs) for token in tokens] == [2, 2, 2]
        *_, last = official.responses.create(**asked, stream=True)
        assert last.type == "response.incomplete"


@pytest.fixture(scope="module")
def model(tiny_gguf: Path) -> Any:
    from rag_app.models.llms.llamacpp import LlamaCppChat

    return LlamaCppChat(path=tiny_gguf, context_length=4096, parallel=2, threads=1)


def test_an_error_in_mid_stream_is_raised(official: openai.OpenAI, client: httpx.Client) -> None:
    with pytest.raises(openai.APIError, match="window"):
        list(official.responses.create(model="default", input="长" * 9000, stream=True))
    text = client.post(PATH, json={"input": "长" * 9000, "stream": True}).text
    kinds = [line for line in text.splitlines() if line.startswith("event: ")]
    assert kinds[-2:] == ["event: error", "event: response.failed"]


USER: Any = {"role": "user", "content": QUESTION}
IMAGE: Any = {"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}


@pytest.mark.parametrize(
    ("body", "param", "said"),
    [
        ({}, "input", "missing"),
        ({"input": []}, "input", "at least 1"),
        ({"input": [{"type": "reasoning"}]}, "input", "no message"),
        ({"input": [IMAGE]}, "input.0.content", "input_image parts"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input.0.type", "item_reference"),
        ({"input": [{"role": "king", "content": "x"}]}, "input.0.role", "system"),
        ({"input": [{"role": "user"}]}, "input", "needs content"),
        ({"input": "x", "previous_response_id": "resp_1"}, "previous_response_id", "stored"),
        ({"input": "x", "conversation": "conv_1"}, "conversation", "previous_response_id"),
        ({"input": "x", "background": True}, "background", "not supported"),
        ({"input": [USER, {"type": "web_search_call"}]}, "input.1.type", "web_search_call"),
        ({"input": [{"type": "letter"}, USER]}, "input.0.type", "letter"),
        ({"input": "x", "text": {"format": {"type": "json_object"}}}, "text.format", "supported"),
        ({"input": "x", "top_logprobs": 2}, "include", "logprobs"),
        ({"input": "x", "tools": [WEATHER], "tool_choice": "required"}, "tools", "supported"),
    ],
)
def test_what_is_wrong_is_said(
    body: Any, param: str, said: str, poets: Served, client: httpx.Client
) -> None:
    answer = client.post(PATH, json={"model": "default", **body})
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["param"] == param
    assert said in error["message"]


CUSTOM: Any = {"type": "custom_tool_call", "call_id": "c", "name": "patch", "input": "+ 当涂"}
RESULT: Any = {"type": "custom_tool_call_output", "call_id": "c", "output": "done"}


@pytest.mark.parametrize("model", ["default", "rag:诗"])
def test_what_only_another_model_understood_is_passed_over(
    model: str, poets: Served, client: httpx.Client
) -> None:
    seen = {"type": "function_call_output", "call_id": "c", "output": IMAGE["content"]}
    made = [
        {"type": kind, "id": "x"} for kind in ("web_search_call", "mcp_list_tools", "compaction")
    ]
    called = [CUSTOM, RESULT, CUSTOM, seen] if model != "default" else []  # it calls no tools
    answer = client.post(PATH, json={"model": model, "input": [IMAGE, *called, *made, USER]})
    assert answer.status_code == 200, answer.text


def test_a_custom_tool_has_one_argument() -> None:
    request = ResponseRequest.model_validate({"input": [USER, CUSTOM, RESULT]})
    _, called, result = request.to_chat().messages
    assert called.tool_calls is not None
    assert json.loads(called.tool_calls[0]["function"]["arguments"]) == {"input": "+ 当涂"}
    assert (result.tool_call_id, result.text) == ("c", "done")


def test_codes_of_errors(poets: Served, schemed: Served, client: httpx.Client) -> None:
    stored = client.post(PATH, json={"input": "x", "previous_response_id": "resp_1"})
    assert stored.json()["error"]["code"] == "previous_response_not_found"
    refused = client.post(PATH, json={"input": "x", "conversation": "conv_1"})
    assert refused.json()["error"]["code"] == "unsupported_parameter"
    unknown = client.post(PATH, json={"input": "x", "model": "gpt-4"})
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "model_not_found")
    with schemed.client() as other:
        tools = [{"type": "web_search"}]
        offered = {"input": "x", "tools": tools}
        refused = other.post(PATH, json={**offered, "tool_choice": "required"}).json()["error"]
        answered = other.post(PATH, json=offered).json()
    assert "web_search" in refused["message"]
    assert (answered["status"], "web_search" in answered["rag"]["notes"][0]) == ("completed", True)
    passed_over = client.post(PATH, json={"model": "rag:诗", "input": QUESTION, "tools": tools})
    assert passed_over.json()["status"] == "completed"


def test_a_conversation_goes_on_from_a_response(official: openai.OpenAI, poets: Served) -> None:
    ask = official.responses.create
    first = ask(model="rag:诗", input=QUESTION, instructions="简短。")
    poets.replies = [QUESTION, "李白在当涂病逝。"]
    second = ask(model="rag:诗", input="他在哪里病逝？", previous_response_id=first.id)
    assert second.previous_response_id == first.id
    assert second.output_text == MARKED
    assert f"问: {QUESTION}" in poets.model.prompts[0]
    assert "李白在当涂病逝。\n" in poets.model.prompts[0]  # without its footer
    poets.replies = ["好。"]
    with official.responses.stream(
        model="default", input="谢谢", previous_response_id=second.id
    ) as stream:
        third = stream.get_final_response()
    assert poets.model.prompts[-1].startswith(f"{QUESTION}\n")
    assert poets.model.prompts[-1].endswith("\n谢谢")

    kept = official.responses.retrieve(third.id)
    assert (kept.output_text, kept.status) == ("好。", "completed")
    assert kept.to_dict()["store"] is True
    assert (kept.id, kept.usage) == (third.id, third.usage)
    items = official.responses.input_items.list(third.id, order="asc").data
    assert [item.type for item in items] == ["message"] * 5
    newest: Any = official.responses.input_items.list(third.id, limit=2)
    assert newest.data[0].content[0].text == "谢谢"
    assert newest.has_more
    assert len(list(newest)) == 5  # page after page

    official.responses.delete(second.id)
    for call_again in (official.responses.retrieve, official.responses.delete):
        with pytest.raises(openai.NotFoundError, match="is stored"):
            call_again(second.id)
    poets.replies = ["还在。"]  # what a later one answers does not go with an earlier one
    assert ask(model="default", input="?", previous_response_id=third.id).output_text == "还在。"


def test_items_are_referred_to(official: openai.OpenAI, poets: Served) -> None:
    first = official.responses.create(model="default", input=QUESTION)
    item = first.output[0].id or ""
    again: Any = [{"type": "item_reference", "id": item}, {"role": "user", "content": "何年？"}]
    official.responses.create(model="default", input=again)
    assert poets.model.prompts[-1] == "李白在当涂病逝。\n何年？"
    again[0]["id"] = item[:-1] + "7"
    with pytest.raises(openai.BadRequestError, match="no item"):
        official.responses.create(model="default", input=again)


def test_what_is_not_to_be_kept_is_not(official: openai.OpenAI) -> None:
    answer = official.responses.create(model="default", input="x", store=False)
    assert answer.to_dict()["store"] is False
    with pytest.raises(openai.NotFoundError):
        official.responses.retrieve(answer.id)
    with pytest.raises(openai.NotFoundError):
        official.responses.retrieve("resp_/../../keys")
    with pytest.raises(openai.BadRequestError, match="complete"):
        official.responses.retrieve(answer.id, stream=True)


def test_a_response_is_there_for_its_own_key_alone(home: Path) -> None:
    with serving(access=Access(keys=[ApiKey.parse("甲 secret-a read"), "secret-b"])) as served:
        owner, other = (
            openai.OpenAI(base_url=f"{served.url}/v1", api_key=f"secret-{one}", max_retries=0)
            for one in "ab"
        )
        answer = owner.responses.create(model="default", input="x")
        with pytest.raises(openai.NotFoundError):
            other.responses.retrieve(answer.id)
        with pytest.raises(openai.BadRequestError, match="is stored"):
            other.responses.create(model="default", input="y", previous_response_id=answer.id)
        assert owner.responses.retrieve(answer.id).id == answer.id
        owner.responses.delete(answer.id)
    assert not [*(home / "responses").glob("*.json")]


def test_only_the_newest_are_kept(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag_app.server.completions.stored._MOST", 3)
    stored = StoredResponses()
    names = [f"resp_{number:032x}" for number in range(5)]
    for name in names:
        stored.add({"id": name, "output": []}, [])
    assert len([*(home / "responses").glob("*.json")]) == 3
    assert stored.response(names[-1])["id"] == names[-1]


def test_langchain_asks_for_responses(poets: Served) -> None:
    llm = ChatOpenAI(
        model="rag:诗",
        base_url=f"{poets.url}/v1",
        api_key=SecretStr("none"),
        use_responses_api=True,
    )
    assert llm.invoke(QUESTION).text == MARKED
    assert "".join(chunk.text for chunk in llm.stream(QUESTION)) == MARKED
