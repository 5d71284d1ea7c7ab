"""AsciiDoc → Markdown: headings, code, tables and links; without attributes and comments."""

import re
from collections.abc import Iterator

from rag_app.documents.tables import table_lines
from rag_app.documents.text import clean, one_blank_line

_HEADING = re.compile(r"(={1,6})\s+(\S.*?)(?:\s+\1)?\s*")
_ATTRIBUTE = re.compile(r":(!?[\w-]+!?):(?:\s+(.*))?")
_REFERENCE = re.compile(r"\{([\w-]+)\}")
_BLOCK_ATTRIBUTES = re.compile(r"\[[^\]]*\]\s*")
_LANGUAGE = re.compile(r"\[source\s*,\s*([\w+-]+)")
_TITLE = re.compile(r"\.([^\s.].*)")
_CODE = re.compile(r"(-{4,}|\.{4,}|`{3,}\w*)\s*")
_COMMENT_BLOCK = re.compile(r"/{4,}\s*")
_TABLE = re.compile(r"\|===\s*")
_BLOCKS = (_CODE, _COMMENT_BLOCK, _TABLE)
_QUOTED = re.compile(r"(?:={4,}|\*{4,}|_{4,}|-{2}|\+{4,})\s*")
"""Bounds of examples, notes and quotations, whose text is text."""
_MARKS = (*_BLOCKS, _QUOTED, _HEADING, _BLOCK_ATTRIBUTES)
_CELL = re.compile(r"(?<!\\)(?:(\d+)\+|\.\d+\+|\d+\*)?[<^>]?[aehlmsv]?\|")
_SILENT = re.compile(r"(?:include|image|video|audio|toc|ifn?def|ifeval|endif|anchor)::?\S*\[.*\]")
_LINK = re.compile(r"(?:link:|xref:|(?=https?://|mailto:))([^\s\[\]]{1,1000})\[([^\]]{0,1000})\]")
_REFERRED = re.compile(r"<<([^,>]{1,300})(?:,\s{0,9}([^>]{1,500}))?>>")
_FOOTNOTE = re.compile(r"footnote:\w*\[([^\]]*)\]")
_ANCHOR = re.compile(r"\[\[[^\]]{0,200}\]\]|image:\S{1,500}?\[[^\]]{0,500}\]|\[#[^\]]{0,200}\]")
_TORN = re.compile(
    r"\[(?:cols|options|source|width|frame|grid)[=,](?:[^\]\n]{0,300}\]|[ -Z\\^-~]{0,300})"
    r"|<<(?!\d)[\w-]{1,100}$"
    r"|(?<=[^\s`\"'])[ \t]{0,3}(?:\|={3,}|\[(?:NOTE|TIP|IMPORTANT|WARNING|CAUTION)\])[ \t]*$"
)
"""What is left of attributes and bounds that stand alone in a line, and of references."""
_ITEM = re.compile(r"(\*{1,5}|\.{1,5})\s+(?=\S)")
_MOST_COLUMNS = 100


def asciidoc_markdown(text: str) -> str:
    r"""Return what an AsciiDoc file says.

    Example:
        >>> asciidoc_markdown("= 手册\n:toc:\n\n// 草稿\n[[a]]\n== 安装\n见 link:b.html[附录]。")
        '# 手册\n\n## 安装\n\n见 附录。'
    """
    return one_blank_line(clean("\n".join(_lines(text.split("\n")))))


def _lines(lines: list[str]) -> Iterator[str]:
    values: dict[str, str] = {}
    last = {line.rstrip(): at for at, line in enumerate(lines)}
    language, at = "", 0
    while at < len(lines):
        line, at = lines[at], at + 1
        if any(mark.fullmatch(line) for mark in _BLOCKS):
            end, after = _end_of_block(lines, at, last)
            yield from _block(line, lines[at:end], language)
            language, at = "", after
        elif attribute := _ATTRIBUTE.fullmatch(line):
            values[attribute[1].strip("!")] = _inline(attribute[2] or "", values)
        else:
            language = found[1] if (found := _LANGUAGE.match(line)) else ""
            yield from [] if _is_silent(line) else [_plain(line, values)]


def _end_of_block(lines: list[str], at: int, last: dict[str, int]) -> tuple[int, int]:
    """Return where a block ends and where the text goes on.

    One that is never closed ends at the next mark or paragraph. Where its code ends in what stands
    above code, the next one begins there.

    Args:
        lines: All.
        at: Where its content begins.
        last: Where each line, without spaces behind it, is for the last time.
    """
    bound = lines[at - 1].rstrip()
    closes = "```" if bound.startswith("`") else bound
    if last.get(closes, -1) >= at:
        end = next(end for end in range(at, len(lines)) if lines[end].rstrip() == closes)
        if not (_CODE.fullmatch(bound) and end > at and _LANGUAGE.match(lines[end - 1])):
            return end, end + 1
    for end in range(at, len(lines)):
        begins = not lines[end - 1].strip() and not ("|" in bound and "|" in lines[end])
        if (begins and lines[end].strip()) or any(mark.fullmatch(lines[end]) for mark in _MARKS):
            return end, end
    return len(lines), len(lines)


def _block(bound: str, lines: list[str], language: str) -> Iterator[str]:
    if bound.startswith("|"):
        yield from ("", *table_lines(_rows(lines)), "")
    elif bound and not bound.startswith("/"):
        yield from (f"```{language}", *lines, "```")


def _is_silent(line: str) -> bool:
    comment = line.startswith("//") or line.strip() == "+"
    marks = (_BLOCK_ATTRIBUTES, _QUOTED, _SILENT)
    return comment or any(mark.fullmatch(line) for mark in marks)


def _plain(line: str, values: dict[str, str]) -> str:
    if heading := _HEADING.fullmatch(line):
        return f"\n{'#' * len(heading[1])} {_inline(heading[2], values)}\n"
    if title := _TITLE.fullmatch(line):
        return f"\n{_inline(title[1], values)}\n"
    if item := _ITEM.match(line):
        line = (
            f"{'  ' * (len(item[1]) - 1)}{'-' if item[1][0] == '*' else '1.'} {line[item.end() :]}"
        )
    return _inline(line, values)


def _inline(text: str, values: dict[str, str]) -> str:
    text = _REFERENCE.sub(lambda name: values.get(name[1], name[0]), text)
    text = _FOOTNOTE.sub(r" [\1]", _ANCHOR.sub("", text))
    text = _LINK.sub(lambda link: link[2].rstrip("^") or link[1], text)
    text = _REFERRED.sub(lambda reference: reference[2] or reference[1], text)
    return _TORN.sub("", text)


def _rows(lines: list[str]) -> list[list[str]]:
    """Return the rows of a table; where each cell has a line, the first line says how many."""
    rows: list[list[str]] = []
    width = 0
    for line in lines:
        marks = list(_CELL.finditer(line))
        if not marks:
            if rows and line.strip() and not _is_silent(line):  # the last cell goes on
                rows[-1][-1] += f" {line.strip()}"
            continue
        cells: list[str] = []
        ends = [*(after.start() for after in marks[1:]), len(line)]
        for mark, end in zip(marks, ends, strict=True):
            span = min(int(mark[1] or 1), _MOST_COLUMNS)
            cells += [_inline(line[mark.end() : end].strip(), {}), *[""] * (span - 1)]
        if width and rows and len(rows[-1]) < width and len(cells) < width:
            rows[-1] += cells
        else:
            width = width or len(cells)
            rows.append(cells)
    return rows
