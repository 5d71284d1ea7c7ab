"""HTML → Markdown: what people read of a page."""

import re
from typing import TYPE_CHECKING, Any

from rag_app.documents.text import clean, one_blank_line

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag

MARKDOWN_OPTIONS: dict[str, Any] = {
    "heading_style": "atx",
    "bullets": "-",
    "strip": ["a", "img"],
    "escape_asterisks": False,
    "escape_underscores": False,
    "table_infer_header": True,
}
"""For markdownify: headings and tables are kept; addresses of links and pictures are no text."""

_NOISE = {
    *("script", "style", "noscript", "template", "svg", "iframe", "object"),
    *("nav", "footer", "aside", "button", "select", "dialog"),
}
_NOISE_ROLES = {"navigation", "contentinfo"}
_MAIN_SHARE = 0.4
"""Share of a page's text that its <main> or only <article> must hold to stand for the page."""
_CHARSET = re.compile(
    rb"<(?:meta|\?xml)[^>]{0,200}?(?:charset|encoding)\s*=\s*[\"']?([\w.:-]+)", re.I
)


def declared_charset(data: bytes) -> str | None:
    """Return the encoding that a page declares, widened as browsers do (gb2312 means gb18030)."""
    match = _CHARSET.search(data[:4096])
    if match is None:
        return None
    name = match[1].decode("ascii", "replace").lower()
    wider = {"gb2312": "gb18030", "gbk": "gb18030", "gb_2312-80": "gb18030", "x-gbk": "gb18030"}
    return {**wider, "big5": "cp950", "x-x-big5": "cp950"}.get(name, name)


def without_comments(page: str) -> str:
    """Return a page without its comments; the parser takes forever over many unclosed ones."""
    kept: list[str] = []
    at = 0
    while (start := page.find("<!--", at)) >= 0:
        end = page.find("-->", start + 4)
        if end < 0:
            return "".join(kept) + page[at:].replace("<!--", "")
        kept.append(page[at:start])
        at = end + 3
    return "".join(kept) + page[at:]


def page_markdown(page: str) -> str:
    """Return the main text of a web page as Markdown, its title on top if it has no heading."""
    from bs4 import BeautifulSoup
    from markdownify import MarkdownConverter

    soup = BeautifulSoup(without_comments(page), "html.parser")
    title = soup.title.get_text(" ", strip=True) if soup.title else ""
    for tag in soup.find_all(_is_noise):
        if not tag.decomposed:  # with what it stood in
            tag.decompose()
    part = _main_part(soup)
    try:
        text = MarkdownConverter(**MARKDOWN_OPTIONS).convert_soup(part)
    except RecursionError:  # nested deeper than Python's stack: its text alone
        text = part.get_text("\n", strip=True)
    text = one_blank_line(clean(text))
    if title and part.find("h1") is None and text:
        return f"# {clean(title)}\n\n{text}"
    return text or clean(title)


def _is_noise(tag: "Tag") -> bool:
    hidden = "hidden" in tag.attrs or tag.attrs.get("aria-hidden") == "true"
    return tag.name in _NOISE or hidden or tag.attrs.get("role") in _NOISE_ROLES


def _main_part(soup: "BeautifulSoup") -> "Tag":
    body = soup.body or soup
    articles = body.find_all("article", limit=2)
    main = (
        body.find("main") or body.find(role="main") or (articles[0] if len(articles) == 1 else None)
    )
    if main is None:
        return body
    enough = len(main.get_text(strip=True)) >= _MAIN_SHARE * len(body.get_text(strip=True))
    return main if enough else body
