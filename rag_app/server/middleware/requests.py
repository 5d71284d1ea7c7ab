"""What every request passes first: its id, its line in the log, counters, headers, its path."""

import logging
import re
import time
import uuid
from collections.abc import Callable
from typing import Annotated
from urllib.parse import quote

from fastapi import Depends, Request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag_app.server.errors import OLLAMA
from rag_app.server.log import current_request

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
_OPENAI = {"chat", "completions", "embed", "embeddings", "models", "rerank", "responses"}
"""First parts of the paths below ``/v1`` that clients of OpenAI's API ask for."""


_BASE = re.compile(r"\A/+(?:(v1|api)/+)*")
"""Of a path, where a base URL ends with a slash or names the version that its client adds."""


_OTHER_PATHS = {"/v2/rerank": "/v1/rerank"}  # Cohere's


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
        path = _OTHER_PATHS.get(path, path.rstrip("/") or "/")
        if path != scope["path"]:
            scope = {**scope, "path": path, "raw_path": quote(path).encode()}
        if scope["path"].partition("/")[2].partition("/")[0] in _OPENAI:
            path = f"/v1{scope['path']}"
            scope = {**scope, "path": path, "raw_path": path.encode()}
        if scope["path"].startswith(OLLAMA):
            # As Ollama reads every body, whatever it is said to be: its clients say nothing.
            scope = {**scope, "headers": list(scope["headers"])}
            MutableHeaders(scope=scope)["Content-Type"] = "application/json"
        if scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self._app({**scope, "method": "GET"}, receive, without_body)
