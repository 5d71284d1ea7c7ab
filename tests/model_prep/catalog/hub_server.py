"""A hub on this machine: the few routes that a download needs, with the hub's own headers."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from urllib.parse import unquote

from tests.http_server import running, url_of

REPO = "org/tiny-bert"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """Its files, and the paths that were asked for."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.listed: dict[str, bytes] | None = None
        """What the listing says, where that is not what is sent."""
        self.asked: list[str] = []
        self.url = ""

    def listing(self) -> list[dict[str, object]]:
        rows: list[dict[str, object]] = []
        for name, data in (self.listed or self.files).items():
            row: dict[str, object] = {"size": len(data), "name": name, "oid": _sha1(data)}
            if name.endswith((".safetensors", ".bin", ".gguf")):
                digest = hashlib.sha256(data).hexdigest()
                row["lfs"] = {"sha256": digest, "oid": digest, "size": len(data), "pointerSize": 1}
            rows.append(row)
        return rows


def _sha1(data: bytes) -> str:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Answers as the hub does."""

    hub: Hub

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        self.hub.asked.append(path)
        if path == f"/api/models/{REPO}/revision/{COMMIT}":
            names = ({**row, "rfilename": row["name"]} for row in self.hub.listing())
            self._json({"id": REPO, "sha": COMMIT, "siblings": list(names)})
        elif path == f"/api/models/{REPO}/tree/{COMMIT}":
            rows = self.hub.listing()
            self._json([{"type": "file", "path": row["name"], **row} for row in rows])
        else:
            self.do_HEAD()

    def do_HEAD(self) -> None:
        name = unquote(self.path).removeprefix(f"/{REPO}/resolve/{COMMIT}/")
        data = self.hub.files.get(name)
        if data is None:
            self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
        else:
            etag = hashlib.sha256(data).hexdigest()
            self._send(200, data, {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT})

    def _json(self, content: object) -> None:
        self._send(200, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Keep the tests' output clean."""


@contextmanager
def serve(hub: Hub) -> Iterator[Hub]:
    handler = type("HandlerOfOneHub", (Handler,), {"hub": hub})
    with running(handler) as server:
        hub.url = url_of(server)
        yield hub
