"""Ask and summarize Chinese documents with models you own.

The public names are loaded when first used, so that importing the package costs nothing.
"""

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rag_app.chains.answer import answer_chain
    from rag_app.chains.citations import Citation
    from rag_app.chains.messages import as_message
    from rag_app.chains.prompts import Prompts
    from rag_app.chains.rag import Timings, rag_chain
    from rag_app.chains.results import CHECKPOINT_TYPES, Answer, Summary
    from rag_app.chains.summarize import summarize_chain
    from rag_app.documents.loaders import FileLoader
    from rag_app.documents.splitters import ChineseTextSplitter
    from rag_app.engine.app import RagApp
    from rag_app.errors import RagAppError
    from rag_app.index.search.retriever import HybridRetriever
    from rag_app.index.search.vector_store import FaissVectorStore
    from rag_app.models.registry import load_embeddings, load_llm
    from rag_app.settings import Settings

# ONNX Runtime tells its maker of each model it loads, unless it finds this when it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.3.0.dev0"
__all__ = [
    "CHECKPOINT_TYPES",
    "Answer",
    "ChineseTextSplitter",
    "Citation",
    "FaissVectorStore",
    "FileLoader",
    "HybridRetriever",
    "Prompts",
    "RagApp",
    "RagAppError",
    "Settings",
    "Summary",
    "Timings",
    "__version__",
    "answer_chain",
    "as_message",
    "load_embeddings",
    "load_llm",
    "rag_chain",
    "summarize_chain",
]

_HOMES = {
    "chains.answer": ("answer_chain",),
    "chains.citations": ("Citation",),
    "chains.prompts": ("Prompts",),
    "chains.rag": ("Timings", "rag_chain"),
    "chains.results": ("CHECKPOINT_TYPES", "Answer", "Summary"),
    "chains.messages": ("as_message",),
    "chains.summarize": ("summarize_chain",),
    "documents.loaders": ("FileLoader",),
    "documents.splitters": ("ChineseTextSplitter",),
    "engine.app": ("RagApp",),
    "errors": ("RagAppError",),
    "index.search.retriever": ("HybridRetriever",),
    "index.search.vector_store": ("FaissVectorStore",),
    "models.registry": ("load_embeddings", "load_llm"),
    "settings": ("Settings",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
