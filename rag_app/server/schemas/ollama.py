"""Ollama's API: its requests, as those of OpenAI's, and what answers them."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from rag_app.server.errors import ApiError
from rag_app.server.schemas.chat import ChatRequest
from rag_app.server.schemas.completions import CompletionRequest
from rag_app.server.schemas.requests import (
    DocumentOptions,
    OneOrMany,
    RequestBody,
    Text,
    example,
    request_of,
)

_OPTIONS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "seed": "seed",
    "stop": "stop",
    "repeat_penalty": "repetition_penalty",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
}
"""Options of a request, and what OpenAI's API calls them; others are passed over."""
_CREATED = {"model": "rag:合同", "created_at": "2026-01-01T00:00:00Z"}
_COUNTS = {
    "done": True,
    "done_reason": "stop",
    "total_duration": 1_520_000_000,
    "load_duration": 0,
    "prompt_eval_count": 31,
    "prompt_eval_duration": 900_000_000,
    "eval_count": 8,
    "eval_duration": 620_000_000,
}
CHAT_LINE = {**_CREATED, "message": {"role": "assistant", "content": "李白"}, "done": False}
TEXT_LINE = {**_CREATED, "response": "李白", "done": False}
_DETAILS = {
    "parent_model": "",
    "format": "gguf",
    "family": "qwen2",
    "families": ["qwen2"],
    "parameter_size": "1.5B",
    "quantization_level": "Q4_K_M",
}
_MODEL = {
    "name": "qwen2.5-1.5b-instruct",
    "model": "qwen2.5-1.5b-instruct",
    "modified_at": "2026-01-01T00:00:00Z",
    "size": 1_117_320_736,
    "digest": "6a1a",
    "details": _DETAILS,
}


class OllamaRequest(RequestBody):
    """What all requests say: the model, which may have the tag ``latest``."""

    model: str | None = None
    options: dict[str, Any] | None = Field(
        default=None, description="`temperature`, `num_predict`, `stop` and so on."
    )
    keep_alive: Any = Field(default=None, description="Passed over: models stay loaded.")


class Generating(OllamaRequest, DocumentOptions):
    """What requests for text have in common."""

    stream: bool = True
    format: Any = Field(default=None, description="`json`, or a JSON schema.")
    think: Any = Field(default=None, description="Passed over.")
    logprobs: bool | None = None
    top_logprobs: int | None = Field(default=None, ge=0, le=20)

    def _chat(self, messages: list[dict[str, Any]], model: str, **more: Any) -> ChatRequest:
        """Return the chat that asks the same of a model."""
        values = self.model_dump(
            include={"logprobs", "top_logprobs", *DocumentOptions.model_fields}
        )
        return request_of(
            ChatRequest,
            {
                **values,
                **self._sampling(),
                **more,
                "messages": messages,
                "model": model,
                "stream": self.stream,
                "response_format": self._response_format(),
            },
        )

    def _sampling(self) -> dict[str, Any]:
        """Return the options by the names that OpenAI's API has for them."""
        given = self.options or {}
        options = {name: given[key] for key, name in _OPTIONS.items() if key in given}
        if (limit := given.get("num_predict")) is not None:  # -2: up to the end of the window
            options["max_tokens"] = -1 if limit == -2 else limit
        return options

    def _response_format(self) -> dict[str, Any] | None:
        if not self.format:
            return None
        if self.format == "json":
            return {"type": "json_object"}
        if not isinstance(self.format, dict):
            raise ApiError(400, "format is json or a JSON schema", param="format")
        return {"type": "json_schema", "json_schema": {"name": "answer", "schema": self.format}}


class CalledFunction(RequestBody):
    """A function's name and arguments, an object or JSON as OpenAI's API has it."""

    name: str = Field(max_length=200)
    arguments: Any = Field(default_factory=dict)


class ToolCall(RequestBody):
    """A call of a function."""

    id: str | None = Field(default=None, max_length=200)
    function: CalledFunction


class OllamaMessage(RequestBody):
    """One message of a chat."""

    role: Literal["system", "user", "assistant", "tool"]
    content: Text | None = None
    images: list[Any] | None = None
    tool_calls: list[ToolCall] | None = Field(default=None, max_length=128)
    tool_name: str | None = None
    tool_call_id: str | None = Field(default=None, max_length=200)


class OllamaChat(Generating):
    """``POST /api/chat``."""

    model_config = example(
        model="rag:default", messages=[{"role": "user", "content": "李白是谁？"}], stream=False
    )

    messages: list[OllamaMessage] | None = Field(
        default=None, max_length=1000, description="Without any the model is only loaded."
    )
    tools: list[Any] | None = Field(default=None, max_length=128)

    def to_chat(self, model: str) -> ChatRequest:
        """Return the chat that asks the same of a model.

        Raises:
            ApiError: 400, something in it can't be said in a chat.
        """
        calls: list[tuple[str, str]] = []  # that wait for their results: names and ids
        messages = [
            _chat_message(message, calls, f"messages.{number}")
            for number, message in enumerate(self.messages or ())
        ]
        return self._chat(messages, model, tools=self.tools)


