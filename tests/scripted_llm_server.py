"""An OpenAI-compatible server over HTTP that is told how to behave, request by request."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.http_server import running, send_json, url_of

CUT = "cut"
"""A stream that ends in its middle."""
DROP = "drop"
"""The connection is closed and nothing said."""


class ScriptedLlmServer:
    """What the server does next, and what it was sent; it answers with its name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.url = ""
        self.script: list[int | str] = []
        """A status to refuse with, or `CUT` or `DROP`; answers when nothing is left."""
        self.before_answer: Callable[[], object] = lambda: None
        self.paths: list[str] = []
        self.keys: list[str | None] = []

    def chunks(self) -> Iterator[bytes]:
        for text in (self.name, "。"):
            choice = {"index": 0, "delta": {"role": "assistant", "content": text}}
            chunk = {"id": "1", "object": "chat.completion.chunk", "choices": [choice]}
            yield f"data: {json.dumps(chunk)}\n\n".encode()
        yield b"data: [DONE]\n\n"

    def whole(self) -> dict[str, Any]:
        message = {"role": "assistant", "content": self.name}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return {"id": "1", "object": "chat.completion", "choices": [choice], "model": "m"}


@contextmanager
def scripted_llm_server(name: str) -> Iterator[ScriptedLlmServer]:
    """Serve for the block."""
    server = ScriptedLlmServer(name)

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            send_json(self, {"object": "list", "data": [{"id": "m", "object": "model"}]})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            server.paths.append(self.path)
            server.keys.append(self.headers["Authorization"])
            server.before_answer()
            step = server.script.pop(0) if server.script else 200
            if step == DROP:
                self.close_connection = True
            elif isinstance(step, int) and step != 200:
                send_json(self, {"error": {"message": f"{server.name} refuses"}}, step)
            elif body.get("stream"):
                self._stream(cut=step == CUT)
            else:
                send_json(self, server.whole())

        def _stream(self, *, cut: bool) -> None:
            chunks = list(server.chunks())
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Content-Length", str(sum(map(len, chunks))))
            self.end_headers()
            self.wfile.write(b"".join(chunks[:1] if cut else chunks))
            self.close_connection = True

    with running(Handler) as http:
        server.url = f"{url_of(http)}/v1"
        yield server


@contextmanager
def two_llm_servers() -> Iterator[tuple[ScriptedLlmServer, ScriptedLlmServer]]:
    """Serve "甲" and "乙" for the block, below different paths of theirs."""
    with scripted_llm_server("甲") as first, scripted_llm_server("乙") as second:
        second.url = second.url.replace("/v1", "/team/v1/")
        yield first, second
