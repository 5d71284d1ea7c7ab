"""MediaWiki → Markdown: headings, lists, tables and links; without comments and categories."""

import html
import re
from collections.abc import Iterator

from rag_app.documents.tables import table_lines
from rag_app.documents.text import clean, one_blank_line
from rag_app.documents.web.html import without_comments

_CODE = re.compile(
    r"<(syntaxhighlight|source|pre|nowiki)\b([^<>]*)>(.{0,20000}?)</\1\s*>",
    re.DOTALL | re.IGNORECASE,
)
_LANGUAGE = re.compile(r"lang\s*=\s*[\"']?([\w+-]+)")
_MATH = re.compile(r"<math\b[^<>]*>(.{0,5000}?)</math>", re.DOTALL)
_REFERENCE = re.compile(r"<ref\b[^<>/]*>(.{0,5000}?)</ref>", re.DOTALL)
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,500}>")
_TEMPLATE = re.compile(r"\{\{([^{}]{0,20000})\}\}")
_DEEPEST = 20  # templates in templates
_NAMED = re.compile(r"\s*([^=|\[\]<>]{1,60}?)\s*=\s*(.*?)\s*", re.DOTALL)
_LANGUAGE_CODE = re.compile(r"[a-z]{2,3}(?:-\w+)?")
_LINK = re.compile(r"\[\[([^\[\]|]{1,500})(?:\|([^\[\]]{0,1000}))?\]\]")
_FILE = re.compile(r"(?:file|image|文件|图像|檔案)\s*:", re.IGNORECASE)
_SILENT = re.compile(r"(?:category|分类|分類)\s*:", re.IGNORECASE)
_OPTION = re.compile(
    r"thumb|frame(?:less)?|border|left|right|center|none|upright.*|\d*x?\d+px|(?:alt|link)=.*"
)
"""How a picture is shown, beside its caption."""
_URL = re.compile(r"\[((?:https?:)?//\S{1,1000})(?:\s+([^\]\n]{0,1000}))?\]")
_QUOTES = re.compile("'{2,5}")
_HEADING = re.compile(r"(={1,6})\s*(\S.*?)\s*\1\s*")
_ITEM = re.compile(r"([*#:;]+)\s*(.*)")
_MAGIC = re.compile(r"__[A-Z]+__")
_CELL = re.compile(r"\|\||!!")
_ATTRIBUTE = r"[\w-]+\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s|\"']+)"
_ATTRIBUTES = re.compile(rf"\s*({_ATTRIBUTE}(?:\s+{_ATTRIBUTE})*)\s*\|(?!\|)")
_TORN_COMMENT = re.compile(r"(?:<!|(?<!\S)(?!\w+-)\S{1,2}-- )[^\n<>]{0,200}?-->")
_TORN_REFERENCE = re.compile(r"</?ref?[\d?]?(?=[^\x00-\x7f]|$)|</r?$", re.MULTILINE)
_KEPT = re.compile("\x00(\\d+)\x00")


def mediawiki_markdown(text: str) -> str:
    r"""Return what a page of MediaWiki says.

    Example:
        >>> mediawiki_markdown("== 安装 ==\n'''先'''断电<!-- 草稿 -->，见[[手册|附录]]。")
        '## 安装\n\n先断电，见附录。'
    """
    aside: list[str] = []

    def set_aside(code: "re.Match[str]") -> str:
        language = _LANGUAGE.search(code[2])
        body = code[3].strip("\n")
        fenced = f"\n```{language[1] if language else ''}\n{body}\n```\n"
        aside.append(body if code[1].lower() == "nowiki" else fenced)
        return f"\0{len(aside) - 1}\0"

    text = _TORN_COMMENT.sub("", _CODE.sub(set_aside, without_comments(text)))
    text = _TORN_REFERENCE.sub("", _REFERENCE.sub(r" [\1]", _MATH.sub(r"$\1$", text)))
    for _ in range(_DEEPEST):
        text, changed = _TEMPLATE.subn(_template, text)
        if not changed:
            break
    shown = "\n".join(_lines(text.split("\n")))
    return one_blank_line(clean(_KEPT.sub(lambda kept: aside[int(kept[1])], shown)))


