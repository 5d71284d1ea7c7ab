"""What answers a chat, in the objects and events of ``/v1/responses``."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from openai.types import CompletionUsage
from openai.types import responses as types
from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from rag_app.server.completions.chat import Logprobs
from rag_app.server.completions.stored import item_id
from rag_app.server.errors import body_of
from rag_app.server.event_stream import ServerSentEvents
from rag_app.server.queueing import GeneratedText
from rag_app.server.schemas.responses import ModelResponse, ResponseRequest, own_param

_ERRORS = {"rate_limit_error": "rate_limit_exceeded", "invalid_request_error": "invalid_prompt"}
"""Types of errors, and the codes that a failed response may have."""
_CHOICES = ("none", "auto", "required")


class ResponseEvents(ServerSentEvents):
    """Writes the events of a response: each with its name, and nothing after the last.

    Args:
        response: Whose failure an error is.
    """

    def __init__(self, response: "ChatResponse") -> None:
        super().__init__(done=False)
        self._response = response

    def event(self, value: Any) -> bytes:
        """Return what is sent for an event."""
        return f"event: {value.type}\n".encode() + super().event(value)

    def failure(self, error: BaseException) -> bytes:
        """Return what is sent where the stream ends with an error."""
        return b"".join(map(self.event, self._response.failed(error)))


class ChatResponse:
    """One response: the items that a chat's answer comes in."""

    def __init__(
        self,
        chat: GeneratedText,
        request: ResponseRequest,
        model: str,
        keep: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        self._chat = chat
        self._keep = keep
        self._fixed = _repeated(request, model)
        self._events = 0
        self._items: list[_Message | _Call] = []
        self._finish_reason = "stop"
        self._grounds: dict[str, Any] | None = None

    @property
    def usage(self) -> CompletionUsage:
        """Tokens so far."""
        return self._chat.usage

    async def stream(self) -> AsyncIterator[BaseModel]:
        """Yield the events of a stream."""
        yield self._state(types.ResponseCreatedEvent, "in_progress")
        yield self._state(types.ResponseInProgressEvent, "in_progress")
        async for chunk in self._chat.stream():
            for event in self._take_chunk(chunk):
                yield event
        for event in self._close():
            yield event
        await self._kept()
        if self._finish_reason == "length":
            yield self._state(types.ResponseIncompleteEvent, "incomplete")
        else:
            yield self._state(types.ResponseCompletedEvent, "completed")

    async def whole(self) -> BaseModel:
        """Return the response of a request that does not stream."""
        completion: Any = await self._chat.whole()
        choice = completion.choices[0]
        self._finish_reason = choice.finish_reason
        self._grounds = _extra(completion, "rag")
        for _ in self._take(choice.message, choice.logprobs):
            pass  # nobody sees the events
        for _ in self._close():
            pass
        return await self._kept()

    def failed(self, error: BaseException) -> list[BaseModel]:
        """Return the events that end a stream with an error."""
        told = body_of(error)["error"]
        told["param"] = own_param(told["param"])
        # As documented, and in the form in which OpenAI's clients find it and raise it.
        values = {**{name: told[name] for name in ("code", "message", "param")}, "error": told}
        event = self._numbered(types.ResponseErrorEvent, **values)
        code = _ERRORS.get(told["type"], "server_error")
        failure = {"code": code, "message": told["message"]}
        return [event, self._state(types.ResponseFailedEvent, "failed", error=failure)]

    async def _kept(self) -> ModelResponse:
        """Return the whole response, which is kept first: a client may ask for it at once."""
        ended = "incomplete" if self._finish_reason == "length" else "completed"
        response = self._response(ended)
        if self._keep:
            values = to_jsonable_python(response.model_dump(by_alias=True, exclude_unset=True))
            await asyncio.to_thread(self._keep, values)
        return response

    def _take_chunk(self, chunk: Any) -> Iterator[BaseModel]:
        """Take one event of the chat's stream, and yield those that it becomes."""
        if grounds := _extra(chunk, "rag"):
            self._grounds = _sum(self._grounds, grounds)
        for choice in chunk.choices:
            self._finish_reason = choice.finish_reason or self._finish_reason
            yield from self._take(choice.delta, choice.logprobs)

    def _take(self, message: Any, logprobs: Any) -> Iterator[BaseModel]:
        """Take a message or a piece of one."""
        annotations = _extra(message, "annotations") or ()
        tokens = (logprobs and logprobs.model_dump()["content"]) or ()
        if message.content or annotations:
            item = self._items[-1] if self._items else None
            if not isinstance(item, _Message):
                item = _Message(self._fixed["id"], len(self._items))
                yield from self._open(item)
            yield from self._all(item.take(message.content or "", tokens, annotations))
        for call in message.tool_calls or ():
            yield from self._take_call(call)

    def _take_call(self, call: Any) -> Iterator[BaseModel]:
        item = self._items[-1] if self._items else None
        if call.id or not isinstance(item, _Call):
            item = _Call(
                self._fixed["id"], len(self._items), call.id or "", call.function.name or ""
            )
            yield from self._open(item)
        yield from self._all(item.take(call.function.arguments or ""))

    def _open(self, item: "_Message | _Call") -> Iterator[BaseModel]:
        yield from self._close_last()
        self._items.append(item)
        yield from self._all(item.opened())

    def _close_last(self) -> Iterator[BaseModel]:
        if self._items:
            yield from self._all(self._items[-1].closed())

    def _close(self) -> Iterator[BaseModel]:
        if not self._items:  # an empty answer is one too
            yield from self._open(_Message(self._fixed["id"], 0))
        yield from self._close_last()

    def _all(self, events: Iterable["_Event"]) -> Iterator[BaseModel]:
        for kind, values in events:
            yield self._numbered(kind, **values)

    def _numbered(self, kind: type[BaseModel], **values: Any) -> BaseModel:
        name = kind.model_fields["type"].annotation.__args__[0]  # type: ignore[union-attr]
        number, self._events = self._events, self._events + 1
        return kind.model_construct(type=name, sequence_number=number, **values)

    def _state(self, kind: type[BaseModel], status: str, **more: Any) -> BaseModel:
        return self._numbered(kind, response=self._response(status, **more))

    def _response(self, status: str, **more: Any) -> ModelResponse:
        values = {**self._fixed, "status": status, **more}
        values["output"] = [item.shown for item in self._items]
        if status == "incomplete":
            values["incomplete_details"] = {"reason": "max_output_tokens"}
        if status != "in_progress":
            values["usage"] = _usage(self.usage)
        if self._grounds:
            values["rag"] = self._grounds
        return ModelResponse.model_construct(**values)


_Event = tuple[type[BaseModel], dict[str, Any]]


class _Message:
    """An item of text."""

    def __init__(self, response: str, index: int) -> None:
        self._id = item_id("msg", response, index)
        self._text = ""
        self._tokens: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []
        self._status = "in_progress"
        self._place = {"item_id": self._id, "output_index": index}

    @property
    def shown(self) -> dict[str, Any]:
        """The item as it is."""
        return self._item([self._part()])

    def opened(self) -> Iterator[_Event]:
        place = self._place
        index = place["output_index"]
        yield types.ResponseOutputItemAddedEvent, {"output_index": index, "item": self._item([])}
        empty = {**self._part(), "text": "", "annotations": []}
        yield types.ResponseContentPartAddedEvent, {**place, "content_index": 0, "part": empty}

    def take(
        self, text: str, logprobs: Logprobs, annotations: Sequence[Mapping[str, Any]]
    ) -> Iterator[_Event]:
        place = {**self._place, "content_index": 0}
        if text:
            tokens = [_token(token) for token in logprobs]
            self._text += text
            self._tokens += tokens
            yield types.ResponseTextDeltaEvent, {**place, "delta": text, "logprobs": tokens}
        for annotation in annotations:
            # Which are one level deeper in a chat.
            kind = annotation["type"]
            own = {"type": kind, **annotation[kind]}
            number = len(self._annotations)
            self._annotations.append(own)
            yield (
                types.ResponseOutputTextAnnotationAddedEvent,
                {**place, "annotation_index": number, "annotation": own},
            )

    def closed(self) -> Iterator[_Event]:
        if self._status == "completed":
            return
        self._status = "completed"
        place = {**self._place, "content_index": 0}
        done = {"text": self._text, "logprobs": self._tokens}
        yield types.ResponseTextDoneEvent, {**place, **done}
        yield types.ResponseContentPartDoneEvent, {**place, "part": self._part()}
        index = self._place["output_index"]
        yield types.ResponseOutputItemDoneEvent, {"output_index": index, "item": self.shown}

    def _part(self) -> dict[str, Any]:
        said = {"text": self._text, "annotations": self._annotations, "logprobs": self._tokens}
        return {"type": "output_text", **said}

    def _item(self, content: list[dict[str, Any]]) -> dict[str, Any]:
        head = {"id": self._id, "type": "message", "role": "assistant"}
        return {**head, "status": self._status, "content": content}


class _Call:
    """An item that calls a function."""

    def __init__(self, response: str, index: int, call_id: str, name: str) -> None:
        self._id = item_id("fc", response, index)
        self._call_id = call_id
        self._name = name
        self._arguments = ""
        self._status = "in_progress"
        self._place = {"item_id": self._id, "output_index": index}

    @property
    def shown(self) -> dict[str, Any]:
        """The item as it is."""
        call = {"call_id": self._call_id, "name": self._name, "arguments": self._arguments}
        return {"id": self._id, "type": "function_call", **call, "status": self._status}

    def opened(self) -> Iterator[_Event]:
        index = self._place["output_index"]
        yield types.ResponseOutputItemAddedEvent, {"output_index": index, "item": self.shown}

    def take(self, arguments: str) -> Iterator[_Event]:
        self._arguments += arguments
        yield (
            types.ResponseFunctionCallArgumentsDeltaEvent,
            {**self._place, "delta": arguments},
        )

    def closed(self) -> Iterator[_Event]:
        if self._status == "completed":
            return
        self._status = "completed"
        done = {"name": self._name, "arguments": self._arguments}
        yield types.ResponseFunctionCallArgumentsDoneEvent, {**self._place, **done}
        index = self._place["output_index"]
        yield types.ResponseOutputItemDoneEvent, {"output_index": index, "item": self.shown}


def _repeated(request: ResponseRequest, model: str) -> dict[str, Any]:
    """Return what a response repeats of its request, and what all its states have in common."""
    form = request.format.model_dump(by_alias=True, exclude_unset=True)
    choice = request.tool_choice
    named = isinstance(choice, dict) and isinstance(choice.get("name"), str)
    shown = {"type": "function", "name": choice["name"]} if named else choice
    return {
        "id": f"resp_{uuid.uuid4().hex}",
        "object": "response",
        "created_at": int(time.time()),
        "model": model,
        "error": None,
        "incomplete_details": None,
        "instructions": request.instructions,
        "max_output_tokens": request.max_output_tokens,
        "metadata": request.metadata or {},
        "parallel_tool_calls": False,  # one at a time
        "previous_response_id": request.previous_response_id,
        "store": request.store is not False,
        "temperature": request.temperature,
        "text": {"format": {"type": "text", **form}},
        "tool_choice": shown if named or choice in _CHOICES else "auto",
        "tools": [tool.model_dump() for tool in request.functions],
        "top_p": request.top_p,
        "truncation": "disabled",
        "usage": None,
    }


def _usage(usage: CompletionUsage) -> dict[str, Any]:
    details = usage.prompt_tokens_details
    cached = (details.cached_tokens if details else 0) or 0
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.total_tokens,
    }


def _token(token: Mapping[str, Any]) -> dict[str, Any]:
    """Return a token's log probability, with the bytes that these objects must have."""

    def shown(one: Mapping[str, Any]) -> dict[str, Any]:
        data = one.get("bytes") or list(one["token"].encode("utf-8", "replace"))
        return {"token": one["token"], "logprob": one["logprob"], "bytes": data}

    return {
        **shown(token),
        "top_logprobs": [shown(alternative) for alternative in token["top_logprobs"] or ()],
    }


def _extra(model: Any, name: str) -> Any:
    value = getattr(model, name, None)
    if isinstance(value, list):
        return [item.model_dump() if isinstance(item, BaseModel) else item for item in value]
    return value.model_dump(exclude_unset=True) if isinstance(value, BaseModel) else value


def _sum(before: dict[str, Any] | None, piece: dict[str, Any]) -> dict[str, Any]:
    """Return what an answer rests on after one more piece of it."""
    if before is None:
        before = {"citations": [], "notes": [], "nearest": []}
    added = {name: before[name] + piece[name] for name in ("citations", "notes", "nearest")}
    told = {name: piece.get(name) or before.get(name) for name in ("confidence", "evidence")}
    return {"answered": piece["answered"], **added, **told}
