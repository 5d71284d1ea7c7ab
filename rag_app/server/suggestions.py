"""Questions to begin with, drawn from the documents themselves: each finds something in them."""

from itertools import islice

from rag_app.engine import RagApp
from rag_app.engine.topics import questions

_TRIED = 12


def suggestions(engine: RagApp, count: int) -> list[str]:
    """Return questions about the headings of the documents, or their names where they have none.

    Each is one for which passages are found that are relevant enough to be answered from.

    Args:
        engine: Over the index.
        count: Most questions.
    """
    tried = islice(questions(engine.store), _TRIED)
    return list(islice(filter(lambda question: _is_answered(engine, question), tried), count))


def _is_answered(engine: RagApp, question: str) -> bool:
    found = engine.retrieve(question, k=1)
    relevance = found[0].metadata.get("relevance", 1.0) if found else 0.0
    return bool(relevance >= engine.settings.threshold)
