"""The process of the resident engine: ``python -m rag_app.server.resident``.

It is started by the first command and told its settings on stdin. The language model begins to load
before anything else is imported, in a process of its own, and commands can connect at once. The
application has the routes of commands alone, since those of `serve` take longer to import than the
model to load.
"""

import gc
import json
import logging
import os
import secrets
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import Timeout

from rag_app.engine.resident_client import StartOptions
from rag_app.models.llms.llamacpp_server import ServerOptions, ServerProcess
from rag_app.models.llms.prompt_cache import slots_folder
from rag_app.models.unix_http import owner_only
from rag_app.surroundings import EnginePlace, free_cores

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from rag_app.settings import Settings

_LOCK_SECONDS = 1.0  # a command that looks whether there is an engine holds the lock for a moment
_TAKEN = 3  # exit status of an engine that finds another one


def main() -> None:
    """Serve until nobody has asked for as long as `keep_alive` says."""
    options = StartOptions(**json.loads(sys.stdin.read()))
    place = EnginePlace(Path(options.folder))
    lock = place.lock()
    try:
        lock.acquire(timeout=_LOCK_SECONDS)
    except Timeout:
        sys.exit(_TAKEN)
    sys.stderr.truncate(0)  # the log of the one before
    try:
        _run(options, place, _listen(place))
    except Exception:
        traceback.print_exc()  # into the log
    finally:
        for file in (place.socket, place.model_socket, place.state):
            file.unlink(missing_ok=True)
        os._exit(0)  # whatever its threads do


def _listen(place: EnginePlace) -> socket.socket:
    """Return the socket, at which commands can wait from now on; the lock must be held."""
    place.socket.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with owner_only():
        listening.bind(str(place.socket))
    listening.listen()
    _write_state(place, serves=False)
    return listening


def _write_state(place: EnginePlace, *, serves: bool) -> None:
    place.state.write_text(json.dumps({"pid": os.getpid(), "serves": serves}), encoding="utf-8")


def _run(options: StartOptions, place: EnginePlace, listening: socket.socket) -> None:
    """Load the models and serve."""
    process = _begin(options.gguf, place) if options.gguf else None
    # What is imported stays: looking for garbage in it again and again takes a tenth of the start.
    gc.disable()

    from rag_app.engine import RagApp, telemetry
    from rag_app.server.connections import ResidentServer
    from rag_app.server.log import json_log
    from rag_app.server.resident_state import Resident
    from rag_app.server.routes.resident import create_app, hand_over_warnings
    from rag_app.settings import load_settings

    settings = load_settings(**options.settings)
    hand_over_warnings()
    engine = RagApp(settings=settings)
    if process is not None:
        engine.preload(_loader(settings, process))
    resident = Resident(options, engine, process.pid if process else None)
    server = ResidentServer(create_app(resident), lambda: resident.seconds_left)
    resident.end = server.end
    if process is not None:
        threading.Thread(target=_follow, args=[process, server.end], daemon=True).start()
    gc.freeze()
    gc.enable()
    _write_state(place, serves=True)
    with json_log(logging.WARNING):
        server.run(sockets=[listening])
    telemetry.stop()


def _follow(process: ServerProcess, end: Callable[[], None]) -> None:
    """End the engine when the process with its language model has ended."""
    process.wait_ended()
    end()


def _begin(gguf: dict[str, Any], place: EnginePlace) -> ServerProcess:
    """Begin to load a GGUF file in a process of its own; see `StartOptions`."""
    options = ServerOptions(
        path=gguf["path"],
        context_length=gguf["context_length"],
        parallel=gguf["parallel"],
        threads=gguf["threads"] or free_cores(),
        gpu_layers=-1,
        key=secrets.token_urlsafe(32),
        slots=slots_folder(Path(gguf["path"]), gguf["cache_size"]),
        socket=str(place.model_socket),
    )
    return ServerProcess(options)


def _loader(settings: "Settings", process: ServerProcess) -> "Callable[[], BaseChatModel]":
    def load() -> "BaseChatModel":
        from rag_app.models.llms import llamacpp

        return llamacpp.load(Path(settings.llm), settings, process)

    return load


if __name__ == "__main__":
    main()
