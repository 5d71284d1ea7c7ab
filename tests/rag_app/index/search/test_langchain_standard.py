"""LangChain's own suites for vector stores and retrievers, on ours."""

from pathlib import Path
from typing import Any

import pytest
from langchain_core.vectorstores import VectorStore
from langchain_tests.integration_tests import (
    RetrieversIntegrationTests,
    VectorStoreIntegrationTests,
)

from rag_app.index.search.retriever import HybridRetriever
from rag_app.index.search.vector_store import FaissVectorStore
from rag_app.index.store.store import IndexStore
from tests.rag_app.index.hashing import HashingEmbeddings


class TestVectorStore(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, tmp_path: Path) -> VectorStore:
        return FaissVectorStore.from_texts([], self.get_embeddings(), folder=tmp_path)


class Retriever:
    kind = "hybrid"

    @pytest.fixture(autouse=True)
    def index(self, store: IndexStore) -> None:
        self.store = store

    @property
    def retriever_constructor(self) -> type[HybridRetriever]:
        return HybridRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"store": self.store, "embedding": HashingEmbeddings(), "kind": self.kind}

    @property
    def retriever_query_example(self) -> str:
        return "李白和杜甫是谁？The dragon?"


class TestHybridRetriever(Retriever, RetrieversIntegrationTests):
    pass


class TestDenseRetriever(Retriever, RetrieversIntegrationTests):
    kind = "dense"


class TestLexicalRetriever(Retriever, RetrieversIntegrationTests):
    kind = "lexical"
