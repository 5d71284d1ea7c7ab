"""Spans of LangChain's runs: chains, searches, and calls to models."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.outputs import LLMResult
from opentelemetry.trace import Span, StatusCode, Tracer, set_span_in_context

_NUMBERS = {
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
}
"""LangChain's counters, and what OpenTelemetry's conventions call them."""


class SpanHandler(BaseCallbackHandler):
    """Begins a span with each run and ends it with that; LangChain calls it."""

    run_inline = True  # in the context of the run, whose span may be the request's

    def __init__(self, tracer: Callable[[], Tracer | None]) -> None:
        self._tracer = tracer
        self._spans: dict[UUID, Span] = {}

    def on_chain_start(self, serialized: Any, inputs: Any, **kwargs: Any) -> None:
        """Begin the span of a chain."""
        self._begin(kwargs.get("name") or "chain", kwargs)

    def on_chain_end(self, outputs: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """End it."""
        self._end(run_id)

    def on_chain_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """End it, as failed."""
        self._fail(run_id, error)

    def on_retriever_start(self, serialized: Any, query: str, **kwargs: Any) -> None:
        """Begin the span of a search."""
        self._begin(f"retrieve {kwargs.get('name') or ''}".strip(), kwargs)

    def on_retriever_end(self, documents: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """End it with the number of passages."""
        self._end(run_id, passages=len(documents))

    def on_retriever_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """End it, as failed."""
        self._fail(run_id, error)

    def on_chat_model_start(self, serialized: Any, messages: Any, **kwargs: Any) -> None:
        """Begin the span of a call to a chat model."""
        self._begin_call("chat", serialized, kwargs)

    def on_llm_start(self, serialized: Any, prompts: Any, **kwargs: Any) -> None:
        """Begin the span of a text that is gone on with."""
        self._begin_call("text_completion", serialized, kwargs)

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        """End it with the numbers of tokens."""
        self._end(run_id, **_usage(response))

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """End it, as failed."""
        self._fail(run_id, error)

    def _begin_call(self, operation: str, serialized: Any, kwargs: dict[str, Any]) -> None:
        known = (kwargs.get("metadata") or {}).get("ls_model_name")
        model = str(known or (serialized or {}).get("name") or "")
        named = {"gen_ai.operation.name": operation, "gen_ai.request.model": model}
        self._begin(f"{operation} {model}".strip(), kwargs, **named)

    def _begin(self, name: str, kwargs: dict[str, Any], **attributes: Any) -> None:
        if (tracer := self._tracer()) is None:
            return
        parent = self._spans.get(kwargs.get("parent_run_id") or kwargs["run_id"])
        context = set_span_in_context(parent) if parent else None
        self._spans[kwargs["run_id"]] = tracer.start_span(name, context, attributes=attributes)

    def _fail(self, run_id: UUID, error: BaseException) -> None:
        if span := self._spans.get(run_id):
            span.set_status(StatusCode.ERROR)  # its message may repeat what was asked
            self._end(run_id, **{"error.type": type(error).__name__})

    def _end(self, run_id: UUID, **attributes: Any) -> None:
        if span := self._spans.pop(run_id, None):
            span.set_attributes(attributes)
            span.end()


def _usage(response: LLMResult) -> dict[str, int]:
    """Return the numbers of tokens that a model gave for a call."""
    found: dict[str, int] = {}
    for generation in (generation for several in response.generations for generation in several):
        counted = getattr(getattr(generation, "message", None), "usage_metadata", None) or {}
        for name, attribute in _NUMBERS.items():
            if name in counted:
                found[attribute] = found.get(attribute, 0) + counted[name]
    return found
