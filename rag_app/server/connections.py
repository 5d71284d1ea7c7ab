"""Connections that don't wait for ever: one whose request never becomes whole is closed."""

import asyncio
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol


class TimedProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, which itself waits without an end for the head of a request.

    The body is timed by `SecurityMiddleware`, which can answer that it is late.
    """

    read_seconds: float
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect a request."""
        super().connection_made(transport)
        self._expect()

    def data_received(self, data: bytes) -> None:
        """Expect the rest of a head, unless it is whole."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop()
        elif self._timer is None:
            self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing any more."""
        self._stop()
        super().connection_lost(exc)

    def _expect(self) -> None:
        self._timer = self.loop.call_later(self.read_seconds, self.transport.close)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def timed(seconds: float) -> type[Any]:
    """Return the protocol that gives a request's head so many seconds."""
    return type("TimedProtocol", (TimedProtocol,), {"read_seconds": seconds})


def server_config(app: Any, *, read_seconds: float, grace_seconds: int) -> uvicorn.Config:
    """Return how uvicorn serves an application that writes its log itself.

    Args:
        app: The ASGI application.
        read_seconds: For the head of a request.
        grace_seconds: For what is being answered when the server ends.
    """
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        http=timed(read_seconds),
        ws="none",
        timeout_graceful_shutdown=grace_seconds,
    )
