"""The resident engine as its clients see it: where it lies, found, started, asked and ended.

It is a process that keeps the models in memory and answers on a Unix socket, which only its user
can open. It belongs to one home, one version and one set of settings; a lock that dies with it
makes sure that there is one at a time. Nothing heavy is imported: a command that finds one has
nothing to load, and an engine begins to load its language model with no more than this.
"""

import hashlib
import json
import os
import stat
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rag_app
from rag_app.models.unix_http import LONGEST_PATH, UnixConnection, available, events
from rag_app.surroundings import home

if TYPE_CHECKING:
    import subprocess

    from filelock import FileLock

    from rag_app.settings import Settings

Events = Generator[Mapping[str, Any], None, None]
"""Of an answer or a summary; closing it ends the generation."""

_NEEDS = ("fastapi", "uvicorn", "prometheus_client", "multipart")
_SERVER = "rag_app.server.resident"
_ANSWER_SECONDS = 90.0
"""Until an engine that starts, and imports meanwhile, must have begun to answer."""
_SERVING_SECONDS = 10.0
"""Until one must that serves already; another process may have all of the machine."""
_STOP_SECONDS = 15.0
_POLL_SECONDS = 0.02


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
        """Return the place of the home in force; a short one where a socket's path is too long."""
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


@dataclass(frozen=True)
class Gguf:
    """How the engine loads a GGUF file; see `ServerOptions`.

    Attributes:
        cache_size: Gigabytes of prompts that are kept on disk.
    """

    path: str
    context_length: int
    parallel: int
    threads: int | None
    cache_size: float


@dataclass(frozen=True)
class StartOptions:
    """What a command tells the engine that it starts.

    Attributes:
        settings: Those that it is started with, where they are not the default ones.
        gguf: How a GGUF file is loaded, which begins at once; None for another language model.
        identity: See `identity`.
        keep_alive: Minutes.
        folder: Its place.
    """

    settings: dict[str, Any]
    gguf: "Gguf | None"
    identity: str
    keep_alive: float
    folder: str

    @classmethod
    def of_json(cls, text: str) -> "StartOptions":
        """Return what was written as JSON."""
        values = json.loads(text)
        gguf = values.pop("gguf")
        return cls(**values, gguf=Gguf(**gguf) if gguf else None)

    def json(self) -> str:
        """Return all of it as JSON."""
        return json.dumps(asdict(self))


class ResidentEngine:
    """A client of the resident engine.

    Args:
        settings: Only an engine of equal ones is used.
        place: Where it listens; by default in the home.
    """

    def __init__(self, settings: "Settings", place: Place | None = None) -> None:
        self._settings = settings
        self.place = place or Place.of_home()

    @cached_property
    def _identity(self) -> str:
        # Where no engine listens and none is started, nobody asks for it.
        from rag_app.engine.identity import identity

        return identity(self._settings)

    def find(self, *, start: bool) -> bool:
        """Return whether there is an engine to ask; one of other settings is not.

        Args:
            start: Whether one is started where there is none. One of another version or of other
                settings that has nothing to do makes way for it.
        """
        with suppress(ResidentError, OSError):
            if _listens(self.place):
                said = tell(self.place, "POST", "/resident/greet", {"identity": self._identity})
                if said.get("same"):
                    return True
                if not (start and said.get("idle") and stop(self.place)):
                    return False
            return start and self._start()
        return False

    def answer(
        self, question: str, history: list[tuple[str, str]], index: Path, line: str = ""
    ) -> Events:
        """Yield the events of an answer; closing the iterator ends the generation.

        Args:
            question: The question.
            history: What was said before.
            index: The folder of the index.
            line: What the command line is known by without the question; see `ahead`.

        Raises:
            ResidentError: it went away, or is one of other settings.
        """
        body = {"question": question, "history": history, "line": line, **_places(index)}
        return self._events("/resident/ask", body)

    def summary(self, source: str, encoding: str | None) -> Events:
        """Yield the events of the summary of a file; see `answer`."""
        body = {"source": source, "encoding": encoding}
        return self._events("/resident/summary", body)

    def warm(self, limit: int, index: Path) -> Events:
        """Yield how far the reading of passages is; see `answer` and `RagApp.warm`."""
        return self._events("/resident/warm", {"limit": limit, **_places(index)})

    def _events(self, path: str, body: dict[str, Any]) -> Events:
        """Send a request now and return its events: the caller may import what shows them."""
        connection = UnixConnection(self.place.socket, _patience(self.place))
        try:
            connection.send_json("POST", path, {**body, **self._common()})
        except OSError as error:
            connection.close()
            raise ResidentError(str(error)) from error
        return received(connection)

    def _common(self) -> dict[str, Any]:
        from rag_app.engine.identity import REQUEST_OPTIONS, REQUEST_PATHS

        settings = self._settings
        options = settings.model_dump(mode="json", include={*REQUEST_OPTIONS}, exclude_none=True)
        for name in REQUEST_PATHS:
            if name in options and Path(options[name]).exists():
                options[name] = str(Path(options[name]).absolute())
        return {
            "identity": self._identity,
            "keep_alive": settings.keep_alive,
            "options": options,
        }

    def _start(self) -> bool:
        """Start an engine and wait until it listens; one that another command starts will do."""
        from importlib.util import find_spec

        if any(find_spec(name) is None for name in _NEEDS):
            return False
        self.place.make()
        process = _spawn(self.place, self._settings, self._identity)
        deadline = time.monotonic() + _ANSWER_SECONDS
        while not _listens(self.place):
            gone = process.poll() is not None and not _is_held(self.place)
            if gone or time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True


