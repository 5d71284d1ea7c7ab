r"""Markdown as it is shown: without comments, and with its HTML and its front matter as text.

Code, in blocks and in lines, is as it was: what looks like HTML there is none.
"""

import html
import re
from collections import defaultdict
from string import ascii_lowercase, ascii_uppercase

from rag_app.documents.text import HAN_CHARACTER, superscript
from rag_app.documents.web.html import page_markdown
from rag_app.documents.web.torn_tags import BLOCKS

_FENCED = (
    r"^[ \t>]*(?P<fence>`{3,}(?=[^`\n]*$)|~{3,}).*(?s:.*?)(?:^[ \t>]*(?P=fence)[`~]*[ \t]*$|\Z)"
)
_INLINE = (
    r"(?<![`\\])(?P<ticks>`{1,9})(?!`)"
    r"(?:[^`\n]|\n(?!\n)|(?!(?P=ticks)(?!`))`+){0,2000}?(?P=ticks)(?!`)"
)
_INDENTED = r"(?<=\n\n)(?:(?: {4}|\t)[ \t]*\S.*(?:\n|\Z))+"
_CODE = re.compile(_FENCED, re.MULTILINE)
_IN_LIST = re.compile(r"\s*(?:[-*+]|\d{1,9}[.)、])\s|\s{2,}")
"""A line below which indented ones belong to an item of a list."""
_NOTE = r"^\[[^\]\n]+\]:[^\S\n]*(?:#|<>)[^\S\n]+[(\"'].*[)\"'][^\S\n]*$"
"""A link that no text refers to: how Markdown writes notes to its authors."""
_TABLE = r"(?i:<table[\s>])(?:[^<]|<(?!(?i:table[\s>]))){0,100000}?(?i:</table\s*>)"
_HEADING = (
    r"(?i:<h(?P<level>[1-6])[\s>])(?:[^<\n]|\n(?!\n)|<(?!h[1-6])){0,2000}?(?i:</h(?P=level)\s*>)"
)
_HIDDEN = r"<!--|(?i:<(?:style|script)[\s>])"  # where begins what is not shown
_RAISED = r"(?i:<sup>)(?P<raised>[^<>\n]{1,40})(?i:</sup>)"
_TAG = (
    r"(?<!\\)(?!(?<=\w)<[A-Z]>)"
    r"<(?P<close>/?)(?P<name>[A-Za-z][A-Za-z0-9]{0,15})(?:\s[^<>]{0,2000})?/?>"
)
"""A tag that is not escaped, but not the type in ``List<B>``."""
_VOID = frozenset({"br", "hr", "img", "wbr", "input", "source"})
"""Elements of HTML that have no end."""
_PAIRED = frozenset(
    """
    span font a b i u s em strong small big sub sup kbd mark ins del picture video audio iframe
    cite abbr ruby rt rp rb button label nobr tt samp var code q
    """.split()  # noqa: SIM905
).union(BLOCKS - _VOID)
"""Those with an end."""
_PLAIN = "[!#-;=?-_a-{}~]"
"""A character of ASCII that is no space and none of "<>`|."""
_VALUED = r"[A-Za-z@:][\w:.@-]{0,40}=(?:\"[^\"\n]{0,2000}\"|'[^'\n]{0,2000}')"
_END = r"(?:>|\s*/>)"  # the end of a tag; a sign that stands apart quotes or compares
_BEGUN = (
    rf"(?<!\\)<(?:{'|'.join(sorted(_VOID | _PAIRED))})(?=\s+[\w:.@-]+=[\"'])(?:\s+{_VALUED})*"
    rf"(?:\s+[\w:.@-]+=[\"']{_PLAIN}*)?{_END}?"
)
_ENDED = (
    rf"(?<!{_PLAIN})(?:(?:{_PLAIN}*\"\s+)?{_VALUED}(?:\s*{_VALUED}){{0,29}}{_END}(?!}}}})"
    rf"|{_PLAIN}+\"{_END})"
)
"""What is left of a tag whose end, or whose beginning, is lost."""
_END_OF_TAG = re.compile(r"(?<![=\s-])>")  # the sign, but for comparisons and arrows of code
_FAR = 2000  # characters before the end of a tag among which it may begin
_ENTITY = r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]\w{1,30});"
_ATTRIBUTE = (
    r"(?:[#.][^\W\d_][^\s{}]{0,99}|[A-Za-z][\w-]{0,40}=(?:\"[^\"\n]{0,99}\"|[^\s{}\"]{1,99}))"
)
_MORE = rf"(?:[ \t]+{_ATTRIBUTE}){{0,9}}[ \t]*\}}[ \t]*$"
_ATTRIBUTES = rf"(?<![ \t])[ \t]{{0,9}}\{{(?=[#.]){_ATTRIBUTE}{_MORE}"
"""What names a heading for links and styles (Pandoc's way)."""
_BLOCK_ATTRIBUTES = rf"\{{:[ \t]*(?:toc\b|{_ATTRIBUTE}){_MORE}"
"""The same of any block (kramdown's way)."""
_BOX = (
    r"^(?P<lead>[ \t>]*)(?::{3,}[ \t]*(?a:[\w-]*)[ \t]*(?:\{[^{}\n]*\}[ \t]*)?"
    r"|(?:(?<=>)|(?<=> ))\[!(?a:[\w-]+)\][+-]?|===[!+]?[ \t]+(?=\")"
    r"|(?:!!!|\?{3}\+?)[ \t]+[a-z][a-z -]*+(?=(?:\".*\")?[ \t]*\n\s*(?: {4}|\t)))"
    r"[ \t]*(?P<title>[^ \t\n].*)?(?:\n|\Z)"
)
"""A line that begins or ends a box, a fold or a tab, with its title if it has one: those of
VuePress and Docusaurus, of GitHub and Obsidian, of MkDocs."""
_CONTENTS = r"^[ \t]*@?\[{1,2}(?i:toc)\]{1,2}(?:\(.*\))?[ \t]*$"
_SHORTCODE = r"^[ \t]*\{(?:%|\{[<%])(?P<shortcode>[^{}\n]*)[%>]\}{1,2}[ \t]*$"
"""A command of Hugo, Jekyll or GitBook that stands alone."""
_IMPORT = (
    r"^import[ \t]+(?P<imported>\w+|\{[\w, ]+\})[ \t]+from[ \t]+(?:\"[^\"\n]+\"|'[^'\n]+');?[ \t]*$"
)
_LINK = (
    r"(?<!\\)!?\[(?P<linked>[^\[\]\n]{1,200})\]"
    r"\((?![A-Za-z][\w+.-]*:)[^()\s<>]{0,99}(?:%[89A-Fa-f][0-9A-Fa-f]|%20[0-9a-f]{32})"
    r"[^()\s<>]{0,2000}\)"
)
"""One to a file of the same folder, or within the text, by an address that nobody can read."""
_NAMED = re.compile(r"\b(\w+)=(?:\"([^\"]*)\"|'([^']*)')")
_LABELS = frozenset({"title", "caption", "label", "text"})
"""The attributes of a command or a component that are shown; so is Chinese that is no address."""
_COMPONENT = re.compile(r"</?[A-Z][a-z]\w*(?:[^{}\n]|\{[^{}\n]*\})*>")
"""A tag in one line that is none of HTML, but of Vue or React."""
_ENCLOSED = re.compile(r"\"(.*)\"|\[([^\[\]]*)\]|(.*?)[ \t]*(?:\{[^{}]*\})?")
_PARTS = re.compile(
    rf"(?P<code>{_FENCED}|{_INLINE})|(?P<indented>{_INDENTED})|(?P<hidden>{_HIDDEN})|(?P<note>{_NOTE})|(?P<page>{_TABLE}|{_HEADING})"
    rf"|{_LINK}|(?P<site>{_BOX}|{_CONTENTS}|{_SHORTCODE}|{_IMPORT})|{_RAISED}|(?P<named>{_ATTRIBUTES})|{_BLOCK_ATTRIBUTES}|(?P<tag>{_TAG})|{_BEGUN}"
    rf"|(?P<entity>{_ENTITY})|(?P<ended>{_ENDED})",
    re.MULTILINE,
)
_ENDS = {"<!--": "-->", "<style": "</style>", "<script": "</script>"}
_ANYWHERE = {start: re.compile(rf"(?s:.*?){end}") for start, end in _ENDS.items()}
_IN_PARAGRAPH = {
    start: re.compile(rf"(?:.|\n(?!\n)){{0,1000}}?{end}") for start, end in _ENDS.items()
}
"""Where ends what begins a line, and what begins within one."""
_LEAD = re.compile(r"[ \t>]{0,200}")
_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)
"""Small letters in the same places; some others become two."""
_LEFT_OPEN = frozenset({"p", "li", "dt", "dd", "tr", "td", "th"})  # those whose end may be left out
_FIELD = r"(?:[^\W\d][\w .-]{0,40}|\"[^\"\n]{1,40}\"|'[^'\n]{1,40}')[ \t]*[:=].*"
_FRONT = re.compile(
    rf"\A(?:---[ \t]*\n(?=\S)((?:(?:{_FIELD}|(?:[ \t#\]}}]|-[ \t]).*)?\n)+?)(?:---|\.{{3}})"
    r"|\+\+\+[ \t]*\n((?s:.*?)^)\+\+\+)[ \t]*(?:\n|\Z)",
    re.MULTILINE,
)
"""Fields of YAML, of which each line is a field or belongs to one, or of TOML."""
_TITLE = re.compile(
    r"^title[ \t]*[:=][ \t]*([\"']?)(?![ \t]*[|>\"'])(.+?)\1[ \t]*$\n?", re.MULTILINE
)
_COMMENT = re.compile(r"^#.*\n", re.MULTILINE)
_TOP = re.compile(r"^#[ \t]", re.MULTILINE)


