"""Bounded queues in front of the models; work ends when it is done or its client goes away."""

import asyncio
import json
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Annotated, Any, Protocol, TypeVar

from fastapi import Depends, Request
from openai.types import CompletionUsage
from pydantic import BaseModel
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from rag_app.server.errors import ApiError, body_of
from rag_app.server.middleware.request_log import Metrics
from rag_app.settings import Settings

DONE = "[DONE]"
"""What ends a stream of OpenAI's API."""

_RETRY_SECONDS = 5
"""What a client that is turned away is told to wait."""
_STREAM_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_log = logging.getLogger("rag_app.server")

Result = TypeVar("Result")


class Admission:
    """A bounded queue before something that does a few things at once.

    Args:
        slots: Requests worked on together.
        waiting: Requests that may wait for one of them.

    Example:
        >>> queue = Admission(slots=1, waiting=0)
        >>> async def inside() -> int:
        ...     async with queue.slot():
        ...         return queue.inside
        >>> asyncio.run(inside()), queue.inside
        (1, 0)
    """

    def __init__(self, slots: int, waiting: int) -> None:
        self.slots = slots
        self._limit = slots + waiting
        self._free = asyncio.Semaphore(slots)
        self.inside = 0
        """Requests that are worked on or wait."""

    async def enter(self) -> None:
        """Wait for a slot; `leave` gives it back.

        Raises:
            ApiError: 429, there are too many before this one.
        """
        if self.inside >= self._limit:
            raise ApiError(
                429,
                f"{self.inside} requests are being worked on or wait; try again later",
                code="overloaded",
                headers={"Retry-After": str(_RETRY_SECONDS)},
            )
        self.inside += 1
        try:
            await self._free.acquire()
        except BaseException:
            self.inside -= 1
            raise

    def leave(self) -> None:
        """Give the slot back."""
        self.inside -= 1
        self._free.release()

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold a slot for a block."""
        await self.enter()
        try:
            yield
        finally:
            self.leave()


class Generation(Protocol):
    """Text that is generated for one request, in the shape of its response."""

    @property
    def usage(self) -> CompletionUsage:
        """Tokens that were read and generated so far."""

    def stream(self) -> AsyncIterator[BaseModel | dict[str, Any]]:
        """Yield the events of a stream."""

    async def whole(self) -> BaseModel:
        """Return the response of a request that does not stream."""


class Queues:
    """The queues of one server.

    Args:
        settings: Say how many requests are worked on, how many may wait, and how long one takes.
        metrics: Where tokens and waiting requests are counted.
    """

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self.generating = Admission(settings.parallel, settings.queue_limit)
        """Requests to the language model."""
        self.embedding = Admission(1, 4 * settings.queue_limit)
        """Requests to the embedding model and the indexes."""
        self.seconds = settings.request_seconds
        self._metrics = metrics
        # One thread: work that was given up ends before the next begins.
        self._embedder = ThreadPoolExecutor(1, "embedding")
        metrics.watch("generating", lambda: self.generating.inside)
        metrics.watch("embedding", lambda: self.embedding.inside)

    async def answer(self, request: Request, generation: Generation, *, stream: bool) -> Any:
        """Answer with generated text, in a slot of the language model; count its tokens."""

        def count() -> None:
            usage = generation.usage
            self._metrics.count_tokens(usage.prompt_tokens, usage.completion_tokens)

        def end() -> None:
            self.generating.leave()
            count()

        if stream:
            await self.enter(request)
            return EventStream(generation.stream(), seconds=self.seconds, release=end)
        response = await self._run(request, generation.whole, self.generating.slot())
        count()
        return response.model_dump(exclude_unset=True)

    async def enter(self, request: Request) -> None:
        """Wait for a slot of the language model, as long as the client does."""

        async def entered() -> bool:
            await self.generating.enter()
            return True

        await self._run(request, entered)

    async def embed(
        self, request: Request, work: Callable[[Callable[..., None]], Result]
    ) -> Result:
        """Return what ``work`` gives, done in a thread of its own, one after the other.

        Args:
            request: Whose client waits for it.
            work: Given a function that raises where nobody waits any more, to be called from time
                to time; its arguments don't matter.
        """
        gone = threading.Event()

        def check(*_: Any) -> None:
            if gone.is_set():
                raise ApiError(499, "the client went away")

        async def working() -> Result:
            loop = asyncio.get_running_loop()
            try:
                return await loop.run_in_executor(self._embedder, work, check)
            finally:
                gone.set()

        return await self._run(request, working, self.embedding.slot())

    def close(self) -> None:
        """End what is being embedded."""
        self._embedder.shutdown(wait=False, cancel_futures=True)

    async def _run(
        self,
        request: Request,
        work: Callable[[], Awaitable[Result]],
        slot: AbstractAsyncContextManager[Any] | None = None,
    ) -> Result:
        """Return what ``work`` gives, in time and as long as the client waits for it.

        Raises:
            ApiError: 504, it took too long; 503, the server ends; 499, nobody waits any more.
        """

        async def limited() -> Result:
            async with asyncio.timeout(self.seconds), slot or nullcontext():
                return await work()

        try:
            result = await while_wanted(request.scope, request.receive, limited())
        except TimeoutError as error:
            msg = f"the request took longer than {self.seconds:g} seconds and was given up"
            raise ApiError(504, msg, code="timeout") from error
        if result is None:
            raise ApiError(499, "the client went away")
        return result


def _queues(request: Request) -> Queues:
    queues: Queues = request.app.state.queues
    return queues


ServerQueues = Annotated[Queues, Depends(_queues)]
"""The queues, as a parameter of a route."""


async def while_wanted(scope: Scope, receive: Receive, work: Awaitable[Result]) -> Result | None:
    """Return what ``work`` gives; cancelled, and None, when the client goes away before.

    Raises:
        ApiError: 503, the server ends before.
    """

    async def disconnected() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    closing: asyncio.Event = scope["app"].state.closing
    working, gone = asyncio.ensure_future(work), asyncio.ensure_future(disconnected())
    tasks: set[asyncio.Future[Any]] = {working, gone, asyncio.ensure_future(closing.wait())}
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


class EventStream(Response):
    """A response of server-sent events that come from an async iterator.

    When the client goes away, whatever the iterator waits for is cancelled at once. An error in
    mid-stream is sent as an event of its own, and ends the stream; so is the end of the server.

    Args:
        events: JSON values or models, each sent as one event.
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
        super().__init__(headers=_STREAM_HEADERS)
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
            await end_stream(send, done=self._done)
        finally:
            if self._release:
                self._release()

    async def _send(self, send: Send) -> bool:
        async with asyncio.timeout(self._seconds):
            async for event in self._events:
                await send_event(send, event)
        return True


async def send_event(send: Send, event: Any) -> None:
    """Send a JSON value or a model as one event of a stream; `DONE` as it is."""
    value = event.model_dump(exclude_unset=True) if isinstance(event, BaseModel) else event
    data = DONE if value == DONE else json.dumps(value, ensure_ascii=False)
    body = f"data: {data}\n\n".encode("utf-8", "replace")
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def end_stream(send: Send, *, done: bool = True) -> None:
    """Send what ends a stream, with ``[DONE]`` where it is of OpenAI's API."""
    if done:
        await send_event(send, DONE)
    await send({"type": "http.response.body", "body": b""})
