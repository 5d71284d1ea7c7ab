"""Metrics of answers, summaries and rankings.

`exact_match` and `f1` are those of the evaluation of CMRC 2018 (Cui et al. 2019, "A Span-Extraction
Dataset for Chinese Machine Reading Comprehension"): exact without case and punctuation, F1 over the
longest run of words and Han characters that both texts have. `token_exact`, `token_f1` and
`contains` forgive more: they know neither punctuation nor the widths of characters, and `token_f1`
counts common tokens wherever they are, as SQuAD does. All are the best over the gold answers.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import SequenceMatcher
from unicodedata import normalize

from rag_app.documents.text import HAN
from rag_app.evaluation.segmentation import mixed_segmentation, without_punctuation

_TOKEN = re.compile(rf"[{HAN}]|[^\W_{HAN}]+")


def tokens(text: str) -> list[str]:
    """Return Han characters and lowercased words; punctuation and spaces are dropped."""
    return _TOKEN.findall(normalize("NFKC", text).lower())


def exact_match(answer: str, gold: Sequence[str]) -> float:
    """Return 1.0 where ``answer`` is a gold answer, less case and punctuation, else 0.0.

    Example:
        >>> exact_match("“贺知章”。", ["贺知章"])
        1.0
    """
    said = without_punctuation(answer)
    return float(any(said == without_punctuation(wording) for wording in gold))


def f1(answer: str, gold: Sequence[str]) -> float:
    """Return the F1 of the longest run that both texts have, the best over the gold answers.

    Example:
        >>> f1("在当涂病逝", ["病逝于当涂"])  # 病逝: 2 of 5 in both
        0.4
    """
    return _best_f1(mixed_segmentation(answer), map(mixed_segmentation, gold), _longest_run)


def _best_f1(
    said: Sequence[str],
    gold: Iterable[Sequence[str]],
    common: Callable[[Sequence[str], Sequence[str]], int],
) -> float:
    """Return the F1 of the tokens that two texts have in common, the best over the gold ones."""
    return max(
        (2 * common(said, wording) / (len(said) + len(wording) or 1) for wording in gold),
        default=0.0,
    )


def _longest_run(first: Sequence[str], second: Sequence[str]) -> int:
    return SequenceMatcher(None, first, second, autojunk=False).find_longest_match().size


def token_exact(answer: str, gold: Sequence[str]) -> float:
    """Return 1.0 where ``answer`` equals a gold answer token by token, else 0.0."""
    return float(any(tokens(answer) == tokens(wording) for wording in gold))


def token_f1(answer: str, gold: Sequence[str]) -> float:
    """Return the F1 of common tokens, with multiplicity, the best over the gold answers."""
    return _best_f1(
        tokens(answer),
        map(tokens, gold),
        lambda first, second: (Counter(first) & Counter(second)).total(),
    )


def contains(answer: str, gold: Sequence[str]) -> float:
    """Return 1.0 where ``answer`` holds all tokens of a gold answer in a row, else 0.0."""
    text = "\0".join(["", *tokens(answer), ""])
    return float(
        any("\0".join(["", *tokens(wording), ""]) in text for wording in gold if tokens(wording))
    )


def rouge_l(summary: str, references: Sequence[str]) -> float:
    """Return ROUGE-L (Lin 2004) on tokens, its F1, the best over the references.

    Example:
        >>> rouge_l("李白病逝于当涂", ["李白在当涂病逝"])  # 李白, 当涂 in this order: 4 of 7
        0.5714285714285714
    """
    return _best_f1(tokens(summary), map(tokens, references), _longest_common_subsequence)


def _longest_common_subsequence(first: Sequence[str], second: Sequence[str]) -> int:
    """Return its length, by a row of the table as the bits of one number (Hyyrö 2004)."""
    places: dict[str, int] = {}
    for place, token in enumerate(first):
        places[token] = places.get(token, 0) | 1 << place
    every = (1 << len(first)) - 1
    row = every
    for token in second:
        matches = row & places.get(token, 0)
        row = ((row + matches) | (row - matches)) & every
    return len(first) - row.bit_count()


# Rankings: a rank is 1-based, None where the document was not found.

CUTOFF = 10
"""Ranks beyond it count nothing for MRR and nDCG."""


def recall(ranks: Iterable[int | None], cutoff: int) -> float:
    """Return which share of the relevant documents is ranked within ``cutoff``."""
    found = [rank is not None and rank <= cutoff for rank in ranks]
    return sum(found) / len(found) if found else 0.0


def reciprocal_rank(rank: int | None) -> float:
    """Return 1/rank for a 1-based rank within `CUTOFF`, else 0.0; its mean is MRR@10."""
    return 1 / rank if rank is not None and rank <= CUTOFF else 0.0


def ndcg(ranks: Mapping[str, int | None], grades: Mapping[str, int] | None = None) -> float:
    """Return the normalized discounted cumulative gain, the gains being the grades.

    Args:
        ranks: The ranks of the relevant documents.
        grades: Theirs, above 0; by default each is 1.

    Example:
        >>> round(ndcg({"a": 2}), 3)  # 1 / log2(3)
        0.631
    """
    gains = {name: (grades or {}).get(name, 1) for name in ranks}
    found = {name: rank for name, rank in ranks.items() if rank is not None and rank <= CUTOFF}
    gain = sum(gains[name] / math.log2(rank + 1) for name, rank in found.items())
    best = sorted(gains.values(), reverse=True)[:CUTOFF]
    ideal = sum(grade / math.log2(place + 1) for place, grade in enumerate(best, 1))
    return gain / ideal if ideal else 0.0
