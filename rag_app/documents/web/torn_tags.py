"""Tags that damage tore: left out of a page, since a parser takes the pieces for its text.

A piece is known by where it is: a tag that the next one or the page's end cuts off, or an end
of a tag whose beginning is lost. What authors write between tags is not touched, nor is code.
"""

import re

from rag_app.documents.encodings.damage import SKIPPED

BLOCKS = frozenset(
    """
    br hr p div center address pre blockquote figure figcaption details summary section article
    header footer nav main aside h1 h2 h3 h4 h5 h6 ul ol li dl dt dd table tr td th
    """.split()  # noqa: SIM905
)
"""Elements that end a line."""

_NAME = r"[A-Za-z][\w:.-]{0,60}"
_VALUE = r"\"[^\"]{0,2000}\"|'[^']{0,2000}'|[^\s\"'<>=`]{1,500}"
_CODE = "script|style|pre|code|textarea|xmp"
_WHOLE = (
    rf"<(?P<code>{_CODE})\b[^<>]*>|<!\[CDATA\[|<![^<>]*>"
    rf"|</?{_NAME}(?:\s+[^\s\"'<>/=]{{1,100}}(?:\s*=\s*(?:{_VALUE}))?|\s*/)*\s*>"
    rf"|</?{_NAME}[^<>]*>"
)
_LONG_NAMES = (
    "html|head|body|meta|link|title|div|span|em|strong|h[1-6]|ul|ol|li|dl|dt|dd|table|thead|tbody|tr"
    "|td|th|ruby|rb|rt|rp|br|hr|img|section|article|main|details|summary|button|font|center"
)
"""Those that are not letters or words that an author may put beside a sign."""
_PLAIN = r"[!-;=?-~]"  # a character of ASCII that is neither a space nor < nor >
_BEGINNING = rf"(?:(?:{_LONG_NAMES})(?![\w-])|{_NAME}\s+[\w:-]+=)(?:{_PLAIN}|\s){{0,2000}}"
_SELECTOR = r"[A-Za-z0-9_.#,:@ \t\n-]"
_RULE = (
    rf"(?:/\*[^<>*]{{0,200}}\*/\s{{0,5}})?{_SELECTOR}{{0,120}}"
    r"\{\s{0,5}[a-z-]{3,40}:[^{}<>]{1,800}\}\s{0,20}"
)
"""A rule of a style sheet."""
_ATTRIBUTE = rf"\s{{1,20}}{_NAME}=(?:\"[^\"<>]{{0,2000}}\"|'[^'<>]{{0,2000}}')"
_TORN = (
    rf"<\?[^<>]*>|<!DOCTYPE\b[^<>]*(?=<|\Z)|<[/!?]?{_BEGINNING}(?=[^\s!-;=?-~]|\Z)|<[/!?]?(?:[A-Za-z][\w:-]{{0,15}})?\Z"
    rf"|(?P<end>(?<!\s)(?:{_ATTRIBUTE}){{1,20}}\s*/?>|(?<=\")(?:{_ATTRIBUTE}|\s{_NAME}=\"[^\"<>\s]*\Z)+\Z)"
    rf"|(?<![^>])\s{{0,20}}/?(?:{_LONG_NAMES})>|(?<![A-Za-z0-9_-])[=;:,|]?/(?:{_LONG_NAMES}|p)>"
    rf"|(?:[a-z-]{{3,30}}:\s?[\w#.% -]{{1,40}};\s?){{1,10}}\"\s?/?>"
    r"|[A-Za-z0-9 .&;/-]{0,40}//[A-Z]{2}\"[^<>]{0,300}(?:<![^<>]{0,300}>[^<>]{0,20}){0,50}>"
    rf"|(?<!{_SELECTOR})(?:{_RULE}){{2,}}(?:{_SELECTOR}{{0,120}}\{{[^{{}}<>]{{0,400}}(?=<|\Z))?"
    r"|\A[^<>]{0,2000}[a-z-]{3,30}:\s?[^;<>]{1,60};\s{0,5}\}[^<>]{0,2000}(?=<)"
    r"|[\d., -]{10,300}\"\s?/>|&[a-z]{2,8}\Z"
    rf"|(?<![A-Za-z0-9_-])[=;:,|](?:{_LONG_NAMES})>"
    rf"|[^\w\s]{{0,2}}xml version=\"1\.\d\"[^<>]{{0,60}}>"
    rf"|<[^\w\s<>!?/](?:{_LONG_NAMES})>|(?<![\"\w.:/#-])[A-Za-z][\w.:/#-]{{1,60}}\"\s?/?>"
    rf"|\A{_PLAIN}{{1,60}}[\"']\s{{0,20}}/?>|\A\s*/?[a-z]{{1,10}}>"
    r"|[\w:-]{0,30}=\"[^\"<>\s]{0,300}\"\s?/?>"
)
_MORE_TORN = (
    r"<[/!]?[A-Za-z][A-Za-z0-9-]{0,15}(?=[^\x00-\x7f])|<![^<>]{0,200}(?=<|\Z)"
    r"|(?<![!-;=?-~])[ -;=?-~]{0,60}(?<![\s-])>|</(?=\s)"
    r"|(?<![\w-])[\w-]{1,20}=\"[^\"<>]{0,300}\"(?:\s{1,20}[\w-]{1,20}=\"[^\"<>]{0,300}\"){1,20}\s{0,20}/?"
    r"|[\w.]{0,30}\s?=\s?function\s?\([^()<>]{0,60}\)\s?\{[!-;=?-~\s]{0,300}"
)
"""Pieces that others than damaged pages may have for their text, as ``A>B``."""
_ONCE = [re.compile(mark, re.IGNORECASE) for mark in (r"<html\b", "</head>", "</body>")]
_NAMED = re.compile(r"<(/?)([A-Za-z][\w:-]{0,15})")
_KNOWN = frozenset(
    """
    a abbr acronym address area article aside audio b base basefont bdi bdo bgsound big blockquote
    body br button canvas caption center cite code col colgroup command data datalist dd del details
    dfn dialog dir div dl dt em embed fieldset figcaption figure font footer form frame frameset h1
    h2 h3 h4 h5 h6 head header hgroup hr html i iframe img input ins isindex kbd label legend li
    link main map mark marquee math menu meta meter nav nobr noembed noframes noscript object ol
    optgroup option output p param picture pre progress q rb rp rt rtc ruby s samp script search
    section select slot small source span strike strong style sub summary sup svg table tbody td
    template textarea tfoot th thead time title tr track tt u ul var video wbr xmp
    """.split()  # noqa: SIM905
)
"""Names of HTML; others are those of damaged tags where what they end never began."""
_PIECE = re.compile(f"(?P<whole>{_WHOLE})|{_TORN}", re.DOTALL | re.IGNORECASE)
_PIECE_OF_DAMAGED = re.compile(
    f"(?P<whole>{_WHOLE})|{_TORN}|{_MORE_TORN}", re.DOTALL | re.IGNORECASE
)
_BEFORE = re.compile(rf"<?{_PLAIN}{{1,60}}\Z")  # what is left of a tag in front of its attributes


