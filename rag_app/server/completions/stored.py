"""Responses that are kept, so that later requests go on from them by their ids."""

import hashlib
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, Request

from model_prep.errors import CheckpointError
from model_prep.json_file import read_json, replace_json
from rag_app.server.errors import ApiError
from rag_app.server.middleware.access import sent_key
from rag_app.settings import home

_ID = re.compile(r"resp_[0-9a-f]{32}")
_ITEM = re.compile(r"(?:msg|fc)_([0-9a-f]{32})_(\d{1,4})")
_MOST = 1000
_MOST_BYTES = 256 * 2**20
_SECONDS = 30 * 24 * 3600.0  # as long as OpenAI keeps them

StoredItems = list[dict[str, Any]]
"""Messages, calls and what came of them, as requests and responses have them."""


class StoredResponses:
    """A file for each response, in the home; the newest thousand, for thirty days.

    Args:
        owner: Whose they are: with another key they are not there.
    """

    def __init__(self, owner: str = "") -> None:
        self._folder = home() / "responses"
        self._owner = hashlib.sha256(owner.encode()).hexdigest() if owner else ""

    def add(self, response: dict[str, Any], items: StoredItems) -> None:
        """Keep a response."""
        content = {"owner": self._owner, "response": response, "input": items}
        with suppress(OSError):  # the disk may be full, and the answer is given all the same
            self._folder.mkdir(parents=True, mode=0o700, exist_ok=True)
            replace_json(self._file(response["id"]), content, durable=False)
            self._forget()

    def response(self, name: str) -> dict[str, Any]:
        """Return a response.

        Raises:
            ApiError: 404, it is not kept.
        """
        found: dict[str, Any] = self._read(name)["response"]
        return found

    def items(self, name: str) -> StoredItems:
        """Return what a response answers, oldest first.

        Raises:
            ApiError: 404, it is not kept.
        """
        found: StoredItems = self._read(name)["input"]
        return found

    def item(self, name: str) -> dict[str, Any] | None:
        """Return an item of a response that is kept, None where there is none of that id."""
        if found := _ITEM.fullmatch(name):
            with suppress(ApiError, IndexError):
                output: StoredItems = self.response(f"resp_{found[1]}")["output"]
                return output[int(found[2])]
        return None

    def delete(self, name: str) -> None:
        """Delete a response.

        Raises:
            ApiError: 404, it is not kept.
        """
        self._read(name)
        self._file(name).unlink(missing_ok=True)

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.json"

    def _read(self, name: str) -> dict[str, Any]:
        if _ID.fullmatch(name):
            with suppress(OSError, CheckpointError, KeyError):
                content = read_json(self._file(name))
                if content["owner"] == self._owner:
                    return content
        msg = f"no response {name!r} is stored: it was deleted, made with store: false, or is old"
        raise ApiError(404, msg, code="response_not_found", param="response_id")

    def _forget(self) -> None:
        """Delete the oldest, where there are too many."""
        found = []
        for file in self._folder.glob("*.json"):
            with suppress(OSError):  # it went meanwhile
                status = file.stat()
                found.append((status.st_mtime, status.st_size, file))
        size, now = 0, time.time()
        for number, (changed, length, file) in enumerate(sorted(found, reverse=True), 1):
            size += length
            if number > _MOST or size > _MOST_BYTES or now - changed > _SECONDS:
                file.unlink(missing_ok=True)


def item_id(kind: str, response: str, index: int) -> str:
    """Return the id of an item of a response, by which it is found there.

    Example:
        >>> item_id("msg", "resp_5f0c", 0)
        'msg_5f0c_0'
    """
    return f"{kind}_{response.removeprefix('resp_')}_{index}"


def _stored(request: Request) -> StoredResponses:
    key = sent_key(request)
    return StoredResponses(key.secret.get_secret_value() if key else "")


Stored = Annotated[StoredResponses, Depends(_stored)]
"""The responses of whoever asks, as a parameter of a route."""
