"""Typst → Markdown: what is printed, without settings, comments and the names of functions."""

import re
from collections.abc import Iterator, Sequence

from rag_app.documents.tables import table_lines
from rag_app.documents.text import clean, one_blank_line, superscript

_TOKEN = re.compile(
    r"(?P<comment>(?<![:\w])//[^\n]*|/\*.{0,2000}?\*/)"
    r"|(?P<fence>```(?P<language>[\w+-]*)(?P<code>.{0,20000}?)```)|(?P<raw>`[^`\n]{0,1000}`)"
    r"|(?P<math>\$[^$]{1,5000}\$)|\\u\{(?P<code_point>[0-9a-fA-F]{1,6})\}|\\(?P<escaped>\S)"
    r"|(?P<linebreak>\\(?=\s))|(?P<label><[\w:.-]{1,100}>)|(?P<reference>(?<!\w)@[\w:.-]{0,100}\w)"
    r"|(?P<strong>(?<![A-Za-z0-9])[*_](?=\S)|(?<=\S)[*_](?![A-Za-z0-9]))"
    r"|(?P<item>(?:^|(?<=\n))[ \t]*(?:=+|[+-]|/)[ \t]+(?=\S))|\#(?=[\w\"({\[])",
    re.DOTALL,
)
_STATEMENT = re.compile(r"(?:set|show|import|include|return)\b")
_LET = re.compile(r"let\s+([\w-]+)\s*(?:=\s*(?=[\[\"\d-]))?")
_NUMBER = re.compile(r"-?\d[\d.]*(?:%|[a-z]{2,4})?\s*")  # a number, or a length, as code has it
_BRANCH = re.compile(r"(?:if|for|while|else|context)\b[^\[{\n]{0,500}")
_STRING = re.compile(r'"((?:\\.|[^"\\]){0,5000})"')
_NAME = re.compile(r"[^\W\d][\w-]*(?:\.[^\W\d][\w-]*)*")
_SILENT = frozenset({
    "image", "v", "h", "pagebreak", "colbreak", "bibliography", "outline", "counter", "line",
    "cite", "ref", "label", "linebreak", "parbreak", "hline", "vline", "metadata", "state", "query",
    "numbering",
})  # fmt: skip
_SHOWN = frozenset({"caption", "title", "body", "attribution"})
"""Arguments with a name that are printed."""
_DEEPEST = 40
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_ARGUMENT = re.compile(r"\s*([a-zA-Z][\w-]*)\s*:(?!:)")
_LONGEST = 50_000  # characters of a group


def typst_markdown(source: str) -> str:
    r"""Return what a Typst file prints; equations stay as they are written.

    Example:
        >>> typst_markdown("#set page(width: 9cm)\n= 安装\n*先*断电 // 草稿\n#text(red)[再检查]。")
        '# 安装\n\n先断电 \n再检查。'
    """
    return one_blank_line(clean(_Typst().markup(source, 0)))


