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

    from rag_app.chains.results import Answer


@dataclass(frozen=True)
class Outcome:
    """The answer to one question, and where its document was ranked."""

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
    answerable = [outcome for outcome in outcomes if outcome.question.answers]
    unanswerable = [outcome for outcome in outcomes if not outcome.question.answers]
    answered = [outcome for outcome in answerable if outcome.answer.answered]
    right = [
        outcome for outcome in answered if contains(outcome.answer.text, outcome.question.answers)
    ]
    wrong = [outcome for outcome in answered if outcome not in right]

    def share(of: Sequence[Outcome], value: Callable[[Outcome], float]) -> float:
        return fmean(map(value, of)) if of else float("nan")

    def score(metric: Callable[[str, Sequence[str]], float]) -> Callable[[Outcome], float]:
        return lambda outcome: (
            metric(outcome.answer.text, outcome.question.answers)
            if outcome.answer.answered
            else 0.0
        )

    return {
        "answerable": len(answerable),
        "gold first": share(answerable, lambda outcome: outcome.rank == 1),
        "gold in first three": share(
            answerable, lambda outcome: outcome.rank is not None and outcome.rank <= 3
        ),
        "exact": share(answerable, score(exact_match)),
        "f1": share(answerable, score(f1)),
        "contained": share(answerable, score(contains)),
        "wrongly refused": share(answerable, lambda outcome: not outcome.answer.answered),
        "right but unsupported": share(right, lambda outcome: not outcome.answer.supported),
        "wrong and unsupported": share(wrong, lambda outcome: not outcome.answer.supported),
        "unanswerable": len(unanswerable),
        "rightly refused": share(unanswerable, lambda outcome: not outcome.answer.answered),
        "refused or unsupported": share(unanswerable, lambda outcome: not outcome.answer.supported),
        "seconds a question": share(outcomes, lambda outcome: outcome.seconds),
    }
