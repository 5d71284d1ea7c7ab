"""How many requests are worked on, how many may wait, and who is told to come back later."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rag_app.server.errors import ApiError

RETRY_SECONDS = 5
"""What a client that is turned away is told to wait."""


class Admission:
    """A bounded queue before something that does a few things at once.

    Args:
        slots: Requests worked on together.
        waiting: Requests that may wait for one of them.
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
                headers={"Retry-After": str(RETRY_SECONDS)},
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
