"""Rules of a page's style sheets that hide elements, as far as simple selectors go."""

import re

from bs4 import BeautifulSoup, Tag

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_AT_RULE = re.compile(
    r"@[^{};]{0,300}(?:;|\{(?:[^{}]{0,5000}\{[^{}]{0,5000}\}){0,500}[^{}]{0,5000}\})"
)
"""Rules that hold only on some screens, and what is not a rule."""
_RULE = re.compile(r"([^{}]{1,2000})\{([^{}]{0,5000})\}")
_SIMPLE = re.compile(r"(?:[a-z][a-z0-9]*)?[.#][\w-]+")
_NAME = re.compile(r"[.#][\w-]+")
_DISPLAY = re.compile(r"(?:^|;)(?:display|visibility):([a-z-]+)")
_NOT_SHOWN = {"none", "hidden", "collapse"}
_MOST_CSS = 500_000
"""Characters."""


def hidden_selectors(soup: BeautifulSoup) -> set[str]:
    """Return the selectors of one class or id that a page hides, and nothing in it shows.

    Example:
        >>> rules = ".old, .tab {display: none} #a:checked ~ .tab {display: block}"
        >>> hidden_selectors(BeautifulSoup(f"<style>{rules}</style>", "html.parser"))
        {'.old'}
    """
    sheets = (sheet for sheet in soup.find_all("style") if "print" not in str(sheet.get("media")))
    css = "\n".join(sheet.get_text() for sheet in sheets)[:_MOST_CSS]
    hidden: set[str] = set()
    opened: set[str] = set()
    for selectors, body in _RULE.findall(_AT_RULE.sub("", _COMMENT.sub("", css))):
        said = _DISPLAY.findall("".join(body.lower().split()))
        if not said:
            continue
        for selector in map(str.strip, selectors.split(",")):
            if said[-1] not in _NOT_SHOWN:
                opened |= {*_NAME.findall(selector), selector}
            elif _SIMPLE.fullmatch(selector):
                hidden.add(selector)
                opened.discard(selector)
    return {each for each in hidden if each not in opened and _NAME.findall(each)[0] not in opened}


def matches(tag: Tag, selectors: set[str]) -> bool:
    """Return whether one of the selectors means a tag."""
    if not selectors:
        return False
    names = [f".{name}" for name in map(str, tag.get_attribute_list("class"))]
    names += [f"#{tag['id']}"] if tag.get("id") else []
    return any(name in selectors or f"{tag.name}{name}" in selectors for name in names)
