r"""LaTeX → Markdown: what is printed, without comments, settings and what only places things."""

import re

from rag_app.documents.markup.latex_commands import argument, end_of_group, printed
from rag_app.documents.tables import table_lines
from rag_app.documents.tables.cells import Continued
from rag_app.documents.text import HAN_CHARACTER, clean, one_blank_line, space_at_break

_BROKEN_LINE = re.compile(r"([^\n])[ \t]*(?<!\\\\)\n[ \t]*(?=([^\n\s]))")
_COMMENT = re.compile(r"(?<!\\)((?:\\\\)*)%.*(?:\n[ \t]*(?=\S)|$)", re.MULTILINE)
_LINE_COMMENT = re.compile(r"^[ \t]*%.*\n?", re.MULTILINE)
_UNREAD = re.compile(
    r"\\iffalse\b.{0,20000}?\\fi\b|\\begin\{(comment|tikzpicture|filecontents\*?)\}.{0,20000}?\\end\{\1\}",
    re.DOTALL,
)
_CODE = re.compile(
    r"\\begin\{(verbatim\*?|Verbatim|lstlisting|minted)\}(?:\[[^\]\n]*\])?(.{0,20000}?)\\end\{\1\}",
    re.DOTALL,
)
_INLINE_CODE = re.compile(r"\\(?:verb\*?|lstinline(?:\[[^\]\n]*\])?)([^\w\s*{\\])(.*?)\1")
_DISPLAY = re.compile(
    r"\\begin\{((?:equation|align|gather|mult(?:line)|eqnarray|displaymath|math)\*?)\}(.{0,20000}?)\\end\{\1\}"
    r"|\\\[(.{0,5000}?)\\\]|(?<!\\)\$\$(.{1,5000}?)\$\$",
    re.DOTALL,
)
_INLINE = re.compile(
    r"\\\((.{0,500}?)\\\)|(?<!\\)\$((?:(?!\n[ \t]*\n|\\(?:item|section|caption)\b"
    r"|\\(?:begin|end)\{(?:itemize|enumerate|tab|figure|center|document))"
    r"(?:\\.|[^$\\])){1,1000}?)\$",
    re.DOTALL,
)
"""Mathematics in a line: it goes on neither in the next paragraph nor in the next item."""
_LABEL = re.compile(r"\\(?:label|nonumber|notag)\b(?:\{[^{}]*\})?")
_TABLE = re.compile(
    r"\\begin\{(tabular[xy]?\*?|longtable|tabu|tblr|array)\}(.{0,20000}?)\\end\{\1\}", re.DOTALL
)
_RULE = re.compile(r"\\(?:[ht]line|(?:top|mid|bottom)rule|c(?:mid)?rule|cline)\b(?:\([^)]*\))?"
                   r"(?:\[[^\]]*\])?(?:\{[^{}]*\})?")  # fmt: skip
_ROW_END = re.compile(
    r"\\\\\*?(?:\[[^\]\n]*\])?|\\tabularnewline\b|\\end(?:first|last)?(?:head|foot)\b"
)
_HEAD_AGAIN = re.compile(r"\\endfirsthead.*?\\endhead", re.DOTALL)
_DOWN = re.compile(r"\\multirow\*?(?:\[[^\]]*\])?\{(\d{1,3})\}")
_MACRO = re.compile(
    r"\\(?:(?:re)?newcommand|providecommand)\*?\{?(\\[A-Za-z]+)\}?\s*(?=\{)|\\def(\\[A-Za-z]+)(?=\{)"
)
_LONGEST_MACRO = 200
_SIGN = re.compile(r"\\[%&#$_{},; ]")
_LIST = re.compile(
    r"\\begin\{(enumerate|itemize|description)\}|\\end\{(enumerate|itemize|description)\}"
    r"|\\item\b(\s*\[)?"
)
_KEPT = re.compile("\x00(\\d+)\x00")


def latex_markdown(source: str) -> str:
    r"""Return what a LaTeX file prints; equations stay as they are written.

    Example:
        >>> latex_markdown("\\section{安装}\n开机前% 待核对\n，检查 5\\% 的\\textbf{余量}。")
        '## 安装\n\n开机前，检查 5% 的余量。'
    """
    return one_blank_line(clean(_Latex().converted(source)))


