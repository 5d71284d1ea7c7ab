"""What every route works with."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request
from langchain_core.language_models import BaseChatModel

from rag_app.server.completions.shapes import Usage
from rag_app.server.errors import ApiError
from rag_app.server.index_registry import Library
from rag_app.server.indexing_jobs import Jobs
from rag_app.server.middleware.metrics import Metrics
from rag_app.server.queueing import Admission
from rag_app.server.sse import EventStream, whole
from rag_app.settings import Settings

_log = logging.getLogger("rag_app.server")

Result = TypeVar("Result")
Wanted = Callable[..., None]
"""Raises where nobody waits any more; its arguments don't matter."""

RAG = "rag:"
"""What the model id of an index begins with."""


@dataclass(frozen=True)
class Context:
    """Parts of a running server."""

    library: Library
    jobs: Jobs
    generating: Admission
    """Requests to the language model."""
    embedding: Admission
    """Requests to the embedding model and the indexes."""
    metrics: Metrics
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the server is asked to end."""
    embedder: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "embedding"))
    """One thread: work that was given up ends before the next begins."""

    @property
    def settings(self) -> Settings:
        """The options in force."""
        return self.library.base.settings

    @property
    def llm_id(self) -> str:
        """The id of the language model in the API."""
        spec = self.settings.llm
        if spec.startswith(("http://", "https://")):
            return self.settings.llm_name or "default"
        return Path(spec).name.removesuffix(".gguf")

    def note(self, prompt: str) -> None:
        """Write a prompt into the log, if the settings ask for it."""
        if self.settings.log_prompts:
            _log.info("prompt", extra={"prompt": prompt})

    async def enter(self, request: Request) -> None:
        """Wait for a slot of the language model, as long as the client does."""

        async def entered() -> bool:
            await self.generating.enter()
            return True

        await whole(request, entered, self.settings.request_seconds)

    async def whole(
        self, request: Request, work: Callable[[], Awaitable[Result]], usage: Usage
    ) -> Result:
        """Return what ``work`` gives, done in a slot of the language model.

        Args:
            request: Whose client waits for it.
            work: Asks the language model.
            usage: What it took, known when it is done.
        """
        seconds, slot = self.settings.request_seconds, self.generating.slot()
        result = await whole(request, work, seconds, slot)
        self._count(usage)
        return result

    async def stream(
        self, request: Request, events: AsyncIterator[Any], usage: Usage
    ) -> EventStream:
        """Return a stream of events that holds a slot of the language model; as `whole`."""

        def release() -> None:
            self.generating.leave()
            self._count(usage)

        await self.enter(request)
        return EventStream(events, seconds=self.settings.request_seconds, release=release)

    def _count(self, usage: Usage) -> None:
        self.metrics.tokens(usage.prompt, usage.completion)

    async def embed(self, request: Request, work: Callable[[Wanted], Result]) -> Result:
        """Return what ``work`` gives, done in a thread of its own, one after the other.

        Args:
            request: Whose client waits for it.
            work: Given what it asks from time to time whether it is still wanted.
        """
        gone = threading.Event()

        def wanted(*_: Any) -> None:
            if gone.is_set():
                raise ApiError(499, "the client went away")

        async def working() -> Result:
            loop = asyncio.get_running_loop()
            try:
                return await loop.run_in_executor(self.embedder, work, wanted)
            finally:
                gone.set()

        return await whole(request, working, self.settings.request_seconds, self.embedding.slot())

    def llm(self) -> BaseChatModel:
        """Return the language model.

        Raises:
            ApiError: 503, it is not loaded yet, or can't be.
        """
        base = self.library.base
        if error := base.llm_error:
            raise ApiError(503, f"the language model can't be used: {error}", code="model_failed")
        if not base.ready:
            msg = "the language model is being loaded; try again in a few seconds"
            raise ApiError(503, msg, code="model_loading", headers={"Retry-After": "5"})
        return base.llm


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


ContextOf = Annotated[Context, Depends(_context)]
