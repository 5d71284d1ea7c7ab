"""Chats answered from documents: the model ids ``rag:INDEX``."""

from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from langchain_core.messages import BaseMessage

from rag_app.chains.answer import Answer
from rag_app.chains.citations import Citation, Marker
from rag_app.chains.streaming import replaces
from rag_app.engine import RagApp
from rag_app.server.completions.counting import Counting
from rag_app.server.completions.generation import refuse, refuse_tools, to_messages
from rag_app.server.completions.shapes import Shape
from rag_app.server.errors import ApiError
from rag_app.server.names import document_id
from rag_app.server.schemas.requests import ChatRequest
from rag_app.server.uploads import document_name

_UNSUPPORTED = ("logprobs", "stop", "logit_bias", "presence_penalty", "frequency_penalty")
"""Options that answers from documents don't take."""

UNCHECKED = "no passage holds this answer's words and numbers; check it before you rely on it"


@dataclass(frozen=True)
class Delta:
    """What a piece of an answer adds to what was shown."""

    text: str
    replaces: bool
    """Whether the text takes the place of all that was shown before."""
    citations: tuple[Citation, ...] = ()
    answered: bool = True
    notes: tuple[str, ...] = ()

    def values(self, index: Path) -> dict[str, Any]:
        """Return what is beside the text, as the API shows it for the index in a folder."""
        return {
            "citations": [citation_values(one, index) for one in self.citations],
            "replace": self.replaces,
            "answered": self.answered,
            "notes": list(self.notes),
        }


def citation_values(citation: Citation, index: Path) -> dict[str, Any]:
    """Return a citation as the API shows it for the index in a folder."""
    source = citation.source
    extra = {"name": document_name(source, index), "document": document_id(source)}
    return {**asdict(citation), **extra}


async def deltas(pieces: AsyncIterator[Answer], *, marks: bool) -> AsyncIterator[Delta]:
    """Yield what each piece of an answer changes; with ``marks``, each mark is checked."""
    whole, marker = Answer(), Marker(())
    async for piece in pieces:
        revised = replaces(whole, piece) and bool(whole.text)
        fresh = revised or not whole.text
        whole = whole + piece
        if fresh:
            marker = Marker(whole.citations if whole.answered else ())
        text = marker.feed(piece.text) if marks else piece.text
        yield Delta(text, revised, piece.citations, whole.answered, piece.notes)
    end = marker.close() if marks else ""
    supported = whole.supported or not (whole.answered and whole.text)
    yield Delta(end, False, (), whole.answered, () if supported else (UNCHECKED,))


class DocumentChat:
    """One chat with an index.

    Args:
        engine: The application over the index.
        request: Its last message is the question, those before it make it understandable.

    Raises:
        ApiError: 400, the request asks for what can't be had from documents, or for nothing.
    """

    def __init__(self, engine: RagApp, request: ChatRequest) -> None:
        refuse_tools(request)
        refuse(request, *_UNSUPPORTED)
        if request.n != 1:
            raise ApiError(400, "n is 1 where documents are asked", param="n")
        *history, question = to_messages(request.messages)
        if question.type != "human" or not question.text.strip():
            raise ApiError(400, "the last message must be a user's question", param="messages")
        if (request.max_tokens or 0) > engine.settings.reply_limit:
            msg = f"max_tokens is above this server's {engine.settings.reply_limit}"
            raise ApiError(400, msg, param="max_tokens")
        self._request = request
        self._question = question.text
        self._history: list[BaseMessage] = history
        self._engine = engine
        self._folder = engine.store.folder

    def _deltas(self, counting: Counting) -> AsyncIterator[Delta]:
        request = self._request
        wanted = {
            "k": request.k,
            "answer_chain": request.chain,
            "retriever": request.retriever,
            "threshold": request.threshold,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "top_k": request.top_k,
            "max_new_tokens": request.max_tokens,
            "repetition_penalty": request.repetition_penalty,
            "seed": request.seed,
        }
        view = self._engine.using(callbacks=[counting], **wanted)
        return deltas(view.astream(self._question, self._history), marks=request.marks)

    async def stream(self, shape: Shape) -> AsyncIterator[dict[str, Any]]:
        """Yield the events of a stream; beside each choice, ``rag`` says what it rests on."""
        for event in shape.first():
            yield event
        counting = Counting(shape.usage)
        async for delta in self._deltas(counting):
            # A client that knows nothing of `rag` shows the better answer below the first.
            text = f"\n\n{delta.text}" if delta.replaces else delta.text
            yield shape.event([shape.choice(text)], rag=delta.values(self._folder))
        yield shape.event([shape.choice("", finish_reason=counting.finish_reason)])
        if shape.wants_usage:
            yield shape.last()

    async def whole(self, shape: Shape) -> dict[str, Any]:
        """Return the response of a request that does not stream."""
        text, last = "", Delta("", False)
        citations: list[Citation] = []
        notes: list[str] = []
        counting = Counting(shape.usage)
        async for delta in self._deltas(counting):
            text = delta.text if delta.replaces else text + delta.text
            citations += delta.citations
            notes += delta.notes
            last = delta
        delta = Delta(text, False, tuple(citations), last.answered, tuple(notes))
        beside = delta.values(self._folder)
        del beside["replace"]
        return shape.response([shape.message(text, counting.finish_reason)], rag=beside)
