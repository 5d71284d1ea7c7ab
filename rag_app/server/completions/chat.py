"""Chat completions: the objects of OpenAI's API, and answers from documents in them."""

import time
import uuid
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from langchain_core.callbacks import UsageMetadataCallbackHandler
from langchain_core.messages import AIMessage
from langchain_core.messages.ai import UsageMetadata, add_usage
from langchain_core.outputs import LLMResult
from langchain_core.runnables import RunnableConfig
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletionChunk
from openai.types.completion_usage import PromptTokensDetails
from pydantic import BaseModel

from rag_app.chains.citations import Citation, Evidence
from rag_app.chains.confidence import JUDGEMENT, Confidence
from rag_app.chains.messages import MARK, footer, without_footer
from rag_app.chains.prompts import Budget
from rag_app.chains.results import Answer, Delta, adeltas, replaces
from rag_app.engine import RagApp
from rag_app.models.llms.stop_strings import StopStrings
from rag_app.server.errors import ApiError
from rag_app.server.index_registry import document_id, shown_name
from rag_app.server.schemas.chat import ChatRequest
from rag_app.server.schemas.completions import ChatCompletion
from rag_app.server.schemas.requests import CONSTRAINTS, Sampling

Logprobs = Sequence[Mapping[str, Any]]
"""LangChain's, of each token, with its alternatives in ``top_logprobs``."""

_UNSUPPORTED = ("logprobs", "logit_bias")  # options that answers from documents don't take
_PENALTIES = ("presence_penalty", "frequency_penalty")
"""Those that clients send with every request, as people once set them."""
_OPTIONS = (
    "k", "retriever", "within", "threshold",
    "temperature", "top_p", "top_k", "repetition_penalty", "seed",
)  # fmt: skip
"""Those that the settings name as the API does."""


def completion_usage(calls: Iterable[UsageMetadata]) -> CompletionUsage:
    """Return the tokens of some calls to the model, added up."""
    total: UsageMetadata | None = None
    for usage in calls:
        total = add_usage(total, usage)
    total = total or UsageMetadata(input_tokens=0, output_tokens=0, total_tokens=0)
    cached = total.get("input_token_details", {}).get("cache_read", 0)
    return CompletionUsage(
        prompt_tokens=total["input_tokens"],
        completion_tokens=total["output_tokens"],
        total_tokens=total["input_tokens"] + total["output_tokens"],
        prompt_tokens_details=PromptTokensDetails(cached_tokens=cached),
    )


def new_response(kind: str, model: str) -> dict[str, Any]:
    """Return what all objects of one response have in common."""
    return {"id": f"{kind}-{uuid.uuid4().hex}", "created": int(time.time()), "model": model}


class ChatObjects:
    """Makes the objects of one chat's response.

    Example:
        >>> request = ChatRequest(messages=[{"role": "user", "content": "李白是谁？"}])
        >>> ChatObjects(request, "rag:default").chunk("诗人").choices[0].delta.content
        '诗人'
    """

    def __init__(self, request: Sampling, model: str) -> None:
        self._alternatives = request.alternatives or 0
        self.fixed = new_response("chatcmpl", model)
        # A stream whose last event has the usage says in all others that they have none.
        self.no_usage = {"usage": None} if request.wants_usage else {}

    def first(self, count: int = 1) -> list[BaseModel]:
        """Return the events that a stream begins with: who speaks."""
        return [self._event({"role": "assistant", "content": ""}, index) for index in range(count)]

    def chunk(
        self,
        text: str,
        index: int = 0,
        finish_reason: str | None = None,
        logprobs: Logprobs = (),
        parts: Mapping[str, Any] = MappingProxyType({}),
        **extra: Any,
    ) -> BaseModel:
        """Return an event of a stream."""
        delta = {name: part for name, part in {"content": text, **parts}.items() if part}
        return self._event(delta, index, finish_reason, logprobs, **extra)

    def last(self, usage: CompletionUsage) -> BaseModel:
        """Return the event with the numbers of tokens."""
        return ChatCompletionChunk(
            **self.fixed, object="chat.completion.chunk", choices=[], usage=usage
        )

    def choice(
        self, text: str, index: int = 0, finish_reason: str = "stop", logprobs: Logprobs = ()
    ) -> dict[str, Any]:
        """Return a choice of a complete response."""
        message = {"role": "assistant", "content": text, "refusal": None}
        return {"message": message, **self._end(index, finish_reason, logprobs)}

    def whole(
        self, choices: list[dict[str, Any]], usage: CompletionUsage, **extra: Any
    ) -> BaseModel:
        """Return a complete response."""
        values = {"object": "chat.completion", "choices": choices, "usage": usage, **extra}
        return ChatCompletion.model_validate({**self.fixed, **values})

    def _event(
        self,
        delta: dict[str, Any],
        index: int,
        finish_reason: str | None = None,
        logprobs: Logprobs = (),
        **extra: Any,
    ) -> BaseModel:
        choice = {"delta": delta, **self._end(index, finish_reason, logprobs)}
        values = {"object": "chat.completion.chunk", "choices": [choice], **self.no_usage, **extra}
        return ChatCompletionChunk.model_validate({**self.fixed, **values})

    def _end(self, index: int, finish_reason: str | None, logprobs: Logprobs) -> dict[str, Any]:
        content = [
            {**token, "top_logprobs": (token.get("top_logprobs") or [])[: self._alternatives]}
            for token in logprobs
        ]
        shown = {"content": content, "refusal": None} if content else None
        return {"index": index, "logprobs": shown, "finish_reason": finish_reason}


