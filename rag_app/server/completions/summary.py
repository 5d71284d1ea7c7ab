"""Summaries of indexed documents."""

from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any

from langchain_core.documents import Document
from langchain_core.runnables import RunnableConfig
from openai.types import CompletionUsage

from rag_app.chains.results import Summary, adeltas
from rag_app.engine import RagApp
from rag_app.server.completions.chat import CallCounter, citation_values
from rag_app.server.schemas.indexes import SummaryPassage, SummaryRequest, SummaryText


class DocumentSummary:
    """The summary of one document."""

    def __init__(self, engine: RagApp, source: str, text: str, request: SummaryRequest) -> None:
        self._calls = CallCounter()
        self._config = RunnableConfig(callbacks=[self._calls])
        self._folder = engine.store.folder
        self._document = Document(page_content=text, metadata={"source": source})
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
        """Yield the events of a stream; the last one says where the sentences come from."""
        pieces = self._view.astream_summary(self._document, config=self._config)
        whole = Summary()
        async for delta in adeltas(pieces, marks=Summary.marker):
            piece, whole = delta.piece or Summary(), delta.whole
            yield {
                "delta": piece.text,
                "marked": delta.text,
                "replace": delta.replaces,
                "step": max(piece.step, whole.step),
                "steps": whole.steps,
                "notes": list(piece.notes),
            }
        steps = {"step": whole.step, "steps": whole.steps}
        yield {"delta": "", "replace": False, **steps, "notes": [], **self._checks(whole)}

    async def whole(self) -> SummaryText:
        """Return the response of a request that does not stream."""
        summary = await self._view.asummarize(self._document, config=self._config)
        told = {"text": summary.text, "steps": summary.steps, "notes": summary.notes}
        return SummaryText.model_validate({**told, **self._checks(summary)})

    def _checks(self, summary: Summary) -> dict[str, Any]:
        """Return where the sentences of a complete summary come from."""
        shown = SummaryPassage.model_fields
        cited = [citation_values(citation, self._folder) for citation in summary.cited]
        return {
            "marked_text": summary.marked_text,
            "sentences": [asdict(sentence) for sentence in summary.sentences],
            "citations": [{name: citation[name] for name in shown} for citation in cited],
            "coverage": summary.coverage,
        }
