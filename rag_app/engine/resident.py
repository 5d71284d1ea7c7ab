"""The resident engine as others see it: where it is, whether it listens, what it is sent.

It is a process that keeps the models in memory and answers on a Unix socket, which only its user
can open. It belongs to one home, one version and one set of settings; a lock that dies with it
makes sure that there is one at a time. Nothing heavy is imported: a command that finds one has
nothing to load, and an engine begins to load its language model with no more than this.
"""

import hashlib
import json
import os
import stat
from collections.abc import Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag_app.models.unix_http import LONGEST_PATH, UnixConnection, available, events
from rag_app.surroundings import home

if TYPE_CHECKING:
    from filelock import FileLock


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


@dataclass(frozen=True)
class Place:
    """The files of the resident engine of one home.

    Attributes:
        folder: Its own, which only its user can open.
    """

    folder: Path

    @classmethod
    def of_home(cls) -> "Place":
        """Return the place of the current home; a short one where a socket's path is too long."""
        folder = home().absolute() / "resident"
        if len(os.fsencode(folder / "engine.sock")) <= LONGEST_PATH:
            return cls(folder)
        import tempfile

        name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
        return cls(Path(tempfile.gettempdir()) / f"rag-app-{_user()}-{name}")

    @property
    def socket(self) -> Path:
        """Where the engine listens."""
        return self.folder / "engine.sock"

    @property
    def model_socket(self) -> Path:
        """Where the process with the language model listens."""
        return self.folder / "model.sock"

    @property
    def state(self) -> Path:
        """What the engine says of itself: its process id, and whether it serves already."""
        return self.folder / "engine.json"

    @property
    def log(self) -> Path:
        """What the engine warns of."""
        return self.folder / "engine.log"

    @property
    def is_ours(self) -> bool:
        """Whether there is a folder, and nobody else could have made it."""
        try:
            status = self.folder.lstat()
        except OSError:
            return False
        return stat.S_ISDIR(status.st_mode) and status.st_uid == _user()

    def lock(self) -> "FileLock":
        """Return the lock that an engine holds as long as it lives."""
        from filelock import FileLock

        return FileLock(self.folder / "engine.lock")

    def make(self) -> None:
        """Make the folder, for its user alone.

        Raises:
            ResidentError: it can't be made, or is somebody else's.
        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self.is_ours:
                msg = f"{self.folder} is somebody else's"
                raise ResidentError(msg)
            self.folder.chmod(0o700)
        except OSError as error:
            raise ResidentError(str(error)) from error


def received(connection: UnixConnection) -> Events:
    """Yield the events that answer a request that was sent.

    Raises:
        ResidentError: it was refused, or the engine went away.
    """
    try:
        response = connection.getresponse()
        if response.status != 200:
            raise ResidentError(_message(response))
        connection.sock.settimeout(None)
        yield from events(response)
    except (OSError, HTTPException, ValueError) as error:
        raise ResidentError(str(error) or type(error).__name__) from error
    finally:
        connection.close()


def tell(
    place: Place, method: str, path: str, value: Any = None, seconds: float | None = None
) -> dict[str, Any]:
    """Return what an engine answers to a request that does not stream, within some seconds.

    Raises:
        ResidentError: it does not answer, or refuses.
    """
    connection = UnixConnection(place.socket, seconds or patience(place))
    try:
        connection.send_json(method, path, value)
        response = connection.getresponse()
        if response.status != 200:
            raise ResidentError(_message(response))
        answer: dict[str, Any] = json.load(response)
    except (OSError, HTTPException, ValueError) as error:
        raise ResidentError(str(error) or type(error).__name__) from error
    finally:
        connection.close()
    return answer


def state(place: Place) -> dict[str, Any] | None:
    """Return what the engine says of itself, whatever its settings; None where there is none."""
    if not available() or not listens(place):
        return None
    try:
        return tell(place, "GET", "/resident")
    except ResidentError:
        return None


def stop(place: Place) -> bool:
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


def _kill(place: Place) -> None:
    """Kill the process that says that it is the engine, if it is one."""
    import psutil

    with suppress(OSError, ValueError, psutil.Error):
        process = psutil.Process(json.loads(place.state.read_text(encoding="utf-8"))["pid"])
        if SERVER in process.cmdline():
            process.kill()


def patience(place: Place) -> float:
    """Return how many seconds to wait for an answer to begin."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        if json.loads(place.state.read_text(encoding="utf-8"))["serves"]:
            return _SERVING_SECONDS
    return ANSWER_SECONDS


def is_held(place: Place) -> bool:
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


def listens(place: Place) -> bool:
    """Return whether an engine listens; the socket's file may outlive a killed one."""
    if not place.is_ours:
        return False
    connection = UnixConnection(place.socket, ANSWER_SECONDS)
    try:
        connection.connect()
    except OSError:
        return False
    finally:
        connection.close()
    return True


def _message(response: HTTPResponse) -> str:
    try:
        return str(json.load(response)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"it answers with status {response.status}"


def _user() -> int:
    """Return the user's number; all are 0 where there are none."""
    return os.getuid() if hasattr(os, "getuid") else 0