class CallCounter(UsageMetadataCallbackHandler):
    """Counts the tokens of all calls to the model behind one answer, and says how they ended."""

    run_inline = True

    def __init__(self) -> None:
        super().__init__()
        self.finish_reason = "stop"
        """``length`` where one of the calls for text was cut off."""

    def on_llm_end(self, response: LLMResult, **kwargs: Any) -> None:
        """Take note of one call."""
        super().on_llm_end(response, **kwargs)
        if JUDGEMENT in (kwargs.get("tags") or ()):  # one token is all that was asked for
            return
        for generation in response.generations[0]:
            message = getattr(generation, "message", None)
            if getattr(message, "response_metadata", {}).get("finish_reason") == "length":
                self.finish_reason = "length"

    @property
    def usage(self) -> CompletionUsage:
        """The tokens so far."""
        return completion_usage(self.usage_metadata.values())


def _values(found: Confidence | Evidence | None) -> dict[str, Any] | None:
    return asdict(found) if found else None


def citation_values(citation: Citation, index: Path) -> dict[str, Any]:
    """Return a citation as the API shows it for the index in a folder."""
    source = citation.source
    name = shown_name(source, index)
    copies = [shown_name(copy, index) for copy in citation.copies]
    shown = {"source": name, "name": name, "document": document_id(source), "copies": copies}
    return {**asdict(citation), **shown}


class Sources:
    """The passages behind the marks of one answer.

    Example:
        >>> answer = Answer("Steamed.", citations=[Citation(1, "/docs/tea.txt", "It is steamed.")])
        >>> [source] = Sources("Steamed.[1]", answer, "http://127.0.0.1/v1/indexes/tea").annotations
        >>> source["url_citation"]["title"]
        'tea.txt'
    """

    def __init__(self, text: str, answer: Answer, address: str) -> None:
        self._text = text
        self._citations = answer.citations if answer.answered else ()
        self._address = address

    @property
    def urls(self) -> list[str]:
        """Where the text of each passage that was read can be fetched, by their numbers."""
        return [self._url(citation) for citation in self._citations]

    @property
    def annotations(self) -> list[dict[str, Any]]:
        """Each mark as OpenAI's ``url_citation``, at its place in the text.

        Open WebUI takes ``[2]`` for the second of them: so the first of each mark come first, by
        their numbers, and passages without a mark between those have an empty place at the end.
        """
        known = {citation.marker: citation for citation in self._citations}
        marks = [mark for mark in MARK.finditer(self._text) if int(mark[1]) in known]
        first = {int(mark[1]): mark.span() for mark in reversed(marks)}
        end = (len(self._text),) * 2
        numbers = [number for number in sorted(known) if number <= max(first, default=0)]
        placed = [(number, first.get(number, end)) for number in numbers]
        again = [(int(mark[1]), mark.span()) for mark in marks]
        placed += [marker for marker in again if marker not in placed]
        return [self._annotation(known[number], *place) for number, place in placed]

    def _annotation(self, citation: Citation, start: int, end: int) -> dict[str, Any]:
        place = {"start_index": start, "end_index": end}
        named = {"title": citation.place, "url": self._url(citation)}
        return {"type": "url_citation", "url_citation": {**place, **named}}

    def _url(self, citation: Citation) -> str:
        # RFC 5147: characters of a plain text.
        place = f"#char={citation.start},{citation.end}" if citation.start is not None else ""
        return f"{self._address}/documents/{document_id(citation.source)}/text{place}"


def index_address(base_url: str, index: str) -> str:
    """Return the address of an index in the API of the server at ``base_url``."""
    return f"{base_url.rstrip('/')}/v1/indexes/{quote(index)}"


