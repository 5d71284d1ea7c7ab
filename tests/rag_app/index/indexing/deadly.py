"""A loader that ends its process at some files, as a parser that crashes does."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

from langchain_core.document_loaders import BaseLoader
from langchain_core.documents import Document

from rag_app.documents.loaders import FileLoader


class DeadlyLoader(BaseLoader):
    """Reads a file, after noting in ``pids`` which process does; dies of those called 毒."""

    def __init__(self, path: str, *, pids: Path) -> None:
        self.path = Path(path)
        self.pids = pids

    def lazy_load(self) -> Iterator[Document]:
        (self.pids / str(os.getpid())).touch()
        if self.path.stem == "毒":
            os.kill(os.getpid(), signal.SIGKILL)
        yield from FileLoader(self.path).lazy_load()
