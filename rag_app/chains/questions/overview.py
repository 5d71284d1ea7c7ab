"""Questions about documents as a whole: what they are about, which there are, dates, conclusions.

No passage answers them, so they are not searched for. They are recognized by their
wording, which must be about documents in general, or one that the question names, from end to end.
"""

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path, PurePath
from typing import Literal, get_args

from rag_app.chains.questions import bare_question
from rag_app.documents.text import HAN_CHARACTER

OverviewKind = Literal["about", "list", "dates", "conclusion"]

_WORD = re.compile(r"(?<!\?P)<(\w+)>")
_SIGNS = ("noun", "gist", "date", "conclusion", "sum_up", "one")
"""Words of which every such Chinese question holds one."""
_SIGNS_EN = (
    r"\b(?:about|say|discuss|cover|contain|describe|summari[sz]e|summary|overview|outline|topics?"
    r"|dates?|years?|deadlines?|conclu\w+|list|how many|which|in|(?:kind|sort|type)s? of|findings?"
    r"|takeaways?|points?|messages?|gist)\b"
)
_COMMON = ("noun", "gist", "date", "conclusion", "document_en", "date_en")
"""Words that name no document, though one may be called so."""
_QUOTES = re.compile('[《》〈〉“”"‘「」『』`]')
_EDGES = " \t\n，,。.！!？?；;：:…~"
_POLITELY = re.compile(
    r"^(?:(?:你好|您好|请问|請問|请|請|麻烦|帮我|帮忙|能否|能不能|可以|可否|我想(?:问|知道|了解)(?:一下)?"
    r"|(?:我)?想|快速|先|看看|看一下|告诉我|给我|用[一两三几\d]+句话|简单|简要|详细|hello|hi|please|briefly"
    r"|(?:can|could|would) you|tell me|give me|show me)"
    r"[，,\s]*)+",
    re.IGNORECASE,
)
_FORM_AT_END = re.compile(
    r"(?:[,，]\s*(?:用|以)?|\s*(?:用|以))(?:列表|表格|要点)(?:的?形式|列出)?$"
    r"|,? (?:in|as|with) (?:an? )?(?:(?:one|two|three|\d+|few|short) )?"
    r"(?:sentences?|words?|lines?|paragraphs?|table|list|bullets?(?: points)?|brief|short|general)"
    r"$",
    re.IGNORECASE,
)
_YEAR = re.compile(r"^(?:\d{4}(?:年度?)?(?:\d{1,2}月)?|\d[\d.]*)[\s_.、-]*")
_VERSION = re.compile(
    r"[\s_.-]*(?:[(（](?:\d+|终稿|定稿|最终版?|副本|修订版?|final|copy)[)）]|v?\d[\d.]*|终稿|定稿|最终版|副本"
    r"|修订版|(?<=[\s_-])(?:final|copy|draft))$",
    re.IGNORECASE,
)
_SUFFIXES = {"word": ".doc", "excel": ".xls", "powerpoint": ".ppt", "markdown": ".md"}
"""How those of a format begin that has another name."""
_NAMED = {"zh": "这份文档", "en": "this document"}
_SHORTEST = 2  # characters of a name that a question may mean


@dataclass(frozen=True)
class Overview:
    """A question about documents as a whole."""

    kind: OverviewKind
    sources: tuple[str, ...] = ()
    """The documents that it names; all where there is none."""
    topic: str = ""
    """What they are to be about, where it says so."""
    word: str = ""
    """What the documents have in their names that it counts."""


def overview_of(
    question: str, sources: Callable[[], Iterable[str]], *, alone: bool = True
) -> Overview | None:
    """Return what a question asks about documents as a whole, None where it asks something else.

    Args:
        question: As it was asked.
        sources: Returns the documents there are; called where the question may name one.
        alone: Whether nothing was said before, so that 总结一下 means the documents.

    Example:
        >>> overview_of("《合同.pdf》主要讲了什么？", lambda: ["/资料/合同.pdf", "/资料/手册.pdf"])
        Overview(kind='about', sources=('/资料/合同.pdf',), topic='', word='')
        >>> overview_of("What are these documents about?", lambda: [])
        Overview(kind='about', sources=(), topic='', word='')
        >>> overview_of("合同什么时候到期？", lambda: ["/资料/合同.pdf"])
    """
    wordings = [_plain(question), _plain(bare_question(question))]
    if alone and any(
        pattern.fullmatch(wording) for pattern in _wordings().alone for wording in wordings
    ):
        return Overview("about")
    if match := _first_match(wordings, _wordings().formats):
        return _of_format(match["word"].casefold(), sources())
    if not any(map(_wordings().may_be.search, wordings)):
        return _counted(wordings, sources)
    if found := _matched(wordings):
        kind, topic = found
        return Overview(kind, (), topic)
    named, texts = _with_names(wordings, sources())
    if found := _matched(texts):
        return Overview(found[0], named)
    return _counted(wordings, sources)


