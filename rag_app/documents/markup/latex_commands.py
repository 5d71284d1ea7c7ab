"""Commands of LaTeX → what they print."""

import re
from unicodedata import normalize

from rag_app.documents.text import superscript

_LEVELS = {
    "part": 1, "chapter": 1, "section": 2, "subsection": 3, "subsubsection": 4,
    "paragraph": 5, "subparagraph": 6, "frametitle": 2, "title": 1,
}  # fmt: skip
_NOTES = frozenset({"footnote", "thanks", "footnotetext", "marginpar"})
_BLOCKS = frozenset({"caption", "author", "date"})
_SILENT = frozenset({
    "label", "ref", "eqref", "pageref", "autoref", "cref", "Cref", "nameref", "cite", "citep",
    "citet", "parencite", "upcite", "nocite", "includegraphics", "graphicspath", "input", "include",
    "vspace", "hspace", "setlength", "setcounter", "addtocounter", "addtolength", "rule", "noalign",
    "bibliography", "bibliographystyle", "usepackage", "documentclass", "pagestyle", "geometry",
    "thispagestyle", "pagenumbering", "newcommand", "renewcommand", "providecommand",
    "newenvironment", "newtheorem", "DeclareMathOperator", "hypersetup", "lstset", "ctexset",
    "setmainfont", "setCJKmainfont", "color", "definecolor", "fontsize", "linespread", "markboth",
    "addcontentsline", "addtocontents", "hyphenation",
})  # fmt: skip
"""Commands whose arguments are not printed."""
_ARGUMENTS = {
    "href": 2, "textcolor": 2, "multicolumn": 3, "multirow": 3, "parbox": 2, "colorbox": 2,
    "raisebox": 2, "resizebox": 3, "scalebox": 2, "newcommand": 2, "renewcommand": 2,
    "providecommand": 2, "setlength": 2, "setcounter": 2, "addtocounter": 2, "addtolength": 2,
    "rule": 2, "fontsize": 2, "definecolor": 3, "addcontentsline": 3, "addtocontents": 2,
    "markboth": 2, "newenvironment": 3, "newtheorem": 2, "DeclareMathOperator": 2,
}  # fmt: skip
"""How many arguments in braces a command has, if not one; the last one alone is printed, if any."""
_PRINTED = {
    "LaTeX": "LaTeX", "TeX": "TeX", "LaTeXe": "LaTeX2e", "ldots": "…", "dots": "…", "cdots": "…",
    "quad": " ", "qquad": " ", "par": "\n\n", "newline": "\n", "textbackslash": "\\",
    "textasciitilde": "~", "textasciicircum": "^", "degree": "°", "copyright": "©", "S": "§",
    "times": "×", "pounds": "£", "textperiodcentered": "·", "textbullet": "•", "ss": "ß",
    "textgreater": ">", "textless": "<", "textbar": "|", "newpage": "\n\n", "clearpage": "\n\n",
}  # fmt: skip
_ACCENTS = {
    "`": "\u0300", "'": "\u0301", "^": "\u0302", "~": "\u0303", '"': "\u0308", "=": "\u0304",
    ".": "\u0307", "c": "\u0327", "v": "\u030c", "u": "\u0306",
}  # fmt: skip
_ACCENT = re.compile(r"\\([`'^~\"=.]|[cvu](?=\{))\{?\\?([A-Za-z])\}?")
_BOUND = re.compile(r"\\begin\{([^{}]*)\}((?:\[[^\]\n]*\]|\{[^{}\n]*\})*)|\\end\{([^{}]*)\}")
_TITLE = re.compile(r"[\[{]([^\]}]+)[\]}]")
_TITLED = frozenset({"frame", "theorem", "definition", "lemma", "example", "block"})
_COMMAND = re.compile(r"\\(?:([A-Za-z@]+)\*?|([^A-Za-z]))")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_SPACE = re.compile(r"\s*")
_NAME = re.compile(r"\s*\\[A-Za-z@]+(?:#\d)*=?")
_NUMBER = re.compile(r"\d+\.")
_LENGTH = re.compile(r"\s*[-+]?[\d.]+\s*(?:em|ex|pt|cm|mm|in|fill?)\b(?:\s*(?:plus|minus)\s*\S+)*")
_LONGEST = 50_000  # characters of an argument
_DEEPEST = 50  # arguments in arguments


