"""Intervals and tests by resampling: the bootstrap, the paired permutation test, and areas.

Questions about one document are alike, so that documents are drawn, not questions (the cluster
bootstrap); where each question has a document of its own, that is the ordinary bootstrap.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
"""Resamples of the bootstrap."""
PERMUTATIONS = 10_000
"""Permutations of the paired test."""
_PERCENTILES = (2.5, 97.5)
_CELLS = 2**22  # numbers held at a time

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval; all are NaN where there is nothing to estimate."""

    value: float
    low: float
    high: float
    count: int
    """How many questions it rests on."""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values: the figure, its interval and its number of questions."""
        return {"value": self.value, "interval": [self.low, self.high], "count": self.count}


def mean(values: Sequence[float], groups: Sequence[Hashable], seed: int = 0) -> Estimate:
    """Return the mean with its bootstrap interval.

    Args:
        values: One for each question.
        groups: What each question belongs to; whole groups are drawn.
        seed: Draws the same samples again.

    Example:
        >>> mean([1.0, 0.0, 1.0, 1.0], "abcd").value
        0.75
    """
    if not values:
        return Estimate(np.nan, np.nan, np.nan, 0)
    sums, sizes = _by_group(np.asarray(values, float), groups)
    drawn = np.concatenate([counts @ np.stack([sums, sizes], 1) for counts in _counts(sums, seed)])
    low, high = np.percentile(drawn[:, 0] / drawn[:, 1], _PERCENTILES)
    return Estimate(float(np.mean(values)), float(low), float(high), len(values))


def area_under_curve(
    scores: Sequence[float], labels: Sequence[bool], groups: Sequence[Hashable], seed: int = 0
) -> Estimate:
    """Return how probable it is that a true label has the higher score, with its interval.

    That is the area under the ROC curve; equal scores count half.

    Args:
        scores: One for each question.
        labels: Whether each is of the kind that should score high.
        groups: As of `mean`.
        seed: As of `mean`.

    Example:
        >>> area_under_curve([0.9, 0.4, 0.5, 0.1], [True, True, False, False], "abcd").value
        0.75
    """
    return _of_ranks(_areas, scores, labels, groups, seed)


def specificity(
    scores: Sequence[float],
    labels: Sequence[bool],
    groups: Sequence[Hashable],
    missed: float,
    seed: int = 0,
) -> Estimate:
    """Return the share of false labels below a bar that few true ones are below, with its interval.

    Args:
        scores: As of `area_under_curve`.
        labels: As of `area_under_curve`.
        groups: As of `mean`.
        missed: Share of the true labels that may be below the bar.
        seed: As of `mean`.

    Example:
        >>> specificity([0.9, 0.4, 0.5, 0.1], [True, True, False, False], "abcd", 0.05).value
        0.5
    """

    def share_below(true: Floats, false: Floats) -> Floats:
        bars = (_below(true) <= missed * true.sum(axis=0)).sum(axis=0) - 1
        found: Floats = _below(false)[bars, np.arange(len(bars))]
        return _ratio(found, false.sum(axis=0) * (true.sum(axis=0) > 0))

    return _of_ranks(share_below, scores, labels, groups, seed)


def _of_ranks(
    value: Callable[[Floats, Floats], Floats],
    scores: Sequence[float],
    labels: Sequence[bool],
    groups: Sequence[Hashable],
    seed: int,
) -> Estimate:
    """Return a value of how often each score has true, and false, labels, with its interval.

    Args:
        value: Takes both as ``[distinct scores, resamples]``, the lowest first, and gives
            ``[resamples]``, NaN where a label is missing.
        scores: As of `area_under_curve`.
        labels: As of `area_under_curve`.
        groups: As of `mean`.
        seed: As of `mean`.
    """
    truth = np.asarray(labels, bool)
    if not truth.any() or truth.all():
        return Estimate(np.nan, np.nan, np.nan, len(labels))
    levels, places = np.unique(np.asarray(scores, float), return_inverse=True)
    _, of = _numbered(groups)

    def of_weights(weights: Floats) -> Floats:
        sums = np.zeros((2, len(levels), len(weights)))
        np.add.at(sums, (1 - truth.astype(int), places), weights.T)
        return value(sums[0], sums[1])

    drawn = np.concatenate([of_weights(counts[:, of]) for counts in _counts(np.unique(of), seed)])
    low, high = np.nanpercentile(drawn, _PERCENTILES)
    found = of_weights(np.ones((1, len(truth))))[0]
    return Estimate(float(found), float(low), float(high), len(labels))


def _areas(true: Floats, false: Floats) -> Floats:
    wins: Floats = (true * (_below(false) + false / 2)).sum(axis=0)
    return _ratio(wins, true.sum(axis=0) * false.sum(axis=0))


def _below(labels: Floats) -> Floats:
    """Return how many labels have a lower score than each."""
    counts: Floats = np.cumsum(labels, axis=0) - labels
    return counts


def _ratio(parts: Floats, wholes: Floats) -> Floats:
    ratios: Floats = np.divide(parts, wholes, out=np.full(len(parts), np.nan), where=wholes > 0)
    return ratios


@dataclass(frozen=True)
class Difference:
    """How much two runs differ on the same questions."""

    value: float
    """Mean of this run less that of the other one."""
    low: float
    high: float
    """The upper end of the 95 % interval."""
    p: float
    """Probability of a difference as large if the runs were exchangeable (two-sided)."""
    count: int
    """Questions that both runs have."""


def paired_difference(
    values: Sequence[float],
    others: Sequence[float],
    groups: Sequence[Hashable],
    seed: int = 0,
) -> Difference:
    """Return the mean difference, with a bootstrap interval and a sign-flip permutation test.

    Args:
        values: One for each question, of one run.
        others: Those of the same questions, of the other run.
        groups: As of `mean`; the signs of a whole group are flipped together.
        seed: Draws the same samples again.

    Example:
        >>> paired_difference([1, 1, 0, 1], [1, 1, 0, 1], "abcd").p
        1.0
    """
    differences = [value - other for value, other in zip(values, others, strict=True)]
    found = mean(differences, groups, seed)
    if not differences:
        return Difference(np.nan, np.nan, np.nan, np.nan, 0)
    sums, _ = _by_group(np.asarray(differences, float), groups)
    random = np.random.default_rng(seed)
    rows = max(1, _CELLS // len(sums))
    reached = 0
    for start in range(0, PERMUTATIONS, rows):
        size = (min(rows, PERMUTATIONS - start), len(sums))
        flipped = (random.integers(0, 2, size, dtype=np.int8) * 2 - 1) @ sums
        reached += int((np.abs(flipped) >= abs(sums.sum()) - 1e-9).sum())
    p = (reached + 1) / (PERMUTATIONS + 1)
    return Difference(found.value, found.low, found.high, p, len(differences))


def _numbered(groups: Sequence[Hashable]) -> tuple[int, NDArray[np.intp]]:
    """Return how many groups there are, and the number of each question's."""
    numbers: dict[Hashable, int] = {}
    of = [numbers.setdefault(group, len(numbers)) for group in groups]
    return len(numbers), np.asarray(of, np.intp)


def _by_group(values: Floats, groups: Sequence[Hashable]) -> tuple[Floats, Floats]:
    """Return the sum and the number of the values of each group."""
    count, of = _numbered(groups)
    sums: Floats = np.bincount(of, values, count).astype(np.float64)
    sizes: Floats = np.bincount(of, minlength=count).astype(np.float64)
    return sums, sizes


def _counts(groups: NDArray[Any], seed: int) -> Iterator[Floats]:
    """Yield how often each group is drawn, ``[resamples, len(groups)]``, in several blocks."""
    random = np.random.default_rng(seed)
    rows, count = max(1, _CELLS // len(groups)), len(groups)
    shares = np.full(count, 1 / count)
    for start in range(0, RESAMPLES, rows):
        yield random.multinomial(count, shares, min(rows, RESAMPLES - start)).astype(float)
