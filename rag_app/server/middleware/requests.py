"""What every request passes first: id, line in the log, counters, headers, path, permission.

Whether it may go on depends on its key, its host and origin, its size, and how often it comes.
"""

import asyncio
import logging
import re
import time
import uuid
from collections.abc import Callable
from typing import Annotated
from urllib.parse import quote, urlsplit

from fastapi import Depends, Request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag_app.server.errors import OLLAMA, ApiError, body_of, response_to
from rag_app.server.log import current_request
from rag_app.server.middleware.access import ANY_ORIGIN, Access, KeyCheck, Rates
from rag_app.settings import Settings
from rag_app.surroundings import is_loopback

_log = logging.getLogger("rag_app.server")
_ID = re.compile(r"[\w\-.]{1,64}", re.ASCII)

_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; style-src 'self'; script-src 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""The page loads and asks nothing but this server."""
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_OPENAI = {
    "chat", "completions", "deployments", "embed", "embeddings", "engines", "models", "ranking",
    "rerank", "responses",
}  # fmt: skip
"""First parts of the paths below ``/v1`` that clients of OpenAI's API ask for."""

_BASE = re.compile(r"\A(?:https?://[^/]*)?/+(?:(?:(v1|api)|openai)/+)*")
"""Of a path, where a base URL ends with a slash, names the version that its client adds or, as
Azure's do, the API, or where a client asks as of a proxy, which names the server too (RFC 9112,
3.2.2)."""

_OTHER_PATHS = {"/v2/rerank": "/v1/rerank", "/v1/ranking": "/v1/rerank"}  # Cohere's, NVIDIA's
_ENGINES = "/v1/engines/"
"""What paths begin with where OpenAI's clients of 2023 and before name the model as `engine`."""
_REFUSED = (400, 403)
_OPEN = ("/", "/health", "/openapi.json")
"""Paths that need no key: they reveal nothing of the documents."""
_SAFE = ("GET", "HEAD", "OPTIONS")
_OWN_NAMES = (".localhost", ".docker.internal", ".containers.internal")
"""Names of this machine, for its browsers and its containers, that no web site can have.

A network whose name server lies could lead a page here by one: a key keeps that out too."""
PROGRAMS = r"(?!https?:|[a-z-]*extension:)[a-z][a-z0-9+.-]*://[^/]*|https?://tauri\.localhost"
"""Origins of pages that a program of this machine shows (Electron, Tauri, Obsidian, VS Code): no
web site has one. Of extensions of browsers, which live among the sites, each is named."""


class Metrics:
    """The counters of one server.

    Example:
        >>> metrics = Metrics()
        >>> metrics.observe("/v1/models", 200, seconds=0.1)
        >>> b'rag_app_requests_total{route="/v1/models",status="200"} 1.0' in metrics.text()
        True
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "rag_app_requests", "Requests that were answered", ["route", "status"],
            registry=self._registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "rag_app_request_seconds", "Seconds up to the end of the answer", ["route"],
            buckets=(0.01, 0.05, 0.2, 1, 5, 20, 60, 300, 1800), registry=self._registry,
        )  # fmt: skip
        self._tokens = Counter(
            "rag_app_tokens", "Tokens read and generated", ["kind"], registry=self._registry
        )

    def watch(self, name: str, inside: Callable[[], int]) -> None:
        """Show how many requests are in a queue."""
        gauge = Gauge(
            f"rag_app_{name}_requests", "Requests worked on or waiting", registry=self._registry
        )
        gauge.set_function(inside)

    def observe(self, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def count_tokens(self, prompt: int, completion: int) -> None:
        """Count tokens."""
        self._tokens.labels("prompt").inc(prompt)
        self._tokens.labels("completion").inc(completion)

    def text(self) -> bytes:
        """Return the counters in Prometheus' text format."""
        return generate_latest(self._registry)


def _metrics(request: Request) -> Metrics:
    metrics: Metrics = request.app.state.metrics
    return metrics


ServerMetrics = Annotated[Metrics, Depends(_metrics)]
"""The counters, as a parameter of a route."""


