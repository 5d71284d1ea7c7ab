"""A span of each request, for traces through OpenTelemetry."""

from opentelemetry.propagate import extract
from opentelemetry.trace import SpanKind, StatusCode, Tracer, use_span
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class TelemetryMiddleware:
    """Makes a span of a request up to the end of its answer; it goes on the client's trace."""

    def __init__(self, app: ASGIApp, tracer: Tracer) -> None:
        self._app = app
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request within its span."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # Neither the path, which names documents, nor what is asked.
        span = self._tracer.start_span(
            scope["method"],
            extract(Headers(scope=scope)),
            SpanKind.SERVER,
            {"http.request.method": scope["method"]},
        )

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                span.set_attribute("http.response.status_code", message["status"])
                if message["status"] >= 500:
                    span.set_status(StatusCode.ERROR)
            await send(message)

        with use_span(span, end_on_exit=True, record_exception=False):
            try:
                await self._app(scope, receive, noting)
            finally:
                if route := getattr(scope.get("route"), "path", ""):
                    span.set_attribute("http.route", route)
                    span.update_name(f"{scope['method']} {route}")