def shown_markdown(text: str) -> str:
    r"""Return Markdown without what it does not show, its front matter and HTML as text.

    Example:
        >>> shown_markdown("---\ntitle: Lease\n---\n<!-- draft -->Due in <b>May</b>.&nbsp;`<b>`")
        '# Lease\n\nDue in May.\xa0`<b>`'
    """
    front = _FRONT.match(text)
    if front is None or not re.search(f"^{_FIELD}", front[1] or front[2], re.MULTILINE):
        return "".join(_shown(text))
    body = "".join(_shown(text[front.end() :]))
    fields = "".join(_shown(_COMMENT.sub("", front[1] or front[2]))).strip("\n")
    title = _TITLE.search(fields)
    if title is None or _TOP.search(_CODE.sub("", body)):
        return "\n\n".join(filter(None, [fields, body]))
    fields = (fields[: title.start()] + fields[title.end() :]).strip("\n")
    return "\n\n".join(filter(None, [f"# {title[2].strip()}", fields, body]))


def _shown(text: str) -> list[str]:
    """Return the pieces of Markdown, what it does not show left out."""
    lowered = text.translate(_LOWER)
    last = {start: lowered.rfind(end) for start, end in _ENDS.items()}
    pieces: list[str] = []
    tags = _Tags(pieces)
    at = before = line = 0
    while part := _PARTS.search(text, at):
        pieces.append(text[at : part.start()])
        line = max(line, text.rfind("\n", before, part.start()) + 1)
        at, before = part.end(), part.start()
        begins_line = _LEAD.fullmatch(text, line, before) is not None
        if part["hidden"]:
            start = part[0].lower().rstrip(">").rstrip()
            anywhere = begins_line and at <= last[start]
            end = (_ANYWHERE if anywhere else _IN_PARAGRAPH)[start].match(lowered, at)
            at = end.end() if end else at
            pieces.append("" if end else part[0])
        elif part["tag"]:
            in_line = text[line : line + 1] in {"|", "#"}  # a row or a heading ends with its line
            tags.append(part, begins_line=begins_line, in_line=in_line)
        elif (part["indented"] and _IN_LIST.match(_line_before(text, before))) or (
            part["ended"] and not _is_torn(text[max(0, before - _FAR) : before])
        ):
            pieces.append(text[before])
            at = before + 1
        else:
            pieces.append(_in_place_of(part, in_heading=text[line] == "#"))
    return [*pieces, text[at:]]


