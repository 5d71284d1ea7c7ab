"""Connections to Milvus, and its errors as one clear line.

A URI is ``http://HOST:PORT`` (also ``https``, ``tcp``, ``unix``) of a server or cluster, or a path
ending in ``.db``: that one milvus-lite opens in this process. It lets one process at a time open
it, so another waits for some seconds and then gets an error.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag_app.errors import BusyIndexError, IndexStoreError, SettingsError

if TYPE_CHECKING:
    from pymilvus import MilvusClient

_SCHEMES = ("http://", "https://", "tcp://", "unix:")
_CONNECT_SECONDS = 10.0
_LOCK = "LOCK"  # file of milvus-lite in its folder, held while it is open

_open: dict[tuple[str, str], tuple["MilvusClient", int]] = {}
"""The clients of this process and how many use each, by URI and token."""
_guard = threading.Lock()


def check_uri(uri: str) -> None:
    """Raise SettingsError if nothing of Milvus can be at ``uri``."""
    if not uri.startswith(_SCHEMES) and not uri.endswith(".db"):
        msg = f"{uri!r} is not a URI of Milvus; give http://HOST:PORT, or a file ending in .db"
        raise SettingsError(msg)


def is_lite(uri: str) -> bool:
    """Return whether milvus-lite opens ``uri`` in this process."""
    return not uri.startswith(_SCHEMES)


def connect(uri: str, token: str = "") -> "MilvusClient":
    """Return the client of this process for ``uri``, to be given to `disconnect` once.

    Raises:
        BusyIndexError: another process has the file of milvus-lite open.
        IndexStoreError: nothing answers there, or the token is wrong.
        SettingsError: the extra is missing.
    """
    if is_lite(uri):
        uri = str(Path(uri).expanduser().absolute())
    with _guard:
        client, users = _open.get((uri, token), (None, 0))
        if client is None:
            client = _connected(uri, token)
        _open[uri, token] = client, users + 1
        return client


def disconnect(client: "MilvusClient") -> None:
    """Release a client; the last one to do so closes it, and the file of milvus-lite."""
    with _guard:
        for (uri, token), (known, users) in list(_open.items()):
            if known is not client:
                continue
            if users > 1:
                _open[uri, token] = client, users - 1
                return
            del _open[uri, token]
            client.close()
            if is_lite(uri):
                from milvus_lite.server_manager import server_manager_instance

                server_manager_instance.release_server(uri)


@contextmanager
def translated(uri: str) -> Iterator[None]:
    """Raise errors of Milvus at ``uri`` as ours.

    Raises:
        IndexStoreError: it does not answer, or refuses.
    """
    try:
        from pymilvus.exceptions import MilvusException
    except ModuleNotFoundError as error:
        raise _missing(error) from error
    try:
        yield
    except MilvusException as error:
        raise _translation(uri, error) from error


def _connected(uri: str, token: str) -> "MilvusClient":
    try:
        from pymilvus import MilvusClient
        from pymilvus.exceptions import MilvusException

        if is_lite(uri):
            import milvus_lite  # noqa: F401 - pymilvus would only say that it could not open it
    except ModuleNotFoundError as error:
        raise _missing(error) from error
    # What goes wrong is raised; they would write it on stderr as well, with tracebacks.
    for name in ("pymilvus", "milvus_lite"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if is_lite(uri):
        _make_room(Path(uri))
    options: dict[str, Any] = {"token": token} if token else {}
    until = time.monotonic() + _CONNECT_SECONDS
    while True:
        try:
            return MilvusClient(uri, timeout=_CONNECT_SECONDS, **options)
        except MilvusException as error:
            if not is_lite(uri):
                raise _translation(uri, error) from error
            if not _is_held(Path(uri)):
                msg = f"{uri} can't be opened by milvus-lite; check that it made this file"
                raise IndexStoreError(msg) from error
            if time.monotonic() > until:
                raise BusyIndexError(
                    f"{uri} is open in another process, and milvus-lite lets one at a time; try "
                    "again when that has ended, or run a server and give its http://HOST:PORT"
                ) from error
        time.sleep(0.1)


def _make_room(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"{path.parent} can't be made ({error.strerror or error}); choose another place"
        raise IndexStoreError(msg) from error


def _is_held(path: Path) -> bool:
    """Return whether another process has the file of milvus-lite open."""
    try:
        import fcntl

        with (path / _LOCK).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (OSError, ImportError):
        return False
    return False


def _missing(error: ModuleNotFoundError) -> SettingsError:
    return SettingsError(f"the store needs {error.name}; run: pip install 'rag-app[milvus]'")


def _translation(uri: str, error: Exception) -> IndexStoreError:
    reason = " ".join(str(getattr(error, "message", error)).split())
    lower = reason.lower()
    if any(word in lower for word in ("fail connecting", "unavailable", "deadline", "refused")):
        return IndexStoreError(f"no Milvus answers at {uri}; check the address, and that it runs")
    if any(word in lower for word in ("auth", "permission", "privilege", "token")):
        return IndexStoreError(f"Milvus at {uri} refuses the token; see RAG_APP_STORE_TOKEN")
    return IndexStoreError(f"Milvus at {uri}: {reason}")