class DocumentChat:
    """One chat with an index: the model ids ``rag:INDEX``.

    Raises:
        ApiError: 400, the request asks for what can't be had from documents, or for nothing.
    """

    def __init__(
        self,
        engine: RagApp,
        request: ChatRequest,
        model: str,
        *,
        address: str,
        notes: Sequence[str] = (),
    ) -> None:
        *history, question = request.conversation().to_messages()
        self._history = [
            AIMessage(without_footer(message.text)) if message.type == "ai" else message
            for message in history
        ]
        request.refuse(*_UNSUPPORTED, *CONSTRAINTS)
        if request.n != 1:
            raise ApiError(400, "n is 1 where documents are asked: they give one answer", param="n")
        if question.type != "human" or not question.text.strip():
            raise ApiError(400, "the last message must be a user's question", param="messages")
        request.limit_tokens(_most_tokens(engine))
        self._question = question.text
        self._address = address
        self._notes = (*notes, *request.notes)
        if any(getattr(request, name) for name in _PENALTIES):
            note = "the penalties were passed over: an answer repeats the words of its documents"
            self._notes += (note,)
        self._request = request
        self._engine = engine
        self._objects = ChatObjects(request, model)
        self._calls = CallCounter()

    @property
    def usage(self) -> CompletionUsage:
        """Tokens of all calls to the model so far."""
        return self._calls.usage

    async def stream(self) -> AsyncIterator[BaseModel]:
        """Yield the events of a stream; with each choice, ``rag`` says what it rests on."""
        for event in self._objects.first():
            yield event
        notes, whole, shown = self._notes, Answer(), ""
        async for delta in self._deltas():
            # A client that knows nothing of `rag` shows the better answer below the first.
            text = f"\n\n{delta.text}" if delta.replaces else delta.text
            piece = delta.piece or Answer()
            piece = replace(piece, answered=delta.whole.answered, notes=notes + piece.notes)
            rag = {**self._grounds(piece), "replace": delta.replaces}
            if piece.likely:  # before the first word
                rag["likely"] = _values(piece.likely)
            if piece.confidence:  # the last piece of an answer
                rag["evidence"] = _values(delta.whole.evidence)
            yield self._objects.chunk(text, rag=rag)
            notes, whole, shown = (), delta.whole, shown + text
        sources = Sources(shown, whole, self._address)
        if self._request.wants_footer and (below := footer(whole, shown)):
            yield self._objects.chunk(below)
        yield self._objects.chunk(
            "",
            finish_reason=self._calls.finish_reason,
            parts={"annotations": sources.annotations},
            citations=sources.urls,
        )
        if self._request.wants_usage:
            yield self._objects.last(self.usage)

    async def whole(self) -> BaseModel:
        """Return the response of a request that does not stream."""
        whole, text = Answer(), ""
        async for delta in self._deltas():
            text = delta.text if delta.replaces else text + delta.text
            whole = delta.whole
        whole = replace(whole, notes=self._notes + whole.notes)
        sources = Sources(text, whole, self._address)
        if self._request.wants_footer:
            text += footer(whole, text)
        choice = self._objects.choice(text, finish_reason=self._calls.finish_reason)
        choice["message"]["annotations"] = sources.annotations
        more = {"rag": self._grounds(whole), "citations": sources.urls}
        return self._objects.whole([choice], self.usage, **more)

    def _grounds(self, answer: Answer) -> dict[str, Any]:
        folder = self._engine.store.folder
        return {
            "citations": [citation_values(citation, folder) for citation in answer.citations],
            "answered": answer.answered,
            "notes": list(answer.notes),
            "confidence": _values(answer.confidence),
            "evidence": _values(answer.evidence),
            "nearest": [_values(near) for near in answer.nearest],
        }

    async def _deltas(self) -> AsyncIterator[Delta[Answer]]:
        request = self._request
        view = self._engine.using(
            answer_chain=request.chain,
            max_new_tokens=request.max_tokens,
            **{name: getattr(request, name) for name in _OPTIONS},
        )
        config = RunnableConfig(callbacks=[self._calls])
        pieces = view.astream(self._question, self._history, config=config)
        if request.stops:
            pieces = _stopped(pieces, request.stops)
        async for delta in adeltas(pieces, marks=Answer.marker if request.wants_marks else None):
            yield delta


def _most_tokens(engine: RagApp) -> int:
    """Return how many tokens an answer may have: what is kept for it is not there for passages."""
    settings, window = engine.settings, Budget.of(engine.llm, 0).window
    return min(settings.reply_limit, max(settings.max_new_tokens, window // 4))


async def _stopped(pieces: AsyncIterable[Answer], stops: Sequence[str]) -> AsyncIterator[Answer]:
    """Yield the pieces of an answer, its text only up to the first of some strings."""
    whole, ends = Answer(), StopStrings(stops)
    async for piece in pieces:
        if whole.text and replaces(whole, piece):
            ends = StopStrings(stops)
        whole += piece
        yield replace(piece, text="" if ends.found else ends.feed(piece.text))
    if rest := ends.close():
        yield Answer(text=rest, step=whole.step)