class _Latex:
    """What is set aside of one file, since it is not to be read as LaTeX."""

    def __init__(self) -> None:
        self._aside: list[str] = []

    def converted(self, source: str) -> str:
        source = _CODE.sub(
            lambda code: self._set_aside(f"\n\n```\n{code[2].strip(chr(10))}\n```\n\n"), source
        )
        source = _INLINE_CODE.sub(lambda code: self._set_aside(f"`{code[2]}`"), source)
        source = _COMMENT.sub(r"\1", _LINE_COMMENT.sub("", source))
        source = _expanded(_UNREAD.sub("", source))
        head, begun, body = source.partition("\\begin{document}")
        if begun:
            titles = re.findall(r"\\(?:title|author|date)\b(?:\[[^\]]*\])?\s*(?=\{)", head)
            source = "\n\n".join(
                [*_arguments_of(head, titles), body.partition("\\end{document}")[0]]
            )
        source = _DISPLAY.sub(self._equation, source)
        source = _INLINE.sub(
            lambda inline: self._set_aside(f"${(inline[1] or inline[2]).strip()}$"), source
        )
        source = _TABLE.sub(self._table, source)
        text = printed(_unbroken(_numbered(source)))
        lines = self._restored("\n".join(map(str.strip, text.split("\n")))).split("\n")
        return "\n".join(map(str.rstrip, lines))

    def _set_aside(self, text: str) -> str:
        self._aside.append(text)
        return f"\x00{len(self._aside) - 1}\x00"

    def _restored(self, text: str) -> str:
        for _ in range(3):  # an equation in a cell of a table
            text = _KEPT.sub(lambda mark: self._aside[int(mark[1])], text)
        return text

    def _equation(self, match: re.Match[str]) -> str:
        body = _LABEL.sub("", next(filter(None, match.groups()[1:]), "")).strip()
        return self._set_aside(f"\n\n$${body}$$\n\n")

    def _table(self, match: re.Match[str]) -> str:
        body = _HEAD_AGAIN.sub(r"\\endhead", match[2])
        described, start = argument(body, 0)
        for _ in range(2):  # what describes its columns
            described, start = (described, start) if described is None else argument(body, start)
        body = body[start:]
        rows: list[list[str]] = []
        below: dict[int, tuple[int, str]] = {}  # column → rows still covered, and their text
        for row in _ROW_END.split(_RULE.sub("", body)):
            cells = re.split(r"(?<!\\)&", _wide(row))
            rows.append([" ".join(printed(cell).split()) for cell in cells])
            for column, text in enumerate(rows[-1]):
                if more := _DOWN.search(cells[column]):
                    below[column] = (int(more[1]) - 1, text)
                elif not text and below.get(column, (0, ""))[0] > 0:
                    left, rows[-1][column] = below[column][0] - 1, Continued(below[column][1])
                    below[column] = (left, below[column][1])
        return self._set_aside("\n\n" + "\n".join(table_lines(rows)) + "\n\n")


def _expanded(source: str) -> str:
    """Return source with the words in place of the commands that it defines for them."""
    words: dict[str, str] = {}
    for macro in _MACRO.finditer(source):
        text = source[macro.end() : macro.end() + _LONGEST_MACRO + 1]
        if (end := end_of_group(text, 0)) <= _LONGEST_MACRO:
            words[macro[1] or macro[2]] = text[:end]
    words = {name: text for name, text in words.items() if _is_said(text)}
    if not words:
        return source
    used = re.compile(f"({'|'.join(map(re.escape, words))})(?![A-Za-z])(?:\\{{\\}})?")
    head, begun, body = source.rpartition("\\begin{document}")
    return head + begun + used.sub(lambda name: words[name[1]], body)


def _is_said(text: str) -> bool:
    """Return whether a definition in braces is words or a number, not what sets or draws."""
    return bool(HAN_CHARACTER.search(text) or ("\\" not in _SIGN.sub("", text) and text[1:-1]))


def _numbered(source: str) -> str:
    """Return source in which the items of lists that count have their numbers."""
    counts: list[int | None] = []

    def label(mark: re.Match[str]) -> str:
        if mark[1]:
            counts.append(0 if mark[1] == "enumerate" else None)
        elif mark[2]:
            counts[-1:] = []
        elif counts and (count := counts[-1]) is not None and not mark[3]:
            counts[-1] = count + 1
            return f"\\item[{count + 1}.]"
        return mark[0]

    return _LIST.sub(label, source)


def _unbroken(source: str) -> str:
    """Return source with each paragraph in one line, as it is printed."""
    return _BROKEN_LINE.sub(lambda end: end[1] + space_at_break(*end.groups()), source)


def _wide(row: str) -> str:
    """Return the source of a row with empty cells for those that a cell covers."""
    return re.sub(
        r"\\multicolumn\{(\d{1,2})\}\{[^{}]*\}(\{(?:[^{}]|\{[^{}]*\})*\})",
        lambda cell: cell[2] + "&" * (int(cell[1]) - 1),
        row,
    )


def _arguments_of(source: str, commands: list[str]) -> list[str]:
    """Return the commands of the preamble that are printed on top of the page."""
    found = []
    for command in commands:
        at = source.index(command) + len(command)
        found.append(command.split("[")[0].strip() + source[at : end_of_group(source, at)])
    return found
