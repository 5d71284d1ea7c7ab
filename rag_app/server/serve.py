"""Binding an address and running the server on it."""

import errno
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rag_app.errors import SettingsError

if TYPE_CHECKING:
    from rag_app.engine import RagApp
    from rag_app.server.middleware.access import Access

_BACKLOG = 2048
"""Connections that may wait to be accepted; uvicorn's own default."""
_OF_PORT = (errno.EADDRINUSE, errno.EACCES)
"""What a port is the reason of, not the host: it is taken, or for the administrator alone."""


def access_for(
    host: str, keys: Sequence[str], origins: Sequence[str], key_file: Path | None = None
) -> "Access":
    """Return who may use a server on ``host``.

    Raises:
        SettingsError: a key is empty, or there is none and others reach the server; an origin or
            the key file is wrong; or the packages of the server are not installed.
    """
    try:
        from rag_app.server.middleware.access import Access, read_keys
    except ImportError as error:
        msg = f"the package {error.name} is not here; run: pip install 'rag-app[server]'"
        raise SettingsError(msg) from error
    more = read_keys(key_file) if key_file else []
    return Access(host=host, keys=(*keys, *more), origins=tuple(origins))


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an address.

    Raises:
        SettingsError: the address is taken, or not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP, since asyncio only then sends small answers without waiting for more (40 ms).
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host.strip("[]"), port))
        listening.listen(_BACKLOG)  # now, so that a second server can't take the address too
    except OSError as error:
        listening.close()
        reason, option = error.strerror or error, "port" if error.errno in _OF_PORT else "host"
        msg = f"can't listen on {bracketed(host)}:{port} ({reason}); choose another --{option}"
        raise SettingsError(msg) from error
    return listening


def url_of(host: str, listening: socket.socket) -> str:
    """Return the URL of a socket that listens on a host, without a slash at its end."""
    return f"http://{bracketed(host)}:{listening.getsockname()[1]}"


def bracketed(host: str) -> str:
    """Return a host as it stands before a port: an address of IPv6 in brackets.

    Example:
        >>> bracketed("::"), bracketed("[::1]"), bracketed("localhost")
        ('[::]', '[::1]', 'localhost')
    """
    return f"[{host.strip('[]')}]" if ":" in host else host


def run(
    engine: "RagApp",
    listening: socket.socket,
    *,
    access: "Access",
    only: Sequence[str],
    ready: Callable[[], None],
) -> None:
    """Serve until interrupted; ``ready`` is called when requests can come.

    Raises:
        ModelError: there is no such language model or reranker here.
    """
    from rag_app.models.llms.llamacpp import read_header
    from rag_app.models.registry import resolve
    from rag_app.server.app import create_app
    from rag_app.server.connections import Server
    from rag_app.server.log import json_log

    backend, target = resolve(engine.settings.llm)
    if backend == "llamacpp":
        read_header(Path(target))  # the model itself is loaded when the server runs already
    _ = engine.resources.reranker  # nor is that loaded before it is used
    app = create_app(engine, access=access, only=only)
    app.state.registry.names()  # whether the store answers is said now
    server = Server(app)
    ready()
    with json_log():
        server.run(sockets=[listening])
