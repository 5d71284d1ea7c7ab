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
"""Passages of each document."""
_NUMBER = re.compile(r"^[\s\d.、()（）第章节条一二三四五六七八九十§-]+")
_WORD = re.compile(r"[^\W\d_]{2}")
_LENGTHS = range(2, 31)
_ASKS = re.compile(
    r"如何|怎样|怎么|为什么|为何|什么|是否|哪|(?:how|what|why|when|where|who|which|can|should)\b",
    re.IGNORECASE,
)
_ARTICLE = re.compile(r"^(?:An?|The) ")
_PLURAL = re.compile(r"[a-z](?<!s|i|u)s$", re.IGNORECASE)


def questions(store: DocumentStore) -> Iterator[str]:
    """Yield a question for each topic of the documents, whether or not it finds something."""
    yield from map(question_about, dict.fromkeys(_topics(store)))


def question_about(topic: str) -> str:
    """Return a question about what a heading names; one that asks already stays.

    Example:
        >>> question_about("报销流程"), question_about("如何安装")
        ('报销流程是怎样的？', '如何安装？')
        >>> question_about("A Minimal Application"), question_about("HTTP Methods")
        ('What is a Minimal Application?', 'What are HTTP Methods?')
        >>> question_about("Rendering Templates"), question_about("What to do if it fails")
        ('How does rendering Templates work?', 'What to do if it fails?')
    """
    topic, chinese = topic.rstrip("?？"), language_of(topic) == "zh"
    if _ASKS.match(topic):
        return f"{topic}{'？' if chinese else '?'}"
    if chinese:
        return f"{topic}是怎样的？"
    topic = _ARTICLE.sub(lambda article: article[0].lower(), topic)
    if re.match(r"[A-Z]?[a-z]{2,}ing\b", topic):
        return f"How does {topic[0].lower()}{topic[1:]} work?"
    return f"What {'are' if _PLURAL.search(topic) else 'is'} {topic}?"


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
    return list(islice((question for question in tried if relevance(question) >= threshold), count))


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
