r"""Equations that old documents write as fields, ``EQ \f(1,2)`` → LaTeX, and circled signs → text.

Source: the switches of Word's EQ field. The field has no result: all it shows is in its code.
"""

import re
from collections.abc import Callable, Mapping, Sequence

from rag_app.documents.number_formats.numerals import numeral

_DEEP = 40
LONGEST_CODE = 5000
"""Characters of a code that are read."""
_COMMAND = re.compile(r"\\([a-zA-Z])")
_OPTION = re.compile(
    r"\s*\\(?P<side>[blrfv])c\s*\\?(?P<sign>\S)|\s*\\(?P<name>[a-z]{2})\s*-?\d*", re.I
)
_OPENED = re.compile(r"\s*[(（]")
_FORMATTING = re.compile(r'\\\*\s*(?:"[^"]*"|\S+)')
_PLAIN = re.compile(r"[^\\$^_{}]*")
_CIRCLE = "○"
_FRAMES = "○□△◇"
_CLOSING = {"(": ")", "[": "]", "{": "}", "<": ">"}
_SUMS = {"su": r"\sum", "pr": r"\prod"}
_MOST_CIRCLED = 50


def eq_text(code: str) -> str:
    r"""Return what the code of an EQ field shows: LaTeX between ``$``, or plain text.

    Example:
        >>> eq_text(r"\f(3,8)"), eq_text(r"\o\ac(○,7)"), eq_text(r"\o\ad(\s\up 9(yùn),郓)")
        ('$\\frac{3}{8}$', '⑦', '郓')
    """
    text = _shown(_FORMATTING.sub("", code[:LONGEST_CODE]).strip(), 0)
    return text if _PLAIN.fullmatch(text) else f"${text}$"


def _shown(code: str, depth: int) -> str:
    """Return a part of a code as LaTeX."""
    shown, at = "", 0
    while at < len(code):
        found = _COMMAND.match(code, at)
        if found is None:
            at += code[at] == "\\"  # before a sign that is meant as such
            shown += code[at : at + 1]
            at += 1
            continue
        options, signs, at = _options(code, found.end())
        arguments, at = _arguments(code, at)
        if depth < _DEEP:
            read = [_shown(part.strip(), depth + 1) for part in arguments]
            write = _COMMANDS.get(found[1].lower())
            shown += write(options, signs, read or [""]) if write else ",".join(read)
    return shown


def _options(code: str, at: int) -> tuple[list[str], dict[str, str], int]:
    """Return the options of a command, the signs among them, and where they end."""
    options: list[str] = []
    signs: dict[str, str] = {}
    while (found := _OPTION.match(code, at)) is not None:
        options += [found["name"].lower()] if found["name"] else []
        signs |= {found["side"].lower(): found["sign"]} if found["sign"] else {}
        at = found.end()
    return options, signs, at


def _arguments(code: str, at: int) -> tuple[list[str], int]:
    """Return what stands in parentheses, by commas or semicolons, and where they end."""
    found = _OPENED.match(code, at)
    if found is None:
        return [], at
    parts, deep, at = [""], 1, found.end()
    while at < len(code):
        char = code[at]
        if char == "\\" and code[at + 1 : at + 2] and not code[at + 1].isalpha():
            parts[-1] += code[at : at + 2]
            at += 2
            continue
        deep += (char in "(（") - (char in ")）")
        at += 1
        if not deep:
            break
        if char in ",;，；" and deep == 1:
            parts.append("")
        else:
            parts[-1] += char
    return parts, at


def _root(_: Sequence[str], __: Mapping[str, str], parts: Sequence[str]) -> str:
    degree = f"[{parts[0]}]" if len(parts) > 1 and parts[0] else ""
    return rf"\sqrt{degree}{{{parts[-1]}}}"


def _script(options: Sequence[str], _: Mapping[str, str], parts: Sequence[str]) -> str:
    place = "^" if "up" in options else "_" if "do" in options else ""
    return f"{place}{{{parts[0]}}}" if place else "".join(parts)


def _integral(options: Sequence[str], _: Mapping[str, str], parts: Sequence[str]) -> str:
    sign = next((_SUMS[option] for option in options if option in _SUMS), r"\int")
    low, high, body = [*parts, "", ""][:3]
    return f"{sign}_{{{low}}}^{{{high}}}{body}"


def _bracket(_: Sequence[str], signs: Mapping[str, str], parts: Sequence[str]) -> str:
    both = signs.get("b", "" if signs else "(")
    left, right = signs.get("l", both), signs.get("r", _CLOSING.get(both, both))
    return f"{left}{','.join(parts)}{right}"


def _box(options: Sequence[str], _: Mapping[str, str], parts: Sequence[str]) -> str:
    text = "".join(parts)
    return rf"\overline{{{text}}}" if "to" in options else text


def _overlaid(_: Sequence[str], __: Mapping[str, str], parts: Sequence[str]) -> str:
    """Return signs that stand on each other: the reading of one over it is left out."""
    first, last = parts[0], parts[-1]
    if len(parts) == 2 and first.startswith("^") and _PLAIN.fullmatch(last):
        return last
    framed = [part for part in parts if part not in _FRAMES]
    if len(framed) != 1 or len(parts) != 2:
        return "".join(parts)
    number = int(framed[0]) if framed[0].isdecimal() and len(framed[0]) < 3 else _MOST_CIRCLED + 1
    circled = _CIRCLE in parts and number <= _MOST_CIRCLED
    return numeral(number, "decimalEnclosedCircle") if circled else framed[0]


def _matrix(_: Sequence[str], __: Mapping[str, str], parts: Sequence[str]) -> str:
    rows = r" \\ ".join(filter(None, parts))
    return rf"\begin{{matrix}} {rows} \end{{matrix}}"


_COMMANDS: dict[str, Callable[[Sequence[str], Mapping[str, str], Sequence[str]], str]] = {
    "f": lambda _, __, parts: rf"\frac{{{parts[0]}}}{{{','.join(parts[1:])}}}",
    "a": _matrix,
    "r": _root, "s": _script, "i": _integral, "b": _bracket, "x": _box, "o": _overlaid,
    "d": lambda _, __, ___: " ",
}  # fmt: skip
"""Letter → what it makes of its options, their signs, and what stands in its parentheses."""
