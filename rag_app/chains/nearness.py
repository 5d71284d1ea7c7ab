"""How near passages are to a question by the one sentence that is the nearest, where words differ.

Where no passage is relevant the question may be put in other words than theirs. What a whole
passage is about says little then, its nearest sentence says more.
"""

from collections.abc import Mapping, Sequence
from operator import itemgetter

from langchain_core.documents import Document

from rag_app.chains.marks import SENTENCE
from rag_app.models.embeddings.base import DocumentEmbeddings

USUAL_COSINES: Mapping[str, float] = {"multilingual-e5-small": 0.885}
"""By embedding model: of a question and the nearest sentence of a passage below the threshold."""

Cosines = Mapping[str, float]
"""Of sentences, by how much they are nearer to a question than usual; of none where unknown."""

_LEAST = 5
"""Characters of a sentence; what is shorter is a heading's number or a mark of a list."""

_LONGEST = 200
"""Characters of a sentence that is quoted."""


def nearest_first(
    question: str, passages: Sequence[Document], embeddings: DocumentEmbeddings | None
) -> tuple[Sequence[Document], Cosines]:
    """Return passages ordered by their nearest sentences, and how near each sentence is.

    They stay as they are where it is not known which cosines are usual for the embedding model.

    Example:
        >>> nearest_first("怎么挂失？", [Document("先报失。")], None)
        ([Document(metadata={}, page_content='先报失。')], {})
    """
    sentences = [sentence for passage in passages for sentence in _sentences(passage.page_content)]
    cosines = _cosines(question, sentences, embeddings)
    if not cosines:
        return passages, {}
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
    found = [sentence for text in texts for sentence in _sentences(text)]
    short = [sentence for sentence in found if len(sentence) <= _LONGEST]
    unknown = [sentence for sentence in short if sentence not in known]
    cosines = {**known, **_cosines(question, unknown, embeddings)}
    return max(
        ((sentence, cosines[sentence]) for sentence in short if sentence in cosines),
        key=itemgetter(1),
        default=("", 0.0),
    )


def nearness(passages: Sequence[Document], cosines: Cosines) -> float:
    """Return by how much the nearest sentence of passages is nearer than usual, as a cosine."""
    return max(
        cosines[sentence] for passage in passages for sentence in _sentences(passage.page_content)
    )


def nearest_sentences(
    passages: Sequence[Document], cosines: Cosines, count: int
) -> list[tuple[int, str]]:
    """Return the nearest sentences of all passages, each with its passage's place, in their order.

    Args:
        passages: As `nearest_first` returns them.
        cosines: Of their sentences.
        count: Of sentences, at most.
    """
    found = [
        (place, sentence)
        for place, passage in enumerate(passages)
        for sentence in dict.fromkeys(_sentences(passage.page_content))
    ]
    first = {sentence: place for place, sentence in reversed(found)}
    chosen = {*sorted(first, key=lambda sentence: -cosines[sentence])[:count]}
    return [(place, sentence) for sentence, place in reversed(first.items()) if sentence in chosen]


def _cosines(
    question: str, sentences: Sequence[str], embeddings: DocumentEmbeddings | None
) -> Cosines:
    """Return how near sentences are to a question; of none where the usual is not known."""
    usual = USUAL_COSINES.get(embeddings.name) if embeddings else None
    distinct = [*dict.fromkeys(sentences)]
    if embeddings is None or usual is None or not distinct:
        return {}
    nearer = (embeddings.cosines(question, distinct) - usual).tolist()
    return dict(zip(distinct, nearer, strict=True))


def _sentences(text: str) -> list[str]:
    """Return the sentences of a text, all of it where none is long enough."""
    found = [sentence.strip() for sentence in SENTENCE.findall(text)]
    return [sentence for sentence in found if len(sentence) >= _LEAST] or [text]
