"""Lines → paragraphs and headings: the line breaks undone that only the page's width made."""

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median

from rag_app.documents.pdf.layout import Block
from rag_app.documents.pdf.lines import Fragment, are_fields
from rag_app.documents.pdf.tables.ruled_tables import Table
from rag_app.documents.structure import is_title
from rag_app.documents.text import HAN, SENTENCE_END

_LEADER = r"(?:[.·•․‥…。]\s?)"
LEADERS = re.compile(rf"\s*{_LEADER}{{6,}}\s*(?=\S)")
"""What leads from a heading to its page in a table of contents."""
_ENTRY = re.compile(rf"{_LEADER}{{6}}\s*(?:[A-Z]?-?\d[\d-]*|[ivxlc]+)\s*$")
_FULL = 0.8  # share of a column's width above which a line was broken by the width alone
_FULL_SENTENCE = 0.95
"""The same where the line ends with a sentence, as the last line of a paragraph does."""
_NARROWEST = 7
"""Width of a column, in sizes of the text, that breaks lines; shorter ones are a list's."""
_INDENT = 0.9  # by how much, in sizes of the text, the first line of a paragraph is set in
_APART = 1.5  # distance from the line before, in usual distances, above which a paragraph is new
_LARGER = 1.15  # size of a heading, in sizes of the body
_HEADING_LENGTH = 60
_SMALLER = 0.92  # greatest size of a footnote, in sizes of the body

_ENDS = re.compile(r"[。！？；：…!?;:.][”’」』）)】》\"']*$")
_BEGINS = re.compile(
    r"[-•·・●■◆○*#▪–➢✓❑❖☐□◇★▲\uf06c\uf06e\uf075\uf076\uf0a7\uf0a8\uf0b7\uf0d8\uf0fc]\s"  # Wingdings
    r"|[（(]?[一二三四五六七八九十\d]{1,3}[、.．)）](?!\d)"
    r"|第[一二三四五六七八九十百千零〇两\d]{1,8}[章节条篇部编回卷款]|\u3000|[A-Z图表][\d.]+\s"
)
_ZEROS = re.compile(f"0+(?![年月日号时点分秒])[{HAN}]")
"""The rest of a number, however short the line before it: no number begins so."""
_NOTE = re.compile(r"[\d①-⑳*†‡＊※\[［〔(（]|注")


@dataclass
class Paragraph:
    """Lines that are one paragraph, heading or footnote."""

    lines: list[Fragment] = field(default_factory=list)
    level: int = 0
    """The level of a heading, from 1; 0: it is not one."""
    close: bool = False
    """True where it follows the one before without a space between."""
    open: bool = False
    """True where its last line is full and ends no sentence, so that it may go on."""
    fresh: bool = True
    """True where it begins as a paragraph does, so that it does not go on from the page before."""


def body_size(lines: Iterable[Fragment]) -> float:
    """Return the size of most of the text, in points; 0 where there is none."""
    sizes: Counter[float] = Counter()
    for line in lines:
        sizes[round(line.size * 2) / 2] += len(line.chars)
    return max(sizes, key=lambda size: sizes[size], default=0.0)


def heading_sizes(lines: Sequence[Fragment], body: float) -> list[int]:
    """Return the sizes of headings, the largest first."""
    sizes = Counter(round(line.size) for line in lines if _looks_like_heading(line, body))
    return sorted(sizes, reverse=True)[:5]


def _looks_like_heading(line: Fragment, body: float) -> bool:
    text = line.text
    short = len(text) <= _HEADING_LENGTH and not SENTENCE_END.search(text)
    return bool(body) and short and line.size >= _LARGER * body and any(map(str.isalnum, text))


def paragraphs(block: Block, body: float, headings: Sequence[float]) -> Iterator[Paragraph]:
    """Yield the paragraphs and headings of a block.

    Headings are larger (in points) than the body, or alone in bold type over text that is not.
    """
    found = list(_paragraphs(block, body, headings))
    for paragraph in found:
        paragraph.open = _is_open(paragraph.lines[-1], block) and not paragraph.level
    for paragraph, below in itertools.pairwise(found):
        if _is_bold_title(paragraph, block) and not (below.level or below.lines[0].bold):
            paragraph.level, paragraph.close, paragraph.open = len(headings) + 1, False, False
            below.close = False
    yield from found


def _is_bold_title(paragraph: Paragraph, block: Block) -> bool:
    line = paragraph.lines[0]
    text = line.text.strip()
    alone = len(paragraph.lines) == 1 and not paragraph.level and not _fills(line, block, _FULL)
    return alone and line.bold and is_title(text)


