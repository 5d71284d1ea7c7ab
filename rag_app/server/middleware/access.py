"""Access control of the server: keys and their scopes, hosts, origins, rates and sizes."""

import asyncio
import hmac
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from fastapi import Depends, Request
from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag_app.errors import SettingsError
from rag_app.server.errors import ApiError, body_of, response_to
from rag_app.settings import Settings

_OPEN = ("/", "/health", "/openapi.json")
"""Paths that need no key: they tell nothing of the documents."""
_SAFE = ("GET", "HEAD", "OPTIONS")
ANY_ORIGIN = "*"
_INDEX = "index:"
_FREE_GUESSES = 10
"""Wrong keys from one address that are answered at once, and how many more each minute."""
_REMEMBERED = 10_000
"""Addresses, and pairs of an address and a key."""


@dataclass(frozen=True)
class ApiKey:
    """A key, and what may be done with it.

    Attributes:
        secret: What is sent.
        name: What the log calls it.
        can_write: Whether indexes and documents may be made, changed and deleted with it.
        indexes: Names of those that it opens; None is all.

    Example:
        >>> key = ApiKey.parse("sales sk-1234 read index:合同")
        >>> key.name, key.can_write, key.opens("合同"), key.opens("default")
        ('sales', False, True, False)
    """

    secret: SecretStr
    name: str = ""
    can_write: bool = True
    indexes: frozenset[str] | None = None

    @classmethod
    def parse(cls, line: str) -> Self:
        """Return the key of a line: ``KEY``, or ``NAME KEY [read|write] [index:NAME …]``.

        Raises:
            SettingsError: it is none; the message does not repeat it.
        """
        words = line.split()
        if len(words) == 1:
            return cls(SecretStr(words[0]))
        name, secret, *scopes = words
        indexes = {scope.removeprefix(_INDEX) for scope in scopes if scope.startswith(_INDEX)}
        rights = [scope for scope in scopes if not scope.startswith(_INDEX)]
        if rights not in ([], ["read"], ["write"]) or "" in indexes:
            msg = f"the key of {name} has a scope other than read, write and index:NAME"
            raise SettingsError(msg)
        return cls(SecretStr(secret), name, rights != ["read"], frozenset(indexes) or None)

    @classmethod
    def of(cls, key: "ApiKey | str") -> "ApiKey":
        """Return a key as it is, or the text of one with nothing forbidden.

        Raises:
            SettingsError: it is empty.
        """
        found = key if isinstance(key, ApiKey) else cls(SecretStr(key.strip()))
        if not found.secret.get_secret_value().strip():
            msg = "an API key is empty; give --api-key KEY (or RAG_APP_API_KEY), or leave it out"
            raise SettingsError(msg)
        return found

    def opens(self, index: str) -> bool:
        """Return whether an index may be used with it."""
        return self.indexes is None or index in self.indexes


def read_keys(file: Path) -> list[ApiKey]:
    """Return the keys of a file, one in a line; see `ApiKey.parse`. A # begins a comment.

    Raises:
        SettingsError: it can't be read, holds none, or a line is wrong.
    """
    try:
        lines = file.expanduser().read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        msg = f"the key file {file} can't be read ({reason}); check --api-key-file"
        raise SettingsError(msg) from error
    keys = [ApiKey.parse(line) for line in lines if line.strip() and not line.startswith("#")]
    if not keys:
        msg = f"the key file {file} holds no key; write one in each line"
        raise SettingsError(msg)
    return keys