def printed(source: str, depth: int = 0) -> str:
    r"""Return what source prints that holds no code, equation or table.

    Example:
        >>> printed("\\textbf{余量} 5\\%\\footnote{见附录}"), printed("10\\textsuperscript{3}")
        ('余量 5% [见附录]', '10³')
    """
    source = _ACCENT.sub(lambda accent: normalize("NFC", accent[2] + _ACCENTS[accent[1]]), source)
    return _Printer(_BOUND.sub(_bound, source), depth).all()


def end_of_group(source: str, at: int) -> int:
    """Return where the group in braces ends that begins at a place."""
    depth = 0
    for brace in _BRACE.finditer(source, at, at + _LONGEST):
        depth += {"{": 1, "}": -1}.get(brace[0], 0)
        if depth <= 0:
            return brace.end()
    return min(at + _LONGEST, len(source))


def argument(source: str, at: int) -> tuple[str | None, int]:
    """Return the argument in braces or brackets at a place, None if there is none; and its end."""
    start = _SPACE.match(source, at).end()  # type: ignore[union-attr]
    opening = source[start : start + 1]
    if opening == "[":
        end = source.find("]", start, start + _LONGEST) + 1
        return (source[start + 1 : end - 1], end) if end else (None, at)
    if opening != "{":
        return None, at
    end = end_of_group(source, start)
    return source[start + 1 : end].removesuffix("}"), end


def _bound(match: re.Match[str]) -> str:
    """Return a blank line for the bounds of an environment, with its title if it shows one."""
    title = _TITLE.search(match[2] or "") if match[1] in _TITLED else None
    return f"\n\n**{title[1]}** " if title else "\n\n"


class _Printer:
    """Reads a source from its front to its end."""

    def __init__(self, source: str, depth: int) -> None:
        self.source = source
        self.depth = depth
        self.at = 0

    def all(self) -> str:
        parts: list[str] = []
        while self.depth < _DEEPEST and (command := _COMMAND.search(self.source, self.at)):
            parts.append(_unbraced(self.source[self.at : command.start()]))
            self.at = command.end()
            parts.append(self._named(command[1]) if command[1] else self._sign(command[2]))
        return "".join([*parts, _unbraced(self.source[self.at :])])

    def _sign(self, sign: str) -> str:
        if sign == "\\":
            self._skip(re.compile(r"\*?(?:\[[^\]\n]{0,20}\])?"))
            return "\n"
        return " " if sign in ", ;:\n" else "" if sign in "/!-@()[]" else sign

    def _named(self, name: str) -> str:
        if name in _PRINTED:
            self._skip(re.compile(r"\{\}| *"))
            return _PRINTED[name]
        if name == "item":
            return self._item()
        if name.endswith("skip"):
            self._skip(_LENGTH)
            return ""
        if name in {"def", "let"}:
            self._skip(_NAME)
        last = self._last_argument(_ARGUMENTS.get(name, 2 if name[-5:] == "index" != name else 1))
        if last is None:
            self._skip(re.compile(" *"))
            return ""
        silent = name in _SILENT or name.endswith("index") or name in {"def", "let"}
        return "" if silent else self._shown(name, last)

    def _last_argument(self, count: int) -> str | None:
        last = None
        for _ in range(count):
            while self.source.startswith("[", self.at) and self._argument() is not None:
                pass
            if (found := self._argument()) is None:
                break
            last = found
        return last

    def _shown(self, name: str, last: str) -> str:
        """Return the last of a command's arguments as it is printed."""
        text = printed(last, self.depth + 1).strip()
        if name in _LEVELS and text:
            return f"\n\n{'#' * _LEVELS[name]} {' '.join(text.split())}\n\n"
        if name in _NOTES and text:
            return f" [{text}]"
        if name == "textsuperscript":
            return superscript(text)
        return f"\n\n{text}\n\n" if name in _BLOCKS else text

    def _item(self) -> str:
        space = _SPACE.match(self.source, self.at)
        label = None
        if space and self.source.startswith("[", space.end()):
            label = printed(self._argument() or "", self.depth + 1)
        self._skip(_SPACE)
        if not label:
            return "\n- "
        return f"\n{label} " if _NUMBER.fullmatch(label) else f"\n- {label} "

    def _argument(self) -> str | None:
        found, self.at = argument(self.source, self.at)
        return found

    def _skip(self, pattern: re.Pattern[str]) -> None:
        if match := pattern.match(self.source, self.at):
            self.at = match.end()


def _unbraced(text: str) -> str:
    text = re.sub(r"[{}]", "", text).replace("~", " ").replace("``", "“").replace("''", "”")
    return re.sub(r"(?<=\w)--(?=\w)", "–", text.replace("---", "—"))
