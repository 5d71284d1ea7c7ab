"""uvicorn as it is run here: it closes requests that never complete, and ends when asked to."""

import asyncio
import json
import re
import signal
import socket
import string
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any
from urllib.parse import quote_from_bytes

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from rag_app.server.errors import error_body

_IDLE_SECONDS = 75
"""That a connection is kept between two requests. Clients keep theirs for 5 to 60 seconds; where
the server is the first to close one, the next request may be lost on it."""
_TARGET = re.compile(rb"[A-Z]+ (\S+) HTTP/1\.")
_GRACE_SECONDS = 10
"""For what is not generated: an upload is finished."""


class TimedProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, which itself waits without an end for the head of a request.

    The body is timed by `SecurityMiddleware`, which can answer that it is late.
    """

    read_seconds: float
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect a request; IPv4 addresses are written as such where the socket is IPv6's.

        So a proxy before ``--host ::`` is known by the address that FORWARDED_ALLOW_IPS names.
        """
        super().connection_made(transport)
        if self.client:
            self.client = self.client[0].removeprefix("::ffff:"), self.client[1]
        self._expect()

    def data_received(self, data: bytes) -> None:
        """Expect the rest of a head, unless it is complete."""
        super().data_received(data if data.isascii() else self._quoted(data))
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop()
        elif self._timer is None:
            self._expect()

    def _quoted(self, data: bytes) -> bytes:
        """Return the beginning of a request with its target as browsers write it.

        curl sends what is typed: ``/v1/indexes/诗`` in UTF-8, which h11 refuses.
        """
        found = _TARGET.match(data) if self.conn.their_state is h11.IDLE else None
        if not found:
            return data
        target = quote_from_bytes(found[1], safe=string.punctuation)
        return data[: found.start(1)] + target.encode() + data[found.end(1) :]

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's says less
        """Say of what is no HTTP that it is none, as all other errors are said."""
        said = "this is no valid HTTP/1.1; has the address http://, and each header a plain name?"
        body = json.dumps(error_body(400, said, code="invalid_http")).encode()
        headers = {"content-type": "application/json", "connection": "close"}
        headers["content-length"] = str(len(body))
        with suppress(h11.LocalProtocolError):  # it comes behind what is answered already
            for event in (
                h11.Response(status_code=400, headers=[*headers.items()], reason=b"Bad Request"),
                h11.Data(data=body),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def on_response_complete(self) -> None:
        """Expect the rest of a body that was answered before it was complete."""
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:
            self._expect()

    def _should_upgrade(self) -> bool:
        """Stay with HTTP/1.1 and say nothing: Java's client asks for HTTP/2 with every request."""
        return False

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
        timeout_keep_alive=_IDLE_SECONDS,
        ws="none",
        timeout_graceful_shutdown=grace_seconds,
    )


class Server(uvicorn.Server):
    """uvicorn, which would wait for every stream: those are ended first, and say why.

    Args:
        app: Whose ``state.closing`` is an event that ends its streams, and ``state.read_seconds``
            the time that the head of a request may take.
    """

    def __init__(self, app: FastAPI) -> None:
        self._closing: asyncio.Event = app.state.closing
        read_seconds = app.state.read_seconds
        super().__init__(
            server_config(app, read_seconds=read_seconds, grace_seconds=_GRACE_SECONDS)
        )

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End in order at SIGHUP as at the signals that uvicorn knows, where a command does."""
        hangup = getattr(signal, "SIGHUP", signal.SIGTERM)
        with super().capture_signals():
            before = signal.getsignal(hangup)
            if threading.current_thread() is not threading.main_thread() or not callable(before):
                yield
                return
            signal.signal(hangup, self.handle_exit)
            try:
                yield
            finally:
                signal.signal(hangup, before)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End all requests, then the application."""
        self._closing.set()
        await super().shutdown(sockets)


class ResidentServer(Server):
    """A server that ends by itself, and does nothing while nobody asks.

    Args:
        app: As of `Server`.
        seconds_left: Returns after how many seconds it ends; asked again when they are over.
    """

    def __init__(self, app: FastAPI, seconds_left: Callable[[], float]) -> None:
        super().__init__(app)
        self.config.date_header = False
        self._seconds_left = seconds_left
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken = asyncio.Event()

    def end(self) -> None:
        """End the server; from any thread."""
        self.should_exit = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._woken.set)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End at a signal."""
        super().handle_exit(sig, frame)
        self.end()

    async def main_loop(self) -> None:
        """Wait for the end; uvicorn itself looks ten times a second whether it has come."""
        self._loop = asyncio.get_running_loop()
        await self.on_tick(0)
        while not self.should_exit and (left := self._seconds_left()) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._woken.wait()
