"""Questions to begin with, drawn from the documents themselves: each finds something in them."""

import re
from collections.abc import Iterator
from itertools import chain, islice, zip_longest
from pathlib import PurePath

from rag_app.documents.text import language_of
from rag_app.engine import RagApp

_DOCUMENTS = 20
_PASSAGES = 40
"""Of each document."""
_TRIED = 12
_NUMBER = re.compile(r"^[\s\d.、()（）第章节条一二三四五六七八九十§-]+")
_WORD = re.compile(r"[^\W\d_]{2}")
_LENGTHS = range(2, 31)
_QUESTIONS = {"zh": "{}是怎样的？", "en": "What is {}?"}


def suggestions(engine: RagApp, count: int) -> list[str]:
    """Return questions about the headings of the documents, or their names where they have none.

    Each is one for which passages are found that are relevant enough to be answered from.

    Args:
        engine: Over the index.
        count: Most questions.
    """
    topics = dict.fromkeys(_topics(engine))
    questions = (_QUESTIONS[language_of(topic)].format(topic) for topic in islice(topics, _TRIED))
    return list(islice(filter(lambda question: _is_answered(engine, question), questions), count))


def _is_answered(engine: RagApp, question: str) -> bool:
    found = engine.retrieve(question, k=1)
    relevance = found[0].metadata.get("relevance", 1.0) if found else 0.0
    return bool(relevance >= engine.settings.threshold)


def _topics(engine: RagApp) -> Iterator[str]:
    """Yield what documents are about, of each the first, then of each the second, and so on."""
    with engine.store.read() as snapshot:
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
