"""What llama.cpp's server says while it works, read in a thread or an event loop."""

import queue
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from langchain_core.messages import AIMessageChunk
from langchain_core.messages.ai import InputTokenDetails, UsageMetadata
from langchain_core.outputs import ChatGenerationChunk

from rag_app.errors import ModelError, PromptTooLongError
from rag_app.models.llms.async_queue import END, Telling

Event = dict[str, Any]
Handler = Callable[[Event, Callable[[Any], bool]], None]
"""A ``handle_…`` method of the server: takes a request and calls back with each event; a callback
that returns True stops the work."""


@contextmanager
def running(handle: Handler, request: Event) -> Iterator[Iterator[Event]]:
    """Give the events of a request as they come; leaving the block cancels what is not done."""
    events: queue.SimpleQueue[Any] = queue.SimpleQueue()
    cancelled = threading.Event()
    worker = _start(handle, request, events.put, cancelled)

    def received() -> Iterator[Event]:
        while (event := events.get()) is not END:
            yield _checked(event)

    try:
        yield received()
    finally:
        cancelled.set()
        worker.join()


@asynccontextmanager
async def arunning(handle: Handler, request: Event) -> AsyncIterator[AsyncIterator[Event]]:
    """`running` for an event loop; it does not wait for the work that it cancels."""
    cancelled = threading.Event()
    events = Telling(cancelled)
    _start(handle, request, events.put, cancelled)

    async def received() -> AsyncIterator[Event]:
        async for event in events.received():
            yield _checked(event)

    try:
        yield received()
    finally:
        cancelled.set()


def _start(
    handle: Handler, request: Event, put: Callable[[Any], None], cancelled: threading.Event
) -> threading.Thread:
    def receive(event: Any) -> bool:
        for one in event if isinstance(event, list) else [event]:
            put(one)
        return cancelled.is_set()  # True makes the server stop

    def run() -> None:
        try:
            handle(request, receive)
        except BaseException as error:  # raised where the events are read
            put(error)
        put(END)

    worker = threading.Thread(target=run, name="llama.cpp")
    worker.start()
    return worker


def _checked(event: Any) -> Event:
    if isinstance(event, BaseException):
        msg = f"llama.cpp failed ({event})"
        raise ModelError(msg) from event
    checked: Event = event
    return checked


class Chunks:
    """Turns the events of one request into LangChain's chunks.

    Args:
        lstrip: Drop the spaces before the text: in a chat llama.cpp keeps the one that
            SentencePiece puts before every text.
    """

    def __init__(self, *, lstrip: bool) -> None:
        self._lstrip = lstrip

    def of(self, event: Event) -> ChatGenerationChunk | None:
        """Return the chunk of an event; None for one that says nothing.

        Raises:
            ModelError: the event is an error.
        """
        if error := event.get("error"):
            raise _refused(error)
        message = AIMessageChunk(content="")
        info: dict[str, Any] = {}
        if choices := event.get("choices"):
            message.content = self._text(choices[0])
            for name in ("finish_reason", "logprobs"):
                if value := choices[0].get(name):
                    info[name] = value
        if usage := event.get("usage"):
            message.usage_metadata = _usage(usage)
        if timings := event.get("timings"):
            info["timings"] = timings
        if not (message.content or info or message.usage_metadata):
            return None
        message.response_metadata = info
        return ChatGenerationChunk(message=message, generation_info=info or None)

    def _text(self, choice: Event) -> str:
        text = choice.get("text") or choice.get("delta", {}).get("content") or ""
        if self._lstrip:
            text = text.lstrip(" ")
            self._lstrip = not text
        return str(text)


def _usage(usage: Event) -> UsageMetadata:
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
    return UsageMetadata(
        input_tokens=usage["prompt_tokens"],
        output_tokens=usage["completion_tokens"],
        total_tokens=usage["total_tokens"],
        input_token_details=InputTokenDetails(cache_read=cached),
    )


def _refused(error: Event) -> ModelError:
    if error.get("type") == "exceed_context_size_error":
        return PromptTooLongError(
            f"the prompt has {error.get('n_prompt_tokens')} tokens and the model's window "
            f"{error.get('n_ctx')}; raise RAG_APP_CONTEXT_LENGTH or ask about less"
        )
    return ModelError(f"llama.cpp refused the request ({error.get('message', error)})")
