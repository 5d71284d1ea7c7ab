"""Boundaries of Chinese and English text: paragraphs, lines, sentences, clauses, spaces, words.

Every kind of boundary is found in one pass over the text, so that splitting takes linear time.
"""

import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum

import regex

from rag_app.documents.structure import Structure
from rag_app.documents.text import HAN

_CLOSING = "”’」』）】》〉〕\\])"
# What belongs to the character before it: combining marks, variation selectors, joiners.
_MARKS = "\u0300-\u036f\u200d\u20e3\ufe00-\ufe0f"


class BoundaryKind(IntEnum):
    """Kinds of boundaries, the best first."""

    HEADING = 0
    PARAGRAPH = 1
    LINE = 2
    SENTENCE = 3
    CLAUSE = 4
    SPACE = 5


_PATTERNS = {
    BoundaryKind.PARAGRAPH: re.compile(r"\n[^\S\n]*\n\s*"),
    BoundaryKind.LINE: re.compile(r"\n\s*"),
    BoundaryKind.SENTENCE: re.compile(
        rf"(?:[。！？；…]|(?<=[{HAN}])[!?;]|(?<!^\d)(?<!^\d\d)[.!?](?=[\"'{_CLOSING}]*(?:\s|$)))"
        rf"[。！？；…!?]*(?:[{_CLOSING}]|[\"'](?=\s|$))*(?![{_MARKS}])",
        re.MULTILINE,
    ),
    BoundaryKind.CLAUSE: re.compile(
        rf"(?:(?<!\d)[，：]|[，：](?!\d)|、|[,:;](?=\s))[{_CLOSING}]*(?![{_MARKS}])"
    ),
    BoundaryKind.SPACE: re.compile(rf"\s+(?![{_MARKS}])"),
}
"""A chunk may end after the match."""

# What should stay whole: a number with its unit, a word, an address, one visible character.
_PIECE = regex.compile(
    r"[¥￥$€£第约]?[+\-−]?\d+(?:[.,:/：．\-]\d+)*(?:[A-Za-z%％‰℃°]+|[年月日号时點点分秒岁元万亿千百十个人次倍米]{1,2})?"
    r"|[零〇一二三四五六七八九十百千万亿两]{2,}[年月日号时分秒岁元个人次倍]?"
    r"|[\p{Latin}\p{Cyrillic}\p{Greek}\d][\p{Latin}\p{Cyrillic}\p{Greek}\p{M}\d]*"
    r"(?:['’\-_.@/:&+#=?%]+[\p{Latin}\p{Cyrillic}\p{Greek}\d][\p{Latin}\p{Cyrillic}\p{Greek}\p{M}\d]*)*"
    # Not \X, which takes quadratic time on flags: Unicode's grapheme clusters, simplified.
    r"|(?:\p{Regional_Indicator}{2}|[\u1100-\u115f]+[\u1160-\u11a7]*[\u11a8-\u11ff]*|[\s\S])"
    r"(?:[\p{M}\p{Emoji_Modifier}\u200c\u200d]|(?<=\u200d)\p{Extended_Pictographic})*"
)
_AHEAD = 64  # characters beyond a limit in which a piece is followed; what is longer is not a word


_HEAD = 300  # characters of the head of a table that are kept with its first row


class Boundaries:
    """The places at which one text can be cut, by kind; each a character offset.

    Headings without text between them are one boundary. Between a heading and its text, and
    between the head of a table and its first row, there is none.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.structure = Structure(text)
        tables = [table for table in self.structure.tables if table.rows - table.start < _HEAD]
        heads = [(run.start, run.body) for run in self.structure.runs]
        heads += [(table.start, table.rows) for table in tables]
        heads.sort()
        self._places = {
            kind: array("I", _outside(heads, (match.end() for match in pattern.finditer(text))))
            for kind, pattern in _PATTERNS.items()
        }
        self._places[BoundaryKind.HEADING] = array("I", (run.start for run in self.structure.runs))

    def last(self, kind: BoundaryKind, low: int, high: int) -> int | None:
        """Return the last boundary of a kind with ``low <= place <= high``."""
        places = self._places[kind]
        at = bisect_right(places, high) - 1
        return places[at] if at >= 0 and places[at] >= low else None

    def first(self, kinds: Sequence[BoundaryKind], low: int, high: int) -> int | None:
        """Return the first boundary of any of the kinds with ``low <= place < high``."""
        found = []
        for kind in kinds:
            places = self._places[kind]
            at = bisect_left(places, low)
            if at < len(places) and places[at] < high:
                found.append(places[at])
        return min(found, default=None)

    def last_whole(self, start: int, low: int, high: int) -> int | None:
        """Return the last place in ``low..high`` that cuts no word, number or visible character.

        Args:
            start: A boundary at or before ``low`` from which pieces are followed.
            low: Smallest place.
            high: Greatest place.
        """
        best = None
        for piece in _PIECE.finditer(self.text, start, min(high + _AHEAD, len(self.text))):
            if piece.end() > high:
                break
            best = piece.end()
        return best if best is not None and best >= low else None

    def first_whole(self, start: int, low: int, high: int) -> int | None:
        """Return the first place with ``low <= place < high`` that cuts nothing whole."""
        for piece in _PIECE.finditer(self.text, start, min(high + _AHEAD, len(self.text))):
            if piece.end() >= low:
                return piece.end() if piece.end() < high else None
        return None


def _outside(spans: Sequence[tuple[int, int]], places: Iterable[int]) -> Iterator[int]:
    """Yield the places, ascending, that are in none of the spans ``(start, end]``."""
    waiting = iter(spans)
    start, end = next(waiting, (0, -1))
    for place in places:
        while end >= 0 and place > end:
            start, end = next(waiting, (0, -1))
        if not start < place <= end:
            yield place
