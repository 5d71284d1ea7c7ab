"""Where an answer comes from, and which of its sentences the passages really support."""

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Integral, Real
from os.path import commonprefix
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from rag_app.chains.facts import Facts
from rag_app.chains.facts.amounts import OTHER_NAMES, in_digits
from rag_app.documents.text import HAN
from rag_app.index.store.records import breadcrumb, document_name
from rag_app.index.store.terms import content_terms, document_terms, fold, is_prefix, query_terms

if TYPE_CHECKING:  # a command shows what the resident engine cites without them
    from langchain_core.documents import Document

SUPPORT = 0.6
"""Share of a sentence's terms that a passage must hold to be cited for the sentence."""

_ENDS = "。！？；!?"
_WORD = re.compile(r"[A-Za-z0-9]+(?:[.,-][A-Za-z0-9]+)*|\s+|\S")
_OPEN = re.compile("什[么麼]|[怎谁誰何哪几幾]|多[少久大长長高远遠]")
"""Asks for more than yes or no."""
SENTENCE = re.compile(rf"[^\s{_ENDS}](?:[^\n{_ENDS}.]|\.(?!\s))*[{_ENDS}.]?")
_FENCE = re.compile(r" {0,3}(?:```|~~~)")
_UNMARKED = re.compile(r"\s*\|")
"""Lines of tables."""
_FORMULA = re.compile(r"\$\$.*?\$\$|\\\[.*?\\\]|\\\(.*?\\\)|(?<![\w\\$])\$(?![\s\d])[^$]+\$")
_FORMULA_BEGUN = re.compile(rf"(\$\$|\\\[)|\\\(|(?<![\w\\$])\$(?![\s\d$])[^${HAN}]*$", re.ASCII)
"""LaTeX, a display formula in the first group; ``$5`` is a price."""
_ITEM = re.compile(r"\s*(?:[-*•]\s+)?\**\d{1,3}\.")
_FURNITURE = re.compile(r"^\s*(?:[-*•>#]+\s+|\**\d{1,3}[.、)）](?!\d)\s*)+|[*`|]|\[\d{1,3}\]")
"""Not text of a sentence: numbers of lists, marks of Markdown, the model's own marks."""
_KINDS: dict[str, Any] = {
    "start": Integral, "end": Integral, "page": (Integral, str), "heading": str, "table_head": str,
    "score": Real, "relevance": Real,
}  # fmt: skip
"""Of metadata: what a citation takes over."""
_COUNTED = re.compile(rf"(\d+)\s*([{HAN}])(?![{HAN}])")
_FORGED = re.compile(r"^[^\S\n]*\[\d{1,3}\][^\S\n]*", re.MULTILINE)
"""What looks like the number of another passage."""


class FromJson:
    """A frozen dataclass that may come from where it was kept: JSON and msgpack know no tuples."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, list):
                object.__setattr__(self, name, tuple(value))


@dataclass(frozen=True)
class Citation(FromJson):
    """A passage that the model was given, and where it is in its document.

    What a retriever of another package does not say is None, and ``source`` empty.

    Example:
        >>> Citation(1, "/docs/manual.pdf", "Press and hold.", page=3).place
        'manual.pdf · p. 3'
    """

    marker: int
    """1-based number of the passage, as in ``[1]``."""
    source: str
    text: str
    start: int | None = None
    """Character offset of the passage in the text of its document."""
    end: int | None = None
    page: int | None = None
    """1-based."""
    heading: str | None = None
    """The last of ``headings``."""
    headings: tuple[str, ...] = ()
    """The path of headings that the passage is under."""
    table_head: str | None = None
    """The names of the columns of the table that the passage begins within."""
    copies: tuple[str, ...] = ()
    """Other documents in which a passage says the same."""
    score: float | None = None
    """The retriever's fused score."""
    relevance: float | None = None
    """Calibrated probability, 0 to 1, that the passage holds an answer."""
    suspect: bool = False
    """Whether its document tells its reader what to answer."""

    @property
    def name(self) -> str:
        """The file name, for people."""
        return PurePath(self.source).name or "no source"

    @property
    def place(self) -> str:
        """The file name with page and heading, for people."""
        parts = [self.name]
        if self.page:
            parts.append(f"p. {self.page}")
        if path := self.headings or (self.heading and (self.heading,)):
            parts.append(" › ".join(path))
        return " · ".join(parts)

    @property
    def shown(self) -> str:
        """The passage as a model reads it: its headings show what it is about.

        Orders to its reader are left out, and no line of it begins as a passage does.
        """
        place, head = map(self._without_orders, (self.place, self.table_head or ""))
        return "\n".join([f"[{self.marker}] {place}", *filter(None, (head, self.text_shown))])

    @property
    def text_shown(self) -> str:
        """The text as a model reads it: orders to its reader are left out."""
        return self._without_orders(_FORGED.sub("", self.text))

    def _without_orders(self, text: str) -> str:
        if not self.suspect:
            return text
        from rag_app.chains.orders import without_orders

        return without_orders(text, suspect=True)


