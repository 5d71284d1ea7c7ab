"""Which sentences the passages support: marks after them, and the one that carries the answer."""

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from os.path import commonprefix

from rag_app.chains.citations import Citation, Evidence
from rag_app.chains.facts import Facts
from rag_app.chains.facts.amounts import OTHER_NAMES, in_digits
from rag_app.documents.text import HAN, content_terms, document_terms, fold, holds, query_terms
from rag_app.index.store.records import breadcrumb, document_name

SUPPORT = 0.6
"""Share of a sentence's terms that a passage must hold to be cited for the sentence."""
_ENDS = "。！？；!?"
_WORD = re.compile(r"[A-Za-z0-9]+(?:[.,-][A-Za-z0-9]+)*|\s+|\S")
_OPEN = re.compile("什[么麼]|[怎谁誰何哪几幾]|多[少久大长長高远遠]")  # asks for more than yes or no
_INITIAL = r"(?<=\b[A-Zv]\.)(?<!°[CF]\.)(?<!\d [A-Z]\.)"
_ABBREVIATED = rf"(?:{_INITIAL}|(?<=\b(?:St|Dr|Mr|Ms|vs)\.)|(?<=\bMrs\.))"
"""Behind a full stop that ends no sentence: of an initial, but not a unit as in 12 V, or of a word
before a name."""
SENTENCE = re.compile(
    rf"[^\s{_ENDS}](?:[^\n{_ENDS}.]|\.(?:(?!\s)|{_ABBREVIATED}(?! *(?:\n|$))))*[{_ENDS}.]?"
)
_FULL_STOP = re.compile(rf"\.(?!{_ABBREVIATED})$")
_FENCE = re.compile(r" {0,3}(?:```|~~~)")
_UNMARKED = re.compile(r"\s*\|")  # lines of tables
_FORMULA = re.compile(r"\$\$.*?\$\$|\\\[.*?\\\]|\\\(.*?\\\)|(?<![\w\\$])\$(?![\s\d])[^$]+\$")
_FORMULA_BEGUN = re.compile(rf"(\$\$|\\\[)|\\\(|(?<![\w\\$])\$(?![\s\d$])[^${HAN}]*$", re.ASCII)
"""LaTeX, a display formula in the first group; ``$5`` is a price."""
_ITEM = re.compile(r"\s*(?:[-*•]\s+)?\**\d{1,3}\.")
_FURNITURE = re.compile(r"^\s*(?:[-*•>#]+\s+|\**\d{1,3}[.、)）](?!\d)\s*)+|[*`|]|\[\d{1,3}\]")
"""Not text of a sentence: numbers of lists, marks of Markdown, the model's own marks."""
_COUNTED = re.compile(rf"(\d+)\s*([{HAN}])(?![{HAN}])")
_BRITISH = re.compile(r"(?<=[a-z][bt])(?P<re>re)(?=s?\b)|(?<=[a-z]{2})our(?=s?\b)")
"""The ends of metre and colour; a name keeps its spelling."""


class SentenceMarks(ABC):
    """Puts a mark after each sentence of a text as it streams, before what ends the sentence.

    Code, formulas and the rows of tables stay as they are: marks would break them.
    """

    def __init__(self) -> None:
        self._sentence = ""
        self._line = ""
        self._fenced = False
        self._display = ""  # what ends the display formula that an earlier line began

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
        stops = _FULL_STOP.search(self._sentence) is not None
        return char != " " or (stops and not _ITEM.fullmatch(self._line))

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
            for name in {citation.name, citation.document}:
                self._names.setdefault(name, []).append(citation.marker)
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
        sentence = as_compared(sentence)
        wanted = set(query_terms(sentence))
        if not wanted:
            return None
        new = set(query_terms(as_compared(beyond(self._question, sentence)))) or wanted
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
        name, head = document_name(citation.source), citation.table_head or ""
        above = breadcrumb(name, [*headings], head, citation.folders)
        self.text = f"{above}\n{citation.text}"

    @cached_property
    def _terms(self) -> set[str]:
        return set(document_terms(as_compared(self.text)).split())

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


def as_compared(text: str) -> str:
    """Return a text with its amounts in digits, and English words as they are spelt in America.

    A model answers metres in meters.

    Example:
        >>> as_compared("It is 412 metres long and has four colours.")
        'It is 412 meters long and has four colors.'
    """
    return _BRITISH.sub(lambda match: "er" if match["re"] else "or", in_digits(text))


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


def unheld(answer: str, citations: Sequence[Citation], question: str = "") -> tuple[str, ...]:
    r"""Return the numbers and names of an answer that neither its passages nor its question hold.

    Example:
        >>> tea = Citation(1, "tea.txt", "Green tea is steamed at 90 degrees.")
        >>> unheld("1. Green tea is steamed.\n2. It was brought in 1191.", [tea])
        ('1191',)
    """
    held = Facts.of("\n".join([question, *(PassageText(citation).text for citation in citations)]))
    cells = (_FURNITURE.sub(" ", cell) for cell in re.split(r"[\n|]", answer))
    sentences = (sentence for cell in cells for sentence in SENTENCE.findall(cell))
    lacking = (Facts.of(in_digits(sentence)).lacking_in(held) for sentence in sentences)
    return tuple(sorted(frozenset().union(*lacking)))


def evidence(question: str, answer: str, citations: Sequence[Citation]) -> Evidence | None:
    """Return the sentence that holds most of an answer's terms, `SUPPORT` of them at least.

    Of several, it is the one that holds most of the question's, and of those the first.

    Example:
        >>> tea = Citation(1, "tea.txt", "Tea is old. Green tea is steamed. It keeps.", start=100)
        >>> evidence("How is green tea made?", "Steamed", [tea])
        Evidence(marker=1, sentence='Green tea is steamed.', start=112, end=133)
    """
    said = _FURNITURE.sub(" ", answer)
    wanted = set(query_terms(as_compared(beyond(question, said) or said)))
    asked = set(content_terms(question))
    best, found = (SUPPORT, -1.0), None
    for citation in citations:
        for match in SENTENCE.finditer(citation.text):
            held = set(document_terms(as_compared(match.group())).split())
            shares = (_share(wanted, held), _share(asked, held))
            if shares > best:
                best, found = shares, quoted(citation, *match.span())
    return found


def cited_passage(question: str, text: str, citations: Sequence[Citation]) -> Citation:
    """Return the passage that carries an answer, by default the first."""
    found = evidence(question, text, citations)
    return next(
        (citation for citation in citations if found and citation.marker == found.marker),
        citations[0],
    )


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
                best, found = share, quoted(citation, *match.span())
    return found


def quoted(citation: Citation, start: int, end: int) -> Evidence:
    """Return a sentence of a passage, by its place in it, with that in the document if known."""
    sentence = citation.text[start:end]
    if citation.start is None:
        return Evidence(citation.marker, sentence)
    return Evidence(citation.marker, sentence, citation.start + start, citation.start + end)


def _share(wanted: set[str], held: set[str]) -> float:
    return sum(holds(held, term) for term in wanted) / len(wanted) if wanted else 0.0
