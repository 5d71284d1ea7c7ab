"""Answers and summaries, the pieces that their streams are made of, and what a piece changes.

Nothing here asks a model, and nothing heavy is imported: what only shows a stream needs no more.
"""

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Generic, Protocol, Self, TypeVar

from rag_app.chains.citations import Citation, Evidence, FromJson
from rag_app.chains.confidence import Confidence, Signals
from rag_app.chains.marks import Marker, evidence, marked, supported
from rag_app.chains.summary_marks import CheckedSentence, SummaryMarker
from rag_app.documents.text import shown


class Revisable(Protocol):
    """A text, or a piece of one, that a later model call may revise."""

    @property
    def text(self) -> str:
        """The text; empty where the piece brings something else."""

    @property
    def step(self) -> int:
        """Which model call it comes from; the text of a later one replaces that of earlier ones."""

    @property
    def citations(self) -> tuple[Citation, ...]:
        """The passages that it brings."""

    @property
    def again(self) -> bool:
        """Whether it replaces what the same call gave before, which was not an answer."""

    def __add__(self, piece: Self, /) -> Self: ...


Revised = TypeVar("Revised", bound=Revisable)


def replaces(whole: Revisable, piece: Revisable) -> bool:
    """Return whether a piece takes the place of the text that came before it."""
    return piece.again or (bool(piece.text) and piece.step > whole.step)


Streamed = tuple[str, str]
"""Id and text of a model's message."""


def _joined(before: Streamed | None, piece: Streamed | None) -> Streamed | None:
    if before and piece and before[0] == piece[0]:
        return piece[0], before[1] + piece[1]
    return piece or before


@dataclass(frozen=True)
class Answer(FromJson):
    """An answer, or a piece of one: the pieces of a stream add up.

    A piece of a later step replaces the text of the earlier ones.

    Example:
        >>> (Answer("Why?", "Be") + Answer(text="cause.")).text
        'Because.'
        >>> (Answer("Why?", "Perhaps.") + Answer(text="Because.", step=2)).text
        'Because.'
    """

    question: str = ""
    text: str = ""
    answered: bool = True
    """False where the documents, or the model reading them, had no answer."""
    citations: tuple[Citation, ...] = ()
    """The passages the model was given; the nearest ones where nothing was found."""
    step: int = 1
    """Which model call this text comes from."""
    notes: tuple[str, ...] = ()
    """What the reader should know, such as passages that did not fit."""
    confidence: Confidence | None = None
    """How sure it is, once the answer is complete; None where that is unknown."""
    original: str = ""
    """The answer in the documents' words, where ``text`` is its translation."""
    likely: Evidence | None = None
    """The sentence that may carry the answer, known as soon as the passages are; not checked."""
    nearest: tuple[Evidence, ...] = ()
    """Of a refusal the sentences of its passages that are nearest to the question, nearest first:
    where the model could not tell, the reader may."""
    again: bool = False
    """Whether what its step said before was not an answer but a model's reasoning."""
    message: Streamed | None = field(default=None, compare=False, repr=False)
    """Id of the model's message that was streamed last, and what was shown of it."""

    def __add__(self, other: "Answer") -> "Answer":
        revised = replaces(self, other)
        return replace(
            self,
            question=other.question or self.question,
            text=other.text if revised else self.text + other.text,
            answered=self.answered and other.answered,
            citations=self.citations + other.citations,
            step=other.step if revised else self.step,
            notes=self.notes + other.notes,
            confidence=other.confidence or self.confidence,
            original=other.original or self.original,
            likely=self.likely or other.likely,
            nearest=self.nearest + other.nearest,
            message=_joined(self.message, other.message),
        )

    def __str__(self) -> str:
        return self.marked_text

    def marker(self) -> Marker:
        """Return what marks the text of this answer as it streams."""
        return Marker(self.citations if self.answered else (), self.question)

    @property
    def marked_text(self) -> str:
        """The text with ``[1]`` after each sentence that a passage supports."""
        return marked(self.text, self.citations, self.question) if self.answered else self.text

    @property
    def likely_line(self) -> str:
        """The sentence that may carry the answer, after its document's name; empty for none."""
        if self.likely is None:
            return ""
        name = next(
            citation.name for citation in self.citations if citation.marker == self.likely.marker
        )
        return shown(f"{name}: {self.likely.line}")

    @property
    def supported(self) -> bool:
        """Whether a passage holds the words, numbers and names of at least one sentence.

        An answer that none supports is put in other words than the document's, or invented.
        """
        text = self.original or self.text
        return self.answered and supported(text, self.citations, self.question)

    @property
    def evidence(self) -> Evidence | None:
        """The sentence of a passage that carries the answer, where one does."""
        return (
            evidence(self.question, self.original or self.text, self.citations)
            if self.answered
            else None
        )


