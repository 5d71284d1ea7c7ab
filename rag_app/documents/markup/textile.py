"""Textile → Markdown: headings, lists, tables, code and links; without styles and pictures."""

import re
from collections.abc import Iterator

from rag_app.documents.tables import table_lines
from rag_app.documents.tables.cells import MergedCells
from rag_app.documents.text import clean, one_blank_line

_STYLE = r"(?:\([^()\n]{0,100}\)|\{[^{}\n]{0,200}\}|\[[^\[\]\n]{0,20}\]|[<>=])*"
_BLOCK = re.compile(rf"(h[1-6]|p|bq|bc|pre|fn\d+|notextile){_STYLE}(\.\.?)(?::\S+)?(?:\s+(.*))?")
_COMMENT = re.compile(r"###\.")
_ITEM = re.compile(rf"([*#]+){_STYLE}\s+(.*)")
_CELL = re.compile(
    r"(?:\\(\d+)|/(\d+)|[_~^<>=-]|\([^()\n]{0,100}\)|\{[^{}\n]{0,200}\}|\[[^\[\]\n]{0,20}\])+\.\s+"
)
"""What is before the text of a cell: its spans, place and style."""
_ROW = re.compile(rf"(?:{_STYLE}\.\s+)?\|(.*)\|\s*")
_TABLE = re.compile(rf"table{_STYLE}\.\s*(.*)")
_LINK = re.compile(
    r"\"([^\"\n]{1,500}?)(?:\([^()\n]*\))?\":(?:https?://|/|#|mailto:|[A-Za-z])[!-~]*?"
    r"(?=[^!-~]|[,.;:!?)]+(?:[^!-~]|$)|$)"
)
_PICTURE = re.compile(r"!(?!\s)[^!\s]{1,500}?(?:\(([^()\n]*)\))?!(?::\S+)?")
_PHRASE = re.compile(
    r"(?<![A-Za-z0-9_@%+^~*-])(\*\*|__|[*_+^~%]|\?\?)(?=\S)([^\n]{0,300}?\S)\1(?![A-Za-z0-9_*])"
)
_DELETED = re.compile(r"(?<!\S)-(?=\S)([^\n-]{1,500}\S)-(?!\S)")
_SPAN = re.compile(r"^(?:\([^()\n]{0,100}\)|\{[^{}\n]{0,200}\})")
_CODE = re.compile(r"@([^@\n]{1,500})@")
_MOST_SPAN = 100


def textile_markdown(text: str) -> str:
    r"""Return what a Textile file says.

    Example:
        >>> textile_markdown("h2. 安装\n\n*先*断电，见\"附录\":b.html 。")
        '## 安装\n\n先断电，见附录 。'
    """
    return one_blank_line(clean("\n".join(_lines(text.split("\n")))))


def _lines(lines: list[str]) -> Iterator[str]:
    code, extended = False, False
    table: list[str] = []
    for line in [*lines, ""]:
        block = _BLOCK.fullmatch(line)
        if table and not _ROW.fullmatch(line):
            yield from ("", *table_lines(_rows(table)), "")
            table = []
        if code and (block or not (line.strip() or extended)):
            code = False
            yield "```"
        if code:
            yield line
        elif block and block[1] in {"bc", "pre"}:
            code, extended = True, block[2] == ".."
            yield from ("```", *([block[3]] if block[3] else []))
        elif block:
            yield _shown(block[1], block[3] or "")
        elif _ROW.fullmatch(line):
            table.append(line)
        elif not (_COMMENT.match(line) or _TABLE.fullmatch(line)):
            item = _ITEM.fullmatch(line)
            yield _item(item[1], item[2]) if item else _inline(line)
    if code:
        yield "```"


def _shown(kind: str, text: str) -> str:
    if kind.startswith("h"):
        return f"\n{'#' * int(kind[1])} {_inline(text)}\n"
    return f"[{kind[2:]}] {_inline(text)}" if kind.startswith("fn") else _inline(text)


def _item(marks: str, text: str) -> str:
    return f"{'  ' * (len(marks) - 1)}{'-' if marks[-1] == '*' else '1.'} {_inline(text)}"


def _inline(text: str) -> str:
    parts = _CODE.split(text)
    for at in range(0, len(parts), 2):
        part = _PICTURE.sub(lambda picture: picture[1] or "", _LINK.sub(r"\1", parts[at]))
        part = _PHRASE.sub(lambda phrase: _SPAN.sub("", phrase[2]), part)
        parts[at] = _DELETED.sub(r"~~\1~~", part)
    parts[1::2] = [f"`{code}`" for code in parts[1::2]]
    return "".join(parts)


def _rows(lines: list[str]) -> list[list[str]]:
    """Return the rows of a table; a cell that covers others is repeated in each."""
    merged = MergedCells()
    rows = filter(None, map(_ROW.fullmatch, lines))
    return [merged.row(map(_cell, row[1].split("|"))) for row in rows]


def _cell(cell: str) -> tuple[str, int, int]:
    """Return the text of a cell, and how many columns and rows it covers."""
    marks = _CELL.match(cell)
    text = _inline((cell[marks.end() :] if marks else cell).strip())
    columns, rows = marks.groups("1") if marks else ("1", "1")
    return text, min(int(columns), _MOST_SPAN), min(int(rows), _MOST_SPAN)
