"""reStructuredText → Markdown: headings, code, notes and tables; without comments and targets."""

import csv
import itertools
import re
from collections.abc import Iterator, Sequence
from unicodedata import east_asian_width

from rag_app.documents.tables import table_lines
from rag_app.documents.tables.cells import Continued, Covered
from rag_app.documents.text import clean, one_blank_line

_RULE = re.compile(r"([!-/:-@\[-`{-~])\1{2,}\s*")
_EXPLICIT = re.compile(r"\s*\.\.(?:\s+(.*))?")
_DIRECTIVE = re.compile(r"(?:\|[^|]+\|\s+)?([\w:+.-]+)::\s*(.*)")
_SUBSTITUTION = re.compile(r"^\s*\.\. \|([^|\n]{1,80})\|[ \t]+replace::[ \t]*(\S.*)$", re.MULTILINE)
_MOST_SUBSTITUTIONS = 200
_OPTION = re.compile(r"\s*:([\w-]+):\s*(.*)")
_NOTE = re.compile(r"\[(#?[^\]]*)\]\s+(.*)")
_CODE = frozenset(
    {"code", "code-block", "sourcecode", "parsed-literal", "prompt", "literalinclude"}
)
_SILENT = frozenset({
    "toctree", "contents", "raw", "meta", "index", "image", "include", "highlight",
    "sectnum", "default-role", "role", "currentmodule", "module", "header", "footer",
    "target-notes", "replace", "unicode", "date",
})  # fmt: skip
"""Directives whose text is not for readers, or lies elsewhere."""
_UNNAMED = frozenset({"figure", "container", "class", "only", "glossary"})
"""Directives of which only the text is printed."""
_TITLED = frozenset(
    {"table", "list-table", "csv-table", "rubric", "admonition", "topic", "sidebar", "title"}
)
"""Directives whose argument is a title, and not the address of something."""
_ROLE = re.compile(r":[\w:+.-]+:`([^`<]{0,300}?)\s{0,9}(?:<[^`>]{0,500}>)?`")
_REFERENCE = re.compile(r"`([^`<]{1,300}?)\s{0,9}<[^`>]{1,500}>`__?|`([^`]+)`__?(?!\w)")
_NOTE_MARK = re.compile(r"(?<![\w`])(\[[\w#*.-]{1,40}\])_(?!\w)")
_MATH = re.compile(r":math:`([^`]*)`")
_LIST_ITEM = re.compile(r"(\s*)[*-]\s+-\s?(.*)|(\s+)-\s?(.*)")
_GRID = re.compile(r"\s*\+[-=+]{2,}\+\s*")
_LONGEST_TABLE = 500  # lines
_MOSTLY_RULE = 0.8
"""Share of a line of a table from which on it is a rule, of which a sign may be damaged."""
_SIMPLE = re.compile(r"\s*={2,}(?:\s+={2,})+\s*")
_FILLER = "\0"  # the second column of a wide character


def restructured_markdown(text: str) -> str:
    r"""Return what a reStructuredText file says.

    Example:
        >>> restructured_markdown("手册\n====\n\n.. 草稿\n\n.. note:: 断电。\n\n:ref:`附录 <a>`")
        '# 手册\n\nnote: 断电。\n\n附录'
    """
    text = text.expandtabs()
    said = "\n".join(_Restructured().lines(text.split("\n")))
    for name, words in _SUBSTITUTION.findall(text)[:_MOST_SUBSTITUTIONS]:
        said = said.replace(f"|{name}|", _inline(words))
    return one_blank_line(clean(said))