@dataclass(frozen=True)
class Evidence:
    """The sentence of a passage that carries an answer.

    Example:
        >>> passages = [Citation(1, "tea.txt", "Tea is old. Green tea is steamed.")]
        >>> evidence("How is green tea made?", "It is steamed.", passages).sentence
        'Green tea is steamed.'
    """

    marker: int
    """Of the passage, see `Citation`."""
    sentence: str
    start: int | None = None
    """Character offset of the sentence in the text of its document."""
    end: int | None = None


def cite(passages: "Sequence[Document]") -> list[Citation]:
    """Return the retrieved passages as numbered citations.

    LangChain's own splitters write the offset as ``start_index``, its readers of PDFs count pages
    from 0 and write ``page_label`` or ``total_pages`` too; a passage without ``source`` is known
    by its id. Metadata of another type than a citation's fields are left out.
    """

    def fields(passage: "Document") -> dict[str, Any]:
        given = passage.metadata
        found: dict[str, Any] = {
            name: given[name]
            for name, kind in _KINDS.items()
            if isinstance(given.get(name), kind) and not isinstance(given[name], bool)
        }
        for name in ("headings", "copies"):
            several = given.get(name) if isinstance(given.get(name), list | tuple) else ()
            found[name] = tuple(item for item in several or () if isinstance(item, str))
        start = given.get("start_index")
        if "start" not in found and isinstance(start, Integral):
            found |= {"start": start, "end": start + len(passage.page_content)}
        if isinstance(label := given.get("page_label"), str):
            found["page"] = label
        elif "total_pages" in given and isinstance(page := found.get("page"), Integral):
            found["page"] = int(page) + 1
        source = given.get("source")
        return {**found, "source": str(source if source is not None else passage.id or "")}

    found = [
        Citation(marker=marker, text=passage.page_content, **fields(passage))
        for marker, passage in enumerate(passages, 1)
    ]
    suspects = {citation.source for citation in found if _has_orders(citation)}
    return [replace(citation, suspect=citation.source in suspects) for citation in found]


def _has_orders(citation: Citation) -> bool:
    from rag_app.chains.orders import has_orders

    return has_orders("\n".join([citation.place, citation.table_head or "", citation.text]))


def lacking(passages: "Sequence[Document]") -> list[str]:
    """Return notes on passages that give orders, and on what citations of them can't say."""
    found = cite(passages)
    notes = [
        f"{place} tells its reader what to answer; the model was not shown those sentences"
        for place in dict.fromkeys(citation.name for citation in found if citation.suspect)
    ]
    if any(citation.relevance is None for citation in found):
        notes.append("the retriever gives no relevance, so no passage was refused as irrelevant")
    if any(citation.start is None or not citation.source for citation in found):
        notes.append("the retriever does not say where in a document its passages are")
    return notes