def _paragraphs(block: Block, body: float, headings: Sequence[float]) -> Iterator[Paragraph]:
    leading = _leading(block.lines)
    current: Paragraph | None = None
    for line in block.lines:
        level = 0
        if _looks_like_heading(line, body) and round(line.size) in headings:
            level = list(headings).index(round(line.size)) + 1
        if current and _goes_on(current, line, level, block, leading):
            current.lines.append(line)
            continue
        if current:
            yield current
        close = bool(current and not level and not current.level) and not _is_apart(
            current.lines[-1] if current else line, line, leading
        )
        set_in = _set_in(line, block) > _INDENT * line.size
        fresh = bool(level or set_in or _BEGINS.match(line.text))
        current = Paragraph([line], level, close=close, fresh=fresh)
    if current:
        yield current


def _leading(lines: Sequence[Fragment]) -> float:
    distances = [
        before.top - line.top for before, line in itertools.pairwise(lines) if before.top > line.top
    ]
    return median(distances) if distances else 0.0


def _is_apart(before: Fragment, line: Fragment, leading: float) -> bool:
    distance = before.top - line.top
    return distance > _APART * leading or distance > 3 * line.size


def _goes_on(
    paragraph: Paragraph, line: Fragment, level: int, block: Block, leading: float
) -> bool:
    before = paragraph.lines[-1]
    if level or paragraph.level:
        same = level == paragraph.level and abs(before.size - line.size) < 1
        whole = _fills(before, block, _FULL) or _are_centred(before, line)
        return same and before.bottom - line.top < line.size and whole
    if abs(before.size - line.size) > 0.12 * before.size or _is_apart(before, line, leading):
        return False
    cut_number = before.text[-1:].isdigit() and _ZEROS.match(line.text)
    if cut_number or before.text.endswith("://"):
        return True
    narrow = block.right - block.left < _NARROWEST * line.size
    if narrow or not _fills(before, block, _FULL_SENTENCE if _ENDS.search(before.text) else _FULL):
        return False
    if (
        _BEGINS.match(line.text)
        or are_fields(before.text, line.text)
        or _is_entry(before)
        or (line.text[:1].isdigit() and _is_entry(line))
    ):
        return False
    set_in = _set_in(line, block, before) > _INDENT * line.size
    return not set_in or bool(_BEGINS.match(paragraph.lines[0].text))


def _is_entry(line: Fragment) -> bool:
    """Return whether a line ends an entry of a table of contents."""
    return _ENTRY.search(line.text) is not None


def _are_centred(before: Fragment, line: Fragment) -> bool:
    """Return whether lines of other lengths stand above each other's middle, as titles do."""
    apart = abs(before.left + before.right - line.left - line.right) / 2
    differ = abs(before.left - line.left) > line.size
    return apart < line.size / 2 and differ and not _BEGINS.match(line.text)


def _set_in(line: Fragment, block: Block, before: Fragment | None = None) -> float:
    """Return how far a line begins from its block's edge, or from where the one before begins."""
    if line.is_rtl:
        return min(part.right for part in (block, before) if part) - line.right
    return line.left - max(part.left for part in (block, before) if part)


def _fills(line: Fragment, block: Block, share: float) -> bool:
    if line.is_rtl:
        return block.right - line.left >= share * (block.right - block.left)
    return line.right - block.left >= share * (block.right - block.left)


def _is_open(line: Fragment, block: Block) -> bool:
    ends = SENTENCE_END.search(line.text) or _is_entry(line)
    return _fills(line, block, _FULL) and not ends


def without_footnotes(
    items: Sequence[Block | Table], body: float
) -> tuple[list[Block | Table], list[Fragment]]:
    """Return the blocks and tables of a page without its footnotes, and the footnotes' lines.

    Footnotes are lines in small type at the bottom, the first of which begins with its mark.
    """
    kept: list[Block | Table] = []
    notes: list[Fragment] = []
    for item in items:
        if isinstance(item, Table):
            kept.append(item)
            continue
        start = len(item.lines)
        while start and item.lines[start - 1].size <= _SMALLER * body:
            start -= 1
        while start < len(item.lines) and not _NOTE.match(item.lines[start].text):
            start += 1
        lines = item.lines[start:]
        alone = not any(other is not item for other in items) and start == 0
        lowest = bool(lines) and lines[0].top <= min(
            _bottoms(items, set(map(id, lines))), default=0
        )
        if not lines or alone or not lowest:
            kept.append(item)
            continue
        notes += lines
        if start:
            kept.append(Block(item.lines[:start]))
    return kept, notes


def _bottoms(items: Sequence[Block | Table], without: set[int]) -> Iterator[float]:
    for item in items:
        lines = [item] if isinstance(item, Table) else item.lines
        yield from (line.bottom + 1 for line in lines if id(line) not in without)