class _Restructured:
    """What is known of one file: the kinds of its headings, the highest first."""

    def __init__(self) -> None:
        self._kinds: list[str] = []

    def lines(self, lines: list[str]) -> Iterator[str]:
        at = 0
        while at < len(lines):
            line = lines[at]
            below = lines[at + 1] if at + 1 < len(lines) else ""
            if _is_over(line, below, lines[at + 2] if at + 2 < len(lines) else ""):
                yield self._heading(below, line[0] * 2)
                at += 3
            elif _is_under(line, below) and not _RULE.fullmatch(line):
                yield self._heading(line, below[0])
                at += 2
            elif _GRID.fullmatch(line) or _SIMPLE.fullmatch(line):
                end = _end_of_table(lines, at)
                yield from ("", *_drawn_table(lines[at:end]), "")
                at = end
            elif explicit := _EXPLICIT.fullmatch(line):
                end = _end_of_block(lines, at)
                yield from self._explicit(explicit[1] or "", lines[at + 1 : end])
                at = end
            elif line.rstrip().endswith("::"):
                end = _end_of_block(lines, at)
                yield from (_inline(line.rstrip()[:-1]).removesuffix(" :").removeprefix(":"), "")
                yield from _fenced(lines[at + 1 : end], "")
                at = end
            else:
                yield "" if _RULE.fullmatch(line) else _inline(line)
                at += 1

    def _heading(self, title: str, kind: str) -> str:
        if kind not in self._kinds:
            self._kinds.append(kind)
        return f"\n{'#' * min(self._kinds.index(kind) + 1, 6)} {_inline(title.strip())}\n"

    def _explicit(self, first: str, block: list[str]) -> Iterator[str]:
        """Yield what a directive or footnote says; targets and comments say nothing."""
        if note := _NOTE.match(first):
            yield f"[{note[1]}] {_inline(' '.join([note[2], *map(str.strip, block)]))}\n"
        if not (directive := _DIRECTIVE.fullmatch(first)):
            return
        name, argument = directive[1].lower(), directive[2]
        head: list[list[str]] = []
        while block and (option := _OPTION.fullmatch(block[0])):
            head += _csv([option[2]]) if option[1] == "header" else []
            block = block[1:]
        block = _dedented(block)
        if name in _SILENT:
            return
        if name in _CODE:
            yield from _fenced(block, argument if name != "literalinclude" else "")
        elif name == "math":
            yield f"$${' '.join([argument, *block]).strip()}$$\n"
        elif name in {"csv-table", "list-table"}:
            rows = [*head, *_csv(block)] if name[0] == "c" else _listed(block)
            yield from (_inline(argument), "", *table_lines(rows, head=len(head)), "")
        else:
            title = (
                argument if name in _TITLED else f"{name}: {argument}" if argument else f"{name}:"
            )
            yield "" if name in _UNNAMED else _inline(title)
            yield from ("", *self.lines(block), "")


def _inline(text: str) -> str:
    text = _ROLE.sub(r"\1", _MATH.sub(r"$\1$", text))
    text = _REFERENCE.sub(lambda reference: reference[1] or reference[2], text)
    return _NOTE_MARK.sub(r"\1", text).replace("\\ ", "")


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _is_under(title: str, rule: str) -> bool:
    """Return whether a line is a heading by the one below it; Han may be counted as one."""
    written = bool(title.strip()) and not title.startswith((" ", "..", "+", "|"))
    return written and bool(_RULE.fullmatch(rule)) and len(rule.rstrip()) >= len(title.rstrip())


def _is_over(rule: str, title: str, under: str) -> bool:
    same = rule.rstrip() == under.rstrip() and bool(_RULE.fullmatch(rule))
    return same and bool(title.strip()) and len(title.strip()) <= len(rule.rstrip())


def _end_of_block(lines: list[str], at: int) -> int:
    """Return where the lines end that are indented below one."""
    indent, end = _indent(lines[at]), at + 1
    while end < len(lines) and (not lines[end].strip() or _indent(lines[end]) > indent):
        end += 1
    return end


def _dedented(block: list[str]) -> list[str]:
    indent = min((_indent(line) for line in block if line.strip()), default=0)
    return [line[indent:] for line in block]


def _fenced(block: list[str], language: str) -> Iterator[str]:
    code = "\n".join(_dedented(block)).strip("\n")
    yield from [f"```{language}", code, "```", ""] if code else []


def _csv(lines: list[str]) -> list[list[str]]:
    rows = csv.reader(lines, skipinitialspace=True)
    return [[_inline(cell) for cell in row] for row in rows if row]


def _listed(block: list[str]) -> list[list[str]]:
    """Return the rows of a list of lists."""
    rows: list[list[str]] = []
    for line in block:
        if (item := _LIST_ITEM.fullmatch(line)) and (item[1] is not None or rows):
            if item[1] is not None:
                rows.append([])
            rows[-1].append(_inline(item[2] if item[1] is not None else item[4]))
        elif rows and line.strip():
            rows[-1][-1] += f" {_inline(line.strip())}"
    return rows


def _end_of_table(lines: list[str], at: int) -> int:
    """Return where a table ends: at a blank line, of a simple one below its last rule.

    That is the third one, or the second where a blank line follows.
    """
    if _SIMPLE.fullmatch(lines[at]) and (end := _end_of_simple_table(lines, at)):
        return end
    end = at
    while end < len(lines) and lines[end].strip() and not lines[end].startswith(".. "):
        end += 1
    return end


def _end_of_simple_table(lines: list[str], at: int) -> int:
    """Return where a table ends whose rules have no corners, 0 where none of them closes it."""
    below = 0
    indent = _indent(lines[at])
    for end in range(at + 1, min(at + _LONGEST_TABLE, len(lines))):
        explicit = _EXPLICIT.fullmatch(lines[end]) if _indent(lines[end]) <= indent else None
        if explicit and _DIRECTIVE.fullmatch(explicit[1] or ""):  # in no cell
            break
        if _SIMPLE.fullmatch(lines[end]):
            below += 1
            if below == 2 or end + 1 == len(lines) or not lines[end + 1].strip():
                return end + 1
    return 0