def without_torn_tags(page: str) -> str:
    """Return a page's source without the pieces of tags that are not whole.

    Example:
        >>> without_torn_tags('lass="a">规定</p><p>自五月起施行。</p><div cla')
        '规定</p><p>自五月起施行。</p>'
    """
    pieces = _PIECE_OF_DAMAGED if _is_damaged(page) else _PIECE
    lowered = page.lower()
    last = {name: lowered.rfind(f"</{name}") for name in _CODE.split("|")}
    kept: list[str] = []
    at = 0
    while piece := pieces.search(page, at):
        start, text = piece.start(), page[at : piece.start()]
        at = piece.end()
        name = (piece["code"] or "").lower()
        if name and at <= last[name]:
            at = lowered.find(f"</{name}", at)
        if piece["end"]:
            text = text[:-100] + _BEFORE.sub("", text[-100:])
        kept += [text, page[start:at]] if piece["whole"] else [text]
    return "".join([*kept, page[at:]])


def _is_damaged(page: str) -> bool:
    """Return whether a page has lost bytes, begins twice or goes on behind its end.

    A page is damaged, too, that ends what never began.
    """
    _, ended, behind = page.lower().partition("</html>")
    twice = any(len(mark.findall(page)) > 1 for mark in _ONCE)
    if SKIPPED in page or twice or (ended and behind.count("<") > behind.count("<!--")):
        return True
    names = {(close, name.lower()) for close, name in _NAMED.findall(page)}
    closed = {name for close, name in names if close and name not in _KNOWN}
    return bool(closed - {name for close, name in names if not close})
