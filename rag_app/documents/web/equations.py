"""Equations of web pages → LaTeX: MathML, what MathJax keeps in scripts, pictures of equations."""

import re
from collections.abc import Callable, Sequence
from functools import cache

from bs4 import BeautifulSoup
from bs4.element import Tag

_MATH = re.compile(r"<(?:\w+:)?math\b", re.IGNORECASE)
_INVISIBLE = re.compile("[\u2061-\u2064\u200b\u00a0\\s]+")
_STYLED = re.compile(r"\{\\(?:display|text)style\s*(.*)\}", re.DOTALL)
_PICTURE = re.compile(
    r"equation\?tex=|mwe-math|latex|(?:^|[-_ /])tex(?:$|[-_ /])|eeimg", re.IGNORECASE
)
"""In the class or address of a picture whose words are an equation."""
_ACCENTS = {
    "¯": "overline", "‾": "overline", "_": "underline", "^": "hat", "ˆ": "hat", "→": "vec",
    "⃗": "vec", "˙": "dot", "¨": "ddot", "~": "tilde", "˜": "tilde", "⏞": "overbrace",
    "⏟": "underbrace",
}  # fmt: skip
_LIMITS = frozenset("∑∏∐∫∮⋂⋃⋀⋁") | {"lim", "max", "min", "sup", "inf", "limsup", "liminf"}
"""What has its limits above and below it."""
_FUNCTION = re.compile(
    "(?:a(?:rc)?)?(?:sin|cos|tan|cot|sec|csc)h?|log|ln|lg|exp|lim(?:sup|inf)?|max|min|sup|inf|det|dim"
    "|ker|deg|gcd|arg"
)


def write_equations(soup: BeautifulSoup) -> None:
    """Put LaTeX between ``$`` in the place of a page's equations."""
    for script in soup.find_all("script", type=re.compile(r"^math/tex")):
        _replace(script, script.get_text())
    for drawn in soup.find_all(class_=["MathJax", "MathJax_Preview", "MathJax_Display"]):
        if drawn.find(_is_math) is None:  # else the page is as its script left it
            drawn.decompose()
    for math in soup.find_all(_is_math):
        if not math.decomposed:
            shown = _outermost(math)
            _replace(shown, latex(math))
    for picture in soup.find_all("img", alt=True):
        names = f"{picture.get('src') or ''} {' '.join(picture.get_attribute_list('class'))}"
        named = names if not picture.has_attr("eeimg") else "eeimg"
        if _PICTURE.search(named):
            _replace(picture, str(picture["alt"]))


def mathml_latex(source: str) -> str:
    """Return the LaTeX of an equation between ``$``, given as the source of MathML; "" of none."""
    start = _MATH.search(source)
    found = BeautifulSoup(source[start.start() :] if start else "", "html.parser")
    math = found.find(_is_math)
    equation = latex(math) if isinstance(math, Tag) else ""
    return f"${equation}$" if equation else ""


def _is_math(tag: Tag) -> bool:
    return _name(tag) == "math"


def _name(tag: Tag) -> str:
    """Return the name of a tag without the prefix that books give it, as ``m:math``."""
    return str(tag.name).rpartition(":")[2].lower()


def _outermost(math: Tag) -> Tag:
    """Return the tag that shows an equation in several ways: for eyes, for ears, as a picture."""
    around = [
        parent
        for parent in math.parents
        if {"katex", "mwe-math-element", "MathJax", "MathJax_Display"}
        & set(map(str, parent.get_attribute_list("class")))
        or parent.name == "mjx-container"
    ]
    return around[-1] if around and len(around[-1].find_all(_is_math)) == 1 else math


def _replace(tag: Tag, equation: str) -> None:
    text = " ".join(_unstyled(equation.strip().strip("$")).split())
    tag.replace_with(
        f" ${text}$ " if tag.get("display") == "block" else f"${text}$" if text else ""
    )


def _unstyled(equation: str) -> str:
    styled = _STYLED.fullmatch(equation)
    return styled[1] if styled else equation


def latex(math: Tag) -> str:
    r"""Return MathML as LaTeX, without ``$``.

    Example:
        >>> page = "<math><mfrac><mi>a</mi><msqrt><mn>2</mn></msqrt></mfrac></math>"
        >>> latex(BeautifulSoup(page, "html.parser").math)
        '\\frac{a}{\\sqrt{2}}'
    """
    return re.sub(r" +", " ", _latex(math)).strip()


def _latex(tag: Tag) -> str:
    name = _name(tag)
    if name == "semantics":
        source = tag.find(lambda each: "tex" in str(each.get("encoding") or "").lower())
        if isinstance(source, Tag):
            return _unstyled(source.get_text().strip())
    if name in {"annotation", "annotation-xml", "mphantom", "none", "mprescripts"}:
        return ""
    if name in {"mi", "mn", "mo", "ms", "mtext"}:
        return _token(name, tag.get_text())
    children = [child for child in tag.children if isinstance(child, Tag)]
    write = _WRITERS.get(name)
    if write is None or len(children) < _LEAST.get(name, 0):  # a group, or damaged
        return _joined(children) or ("" if children else _token("mi", tag.get_text()))
    return write(tag, children)