def _in_place_of(part: "re.Match[str]", *, in_heading: bool) -> str:
    """Return what stands for a part of a text: code is as it was, attributes say nothing."""
    if part["page"]:
        return f"\n\n{page_markdown(part[0])}\n\n"
    if part["site"]:
        return _in_place_of_command(part)
    if part["linked"]:
        return part["linked"]
    if part["raised"]:
        return superscript(part["raised"])
    if part["entity"]:
        return html.unescape(part[0])
    is_left = part["code"] or part["indented"] or (part["named"] and not in_heading)
    return part[0] if is_left else ""


def _in_place_of_command(part: "re.Match[str]") -> str:
    """Return what is shown of a line for the program that makes a site of Markdown."""
    if part["title"]:
        found = _ENCLOSED.fullmatch(part["title"].strip())
        title = next(filter(None, found.groups()), "") if found else ""
        return f"{part['lead']}{title}\n" if title else ""
    if part["imported"]:  # code of JavaScript is left, if nothing that it names is a component
        names = re.findall(r"\w+", part["imported"])
        return "" if any(f"<{name}" in part.string for name in names) else part[0]
    command = part["shortcode"] or ""
    return part[0] if HAN_CHARACTER.search(_NAMED.sub("", command)) else _label(command)


def _label(markup: str) -> str:
    """Return what is shown of a command or a component."""
    named = [(name, one or two) for name, one, two in _NAMED.findall(markup)]
    said = [
        text for name, text in named
        if name in _LABELS or (HAN_CHARACTER.search(text) and "/" not in text)
    ]  # fmt: skip
    return " ".join(dict.fromkeys(filter(None, said)))


