"""Counters for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from rag_app.server.queueing import Admission

CONTENT_TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """The counters of one server."""

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

    def watch(self, name: str, admission: Admission) -> None:
        """Show how many requests are in a queue."""
        gauge = Gauge(
            f"rag_app_{name}_requests", "Requests worked on or waiting", registry=self._registry
        )
        gauge.set_function(lambda: admission.inside)

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def tokens(self, prompt: int, completion: int) -> None:
        """Count tokens."""
        self._tokens.labels("prompt").inc(prompt)
        self._tokens.labels("completion").inc(completion)

    def text(self) -> bytes:
        """Return the counters in Prometheus' text format."""
        return generate_latest(self._registry)
