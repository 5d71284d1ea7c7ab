"""The figures of a run, each with its 95 % interval, and how two runs differ."""

import math
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rag_app.evaluation.intervals import (
    Difference,
    Estimate,
    area_under_curve,
    mean,
    paired_difference,
    specificity,
)
from rag_app.evaluation.metrics import (
    exact_match,
    f1,
    ndcg,
    recall,
    reciprocal_rank,
    rouge_l,
    token_exact,
    token_f1,
)
from rag_app.evaluation.outcomes import Outcome
from rag_app.evaluation.questions import group_of

Value = Callable[[Outcome], float | None]
"""The value for one question; None where the figure is not about it."""


@dataclass(frozen=True)
class Metric:
    """A figure that is the mean of a value over the questions it is about."""

    group: str
    name: str
    value: Value
    about: str
    """What it is, for people."""


@dataclass(frozen=True)
class Figure:
    """A figure of a run."""

    group: str
    name: str
    estimate: Estimate
    about: str


def _ranked(value: Callable[[Outcome], float]) -> Value:
    return lambda one: value(one) if one.question.relevant and not one.question.summary else None


def _recall(cutoff: int) -> Value:
    return _ranked(lambda one: recall(one.ranks.values(), cutoff))


def _has_gold(one: Outcome) -> bool:
    return one.asked and bool(one.question.answers) and not one.question.summary


def _scored(metric: Callable[[str, Sequence[str]], float]) -> Value:
    def value(one: Outcome) -> float | None:
        return metric(one.text, one.question.answers) if _has_gold(one) else None

    return value


def _where(condition: Callable[[Outcome], bool], value: Callable[[Outcome], Any]) -> Value:
    def of(one: Outcome) -> float | None:
        found = value(one) if condition(one) else None
        return None if found is None else float(found)

    return of


def _answerable(one: Outcome) -> bool:
    return one.question.answerable and not one.question.summary and not one.error


def _unanswerable(one: Outcome) -> bool:
    return not one.question.answerable and not one.question.summary and not one.error


def _answered(one: Outcome) -> bool:
    return _has_gold(one) and not one.refused and not one.error


def _was_asked(one: Outcome) -> bool:
    return one.asked and not one.error


METRICS: tuple[Metric, ...] = (
    *(
        Metric("retrieval", f"R@{k}", _recall(k), f"relevant documents among the first {k}")
        for k in (1, 3, 5, 10)
    ),
    Metric("retrieval", "MRR@10", _ranked(lambda one: reciprocal_rank(one.rank)),
           "1 / rank of the first relevant document"),
    Metric("retrieval", "nDCG@10", _ranked(lambda one: ndcg(one.ranks, one.question.relevant)),
           "discounted gain against the best ranking"),
    Metric("answers", "exact", _scored(exact_match), "the gold answer, as CMRC 2018 compares"),
    Metric("answers", "F1", _scored(f1), "longest common run, as CMRC 2018 counts"),
    Metric("answers", "contained", _where(_has_gold, lambda one: one.right),
           "the answer contains the gold answer"),
    Metric("answers", "token exact", _scored(token_exact), "as exact, widths and spaces forgiven"),
    Metric("answers", "token F1", _scored(token_f1), "common tokens wherever they are"),
    Metric("summaries", "ROUGE-L",
           _where(lambda one: one.asked and bool(one.question.summary),
                  lambda one: rouge_l(one.text, [one.question.summary])),
           "longest common subsequence with the gold summary"),
    Metric("refusal", "wrongly refused", _where(_answerable, lambda one: one.refused),
           "of answerable questions"),
    Metric("refusal", "refused beside the answer",
           _where(lambda one: _has_gold(one) and not one.error and one.refused,
                  lambda one: any(
                      one.question.is_in(near.sentence) for near in one.answer.nearest
                  )),
           "of those wrongly refused; a sentence shown with the refusal holds the answer"),
    Metric("refusal", "rightly refused", _where(_unanswerable, lambda one: one.refused),
           "of unanswerable questions"),
    Metric("refusal", "refused or unsupported",
           _where(lambda one: _unanswerable(one) and one.asked, lambda one: not one.supported),
           "of unanswerable questions; a note says of the latter that no passage holds the answer"),
    Metric("citation", "cited passage holds the answer",
           _where(_answered, lambda one: one.is_held_by(one.answer.citations)),
           "of answered questions; a passage that the answer names as its source"),
    Metric("citation", "marked passage holds the answer",
           _where(lambda one: _answered(one) and bool(one.marked),
                  lambda one: one.is_held_by(one.marked)),
           "of answers with a mark such as [1]"),
    Metric("citation", "right but unsupported",
           _where(lambda one: _answered(one) and one.right, lambda one: not one.supported),
           "of right answers: no passage holds their words"),
    Metric("citation", "wrong and unsupported",
           _where(lambda one: _answered(one) and not one.right, lambda one: not one.supported),
           "of wrong answers"),
    Metric("cost", "seconds", _where(_was_asked, lambda one: one.cost.seconds), "a question"),
    Metric("cost", "seconds to first token", _where(_was_asked, lambda one: one.cost.first_token),
           "where a model was asked"),
    Metric("cost", "model calls", _where(_was_asked, lambda one: one.cost.calls), "a question"),
    Metric("cost", "tokens read", _where(_was_asked, lambda one: one.cost.read),
           "a question, of all prompts"),
    Metric("cost", "tokens evaluated", _where(_was_asked, lambda one: one.cost.evaluated),
           "of these, without what the model had kept of earlier prompts"),
    Metric("cost", "tokens written", _where(_was_asked, lambda one: one.cost.written),
           "a question"),
    Metric("cost", "failed", _where(lambda one: one.asked, lambda one: bool(one.error)),
           "questions that could not be answered at all"),
)  # fmt: skip

