"""What the server does while nobody asks it: summaries of documents that have none."""

import asyncio
import logging
import time

from rag_app.engine.identity import is_local
from rag_app.errors import RagAppError
from rag_app.server.errors import ApiError
from rag_app.server.index_registry import IndexRegistry
from rag_app.server.indexing_jobs import IndexingJobs
from rag_app.server.queueing import Queues

_log = logging.getLogger("rag_app.server")

_LOOKS = 20
"""Into which the idle time is divided."""


class IdleWork:
    """Makes summaries when nobody has asked for a while, and ends at once when somebody does.

    Args:
        registry: The indexes.
        jobs: Indexing comes first.
        queues: Requests do too.
        seconds: Without a request, after which it begins; 0 is never.
    """

    def __init__(
        self, registry: IndexRegistry, jobs: IndexingJobs, queues: Queues, seconds: float
    ) -> None:
        base = registry.base
        wanted = base.resources.given.llm is not None or is_local(base.settings)
        self._seconds = seconds if wanted else 0.0
        self._registry, self._jobs, self._queues = registry, jobs, queues
        self._since = time.monotonic()
        self._ended = False

    async def run(self) -> None:
        """Look again and again whether there is time."""
        try:
            while self._seconds:
                await asyncio.sleep(self._seconds / _LOOKS)
                if self._is_busy() or not self._registry.base.ready:
                    self._since = time.monotonic()
                elif time.monotonic() - self._since >= self._seconds:
                    await asyncio.to_thread(self._work)
                    self._since = time.monotonic()
        finally:
            self._ended = True

    def _work(self) -> None:
        for name in self._registry.names():
            try:
                made = self._registry.engine(name).make_summaries(self._is_busy)
                if made:
                    _log.info("%d documents of %s were summarized", made, name)
            except (RagAppError, ApiError) as error:
                _log.warning("documents of %s can't be summarized: %s", name, error)
            if self._is_busy():
                return

    def _is_busy(self) -> bool:
        return self._ended or self._queues.busy or self._jobs.busy
