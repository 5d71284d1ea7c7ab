"""The parts of a number format of spreadsheets (ECMA-376, 18.8.31)."""

import re
from functools import lru_cache

_SECTIONS = re.compile(r'((?:"[^"]*"|[\\!].|[^;"\\!])*)(?:;|$)')
_TOKENS = re.compile(
    r'"(?P<quoted>[^"]*)"|[\\!](?P<escaped>.)|_.|\*.|\[\$(?P<currency>[^\]-]*)(?:-[^\]]*)?\]'
    r"|\[(?P<elapsed>h+|m+|s+)\]|\[[^\]]*\]|(?P<ampm>AM/PM|A/P|上午/下午)"
    r"|(?P<letters>y+|m+|d+|h+|s+|g+|e+(?![+-])|a{3,4})"
    r"|(?P<number>[#0?][#0?,]*(?:\.[#0?]*,*)?(?:E[+-]0+)?)|(?P<other>.)",
    re.IGNORECASE,
)
GENERAL = re.compile("General|G/通用格式", re.IGNORECASE)
_NUMERALS = re.compile(r"\[DBNum([123])\]", re.IGNORECASE)
_WORDS = {
    "1": ("〇一二三四五六七八九", "十百千"),
    "2": ("零壹贰叁肆伍陆柒捌玖", "拾佰仟"),
    "3": ("０１２３４５６７８９", "十百千"),
}


@lru_cache(1024)
def sections(number_format: str) -> list[str]:
    """Return the parts for positive and negative numbers, zero and text, as far as it has them."""
    found = [match[1] for match in _SECTIONS.finditer(number_format)]
    return (found if number_format.endswith(";") else found[:-1]) or [number_format]


@lru_cache(1024)
def tokens(section: str) -> "list[re.Match[str]]":
    """Return the signs of a section, each with what it is as the name of a group."""
    return list(_TOKENS.finditer(section))


def literal(token: "re.Match[str]") -> str:
    """Return what a sign shows that stands for no part of a value."""
    found = token["quoted"] or token["escaped"] or token["currency"] or token["letters"]
    return found or token["other"] or ""


def numerals(section: str) -> tuple[str, str] | None:
    """Return the digits, and the words for 10, 100 and 1000, that a section writes numbers in."""
    found = _NUMERALS.search(section)
    return _WORDS[found[1]] if found else None
