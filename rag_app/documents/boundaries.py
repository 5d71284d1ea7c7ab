"""Where Chinese and English text can be cut: paragraphs, lines, sentences, clauses, spaces, words.

Every kind of boundary is found in one pass over the text, so that splitting takes linear time.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from enum import IntEnum

import regex

from rag_app.documents.text import HAN

_CLOSING = "”’」』）】》〉〕\\])"
# What belongs to the character before it: combining marks, variation selectors, joiners.
_MARKS = "\u0300-\u036f\u200d\u20e3\ufe00-\ufe0f"

# A short line; a sentence that begins so ends with a mark.
_CHAPTER = r"第[一二三四五六七八九十百千零〇两\d]{1,8}[章节回卷篇部编集幕][^\n。！？；，]{0,40}"
_HEADING = re.compile(
    rf"^(?P<fence>[ ]{{0,3}}(?:```|~~~))|^[ ]{{0,3}}#{{1,6}}[ \t]+(?P<markdown>[^\n]+)"
    rf"|^[ \t　]{{0,8}}(?P<chapter>{_CHAPTER})$",
    re.MULTILINE,
)
_HEADING_LENGTH = 120
"""Characters of a heading that are kept."""


class Kind(IntEnum):
    """Kinds of boundaries, the best first."""

    HEADING = 0
    PARAGRAPH = 1
    LINE = 2
    SENTENCE = 3
    CLAUSE = 4
    SPACE = 5


_PATTERNS = {
    Kind.PARAGRAPH: re.compile(r"\n[^\S\n]*\n\s*"),
    Kind.LINE: re.compile(r"\n\s*"),
    Kind.SENTENCE: re.compile(
        rf"(?:[。！？；…]|(?<=[{HAN}])[!?;]|(?<!^\d)(?<!^\d\d)[.!?](?=[\"'{_CLOSING}]*(?:\s|$)))"
        rf"[。！？；…!?]*(?:[{_CLOSING}]|[\"'](?=\s|$))*(?![{_MARKS}])",
        re.MULTILINE,
    ),
    Kind.CLAUSE: re.compile(
        rf"(?:(?<!\d)[，：]|[，：](?!\d)|、|[,:;](?=\s))[{_CLOSING}]*(?![{_MARKS}])"
    ),
    Kind.SPACE: re.compile(rf"\s+(?![{_MARKS}])"),
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
_AHEAD = 64
"""Characters beyond a limit in which a piece is followed; what is longer is no word."""


class Boundaries:
    """The places at which one text can be cut, by kind; each a character offset."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.headings = list(headings(text))
        self._places = {
            kind: [match.end() for match in pattern.finditer(text)]
            for kind, pattern in _PATTERNS.items()
        }
        self._places[Kind.HEADING] = [place for place, _ in self.headings]

    def last(self, kind: Kind, low: int, high: int) -> int | None:
        """Return the last boundary of a kind with ``low <= place <= high``."""
        places = self._places[kind]
        at = bisect_right(places, high) - 1
        return places[at] if at >= 0 and places[at] >= low else None

    def first(self, kinds: Sequence[Kind], low: int, high: int) -> int | None:
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


def headings(text: str) -> "list[tuple[int, str]]":
    """Return ``(offset of its line, title)`` of each Markdown or chapter heading.

    What looks like one in a fenced code block is none.
    """
    found = []
    fenced = False
    for match in _HEADING.finditer(text):
        if match["fence"]:
            fenced = not fenced
        elif not fenced:
            title = (match["markdown"] or match["chapter"]).strip().rstrip("#")
            found.append((match.start(), title.strip(" \t　*_`")[:_HEADING_LENGTH]))
    return [(place, title) for place, title in found if title]
