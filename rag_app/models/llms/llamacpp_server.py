"""llama.cpp's server: in this process, or in one of its own that loads while this one works.

The binding holds Python's lock while it loads a model, so that nothing else can be done meanwhile
in the same process. Nothing here imports LangChain: a model can begin to load at once.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from rag_app.models.unix_http import UnixConnection, events, owner_only

_BATCH = 64
"""Prompt tokens between two chances to cancel: below a second here, and no slower than 512."""
_CACHED_PROMPTS_MIB = 512
"""Memory for the prompts of earlier calls; llama.cpp's own default is 8 GiB."""
_READY = "ready"

Receive = Callable[[Any], bool]
"""Takes an event, or a list of them; returns True where nobody waits for more."""


def _all(_: Any) -> bool:
    """Take every event."""
    return False


class LlamaServer(Protocol):
    """What answers requests of llama.cpp's API, here or in another process."""

    listening_address: str

    def handle_completions(self, request: dict[str, Any], receive: Receive = _all) -> None:
        """Go on with a text."""

    def handle_chat_completions(self, request: dict[str, Any], receive: Receive = _all) -> None:
        """Answer a chat."""


@dataclass(frozen=True)
class ServerOptions:
    """How a model is loaded.

    Attributes:
        path: The GGUF file.
        context_length: Tokens of prompt and answer together, for each call.
        parallel: Calls worked on together.
        threads: CPU threads.
        gpu_layers: Layers held by a GPU; -1 is all.
        key: Clients must send it.
        slots: Folder in which the keys and values of prompts can be saved; empty: none are saved.
        socket: Where the server listens; empty is a free loopback port.
    """

    path: str
    context_length: int
    parallel: int
    threads: int
    gpu_layers: int
    key: str
    slots: str = ""
    socket: str = ""

    def start(self) -> Any:
        """Return llama.cpp's server in this process, its model loaded.

        Raises:
            RuntimeError, ValueError, MemoryError: the model can't be loaded.
        """
        import xllamacpp

        from model_prep.inference.llamacpp_model import start_server

        params = xllamacpp.CommonParams()
        params.model.path = self.path
        params.n_ctx = self.context_length * self.parallel
        params.n_parallel = self.parallel
        params.n_batch = params.n_ubatch = _BATCH
        params.n_gpu_layers = self.gpu_layers
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = self.threads
        # Threads that have nothing to do sleep: others may need their cores.
        params.cpuparams.poll = params.cpuparams_batch.poll = 0
        # A request for a slot that is at work would have an earlier prompt put into it there, and
        # llama.cpp would never come to an end (2026.10).
        params.cache_ram_mib = 0 if self.slots and self.parallel > 1 else _CACHED_PROMPTS_MIB
        params.warmup = False  # the first question warms it up all the same
        params.verbosity = -1
        params.api_keys = [self.key]
        if self.slots:
            params.endpoint_slots, params.slot_save_path = True, f"{self.slots}{os.sep}"
        if self.socket:
            params.hostnames = [self.socket]
        return start_server(params)


class ServerProcess:
    """llama.cpp's server in a process of its own, which ends with this one however it ends.

    The model begins to load at once. Where it can't be loaded, the first use raises why.

    Args:
        options: With the socket on which it listens.
    """

    def __init__(self, options: ServerOptions) -> None:
        self.options = options
        self.listening_address = f"unix://{options.socket}"
        self._loaded = False
        self._guard = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        self._process.stdin.write(json.dumps(asdict(options)) + "\n")
        self._process.stdin.flush()

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    def wait_loaded(self) -> None:
        """Wait until the model is loaded.

        Raises:
            RuntimeError: it can't be loaded, or the process was killed.
        """
        with self._guard:
            if self._loaded:
                return
            assert self._process.stdout is not None  # noqa: S101 - it is a pipe
            said = self._process.stdout.readline().strip()
            if said != _READY:
                raise RuntimeError(said or "its process was killed")
            self._loaded = True

    def wait_ended(self) -> None:
        """Wait until the process has ended."""
        self._process.wait()

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()

    def handle_completions(self, request: dict[str, Any], receive: Receive = _all) -> None:
        """Go on with a text; ``receive`` is given the events."""
        self._post("/v1/completions", request, receive)

    def handle_chat_completions(self, request: dict[str, Any], receive: Receive = _all) -> None:
        """Answer a chat; ``receive`` is given the events."""
        self._post("/v1/chat/completions", request, receive)

    def _post(self, path: str, request: dict[str, Any], receive: Receive) -> None:
        try:
            with closing(UnixConnection(Path(self.options.socket))) as connection:
                connection.send_json("POST", path, request, self.options.key)
                response = connection.getresponse()
                if response.status != 200:
                    receive(json.load(response))
                    return
                for event in events(response):
                    if receive(event):
                        return  # the connection is closed, which ends the generation
        except (OSError, HTTPException) as error:
            msg = f"its process was killed: {error}" if str(error) else "its process was killed"
            raise RuntimeError(msg) from error


def post(server: LlamaServer, path: str, value: Any, *, key: str, seconds: float) -> Any:
    """Return what a server answers to a request that does not stream.

    Raises:
        OSError, http.client.HTTPException: it does not answer.
        ValueError: it refuses the request.
    """
    address = urlsplit(server.listening_address)
    connection: HTTPConnection
    if address.scheme == "unix":
        connection = UnixConnection(Path(address.path), seconds)
    else:
        connection = HTTPConnection(str(address.hostname), address.port, timeout=seconds)
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    with closing(connection):
        connection.request("POST", path, json.dumps(value).encode(), headers)
        response = connection.getresponse()
        answer = json.load(response)
    if response.status != 200:
        raise ValueError(answer)
    return answer


def main() -> None:
    """Serve a model until the process that asked for it goes away."""
    options = ServerOptions(**json.loads(sys.stdin.readline()))
    Path(options.socket).unlink(missing_ok=True)
    try:
        with owner_only():
            server = options.start()
    except (RuntimeError, ValueError, MemoryError) as error:
        said = " ".join(str(error).split()) or type(error).__name__
    else:
        said = _READY
    sys.stdout.write(f"{said}\n")
    sys.stdout.flush()
    if said == _READY:
        sys.stdin.read()  # to its end: the other process is gone
        del server
    os._exit(0)  # whatever is being generated


if __name__ == "__main__":
    main()