def _template(match: "re.Match[str]") -> str:
    """Return what a template is given: named values a line each, others side by side."""
    name, *values = match[1].split("|")
    if name.strip().startswith("#") or ":" in name.split("\n")[0][:20]:  # of the wiki's own
        return ""
    named = [_NAMED.fullmatch(value) for value in values]
    if name.strip().lower().startswith("cite"):
        return next((each[2] for each in named if each and each[1] == "title"), "")
    pairs = [f"{each[1]}: {each[2]}" for each in named if each and each[2]]
    plain = [value.strip() for value, each in zip(values, named, strict=True) if not each]
    if len(plain) > 1 and _LANGUAGE_CODE.fullmatch(plain[0]):
        del plain[0]
    return "\n".join(["", *pairs, ""]) if pairs else " ".join(plain)


def _lines(lines: list[str]) -> Iterator[str]:
    table: list[str] = []
    for line in [*lines, "|}"] if _is_open(lines) else lines:
        start = line.lstrip(" :")
        if table or start.startswith("{|"):
            table.append(start)
            if start.startswith("|}"):
                yield from ("", *_table(table), "")
                table = []
        elif heading := _HEADING.fullmatch(line):
            yield f"\n{'#' * len(heading[1])} {_inline(heading[2])}\n"
        elif item := _ITEM.fullmatch(line):
            yield _item(item[1], _inline(item[2]))
        else:
            yield _inline(line)


def _is_open(lines: list[str]) -> bool:
    """Return whether a table goes on to the end of the page."""
    starts = sum(line.lstrip(" :").startswith("{|") for line in lines)
    return starts > sum(line.lstrip(" :").startswith("|}") for line in lines)


def _item(marks: str, text: str) -> str:
    bullet = {"*": "- ", "#": "1. "}.get(marks[-1], "")
    return f"{'  ' * (len(marks) - 1) if bullet else ''}{bullet}{text}"


def _inline(text: str) -> str:
    text = _LINK.sub(_linked, text)
    text = _URL.sub(lambda link: link[2] or link[1], text)
    text = _TAG.sub("", _BREAK.sub("\n", _MAGIC.sub("", _QUOTES.sub("", text))))
    return html.unescape(text)


def _linked(link: "re.Match[str]") -> str:
    target, label = link[1].strip(), link[2]
    if _SILENT.match(target):
        return ""
    if _FILE.match(target):
        parts = [part.strip() for part in (label or "").split("|")]
        return next((part for part in reversed(parts) if not _OPTION.fullmatch(part)), "")
    return label or target.lstrip(":").replace("#", " ").strip()


def _table(lines: list[str]) -> Iterator[str]:
    """Yield the lines of a table, whose spans are those of HTML."""
    from bs4 import BeautifulSoup

    from rag_app.documents.web.markdown import table_rows

    rows, caption = [""], ""
    for line in lines[1:]:
        if line.startswith("|}"):
            break
        if line.startswith("|+"):
            caption = _inline(line[2:].strip())
        elif line.startswith("|-"):
            rows.append("")
        elif line[:1] in {"|", "!"}:
            name = "td" if line[0] == "|" else "th"
            rows[-1] += "".join(_cell(cell, name) for cell in _CELL.split(line[1:]))
        elif rows[-1]:
            rows[-1] = rows[-1][:-5] + f" {html.escape(_inline(line))}" + rows[-1][-5:]
    page = "".join(f"<tr>{row}</tr>" for row in rows if row)
    soup = BeautifulSoup(f"<table>{page}</table>", "html.parser")
    head = next((at for at, row in enumerate(filter(None, rows)) if "<td" in row), 0)
    yield from ([caption] if caption else [])
    if soup.table:
        yield from table_lines(table_rows(soup.table), head=head)


def _cell(cell: str, name: str) -> str:
    found = _ATTRIBUTES.match(cell)
    text = cell[found.end() :] if found else cell
    return f"<{name} {found[1] if found else ''}>{html.escape(_inline(text.strip()))}</{name}>"