def _joined(tags: Sequence[Tag]) -> str:
    return "".join(map(_latex, tags))


@cache
def _commands() -> dict[str, str]:
    from markitdown.converter_utils.docx.math.latex_dict import T

    return dict(T)


def _token(kind: str, text: str) -> str:
    text = _INVISIBLE.sub(" ", text).strip()
    if kind == "mtext" and len(text) > 1:
        return f"\\text{{{text}}}"
    if _FUNCTION.fullmatch(text):
        return f"\\{text} "
    if text in {"{", "}", "%", "#", "&", "$"}:
        return f"\\{text}"
    return "".join(_commands().get(char, char) for char in text.replace("−", "-"))


def _base(tag: Tag) -> str:
    """Return what an index stands at, in braces where it is more than one thing."""
    text = _latex(tag)
    single = len(text.strip()) < 2 or _name(tag) in {"mi", "mn", "mo"} or text[0] + text[-1] == "()"
    return text.strip() if single else f"{{{text}}}"


def _index(sign: str, tag: Tag) -> str:
    text = _latex(tag).strip()
    return f"{sign}{{{text}}}" if text else ""


def _fraction(tag: Tag, parts: Sequence[Tag]) -> str:
    bare = str(tag.get("linethickness") or "").strip() in {"0", "0px", "0pt", "0em"}
    over, under = (_latex(part).strip() for part in parts[:2])
    return f"\\{'binom' if bare else 'frac'}{{{over}}}{{{under}}}"


def _root(_: Tag, parts: Sequence[Tag]) -> str:
    return f"\\sqrt[{_latex(parts[1]).strip()}]{{{_latex(parts[0]).strip()}}}"


def _indexed(tag: Tag, parts: Sequence[Tag]) -> str:
    signs = {"msub": "_", "msup": "^", "msubsup": "_^"}[_name(tag)]
    indices = (_index(sign, part) for sign, part in zip(signs, parts[1:], strict=False))
    return _base(parts[0]) + "".join(indices)


def _stacked(tag: Tag, parts: Sequence[Tag]) -> str:
    signs = {"munder": "_", "mover": "^", "munderover": "_^"}[_name(tag)]
    text = _latex(parts[0])
    stacked = list(zip(signs, parts[1:], strict=False))
    if parts[0].get_text(strip=True) in _LIMITS:
        return text.strip() + "".join(_index(sign, part) for sign, part in stacked)
    for sign, part in stacked:
        accent = _ACCENTS.get(part.get_text(strip=True))
        command = "underset" if sign == "_" else "overset"
        if accent == "overline" and sign == "_":
            accent = "underline"
        text = (
            f"\\{accent}{{{text}}}"
            if accent
            else f"\\{command}{{{_latex(part).strip()}}}{{{text}}}"
        )
    return text


def _scripts(_: Tag, parts: Sequence[Tag]) -> str:
    """Return ``mmultiscripts``: pairs of indices behind the base, then those in front of it."""
    at = next((n for n, part in enumerate(parts) if _name(part) == "mprescripts"), len(parts))
    behind, front = parts[1:at], parts[at + 1 :]

    def pairs(indices: Sequence[Tag]) -> str:
        return "".join(_index("_^"[n % 2], part) for n, part in enumerate(indices))

    before = pairs(front)
    return ("{}" + before if before else "") + _base(parts[0]) + pairs(behind)


def _table(_: Tag, rows: Sequence[Tag]) -> str:
    lines = []
    for row in rows:
        cells = [cell for cell in row.children if isinstance(cell, Tag)]
        if _name(row) == "mlabeledtr":
            cells = cells[1:]
        lines.append(" & ".join(_latex(cell).strip() for cell in cells))
    return "\\begin{matrix} " + " \\\\ ".join(lines) + " \\end{matrix}"


def _fenced(tag: Tag, parts: Sequence[Tag]) -> str:
    opening, closing = str(tag.get("open", "(")), str(tag.get("close", ")"))
    separators = "".join(str(tag.get("separators", ",")).split())
    texts = [_latex(part).strip() for part in parts]
    text = texts[0] if texts else ""
    for at, part in enumerate(texts[1:]):
        text += (separators[min(at, len(separators) - 1)] if separators else "") + part
    return f"{_token('mo', opening)}{text}{_token('mo', closing)}"


_WRITERS: dict[str, Callable[[Tag, Sequence[Tag]], str]] = {
    "mfrac": _fraction,
    "msqrt": lambda _, parts: f"\\sqrt{{{_joined(parts).strip()}}}",
    "mroot": _root,
    **dict.fromkeys(("msub", "msup", "msubsup"), _indexed),
    **dict.fromkeys(("munder", "mover", "munderover"), _stacked),
    "mmultiscripts": _scripts,
    "mtable": _table,
    "mfenced": _fenced,
    "maction": lambda _, parts: _latex(parts[0]),
    "mspace": lambda *_: " ",
}
_LEAST = {
    "mfrac": 2, "msqrt": 1, "mroot": 2, "msub": 2, "msup": 2, "msubsup": 3, "munder": 2, "mover": 2,
    "munderover": 3, "mmultiscripts": 1, "mtable": 1, "maction": 1,
}  # fmt: skip