def _places(index: Path) -> dict[str, str]:
    """Return where an index lies, and where the command was given."""
    return {"index": str(index.absolute()), "folder": str(Path.cwd())}


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

    Args:
        place: Of the engine.
        method: Such as ``POST``.
        path: Of the URL.
        value: The body.
        seconds: Longer is not waited; by default as long as an engine may take.

    Raises:
        ResidentError: it does not answer, or refuses.
    """
    connection = UnixConnection(place.socket, seconds or _patience(place))
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
    if not available() or not _listens(place):
        return None
    try:
        return tell(place, "GET", "/resident")
    except ResidentError:
        return None


def stop(place: Place) -> bool:
    """End the engine and wait until it has ended; return whether there was one.

    One that does not answer is killed.
    """
    if not _is_held(place):
        return False
    from filelock import Timeout

    seconds = _STOP_SECONDS
    try:
        if _listens(place):
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
        if _SERVER in process.cmdline():
            process.kill()


def _patience(place: Place) -> float:
    """Return how many seconds to wait for an answer to begin."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        if json.loads(place.state.read_text(encoding="utf-8"))["serves"]:
            return _SERVING_SECONDS
    return _ANSWER_SECONDS


def _is_held(place: Place) -> bool:
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


def _listens(place: Place) -> bool:
    """Return whether an engine listens; the socket's file may outlive a killed one."""
    if not place.is_ours:
        return False
    connection = UnixConnection(place.socket, _ANSWER_SECONDS)
    try:
        connection.connect()
    except OSError:
        return False
    finally:
        connection.close()
    return True


def _spawn(place: Place, settings: "Settings", identity: str) -> "subprocess.Popen[bytes]":
    import subprocess

    from rag_app.engine.identity import ENGINE_OPTIONS, absolute_embedding
    from rag_app.models.llms.registry import resolve

    given = settings.model_dump(mode="json", include={*ENGINE_OPTIONS}, exclude_unset=True)
    backend, target = resolve(settings.llm)
    given["llm"] = str(Path(target).absolute()) if Path(target).exists() else target
    if "embedding" in given:
        given["embedding"] = absolute_embedding(given["embedding"], Path.cwd())
    if (reranker := given.get("reranker")) and Path(reranker).is_dir():
        given["reranker"] = str(Path(reranker).absolute())
    gguf = None
    if backend == "llamacpp":
        names = ("context_length", "parallel", "threads", "cache_size")
        gguf = Gguf(given["llm"], **{name: getattr(settings, name) for name in names})
    options = StartOptions(given, gguf, identity, settings.keep_alive, str(place.folder))
    environment = {n: v for n, v in os.environ.items() if not n.startswith("RAG_APP_")}
    if "RAG_APP_HOME" in os.environ:
        environment["RAG_APP_HOME"] = str(home().absolute())
    root = str(Path(str(rag_app.__file__)).parents[1])
    path = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment["PYTHONPATH"] = os.pathsep.join(path)
    with place.log.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", _SERVER],
            cwd=place.folder,  # where no rag-app.toml lies
            env=environment,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,  # neither Ctrl-C nor the end of the terminal reaches it
        )
    assert process.stdin is not None  # noqa: S101 - it is a pipe
    with suppress(BrokenPipeError):  # it ended at once, and its log says why
        process.stdin.write(options.json().encode())
        process.stdin.close()
    return process


def _message(response: HTTPResponse) -> str:
    try:
        return str(json.load(response)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"it answers with status {response.status}"


def _user() -> int:
    """Return the user's number; all are 0 where there are none."""
    return os.getuid() if hasattr(os, "getuid") else 0
