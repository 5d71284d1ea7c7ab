"""Where the sentences of a summary stand in its text, and what in them the text lacks."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from rag_app.chains.citations import Citation
from rag_app.chains.facts import Facts
from rag_app.chains.facts.amounts import in_digits
from rag_app.chains.marks import SUPPORT, PassageText, SentenceMarks
from rag_app.documents.text import query_terms

FLAG = "[?]"
"""The mark of a sentence that no passages support."""

MOST_PASSAGES = 3
"""That may support one sentence together: a summary joins what is far apart."""


@dataclass(frozen=True)
class CheckedSentence:
    """A sentence of a summary, and the passages of the text that support it."""

    text: str
    markers: tuple[int, ...] = ()
    """Numbers of the passages; none where it is in other words than the text, or invented."""
    lacking: tuple[str, ...] = ()
    """Numbers and names in it that the text lacks."""

    @property
    def mark(self) -> str:
        """What follows it, such as ``[2][5]``."""
        return "".join(f"[{marker}]" for marker in self.markers) or FLAG


class SummaryMarker(SentenceMarks):
    """Marks the sentences of a summary as it streams, each checked against the text's passages.

    A sentence is marked with the fewest passages that together hold `SUPPORT` of its terms and
    every number and name in it, at most `MOST_PASSAGES`; else it is flagged.

    Example:
        >>> tea = [Citation(1, "tea.txt", "Green tea is steamed."), Citation(2, "tea.txt", "Hot.")]
        >>> marker = SummaryMarker(tea)
        >>> marker.feed("Green tea is steamed. It has 40 mg of caffeine.") + marker.close()
        'Green tea is steamed.[1] It has 40 mg of caffeine.[?]'
        >>> marker.sentences[1].lacking
        ('40',)
    """

    def __init__(self, passages: Sequence[Citation]) -> None:
        super().__init__()
        self._passages = tuple(passages)
        self.sentences: list[CheckedSentence] = []
        """Those that are complete."""

    def mark_of(self, sentence: str) -> str:
        """Return the numbers of the passages that support a sentence, or the flag."""
        wanted = frozenset(query_terms(in_digits(sentence)))
        if not wanted or not self._passages:
            return ""
        self.sentences.append(_checked(sentence.strip(), wanted, _text_of(self._passages)))
        return self.sentences[-1].mark


class _Text:
    """The passages of a text as sentences are checked against them."""

    def __init__(self, passages: Sequence[Citation]) -> None:
        self.passages = [PassageText(passage) for passage in passages]

    @cached_property
    def facts(self) -> Facts:
        return Facts.of("\n".join(passage.text for passage in self.passages))


@lru_cache(maxsize=2)
def _text_of(passages: tuple[Citation, ...]) -> _Text:
    """Return the passages of a text, once for all the summaries of its parts."""
    return _Text(passages)


def _checked(sentence: str, wanted: frozenset[str], text: _Text) -> CheckedSentence:
    plain = in_digits(sentence)
    facts = Facts.of(plain)
    if lacking := facts.lacking_in(text.facts):
        return CheckedSentence(sentence, lacking=tuple(sorted(lacking)))
    held = {passage.marker: passage.held(plain, set(wanted)) for passage in text.passages}
    chosen: list[PassageText] = []
    rest, missing = set(wanted), facts.lacking_in(Facts.of(""))
    while len(chosen) < MOST_PASSAGES:
        best = max(text.passages, key=lambda passage: _brings(passage, facts, missing, held, rest))
        if not _brings(best, facts, missing, held, rest):
            break
        chosen.append(best)
        rest -= held[best.marker]
        missing = facts.lacking_in(Facts.of("\n".join(passage.text for passage in chosen)))
        if not missing and len(wanted) - len(rest) >= SUPPORT * len(wanted):
            return CheckedSentence(sentence, tuple(sorted(passage.marker for passage in chosen)))
    return CheckedSentence(sentence)


def _brings(
    passage: PassageText,
    facts: Facts,
    missing: frozenset[str],
    held: dict[int, set[str]],
    rest: set[str],
) -> int:
    """Return how many of the numbers, names and terms still missing a passage holds."""
    return len(held[passage.marker] & rest) + len(missing - facts.lacking_in(passage.facts))