ACCEPTED = 0.05
"""Share of the answerable questions that may be refused."""
AREA = "area under the curve"
AT_ACCEPTED = f"rightly refused at {ACCEPTED:.0%} wrongly"
_SEPARATION = {
    AREA: "of the probability that the documents answer: answerable above unanswerable",
    AT_ACCEPTED: "of unanswerable questions, by that probability alone: at most that share of the "
                 "others",
}  # fmt: skip


def figures_of(outcomes: Sequence[Outcome], seed: int = 0) -> list[Figure]:
    """Return the figures of a run that its questions say something about.

    A refused answer scores 0 as an answer. Among answers, those are right that hold a gold answer.
    """
    found = [
        Figure(metric.group, metric.name, _estimate(metric.value, outcomes, seed), metric.about)
        for metric in METRICS
    ]
    place = 1 + max(i for i, metric in enumerate(METRICS) if metric.group == "refusal")
    found[place:place] = _of_probabilities(outcomes, seed)
    return [figure for figure in found if not math.isnan(figure.estimate.value)]


def _estimate(value: Value, outcomes: Sequence[Outcome], seed: int) -> Estimate:
    pairs = [(found, one) for one in outcomes if (found := value(one)) is not None]
    return mean([found for found, _ in pairs], [group_of(one.question) for _, one in pairs], seed)


def separation(
    scores: Sequence[float], labels: Sequence[bool], groups: Sequence[Hashable], seed: int = 0
) -> dict[str, Estimate]:
    """Return how well probabilities tell answerable questions, whatever the threshold.

    Args:
        scores: The probability of each question.
        labels: Whether each is answerable.
        groups: As of `mean`.
        seed: As of `mean`.
    """
    return {
        AREA: area_under_curve(scores, labels, groups, seed),
        AT_ACCEPTED: specificity(scores, labels, groups, ACCEPTED, seed),
    }


def _of_probabilities(outcomes: Sequence[Outcome], seed: int) -> list[Figure]:
    told = [one for one in outcomes if one.probability is not None and not one.question.summary]
    scores = [one.probability or 0.0 for one in told]
    labels = [one.question.answerable for one in told]
    found = separation(scores, labels, [group_of(one.question) for one in told], seed)
    return [Figure("refusal", name, found[name], about) for name, about in _SEPARATION.items()]


@dataclass(frozen=True)
class Comparison:
    """How a figure of this run differs from that of another one, question by question."""

    name: str
    value: float
    other: float
    difference: Difference

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        change = self.difference
        interval = [change.low, change.high]
        found = {"value": self.value, "other": self.other, "difference": change.value}
        return {**found, "interval": interval, "p": change.p, "count": change.count}


def compare(
    outcomes: Mapping[str, Outcome], others: Mapping[str, Outcome], seed: int = 0
) -> Iterator[Comparison]:
    """Yield how each figure of two runs differs on the questions that both have."""
    both = [(outcomes[name], others[name]) for name in outcomes if name in others]
    for metric in METRICS:
        values = [
            (mine, theirs, group_of(one.question))
            for one, other in both
            if (mine := metric.value(one)) is not None
            and (theirs := metric.value(other)) is not None
        ]
        if not values:
            continue
        first, second, groups = (list(column) for column in zip(*values, strict=True))
        change = paired_difference(first, second, groups, seed)
        count = len(values)
        yield Comparison(metric.name, sum(first) / count, sum(second) / count, change)
