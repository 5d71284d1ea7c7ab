"""The ``model-prep`` command line: one small file per command, one boundary for errors.

The commands are loaded when first used: `rag-app` has the same boundary and needs none of them.
"""

from typing import TYPE_CHECKING, Any

from model_prep.cli.boundary import run

if TYPE_CHECKING:
    from model_prep.cli.commands import app

__all__ = ["app", "main"]


def __getattr__(name: str) -> Any:
    if name == "app":
        from model_prep.cli.commands import app

        return app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def main() -> None:
    """Run the command line."""
    run(lambda: __getattr__("app"), "model-prep")
