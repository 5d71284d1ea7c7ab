"""Outcomes of questions: the ranks of their documents, the answer, and what it cost."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Literal

from pydantic import TypeAdapter

from rag_app.chains.citations import Citation, highest_relevance
from rag_app.chains.results import Answer
from rag_app.evaluation.questions import GoldQuestion

if TYPE_CHECKING:
    from langchain_core.documents import Document

OutcomeKind = Literal[
    "right", "not retrieved", "retrieved but wrong", "wrongly refused", "wrongly answered",
    "uncited", "failed", "rightly refused", "not judged",
]  # fmt: skip
FAILURES: tuple[OutcomeKind, ...] = (
    "not retrieved", "retrieved but wrong", "wrongly refused", "wrongly answered", "uncited",
    "failed",
)  # fmt: skip
"""The kinds of failing cases, in the order in which they are shown."""
_ANSWER = TypeAdapter(Answer)


@dataclass(frozen=True)
class Cost:
    """What an answer cost; what is not known is None."""

    seconds: float = 0.0
    first_token: float | None = None
    """Seconds until the first text of the answer; None where no model was asked."""
    calls: int = 0
    """Calls of the language model."""
    read: int | None = None
    """Tokens of the prompts, those that the model had kept included."""
    evaluated: int | None = None
    """Tokens of the prompts but those: what the model worked on."""
    written: int | None = None
    """Tokens of the replies."""


@dataclass(frozen=True)
class Outcome:
    """The answer to one question, and where its documents were ranked."""

    question: GoldQuestion
    ranks: Mapping[str, int | None]
    """1-based rank of each relevant document among those retrieved, None where it is not."""
    answer: Answer
    cost: Cost = field(default_factory=Cost)
    retrieved: tuple[str, ...] = ()
    """File names of the documents retrieved, best first."""
    asked: bool = True
    """False where the passages were retrieved only."""
    error: str = ""
    """Why there is no answer, if so."""

    @property
    def rank(self) -> int | None:
        """The best rank of a relevant document."""
        return min((rank for rank in self.ranks.values() if rank is not None), default=None)

    @property
    def text(self) -> str:
        """The answer as it is scored: a refused one is empty."""
        return self.answer.text if self.answer.answered and not self.error else ""

    @property
    def refused(self) -> bool:
        """Whether there is no answer."""
        return not self.answer.answered

    @property
    def probability(self) -> float | None:
        """The probability that the documents answer the question, None where it is unknown."""
        return probability_of(self.answer)

    @property
    def right(self) -> bool:
        """Whether the answer holds the gold answer."""
        original = self.answer.original if self.text else ""
        return self.question.is_in(self.text) or self.question.is_in(original)

    @cached_property
    def supported(self) -> bool:
        """Whether a passage holds the words, numbers and names of one of its sentences."""
        return self.answer.supported

    @cached_property
    def marked(self) -> tuple[Citation, ...]:
        """The passages whose marks are in the answer."""
        text = self.answer.marked_text
        return tuple(
            citation for citation in self.answer.citations if f"[{citation.marker}]" in text
        )

    def is_held_by(self, citations: Sequence[Citation]) -> bool:
        """Return whether the gold answer is in one of the passages."""
        return any(self.question.is_in(citation.text) for citation in citations)

    @cached_property
    def verdict(self) -> OutcomeKind:
        """What kind of success or failure it is."""
        if self.error:
            return "failed"
        if self.question.summary:
            return "not judged"
        if not self.question.answerable:
            return "rightly refused" if self.refused else "wrongly answered"
        if not self._found:
            return "not retrieved"
        return "wrongly refused" if self.refused else self._verdict_on_text()

    @property
    def _found(self) -> bool:
        """Whether a relevant document was retrieved, or the answer with another one."""
        held = bool(self.question.answers) and self.is_held_by(self.answer.citations)
        return held or not self.question.relevant or self.rank is not None

    def _verdict_on_text(self) -> OutcomeKind:
        if not self.asked or not self.question.answers:
            return "not judged"
        if not self.right:
            return "retrieved but wrong"
        return "right" if self.supported else "uncited"

    def to_json(self) -> dict[str, Any]:
        """Return all but the question's own fields as JSON values; the question is named."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        question = values.pop("question")
        values["answer"] = asdict(replace(self.answer, message=None))
        values["cost"] = asdict(self.cost)
        known = {"id": question.id, "question": question.text, "gold": list(question.answers)}
        return {**known, **values, "verdict": self.verdict}

    @classmethod
    def from_json(cls, question: GoldQuestion, row: Mapping[str, Any]) -> "Outcome":
        """Return the outcome that `to_json` wrote, less the fields that an answer has no more.

        Raises:
            KeyError, TypeError, ValueError: it isn't one.
        """
        return cls(
            question,
            dict(row["ranks"]),
            _ANSWER.validate_python(row["answer"]),
            Cost(**row["cost"]),
            tuple(row["retrieved"]),
            row["asked"],
            row["error"],
        )


def probability_of(answer: Answer) -> float | None:
    """Return the probability that the documents hold an answer, None where it is unknown.

    It is the answer's own where it has one, else the highest relevance of its passages.
    """
    if answer.confidence is not None:
        return answer.confidence.probability
    return highest_relevance(answer.citations)


def ranks_of(
    passages: "Sequence[Document]", relevant: Mapping[str, frozenset[str]]
) -> dict[str, int | None]:
    """Return the 1-based rank of each relevant document among the distinct ones retrieved.

    Args:
        passages: Best first. A passage that other documents hold too is found with those.
        relevant: The sources that each relevant document's name stands for.
    """
    groups: dict[str, set[str]] = {}
    for passage in passages:
        source = str(passage.metadata.get("source", passage.id or ""))
        groups.setdefault(source, {source}).update(passage.metadata.get("copies") or ())
    places = list(groups.values())
    return {
        name: next((rank for rank, held in enumerate(places, 1) if held & sources), None)
        for name, sources in relevant.items()
    }


def names_of(passages: "Sequence[Document]") -> tuple[str, ...]:
    """Return the file names of the distinct documents of passages, best first."""
    sources = (str(passage.metadata.get("source", passage.id or "")) for passage in passages)
    return tuple(PurePath(source).name for source in dict.fromkeys(sources))
