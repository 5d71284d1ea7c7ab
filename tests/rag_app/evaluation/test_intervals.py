"""Bootstrap intervals, areas and paired tests."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_app.evaluation.intervals import area_under_curve, mean, paired_difference, specificity


def test_an_interval_holds_its_figure_and_narrows_with_questions() -> None:
    few, many = ([1.0, 1.0, 0.0, 1.0] * count for count in (5, 100))
    estimates = [mean(values, range(len(values))) for values in (few, many)]
    assert all(one.value == 0.75 and one.low < 0.75 < one.high for one in estimates)
    assert [one.count for one in estimates] == [20, 400]
    wide, narrow = (one.high - one.low for one in estimates)
    assert narrow < wide / 3
    # 1.96 standard errors to both sides, within the noise of the resampling
    assert narrow == pytest.approx(2 * 1.96 * math.sqrt(0.75 * 0.25 / 400), rel=0.1)


def test_whole_groups_are_drawn() -> None:
    values = [1.0] * 50 + [0.0] * 50
    alone = mean(values, range(100))
    together = mean(values, [place // 10 for place in range(100)])
    assert together.high - together.low > 2 * (alone.high - alone.low)


def test_the_same_seed_gives_the_same_interval() -> None:
    values = [random.Random(0).random() for _ in range(40)]
    assert mean(values, range(40), seed=3) == mean(values, range(40), seed=3)


def test_nothing_has_no_figure() -> None:
    assert math.isnan(mean([], []).value)
    assert math.isnan(area_under_curve([0.1, 0.2], [True, True], "ab").value)
    assert math.isnan(paired_difference([], [], []).p)


@given(st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.5, 0.9]), st.booleans()), min_size=2))
def test_the_area_counts_ordered_pairs(told: list[tuple[float, bool]]) -> None:
    true = [score for score, label in told if label]
    false = [score for score, label in told if not label]
    scores, labels = zip(*told, strict=True)
    found = area_under_curve(scores, labels, range(len(told)))
    if not true or not false:
        assert math.isnan(found.value)
        return
    wins = sum((a > b) + (a == b) / 2 for a in true for b in false)
    assert found.value == pytest.approx(wins / (len(true) * len(false)))
    assert 0 <= found.low <= found.high <= 1


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=2, max_size=60))
def test_the_bar_is_the_highest_that_few_true_ones_are_below(told: list[tuple[int, bool]]) -> None:
    true = [score for score, label in told if label]
    false = [score for score, label in told if not label]
    scores, labels = zip(*told, strict=True)
    found = specificity(scores, labels, range(len(told)), 0.1)
    if not true or not false:
        assert math.isnan(found.value)
        return
    bar = max(bar for bar in scores if sum(score < bar for score in true) <= 0.1 * len(true))
    assert found.value == pytest.approx(sum(score < bar for score in false) / len(false))
    assert 0 <= found.low <= found.high <= 1


def test_a_real_difference_is_told_from_chance() -> None:
    drawn = random.Random(1)
    worse = [float(drawn.random() < 0.5) for _ in range(200)]
    better = [max(value, float(drawn.random() < 0.3)) for value in worse]
    found = paired_difference(better, worse, range(200))
    assert found.value > 0.05
    assert found.low > 0
    assert found.p < 0.001
    again = [float(drawn.random() < 0.5) for _ in range(200)]
    chance = paired_difference(again, worse, range(200))
    assert chance.low < 0 < chance.high
    assert chance.p > 0.05


def test_the_test_is_exact_where_few_questions_differ() -> None:
    # all of 3 differences positive: as large in 2 of 8 flips
    found = paired_difference([1, 1, 1, 0], [0, 0, 0, 0], "abcd")
    assert found.p == pytest.approx(0.25, abs=0.02)
