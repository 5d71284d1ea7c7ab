"""Work of the server while nobody asks it: vectors, passages and summaries that are missing."""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import product
from typing import TYPE_CHECKING, Any

from rag_app.engine.identity import is_local
from rag_app.engine.warm import READ_AHEAD
from rag_app.errors import RagAppError
from rag_app.server.errors import ApiError

if TYPE_CHECKING:  # the resident engine, which has none of these, starts sooner
    from rag_app.server.index_registry import IndexRegistry
    from rag_app.server.indexing_jobs import IndexingJobs
    from rag_app.server.queueing import Queues

_log = logging.getLogger("rag_app.server")

_LOOKS = 20  # into which the idle time is divided


async def when_idle(
    seconds: float,
    idle_seconds: Callable[[], float],
    work: Callable[[], None],
    meanwhile: Callable[[], None] | None = None,
) -> None:
    """Do work, in a thread, whenever nobody has asked for a while.

    Args:
        seconds: Without a request, after which it is done; 0 is never.
        idle_seconds: Returns how long nobody has asked; 0 while somebody does.
        work: Ends when somebody asks.
        meanwhile: Done at each look, while nobody asks, before that.
    """
    while seconds:
        await asyncio.sleep(seconds / _LOOKS)
        idle = idle_seconds()
        if idle >= seconds:
            await asyncio.to_thread(work)
        elif idle and meanwhile:
            await asyncio.to_thread(meanwhile)


class _AskedError(Exception):
    """Somebody asks something."""


class IdleWork:
    """Works when nobody has asked for a while, and ends at once when somebody does.

    Documents that an interrupted `rag-app index` left without vectors get them, the language model
    reads passages that are likely to be asked about (`RagApp.warm`), and makes the summaries that
    are missing.
    """

    def __init__(
        self, registry: "IndexRegistry", jobs: "IndexingJobs", queues: "Queues", seconds: float
    ) -> None:
        base = registry.base
        wanted = base.resources.given.llm is not None or is_local(base.settings)
        self._seconds = seconds if wanted else 0.0
        self._registry, self._jobs, self._queues = registry, jobs, queues
        self._since = time.monotonic()
        self._ended = False
        self._read_for: dict[str, tuple[int, int]] = {}
        """By index whose passages were read: how much it held."""

    async def run(self) -> None:
        """Look again and again whether there is time."""
        try:
            await when_idle(self._seconds, self._idle_seconds, self._work, self._read_answered)
        finally:
            self._ended = True

    def _idle_seconds(self) -> float:
        now = time.monotonic()
        if self._is_busy() or not self._registry.base.ready:
            self._since = now
        return now - self._since

    def _read_answered(self) -> None:
        """Read the passages of the latest answers, about which the next questions may be."""
        with suppress(RagAppError):
            self._registry.base.read_wanted(self._is_busy)

    def _work(self) -> None:
        kinds = (self._embed, self._read, self._summarize)
        for name, work in product(self._registry.names(), kinds):
            try:
                work(name)
            except (RagAppError, ApiError) as error:
                _log.warning("%s can't be made ready for questions: %s", name, error)
            if self._is_busy():
                break
        self._since = time.monotonic()

    def _embed(self, name: str) -> None:
        if self._registry.lacks_vectors(name):
            with suppress(_AskedError):
                self._registry.engine(name).index([], progress=self._check)
                _log.info("documents of %s that had no vectors were embedded", name)

    def _check(self, _: Any) -> None:
        if self._is_busy():
            raise _AskedError

    def _read(self, name: str) -> None:
        engine = self._registry.engine(name)
        if not engine.keeps_prompts or not engine.store.exists():
            return
        with engine.store.read() as snapshot:
            state = (snapshot.count_documents(), snapshot.count_chunks())
        if self._read_for.get(name) == state:
            return
        count = engine.warm(READ_AHEAD, stop=self._is_busy)
        if not self._is_busy():
            self._read_for[name] = state
            _log.info("%d passages of %s are read ahead", count, name)

    def _summarize(self, name: str) -> None:
        if made := self._registry.engine(name).make_summaries(self._is_busy):
            _log.info("%d documents of %s were summarized", made, name)

    def _is_busy(self) -> bool:
        return self._ended or self._queues.busy or self._jobs.busy
