"""LangChain's own suite for embeddings, on ours and on foreign ones made to know their space."""

from pathlib import Path
from typing import Any

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_tests.integration_tests import EmbeddingsIntegrationTests
from langchain_tests.unit_tests import EmbeddingsUnitTests

from rag_app.models.embeddings.base import AdaptedEmbeddings
from rag_app.models.embeddings.sentence_transformers import SentenceTransformerEmbeddings


class SentenceTransformers:
    @pytest.fixture(autouse=True)
    def folder(self, tiny_embeddings: Path) -> None:
        self.params = {"folder": tiny_embeddings, "name": "tiny"}

    @property
    def embeddings_class(self) -> type[Embeddings]:
        return SentenceTransformerEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        return self.params


class Adapted:
    @property
    def embeddings_class(self) -> type[Embeddings]:
        return AdaptedEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        return {"inner": DeterministicFakeEmbedding(size=8)}


class TestSentenceTransformersUnit(SentenceTransformers, EmbeddingsUnitTests):
    pass


class TestSentenceTransformersIntegration(SentenceTransformers, EmbeddingsIntegrationTests):
    pass


class TestAdaptedUnit(Adapted, EmbeddingsUnitTests):
    pass


class TestAdaptedIntegration(Adapted, EmbeddingsIntegrationTests):
    pass
