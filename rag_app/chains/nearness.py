"""How near passages are to a question by their sentences, where words differ.

Where no passage is relevant the question may be put in other words than theirs. What a whole
passage is about says little then, its nearest sentence says more. The nearest sentences are also
what is shown of passages where a question is refused.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter

from langchain_core.documents import Document

from rag_app.chains.citations import Citation, Evidence
from rag_app.chains.marks import SENTENCE, quoted
from rag_app.chains.results import Answer
from rag_app.chains.streaming import Steps, result_of
from rag_app.errors import RagAppError
from rag_app.models.embeddings.base import DocumentEmbeddings

_log = logging.getLogger(__name__)

USUAL_COSINES: Mapping[str, float] = {"multilingual-e5-small": 0.885}
"""By embedding model: of a question and the nearest sentence of a passage below the threshold."""

Cosines = Mapping[str, float]
"""Of sentences, by how much they are nearer to a question than usual; of none where unknown."""

NEAREST = 6
"""Sentences that are read first where no passage is relevant, and shown with a refusal.

Of 29 questions in everyday words with an answer, of which no passage is relevant, 17 reach the
threshold by them, 10 of these by the sentence that answers (of four sentences 12 and 7), and 5 of
33 near misses either way. Of 200 such questions about 48 public texts they hold the answer to 70 %
(224 characters), the beginnings of four passages to 20 % (320 characters)."""

_LEAST = 5  # characters of a sentence; what is shorter is a heading's number or a mark of a list

_LONGEST = 200  # characters of a sentence that is quoted

_COMPARED = 128
"""Sentences of which the nearest are found, if it is not known how near they are. The default model
takes 25 ms of processor time for each of those in news."""


def nearest_first(
    question: str, passages: Sequence[Document], embeddings: DocumentEmbeddings | None
) -> tuple[Sequence[Document], Cosines]:
    """Return passages ordered by their nearest sentences, and how near each sentence is.

    They stay as they are where it is not known which cosines are usual for the embedding model.

    Example:
        >>> nearest_first("怎么挂失？", [Document("先报失。")], None)
        ([Document(metadata={}, page_content='先报失。')], {})
    """
    if embeddings is None or embeddings.name not in USUAL_COSINES:
        return passages, {}
    sentences = [sentence for passage in passages for sentence in _sentences(passage.page_content)]
    cosines = _cosines(question, sentences, embeddings)
    return sorted(passages, key=lambda passage: -nearness([passage], cosines)), cosines


def nearest_sentence(
    question: str, texts: Sequence[str], embeddings: DocumentEmbeddings | None, known: Cosines
) -> tuple[str, float]:
    """Return the sentence of some texts that is the nearest to a question, and its nearness.

    It is empty where it is not known which cosines are usual for the embedding model, and where
    none is short enough to be quoted.

    Args:
        question: What was asked.
        texts: Whose sentences are compared with it.
        embeddings: The embedding model.
        known: What `nearest_first` found for the same question, if it was called.
    """
    if embeddings is None or embeddings.name not in USUAL_COSINES:
        return "", 0.0
    found = [sentence for text in texts for sentence in _sentences(text)]
    short = [sentence for sentence in found if len(sentence) <= _LONGEST]
    cosines = _cosines(question, short, embeddings, known)
    return max(
        ((sentence, cosines[sentence]) for sentence in short),
        key=itemgetter(1),
        default=("", 0.0),
    )


def nearness(passages: Sequence[Document], cosines: Cosines) -> float:
    """Return by how much the nearest sentence of passages is nearer than usual, as a cosine."""
    return max(
        cosines[sentence] for passage in passages for sentence in _sentences(passage.page_content)
    )


def nearest_sentences(
    question: str,
    citations: Sequence[Citation],
    embeddings: DocumentEmbeddings | None,
    known: Cosines,
) -> tuple[Evidence, ...]:
    """Return the `NEAREST` sentences of cited passages, the nearest first.

    Each is there once, orders to the reader and rules of tables are not; there is none without an
    embedding model.

    Args:
        question: What was asked.
        citations: The passages.
        embeddings: The embedding model.
        known: What `nearest_first` found for the same question, if it was called.
    """
    if embeddings is None:
        return ()
    found: dict[str, Evidence] = {}
    for citation in citations:
        shown = citation.text_shown
        for sentence in _sentences(citation.text):
            if sentence in shown and any(map(str.isalnum, sentence)):
                start = citation.text.index(sentence)
                found.setdefault(sentence, quoted(citation, start, start + len(sentence)))
    compared = [*found] if known else [*found][:_COMPARED]
    cosines = _cosines(question, compared, embeddings, known)
    nearest = sorted(compared, key=lambda sentence: -cosines[sentence])[:NEAREST]
    return tuple(found[sentence] for sentence in nearest)


def with_nearest(nearest: Callable[[], tuple[Evidence, ...]]) -> Steps[Answer]:
    """Yield the sentences nearest to a question, after its refusal, which needs none of them.

    There are none where the embedding model fails, which is logged.

    Args:
        nearest: Returns them.
    """

    def found() -> tuple[Evidence, ...]:
        try:
            return nearest()
        except RagAppError as error:
            _log.warning("the sentences nearest to the question are not shown: %s", error)
            return ()

    if near := (yield from result_of(found, "nearest_sentences")):
        yield Answer(nearest=near)


def _cosines(
    question: str,
    sentences: Sequence[str],
    embeddings: DocumentEmbeddings,
    known: Cosines | None = None,
) -> Cosines:
    """Return how near sentences are to a question, less the usual where that is known."""
    cosines = dict(known or {})
    unknown = [sentence for sentence in dict.fromkeys(sentences) if sentence not in cosines]
    if unknown:
        nearer = embeddings.cosines(question, unknown) - USUAL_COSINES.get(embeddings.name, 0.0)
        cosines.update(zip(unknown, nearer.tolist(), strict=True))
    return cosines


def _sentences(text: str) -> list[str]:
    """Return the sentences of a text, all of it where none is long enough."""
    found = [sentence.strip() for sentence in SENTENCE.findall(text)]
    return [sentence for sentence in found if len(sentence) >= _LEAST] or [text]
