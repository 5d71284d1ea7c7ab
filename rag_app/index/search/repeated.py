"""Passages that repeat each other, of which one is enough."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property

from rag_app.index.store.records import ChunkRecord
from rag_app.index.store.terms import fold

_LETTERS = re.compile(r"[^\W_]+")
_TELLING = re.compile(
    r"\d+(?:[.,:]\d+)*|[a-z]+|[零〇一二三四五六七八九十百千万亿两半不未无非没禁勿免]"
    r"|(?<=[:：])[^\n]{1,10}"
)
"""Numbers, Latin words, negations and what is after a colon: with another one, a passage says
something else."""
_ALIKE = 0.85
"""Share of their pairs of letters that two passages have in common where they say the same; one
letter of 40 changes two pairs in each."""


@dataclass
class _Passage:
    """A passage, and the documents that repeat it."""

    chunk: ChunkRecord
    copies: dict[str, None] = field(default_factory=dict)

    @cached_property
    def folded(self) -> str:
        return fold(self.chunk.text)

    @cached_property
    def letters(self) -> str:
        return "".join(_LETTERS.findall(self.folded))

    @cached_property
    def pairs(self) -> set[str]:
        return {self.letters[at : at + 2] for at in range(len(self.letters) - 1)}

    @cached_property
    def telling(self) -> list[str]:
        return _TELLING.findall(self.folded)

    def says_the_same(self, other: "_Passage") -> bool:
        if self.letters == other.letters:
            return True
        shorter, longer = sorted((len(self.letters), len(other.letters)))
        if shorter < _ALIKE * longer or self.telling != other.telling:
            return False
        return len(self.pairs & other.pairs) >= _ALIKE * len(self.pairs | other.pairs)

    def record(self) -> ChunkRecord:
        if not self.copies:
            return self.chunk
        return replace(self.chunk, extra={**self.chunk.extra, "copies": list(self.copies)})


def apart(chunks: Iterable[ChunkRecord], k: int) -> list[ChunkRecord]:
    """Return the first ``k`` chunks that don't repeat an earlier one.

    One that mostly is the same place of the same document is left out. One that says the same in
    another document is too, and the earlier one's metadata name that document in ``copies``.
    """
    kept: list[_Passage] = []
    for chunk in chunks:
        new = _Passage(chunk)
        if any(_is_the_place_of(chunk, better.chunk) for better in kept):
            continue
        elsewhere = (better for better in kept if better.chunk.source != chunk.source)
        copied = next((better for better in elsewhere if new.says_the_same(better)), None)
        if copied:
            copied.copies[chunk.source] = None
        elif len(kept) < k:
            kept.append(new)
    return [passage.record() for passage in kept]


def _is_the_place_of(chunk: ChunkRecord, other: ChunkRecord) -> bool:
    start, end = max(chunk.start, other.start), min(chunk.end, other.end)
    if chunk.source != other.source or 2 * (end - start) <= min(len(chunk.text), len(other.text)):
        return False
    # Texts that a LangChain user added under one source may all begin at 0.
    return _between(chunk, start, end) == _between(other, start, end)


def _between(chunk: ChunkRecord, start: int, end: int) -> str:
    return chunk.text[start - chunk.start : end - chunk.start]
