"""What a thread tells an event loop."""

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

END = object()
"""What is told last."""


class Telling:
    """A queue from a thread to the event loop that makes it.

    Args:
        cancelled: Set where the loop is closed, and nobody listens any more.
    """

    def __init__(self, cancelled: threading.Event) -> None:
        self._cancelled = cancelled
        self._loop = asyncio.get_running_loop()
        self._told: asyncio.Queue[Any] = asyncio.Queue()

    def put(self, value: Any) -> None:
        """Tell something; `END` at last. For any thread."""
        try:
            self._loop.call_soon_threadsafe(self._told.put_nowait, value)
        except RuntimeError:
            self._cancelled.set()

    async def received(self) -> AsyncIterator[Any]:
        """Yield what is told, up to `END`."""
        while (value := await self._told.get()) is not END:
            yield value
