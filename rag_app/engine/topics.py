"""What the documents of an index are about, as questions: their headings and names."""

import re
from collections.abc import Callable, Iterator
from itertools import chain, islice, zip_longest
from pathlib import PurePath

from rag_app.documents.text import language_of
from rag_app.index.store.interface import DocumentStore

_TRIED = 12
"""Questions, of which some are suggested."""
_DOCUMENTS = 20
_PASSAGES = 40
"""Of each document."""
_NUMBER = re.compile(r"^[\s\d.、()（）第章节条一二三四五六七八九十§-]+")
_WORD = re.compile(r"[^\W\d_]{2}")
_LENGTHS = range(2, 31)
_QUESTIONS = {"zh": "{}是怎样的？", "en": "What is {}?"}


def questions(store: DocumentStore) -> Iterator[str]:
    """Yield a question for each topic of the documents, whether or not it finds something."""
    for topic in dict.fromkeys(_topics(store)):
        yield _QUESTIONS[language_of(topic)].format(topic)


def suggestions(
    store: DocumentStore, relevance: Callable[[str], float], threshold: float, count: int
) -> list[str]:
    """Return questions about the headings of the documents, or their names where they have none.

    Args:
        store: The index.
        relevance: Returns that of the passage which a question finds.
        threshold: Below which a question would not be answered, so it is not suggested.
        count: Most questions.
    """
    tried = islice(questions(store), _TRIED)
    return list(islice((one for one in tried if relevance(one) >= threshold), count))


def _topics(store: DocumentStore) -> Iterator[str]:
    """Yield what documents are about, of each the first, then of each the second, and so on."""
    with store.read() as snapshot:
        topics = []
        for source in snapshot.sources()[:_DOCUMENTS]:
            passages = islice(snapshot.chunks_of(source), _PASSAGES)
            headings = [passage.heading for passage in passages if passage.heading]
            topics.append(list(map(_plain, [*dict.fromkeys(headings), PurePath(source).stem])))
    for topic in chain.from_iterable(zip_longest(*topics, fillvalue="")):
        if len(topic) in _LENGTHS and _WORD.search(topic):
            yield topic


def _plain(heading: str) -> str:
    return " ".join(_NUMBER.sub("", heading).strip(" #*：:").split())
