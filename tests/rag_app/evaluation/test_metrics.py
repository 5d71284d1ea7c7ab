"""Metrics on answers and rankings counted by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_app.evaluation.metrics import (
    contains,
    exact_match,
    f1,
    ndcg,
    recall,
    reciprocal_rank,
    rouge_l,
    token_exact,
    token_f1,
    tokens,
)
from rag_app.evaluation.segmentation import mixed_segmentation, treebank_words

TEXTS = st.text(alphabet="李白杜甫病逝于当涂a1. ,。（）", max_size=12)


def test_tokens_are_characters_and_words() -> None:
    assert tokens("李白，Li Bai（７０１年）。") == ["李", "白", "li", "bai", "701", "年"]


@pytest.mark.parametrize(
    ("answer", "gold", "exact", "overlap", "contained"),
    [
        ("贺知章。", ["贺知章"], 1, 1.0, 1),
        ("是贺知章", ["贺知章"], 0, 6 / 7, 1),
        ("李白", ["杜甫", "李贺"], 0, 0.5, 0),
        ("12袋", ["2袋"], 0, 0.5, 0),  # a number is one token
        ("", ["贺知章"], 0, 0.0, 0),
        ("答", ["。"], 0, 0.0, 0),
        ("谢谢", ["谢"], 0, 2 / 3, 1),
    ],
)
def test_metrics_on_tokens(
    answer: str, gold: list[str], exact: float, overlap: float, contained: float
) -> None:
    assert exact_match(answer, gold) == exact
    assert token_exact(answer, gold) == exact
    assert token_f1(answer, gold) == pytest.approx(overlap)
    assert contains(answer, gold) == contained


@pytest.mark.parametrize(
    ("answer", "gold", "exact", "overlap"),
    [
        # one run of 2 of 5 and 5 characters, though 4 are common
        ("在当涂病逝", ["病逝于当涂"], 0, 0.4),
        # dropped before comparing: - : · 《 》 and their kin; kept: ( ) . , and the ellipsis …
        ("《静夜思》", ["静夜思"], 1, 1.0),
        ("701-762", ["701762"], 1, 1.0),
        ("静夜思…", ["静夜思"], 0, 6 / 7),
        ("(唐)", ["唐"], 0, 2 / 4),
        # full-width digits are other digits, and words are split at spaces
        ("７０１年", ["701年"], 0, 2 / 4),
        ("Li Bai", ["li bai"], 1, 1.0),
        ("Li Bai", ["LiBai"], 0, 0.0),
        # the best gold answer counts, whatever its place
        ("当涂", ["在当涂病逝", "当涂县"], 0, 4 / 5),
        ("3.5%", ["3.5"], 0, 2 / 3),
        ("。", ["。"], 1, 0.0),
        ("", [], 0, 0.0),
    ],
)
def test_metrics_as_cmrc_defines_them(
    answer: str, gold: list[str], exact: float, overlap: float
) -> None:
    assert exact_match(answer, gold) == exact
    assert f1(answer, gold) == pytest.approx(overlap)


@given(TEXTS, TEXTS)
def test_f1_finds_the_longest_run(answer: str, gold: str) -> None:
    said, wanted = mixed_segmentation(answer), mixed_segmentation(gold)
    runs = [
        length
        for start in range(len(said))
        for length in range(1, len(said) - start + 1)
        if any(
            said[start : start + length] == wanted[at : at + length] for at in range(len(wanted))
        )
    ]
    longest = max(runs, default=0)
    if longest:
        precision, share = longest / len(said), longest / len(wanted)
        assert f1(answer, [gold]) == pytest.approx(2 * precision * share / (precision + share))
    else:
        assert f1(answer, [gold]) == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("it's 1,000, isn't it?", ["it", "'s", "1,000", ",", "is", "n't", "it", "?"]),
        ("j. r. smith (b.c.) came. he left.",
         ["j.", "r.", "smith", "(", "b.c.", ")", "came", ".", "he", "left", "."]),
        ("st. paul cannot", ["st.", "paul", "can", "not"]),
        ("1998–99 at 5%...", ["1998", "–", "99", "at", "5", "%", "..."]),
        ("dogs' 'til", ["dogs", "'", "'", "til"]),
        ("", []),
    ],
)  # fmt: skip
def test_words_of_the_treebank(text: str, words: list[str]) -> None:
    assert treebank_words(text) == words


@given(TEXTS, TEXTS)
def test_rouge_l_is_of_the_longest_common_subsequence(summary: str, reference: str) -> None:
    first, second = tokens(summary), tokens(reference)
    table = [[0] * (len(second) + 1) for _ in range(len(first) + 1)]
    for i, one in enumerate(first):
        for j, other in enumerate(second):
            longer = max(table[i][j + 1], table[i + 1][j])
            table[i + 1][j + 1] = table[i][j] + 1 if one == other else longer
    common = table[-1][-1]
    wanted = 2 * common / (len(first) + len(second)) if common else 0.0
    assert rouge_l(summary, [reference]) == pytest.approx(wanted)


def test_reciprocal_rank_has_a_cutoff() -> None:
    assert [reciprocal_rank(rank) for rank in (1, 4, 10, 11, None)] == [1, 0.25, 0.1, 0, 0]


def test_recall_is_the_share_of_the_relevant_documents() -> None:
    assert recall([1, 4, None], 3) == pytest.approx(1 / 3)
    assert recall([1, 4, None], 5) == pytest.approx(2 / 3)
    assert recall([], 5) == 0


def test_ndcg_weighs_ranks_and_grades() -> None:
    assert ndcg({"a": 1}) == 1
    assert ndcg({"a": 3}) == pytest.approx(0.5)  # 1 / log2(4)
    assert ndcg({"a": 11, "b": None}) == 0
    best = 2 + 1 / math.log2(3)
    assert ndcg({"a": 2, "b": 1}, {"a": 2, "b": 1}) == pytest.approx((2 / math.log2(3) + 1) / best)
