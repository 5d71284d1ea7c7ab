"""Answer metrics as CMRC 2018 defines them, on characters for Han text and words for the rest.

Source: Cui et al. 2019, "A Span-Extraction Dataset for Chinese Machine Reading Comprehension";
exact match and F1 are the best over the gold answers. F1 counts common tokens with multiplicity
(the SQuAD definition) where CMRC's script takes the longest common substring.
"""

import re
from collections import Counter
from collections.abc import Sequence
from unicodedata import normalize

from rag_app.documents.text import HAN

_TOKEN = re.compile(rf"[{HAN}]|[^\W_{HAN}]+")


def tokens(text: str) -> list[str]:
    """Return Han characters and lowercased words; punctuation and spaces are dropped."""
    return _TOKEN.findall(normalize("NFKC", text).lower())


def exact_match(answer: str, gold: Sequence[str]) -> float:
    """Return 1.0 where ``answer`` equals a gold answer token by token, else 0.0."""
    return float(any(tokens(answer) == tokens(wording) for wording in gold))


def f1(answer: str, gold: Sequence[str]) -> float:
    """Return the harmonic mean of token precision and recall, the best over the gold answers."""
    return max((_f1(tokens(answer), tokens(wording)) for wording in gold), default=0.0)


def contains(answer: str, gold: Sequence[str]) -> float:
    """Return 1.0 where ``answer`` holds all tokens of a gold answer in a row, else 0.0."""
    text = "\0".join(["", *tokens(answer), ""])
    return float(
        any("\0".join(["", *tokens(wording), ""]) in text for wording in gold if tokens(wording))
    )


def _f1(answer: Sequence[str], gold: Sequence[str]) -> float:
    common = sum((Counter(answer) & Counter(gold)).values())
    return 2 * common / (len(answer) + len(gold)) if common else 0.0


def reciprocal_rank(rank: int | None, cutoff: int = 10) -> float:
    """Return 1/rank for a 1-based rank within ``cutoff``, else 0.0; its mean is MRR@cutoff."""
    return 1 / rank if rank is not None and rank <= cutoff else 0.0