@dataclass(frozen=True)
class Summary(FromJson):
    """A summary, or a piece of one: the pieces of a stream add up.

    A piece of a later step replaces the text of the earlier ones, so that what is there when a
    long summary is interrupted is a summary of the text read so far.

    Example:
        >>> (Summary("Of the first part.", 1, 2) + Summary("Of both parts.", 2, 2)).text
        'Of both parts.'
    """

    text: str = ""
    step: int = 0
    """How many steps are done, or under way."""
    steps: int = 0
    """How many steps there are."""
    notes: tuple[str, ...] = ()
    """What the reader should know, such as text that did not fit."""
    citations: tuple[Citation, ...] = ()
    """The passages of the whole text, against which the sentences are checked."""
    again: bool = False
    """As an answer's."""
    message: Streamed | None = field(default=None, compare=False, repr=False)
    """As an answer's."""

    def __add__(self, other: "Summary") -> "Summary":
        revised = replaces(self, other)
        return replace(
            self,
            text=other.text if revised else self.text + other.text,
            step=other.step if revised else self.step,
            steps=other.steps or self.steps,
            notes=self.notes + other.notes,
            citations=self.citations + other.citations,
            message=_joined(self.message, other.message),
        )

    def __str__(self) -> str:
        return self.marked_text

    def marker(self) -> SummaryMarker:
        """Return what marks the text of this summary as it streams."""
        return SummaryMarker(self.citations)

    @property
    def marked_text(self) -> str:
        """The text with the passages after each sentence, as ``[2][5]``, or the flag ``[?]``."""
        return self._marked[0]

    @property
    def sentences(self) -> tuple[CheckedSentence, ...]:
        """The sentences, each with the passages that support it, or flagged."""
        return self._marked[1]

    @property
    def cited(self) -> tuple[Citation, ...]:
        """The passages that support a sentence."""
        markers = {marker for sentence in self.sentences for marker in sentence.markers}
        return tuple(citation for citation in self.citations if citation.marker in markers)

    @property
    def coverage(self) -> float | None:
        """Which share of the text's passages support a sentence; None where they aren't known."""
        return len(self.cited) / len(self.citations) if self.citations else None

    @property
    def doubts(self) -> tuple[str, ...]:
        """Notes on its sentences and on the numbers and names in them."""
        flagged = sum(not sentence.markers for sentence in self.sentences)
        lacking = dict.fromkeys(fact for sentence in self.sentences for fact in sentence.lacking)
        doubts = []
        if flagged:
            doubts.append(
                f"no passages hold what {flagged} of {len(self.sentences)} sentences say; "
                "check those marked [?]"
            )
        if lacking:
            doubts.append(f"the text lacks these numbers and names: {', '.join(lacking)}")
        return tuple(doubts)

    @cached_property
    def _marked(self) -> tuple[str, tuple[CheckedSentence, ...]]:
        marker = self.marker()
        text = marker.feed(self.text) + marker.close()
        return text, tuple(marker.sentences)


CHECKPOINT_TYPES = (Answer, Summary, Citation, Evidence, Confidence, Signals)
"""What answers and summaries are made of: what LangGraph's checkpointers are to read again, as in
``JsonPlusSerializer(allowed_msgpack_modules=CHECKPOINT_TYPES)``."""


class Marks(Protocol):
    """Adds marks to a text as it streams."""

    def feed(self, text: str) -> str:
        """Return ``text`` with the marks that belong into it."""

    def close(self) -> str:
        """Return the mark that belongs after the text so far."""


@dataclass(frozen=True)
class Delta(Generic[Revised]):
    """What is to be done with the text shown so far: append to it, or replace it.

    Whoever shows a stream does so by this alone: ``shown = text if replaces else shown + text``.
    """

    text: str
    replaces: bool
    """Whether ``text`` takes the place of all that was shown before."""
    piece: Revised | None
    """The piece that brought it, with what it says besides the text; None for a mark between two
    texts or at the end, which belongs to no piece."""
    whole: Revised
    """The sum of all pieces so far."""


class _Shown(Generic[Revised]):
    """Makes the deltas of a stream."""

    def __init__(self, marks: Callable[[Revised], Marks] | None) -> None:
        self._marks_of = marks
        self._marks: Marks | None = None
        self._whole: Revised | None = None

    def add(self, piece: Revised) -> Iterator[Delta[Revised]]:
        before = self._whole
        begun = before is not None and bool(before.text)
        revised = begun and before is not None and replaces(before, piece)
        cites = begun and bool(piece.citations)  # what is to follow is checked against them too
        if revised or cites:
            yield from self.close()
        whole = piece if before is None else before + piece
        self._whole = whole
        if self._marks_of and (cites or (piece.text and (revised or not begun))):
            self._marks = self._marks_of(whole)
        text = self._marks.feed(piece.text) if self._marks else piece.text
        yield Delta(text, revised, piece, whole)

    def close(self) -> Iterator[Delta[Revised]]:
        mark = self._marks.close() if self._marks else ""
        if mark and self._whole is not None:
            yield Delta(mark, False, None, self._whole)


def deltas(
    pieces: Iterable[Revised], *, marks: Callable[[Revised], Marks] | None = None
) -> Iterator[Delta[Revised]]:
    """Yield what each piece of an answer or a summary changes in the text shown so far.

    Args:
        pieces: A stream of `Answer` or of `Summary`.
        marks: Makes what marks a text, from the sum of the pieces up to its beginning, such as
            ``Answer.marker``; by default nothing is marked.
    """
    shown = _Shown(marks)
    for piece in pieces:
        yield from shown.add(piece)
    yield from shown.close()


async def adeltas(
    pieces: AsyncIterable[Revised], *, marks: Callable[[Revised], Marks] | None = None
) -> AsyncIterator[Delta[Revised]]:
    """As `deltas`, of an asynchronous stream."""
    shown = _Shown(marks)
    async for piece in pieces:
        for delta in shown.add(piece):
            yield delta
    for delta in shown.close():
        yield delta
