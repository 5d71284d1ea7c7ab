"""The sources of an answer as clients know them: annotations, a list, a footer of its text."""

import re
from typing import Any
from urllib.parse import quote

from rag_app.chains.citations import Citation
from rag_app.chains.results import Answer
from rag_app.documents.text import language_of
from rag_app.server.index_registry import document_id

_MARK = re.compile(r"\[(\d{1,3})\]")
_LABELS = {"zh": ("出处：", "查阅："), "en": ("Sources:", "Read:")}
"""Of passages that hold what the answer says, and of those that the model was only given."""
_FOOTER = re.compile(r"\n\n(?:出处：|查阅：|Sources:|Read:)\n(?:\[\d+\] .*\n?)+\Z")


class Sources:
    r"""The passages behind the marks of one answer.

    Args:
        text: Of the answer, with its marks.
        answer: The answer.
        address: Of the index in the API, without a slash at its end.

    Example:
        >>> answer = Answer("Steamed.", citations=[Citation(1, "/docs/tea.txt", "It is steamed.")])
        >>> Sources("Steamed.[1]", answer, "http://127.0.0.1/v1/indexes/tea").footer
        '\n\nSources:\n[1] tea.txt'
    """

    def __init__(self, text: str, answer: Answer, address: str) -> None:
        self._text = text
        self._citations = answer.citations if answer.answered else ()
        self._address = address

    @property
    def urls(self) -> list[str]:
        """Where the text of each passage that was read can be fetched, by their numbers."""
        return [self._url(citation) for citation in self._citations]

    @property
    def annotations(self) -> list[dict[str, Any]]:
        """Each mark as OpenAI's ``url_citation``, at its place in the text."""
        known = {citation.marker: citation for citation in self._citations}
        return [
            {
                "type": "url_citation",
                "url_citation": {
                    "start_index": mark.start(),
                    "end_index": mark.end(),
                    "title": known[number].place,
                    "url": self._url(known[number]),
                },
            }
            for mark in _MARK.finditer(self._text)
            if (number := int(mark[1])) in known
        ]

    @property
    def footer(self) -> str:
        """A line for each source, to stand below the text; empty where there is none."""
        marked = {int(number) for number in _MARK.findall(self._text)}
        found = [citation for citation in self._citations if citation.marker in marked]
        label = _LABELS[language_of(self._text)][not found]
        lines = [f"[{c.marker}] {c.place}" for c in found or self._citations]
        return "\n".join(["\n", label, *lines]) if lines else ""

    def _url(self, citation: Citation) -> str:
        # RFC 5147: characters of a plain text.
        place = f"#char={citation.start},{citation.end}" if citation.start is not None else ""
        return f"{self._address}/documents/{document_id(citation.source)}/text{place}"


def without_footer(text: str) -> str:
    """Return an earlier answer as it was before its footer and marks, for a model to read."""
    return _MARK.sub("", _FOOTER.sub("", text))


def index_address(base_url: str, index: str) -> str:
    """Return the address of an index in the API of the server at ``base_url``."""
    return f"{base_url.rstrip('/')}/v1/indexes/{quote(index)}"
