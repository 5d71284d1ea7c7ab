"""Access control of the server: keys, hosts, origins, rates and sizes."""

import asyncio
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag_app.errors import SettingsError
from rag_app.server.errors import ApiError, body_of
from rag_app.server.middleware.keys import ApiKey, KeyCheck, Rates
from rag_app.settings import Settings

_OPEN = ("/", "/health", "/openapi.json")
"""Paths that need no key: they tell nothing of the documents."""
_SAFE = ("GET", "HEAD", "OPTIONS")
ANY_ORIGIN = "*"


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
            response = JSONResponse(body_of(error), error.status_code, headers=error.headers)
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