class _Typst:
    """The names that a file gives to what it prints, while it is read."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def markup(self, source: str, depth: int) -> str:
        """Return what source prints that is written as text."""
        parts: list[str] = []
        at = 0
        while depth < _DEEPEST and (token := _TOKEN.search(source, at)):
            parts.append(source[at : token.start()])
            at = token.end()
            if token[0] == "#":
                shown, at = self._code(source, at, depth)
                parts.append(shown)
            elif (mark := (token["item"] or "").strip()) and mark[0] == "=":
                end = source.find("\n", at) % (len(source) + 1)
                title = " ".join(self.markup(source[at:end], depth + 1).split())
                parts.append(f"\n\n{'#' * min(len(mark), 6)} {title}\n\n")
                at = end
            else:
                parts.append(_sign(token))
        return "".join([*parts, source[at:]])

    def _code(self, source: str, at: int, depth: int) -> tuple[str, int]:
        """Return what an expression prints that begins at a place, and where it ends."""
        if _STATEMENT.match(source, at):
            return "", _end_of_statement(source, at)
        if named := _LET.match(source, at):
            end = _end_of_statement(source, at)
            value = source[named.end() : end]
            if value[:1] in {"[", '"'}:
                self._names[named[1]] = self._value(value, depth)
            elif _NUMBER.fullmatch(value):
                self._names[named[1]] = value.strip()
            return "", end
        if branch := _BRANCH.match(source, at):
            at = branch.end()
        if string := _STRING.match(source, at):
            return string[1], string.end()
        if source[at : at + 1] in {"(", "{"}:
            return "", _end_of_group(source, at)
        return self._call(source, at, depth)

    def _call(self, source: str, at: int, depth: int) -> tuple[str, int]:
        found = _NAME.match(source, at)
        name = found[0].rpartition(".")[2] if found else ""
        at = found.end() if found else at
        given: list[tuple[str, str]] = []
        called = False
        while source[at : at + 1] in {"(", "["}:
            end = _end_of_group(source, at)
            inside = source[at + 1 : end - 1]
            given += _arguments(inside) if source[at] == "(" else [("", f"[{inside}]")]
            at, called = end, True
        if found and not called:
            return self._names.get(found[0], ""), at
        return self._shown(name, given, depth + 1), at

    def _shown(self, name: str, given: Sequence[tuple[str, str]], depth: int) -> str:
        """Return what a function prints of its arguments."""
        if name in _SILENT or depth >= _DEEPEST:
            return ""
        if name in {"table", "grid"}:
            return "\n\n" + "\n".join(table_lines(self._rows(given, depth))) + "\n\n"
        values = [self._value(value, depth) for key, value in given if not key or key in _SHOWN]
        values = [value for value in values if value.strip()]
        text = " ".join(values)
        shapes = {
            "link": values[-1] if values else "",
            "footnote": f" [{text}]",
            "super": superscript(text),
            "heading": f"\n\n{'#' * _level(given)} {text}\n\n",
            "list": "\n" + "".join(f"- {value.strip()}\n" for value in values),
            "enum": "\n" + "".join(f"1. {value.strip()}\n" for value in values),
        }
        return shapes.get(name, "\n\n".join(values))

    def _value(self, source: str, depth: int) -> str:
        """Return what an argument prints."""
        source = source.strip()
        if source.startswith("["):
            return self.markup(source[1 : _end_of_group(source, 0) - 1], depth + 1)
        if string := _STRING.match(source):
            return string[1]
        return self._call(source, 0, depth)[0] if _NAME.match(source) else ""

    def _rows(self, given: Sequence[tuple[str, str]], depth: int) -> list[list[str]]:
        """Return the rows of a table, whose cells are given one after the other."""
        columns = dict(given).get("columns", "1").strip()
        width = int(columns) if columns.isdecimal() else len(_arguments(columns.strip("()")))
        cells = list(self._cells(given, depth))
        width = max(width, 1)
        return [cells[at : at + width] for at in range(0, len(cells), width)]

    def _cells(self, given: Sequence[tuple[str, str]], depth: int) -> Iterator[str]:
        for key, value in given:
            call = _NAME.match(value.strip())
            name = call[0].rpartition(".")[2] if call else ""
            if key or name in {"hline", "vline"}:
                continue
            inner = value.strip()[call.end() :] if call else ""
            if name in {"header", "footer"} and inner.startswith("("):
                yield from self._cells(_arguments(inner[1 : _end_of_group(inner, 0) - 1]), depth)
                continue
            span = "1"
            if name == "cell" and inner.startswith("("):
                span = dict(_arguments(inner[1 : _end_of_group(inner, 0) - 1])).get("colspan", "1")
            text = " ".join(self._value(value, depth + 1).split())
            yield from [text] * (min(int(span), 100) if span.isdecimal() else 1)


def _level(given: Sequence[tuple[str, str]]) -> int:
    level = dict(given).get("level", "1")
    return int(level) if level in {"1", "2", "3", "4", "5", "6"} else 1


def _sign(token: "re.Match[str]") -> str:
    """Return what a sign of markup prints."""
    if token["fence"]:
        return f"\n```{token['language']}\n{token['code'].strip(chr(10))}\n```\n"
    if token["code_point"]:
        code = int(token["code_point"], 16)
        return chr(code) if code < 0x110000 else ""
    if token["item"]:
        mark = token["item"]
        bullet = {"+": "1. ", "-": "- "}.get(mark.strip(), "")
        return mark[: len(mark) - len(mark.lstrip())] + bullet
    if token["linebreak"]:
        return "\n"
    return str(token["escaped"] or token["raw"] or token["math"] or "")


def _end_of_group(source: str, at: int) -> int:
    """Return where the group ends whose bracket is at a place; in text only ``[`` opens another.

    Example:
        >>> _end_of_group('("a)", [1)])x', 0), _end_of_group("[a(b]", 0)
        (12, 5)
    """
    open_ones: list[str] = []
    limit = min(len(source), at + _LONGEST)
    while at < limit:
        sign = source[at]
        in_text = bool(open_ones) and open_ones[-1] == "["
        if sign == "\\":
            at += 1
        elif sign == '"' and not in_text:
            at = _end_of_string(source, at)
        elif sign == "[" or (sign in _CLOSING and not in_text):
            open_ones.append(sign)
        elif open_ones and sign == _CLOSING[open_ones[-1]]:
            open_ones.pop()
            if not open_ones:
                return at + 1
        at += 1
    return limit


def _end_of_string(source: str, at: int) -> int:
    """Return the place of the quote that ends a string, or the last place."""
    end = at + 1
    while end < len(source) and source[end] != '"':
        end += 2 if source[end] == "\\" else 1
    return min(end, len(source) - 1)


def _end_of_statement(source: str, at: int) -> int:
    """Return where a statement ends: at the end of a line outside all brackets."""
    while at < len(source) and source[at] not in "\n;":
        if source[at] == '"':
            at = _end_of_string(source, at) + 1
        else:
            at = _end_of_group(source, at) if source[at] in _CLOSING else at + 1
    return at


def _arguments(source: str) -> list[tuple[str, str]]:
    """Return the arguments between two parentheses, each with its name, "" if it has none.

    Example:
        >>> _arguments("columns: 2, [a, b], f(1, 2)")
        [('columns', '2'), ('', '[a, b]'), ('', 'f(1, 2)')]
    """
    found: list[tuple[str, str]] = []
    start = at = 0
    while at <= len(source):
        if at == len(source) or source[at] == ",":
            argument = source[start:at]
            name = _ARGUMENT.match(argument)
            value = argument[name.end() :] if name else argument
            found += [(name[1] if name else "", value.strip())] if argument.strip() else []
            start = at = at + 1
        elif source[at] == '"':
            at = _end_of_string(source, at) + 1
        else:
            at = _end_of_group(source, at) if source[at] in _CLOSING else at + 1
    return found
