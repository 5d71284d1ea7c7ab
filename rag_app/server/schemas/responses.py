"""``/v1/responses`` of OpenAI's API: its requests, as chats, and what answers them."""

import json
import re
import uuid
from collections.abc import Callable
from typing import Annotated, Any, Literal, Self

from openai.types import responses
from openai.types.responses.tool_choice_options import ToolChoiceOptions
from pydantic import BaseModel, Field

from rag_app.server.errors import ApiError
from rag_app.server.schemas.chat import ChatRequest
from rag_app.server.schemas.completions import Grounds
from rag_app.server.schemas.indexes import PASSAGE
from rag_app.server.schemas.requests import (
    DocumentOptions,
    ListOf,
    OneOrMany,
    RequestBody,
    Text,
    example,
    request_of,
)

_MOST_ITEMS = 900
_REFERENCE = "item_reference"
_LOGPROBS = "message.output_text.logprobs"
_WORDS = ("input_text", "output_text", "text", "refusal")
_CALLS = ("function_call", "custom_tool_call")
_OUTPUTS = ("function_call_output", "custom_tool_call_output")
_OF_OTHER_MODELS = re.compile(r"compaction|mcp_\w+|\w+_call(?:_output)?")
"""Types of items that only the servers of other models can have left in a conversation."""
_INSTEAD = {
    "conversation": "send previous_response_id",
    "background": "send stream: true, or wait for the response",
    "prompt": "send instructions and input",
}
"""Fields that are refused, and what does the same."""
_SAME = ("model", "temperature", "top_p", "stream", "parallel_tool_calls", "top_logprobs", "user")
"""Fields that a chat has under the same name."""
_PARAMS = {
    "messages": "input",
    "max_tokens": "max_output_tokens",
    "response_format": "text.format",
    "logprobs": "include",
}
"""Fields of a chat, and what they are here."""

_CALL = {"id": "resp_5f0c", "created_at": 1767225600, "model": "rag:合同", "object": "response"}
_SAID = {"type": "output_text", "text": "李白在当涂病逝[1]。", "annotations": []}
_MESSAGE = {"id": "msg_5f0c", "type": "message", "role": "assistant", "status": "completed"}
RESPONSE_EVENT = {
    "type": "response.output_text.delta",
    "item_id": "msg_5f0c",
    "output_index": 0,
    "content_index": 0,
    "delta": "李白",
    "logprobs": [],
    "sequence_number": 4,
}


class ContentPart(RequestBody):
    """A part of an item; local models understand text, and what they said in ``refusal``."""

    type: str = "input_text"
    text: Text | None = None
    refusal: Text | None = None


Content = OneOrMany[Text, list[ContentPart]]


class InputItem(RequestBody):
    """A message, a call of a function, or what came of one."""

    id: str | None = Field(default=None, max_length=200)
    type: str = "message"
    role: Literal["system", "developer", "user", "assistant"] = "user"
    content: Content | None = None
    call_id: str = Field(default="", max_length=200)
    name: str = Field(default="", max_length=200)
    arguments: Text = ""
    input: Text = Field(
        default="", description="Of a call of a custom tool, in place of `arguments`."
    )
    output: Content | None = None

    @property
    def call(self) -> dict[str, Any]:
        """The function that is called, as a chat has it; a custom tool has one argument."""
        custom = json.dumps({"input": self.input}, ensure_ascii=False)
        arguments = self.arguments if self.type == "function_call" else custom
        return {"name": self.name, "arguments": arguments}

    def shown(self) -> dict[str, Any]:
        """Return it as lists of items have it: with an id, a message's text in parts."""
        values = {"type": self.type, **self.model_dump(exclude_unset=True, exclude_none=True)}
        kind = {"message": "msg", "function_call": "fc"}.get(self.type, "item")
        values.setdefault("id", f"{kind}_{uuid.uuid4().hex}")
        if self.type == "message":
            values["role"] = self.role
        if isinstance(text := values.get("content"), str):
            said = {"type": "output_text", "text": text, "annotations": []}
            asked = {"type": "input_text", "text": text}
            values["content"] = [said if self.role == "assistant" else asked]
        return values


class FunctionTool(RequestBody):
    """A function that may be called; tools of other types have but a type."""

    type: str = "function"
    name: str | None = Field(default=None, max_length=200)
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class TextFormat(RequestBody):
    """The form of the answer."""

    type: Literal["text", "json_object", "json_schema"] = "text"
    name: str = "answer"
    json_schema: dict[str, Any] | None = Field(default=None, alias="schema")
    strict: bool | None = None


