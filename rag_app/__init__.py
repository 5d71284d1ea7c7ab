"""Ask and summarize Chinese documents with models you own.

The public names are loaded when first used, so that importing the package costs nothing.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rag_app.chains.answer import Answer
    from rag_app.chains.citations import Citation
    from rag_app.chains.summarize import Summary
    from rag_app.engine import RagApp
    from rag_app.errors import RagAppError
    from rag_app.settings import Settings

__version__ = "0.1.0"
__all__ = ["Answer", "Citation", "RagApp", "RagAppError", "Settings", "Summary", "__version__"]

_HOMES = {
    "Answer": "rag_app.chains.answer",
    "Citation": "rag_app.chains.citations",
    "RagApp": "rag_app.engine",
    "RagAppError": "rag_app.errors",
    "Settings": "rag_app.settings",
    "Summary": "rag_app.chains.summarize",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(_HOMES[name]), name)
