"""Answers and summaries as LangChain's messages, and as text with its sources below it."""

import re
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from dataclasses import asdict
from itertools import chain
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.runnables import Runnable, RunnableConfig

from rag_app.chains.results import Answer, Delta, Summary, adeltas, deltas
from rag_app.documents.text import is_japanese, language_of

Shown = Answer | Summary

MARK = re.compile(r"\[(\d{1,3})\]")
"""The mark of a passage, its number in the group."""
_LABELS = {
    "zh": ("出处：", "查阅：", "最接近的句子："),
    "en": ("Sources:", "Read:", "Nearest sentences:"),
    "ja": ("出典：", "参照：", "近い文："),
}
"""Labels of passages that hold what the answer says, of those that the model was only given, and of
the sentences nearest to a question that was refused."""
_FOOTER = re.compile(
    rf"\n\n(?:{'|'.join(chain.from_iterable(_LABELS.values()))})\n(?:\[\d+\] .*\n?)+\Z"
)


def as_message(*, marks: bool = False) -> Runnable[Shown, AIMessage]:
    """Return a Runnable from an answer or a summary to a message of its text.

    It goes after a chain of ours and before what takes messages: ``StrOutputParser``,
    ``RunnableWithMessageHistory``, a model, the state of a graph. Beside the text, the message has
    in ``additional_kwargs["rag"]`` plain values of what the text rests on: ``citations``, ``notes``
    and, of an answer, ``answered``, ``confidence``, ``evidence`` and ``nearest``. It streams as the
    chain does; a text that takes the place of an earlier one follows it there as a paragraph of its
    own.

    Args:
        marks: Whether sentences are marked with their sources, as ``[1]``.

    Example:
        >>> from langchain_core.output_parsers import StrOutputParser
        >>> from langchain_core.runnables import RunnableLambda
        >>> chain = RunnableLambda(lambda question: Answer(question, "Because."))
        >>> (chain | as_message() | StrOutputParser()).invoke("Why?")
        'Because.'
    """
    return _AsMessage(marks=marks)


def footer(answer: Answer, text: str) -> str:
    r"""Return a line for each source of an answer, to stand below it; empty where there is none.

    Below a refusal stand the sentences nearest to the question.

    Args:
        answer: The answer.
        text: Its text as it was shown, with its marks.

    Example:
        >>> from rag_app.chains.citations import Citation
        >>> answer = Answer("Steamed.", citations=(Citation(1, "/docs/tea.txt", "It is steamed."),))
        >>> footer(answer, "Steamed.[1]")
        '\n\nSources:\n[1] tea.txt'
    """
    labels = _LABELS["ja" if is_japanese(answer.question) else language_of(text)]
    places = {
        citation.marker: f"[{citation.marker}] {citation.place}" for citation in answer.citations
    }
    if answer.answered:
        marked = {int(number) for number in MARK.findall(text)} & places.keys()
        label = labels[not marked]
        lines = [line for marker, line in places.items() if marker in marked or not marked]
    else:
        label = labels[2]
        lines = [f"{places[near.marker]}: {near.line}" for near in answer.nearest]
    return "\n".join(["\n", label, *lines]) if lines else ""


def without_footer(text: str) -> str:
    """Return an earlier answer as it was before its footer and marks, for a model to read."""
    return MARK.sub("", _FOOTER.sub("", text))


class _AsMessage(Runnable[Shown, AIMessage]):
    def __init__(self, *, marks: bool) -> None:
        self._marks = marks
        self.name = "as_message"

    def invoke(
        self,
        input: Shown,  # noqa: A002 - the name is LangChain's
        config: RunnableConfig | None = None,
        **_: Any,
    ) -> AIMessage:
        """Return the message of a complete answer or summary."""
        return self._call_with_config(self._message, input, config)

    def transform(
        self,
        input: Iterator[Shown],  # noqa: A002
        config: RunnableConfig | None = None,
        **_: Any,
    ) -> Iterator[AIMessage]:
        """Yield the chunks of the message of an answer or summary that comes in pieces."""
        yield from self._transform_stream_with_config(input, self._chunks, config)

    async def atransform(
        self,
        input: AsyncIterator[Shown],  # noqa: A002
        config: RunnableConfig | None = None,
        **_: Any,
    ) -> AsyncIterator[AIMessage]:
        """`transform` without blocking the event loop."""
        async for chunk in self._atransform_stream_with_config(input, self._achunks, config):
            yield chunk

    def _message(self, result: Shown) -> AIMessage:
        text = result.marked_text if self._marks else result.text
        return AIMessage(content=text, additional_kwargs=_grounds(result), id=_id(result))

    def _chunks(self, pieces: Iterable[Shown]) -> Iterator[AIMessage]:
        whole = None
        for delta in deltas(pieces, marks=_marks if self._marks else None):
            whole = delta.whole
            if delta.text:
                yield _chunk(delta)
        if whole is not None:
            yield AIMessageChunk(content="", additional_kwargs=_grounds(whole), id=_id(whole))

    async def _achunks(self, pieces: AsyncIterable[Shown]) -> AsyncIterator[AIMessage]:
        whole = None
        async for delta in adeltas(pieces, marks=_marks if self._marks else None):
            whole = delta.whole
            if delta.text:
                yield _chunk(delta)
        if whole is not None:
            yield AIMessageChunk(content="", additional_kwargs=_grounds(whole), id=_id(whole))


def _marks(whole: Shown) -> Any:
    return whole.marker()


def _chunk(delta: Delta[Any]) -> AIMessageChunk:
    return AIMessageChunk(content=f"\n\n{delta.text}" if delta.replaces else delta.text)


def _id(result: Shown) -> str | None:
    """Return the id of the model's message that has the same text, which LangGraph streamed."""
    id_, said = result.message or (None, "")
    return id_ if said.strip() == result.text.strip() else None


def _grounds(result: Shown) -> dict[str, Any]:
    """Return what the text of a complete answer or summary rests on, as plain values."""
    rag: dict[str, Any] = {
        "citations": [asdict(citation) for citation in result.citations],
        "notes": list(result.notes),
    }
    if isinstance(result, Answer):
        sure, evidence = result.confidence, result.evidence
        rag |= {
            "answered": result.answered,
            "confidence": asdict(sure) if sure else None,
            "evidence": asdict(evidence) if evidence else None,
            "nearest": [asdict(near) for near in result.nearest],
        }
    return {"rag": rag}