class RequestLogMiddleware:
    """Outermost of all: sees what every other part answers, logs it and counts it."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request and note how it went."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _ID.fullmatch(given) else uuid.uuid4().hex
        token = current_request.set(request_id)
        start, status = time.perf_counter(), 499

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message).update({**_HEADERS, "X-Request-ID": request_id})
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            seconds = time.perf_counter() - start
            self._metrics.observe(getattr(scope.get("route"), "path", "other"), status, seconds)
            extra = {
                "method": scope["method"],
                "path": scope["path"],
                "status": status,
                "ms": round(seconds * 1000),
                "client": (scope.get("client") or ("",))[0],
            }
            if (key := scope.get("state", {}).get("key")) and key.name:
                extra["key"] = key.name
            # A browser keeps from its user why a page of another origin got no answer.
            if status in _REFUSED and (origin := Headers(scope=scope).get("origin")):
                extra["origin"] = origin
            _log.info("request", extra=extra)
            current_request.reset(token)


class PathsMiddleware:
    """Makes of what a client asks for what the routes know."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; of a HEAD without the body of its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = _BASE.sub(lambda base: f"/{base[1]}/" if base[1] else "/", scope["path"])
        path = path.removeprefix("/v1") if path.startswith("/v1/v2/") else path
        path = path.rstrip("/") or "/"
        if path.partition("/")[2].partition("/")[0] in _OPENAI:  # `*` has no slash
            path = f"/v1{path}"
        path = _OTHER_PATHS.get(path, path)
        if path.startswith(_ENGINES):
            path = f"/v1/deployments/{path.removeprefix(_ENGINES)}"
        known = {**scope}
        if path != scope["path"]:
            known.update(path=path, raw_path=quote(path).encode())
        if path.startswith(OLLAMA):
            # As Ollama reads every body, whatever it is said to be: its clients say nothing.
            MutableHeaders(scope=known)["Content-Type"] = "application/json"
        head = scope["method"] == "HEAD"
        if head:
            known["method"] = "GET"

        async def without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        try:
            await self._app(known, receive, without_body if head else send)
        finally:
            scope["route"] = known.get("route")  # for the counters and traces


DEPLOYMENT = "/deployments/{deployment}"
"""Before the path of a route where clients of Azure's API name the model."""


def asked_model(request: Request, model: str | None) -> str | None:
    """Return the model that a request's path names, else the one that its body names."""
    deployment: str | None = request.path_params.get("deployment")
    return deployment or model


class SecurityMiddleware:
    """Refuses, before any route sees it, a request that is not allowed or too large."""

    def __init__(self, app: ASGIApp, access: Access, settings: Settings) -> None:
        self._app = app
        self._access = access
        self._is_local = access.is_local
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
        """Refuse what is not a host, and what only seems to be this machine (DNS rebinding)."""
        try:
            named = headers.get("host", "")
            host = urlsplit(f"//{named}").hostname or ""
        except ValueError as error:
            raise ApiError(400, "the header Host is not a host", code="host") from error
        # A page that was led here by its own name has no key. Browsers always name a host, probes
        # by HTTP/1.0 do not.
        guarded = self._is_local and not self._access.keys
        if named and guarded and not (is_loopback(host) or host.endswith(_OWN_NAMES)):
            msg = f"this server is not {host!r}; use http://127.0.0.1, or start it with --api-key"
            raise ApiError(403, msg, code="host")

    def _check_origin(self, scope: Scope, headers: Headers) -> None:
        """Refuse what another site's page sends on its own (cross-site request forgery)."""
        allowed, origin = self._access.origins, headers.get("origin")
        if scope["method"] in _SAFE or origin in allowed or ANY_ORIGIN in allowed:
            return
        # Which page sends it does not matter where it must hold a key, as only a header can.
        if self._access.keys or re.fullmatch(PROGRAMS, origin or ""):
            return
        # As browsers write it: what can't be parsed equals nothing.
        own = (origin or "").partition("://")[2] == headers.get("host")
        crossed = headers.get("sec-fetch-site") in ("cross-site", "same-site")
        if (origin is not None and not own) or (origin is None and crossed):
            msg = f"pages of {origin or 'another site'} may not use this server; see --cors-origin"
            raise ApiError(403, msg, code="origin")

    def _check_key(self, scope: Scope, headers: Headers) -> None:
        """Note which key was sent, and refuse a wrong one or one used too often."""
        key = None
        if self._access.keys:
            key = self._keys.find(headers, (scope.get("client") or ("",))[0])
            scope.setdefault("state", {})["key"] = key
        if self._per_minute:
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
        if (coding := headers.get("content-encoding", "identity").lower()) != "identity":
            msg = f"the header Content-Encoding must not say {coding}; send the body as it is"
            raise ApiError(415, msg, code="unsupported_content_encoding")
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
