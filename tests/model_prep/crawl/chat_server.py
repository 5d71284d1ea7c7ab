"""An OpenAI-compatible API on this machine that is told how to answer, well or badly."""

import json
import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from threading import Event, Lock
from typing import Any

from tests.http_server import running, url_of

KEY = "sk-geheim-0123456789"


class Chat:
    """Its acts, one for each request in turn, and what was asked."""

    def __init__(self) -> None:
        self.acts: list[Act] = []
        self.otherwise: Act = say_items()
        """What it does when no act is left."""
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.url = ""
        self.closing = Event()
        self.together = self.most_together = 0
        """Requests that are answered now, and the most there were."""
        self.lock = Lock()
        self.items_made = 0

    @property
    def formats(self) -> list[str | None]:
        """The response formats that were asked for."""
        return [(body.get("response_format") or {}).get("type") for body in self.asked]

    def items(self, count: int) -> list[dict[str, str]]:
        """Make good items, none like another."""
        first, self.items_made = self.items_made, self.items_made + count
        return [item(number) for number in range(first, first + count)]


class Handler(BaseHTTPRequestHandler):
    chat: Chat

    def do_POST(self) -> None:
        chat = self.chat
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with chat.lock:
            chat.asked.append({"path": self.path, **body})
            chat.keys.append(self.headers.get("Authorization"))
            act = chat.acts.pop(0) if chat.acts else chat.otherwise
            chat.together += 1
            chat.most_together = max(chat.most_together, chat.together)
        try:
            act(self, body)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client went away, as a test meant it to
        finally:
            with chat.lock:
                chat.together -= 1

    def do_GET(self) -> None:
        """What a redirected request becomes."""
        self.send(405, b"")

    def send(self, status: int, data: bytes, **headers: str) -> None:
        self.send_response(status)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named = {"Content-Type": "application/json", "Content-Length": str(len(data)), **named}
        for name, value in named.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Keep the tests' output clean."""


Act = Callable[[Handler, dict[str, Any]], None]


def item(number: int) -> dict[str, str]:
    """Return an item of characters drawn at random: no two are alike."""
    drawn = random.Random(number)
    text = "".join(chr(drawn.randrange(0x4E00, 0x9F00)) for _ in range(60))
    return {"instruction": text[:20], "input": "", "output": text[20:]}


def wanted(body: dict[str, Any]) -> int:
    """Return how many items a request asks for."""
    found = re.search(r"请写 (\d+) 条", body["messages"][-1]["content"])
    assert found
    return int(found[1])


def say(text: str | None, tokens: tuple[int, int] | None = (100, 50)) -> Act:
    """Answer with a text."""

    def act(handler: Handler, body: dict[str, Any]) -> None:
        message = {"role": "assistant", "content": text}
        answer: dict[str, Any] = {
            "id": "1",
            "object": "chat.completion",
            "created": 0,
            "model": body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        }
        if tokens:
            answer["usage"] = {
                "prompt_tokens": tokens[0],
                "completion_tokens": tokens[1],
                "total_tokens": sum(tokens),
            }
        handler.send(200, json.dumps(answer).encode())

    return act


def say_items(delay: float = 0.0, shape: Callable[[str], str] = str) -> Act:
    """Answer with as many good items as are asked for."""

    def act(handler: Handler, body: dict[str, Any]) -> None:
        handler.chat.closing.wait(delay)
        with handler.chat.lock:
            items = handler.chat.items(wanted(body))
        say(shape(json.dumps({"items": items}, ensure_ascii=False)))(handler, body)

    return act


def fail(status: int, message: str = "no", code: str | None = None, **headers: str) -> Act:
    """Answer with an error, in OpenAI's form."""

    def act(handler: Handler, _: dict[str, Any]) -> None:
        error = {"message": message, "type": "error", "param": None, "code": code}
        handler.send(status, json.dumps({"error": error}).encode(), **headers)

    return act


def redirect(handler: Handler, _: dict[str, Any]) -> None:
    """Answer that it is elsewhere, as servers do that want https."""
    handler.send(301, b"", Location=f"{handler.chat.url}/moved")


def refuse_formats(*formats: str) -> Act:
    """Answer with status 400 to some response formats, and with items to others."""

    def act(handler: Handler, body: dict[str, Any]) -> None:
        asked = (body.get("response_format") or {}).get("type")
        bad = fail(400, f"response_format {asked} is not supported")
        (bad if asked in formats else say_items())(handler, body)

    return act


def send(data: bytes, content_type: str = "application/json", status: int = 200) -> Act:
    """Answer with any bytes."""
    return lambda handler, _: handler.send(status, data, Content_Type=content_type)


def hang(handler: Handler, _: dict[str, Any]) -> None:
    """Answer nothing until the server ends."""
    handler.chat.closing.wait(60)


def endless(handler: Handler, _: dict[str, Any]) -> None:
    """Send white space as fast as it is taken, and never a reply."""
    handler.send(200, b"", Content_Length=str(10**12))
    while not handler.chat.closing.is_set():
        handler.wfile.write(b" " * 2**20)


def drip(handler: Handler, _: dict[str, Any]) -> None:
    """Send an answer that never ends, a space at a time."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.end_headers()
    while not handler.chat.closing.wait(0.05):
        handler.wfile.write(b" ")


def break_off(handler: Handler, _: dict[str, Any]) -> None:
    """Begin an answer, and close the connection."""
    handler.send(200, b'{"choices": [', Content_Length="1000")
    handler.close_connection = True


@contextmanager
def serve() -> Iterator[Chat]:
    chat = Chat()
    handler = type("HandlerOfOneChat", (Handler,), {"chat": chat})
    with running(handler) as server:
        chat.url = f"{url_of(server)}/v1"
        try:
            yield chat
        finally:
            chat.closing.set()


def until(true: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait for something another process or thread does."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)
