"""The structure that the lines of a text show: headings with their levels, code, tables."""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import chain, pairwise
from typing import NamedTuple, TypeVar

from rag_app.documents.text import lines_of

_FENCE = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})(.*)")
_MARKDOWN = re.compile(r" {0,3}(#{1,6})[ \t]+(.+)")
_UNDERLINE = re.compile(r" {0,3}(={2,}|-{3,})[ \t]*")
# A short line; a sentence that begins so ends with a mark.
_CHAPTER = re.compile(
    r"[ \t　]{0,8}(第[一二三四五六七八九十百千零〇两\d]{1,8}([章节回卷篇部编集幕])"
    r"[^。！？；，]{0,40})"
)
_CHAPTER_LEVELS = {"部": 12, "编": 12, "集": 12, "卷": 13, "篇": 14, "章": 16, "回": 16, "幕": 16}
_SECTION_LEVEL = 18  # chapters stand below ``#`` (10) and above ``##`` (20)
_NO_TITLE = re.compile(r"[-*+>]\s|.*(?:[|\t。；，,;]|\S {2,}\S)")
"""What is underlined and is not a heading: items of lists, sentences, rows of tables."""
_BOLD_LENGTH = 30
_WORD = re.compile(r"[^\W\d_]{2}")
_NO_BOLD_TITLE = re.compile(r"[。，；、：！？…,;:!?|\n\t_]|[.．]$|^[-•·●■◆○*#▪–]\s")
_NUMBERED = re.compile(r"[(（]?[一二三四五六七八九十百\d]{1,4}[)）]?[、.．]\s*")
"""What numbers a heading, as 二、 does."""
_DOCUMENT_TITLE = re.compile(r"\s*(\S[^\n]{1,59})\n[ \t　]*\n\s*\S")
"""A first line that stands alone, with the beginning of what is below it."""
_OF_A_PART = re.compile(
    r"目\s*[录錄次]|前\s*言|序言?|摘\s*要|引言|contents|abstract|preface|introduction",
    re.IGNORECASE,
)
"""What a part at the beginning of a document is called, which is not its title."""
_DOCUMENT_LEVEL, _MARKED_LEVEL = 5, 10
_TITLE_LENGTH = 120  # characters of a heading that are kept
_UNDERLINED_LENGTH = 60
_RUN_LENGTH = 200
"""Characters of headings that are kept with the text below them: more are an outline."""
_CELL = re.compile(r"(?<!\\)\|")
_HEAD_LENGTH = 300  # characters of the head of a table that are kept
_TEXT = re.compile(r"\S")


class Heading(NamedTuple):
    """A heading; offsets are characters of the text."""

    start: int
    """Where its line begins."""
    end: int
    """Where its last line ends: the underline, where it has one."""
    title: str
    level: int
    """The lower, the higher it is; ``#`` is 10, ``##`` 20."""


class Table(NamedTuple):
    """A table in Markdown; offsets are characters of the text."""

    start: int
    rows: int
    """Where the rows below the head begin."""
    end: int
    head: str
    """The names of its columns, ``name | name``."""


class Run(NamedTuple):
    """Headings without text between them, and where the text below them begins."""

    start: int
    body: int


Block = TypeVar("Block", Table, Run)


class Structure:
    r"""The headings and tables of a text, in order.

    What looks like one in a fenced code block is not one.

    Example:
        >>> structure = Structure("# 水泵\n\n## 保修\n保修两年。")
        >>> structure.path(7), structure.runs
        (['水泵', '保修'], [Run(start=0, body=12)])
        >>> Structure("水泵手册\n\n第一章 保修\n保修两年。").path(6)
        ['水泵手册', '第一章 保修']
    """

    def __init__(self, text: str) -> None:
        self.headings: list[Heading] = []
        self.tables: list[Table] = []
        for found in _blocks(text):
            if isinstance(found, Heading):
                self.headings.append(found)
            else:
                self.tables.append(found)
        if title := _document_title(text, self.headings):
            self.headings.insert(0, title)
        self.runs = list(_runs(text, self.headings))
        self._paths = list(_paths(self.headings))

    def path(self, place: int) -> list[str]:
        """Return the titles of the headings above a place, the highest first.

        Headings that follow upon one at the place itself are among them.
        """
        run = _last_at(self.runs, place)
        limit = run.body - 1 if run and place < run.body else place
        above = bisect_right(self.headings, limit, key=lambda heading: heading.start)
        return [heading.title for heading in self._paths[above - 1]] if above else []

    def table(self, place: int) -> Table | None:
        """Return the table that a place is in, below the beginning of its head."""
        table = _last_at(self.tables, place - 1)
        return table if table and place < table.end else None


def _last_at(blocks: Sequence[Block], place: int) -> Block | None:
    at = bisect_right(blocks, place, key=lambda block: block.start)
    return blocks[at - 1] if at else None


