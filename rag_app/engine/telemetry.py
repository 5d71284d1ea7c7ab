"""Traces through OpenTelemetry: of the runs of chains, of searches, and of calls to models.

Nothing of it is imported unless OpenTelemetry's own variables ask for traces. Spans hold names,
numbers, and the kinds of errors; no text of a question, a document or an answer.
"""

import os
import warnings
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_core.callbacks import BaseCallbackHandler
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Tracer

EXTRA = "rag-app[telemetry]"


class _Telemetry:
    """What is set up once for the process."""

    tracer: "Tracer | None" = None
    provider: "TracerProvider | None" = None
    looked = False
    hooked = False


def tracer() -> "Tracer | None":
    """Return what makes spans; None where nobody asked for traces."""
    return _Telemetry.tracer


def start(provider: "TracerProvider | None" = None) -> None:
    """Trace from now on, as OpenTelemetry's variables say, one of which asks for it.

    Args:
        provider: Where spans go; by default as the variables say, looked at once.
    """
    if provider is None:
        if _Telemetry.looked:
            return
        _Telemetry.looked = True
        provider = _asked_for()
    if provider is None:
        return
    _Telemetry.provider = provider
    _Telemetry.tracer = provider.get_tracer("rag-app")
    if not _Telemetry.hooked:
        from rag_app.engine.spans import SpanHandler

        _hook(SpanHandler(tracer))
        _Telemetry.hooked = True


def stop() -> None:
    """Send what is left, and stop tracing."""
    if _Telemetry.provider:
        _Telemetry.provider.shutdown()
    _Telemetry.tracer = _Telemetry.provider = None


def _asked_for() -> "TracerProvider | None":
    off = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    exporter = os.environ.get("OTEL_TRACES_EXPORTER", "otlp").strip().lower()
    if off or exporter == "none":
        return None
    try:
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        warnings.warn(f"traces are asked for, not sent: pip install '{EXTRA}'", stacklevel=3)
        return None
    from opentelemetry.sdk.resources import Resource

    named = os.environ.get("OTEL_SERVICE_NAME") or os.environ.get("OTEL_RESOURCE_ATTRIBUTES")
    resource = Resource.create() if named else Resource.create({"service.name": "rag-app"})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(_exporter(exporter)))
    return provider


def _exporter(name: str) -> "SpanExporter":
    if name == "console":
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter

        return ConsoleSpanExporter()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter()


def _hook(handler: "BaseCallbackHandler") -> None:
    """Report every run of LangChain's in this process to a handler."""
    from langchain_core.tracers.context import register_configure_hook

    # Its default alone is seen by all threads.
    given: ContextVar[Any] = ContextVar("rag_app_telemetry", default=handler)
    register_configure_hook(given, inheritable=True)