def _is_torn(before: str) -> bool:
    """Return whether what ends a tag has no beginning in the text before it."""
    quoted = before[before.rfind("\n") + 1 :].count('"') % 2
    start = max(before.rfind("<"), before.rfind("&lt;"))
    return not quoted and (start < 0 or _END_OF_TAG.search(before, start) is not None)


class _Tags:
    """The tags of HTML in a text: those with both halves, and those that need but one.

    Others are names that a writer put between the same signs, as in ``use <label> here``.
    """

    def __init__(self, pieces: list[str]) -> None:
        self._pieces = pieces
        self._open: dict[str, list[tuple[int, str]]] = defaultdict(list)
        """Name → where tags are among the pieces that have no end yet, and what stands for them."""

    def append(self, part: "re.Match[str]", *, begins_line: bool, in_line: bool) -> None:
        """Append a tag to the pieces."""
        name, close = part["name"].lower(), part["close"]
        shown = _in_place_of_tag(name, close, in_line=in_line)
        known = name in _VOID or name in _PAIRED
        if not known and _COMPONENT.fullmatch(part[0]):
            in_its_line = begins_line and part.string[part.end() : part.end() + 1] in "\n<"
            known = in_its_line or part[0].endswith("/>") or (close != "" and name in self._open)
            shown = _label(part[0])
        alone = begins_line and name in (BLOCKS if close else _LEFT_OPEN)
        alone = alone or name in _VOID or "=" in part[0] or part[0].endswith("/>")
        if close and name in self._open:
            alone = True
            if waiting := self._open[name]:
                at, opening = waiting.pop()
                self._pieces[at] = opening
        elif known and not close:
            self._open[name].append((len(self._pieces), shown))
        self._pieces.append(shown if known and alone else part[0])


def _line_before(text: str, at: int) -> str:
    """Return the last line before a place that is not blank."""
    end = at
    while end and text[end - 1].isspace():
        end -= 1
    return text[text.rfind("\n", 0, end) + 1 : end]


def _in_place_of_tag(name: str, close: str, *, in_line: bool) -> str:
    """Return what stands for a tag of HTML in a text."""
    if name not in BLOCKS:
        return ""
    if in_line:
        return " "
    return "\n- " if name == "li" and not close else "\n"
