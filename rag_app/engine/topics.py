"""Topics of the documents of an index, as questions about their headings and names."""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice, zip_longest
from pathlib import PurePath

from rag_app.chains.questions.overview import overview_of
from rag_app.documents.text import HAN, language_of
from rag_app.index.store.interface import DocumentStore
from rag_app.index.store.records import ChunkRecord

_TRIED = 12  # questions, of which some are suggested
_DOCUMENTS = 20
_PASSAGES = 40  # passages of each document
_NUMERAL = r"[\d一二三四五六七八九十百]+"
_NUMBER = re.compile(
    rf"^(?:第{_NUMERAL}[章节條条編编]|[(（]{_NUMERAL}[)）]|{_NUMERAL}(?:\.\d+)*[、.)）\s]"
    r"|\d+(?:\.\d+)+|[§\s-])+"
)
"""Of a heading; 2023年 and 3D are no numbers of theirs."""
_WORD = re.compile(r"[^\W\d_]{2}")
_LENGTHS = {"zh": range(2, 13), "en": range(2, 31)}
"""Characters; what is longer is a title or a sentence."""
_SHORT = re.compile(rf"[{HAN}]{{1,4}}|[^\s{HAN}]+")
"""A heading that says too little without the name of its document, where there are others."""
_ASKS = re.compile(
    r"如何|怎样|怎么|为什么|为何|什么|是否|哪|(?:how|what|why|when|where|who|which|can|should)\b",
    re.IGNORECASE,
)
_ASKS_LATER = re.compile(r"如何|怎样|怎么|为什么|为何|什么|是否|哪")
_ARTICLE = re.compile(r"^(?:An?|The) ")
_PLURAL = re.compile(r"[a-z](?<!s|i|u)s$", re.IGNORECASE)


def questions(store: DocumentStore) -> Iterator[str]:
    """Yield a question for each topic of the documents, whether or not it finds something."""
    yield from dict.fromkeys(_questions(store, _first_sources(store)))


def question_about(topic: str, document: str = "") -> str:
    """Return a question about what a heading names, of a document; one that asks already stays.

    Example:
        >>> question_about("报销流程"), question_about("如何安装")
        ('报销流程是怎样的？', '如何安装？')
        >>> question_about("潮汐是怎样来的"), question_about("背景", "机房改造")
        ('潮汐是怎样来的？', '《机房改造》的背景是怎样的？')
        >>> question_about("A Minimal Application"), question_about("HTTP Methods")
        ('What is a Minimal Application?', 'What are HTTP Methods?')
        >>> question_about("Rendering Templates"), question_about("What to do if it fails")
        ('How does rendering Templates work?', 'What to do if it fails?')
    """
    topic, chinese = topic.rstrip("?？"), language_of(topic) == "zh"
    if _ASKS.match(topic) or (chinese and _ASKS_LATER.search(topic)):
        return f"{topic}{'？' if chinese else '?'}"
    if chinese:
        return f"《{document}》的{topic}是怎样的？" if document else f"{topic}是怎样的？"
    topic = _ARTICLE.sub(lambda article: article[0].lower(), topic)
    if re.match(r"[A-Z]?[a-z]{2,}ing\b", topic):
        return f"How does {topic[0].lower()}{topic[1:]} work?"
    inside = f" in {document}" if document else ""
    return f"What {'are' if _PLURAL.search(topic) else 'is'} {topic}{inside}?"


def suggestions(
    store: DocumentStore, relevance: Callable[[str], float], threshold: float, count: int
) -> list[str]:
    """Return up to ``count`` questions about headings, whose passages reach the threshold."""

    def is_answered(question: str) -> bool:
        whole = overview_of(question, lambda: sources) is not None
        return whole or relevance(question) >= threshold

    sources = _first_sources(store)
    found = dict.fromkeys(_questions(store, sources))
    return list(islice(filter(is_answered, islice(found, _TRIED)), count))


def _first_sources(store: DocumentStore) -> list[str]:
    with store.read() as snapshot:
        return snapshot.sources()[:_DOCUMENTS]


def _questions(store: DocumentStore, sources: Sequence[str]) -> Iterator[str]:
    """Yield questions about documents, of each the first, then of each the second, and so on."""
    with store.read() as snapshot:
        asked = [
            _of_document(
                PurePath(source),
                list(islice(snapshot.chunks_of(source), _PASSAGES)),
                alone=len(sources) == 1,
            )
            for source in sources
        ]
    yield from filter(None, chain.from_iterable(zip_longest(*asked)))


def _of_document(path: PurePath, passages: Sequence[ChunkRecord], *, alone: bool) -> list[str]:
    """Return questions about the headings of a document, and what it is about."""
    language = language_of("".join(passage.text for passage in passages[:5]))
    topics = dict.fromkeys(_plain(one.heading) for one in passages if one.heading)
    found = [
        question_about(topic, "" if alone or not _SHORT.fullmatch(topic) else path.stem)
        for topic in topics
        if topic.casefold() != path.stem.casefold()
        and len(topic) in _LENGTHS[language_of(topic)]
        and _WORD.search(topic)
    ]
    # With its suffix, a name is known to be one: 手册 may be any handbook.
    about = f"《{path.name}》主要讲了什么？" if language == "zh" else f"What is {path.name} about?"
    return [*found, about]


def _plain(heading: str) -> str:
    return " ".join(_NUMBER.sub("", heading).strip(" #*：:").split())
