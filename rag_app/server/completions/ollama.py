"""What answers a chat, in the lines of Ollama's API."""

import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, Literal

from openai.types import CompletionUsage

from rag_app.models.llms.thoughts import REASONING
from rag_app.server.errors import body_of, ollama_body
from rag_app.server.event_stream import ServerSentEvents, as_json
from rag_app.server.queueing import GeneratedText
from rag_app.server.schemas.ollama import ChatReply, TextReply

Form = Literal["chat", "text"]


class ReplyLines(ServerSentEvents):
    r"""Writes the events of a stream as lines of JSON, and nothing between them.

    Example:
        >>> ReplyLines().event({"response": "诗"}).decode()
        '{"response": "诗"}\n'
    """

    media_type = "application/x-ndjson"
    waiting = b""

    def __init__(self) -> None:
        super().__init__(done=False)

    def event(self, value: Any) -> bytes:
        """Return what is sent for a JSON value or a model."""
        return f"{as_json(value)}\n".encode("utf-8", "replace")

    def failure(self, error: BaseException) -> bytes:
        """Return what is sent where the stream ends with an error."""
        return self.event(ollama_body(body_of(error)))


class OllamaReply:
    """One reply.

    Args:
        chat: Answers.
        model: The name that was asked for.
        form: Whether it is a chat's message or a prompt's text.
    """

    def __init__(self, chat: GeneratedText, model: str, form: Form) -> None:
        self._chat = chat
        self._model = model
        self._form = form
        self._calls: list[dict[str, Any]] = []
        self._thought = ""
        self._reason = "stop"
        self._begun = self._first = time.perf_counter_ns()

    @property
    def usage(self) -> CompletionUsage:
        """Tokens so far."""
        return self._chat.usage

    async def stream(self) -> AsyncIterator[ChatReply | TextReply]:
        """Yield the lines of a stream."""
        self._begun = self._first = time.perf_counter_ns()
        async for chunk in self._chat.stream():
            for choice in chunk.choices:  # type: ignore[union-attr]
                text, tokens = self._take(choice)
                if not (text or tokens or self._thought):
                    continue
                if self._first == self._begun:
                    self._first = time.perf_counter_ns()
                yield self._reply(text, tokens, done=False)
        self._thought = ""
        yield self._last("", [])

    async def whole(self) -> ChatReply | TextReply:
        """Return the reply of a request that does not stream."""
        self._begun = self._first = time.perf_counter_ns()
        completion: Any = await self._chat.whole()
        return self._last(*self._take(completion.choices[0]))

    def _take(self, choice: Any) -> tuple[str, list[dict[str, Any]]]:
        """Take an answer or a piece of one; return its text, and its log probabilities."""
        message = getattr(choice, "delta", None) or getattr(choice, "message", None)
        if message is None:  # a text is a choice of its own
            self._reason = choice.finish_reason or self._reason
            return choice.text, []
        for call in message.tool_calls or ():
            if call.id or not self._calls:
                self._calls.append({"name": call.function.name, "arguments": ""})
            self._calls[-1]["arguments"] += call.function.arguments or ""
        self._reason = choice.finish_reason or self._reason
        self._thought = getattr(message, REASONING, None) or ""
        tokens = (choice.logprobs and choice.logprobs.model_dump()["content"]) or []
        return message.content or "", tokens

    def _last(self, text: str, tokens: list[dict[str, Any]]) -> ChatReply | TextReply:
        end, usage = time.perf_counter_ns(), self.usage
        return self._reply(
            text,
            tokens,
            done=True,
            done_reason="length" if self._reason == "length" else "stop",
            total_duration=end - self._begun,
            load_duration=0,
            prompt_eval_count=usage.prompt_tokens,
            prompt_eval_duration=self._first - self._begun,
            eval_count=usage.completion_tokens,
            eval_duration=end - self._first,
        )

    def _reply(self, text: str, tokens: list[dict[str, Any]], **more: Any) -> ChatReply | TextReply:
        values = {"model": self._model, "created_at": now(), **more}
        if tokens:
            values["logprobs"] = tokens
        if self._form == "text":
            return TextReply(**values, response=text)
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if self._thought:
            message["thinking"] = self._thought
        if more["done"] and self._calls:
            message["tool_calls"] = [
                {"function": {**call, "arguments": json.loads(call["arguments"] or "{}")}}
                for call in self._calls
            ]
        return ChatReply(**values, message=message)


def loaded_reply(model: str, form: Form) -> ChatReply | TextReply:
    """Return the reply to a request that only has the model loaded, as it is."""
    values: dict[str, Any] = {"model": model, "created_at": now(), "done": True}
    values["done_reason"] = "load"
    if form == "text":
        return TextReply(**values, response="")
    return ChatReply(**values, message={"role": "assistant", "content": ""})


def now() -> str:
    """Return the time as Ollama writes it."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
