"""Org mode → Markdown: headings, code and links; without drawers, settings and comments."""

import re
from collections.abc import Iterator

from rag_app.documents.tables import table_lines
from rag_app.documents.text import clean, one_blank_line

_HEADING = re.compile(r"(\*+)\s+(?:(TODO|DONE)\s+)?(?:\[#[A-Z]\]\s*)?(.*?)(?:\s{1,80}:[\w@#%:]+:)?")
_KEYWORD = re.compile(r"\s*#\+(\w+)(?:\[[^\]]*\])?:\s*(.*)", re.IGNORECASE)
_SHOWN = {"title": "# ", "subtitle": "", "author": "", "date": "", "caption": "", "description": ""}
"""Settings that are printed."""
_BLOCK = re.compile(r"\s*#\+(begin|end)_(\w+)\s*([\w+-]*).*", re.IGNORECASE)
_CODE, _SILENT = frozenset({"src", "example"}), frozenset({"comment", "export"})
_COMMENT = re.compile(r"\s*#(?:\s.*)?")
_DRAWER = re.compile(r"\s*:(?!END:)(\w+):\s*", re.IGNORECASE)
_DRAWER_END = ":END:"
_PROPERTY = re.compile(r"\s*:[A-Z][A-Z_]+(?::[A-Z_:]*(?:\s.*)?)?|\s*#\+.*")
"""A property whose drawer has lost its beginning or its end, or a setting that is damaged."""
_MARK = "(?:PROPERTIES|LOGBOOK|END)"
_CUT_DRAWER = re.compile(
    rf"(?<=\S) {{0,9}}:{_MARK}: {{0,9}}$|^(?!:\w+: {{0,9}}$):{_MARK}[A-Z_]*:?"
    r"|(?:^|(?<=\S) {0,9}:)[A-Z_]{1,40}: .*(?=\n(?::\w+: .*\n){0,30}:END:$)",
    re.MULTILINE,
)
"""A mark of a drawer that shares its line, and a property above others whose own mark is lost."""
_JOINED = re.compile(r"(?<=[^\n,=~\"'`])(?=#\+(?:[A-Z_]{3,20}:\s|(?:BEGIN|END)_[A-Z]))")
"""Where a line is joined to a setting, since its end is lost."""
_PLANNING = re.compile(r"\s*(?:CLOSED|DEADLINE|SCHEDULED|CLOCK):\s*[\[<].*")
_PLANNED = re.compile(r"(DEADLINE|SCHEDULED):\s*<(\d{4}-\d\d-\d\d[^<>]*)>")
"""The day of an entry, which its reader goes by; when it was written or closed says less."""
_LINK = re.compile(r"\[\[([^\]\[]{0,1000})\](?:\[((?:[^\]]|\](?!\])){0,1000})\])?\]")
_PICTURE = re.compile(r"(?:file:|\./|/)\S+\.(?:png|jpe?g|gif|svg|webp)", re.IGNORECASE)
_RULE = re.compile(r"\s*\|[-+|]+\s*")


def org_markdown(text: str) -> str:
    r"""Return what an Org file says.

    Example:
        >>> org_markdown("* TODO 检修 :泵:\n:PROPERTIES:\n:ID: 7\n:END:\n见[[https://a.cn][手册]]。")
        '# TODO 检修\n\n见手册。'
    """
    text = _CUT_DRAWER.sub("", _JOINED.sub("\n", text))
    return one_blank_line(clean("\n".join(_lines(text.split("\n")))))


def _lines(lines: list[str]) -> Iterator[str]:
    last = {_ends(line): at for at, line in enumerate(lines)}
    at = 0
    while at < len(lines):
        line, start, at = lines[at], at, at + 1
        if mark := _BLOCK.fullmatch(line):
            kind = mark[2].lower()
            if mark[1].lower() == "begin" and kind in _CODE | _SILENT:
                end, at = _end_of_block(lines, at, kind, last)
                code = [f"```{mark[3]}", *lines[start + 1 : end], "```"]
                yield from code if kind in _CODE else []
        elif _DRAWER.fullmatch(line):
            at = _end_of_drawer(lines, start, last) + 1
        elif _is_row(line):
            while at < len(lines) and _is_row(lines[at]):
                at += 1
            yield from _table(lines[start:at])
        else:
            yield from _plain(line)


def _is_row(line: str) -> bool:
    return line.lstrip().startswith("|")


def _end_of_block(lines: list[str], at: int, kind: str, last: dict[str, int]) -> tuple[int, int]:
    """Return where a block ends and where the text goes on.

    One that is never closed, before the next heading, ends with its paragraph, or at a property.

    Args:
        lines: All.
        at: Where its content begins.
        kind: Of block, in small letters.
        last: Where the last block of each kind ends, and the last drawer.
    """
    for end in range(at, last.get(kind, -1) + 1):
        if _ends(lines[end]) == kind:
            return end, end + 1
        if _HEADING.fullmatch(lines[end].rstrip()):
            break
    for end in range(at, len(lines)):
        line = lines[end]
        if not line.strip() or _PROPERTY.fullmatch(line) or _HEADING.fullmatch(line.rstrip()):
            return end, end
    return len(lines), len(lines)


def _end_of_drawer(lines: list[str], at: int, last: dict[str, int]) -> int:
    """Return where a drawer ends; one that does not, before the next heading, is its name alone."""
    for end in range(at + 1, last.get(_DRAWER_END, -1) + 1):
        if _ends(lines[end]) == _DRAWER_END:
            return end
        if _HEADING.fullmatch(lines[end].rstrip()):
            break
    return at


def _ends(line: str) -> str:
    """Return the kind of block that a line ends, "" for none."""
    if line.strip().upper() == _DRAWER_END:
        return _DRAWER_END
    mark = _BLOCK.fullmatch(line)
    return mark[2].lower() if mark and mark[1].lower() == "end" else ""


def _plain(line: str) -> Iterator[str]:
    if heading := _HEADING.fullmatch(line.rstrip()):
        stars, state, title = heading.groups()
        yield f"\n{'#' * min(len(stars), 6)} {f'{state} ' if state else ''}{_linked(title)}\n"
    elif keyword := _KEYWORD.fullmatch(line):
        if (name := keyword[1].lower()) in _SHOWN and keyword[2]:
            yield f"{_SHOWN[name]}{keyword[2]}\n"
    elif planned := _PLANNED.findall(line) if _PLANNING.fullmatch(line) else []:
        yield "; ".join(f"{what}: {day.strip()}" for what, day in planned)
    elif not (any(mark.fullmatch(line) for mark in (_COMMENT, _PLANNING, _PROPERTY))):
        yield _linked(line)


def _linked(text: str) -> str:
    """Return text with the words of its links, or their addresses; pictures say nothing."""
    return _LINK.sub(lambda link: link[2] or ("" if _PICTURE.fullmatch(link[1]) else link[1]), text)


def _table(lines: list[str]) -> Iterator[str]:
    rows = [line for line in lines if not _RULE.fullmatch(line)]
    head = next((at for at, line in enumerate(lines) if _RULE.fullmatch(line)), 0)
    cells = [[_linked(cell).strip() for cell in row.strip().strip("|").split("|")] for row in rows]
    yield from ("", *table_lines(cells, head=head), "")
