"""Running heads, feet and page numbers: lines that come again at the same place of many pages."""

import re
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

from rag_app.documents.pdf.layout import Block
from rag_app.documents.pdf.lines import Fragment
from rag_app.documents.pdf.paragraphs import body_size
from rag_app.documents.pdf.tables.ruled_tables import Table

_EDGE_LINES = 3  # lines from the top and from the bottom of a page that may be running ones
_PLACE = 4.0  # points within which the places of a running line differ from page to page
_SHARE = 0.25  # share of the pages on which a running line stands at least; on three at least
_FEW_PAGES = 5  # up to so many pages, two with the line are enough
_CHAPTERS = 100
_LARGER = 1.15  # size of a title, in sizes of the text
_MOSTLY = 0.8
_NUMBER = re.compile(r"[\dⅰ-ⅿivxlcIVXLC零〇一二三四五六七八九十百]+")
_PAGE_NUMBER = re.compile(r"[\s\-–—·.|/#第页頁共章节page of]*", re.IGNORECASE)

Page = Sequence[Block | Table]


def running_lines(pages: Sequence[Page]) -> tuple[set[int], list[Fragment]]:
    """Return the identities of all running lines, and those that are worth reading, once each."""
    found: dict[tuple[str, str], list[tuple[int, Fragment]]] = defaultdict(list)
    for number, page in enumerate(pages):
        for edge, line in _edge_lines(page):
            found[edge, _NUMBER.sub("#", "".join(line.text.split()))].append((number, line))
    enough = 2 if len(pages) <= _FEW_PAGES else max(3, int(_SHARE * len(pages)))
    body = body_size(line for page in pages for line in lines_of(page))
    running: set[int] = set()
    heads: dict[str, Fragment] = {}
    for (_, text), places in found.items():
        for group in _at_one_place(places):
            if len({number for number, _ in group}) < enough or len(pages) < 2:
                continue
            if not (_PAGE_NUMBER.fullmatch(text) or _counts(group)) or _are_titles(group, body):
                continue
            running.update(id(line) for _, line in group)
            if not _PAGE_NUMBER.fullmatch(text):
                heads.setdefault(_NUMBER.sub("", text), group[0][1])
    return running, list(heads.values())


def _are_titles(group: Sequence[tuple[int, Fragment]], body: float) -> bool:
    """Return whether lines with other numbers on each page are larger than the text (in points)."""
    differ = len({line.text for _, line in group}) > 1
    return differ and min(line.size for _, line in group) > _LARGER * body


def _counts(group: Sequence[tuple[int, Fragment]]) -> bool:
    """Return whether the numbers of a line stay, or count pages or chapters.

    Others are what its pages are about, as the numbers of invoices are.
    """
    places = sorted(group, key=lambda place: place[0])
    numbers = [
        [int(number) for number in _NUMBER.findall(line.text) if number.isdecimal()]
        for _, line in places
    ]
    if len(set(map(len, numbers))) > 1:
        return True
    for slot in zip(*numbers, strict=True):
        steps = [
            (after[0] - before[0], second - first)
            for (before, first), (after, second) in pairwise(zip(places, slot, strict=True))
        ]
        stays = sum(step == 0 for _, step in steps)
        of_pages = sum(step == pages for pages, step in steps)
        of_chapters = sum(0 <= step <= 1 for _, step in steps) if max(slot) < _CHAPTERS else 0
        if max(stays, of_pages, of_chapters) < _MOSTLY * len(steps):  # page numbers may start again
            return False
    return True


def lines_of(page: Page) -> list[Fragment]:
    """Return the lines of a page that are in no table."""
    return [line for item in page if isinstance(item, Block) for line in item.lines]


def _edge_lines(page: Page) -> list[tuple[str, Fragment]]:
    down = sorted(lines_of(page), key=lambda line: -line.top)
    tables = [item for item in page if isinstance(item, Table)]
    top = max((table.top for table in tables), default=float("-inf"))
    bottom = min((table.bottom for table in tables), default=float("inf"))
    first = [("top", line) for line in down[:_EDGE_LINES] if line.bottom >= top - 1]
    last = [("bottom", line) for line in down[-_EDGE_LINES:] if line.top <= bottom + 1]
    return first + last


def _at_one_place(places: Sequence[tuple[int, Fragment]]) -> list[list[tuple[int, Fragment]]]:
    groups: list[list[tuple[int, Fragment]]] = []
    for number, line in sorted(places, key=lambda place: place[1].top):
        if groups and line.top - groups[-1][-1][1].top <= _PLACE:
            groups[-1].append((number, line))
        else:
            groups.append([(number, line)])
    return groups


def without(page: Page, lines: set[int]) -> list[Block | Table]:
    """Return a page without some lines, named by their identities."""
    kept: list[Block | Table] = []
    for item in page:
        if isinstance(item, Table):
            kept.append(item)
        elif left := [line for line in item.lines if id(line) not in lines]:
            kept.append(Block(left))
    return kept
