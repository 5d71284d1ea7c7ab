"""A calibration fitted to the outcomes of a question set: how sure to take a language model to be.

Each question is answered from what was found, whatever the model thinks of it. What showed how sure
each answer was, and whether there is one, makes a logistic model.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rag_app.chains.confidence import CALIBRATION, Calibration, Signals, can_judge
from rag_app.errors import DocumentError
from rag_app.evaluation.figures import ACCEPTED, separation
from rag_app.evaluation.intervals import Estimate, Floats, mean
from rag_app.evaluation.outcomes import Outcome
from rag_app.evaluation.questions import GoldQuestion
from rag_app.settings import DEFAULTS

FEWEST = 20
"""Questions that it takes of each kind."""
ODDS = 1.5
"""Questions with an answer to one that has none, as a user of his own documents may ask them."""
_FOLDS = 10
_PENALTY = 0.1  # penalty on the square of a weight, halved
_SIGNS = np.array([1, 1, -1, -1])
"""Signs of the weights; one that comes out otherwise is noise, and left out."""

if TYPE_CHECKING:
    from rag_app.engine.app import RagApp


def answering_all(app: "RagApp") -> "RagApp":
    """Return an application that refuses nothing that was found, so that all signals are known.

    Raises:
        ModelError: the language model is missing or damaged.
    """
    whole = app.using(context="full")  # that is what a calibration is of
    return whole.calibrated(Calibration(100.0, 0.0, 0.0, 0.0, 0.0, judged=can_judge(app.llm)))


@dataclass(frozen=True)
class Sample:
    """The signals of an answer, and whether there is one."""

    signals: Signals
    holds: bool
    """Whether what was read answers the question."""
    refused: bool = False
    """Whether there is no answer whatever the calibration: nothing was found, or said."""


def check(questions: Sequence[GoldQuestion], name: str) -> None:
    """Check that a calibration can be fitted to questions.

    Raises:
        DocumentError: there are too few of either kind.
    """
    asked = [question for question in questions if not question.summary]
    known = sum(question.answerable for question in asked)
    if min(known, len(asked) - known) < FEWEST:
        raise DocumentError(
            f"{name} has {known} questions with an answer and {len(asked) - known} without; "
            f'calibrating takes {FEWEST} of each: add some, those without with "answerable": false'
        )


def samples_of(outcomes: Iterable[Outcome]) -> list[Sample]:
    """Return the samples of outcomes that were made with `answering_all`."""
    samples = []
    for outcome in outcomes:
        if outcome.error or outcome.question.summary or outcome.answer.confidence is None:
            continue
        held = not outcome.question.answers or outcome.is_held_by(outcome.answer.citations)
        holds = outcome.question.answerable and held
        samples.append(Sample(outcome.answer.confidence.signals, holds, outcome.refused))
    return samples


def fit(samples: Sequence[Sample]) -> Calibration:
    """Return the logistic model of samples, the two kinds weighted by `ODDS`.

    Its intercept is such that at the default threshold no more than `ACCEPTED` of the samples with
    an answer are refused. Without a judgement of each it does without judgements.

    Raises:
        DocumentError: too few were answered of either kind.
    """
    told = [sample for sample in samples if not sample.refused]
    judged = all(sample.signals.judgement is not None for sample in told)
    holds = np.array([sample.holds for sample in told], bool)
    if min(holds.sum(), (~holds).sum()) < FEWEST / 2:
        raise DocumentError(
            f"{holds.sum()} questions with an answer and {(~holds).sum()} without were answered, "
            f"which takes {FEWEST // 2} of each; the others were refused for what was found, which "
            "needs no calibrating"
        )
    rows = np.array([CALIBRATION.features(sample.signals) for sample in told])
    weights = np.where(holds, ODDS / holds.sum(), 1 / (~holds).sum()) * len(holds) / (1 + ODDS)
    numbers = (round(float(number), 2) for number in _logistic(rows, holds, weights))
    intercept, relevance, judgement, unmatched, unsupported = numbers
    found = Calibration(intercept, relevance, judgement, unmatched, unsupported, judged=judged)
    return _answering(found, samples)


def _answering(calibration: Calibration, samples: Sequence[Sample]) -> Calibration:
    """Return a calibration that refuses no more samples with an answer than are accepted."""
    known = [sample for sample in samples if sample.holds]
    odds = sorted(calibration.log_odds(sample.signals) for sample in known if not sample.refused)
    allowed = max(int(ACCEPTED * len(known)) - sum(sample.refused for sample in known), 0)
    limit = float(np.log(DEFAULTS.threshold / (1 - DEFAULTS.threshold)))
    if allowed >= len(odds) or odds[allowed] >= limit:
        return calibration
    below = odds[allowed - 1] if allowed else odds[0] - 0.2
    shift = limit - (below + odds[allowed]) / 2
    return replace(calibration, intercept=round(calibration.intercept + shift, 2))


def _logistic(rows: Floats, truth: NDArray[np.bool_], weights: Floats) -> Floats:
    """Return intercept and weights of the likeliest model, found by Newton's method.

    Args:
        rows: ``[samples, features]``.
        truth: ``[samples]``.
        weights: How much each sample counts.
    """
    used = np.ones(rows.shape[1], bool)
    while True:
        columns = np.column_stack([np.ones(len(rows)), rows[:, used]])
        penalty = np.diag([1e-6, *[_PENALTY] * int(used.sum())])
        found = np.zeros(columns.shape[1])
        for _ in range(100):
            chance = 1 / (1 + np.exp(-np.clip(columns @ found, -30, 30)))
            slope = columns.T @ (weights * (truth - chance)) - penalty @ found
            bend = (columns.T * (weights * chance * (1 - chance))) @ columns + penalty
            step = np.linalg.solve(bend, slope)
            found += step
            if np.abs(step).max() < 1e-8:
                break
        wrong = found[1:] * _SIGNS[used] < 0
        if not wrong.any():
            whole = np.zeros(rows.shape[1])
            whole[used] = found[1:]
            return np.array([found[0], *whole])
        used[np.flatnonzero(used)[wrong]] = False


def about(samples: Sequence[Sample], seed: int = 0) -> dict[str, Any]:
    """Return on what a calibration was fitted and how well it does, as JSON values.

    The figures are those of questions that a calibration was not fitted to: each tenth of them is
    judged by that of the others.

    Raises:
        DocumentError: as `fit`.
    """
    folds = (np.random.default_rng(seed).permutation(len(samples)) % _FOLDS).tolist()
    fitted = [
        fit([sample for sample, of in zip(samples, folds, strict=True) if of != fold])
        for fold in range(_FOLDS)
    ]
    chances = [chance(fitted[of], sample) for sample, of in zip(samples, folds, strict=True)]
    figures = calibration_figures(chances, samples, seed).items()
    shown = {name: figure.to_json() for name, figure in figures}
    return {"questions": len(samples), "figures": shown}


def chance(calibration: Calibration, sample: Sample) -> float:
    """Return how sure an answer is, 0 to 1; one that is refused in any case is not at all."""
    return 0.0 if sample.refused else calibration.probability(sample.signals)


def calibration_figures(
    chances: Sequence[float] | Floats, samples: Sequence[Sample], seed: int = 0
) -> dict[str, Estimate]:
    """Return the shares refused at the default threshold, and what holds for any threshold."""
    holds = np.array([sample.holds for sample in samples], bool)
    refused = np.asarray(chances) < DEFAULTS.threshold

    def share(of: NDArray[np.bool_]) -> Estimate:
        return mean(refused[of].astype(float).tolist(), range(int(of.sum())), seed)

    scores = [float(chance) for chance in chances]
    return {
        "rightly refused": share(~holds),
        "wrongly refused": share(holds),
        **separation(scores, [*holds], range(len(scores)), seed),
    }