def _drawn_table(lines: list[str]) -> Iterator[str]:
    """Yield the lines of a table drawn in characters; one whose lines don't meet is a drawing."""
    if not any("+--" in row and not _GRID.fullmatch(row) for row in lines):
        yield from table_lines(_rows(lines))
    elif rows := _grid_rows(lines):
        above = itertools.takewhile(lambda line: "+=" not in line, lines)
        head = sum("+-" in line for line in above)
        yield from table_lines(rows, head=head if head < len(rows) else 0)
    else:
        yield from lines


def _rows(lines: list[str]) -> list[list[str]]:
    """Return the rows of a table drawn in characters, whose columns its rules show."""
    rule = lines[0]
    grid = "+" in rule
    starts = [mark.start() for mark in re.finditer(r"(?<=\+)[-=+]" if grid else "=+", rule)]
    rows: list[list[str]] = [[]]
    for line in lines:
        if (_GRID if grid else _SIMPLE).fullmatch(line) or _is_damaged_rule(line):
            rows.append([])
            continue
        cells = [cell.strip() for cell in _cut(line, starts)]
        cells = [cell.strip("|").strip() for cell in cells] if grid else cells
        if rows[-1] and (grid or not cells[0]):
            rows[-1] = [
                f"{before} {more}".strip() for before, more in zip(rows[-1], cells, strict=True)
            ]
        elif grid or not rows[-1]:
            rows[-1] = cells
        else:
            rows.append(cells)
    return [[_inline(cell) for cell in row] for row in rows if row]


def _is_damaged_rule(line: str) -> bool:
    signs = "".join(line.split())
    return sum(sign in "=-+" for sign in signs) > _MOSTLY_RULE * len(signs)


def _cut(line: str, starts: list[int]) -> list[str]:
    """Return a line's pieces from one column to the next; Han take two."""
    pieces = [""] * len(starts)
    column = piece = 0
    for char in line:
        while piece + 1 < len(starts) and column >= starts[piece + 1]:
            piece += 1
        pieces[piece] += char
        column += 2 if east_asian_width(char) in "WF" else 1
    return pieces


def _grid_rows(lines: Sequence[str]) -> list[list[str]]:
    """Return the rows of a grid of ``+``, ``-`` and ``|``; [] if its lines don't meet.

    Source: docutils, reStructuredText's grid tables; wide characters take two columns.

    Example:
        >>> _grid_rows(["+---+---+", "| A | B |", "|   +---+", "|   | C |", "+---+---+"])
        [['A', 'B'], ['A', 'C']]
    """
    spread = [_spread(line.strip()) for line in lines]
    width = len(spread[0])
    if any(len(line) != width for line in spread):
        return []
    ys = [at for at, line in enumerate(spread) if "+-" in line or "+=" in line]
    xs = sorted({at for y in ys for at, char in enumerate(spread[y]) if char == "+"})
    rows: list[list[str]] = [[""] * (len(xs) - 1) for _ in ys[1:]]
    filled: set[tuple[int, int]] = set()
    for row in range(len(rows)):
        for column in range(len(xs) - 1):
            if (row, column) in filled:
                continue
            right = _end_across(spread, xs, column, ys[row] + 1)
            bottom = _end_down(spread, ys, row, xs[column] + 1)
            if not right or not bottom:
                return []
            parts = (line[xs[column] + 1 : xs[right]] for line in spread[ys[row] + 1 : ys[bottom]])
            text = " ".join(filter(None, (part.replace(_FILLER, "").strip() for part in parts)))
            for y in range(row, bottom):
                for x in range(column, right):
                    kind = Covered if x > column else Continued if y > row else str
                    rows[y][x] = kind(text)
                    filled.add((y, x))
    return rows


def _spread(line: str) -> str:
    """Return a line whose characters each stand in their column."""
    return "".join(char + _FILLER * (east_asian_width(char) in "WF") for char in line)


def _end_across(spread: Sequence[str], xs: Sequence[int], column: int, y: int) -> int:
    """Return at which of the places a cell ends, 0 if nowhere."""
    places = range(column + 1, len(xs))
    return next((at for at in places if spread[y][xs[at]] in "|+"), 0)


def _end_down(spread: Sequence[str], ys: Sequence[int], row: int, x: int) -> int:
    places = range(row + 1, len(ys))
    return next((at for at in places if spread[ys[at]][x] in "-="), 0)
