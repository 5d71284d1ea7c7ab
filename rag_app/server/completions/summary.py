"""Summaries of indexed documents."""

from collections.abc import AsyncIterator
from typing import Any

from langchain_core.documents import Document
from langchain_core.runnables import RunnableConfig
from openai.types import CompletionUsage

from rag_app.chains.results import Summary, adeltas
from rag_app.engine import RagApp
from rag_app.server.completions.chat import CallCounter
from rag_app.server.schemas.indexes import SummaryRequest, SummaryText


class DocumentSummary:
    """The summary of one document.

    Args:
        engine: The application over its index.
        text: The document's.
        request: How to summarize.
    """

    def __init__(self, engine: RagApp, text: str, request: SummaryRequest) -> None:
        self._calls = CallCounter()
        self._config = RunnableConfig(callbacks=[self._calls])
        self._document = Document(page_content=text)
        self._view = engine.using(
            summary_chain=request.chain,
            summary_length=request.length,
            temperature=request.temperature,
        )

    @property
    def usage(self) -> CompletionUsage:
        """Tokens of all calls to the model so far."""
        return self._calls.usage

    async def stream(self) -> AsyncIterator[dict[str, Any]]:
        """Yield the events of a stream."""
        async for delta in adeltas(self._view.astream_summary(self._document, config=self._config)):
            piece, whole = delta.piece or Summary(), delta.whole
            yield {
                "delta": delta.text,
                "replace": delta.replaces,
                "step": max(piece.step, whole.step),
                "steps": whole.steps,
                "notes": list(piece.notes),
            }

    async def whole(self) -> SummaryText:
        """Return the response of a request that does not stream."""
        summary = await self._view.asummarize(self._document, config=self._config)
        return SummaryText(text=summary.text, steps=summary.steps, notes=list(summary.notes))