@dataclass(frozen=True)
class _Wordings:
    """The patterns of ``overview.toml``."""

    patterns: tuple[tuple[OverviewKind, re.Pattern[str]], ...]
    may_be: re.Pattern[str]
    """Finds something in every such question: others need not know the names of documents."""
    common: re.Pattern[str]
    alone: tuple[re.Pattern[str], ...]
    counted: tuple[re.Pattern[str], ...]
    formats: tuple[re.Pattern[str], ...]


@cache
def _wordings() -> _Wordings:
    table = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    words = {name: text.replace("\n", "") for name, text in table["words"].items()}

    def filled(text: str) -> str:
        while found := _WORD.search(text):
            text = f"{text[: found.start()]}(?:{words[found[1]]}){text[found.end() :]}"
        return text.replace("?P<topic>", "?:", max(text.count("?P<topic>") - 1, 0))

    def any_of(names: Iterable[str], more: str) -> re.Pattern[str]:
        return re.compile("|".join([*(filled(f"<{name}>") for name in names), more]), re.IGNORECASE)

    patterns = tuple(
        (kind, re.compile(filled(text), re.IGNORECASE))
        for kind in get_args(OverviewKind)
        for text in table["patterns"][kind]
    )

    def compiled(texts: Iterable[str]) -> tuple[re.Pattern[str], ...]:
        return tuple(re.compile(filled(text), re.IGNORECASE) for text in texts)

    return _Wordings(
        patterns,
        any_of(_SIGNS, filled(f"<tells><what>|{_SIGNS_EN}")),
        any_of(_COMMON, "$"),
        compiled(table["alone"]["about"]),
        compiled(table["counted"]["list"]),
        compiled(table["formats"]["list"]),
    )


def _plain(question: str) -> str:
    text = " ".join(question.split()).strip(_EDGES)
    text = _POLITELY.sub("", text).strip(_EDGES) or text
    return _FORM_AT_END.sub("", text).strip(_EDGES) or text


def _matched(wordings: Iterable[str]) -> tuple[OverviewKind, str] | None:
    for text in dict.fromkeys(_QUOTES.sub("", wording) for wording in wordings):
        for kind, pattern in _wordings().patterns:
            if match := pattern.fullmatch(text):
                return kind, (match.groupdict().get("topic") or "").strip()
    return None


def _first_match(
    wordings: Iterable[str], patterns: Iterable[re.Pattern[str]]
) -> re.Match[str] | None:
    texts = [_QUOTES.sub("", wording) for wording in wordings]
    found = (pattern.fullmatch(text) for text, pattern in product(texts, patterns))
    return next(filter(None, found), None)


def _counted(wordings: Iterable[str], sources: Callable[[], Iterable[str]]) -> Overview | None:
    """Return the documents of the kind that a question counts, None where no name tells them."""
    if match := _first_match(wordings, _wordings().counted):
        word = match["word"].casefold()
        if named := tuple(one for one in sources() if word in PurePath(one).stem.casefold()):
            return Overview("list", named, word=word)
    return None


def _of_format(name: str, sources: Iterable[str]) -> Overview | None:
    """Return the documents of a format, None where the names of documents are not known."""
    known, suffix = tuple(sources), _SUFFIXES.get(name, f".{name}")
    named = (one for one in known if PurePath(one).suffix.casefold().startswith(suffix))
    return Overview("list", tuple(named), word=suffix) if known else None


def _with_names(wordings: list[str], sources: Iterable[str]) -> tuple[tuple[str, ...], list[str]]:
    """Return the documents that a question names, and its wordings with a noun in their place."""
    folded = wordings[0].casefold()
    found: dict[str, list[str]] = {}
    for source in sources:
        for name in _names(source):
            if name.casefold() in folded:
                found.setdefault(name.casefold(), []).append(source)
                break
    if not found:
        return (), []
    named: list[str] = []

    def replaced(match: re.Match[str]) -> str:
        named.extend(found[match[1].casefold()])
        return _NAMED["zh"] if chinese else f" {_NAMED['en']} "

    # At once and the longest first: some names are parts of others.
    names = "|".join(map(re.escape, sorted(found, key=len, reverse=True)))
    edges = (r"\s?[《“\"'「『]?(?<![a-z0-9_])", r"(?![a-z0-9_])[》”\"'」』]?\s?")
    pattern = re.compile(f"{edges[0]}({names}){edges[1]}", re.IGNORECASE)
    chinese = HAN_CHARACTER.search(pattern.sub("", wordings[0])) is not None
    texts = [" ".join(pattern.sub(replaced, text).split()) for text in wordings]
    texts = [re.sub(r"\b(?:the|this) this document", "this document", text) for text in texts]
    return tuple(dict.fromkeys(named)), texts


def _names(source: str) -> Iterator[str]:
    """Yield what a question may call a document: its file's name, as it is and as people say it.

    They leave out the suffix, the year before it and the version after it, and say spaces for
    dashes.
    """
    path = PurePath(source)
    yield path.name
    plain = _VERSION.sub("", path.stem)
    forms = [path.stem, plain, _YEAR.sub("", path.stem), _YEAR.sub("", plain)]
    for name in dict.fromkeys([*forms, *(re.sub(r"[-_]+", " ", form) for form in forms)]):
        if len(name) >= _SHORTEST and not _wordings().common.fullmatch(name):
            yield name