class SentenceMarks(ABC):
    """Puts a mark after each sentence of a text as it streams, before what ends the sentence.

    Code, formulas and the rows of tables stay as they are: marks would break them.
    """

    def __init__(self) -> None:
        self._sentence = ""
        self._line = ""
        self._fenced = False
        self._display = ""
        """What ends the display formula that an earlier line began."""

    @abstractmethod
    def mark_of(self, sentence: str) -> str:
        """Return the mark of a sentence, which comes without marks of Markdown; it may be empty."""

    def feed(self, text: str) -> str:
        """Return ``text`` with marks before the end of each sentence that it completes."""
        out = []
        for char in text:
            if self._ends(char):
                out.append(self.close())
            else:
                self._sentence += char
            if char == "\n":
                # No formula holds an empty line.
                begun = self._begun_formula() if self._line.strip() else ""
                self._display = {"$$": "$$", "\\[": "\\]"}.get(begun[:2], "")
            self._line = "" if char == "\n" else self._line + char
            out.append(char)
        return "".join(out)

    def close(self) -> str:
        """Return the mark of the sentence so far and begin another."""
        sentence, self._sentence = self._sentence, ""
        if _FENCE.match(self._line):
            self._fenced = not self._fenced
            return ""
        mark = self.mark_of(_FURNITURE.sub(" ", sentence))
        return "" if self._hidden() else mark

    def _ends(self, char: str) -> bool:
        """Return whether a sentence ends before a character; none does within code or a formula."""
        if char == "\n":
            return True
        if (char != " " and char not in _ENDS) or self._hidden():
            return False
        return char != " " or (self._sentence.endswith(".") and not _ITEM.fullmatch(self._line))

    def _hidden(self) -> bool:
        """Return whether a mark would break what the line is in."""
        inline = self._line.count("`") % 2 or _UNMARKED.match(self._line)
        return bool(self._fenced or inline or self._begun_formula())

    def _begun_formula(self) -> str:
        """Return how the formula begins that the line is in; empty where it is in none."""
        line = self._line
        if self._display:
            _, ended, line = line.partition(self._display)
            if not ended:
                return "$$" if self._display == "$$" else "\\["
        found = _FORMULA_BEGUN.search(_FORMULA.sub("", line))
        return found[1] or found[0] if found else ""


class Marker(SentenceMarks):
    """Puts ``[1]`` marks into an answer as it streams, each checked against the passages.

    A sentence is marked with the passage that holds most of its terms, if that is at least
    `SUPPORT` of them and every number and name in it, as they are written. What no passage
    supports stays unmarked. What is the name of a document is marked with its passage.

    Args:
        citations: The passages.
        question: What the text answers: words that it repeats around the answer need no passage.

    Example:
        >>> marker = Marker([Citation(1, "tea.txt", "Green tea is steamed.")])
        >>> marker.feed("Green tea is steamed. ") + marker.feed("It is blue.") + marker.close()
        'Green tea is steamed.[1] It is blue.'
    """

    def __init__(self, citations: Sequence[Citation], question: str = "") -> None:
        super().__init__()
        self._question = question
        self._passages = [PassageText(citation) for citation in citations]
        self._names: dict[str, list[int]] = {}
        for citation in citations:
            self._names.setdefault(citation.name, []).append(citation.marker)
        self.supported = False
        """Whether a passage supports one of the sentences so far, marked or not."""

    def mark_of(self, sentence: str) -> str:
        """Return the number of the passage that supports a sentence, in brackets."""
        marker = self._support(sentence)
        self.supported = self.supported or marker is not None
        return f"[{marker}]" if marker else ""

    def _support(self, sentence: str) -> int | None:
        if named := self._names.get(sentence.strip()):
            return named.pop(0) if len(named) > 1 else named[0]
        sentence = in_digits(sentence)
        wanted = set(query_terms(sentence))
        if not wanted:
            return None
        new = set(query_terms(in_digits(beyond(self._question, sentence)))) or wanted
        facts = Facts.of(sentence)
        best, found = SUPPORT, None
        for passage in self._passages:
            held = passage.held(sentence, wanted | new)
            share = max(len(held & terms) / len(terms) for terms in (wanted, new))
            better = share > best or (share == best and found is None)
            if better and facts.are_in(passage.facts):
                best, found = share, passage.marker
        return found


