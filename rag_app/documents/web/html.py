"""HTML → Markdown: what people read of a page, also in its tabs, folds and dialogs."""

import re
import warnings
from collections import Counter
from typing import TYPE_CHECKING

from rag_app.documents.text import clean, one_blank_line, superscript

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag

_CHARSET = re.compile(
    rb"<(?:meta|\?xml)[^>]{0,200}?(?:charset|encoding)\s*=\s*[\"']?([\w.:-]+)", re.I
)
_WIDER = {
    **dict.fromkeys(("gb2312", "gbk", "gb_2312-80", "x-gbk", "cp936"), "gb18030"),
    **dict.fromkeys(("big5", "x-x-big5"), "cp950"),
    **dict.fromkeys(("ks_c_5601-1987", "euc-kr"), "cp949"),
    **dict.fromkeys(("shift_jis", "x-sjis"), "cp932"),
    **dict.fromkeys(("iso-8859-1", "us-ascii"), "cp1252"),
}
"""What browsers read instead of an encoding: the one that contains it (WHATWG's Encoding)."""
_TAG = re.compile(r"</?[a-z][a-z0-9]{0,15}(?:\s[^<>]{0,500})?/?>", re.IGNORECASE)
_PIECE = re.compile(
    r"<(?:p|div|span|ul|ol|table|h[1-6]|section|article|blockquote)(?:\s[^<>]*)?>.*"
    r"(?:</(?:p|div|span|ul|ol|table|h[1-6]|section|article|blockquote)>|<br ?/?>)",
    re.DOTALL | re.IGNORECASE,
)
"""A piece of a page: it begins and ends with a block of one."""
_FEW_TAGS = 5
_MOSTLY_TAGS = 0.1
_END_OF_CODE = re.compile(r"</(script|style|title|textarea)\s[^<>]*>", re.IGNORECASE)
"""Browsers take it for the end; the parser does not, and all that follows for code."""
_REVEALED = re.compile(r"<!\[(?:if\b[^\]<>]{0,200}|endif)\]>", re.IGNORECASE)
"""What Word writes around text that not all programs show; the parser takes it for text."""
_CODE = re.compile(r"<(/?)(script|style)\b[^<>]*>", re.IGNORECASE)
_MAIN_SHARE = 0.4
"""Share of a page's text that its <main> or only <article> must hold to stand for the page."""

_OPENED = re.compile(r"<(li|dt|dd|tr|td|th)[\s>]", re.IGNORECASE)
_CLOSED = re.compile(r"</(li|dt|dd|tr|td|th)[\s>]", re.IGNORECASE)
_WHOLE = 0.95  # share of the text that a parser must keep
_NESTING = r"(?:div|span|p|font|center|section|article|b|i|em|strong|u|blockquote)"
_PILE = re.compile(
    rf"(?:<{_NESTING}(?:\s[^<>]{{0,200}})?>\s{{0,20}}){{200,}}|(?:</{_NESTING}\s*>\s{{0,20}}){{200,}}",
    re.IGNORECASE,
)
"""Tags that hold nothing but each other: nobody writes them, and each costs a parser time."""
_DEEPEST = 200  # tags in tags; each takes two of the 1,000 calls that Python allows


def declared_charset(data: bytes) -> str | None:
    """Return the encoding that a page declares, widened as browsers do (gb2312 means gb18030)."""
    match = _CHARSET.search(data[:4096])
    return wider_charset(match[1].decode("ascii", "replace")) if match else None


def wider_charset(name: str) -> str:
    """Return the encoding that is meant by a charset of a page or mail."""
    return _WIDER.get(name.lower(), name.lower())


def is_markup(text: str) -> bool:
    """Return whether text is a piece of a page's source: much of it is tags."""
    tags = [match[0] for match in _TAG.finditer(text)]
    return len(tags) >= _FEW_TAGS and sum(map(len, tags)) > _MOSTLY_TAGS * len(text)


def words_of_markup(value: str) -> str:
    r"""Return the words of a value that is a piece of a page, as editors in pages store them.

    Example:
        >>> words_of_markup("<p>凭证&nbsp;入园</p><p>免票</p>"), words_of_markup("a <b> c")
        ('凭证\xa0入园 免票', 'a <b> c')
    """
    return " ".join(page_markdown(value).split("\n\n")) if _PIECE.fullmatch(value) else value


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


def without_torn_code(page: str) -> str:
    """Return a page without what is before the end of a script that has no beginning."""
    kept: list[str] = []
    at, opened = 0, ""
    for tag in _CODE.finditer(page):
        name = tag[2].lower()
        if not tag[1]:
            opened = opened or name
        elif opened:
            opened = "" if opened == name else opened
        else:
            ends = [each.end() for each in _TAG.finditer(page, at, tag.start())]
            kept.append(page[at : ends[-1] if ends else at])
            at = tag.end()
    return "".join([*kept, page[at:]])


