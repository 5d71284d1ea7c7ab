"""The one façade over documents, index, models and chains.

It is loaded when first used: a command that asks the resident engine needs none of it.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rag_app.engine.app import RagApp

__all__ = ["RagApp"]


def __getattr__(name: str) -> Any:
    if name == "RagApp":
        from rag_app.engine.app import RagApp

        return RagApp
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
