"""The resident engine as others see it: whether it listens, what it is sent.

It is a process that keeps the models in memory and answers on a Unix socket, which only its user
can open. It belongs to one home, one version and one set of settings; a lock that dies with it
makes sure that there is one at a time. Nothing heavy is imported: a command that finds one has
nothing to load, and an engine begins to load its language model with no more than this.
"""

import json
from collections.abc import Generator, Mapping
from contextlib import closing, suppress
from http.client import HTTPException, HTTPResponse
from typing import Any

from rag_app.models.unix_http import UnixConnection, available, events
from rag_app.surroundings import EnginePlace

Events = Generator[Mapping[str, Any], None, None]
"""The events of an answer or a summary; closing it ends the generation."""

SERVER = "rag_app.server.resident"
"""The module that is its process."""
ANSWER_SECONDS = 90.0
"""Until an engine that starts, and imports meanwhile, must have begun to answer."""
_SERVING_SECONDS = 10.0
"""Until one must that serves already; another process may have all of the machine."""
_STOP_SECONDS = 15.0


class ResidentError(Exception):
    """The resident engine can't be used; whoever asked does the work itself."""


def received(connection: UnixConnection) -> Events:
    """Yield the events that answer a request that was sent.

    Raises:
        ResidentError: it was refused, or the engine went away.
    """
    try:
        response = _response(connection)
        connection.sock.settimeout(None)
        yield from events(response)
    except (OSError, HTTPException, ValueError) as error:
        raise ResidentError(str(error) or type(error).__name__) from error
    finally:
        connection.close()


def tell(
    place: EnginePlace, method: str, path: str, value: Any = None, seconds: float | None = None
) -> dict[str, Any]:
    """Return what an engine answers to a request that does not stream, within some seconds.

    Raises:
        ResidentError: it does not answer, or refuses.
    """
    try:
        with closing(UnixConnection(place.socket, seconds or patience(place))) as connection:
            connection.send_json(method, path, value)
            answer: dict[str, Any] = json.load(_response(connection))
            return answer
    except (OSError, HTTPException, ValueError) as error:
        raise ResidentError(str(error) or type(error).__name__) from error


def state(place: EnginePlace) -> dict[str, Any] | None:
    """Return what the engine says of itself, whatever its settings; None where there is none."""
    if not available() or not listens(place):
        return None
    try:
        return tell(place, "GET", "/resident")
    except ResidentError:
        return None


def stop(place: EnginePlace) -> bool:
    """End the engine and wait until it has ended; return whether there was one.

    One that does not answer is killed.
    """
    if not is_held(place):
        return False
    from filelock import Timeout

    seconds = _STOP_SECONDS
    try:
        if listens(place):
            tell(place, "POST", "/resident/stop", seconds=_STOP_SECONDS)
    except ResidentError:  # it hangs, or has just ended
        seconds = 1.0
    try:
        place.lock().acquire(timeout=seconds).lock.release()
    except Timeout:
        _kill(place)
        place.lock().acquire(timeout=_STOP_SECONDS).lock.release()
    return True


def _kill(place: EnginePlace) -> None:
    """Kill the process that says that it is the engine, if it is one."""
    import psutil

    with suppress(OSError, ValueError, psutil.Error):
        process = psutil.Process(json.loads(place.state.read_text(encoding="utf-8"))["pid"])
        if SERVER in process.cmdline():
            process.kill()


def patience(place: EnginePlace) -> float:
    """Return how many seconds to wait for an answer to begin."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        if json.loads(place.state.read_text(encoding="utf-8"))["serves"]:
            return _SERVING_SECONDS
    return ANSWER_SECONDS


def is_held(place: EnginePlace) -> bool:
    """Return whether an engine lives."""
    if not place.folder.is_dir():
        return False
    from filelock import Timeout

    try:
        place.lock().acquire(timeout=0).lock.release()
    except Timeout:
        return True
    except OSError:
        return False
    return False


def listens(place: EnginePlace) -> bool:
    """Return whether an engine listens; the socket's file may outlive a killed one."""
    if not place.is_ours:
        return False
    with suppress(OSError), closing(UnixConnection(place.socket, ANSWER_SECONDS)) as connection:
        connection.connect()
        return True
    return False


def _response(connection: UnixConnection) -> HTTPResponse:
    """Return the response to a request that was sent.

    Raises:
        ResidentError: it was refused.
    """
    response = connection.getresponse()
    if response.status == 200:
        return response
    try:
        message = str(json.load(response)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        message = f"it answers with status {response.status}"
    raise ResidentError(message)
