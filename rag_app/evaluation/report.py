"""The outcomes of a set of questions, and the figures of all of them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from statistics import fmean
from typing import TYPE_CHECKING

from rag_app.evaluation.datasets import GoldQuestion
from rag_app.evaluation.metrics import contains, exact_match, f1

if TYPE_CHECKING:
    from langchain_core.documents import Document

    from rag_app.chains.answer import Answer


@dataclass(frozen=True)
class Outcome:
    """What one question came to."""

    question: GoldQuestion
    rank: int | None
    """1-based rank of the gold document among the documents retrieved, None where it is not."""
    answer: "Answer"
    seconds: float


def document_rank(passages: "Iterable[Document]", document: str | None) -> int | None:
    """Return the 1-based rank of ``document`` among the distinct documents of the passages."""
    names = dict.fromkeys(PurePath(passage.metadata["source"]).name for passage in passages)
    return list(names).index(document) + 1 if document in names else None


def report(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Return the figures of a run, each a share of the questions it is about.

    ``exact``, ``f1`` and ``contained`` are over all answerable questions; a refused one counts 0.
    Among the answered ones, ``right`` are those that contain a gold answer, ``wrong`` the others.
    """
    answerable = [one for one in outcomes if one.question.answers]
    unanswerable = [one for one in outcomes if not one.question.answers]
    answered = [one for one in answerable if one.answer.answered]
    right = [one for one in answered if contains(one.answer.text, one.question.answers)]
    wrong = [one for one in answered if one not in right]

    def share(of: Sequence[Outcome], value: Callable[[Outcome], float]) -> float:
        return fmean(map(value, of)) if of else float("nan")

    def score(metric: Callable[[str, Sequence[str]], float]) -> Callable[[Outcome], float]:
        return lambda one: (
            metric(one.answer.text, one.question.answers) if one.answer.answered else 0.0
        )

    return {
        "answerable": len(answerable),
        "gold first": share(answerable, lambda one: one.rank == 1),
        "gold in first three": share(
            answerable, lambda one: one.rank is not None and one.rank <= 3
        ),
        "exact": share(answerable, score(exact_match)),
        "f1": share(answerable, score(f1)),
        "contained": share(answerable, score(contains)),
        "wrongly refused": share(answerable, lambda one: not one.answer.answered),
        "right but unsupported": share(right, lambda one: not one.answer.supported),
        "wrong and unsupported": share(wrong, lambda one: not one.answer.supported),
        "unanswerable": len(unanswerable),
        "rightly refused": share(unanswerable, lambda one: not one.answer.answered),
        "refused or unsupported": share(unanswerable, lambda one: not one.answer.supported),
        "seconds a question": share(outcomes, lambda one: one.seconds),
    }
