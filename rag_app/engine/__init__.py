"""The one façade over documents, index, models and chains."""

from rag_app.engine.app import RagApp

__all__ = ["RagApp"]
