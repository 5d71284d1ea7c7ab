"""Streams of events: how they are written, kept alive, and ended."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from pydantic import BaseModel
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from rag_app.server.errors import body_of
from rag_app.server.queueing import GeneratedText, Queues, end_tasks, while_wanted

WAITING = object()
"""In place of an event: a comment, which clients pass over, says that the server is there."""

_QUIET_SECONDS = 10
STREAM_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_log = logging.getLogger("rag_app.server")


class ServerSentEvents:
    r"""Writes the events of a stream, as OpenAI's chat completions have them.

    Args:
        done: Whether ``[DONE]`` ends the stream.

    Example:
        >>> ServerSentEvents().event({"text": "诗"}).decode()
        'data: {"text": "诗"}\n\n'
    """

    media_type = "text/event-stream"
    waiting = b": waiting\n\n"
    """In place of an event; empty where there is nothing that clients pass over."""

    def __init__(self, *, done: bool = True) -> None:
        self.end = b"data: [DONE]\n\n" if done else b""

    def event(self, value: Any) -> bytes:
        """Return what is sent for a JSON value or a model."""
        return f"data: {as_json(value)}\n\n".encode("utf-8", "replace")

    def failure(self, error: BaseException) -> bytes:
        """Return what is sent where the stream ends with an error."""
        return self.event(body_of(error))


def as_json(value: Any) -> str:
    """Return a JSON value or a model on one line, of a model only what was set."""
    if isinstance(value, BaseModel):
        # As it is: a field's type may know OpenAI's fields alone, where its value has ours too.
        value = value.model_dump(by_alias=True, exclude_unset=True, serialize_as_any=True)
    return json.dumps(value, ensure_ascii=False)


class EventStream(Response):
    """A response of events that come from an async iterator.

    When the client goes away, whatever the iterator waits for is cancelled at once. An error in
    mid-stream is sent as an event of its own, and ends the stream; so is the end of the server.

    Args:
        events: JSON values or models, each sent as one event.
        form: Writes them.
        seconds: Time after which it is given up; None is never.
        release: Called when the response is over, sent or not.
    """

    def __init__(
        self,
        events: AsyncIterator[Any],
        *,
        form: ServerSentEvents | None = None,
        seconds: float | None = None,
        release: Callable[[], None] | None = None,
    ) -> None:
        self._form = form or ServerSentEvents()
        super().__init__(headers=STREAM_HEADERS, media_type=self._form.media_type)
        del self.headers["content-length"]
        self._events = events
        self._seconds = seconds
        self._release = release

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events."""
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        try:
            await send(start)
            try:
                if not await while_wanted(scope, receive, self._send(send)):
                    return
            except Exception as error:
                if body_of(error)["error"]["type"] == "api_error":
                    _log.exception("a stream failed")
                await send_part(send, self._form.failure(error))
            await send_part(send, self._form.end, last=True)
        finally:
            if self._release:
                self._release()

    async def _send(self, send: Send) -> bool:
        waiting = self._form.waiting
        async with asyncio.timeout(self._seconds), kept_alive(send, waiting) as sent:
            async for event in self._events:
                await send_part(send, waiting if event is WAITING else self._form.event(event))
                sent.set()
        return True


def generated_stream(
    queues: Queues, generation: GeneratedText, form: ServerSentEvents | None = None
) -> EventStream:
    """Return a response of generated text, sent as it comes; see `Queues.whole`.

    It begins at once, and says so while it waits for its slot.

    Raises:
        ApiError: 429, too many requests wait.
    """
    place = queues.generating.join()

    async def events() -> AsyncIterator[Any]:
        if place.must_wait:
            yield WAITING
        await place.wait()
        async for event in generation.stream():
            yield event

    def end() -> None:
        place.leave()
        queues.count(generation)

    return EventStream(events(), form=form, seconds=queues.seconds, release=end)


@asynccontextmanager
async def kept_alive(send: Send, waiting: bytes) -> AsyncIterator[asyncio.Event]:
    """Send a comment whenever the event was not set for a while: proxies and clients give up."""
    sent = asyncio.Event()

    async def comment() -> None:
        while True:
            try:
                async with asyncio.timeout(_QUIET_SECONDS):
                    await sent.wait()
            except TimeoutError:
                await send_part(send, waiting)
            sent.clear()

    commenting = asyncio.create_task(comment())
    try:
        yield sent
    finally:
        await end_tasks([commenting])


async def send_part(send: Send, body: bytes, *, last: bool = False) -> None:
    """Send bytes of a response's body."""
    await send({"type": "http.response.body", "body": body, "more_body": not last})
