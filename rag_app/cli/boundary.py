"""Where errors and warnings become one line on stderr, and errors an exit code."""

import logging
import sys
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


def root(debug: Debug = False, version: Version = False) -> None:  # noqa: ARG001 - see Boundary
    """Ask and summarize documents with models you own."""
    handler = _Warnings(logging.WARNING)
    for package in ("rag_app", "model_prep"):
        logging.getLogger(package).handlers = [handler]


class _Warnings(logging.Handler):
    """Shows what a package warns of as one line on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        message = " ".join(record.getMessage().split())
        sys.stderr.write(f"rag-app: {record.levelname.lower()}: {message}\n")