def page_markdown(page: str, *, of_site: bool = False) -> str:
    r"""Return the main text of a web page as Markdown, its title on top if it has no heading.

    Args:
        page: The source of a page, or of a piece of one.
        of_site: Whether it is one of a site's pages, of which what stands beside the text is left
            out; mails, books and what editors store have none.

    Example:
        >>> page_markdown("<title>通知</title><nav>首页</nav><p>今日<b>停水</b></p>")
        '# 通知\n\n今日**停水**'
    """
    from rag_app.documents.web.boilerplate import remove_beside, remove_menus
    from rag_app.documents.web.equations import write_equations
    from rag_app.documents.web.torn_tags import without_torn_tags
    from rag_app.documents.web.visible import remove_unseen

    page = _END_OF_CODE.sub(r"</\1>", _REVEALED.sub("", without_comments(page)))
    page = without_torn_code(page)
    soup = _parsed(without_torn_tags(page))
    _unfold_frames(soup)
    write_equations(soup)
    for raised in soup.find_all("sup"):
        if (text := raised.get_text()) != superscript(text):
            raised.string = superscript(text)
    title = _take_title(soup)
    remove_unseen(soup)
    if of_site:
        remove_beside(soup)
    part = _main_part(soup)
    if of_site:
        remove_menus(part)
    text = one_blank_line(clean(_markdown(part)))
    if title and part.find("h1") is None and text:
        return f"# {clean(title)}\n\n{text}"
    return text or clean(title)


def _unfold_frames(soup: "BeautifulSoup") -> None:
    """Put pages that are within a page, as browsers save frames, in the place of these."""
    for frame in soup.find_all("iframe", srcdoc=True):
        framed = _parsed(str(frame["srcdoc"]))
        frame.name = "div"
        if framed.title:
            framed.title.decompose()
        frame.extend(list((framed.body or framed).contents))


def _take_title(soup: "BeautifulSoup") -> str:
    """Take the title out of a page, where it may stand in the text, and return it."""
    for drawn in soup.select("svg title"):
        drawn.decompose()
    if not soup.title:
        return ""
    title = soup.title.get_text(" ", strip=True)
    soup.title.decompose()
    return _TAG.split(title)[0].strip() if is_markup(title) else title  # it is not closed


def _parsed(page: str) -> "BeautifulSoup":
    from bs4 import UnusualUsageWarning

    with warnings.catch_warnings():
        # It warns of XML, and of text that could be a path; pages are read as browsers read them.
        warnings.simplefilter("ignore", UnusualUsageWarning)
        return _tree(page)


def _tree(page: str) -> "BeautifulSoup":
    """Return a page as a tree not too deep to be worked on."""
    from bs4 import BeautifulSoup

    page = _PILE.sub(" ", page)
    soup = BeautifulSoup(page, "html.parser")
    deep = _is_deep(soup)
    if not deep and not _is_left_open(page):
        return soup
    # That parser ends nothing that isn't closed: a row would hold the next row.
    closed = BeautifulSoup(page.replace("\0", ""), "lxml")
    whole = len(closed.get_text(strip=True)) >= _WHOLE * len(soup.get_text(strip=True))
    if whole and not _is_deep(closed):
        return closed
    if not deep:
        return soup
    text = BeautifulSoup("", "html.parser")
    for string in soup.stripped_strings:
        paragraph = text.new_tag("p")
        paragraph.string = string
        text.append(paragraph)
    return text


def _is_left_open(page: str) -> bool:
    """Return whether a page leaves out ends of tags, as HTML allows."""
    opened = Counter(name.lower() for name in _OPENED.findall(page))
    closed = Counter(name.lower() for name in _CLOSED.findall(page))
    return bool(opened - closed)


def _is_deep(soup: "BeautifulSoup") -> bool:
    depths = {id(soup): 0}
    for tag in soup.find_all(True):
        depth = depths.get(id(tag.parent), 0) + 1
        depths[id(tag)] = depth
        if depth > _DEEPEST:
            return True
    return False


def _markdown(part: "Tag") -> str:
    from rag_app.documents.web.markdown import converter, unfold_layout

    for end in part.select("pre br"):
        end.replace_with("\n")
    for lines in part.select("pre ol, pre ul"):  # how pages number the lines of code
        items = [item.get_text().strip("\n") for item in lines.find_all("li", recursive=False)]
        numbers = [str(number) for number in range(1, len(items) + 1)]
        if items:
            before, after = (
                "\n" if near else "" for near in (lines.previous_sibling, lines.next_sibling)
            )
            lines.replace_with("" if items == numbers else before + "\n".join(items) + after)
    unfold_layout(part)
    return converter().convert_soup(part)


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
