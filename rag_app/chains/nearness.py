"""How near passages are to a question by the one sentence that is the nearest, where words differ.

Where no passage is relevant the question may be put in other words than theirs. What a whole
passage is about says little then, its nearest sentence says more.
"""

from collections.abc import Mapping, Sequence

from langchain_core.documents import Document

from rag_app.chains.marks import SENTENCE
from rag_app.models.embeddings.base import DocumentEmbeddings

USUAL_COSINES: Mapping[str, float] = {"multilingual-e5-small": 0.885}
"""By embedding model: of a question and the nearest sentence of a passage below the threshold."""

_NEARNESS = "nearness"
_LEAST = 5
"""Characters of a sentence; what is shorter is a heading's number or a mark of a list."""


def nearest_first(
    question: str, passages: Sequence[Document], embeddings: DocumentEmbeddings | None
) -> Sequence[Document]:
    """Return passages ordered by their nearest sentences, which `nearness` then knows of.

    They stay as they are where it is not known which cosines are usual for the embedding model.

    Example:
        >>> nearest_first("怎么挂失？", [Document("先报失。")], None)
        [Document(metadata={}, page_content='先报失。')]
    """
    usual = USUAL_COSINES.get(embeddings.name) if embeddings else None
    if embeddings is None or usual is None:
        return passages
    sentences = [_sentences(passage.page_content) for passage in passages]
    distinct = [*dict.fromkeys(sentence for found in sentences for sentence in found)]
    nearer = (embeddings.cosines(question, distinct) - usual).tolist()
    known = dict(zip(distinct, nearer, strict=True))
    found = []
    for passage, of_passage in zip(passages, sentences, strict=True):
        cosines = {sentence: known[sentence] for sentence in of_passage}
        metadata = {**passage.metadata, _NEARNESS: cosines}
        found.append(passage.model_copy(update={"metadata": metadata}))
    return sorted(found, key=lambda passage: -max(passage.metadata[_NEARNESS].values()))


def nearness(passages: Sequence[Document]) -> float | None:
    """Return by how much the nearest sentence of passages is nearer than usual, as a cosine.

    None where `nearest_first` has not found it.
    """
    return max((cosine for _, _, cosine in _known(passages)), default=None)


def nearest_sentences(passages: Sequence[Document], count: int) -> list[tuple[int, str]]:
    """Return the nearest sentences of all passages, each with its passage's place, in their order.

    There are none where `nearest_first` has not found them.

    Args:
        passages: As `nearest_first` returns them.
        count: Of sentences, at most.
    """
    first = {sentence: (place, cosine) for place, sentence, cosine in reversed(_known(passages))}
    nearest = sorted(first.items(), key=lambda found: -found[1][1])[:count]
    chosen = {sentence for sentence, _ in nearest}
    return [
        (place, sentence) for sentence, (place, _) in reversed(first.items()) if sentence in chosen
    ]


def _known(passages: Sequence[Document]) -> list[tuple[int, str, float]]:
    """Return the place of its passage, the text and the nearness of each sentence."""
    return [
        (place, sentence, cosine)
        for place, passage in enumerate(passages)
        for sentence, cosine in passage.metadata.get(_NEARNESS, {}).items()
    ]


def _sentences(text: str) -> list[str]:
    """Return the sentences of a passage, all of it where none is long enough."""
    found = [sentence.strip() for sentence in SENTENCE.findall(text)]
    return [sentence for sentence in found if len(sentence) >= _LEAST] or [text]