class PassageText:
    """A cited passage as sentences are checked against it, with what it is under."""

    def __init__(self, citation: Citation) -> None:
        self.marker = citation.marker
        headings = citation.headings or filter(None, [citation.heading])
        above = breadcrumb(document_name(citation.source), [*headings], citation.table_head or "")
        self.text = f"{above}\n{citation.text}"
        self._terms = set(document_terms(in_digits(self.text)).split())

    @cached_property
    def facts(self) -> Facts:
        """Its numbers and names."""
        return Facts.of(self.text)

    def held(self, sentence: str, wanted: set[str]) -> set[str]:
        """Return which of a sentence's terms are in the passage.

        A unit of one character is not a term where another follows it, as in 32亩稻田.
        """
        units = {
            unit
            for number, unit in _COUNTED.findall(fold(sentence))
            if number + unit in self.facts.letters
            or OTHER_NAMES.get(unit, unit) in self.facts.numbers.get(number, ())
        }
        return wanted & (self._terms | units)


def beyond(question: str, sentence: str) -> str:
    """Return what a sentence says in the place of a question's asking words, where it repeats it.

    Example:
        >>> beyond("杜甫是在哪里出生的？", "杜甫是在河南巩县出生的。")
        '河南巩县'
    """
    asked, said = _WORD.findall(question.strip(_ENDS)), _WORD.findall(sentence.strip(_ENDS))
    before = len(commonprefix([asked, said]))  # noqa: RUF071 - no paths
    asked, said = asked[before:], said[before:]
    after = len(commonprefix([asked[::-1], said[::-1]]))  # noqa: RUF071
    asked, new = asked[: len(asked) - after], said[: len(said) - after]
    if not (before + after and _OPEN.search("".join(asked))):
        return ""
    return "".join(said if new and new[-1].isdigit() else new)  # a number keeps its unit


def marked(text: str, citations: Sequence[Citation], question: str = "") -> str:
    """Return a complete answer to a question with its checked marks."""
    marker = Marker(citations, question)
    return marker.feed(text) + marker.close()


def supported(text: str, citations: Sequence[Citation], question: str = "") -> bool:
    """Return whether a passage holds the words, numbers and names of one sentence at least.

    Those are not needed which the sentence repeats of the question, around what was asked.
    """
    marker = Marker(citations, question)
    marker.feed(text)
    marker.close()
    return marker.supported


def evidence(question: str, answer: str, citations: Sequence[Citation]) -> Evidence | None:
    """Return the sentence that holds most of an answer's terms, `SUPPORT` of them at least.

    Of several, it is the one that holds most of the question's, and of those the first.

    Example:
        >>> tea = Citation(1, "tea.txt", "Tea is old. Green tea is steamed. It keeps.", start=100)
        >>> evidence("How is green tea made?", "Steamed", [tea])
        Evidence(marker=1, sentence='Green tea is steamed.', start=112, end=133)
    """
    said = _FURNITURE.sub(" ", answer)
    wanted = set(query_terms(in_digits(beyond(question, said) or said)))
    asked = set(content_terms(question))
    best, found = (SUPPORT, -1.0), None
    for citation in citations:
        for match in SENTENCE.finditer(citation.text):
            held = set(document_terms(in_digits(match.group())).split())
            shares = (_share(wanted, held), _share(asked, held))
            if shares > best:
                best, found = shares, _evidence(citation, match)
    return found


def likely_evidence(question: str, citations: Sequence[Citation]) -> Evidence | None:
    """Return the sentence that holds most of a question's terms, before there is an answer.

    It is the most relevant passage's; of one that gives orders to its reader none is shown.

    Example:
        >>> tea = Citation(1, "tea.txt", "Tea is old. Green tea is steamed. It keeps.", start=100)
        >>> likely_evidence("How is green tea made?", [tea]).sentence
        'Green tea is steamed.'
    """
    asked = set(content_terms(question))
    best, found = 0.0, None
    for citation in citations[:1]:
        for match in SENTENCE.finditer("" if citation.suspect else citation.text):
            share = _share(asked, set(document_terms(in_digits(match.group())).split()))
            if share > best:
                best, found = share, _evidence(citation, match)
    return found


def _evidence(citation: Citation, match: re.Match[str]) -> Evidence:
    place = None if citation.start is None else citation.start + match.start()
    end = None if citation.start is None else citation.start + match.end()
    return Evidence(citation.marker, match.group(), place, end)


def _share(wanted: set[str], held: set[str]) -> float:
    found = [
        term in held or (is_prefix(term) and any(other.startswith(term) for other in held))
        for term in wanted
    ]
    return sum(found) / len(found) if found else 0.0
