"""Server-sent events, and work that is given up as soon as nobody waits for it."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, TypeVar

from fastapi import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from rag_app.server.errors import ApiError, body_of

DONE = "[DONE]"
"""What ends a stream of OpenAI's API."""

_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_log = logging.getLogger("rag_app.server")

Result = TypeVar("Result")


class EventStream(Response):
    """A response whose events come from an async iterator.

    When the client goes away, whatever the iterator waits for is cancelled at once. An error in
    mid-stream is sent as an event of its own, and ends the stream; so is the end of the server.

    Args:
        events: JSON values, each sent as one event.
        seconds: Time after which it is given up; None is never.
        done: Whether ``[DONE]`` ends the stream.
        release: Called when the response is over, sent or not.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        events: AsyncIterator[Any],
        *,
        seconds: float | None = None,
        done: bool = True,
        release: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(headers=_HEADERS)
        del self.headers["content-length"]
        self._events = events
        self._seconds = seconds
        self._done = done
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
                await send_event(send, body_of(error))
            if self._done:
                await send_done(send)
            await send({"type": "http.response.body", "body": b""})
        finally:
            if self._release:
                self._release()

    async def _send(self, send: Send) -> bool:
        async with asyncio.timeout(self._seconds):
            async for event in self._events:
                await send_event(send, event)
        return True


async def send_event(send: Send, event: Any) -> None:
    """Send a JSON value as one event of a stream."""
    await _send_data(send, json.dumps(event, ensure_ascii=False))


async def send_done(send: Send) -> None:
    """Send what ends a stream of OpenAI's API."""
    await _send_data(send, DONE)


async def _send_data(send: Send, data: str) -> None:
    body = f"data: {data}\n\n".encode("utf-8", "replace")
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def while_wanted(scope: Scope, receive: Receive, work: Awaitable[Result]) -> Result | None:
    """Return what ``work`` gives; cancelled, and None, when the client goes away before.

    Raises:
        ApiError: 503, the server ends before.
    """
    closing: asyncio.Event = scope["app"].state.context.closing
    working = asyncio.ensure_future(work)
    gone, ending = (asyncio.ensure_future(one) for one in (_disconnected(receive), closing.wait()))
    tasks: set[asyncio.Future[Any]] = {working, gone, ending}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return await working
        if gone.done():
            return None
        raise ApiError(503, "the server is being shut down; try again later", code="shutting_down")
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def whole(
    request: Request,
    work: Callable[[], Awaitable[Result]],
    seconds: float,
    within: AbstractAsyncContextManager[Any] | None = None,
) -> Result:
    """Return what ``work`` gives, within a time, and only as long as the client waits for it.

    Raises:
        ApiError: 504, it took too long; 503, the server ends; 499, nobody waits any more.
    """

    async def limited() -> Result:
        async with asyncio.timeout(seconds), within or nullcontext():
            return await work()

    try:
        result = await while_wanted(request.scope, request.receive, limited())
    except TimeoutError as error:
        msg = f"the request took longer than {seconds:g} seconds and was given up"
        raise ApiError(504, msg, code="timeout") from error
    if result is None:
        raise ApiError(499, "the client went away")
    return result
