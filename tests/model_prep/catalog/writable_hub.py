"""A hub that can be written to, by the routes of a push with git LFS."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager

from tests.http_server import running, url_of
from tests.model_prep.catalog.hub_server import COMMIT, REPO, Handler, Hub

TOKEN = "hf_of-this-test"


class WritableHub(Hub):
    """Its files, the large ones by their hash until they are committed, and how it was asked."""

    def __init__(self) -> None:
        super().__init__({})
        self.large: dict[str, bytes] = {}
        self.created: list[dict[str, object]] = []


class WritableHandler(Handler):
    """Takes what the one token sends."""

    hub: WritableHub

    def do_GET(self) -> None:  # noqa: N802 - as http.server names it
        self.path = self.path.replace("/main", f"/{COMMIT}")
        if not self.path.startswith("/api/whoami-v2"):
            super().do_GET()
        elif self._knows_token():
            self._json({"name": "org", "type": "user"})

    def do_HEAD(self) -> None:  # noqa: N802 - as http.server names it
        self.path = self.path.replace("/main/", f"/{COMMIT}/")
        super().do_HEAD()

    def do_PUT(self) -> None:  # noqa: N802 - as http.server names it
        self.hub.large[self.path.rpartition("/")[2]] = self._body()
        self._send(200, b"", {})

    def do_POST(self) -> None:  # noqa: N802 - as http.server names it
        body = self._body()
        self.hub.asked.append(self.path)
        if not self._knows_token():
            return
        if self.path == "/api/repos/create":
            self.hub.created.append(json.loads(body))
            self._json({"url": f"{self.hub.url}/{REPO}", "name": REPO, "id": REPO})
        elif self.path.startswith(f"/api/models/{REPO}/preupload/"):
            names = [file["path"] for file in json.loads(body)["files"]]
            modes = {True: "lfs", False: "regular"}
            self._json(
                {
                    "files": [
                        {
                            "path": name,
                            "uploadMode": modes[name.endswith(".safetensors")],
                            "shouldIgnore": False,
                        }
                        for name in names
                    ]
                }
            )
        elif self.path == f"/{REPO}.git/info/lfs/objects/batch":
            objects = json.loads(body)["objects"]
            for each in objects:
                each["actions"] = {"upload": {"href": f"{self.hub.url}/large/{each['oid']}"}}
            self._json({"transfer": "basic", "objects": objects})
        elif self.path.startswith(f"/api/models/{REPO}/commit/"):
            self._commit([json.loads(line) for line in body.splitlines()])
        else:
            self._send(404, b"", {})

    def _commit(self, lines: list[dict[str, dict[str, str]]]) -> None:
        for line in lines:
            value = line["value"]
            if str(line["key"]) == "file":
                self.hub.files[value["path"]] = base64.b64decode(value["content"])
            elif str(line["key"]) == "lfsFile":
                self.hub.files[value["path"]] = self.hub.large.pop(value["oid"])
        url = f"{self.hub.url}/{REPO}/commit/{COMMIT}"
        self._json({"success": True, "commitOid": COMMIT, "commitUrl": url})

    def _knows_token(self) -> bool:
        known = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if not known:
            self._send(401, b"{}", {"Content-Type": "application/json"})
        return known

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))


@contextmanager
def serve_writable() -> Iterator[WritableHub]:
    hub = WritableHub()
    handler = type("HandlerOfOneHub", (WritableHandler,), {"hub": hub})
    with running(handler) as server:
        hub.url = url_of(server)
        yield hub
