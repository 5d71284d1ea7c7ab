"""What the pages of a site have beside their text: asides, footers, lists of links.

Lists of links go only where a page has an article, and only beside it: the channels of a
newspaper, its headlines of the day, what else there is to read.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from bs4 import BeautifulSoup, Tag
from bs4.element import NavigableString, PreformattedString

_BESIDE = ["aside", "footer"]
_LEAST_BESIDE, _MAIN_SHARE = 200, 0.5
"""Characters in paragraphs that what is called beside a page's text has where it is that text, and
their share of all of the page's."""
_SENTENCE = re.compile(r"[。．！？]|[.!?](?:\s|$)")
_LEAST_PROSE = 600
"""Bytes of sentences in an article: about 200 Han characters or 100 words."""
_ARTICLE_SHARE = 0.75
"""Share of a page's sentences that are in its article."""
_LEAST_LINKS, _LINKED_SHARE = 6, 0.8
"""Links of a menu, and the share of its text that they have."""
_HEADINGS = re.compile(r"h[1-6]")
_KEPT = ["h1", "th", "dt"]
"""What no menu holds: the title of a page, names of columns, and labels."""
_SAYS = re.compile(rf"{_SENTENCE.pattern}|(?:19|20)\d\d")
"""What says something beside links: sentences and days."""
_FILE = re.compile(r"\.(?:pdf|docx?|xlsx?|pptx?|wps|zip|rar)$", re.IGNORECASE)
"""Where a link leads to a file, which the text may have for an annex."""


@dataclass
class _Size:
    """Bytes of text in a tag, besides headings."""

    text: int = 0
    linked: int = 0
    prose: int = 0
    """Those of strings, in no link, with the end of a sentence or a year."""
    links: int = 0


def remove_beside(soup: BeautifulSoup) -> None:
    """Take asides and footers out of a page, but for notes, its own text, and whom it quotes."""
    found = soup.find_all(_BESIDE)
    least = max(_LEAST_BESIDE, _MAIN_SHARE * len(soup.get_text(strip=True))) if found else 0
    for tag in found:
        if tag.decomposed or _is_note(tag) or _in_paragraphs(tag) >= least:
            continue
        if tag.name == "aside" or tag.find_parent("blockquote") is None:
            tag.decompose()


def _is_note(tag: Tag) -> bool:
    """Return whether a tag is a footnote or a box of a book, which belong to its text."""
    roles = f"{tag.get('epub:type') or ''} {tag.get('role') or ''}"
    return tag.name == "aside" and (tag.has_attr("epub:type") or "doc-" in roles)


def _in_paragraphs(part: Tag) -> int:
    """Return how many characters the paragraphs with sentences have."""
    texts = (paragraph.get_text(strip=True) for paragraph in part.find_all("p"))
    return sum(len(text) for text in texts if _SENTENCE.search(text))


def remove_menus(part: Tag) -> None:
    """Take lists of links out of a page that has an article, where they stand beside it."""
    sizes = _sizes(part)
    path = _path_to_article(part, sizes)
    for around, kept in pairwise(path):
        for menu in list(_menus(around, kept, sizes)):
            menu.decompose()


def _sizes(part: Tag) -> dict[int, _Size]:
    """Return the size of each tag that holds text, by its id."""
    sizes: dict[int, _Size] = {}
    links: set[int] = set()
    for string in part.find_all(string=True):
        text = string.strip()
        if not text or isinstance(string, PreformattedString):
            continue
        around = list(_parents(string, part))
        if any(_HEADINGS.fullmatch(tag.name) for tag in around):
            continue
        link = next((id(tag) for tag in around if tag.name == "a"), None)
        size = len(text.encode())
        for tag in around:
            found = sizes.setdefault(id(tag), _Size())
            found.text += size
            if link is not None:
                found.linked += size
                found.links += link not in links
            elif _SAYS.search(text):
                found.prose += size
        links.add(link or 0)
    return sizes


def _parents(string: NavigableString, part: Tag) -> Iterator[Tag]:
    for tag in string.parents:
        yield tag
        if tag is part:
            return


def _path_to_article(part: Tag, sizes: dict[int, _Size]) -> Sequence[Tag]:
    """Return the tags from a page to its article, each within the one before; [] without one."""
    least = max(_LEAST_PROSE, _ARTICLE_SHARE * _prose(part, sizes))
    path: list[Tag] = []
    inner: Tag | None = part
    while inner is not None and _prose(inner, sizes) >= least:
        path.append(inner)
        tags = (child for child in inner.children if isinstance(child, Tag))
        inner = max(tags, key=lambda tag: _prose(tag, sizes), default=None)
    while path and any(map(_is_sentence, path[-1].children)):  # a paragraph of the article
        path.pop()
    return path


def _prose(tag: Tag, sizes: dict[int, _Size]) -> int:
    return sizes.get(id(tag), _Size()).prose


def _is_sentence(child: object) -> bool:
    return isinstance(child, NavigableString) and _SENTENCE.search(child) is not None


def _menus(around: Tag, kept: Tag | None, sizes: dict[int, _Size]) -> Iterator[Tag]:
    """Yield the largest lists of links in a tag, besides one of its children."""
    for child in around.children:
        if not isinstance(child, Tag) or child is kept:
            continue
        if _is_menu(child, sizes.get(id(child), _Size())):
            yield child
        else:
            yield from _menus(child, None, sizes)


def _is_menu(tag: Tag, size: _Size) -> bool:
    linked = size.links >= _LEAST_LINKS and size.linked >= _LINKED_SHARE * size.text
    return linked and not size.prose and tag.find(_KEPT) is None and tag.find(href=_FILE) is None