class KeyCheck:
    """Finds the key that a request sends; whoever guesses is slowed down.

    An address that sent too many wrong keys must wait, with whatever key it comes next. Keys that
    were right from there before are let in all the same, so that a neighbour behind the same proxy
    can lock nobody out.

    Args:
        keys: All that are right.
    """

    def __init__(self, keys: Sequence[ApiKey]) -> None:
        self._keys = [(key, key.secret.get_secret_value().encode()) for key in keys]
        self._guesses = Rates(_FREE_GUESSES)
        self._known: OrderedDict[tuple[str, int], None] = OrderedDict()

    def find(self, headers: Headers, address: str) -> ApiKey | None:
        """Return the key that was sent; None where none is asked for.

        Every key is compared, each in constant time.

        Raises:
            ApiError: 401, none or a wrong one was sent; 429, too many wrong ones were.
        """
        if not self._keys:
            return None
        kind, _, sent = headers.get("authorization", "").partition(" ")
        given = sent.strip().encode("latin-1") if kind.lower() == "bearer" else b""
        if not given:
            raise _refusal("a key is needed: send the header Authorization: Bearer KEY")
        found = [i for i, (_, key) in enumerate(self._keys) if hmac.compare_digest(key, given)]
        if found and (address, found[0]) in self._known:
            return self._keys[found[0]][0]
        # Before the answer is known: else it would tell which guess was right.
        self._guesses.check(address, "wrong keys were sent too often", taken=not found)
        if not found:
            raise _refusal("the key is wrong; check the header Authorization: Bearer KEY")
        self._known[address, found[0]] = None
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return self._keys[found[0]][0]


class Rates:
    """A bucket of tokens for each key: full at first, filled evenly over a minute.

    Args:
        per_minute: Its size; 0 is no limit.
    """

    def __init__(self, per_minute: int) -> None:
        self._limit = per_minute
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def check(self, key: str, problem: str, *, taken: bool = True) -> None:
        """Take a token, or only see that there is one.

        Raises:
            ApiError: 429, there is none.
        """
        if not self._limit:
            return
        now = time.monotonic()
        left, since = self._left.pop(key, (float(self._limit), now))
        left = min(self._limit, left + (now - since) * self._limit / 60)
        self._left[key] = (left - (taken and left >= 1), now)
        if len(self._left) > _REMEMBERED:
            self._left.popitem(last=False)
        if left < 1:
            wait = max(1, round((1 - left) * 60 / self._limit))
            msg = f"{problem}; try again in {wait} s"
            raise ApiError(429, msg, code="rate_limited", headers={"Retry-After": str(wait)})


def _refusal(message: str) -> ApiError:
    headers = {"WWW-Authenticate": "Bearer"}
    return ApiError(401, message, code="invalid_api_key", headers=headers)


def sent_key(request: Request) -> ApiKey | None:
    """Return the key that a request came with, None where none is asked for."""
    key: ApiKey | None = getattr(request.state, "key", None)
    return key


def _may_write(request: Request) -> None:
    key = sent_key(request)
    if key is not None and not key.can_write:
        msg = "this key may read only; ask with one that may write"
        raise ApiError(403, msg, code="insufficient_permissions")


WRITE = Depends(_may_write)
"""What routes depend on that change something."""


@dataclass(frozen=True)
class Access:
    """Who may use a server.

    Attributes:
        host: Address that it listens on.
        keys: One of them must be sent; none, and everybody on this machine may.
        origins: Web pages of these origins may use it, besides its own; ``*`` is all pages. They
            are written as browsers send them.

    Raises:
        SettingsError: a key is empty, or there is none and others reach the server; an origin is
            none.

    Example:
        >>> Access(host="0.0.0.0", keys=["secret"]).is_local
        False
    """

    host: str = "127.0.0.1"
    keys: Sequence[str | ApiKey] = field(default=(), repr=False)
    origins: Sequence[str] = ()

    def __post_init__(self) -> None:
        self.api_keys  # noqa: B018 - says what is wrong with one
        object.__setattr__(self, "origins", tuple(map(_origin, self.origins)))
        if not self.keys and not self.is_local:
            msg = (
                f"{self.host} can be reached from other machines, and there is no key: "
                "give --api-key KEY (or RAG_APP_API_KEY), or keep --host 127.0.0.1"
            )
            raise SettingsError(msg)

    @cached_property
    def api_keys(self) -> list[ApiKey]:
        """The keys with their scopes."""
        return [ApiKey.of(key) for key in self.keys]

    @property
    def is_local(self) -> bool:
        """Whether only programs of this machine reach it."""
        return is_loopback(self.host)