class TextOptions(RequestBody):
    """The form of the answer, where OpenAI's API has it."""

    format: TextFormat = TextFormat()


class ResponseRequest(DocumentOptions):
    """``POST /v1/responses``."""

    model_config = example(model="rag:default", input="李白是谁？")

    model: str | None = None
    input: OneOrMany[Text, Annotated[list[InputItem], Field(min_length=1, max_length=_MOST_ITEMS)]]
    instructions: Text | None = None
    stream: bool = False
    max_output_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, ge=0, le=1)
    top_logprobs: int | None = Field(default=None, ge=0, le=20)
    include: list[str] | None = Field(default=None, max_length=20)
    tools: list[FunctionTool] | None = Field(
        default=None,
        max_length=128,
        description="Functions, called by a GGUF file or an upstream URL; passed over by others.",
    )
    tool_choice: Any = None
    parallel_tool_calls: bool | None = None
    text: TextOptions | None = None
    metadata: dict[str, str] | None = Field(default=None, max_length=16)
    user: str | None = None
    store: bool | None = Field(
        default=None, description="Whether the response is kept, for thirty days; by default it is."
    )
    previous_response_id: str | None = Field(
        default=None, max_length=200, description="Of one that is kept: the conversation goes on."
    )
    conversation: Any = Field(default=None, description="Refused: `previous_response_id` does it.")
    background: bool | None = Field(default=None, description="Refused.")
    prompt: Any = Field(default=None, description="Refused.")

    @property
    def functions(self) -> list[FunctionTool]:
        """The tools that are functions."""
        return [tool for tool in self.tools or () if tool.type == "function" and tool.name]

    @property
    def format(self) -> TextFormat:
        """The form of the answer."""
        return self.text.format if self.text else TextFormat()

    def items(self, stored: Callable[[str], dict[str, Any] | None]) -> list[dict[str, Any]]:
        """Return what is sent, item by item.

        Args:
            stored: Returns the item of an earlier response with an id, if there is one.

        Raises:
            ApiError: 400, an item is referred to that is not there.
        """
        if isinstance(self.input, str):
            part = {"type": "input_text", "text": self.input}
            return [InputItem.model_validate({"role": "user", "content": [part]}).shown()]
        found = []
        for number, item in enumerate(self.input):
            shown = stored(item.id or "") if item.type == _REFERENCE else item.shown()
            if shown is None:
                msg = f"{_REFERENCE}: no item {item.id!r} is stored; send the item itself"
                raise ApiError(400, msg, param=f"input.{number}.type")
            found.append(shown)
        return found

    def with_items(self, items: list[dict[str, Any]]) -> Self:
        """Return the request with all that it answers, also what was said before it.

        Raises:
            ApiError: 400, that is too much.
        """
        if len(items) > _MOST_ITEMS:
            msg = f"a conversation has {_MOST_ITEMS} items at most; begin another"
            raise ApiError(400, msg, param="input")
        told = [InputItem.model_validate(item) for item in items]
        return self.model_copy(update={"input": told})

    def to_chat(self) -> ChatRequest:
        """Return the chat that asks the same.

        Raises:
            ApiError: 400, something in it can't be said in a chat.
        """
        for name, instead in _INSTEAD.items():
            if getattr(self, name):
                msg = f"{name} is not supported; {instead}"
                raise ApiError(400, msg, code="unsupported_parameter", param=name)
        values = self.model_dump(include={*_SAME, *DocumentOptions.model_fields})
        values |= {
            "messages": self._messages(),
            "max_tokens": self.max_output_tokens,
            "logprobs": bool(self.top_logprobs) or _LOGPROBS in (self.include or ()),
            "tools": self._chat_tools(),
            "tool_choice": self.tool_choice,
            "response_format": self._chat_format(),
        }
        return request_of(ChatRequest, values)

    def _messages(self) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = []
        if self.instructions:
            messages.append({"role": "system", "content": self.instructions})
        if isinstance(self.input, str):
            return [*messages, {"role": "user", "content": self.input}]
        asked = [
            number
            for number, item in enumerate(self.input)
            if (item.type, item.role) == ("message", "user")
        ]
        for number, item in enumerate(self.input):
            _add(messages, item, f"input.{number}", earlier=bool(asked) and number < asked[-1])
        if not messages:
            raise ApiError(400, "input holds no message", param="input")
        return messages

    def _chat_tools(self) -> list[dict[str, Any]] | None:
        """Return the functions as a chat has them; of other tools the type, for it to refuse."""
        if self.tools is None:
            return None
        shown = [tool.model_dump(exclude_none=True) for tool in self.tools]
        return [{"type": tool.pop("type"), "function": tool} for tool in shown]

    def _chat_format(self) -> dict[str, Any] | None:
        form = self.format
        if form.type != "json_schema":
            return None if form.type == "text" else {"type": form.type}
        schema = {"name": form.name, "schema": form.json_schema, "strict": form.strict}
        return {"type": "json_schema", "json_schema": schema}