class OllamaPrompt(Generating):
    """``POST /api/generate``."""

    model_config = example(model="rag:default", prompt="李白是谁？", stream=False)

    prompt: Text | None = Field(default=None, description="Without one the model is only loaded.")
    system: Text | None = None
    images: list[Any] | None = None
    suffix: str | None = Field(default=None, description="Refused.")
    template: str | None = Field(default=None, description="Refused.")
    raw: bool | None = Field(
        default=None, description="Go on with the prompt as it is, without a chat template."
    )
    context: list[int] | None = Field(default=None, description="Passed over: `/api/chat` has it.")

    def to_chat(self, model: str) -> ChatRequest | CompletionRequest:
        """Return the request that asks the same of a model.

        Raises:
            ApiError: 400, something in it can't be said there.
        """
        for name in ("suffix", "template"):
            if getattr(self, name):
                msg = f"{name} is not supported; with raw: true a prompt is read as it is"
                raise ApiError(400, msg, param=name)
        if self.images:
            raise ApiError(400, "images are not supported; send text", param="images")
        if self.raw:
            values = {"prompt": self.prompt, "model": model, "stream": self.stream}
            return request_of(CompletionRequest, {**values, **self._sampling()})
        system = [{"role": "system", "content": self.system}] if self.system else []
        return self._chat([*system, {"role": "user", "content": self.prompt or ""}], model)


def _chat_message(
    message: OllamaMessage, calls: list[tuple[str, str]], where: str
) -> dict[str, Any]:
    """Return a message as OpenAI's API has it, where the results of calls name the calls."""
    shown: dict[str, Any] = {"role": message.role, "content": message.content or ""}
    if message.images:  # whether they matter still, the chat says
        shown["content"] = [shown["content"], *({"type": "image"} for _ in message.images)]
    if message.tool_calls:
        made = [_chat_call(call, f"call_{where}.{i}") for i, call in enumerate(message.tool_calls)]
        calls[:] = [(call["function"]["name"], call["id"]) for call in made]
        shown["tool_calls"] = made
    if message.role == "tool":
        named = [call for call in calls if message.tool_name in (None, call[0])]
        if named:
            calls.remove(named[0])
        shown["tool_call_id"] = message.tool_call_id or (named[0][1] if named else "")
    return shown


def _chat_call(call: ToolCall, number: str) -> dict[str, Any]:
    return {"id": call.id or number, "type": "function", "function": call.function.model_dump()}


class OllamaEmbed(OllamaRequest):
    """``POST /api/embed``."""

    model_config = example(input=["今天天气真不错"])

    input: OneOrMany[Text, Annotated[list[Text], Field(min_length=1, max_length=2048)]]
    truncate: bool | None = Field(default=None, description="As Ollama does: true by default.")
    dimensions: int | None = Field(default=None, ge=1)


class OllamaEmbedding(OllamaRequest):
    """``POST /api/embeddings``, the older form of ``/api/embed``."""

    model_config = example(prompt="今天天气真不错")

    prompt: Text


class OllamaModelRequest(RequestBody):
    """``POST /api/show``."""

    model_config = example(model="rag:default")

    model: str | None = None
    name: str | None = Field(default=None, description="The older name of `model`.")


class Reply(BaseModel):
    """A piece of an answer, or a whole one; the last has the numbers."""

    model: str
    created_at: str
    done: bool
    done_reason: str | None = None
    logprobs: list[Any] | None = None
    total_duration: int | None = Field(default=None, description="Nanoseconds, as all durations.")
    load_duration: int | None = None
    prompt_eval_count: int | None = None
    prompt_eval_duration: int | None = None
    eval_count: int | None = None
    eval_duration: int | None = None


class ChatReply(Reply):
    """The answer to a chat."""

    model_config = example(**{**CHAT_LINE, **_COUNTS})

    message: dict[str, Any]


class TextReply(Reply):
    """The answer to a prompt."""

    model_config = example(**{**TEXT_LINE, **_COUNTS})

    response: str


class Vectors(BaseModel):
    """The vectors, in the order of the texts."""

    model_config = example(
        model="multilingual-e5-small", embeddings=[[0.031, -0.052]], prompt_eval_count=6
    )

    model: str
    embeddings: list[list[float]]
    total_duration: int = 0
    load_duration: int = 0
    prompt_eval_count: int


class Vector(BaseModel):
    """The vector of one text."""

    model_config = example(embedding=[0.031, -0.052])

    embedding: list[float]


class ModelDetails(BaseModel):
    """What a model is made of; empty where that isn't known."""

    parent_model: str = ""
    format: str = ""
    family: str = ""
    families: list[str] = Field(default_factory=list)
    parameter_size: str = ""
    quantization_level: str = ""


class OllamaModel(BaseModel):
    """A model that can be asked for."""

    name: str
    model: str
    modified_at: datetime
    size: int = Field(description="Bytes; 0 where it is not a file of its own.")
    digest: str = Field(description="Differs where the model does.")
    details: ModelDetails


class OllamaModels(BaseModel):
    """All models."""

    model_config = example(models=[_MODEL])

    models: list[OllamaModel]


class ShownModel(BaseModel):
    """One model, and what can be asked of it."""

    model_config = example(
        modelfile="",
        parameters="",
        template="",
        modified_at="2026-01-01T00:00:00Z",
        details=_DETAILS,
        model_info={"general.architecture": "qwen2", "qwen2.context_length": 4096},
        capabilities=["completion", "tools"],
    )

    modelfile: str = ""
    parameters: str = ""
    template: str = ""
    modified_at: datetime
    details: ModelDetails
    model_info: dict[str, Any]
    capabilities: list[str]


class Version(BaseModel):
    """The version of Ollama whose API this is."""

    model_config = example(version="0.12.0")

    version: str
