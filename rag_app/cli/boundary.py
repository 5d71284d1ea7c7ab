"""Where errors become one line on stderr and an exit code."""

from typing import ClassVar

from model_prep.cli.boundary import INTERRUPTED, Debug, Version, run
from model_prep.cli.boundary import Boundary as ModelPrepBoundary
from model_prep.errors import ModelPrepError
from rag_app.errors import RagAppError

__all__ = ["INTERRUPTED", "Boundary", "root", "run"]


class Boundary(ModelPrepBoundary):
    """As model_prep's, for the errors of both packages."""

    program: ClassVar[str] = "rag-app"
    errors: ClassVar[tuple[type[Exception], ...]] = (RagAppError, ModelPrepError)


def root(debug: Debug = False, version: Version = False) -> None:
    """Ask and summarize documents with models you own."""
