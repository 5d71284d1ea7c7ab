"""Every request gets an id, a line in the log, and its place in the counters."""

import logging
import re
import time
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag_app.server.middleware.logs import request_id
from rag_app.server.middleware.metrics import Metrics

_log = logging.getLogger("rag_app.server")
_ID = re.compile(r"[\w\-.]{1,64}", re.ASCII)

_POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self'; script-src 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""The page loads and asks nothing but this server."""
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class Watch:
    """Outermost of all: sees what every other part answers."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request and note how it went."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        number = given if _ID.fullmatch(given) else uuid.uuid4().hex
        token = request_id.set(number)
        start, status = time.perf_counter(), 499

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = number
                for name, value in _HEADERS.items():
                    headers[name] = value
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            seconds = time.perf_counter() - start
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.request(route, status, seconds)
            client = (scope.get("client") or ("",))[0]
            values = {"method": scope["method"], "path": scope["path"], "status": status}
            extra = {**values, "ms": round(seconds * 1000), "client": client}
            _log.info("request", extra=extra)
            request_id.reset(token)
