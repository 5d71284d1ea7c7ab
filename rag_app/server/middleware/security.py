"""Access control of the server: keys, hosts, origins, rates and sizes."""

import hmac
import ipaddress
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag_app.errors import SettingsError
from rag_app.server.errors import ApiError, body_of
from rag_app.settings import Settings

_OPEN = ("/", "/health", "/openapi.json")
"""Paths that need no key: they tell nothing of the documents."""
_SAFE = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True)
class Access:
    """Who may use a server.

    Attributes:
        host: Address that it listens on.
        keys: One of them must be sent; none, and everybody on this machine may.
        origins: Web pages of these origins may use it, besides its own.

    Raises:
        SettingsError: a key is empty, or there is none and others reach the server.

    Example:
        >>> Access(host="0.0.0.0", keys=["secret"]).is_local
        False
    """

    host: str = "127.0.0.1"
    keys: Sequence[str] = field(default=(), repr=False)
    origins: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not all(key.strip() for key in self.keys):
            msg = "an API key is empty; give --api-key KEY (or RAG_APP_API_KEY), or leave it out"
            raise SettingsError(msg)
        if not self.keys and not self.is_local:
            msg = (
                f"{self.host} can be reached from other machines, and there is no key: "
                "give --api-key KEY (or RAG_APP_API_KEY), or keep --host 127.0.0.1"
            )
            raise SettingsError(msg)

    @property
    def is_local(self) -> bool:
        """Whether only programs of this machine reach it."""
        return is_loopback(self.host)


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
        self._keys = [key.strip().encode() for key in access.keys]
        self._rates = _Rates(settings.requests_per_minute)
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
                self._rates.check(self._check_key(headers))
            limited = self._limited(scope, headers, receive)
        except ApiError as error:
            response = JSONResponse(body_of(error), error.status_code, headers=error.headers)
            await response(scope, receive, send)
            return
        await self._app(scope, limited, send)

    def _check_host(self, headers: Headers) -> None:
        """Refuse names that only seem to be of this machine (DNS rebinding)."""
        host = urlsplit(f"//{headers.get('host', '')}").hostname or ""
        if self._access.is_local and not is_loopback(host):
            raise ApiError(403, f"this server is not {host!r}; use http://127.0.0.1", code="host")

    def _check_origin(self, scope: Scope, headers: Headers) -> None:
        """Refuse what another site's page sends on its own (cross-site request forgery)."""
        origin = headers.get("origin")
        if scope["method"] in _SAFE or origin in self._access.origins:
            return
        own = urlsplit(origin or "").netloc == headers.get("host")
        crossed = headers.get("sec-fetch-site") in ("cross-site", "same-site")
        if (origin is not None and not own) or (origin is None and crossed):
            msg = f"pages of {origin or 'another site'} may not use this server; see --cors-origin"
            raise ApiError(403, msg, code="origin")

    def _check_key(self, headers: Headers) -> int:
        """Return which key was sent; every key is compared, each in constant time."""
        if not self._keys:
            return -1
        kind, _, sent = headers.get("authorization", "").partition(" ")
        given = sent.strip().encode("latin-1") if kind.lower() == "bearer" else b""
        found = [i for i, key in enumerate(self._keys) if hmac.compare_digest(key, given)]
        if not found:
            raise ApiError(
                401,
                "a key is needed: send the header Authorization: Bearer KEY",
                code="invalid_api_key",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return found[0]

    def _limited(self, scope: Scope, headers: Headers, receive: Receive) -> Receive:
        """Return ``receive`` with a limit to what it reads."""
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
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            check(size)
            return message

        return counted


class _Rates:
    """A bucket of tokens for each key: full at first, filled evenly over a minute."""

    def __init__(self, per_minute: int) -> None:
        self._limit = per_minute
        self._left: dict[int, tuple[float, float]] = {}

    def check(self, key: int) -> None:
        if not self._limit:
            return
        now = time.monotonic()
        left, since = self._left.get(key, (float(self._limit), now))
        left = min(self._limit, left + (now - since) * self._limit / 60)
        if left < 1:
            wait = max(1, round((1 - left) * 60 / self._limit))
            msg = f"more than {self._limit} requests a minute; try again in {wait} s"
            raise ApiError(429, msg, code="rate_limited", headers={"Retry-After": str(wait)})
        self._left[key] = (left - 1, now)
