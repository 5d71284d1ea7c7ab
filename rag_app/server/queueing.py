"""Bounded queues in front of the models; work ends when it is done or its client goes away."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from contextvars import copy_context
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TypeVar

from fastapi import Depends, Request
from pydantic import BaseModel
from starlette.types import Receive, Scope

from rag_app.models.registry import server_urls
from rag_app.server.errors import ApiError
from rag_app.settings import Settings

if TYPE_CHECKING:
    from openai.types import CompletionUsage

    from rag_app.server.middleware.requests import Metrics

Result = TypeVar("Result")

RETRY_SECONDS = 5
"""What a client that is turned away is told to wait."""


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

    def join(self) -> "QueuePlace":
        """Take a place in the queue.

        Raises:
            ApiError: 429, there are too many before this one.
        """
        if self.inside >= self._limit:
            raise ApiError(
                429,
                f"{self.inside} requests are being worked on or wait; try again later",
                code="overloaded",
                headers={"Retry-After": str(RETRY_SECONDS)},
            )
        return QueuePlace(self, self._free)

    async def enter(self) -> "QueuePlace":
        """Join the queue, and wait for a slot.

        Raises:
            ApiError: 429, there are too many before this one.
        """
        place = self.join()
        try:
            await place.wait()
        except BaseException:
            place.leave()
            raise
        return place

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold a slot for a block."""
        place = await self.enter()
        try:
            yield
        finally:
            place.leave()


class QueuePlace:
    """A request's place in an `Admission`: it waits for a slot, has one, or has left."""

    def __init__(self, queue: Admission, slots: asyncio.Semaphore) -> None:
        self._queue = queue
        self._slots = slots
        self._holds_slot = False
        queue.inside += 1

    @property
    def must_wait(self) -> bool:
        """Whether no slot is free for it now; many may have joined before the first has one."""
        return not self._holds_slot and self._slots.locked()

    async def wait(self) -> None:
        """Wait for a slot, unless it has one."""
        if not self._holds_slot:
            await self._slots.acquire()
            self._holds_slot = True

    def leave(self) -> None:
        """Give up the place, and the slot if it has one."""
        self._queue.inside -= 1
        if self._holds_slot:
            self._slots.release()


class GeneratedText(Protocol):
    """Text that is generated for one request, in the shape of its response."""

    @property
    def usage(self) -> "CompletionUsage":
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

    def __init__(self, settings: Settings, metrics: "Metrics") -> None:
        servers = max(1, len(server_urls(settings.llm)))
        self.generating = Admission(settings.parallel * servers, settings.queue_limit)
        """Requests to the language model."""
        self.embedding = Admission(1, 4 * settings.queue_limit)
        """Requests to the embedding model."""
        self.searching = Admission(1, 4 * settings.queue_limit)
        """Requests to the indexes, which a list of texts to embed must not keep waiting."""
        self.seconds = settings.request_seconds
        self._metrics = metrics
        # One thread: work that was given up ends before the next begins.
        self._embedder = ThreadPoolExecutor(1, "embedding")
        self._searcher = ThreadPoolExecutor(1, "searching")
        metrics.watch("generating", lambda: self.generating.inside)
        metrics.watch("embedding", lambda: self.embedding.inside)
        metrics.watch("searching", lambda: self.searching.inside)

    async def whole(self, request: Request, generation: GeneratedText) -> dict[str, Any]:
        """Return generated text at once, in a slot of the language model; count its tokens."""
        response = await self._run(request, generation.whole, self.generating.slot())
        self.count(generation)
        return response.model_dump(by_alias=True, exclude_unset=True)

    def count(self, generation: GeneratedText) -> None:
        """Count the tokens of what was generated."""
        usage = generation.usage
        self._metrics.count_tokens(usage.prompt_tokens, usage.completion_tokens)

    async def enter(self, request: Request, *, stream: bool) -> QueuePlace:
        """Wait for a slot of the language model, as long as the client does; a stream joins only.

        Args:
            request: Whose client waits for it.
            stream: Whether its response can say that it waits, and does so itself.
        """
        if stream:
            return self.generating.join()
        return await self._run(request, self.generating.enter)

    async def embed(
        self, request: Request, work: Callable[[Callable[..., None]], Result]
    ) -> Result:
        """Return what ``work`` gives, which embeds; one request is done after the other.

        Args:
            request: Whose client waits for it.
            work: Given a function that raises where nobody waits any more, to be called from time
                to time; its arguments don't matter.
        """
        return await self._in_turn(request, work, self.embedding, self._embedder)

    async def search(self, request: Request, work: Callable[[], Result]) -> Result:
        """Return what ``work`` gives, which searches; one request is done after the other."""
        return await self._in_turn(request, lambda _: work(), self.searching, self._searcher)

    async def _in_turn(
        self,
        request: Request,
        work: Callable[[Callable[..., None]], Result],
        admission: Admission,
        thread: ThreadPoolExecutor,
    ) -> Result:
        gone = threading.Event()

        def check(*_: Any) -> None:
            if gone.is_set():
                raise ApiError(499, "the client went away")

        async def working() -> Result:
            loop = asyncio.get_running_loop()
            try:
                return await loop.run_in_executor(thread, copy_context().run, work, check)
            finally:
                gone.set()

        return await self._run(request, working, admission.slot())

    @property
    def busy(self) -> bool:
        """Whether somebody waits for a model or an index."""
        return any(queue.inside for queue in (self.generating, self.embedding, self.searching))

    def close(self) -> None:
        """End what is being embedded and searched."""
        for thread in (self._embedder, self._searcher):
            thread.shutdown(wait=False, cancel_futures=True)

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
        msg = "the server is being shut down; try again later"
        headers = {"Retry-After": str(RETRY_SECONDS)}
        raise ApiError(503, msg, code="shutting_down", headers=headers)
    finally:
        await end_tasks(tasks)


async def end_tasks(tasks: Collection[asyncio.Future[Any]]) -> None:
    """Cancel tasks, and wait until they have ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _queues(request: Request) -> Queues:
    queues: Queues = request.app.state.queues
    return queues


ServerQueues = Annotated[Queues, Depends(_queues)]
"""The queues, as a parameter of a route."""
