"""What the pages of a site have beside their text: asides, footers, lists of links.

Lists of links go only where they stand before the title of an article, as the channels of a
newspaper do. Below the title they may be what a page is for: its chapters, goods or courses.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from bs4 import BeautifulSoup, Tag
from bs4.element import NavigableString, PreformattedString

_BESIDE = ["aside", "footer"]
_LEAST_BESIDE, _MAIN_SHARE = 200, 0.5
"""Characters in paragraphs that what is called beside a page's text has where it is that text, and
their share of all of the page's."""
_SENTENCE = re.compile(r"[。．！？]|[.!?](?:\s|$)")
_LEAST_PROSE = 600
"""Bytes of sentences below the title of an article: about 200 Han characters or 100 words."""
_ARTICLE_SHARE = 0.75  # share of a page's sentences that are below its title
_LEAST_LINKS, _LINKED_SHARE = 6, 0.8
"""Links of a menu, and the share of its text that they have."""
_MOST_OF_LINK = 24
"""Bytes of a link of a menu in the mean: about 8 Han characters or 4 words; titles have more."""
_HEADINGS = re.compile(r"h[1-6]")
_LABELLED, _KEPT = {"table", "dl"}, ["th", "dt"]
"""What no menu holds: names of columns, and labels."""
_SAYS = re.compile(rf"{_SENTENCE.pattern}|\d{{4}}|@")
"""What says something beside links: sentences, days, whom to call."""
_ELSEWHERE = re.compile(r"(?!#.|tel:|mailto:)", re.IGNORECASE)
"""Where a link leads to another page; a table of contents leads into its own."""
_FILE = re.compile(r"\.(?:pdf|docx?|xlsx?|pptx?|wps|zip|rar)$", re.IGNORECASE)
"""Where a link leads to a file, which the text may have for an annex."""


@dataclass
class _Size:
    """Bytes of text in a tag, besides headings."""

    text: int = 0
    linked: int = 0
    prose: int = 0  # those of strings, in no link, that say something
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
    """Take lists of links out of a page that stand before the title of its article."""
    title = part.find("h1")
    if not isinstance(title, Tag):
        return
    sizes = _sizes(part)
    before = list(_before(title, part))
    prose = sizes.get(id(part), _Size()).prose
    article = prose - sum(sizes.get(id(tag), _Size()).prose for tag in before)
    if article < max(_LEAST_PROSE, _ARTICLE_SHARE * prose):
        return
    for menu in [menu for tag in before for menu in _menus(tag, sizes)]:
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
        link = next((id(tag) for tag in around if _is_link(tag)), None)
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


def _is_link(tag: Tag) -> bool:
    return tag.name == "a" and tag.has_attr("href") and bool(_ELSEWHERE.match(str(tag["href"])))


def _parents(node: Tag | NavigableString, part: Tag) -> Iterator[Tag]:
    for tag in node.parents:
        yield tag
        if tag is part:
            return


def _before(title: Tag, part: Tag) -> Iterator[Tag]:
    """Yield the tags that end before a title, the largest ones."""
    for around in (title, *_parents(title, part)):
        if around is not part:
            yield from (tag for tag in around.previous_siblings if isinstance(tag, Tag))


def _menus(tag: Tag, sizes: dict[int, _Size]) -> Iterator[Tag]:
    """Yield the largest lists of links in a tag, or itself where it is one."""
    if _is_menu(tag, sizes.get(id(tag), _Size())):
        yield tag
    elif tag.name not in _LABELLED or tag.find(_KEPT) is None:
        for child in tag.children:
            if isinstance(child, Tag):
                yield from _menus(child, sizes)


def _is_menu(tag: Tag, size: _Size) -> bool:
    linked = size.links >= _LEAST_LINKS and size.linked >= _LINKED_SHARE * size.text
    linked = linked and size.linked <= _MOST_OF_LINK * size.links
    return linked and not size.prose and tag.find(_KEPT) is None and tag.find(href=_FILE) is None