def _origin(text: str) -> str:
    """Return an origin as browsers send it: no path, small letters, no usual port."""
    if text == ANY_ORIGIN:
        return text
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    usual = {"http": 80, "https": 443}
    plain = host and parts.path in ("", "/") and not (parts.query or parts.username)
    if not plain or parts.scheme not in usual:
        msg = f"--cors-origin {text} is no origin; give one as http://localhost:3000, or '*'"
        raise SettingsError(msg)
    shown = f"[{host}]" if ":" in str(host) else host
    return (
        f"{parts.scheme}://{shown}{f':{port}' if port not in (None, usual[parts.scheme]) else ''}"
    )


def is_loopback(host: str) -> bool:
    """Return whether an address or host name is of this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class SecurityMiddleware:
    """Refuses, before any route sees it, a request that is not allowed or too large."""

    def __init__(self, app: ASGIApp, access: Access, settings: Settings) -> None:
        self._app = app
        self._access = access
        self._keys = KeyCheck(access.api_keys)
        self._per_minute = settings.requests_per_minute
        self._rates = Rates(self._per_minute)
        self._seconds = settings.read_seconds
        self._body = settings.max_body_bytes
        self._upload = settings.max_upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            self._check_host(headers)
            self._check_origin(scope, headers)
            is_open = scope["path"] in _OPEN or scope["path"].startswith("/static/")
            if scope["method"] != "OPTIONS" and not is_open:
                self._check_key(scope, headers)
            limited = self._limited(scope, headers, receive)
        except ApiError as error:
            body = body_of(error)
            response = response_to(scope["path"], error.status_code, body, error.headers)
            await response(scope, receive, send)
            return
        await self._app(scope, limited, send)

    def _check_host(self, headers: Headers) -> None:
        """Refuse what is no host, and what only seems to be this machine (DNS rebinding)."""
        try:
            host = urlsplit(f"//{headers.get('host', '')}").hostname or ""
        except ValueError as error:
            raise ApiError(400, "the header Host is no host", code="host") from error
        if self._access.is_local and not is_loopback(host):
            raise ApiError(403, f"this server is not {host!r}; use http://127.0.0.1", code="host")

    def _check_origin(self, scope: Scope, headers: Headers) -> None:
        """Refuse what another site's page sends on its own (cross-site request forgery)."""
        allowed, origin = self._access.origins, headers.get("origin")
        if scope["method"] in _SAFE or origin in allowed or ANY_ORIGIN in allowed:
            return
        # As browsers write it: what can't be parsed equals nothing.
        own = (origin or "").partition("://")[2] == headers.get("host")
        crossed = headers.get("sec-fetch-site") in ("cross-site", "same-site")
        if (origin is not None and not own) or (origin is None and crossed):
            msg = f"pages of {origin or 'another site'} may not use this server; see --cors-origin"
            raise ApiError(403, msg, code="origin")

    def _check_key(self, scope: Scope, headers: Headers) -> None:
        """Note which key was sent, and refuse a wrong one or one used too often."""
        key = self._keys.find(headers, (scope.get("client") or ("",))[0])
        scope.setdefault("state", {})["key"] = key
        secret = key.secret.get_secret_value() if key else ""
        self._rates.check(secret, f"more than {self._per_minute} requests a minute")

    def _limited(self, scope: Scope, headers: Headers, receive: Receive) -> Receive:
        """Return ``receive`` with a limit to what it reads, and to how long it waits for that."""
        uploads = scope["method"] == "POST" and scope["path"].endswith("/documents")
        limit = self._upload if uploads else self._body

        def check(size: int) -> None:
            if size > limit:
                msg = f"the request is larger than {limit:,} bytes"
                raise ApiError(413, msg, code="request_too_large")

        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdecimal()):
            raise ApiError(400, "Content-Length is not a number")
        check(int(length))
        size, whole = 0, False

        async def counted() -> Message:
            nonlocal size, whole
            try:
                async with asyncio.timeout(None if whole else self._seconds):
                    message = await receive()
            except TimeoutError as error:
                msg = f"the rest of the request did not come within {self._seconds:g} seconds"
                raise ApiError(408, msg, code="timeout") from error
            size += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            check(size)
            return message

        return counted