def _blocks(text: str) -> Iterator[Heading | Table]:
    """Yield headings and tables in one pass over the lines."""
    fence, before, alone = "", "", True  # alone: the line before begins its paragraph
    table: Table | None = None
    start, at = 0, 0
    for line, below in pairwise(chain(lines_of(text), [""])):
        above, start, at = start, at, at + len(line) + 1
        if table and not fence and "|" in line:
            table = table._replace(end=start + len(line))
            continue
        if table:
            yield table
            table, before = None, ""
        mark = _FENCE.fullmatch(line)
        if fence or mark:
            fence = _fence_after(fence, mark)
            before, alone = "", True
            continue
        if underlined := _underlined(before, line) if alone else 0:
            yield Heading(above, start + len(line), _title(before), underlined)
            before = ""
            continue
        titled = not before.strip() and _underlined(line, below) > 0
        if heading := _heading(line, start, titled=titled):
            yield heading
            before = ""
            continue
        if _is_ruler(line) and "|" in before:
            table = Table(above, at, start + len(line), _table_head(before))
            continue
        alone = not before.strip()
        before = line
    if table:
        yield table


def _fence_after(fence: str, mark: re.Match[str] | None) -> str:
    """Return the marks that the code block is opened with after a line; empty outside of one."""
    if not mark:
        return fence
    if not fence:
        return mark[1]
    closes = mark[1].startswith(fence) and not mark[2].strip()
    return "" if closes else fence


def is_title(text: str) -> bool:
    """Return whether a line that stands out, as in bold type, may be a heading.

    Those of chapters are recognized by their words, with their levels.

    Example:
        >>> [is_title(text) for text in ("二、验收", "合计", "单价：", "第一章 总则", "5.20")]
        [True, True, False, False, False]
    """
    named = text[number.end() :] if (number := _NUMBERED.match(text)) else text
    return 1 < len(text) <= _BOLD_LENGTH and _has_form_of_title(named)


def _has_form_of_title(text: str) -> bool:
    """Return whether words are neither a sentence nor a chapter's heading."""
    says = _WORD.search(text) is not None and not _NO_BOLD_TITLE.search(text)
    return says and not _CHAPTER.fullmatch(text)


def _document_title(text: str, headings: Sequence[Heading]) -> Heading | None:
    """Return the first line of a text that marks no title of its own, if it is one by its form."""
    found = _DOCUMENT_TITLE.match(text)
    if not found or any(
        heading.level <= _MARKED_LEVEL or heading.start <= found.start(1) for heading in headings
    ):
        return None
    title = found[1].strip()
    if _NUMBERED.match(title) or title[0].islower() or _OF_A_PART.fullmatch(title):
        return None
    if not _has_form_of_title(title):
        return None
    return Heading(found.start(1), found.end(1), title, _DOCUMENT_LEVEL)


def _heading(line: str, start: int, *, titled: bool) -> Heading | None:
    """Return the heading that a line is by itself; ``titled`` if that below makes it one."""
    if markdown := _MARKDOWN.fullmatch(line):
        title, level = _title(markdown[2]), 10 * len(markdown[1])
    elif not titled and (chapter := _CHAPTER.fullmatch(line)):
        title, level = _title(chapter[1]), _CHAPTER_LEVELS.get(chapter[2], _SECTION_LEVEL)
    else:
        return None
    return Heading(start, start + len(line), title, level) if title else None


def _underlined(title: str, line: str) -> int:
    """Return the level that a line of ``=`` or ``-`` makes of the line above it; 0 for none."""
    rule = _UNDERLINE.fullmatch(line)
    if not rule or len(title) > _UNDERLINED_LENGTH or not _title(title):
        return 0
    return 0 if _NO_TITLE.match(title.strip()) else 10 if rule[1][0] == "=" else 20


def _title(line: str) -> str:
    return line.replace("`", "").strip().rstrip("#").strip(" \t　*_")[:_TITLE_LENGTH]


def _is_ruler(line: str) -> bool:
    """Return whether a line parts the head of a table from its rows: ``|---|:-:|``."""
    return "|" in line and "-" in line and not line.strip("|:- \t")


def _table_head(line: str) -> str:
    cells = [" ".join(cell.split()) for cell in _CELL.split(line.strip().strip("|"))]
    return " | ".join(cells)[:_HEAD_LENGTH] if any(cells) else ""


def _runs(text: str, headings: Sequence[Heading]) -> Iterator[Run]:
    run: Run | None = None
    for heading in headings:
        if run and (heading.start > run.body or heading.end - run.start > _RUN_LENGTH):
            yield run
            run = None
        found = _TEXT.search(text, heading.end)
        body = found.start() if found else len(text)
        run = Run(run.start if run else heading.start, body)
    if run:
        yield run


def _paths(headings: Sequence[Heading]) -> Iterator[tuple[Heading, ...]]:
    """Yield for each heading those that it is under, and itself."""
    path: tuple[Heading, ...] = ()
    for heading in headings:
        path = (*(above for above in path if above.level < heading.level), heading)
        yield path
