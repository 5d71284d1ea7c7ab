"""The client of the resident engine: it finds or starts the process, and sends what is asked."""

import json
import os
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag_app.engine.resident import (
    ANSWER_SECONDS,
    SERVER,
    Events,
    ResidentError,
    is_held,
    listens,
    patience,
    received,
    stop,
    tell,
)
from rag_app.models.unix_http import UnixConnection
from rag_app.surroundings import EnginePlace, home, import_path

if TYPE_CHECKING:
    import subprocess

    from rag_app.settings import Settings

_NEEDS = ("fastapi", "uvicorn", "prometheus_client", "multipart")
_POLL_SECONDS = 0.02


@dataclass(frozen=True)
class StartOptions:
    """What a command tells the engine that it starts, as JSON.

    Attributes:
        settings: Those that it is started with, where they are not the default ones.
        gguf: The path of a GGUF file and the settings by which it is loaded, which begins at once;
            None for another language model.
        identity: See `identity`.
        keep_alive: Minutes.
        folder: Its place.
    """

    settings: dict[str, Any]
    gguf: dict[str, Any] | None
    identity: str
    keep_alive: float
    folder: str


class ResidentEngine:
    """A client of the resident engine.

    Args:
        settings: Only an engine of equal ones is used.
    """

    def __init__(self, settings: "Settings") -> None:
        self._settings = settings
        self.place = EnginePlace.of_home()

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
            if listens(self.place):
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
        connection = UnixConnection(self.place.socket, patience(self.place))
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
        deadline = time.monotonic() + ANSWER_SECONDS
        while not listens(self.place):
            gone = process.poll() is not None and not is_held(self.place)
            if gone or time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True


def _places(index: Path) -> dict[str, str]:
    """Return where an index is, and where the command was given."""
    return {"index": str(index.absolute()), "folder": str(Path.cwd())}


def _spawn(place: EnginePlace, settings: "Settings", identity: str) -> "subprocess.Popen[bytes]":
    import subprocess

    from rag_app.engine.identity import ENGINE_OPTIONS, absolute_embedding
    from rag_app.models.registry import resolve

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
        gguf = {"path": given["llm"], **{name: getattr(settings, name) for name in names}}
    options = StartOptions(given, gguf, identity, settings.keep_alive, str(place.folder))
    environment = {n: v for n, v in os.environ.items() if not n.startswith("RAG_APP_")}
    if "RAG_APP_HOME" in os.environ:
        environment["RAG_APP_HOME"] = str(home().absolute())
    environment["PYTHONPATH"] = import_path()
    with place.log.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", SERVER],
            cwd=place.folder,  # where no rag-app.toml lies
            env=environment,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,  # neither Ctrl-C nor the end of the terminal reaches it
        )
    assert process.stdin is not None  # noqa: S101 - it is a pipe
    with suppress(BrokenPipeError):  # it ended at once, and its log says why
        process.stdin.write(json.dumps(asdict(options)).encode())
        process.stdin.close()
    return process
