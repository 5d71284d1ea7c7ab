"""Answers about documents as a whole: what they say, how many there are, which ones."""

from rag_app.chains.overview.whole_documents import MOST_TOKENS, WholeDocuments

__all__ = ["MOST_TOKENS", "WholeDocuments"]
