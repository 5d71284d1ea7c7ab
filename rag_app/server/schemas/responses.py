"""``/v1/responses`` of OpenAI's API: its requests, as chats, and what answers them."""

from typing import Annotated, Any, Literal

from openai.types import responses
from openai.types.responses.tool_choice_options import ToolChoiceOptions
from pydantic import Field, field_validator

from rag_app.server.errors import ApiError
from rag_app.server.schemas.completions import (
    ChatRequest,
    DocumentOptions,
    Grounds,
    OneOrMany,
    chat_request,
)
from rag_app.server.schemas.indexes import PASSAGE, RequestBody, Text, example

_LOGPROBS = "message.output_text.logprobs"
_TEXTS = ("input_text", "output_text", "text")
_UNSUPPORTED = ("previous_response_id", "conversation", "background", "prompt")
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

    type: str = "message"
    role: Literal["system", "developer", "user", "assistant"] = "user"
    content: Content | None = None
    call_id: str = Field(default="", max_length=200)
    name: str = Field(default="", max_length=200)
    arguments: Text = ""
    output: Content | None = None

    @field_validator("type", mode="before")
    @classmethod
    def _null_is_message(cls, value: Any) -> Any:
        return "message" if value is None else value


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

    @field_validator("format", mode="before")
    @classmethod
    def _null_is_text(cls, value: Any) -> Any:
        return TextFormat() if value is None else value


class ResponseRequest(DocumentOptions):
    """``POST /v1/responses``; nothing is stored, so each request brings its conversation."""

    model_config = example(model="rag:default", input="李白是谁？")

    model: str | None = None
    input: OneOrMany[Text, Annotated[list[InputItem], Field(min_length=1, max_length=900)]]
    instructions: Text | None = None
    stream: bool = False
    max_output_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
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
    previous_response_id: str | None = Field(default=None, description="Refused: none is stored.")
    conversation: Any = Field(default=None, description="Refused: none is stored.")
    background: bool | None = Field(default=None, description="Refused: none is stored.")
    prompt: Any = Field(default=None, description="Refused: none is stored.")

    @field_validator("stream", mode="before")
    @classmethod
    def _null_is_default(cls, value: Any) -> Any:
        return False if value is None else value

    @property
    def functions(self) -> list[FunctionTool]:
        """The tools that are functions."""
        return [tool for tool in self.tools or () if tool.type == "function" and tool.name]

    @property
    def format(self) -> TextFormat:
        """The form of the answer."""
        return self.text.format if self.text else TextFormat()

    def to_chat(self) -> ChatRequest:
        """Return the chat that asks the same.

        Raises:
            ApiError: 400, something in it can't be said in a chat.
        """
        for name in _UNSUPPORTED:
            if getattr(self, name):
                msg = f"{name} is not supported: no response is stored; send the whole conversation"
                raise ApiError(400, msg, code="unsupported_parameter", param=name)
        values = self.model_dump(include={*_SAME, *DocumentOptions.model_fields})
        values |= {
            "messages": self._messages(),
            "max_tokens": self.max_output_tokens,
            "logprobs": bool(self.top_logprobs) or _LOGPROBS in (self.include or ()),
            "tools": self._chat_tools(),
            "tool_choice": _chat_choice(self.tool_choice),
            "response_format": self._chat_format(),
        }
        return chat_request(values)

    def _messages(self) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = []
        if self.instructions:
            messages.append({"role": "system", "content": self.instructions})
        if isinstance(self.input, str):
            return [*messages, {"role": "user", "content": self.input}]
        for number, item in enumerate(self.input):
            _add(messages, item, f"input.{number}")
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


def _add(messages: list[dict[str, Any]], item: InputItem, where: str) -> None:
    """Add what an item says to the messages of a chat."""
    if item.type == "message":
        content = None if item.content is None else _text(item.content, f"{where}.content")
        messages.append({"role": item.role, "content": content})
    elif item.type == "function_call":
        function = {"name": item.name, "arguments": item.arguments}
        if not messages or messages[-1]["role"] != "assistant":
            messages.append({"role": "assistant", "content": None})
        calls = messages[-1].setdefault("tool_calls", [])
        calls.append({"id": item.call_id, "type": "function", "function": function})
    elif item.type == "function_call_output":
        output = _text(item.output or "", f"{where}.output")
        messages.append({"role": "tool", "tool_call_id": item.call_id, "content": output})
    elif item.type != "reasoning":  # which another model may have left in a conversation
        msg = f"items of type {item.type} are not supported; send messages and calls of functions"
        raise ApiError(400, msg, param=f"{where}.type")


def _text(content: str | list[ContentPart], where: str) -> str:
    if isinstance(content, str):
        return content
    for part in content:
        if part.type not in (*_TEXTS, "refusal"):
            raise ApiError(400, f"{part.type} parts are not supported; send text", param=where)
    return "\n".join(part.text or part.refusal or "" for part in content)


def _chat_choice(choice: Any) -> Any:
    if isinstance(choice, dict) and choice.get("type") == "function" and "name" in choice:
        return {"type": "function", "function": {"name": choice["name"]}}
    return choice


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

    output: list[  # type: ignore[assignment]
        responses.ResponseOutputMessage | responses.ResponseFunctionToolCall
    ]
    tools: list[responses.FunctionTool]  # type: ignore[assignment]
    tool_choice: ToolChoiceOptions | responses.ToolChoiceFunction
    instructions: str | None = None
    prompt: None = None
    rag: Annotated[Grounds | None, Field(description="From models named `rag:INDEX` only.")] = None