def _add(messages: list[dict[str, Any]], item: InputItem, where: str, *, earlier: bool) -> None:
    """Add what an item says to the messages of a chat.

    Before the last question another model may have understood more than text, and called more than
    functions.
    """
    if item.type == "message":
        content = _content(item.content, f"{where}.content", earlier=earlier)
        messages.append({"role": item.role, "content": content})
    elif item.type in _CALLS:
        if not messages or messages[-1]["role"] != "assistant":
            messages.append({"role": "assistant", "content": None})
        calls = messages[-1].setdefault("tool_calls", [])
        calls.append({"id": item.call_id, "type": "function", "function": item.call})
    elif item.type in _OUTPUTS:
        output = _content(item.output or "", f"{where}.output", earlier=earlier)
        messages.append({"role": "tool", "tool_call_id": item.call_id, "content": output})
    elif item.type != "reasoning" and not (earlier and _OF_OTHER_MODELS.fullmatch(item.type)):
        msg = f"items of type {item.type} are not supported; send messages and calls of functions"
        raise ApiError(400, msg, param=f"{where}.type")


def _content(
    content: str | list[ContentPart] | None, where: str, *, earlier: bool
) -> str | list[dict[str, Any]] | None:
    """Return the content of a message of a chat; a chat leaves images out of earlier ones."""
    if content is None or isinstance(content, str):
        return content
    if not earlier and (others := [part for part in content if part.type not in _WORDS]):
        raise ApiError(400, f"{others[0].type} parts are not supported; send text", param=where)
    kinds = dict.fromkeys(_WORDS, "text")
    return [
        {"type": kinds.get(part.type, part.type), "text": part.text or part.refusal or ""}
        for part in content
    ]


def own_param(param: str | None) -> str | None:
    """Return the field of a response request that a field of a chat came from."""
    return _PARAMS.get((param or "").partition(".")[0], param)


class ModelResponse(responses.Response):
    """The answer."""

    model_config = example(
        **_CALL,
        status="completed",
        output=[{**_MESSAGE, "content": [_SAID]}],
        parallel_tool_calls=False,
        tool_choice="auto",
        tools=[],
        rag={"citations": [PASSAGE], "answered": True, "notes": []},
    )

    # A float is written as 1.0, where clients in Go, Rust and C# read whole numbers alone.
    created_at: int
    output: list[  # type: ignore[assignment]
        responses.ResponseOutputMessage | responses.ResponseFunctionToolCall
    ]
    tools: list[responses.FunctionTool]  # type: ignore[assignment]
    tool_choice: ToolChoiceOptions | responses.ToolChoiceFunction
    instructions: str | None = None
    prompt: None = None
    rag: Annotated[Grounds | None, Field(description="From models named `rag:INDEX` only.")] = None


class DeletedResponse(BaseModel):
    """A response that is not kept any more."""

    model_config = example(id="resp_5f0c", object="response", deleted=True)

    id: str
    object: Literal["response"] = "response"
    deleted: Literal[True] = True


class InputItems(ListOf[dict[str, Any]]):
    """A page of what a response answers."""

    model_config = example(
        object="list",
        data=[{**_MESSAGE, "role": "user", "content": [{"type": "input_text", "text": "谁？"}]}],
        first_id="msg_5f0c",
        last_id="msg_5f0c",
        has_more=False,
    )
    first_id: str | None
    last_id: str | None
    has_more: bool

    @classmethod
    def page(cls, items: list[dict[str, Any]], limit: int, after: str | None) -> Self:
        """Return a page."""
        ids = [item["id"] for item in items]
        start = ids.index(after) + 1 if after in ids else 0
        shown = ids[start : start + limit]
        return cls(
            data=items[start : start + limit],
            first_id=shown[0] if shown else None,
            last_id=shown[-1] if shown else None,
            has_more=start + limit < len(items),
        )
