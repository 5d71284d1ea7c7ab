"""The order of texts to a question, as the retriever judges the passages of an index."""

from collections.abc import Callable, Sequence

from rag_app.index.search.relevance import Coverage, calibration_of
from rag_app.index.store.terms import content_terms, document_terms
from rag_app.models.embeddings.base import DocumentEmbeddings, embed_by_length


def relevances(
    model: DocumentEmbeddings,
    query: str,
    texts: Sequence[str],
    progress: Callable[[int], None] | None = None,
) -> list[float]:
    """Return for each text the probability, 0 to 1, that it holds an answer.

    Args:
        model: Says how near texts and question are.
        query: The question.
        texts: Of which the model reads the beginnings, where they are long.
        progress: Called with how many texts each step embedded.
    """
    terms = set(content_terms(query))
    held = [set(document_terms(text).split()) for text in texts]
    frequencies = {term: sum(term in one for one in held) for term in terms}
    coverage = Coverage(frequencies, len(texts))
    cosines = embed_by_length(model, texts, progress) @ model.embed_query(query)
    calibration = calibration_of(model.name)
    return [
        calibration.probability(coverage.of_terms(one), float(cosine))
        for one, cosine in zip(held, cosines, strict=True)
    ]
