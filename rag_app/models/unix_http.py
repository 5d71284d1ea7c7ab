"""HTTP over a Unix socket, and the events of a stream, by the standard library alone."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

_OTHERS = 0o177  # what is taken from the mode of a socket that is its user's alone


def available() -> bool:
    """Return whether this system has Unix sockets."""
    return hasattr(socket, "AF_UNIX")


@contextmanager
def owner_only() -> Iterator[None]:
    """Make sockets bound in the block accessible to their user alone."""
    mask = os.umask(_OTHERS)
    try:
        yield
    finally:
        os.umask(mask)


class UnixConnection(HTTPConnection):
    """A connection to a server that listens on a Unix socket; without a timeout it waits on."""

    def __init__(self, path: Path, timeout: float | None = None) -> None:
        super().__init__("127.0.0.1", timeout=timeout)
        self._path = str(path)

    def connect(self) -> None:
        """Connect.

        Raises:
            OSError: nobody listens there.
        """
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)

    def send_json(self, method: str, path: str, value: Any = None, key: str = "") -> None:
        """Send a request whose body is JSON; `getresponse` waits for the answer."""
        headers = {"Content-Type": "application/json"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        self.request(method, path, json.dumps(value).encode(), headers)


def events(response: HTTPResponse) -> Iterator[Any]:
    """Yield the JSON values of a stream of server-sent events that ends with ``[DONE]``.

    Raises:
        OSError, http.client.HTTPException: the connection was lost before. The library itself takes
            a stream whose server was killed between two events for one that has ended.
    """
    for line in response:
        if not line.startswith(b"data: "):
            continue
        data = line.removeprefix(b"data: ").strip()
        if data == b"[DONE]":
            return
        yield json.loads(data)
    raise ConnectionError("the stream was cut off")
